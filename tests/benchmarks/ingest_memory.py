"""Peak memory of an ingest above the interpreter with its imports, and its speed.

    python -m tests.benchmarks.ingest_memory                  100,000 small records, then 10,000 of about 200 KB
    python -m tests.benchmarks.ingest_memory small 20000      one of the two, of another size

The pictures lie in a Parquet file (a folder of 100,000 files would measure the file system). Each case runs in a process of
its own; the figure is the growth of its peak resident set (ru_maxrss) from just before the ingest to its end.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

CASES = {"small": 100_000, "large": 10_000}
LIMIT_MB = 300


def write_source(path: Path, case: str, rows: int) -> None:
    """A Parquet file of scenes (about 2 kB each), or of JPEGs that do not compress (about 200 KB each)."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    from recapdata.scenes import alt_text, draw_scene, encode_png
    from tests.builders import noise_jpeg

    schema = pa.schema([("image", pa.binary()), ("alt_text", pa.string())])
    large = noise_jpeg(0, (540, 410)) if case == "large" else b""
    with pq.ParquetWriter(path, schema, use_dictionary=False) as writer:
        step = 1000 if case == "small" else 100
        for start in range(0, rows, step):
            numbers = range(start, min(start + step, rows))
            if case == "small":
                scenes = [draw_scene(0, number) for number in numbers]
                images, texts = [encode_png(each) for each in scenes], [alt_text(each) for each in scenes]
            else:
                # Bytes after the end of a JPEG make each picture another one without encoding it anew.
                images = [large + number.to_bytes(4, "big") for number in numbers]
                texts = [f"noise number {number}" for number in numbers]
            writer.write_table(pa.table({"image": images, "alt_text": texts}, schema=schema))


def measure(source: str, directory: str) -> None:
    """Ingest in this process and print what it took as JSON."""
    from recapdata.ingestion import coco, columns, download, drawn, folder, ingest, urls, webdataset  # noqa: F401

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    began, processor = time.perf_counter(), time.process_time()
    summary = ingest(source, directory)
    seconds, processor = time.perf_counter() - began, time.process_time() - processor
    growth = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    print(
        json.dumps(
            {
                "records": summary.counts.records,
                "bytes": summary.bytes,
                "seconds": seconds,
                "cpu": processor,
                "mb": growth,
            }
        )
    )


def run_case(case: str, rows: int) -> bool:
    """Measure one case in a process of its own and print a line; returns whether it kept to the limit."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "source.parquet"
        write_source(path, case, rows)
        command = [
            sys.executable,
            "-m",
            "tests.benchmarks.ingest_memory",
            "--measure",
            f"urls:{path}",
            f"{folder}/out",
        ]
        done = subprocess.run(
            command, check=True, capture_output=True, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"}
        )
        figures = json.loads(done.stdout.splitlines()[-1])
    kept = figures["mb"] <= LIMIT_MB
    print(
        f"{case}: {figures['records']:,} records, {figures['bytes'] / 2**20:,.0f} MB of images: "
        f"peak {figures['mb']:.0f} MB above the imports (limit {LIMIT_MB}), {figures['seconds']:.1f} s, "
        f"{figures['records'] / figures['seconds']:,.0f} records/s, {figures['records'] / figures['cpu']:,.0f} per CPU second"
    )
    return kept


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("case", nargs="?", choices=tuple(CASES))
    parser.add_argument("rows", nargs="?", type=int)
    parser.add_argument("--measure", nargs=2, metavar=("SOURCE", "DIR"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure:
        measure(*arguments.measure)
        return
    cases = [arguments.case] if arguments.case else list(CASES)
    kept = [run_case(case, arguments.rows or CASES[case]) for case in cases]
    sys.exit(0 if all(kept) else 1)


if __name__ == "__main__":
    main()
