"""Peak memory and processor time of `audits compare` and `audits report` on many records.

    python -m tests.benchmarks.compare_scale                  1,000,000 records, two caption sets
    python -m tests.benchmarks.compare_scale 100000

The audit rows are those of 300 scenes, audited once and repeated under keys of their own. Each command runs in a process of its
own; the figure is the growth of its peak resident set (ru_maxrss) from just before the work to its end.
"""

import argparse
import hashlib
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

SCENES = 300
SHARD_ROWS = 50_000
SETS = ("human-short", "human-long")


def write_small(path: Path) -> None:
    """300 scenes with two audited caption sets."""
    tool = Path(sys.executable)
    recapdata, audits = tool.with_name("recapdata"), tool.with_name("audits")
    commands: list[list[Any]] = [[recapdata, "ingest", f"scenes:{SCENES},human={SCENES}", path]]
    commands += [[recapdata, "import-captions", path, name, name.replace("-", "_")] for name in SETS]
    commands += [[audits, "run", path, "--evidence", "annotations", "--clip", "embedded"]]
    for command in commands:
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def write_large(small: Path, path: Path, rows: int) -> None:
    """A folder of `rows` records with the captions and audits of the small one, over and over."""
    from recapdata.dataset.audit_files import read_identity
    from recapdata.dataset.digest import rows_hash
    from recapdata.dataset.folder import DatasetFolder
    from recapdata.dataset.shards import ShardWriter

    source, folder = DatasetFolder.open(small), DatasetFolder.create(path)
    images = pq.read_table(source.image_shard(0))
    for shard, start in enumerate(range(0, rows, SHARD_ROWS)):
        count = min(SHARD_ROWS, rows - start)
        keys = pa.array([hashlib.sha256(str(start + row).encode()).hexdigest() for row in range(count)])
        again = pa.array([row % SCENES for row in range(count)])

        def repeated(table: pa.Table, keys: pa.Array = keys, again: pa.Array = again) -> pa.Table:
            return table.take(again).set_column(table.schema.get_field_index("key"), "key", keys)

        write(folder.image_shard(shard), repeated(images))
        for name in SETS:
            captions = repeated(pq.read_table(source.caption_shard(name, 0)))
            write(folder.caption_shard(name, shard), captions)
            identity = read_identity(source.audit_shard(name, 0))
            assert identity is not None
            captions_hash = rows_hash(captions.select(["key", "caption"]).to_batches())
            footer = json.loads(next(iter(identity.to_footer().values()))) | {"captions": captions_hash}
            audit = repeated(pq.read_table(source.audit_shard(name, 0)))
            with ShardWriter(folder.audit_shard(name, shard), audit.schema.remove_metadata()) as writer:
                for first in range(0, count, 10_000):
                    writer.write(audit.slice(first, 10_000))
                writer.commit({next(iter(identity.to_footer())): json.dumps(footer)})
    folder.save_manifest(source.manifest)
    (path / "audits" / "summary.json").write_bytes((small / "audits" / "summary.json").read_bytes())


def write(path: Path, table: pa.Table) -> None:
    from recapdata.dataset.shards import ShardWriter

    with ShardWriter(path, table.schema.remove_metadata()) as writer:
        for first in range(0, table.num_rows, 10_000):
            writer.write(table.slice(first, 10_000))


def measure(what: str, path: Path) -> None:
    """Do it in this process and print what it took as JSON."""
    from audits.comparison import compare
    from audits.reporting import write_report

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    began, processor = time.perf_counter(), time.process_time()
    if what == "compare":
        compare(path, SETS[0], set_b=SETS[1])
    else:
        write_report(path, path / "report.html")
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    seconds, processor = time.perf_counter() - began, time.process_time() - processor
    print(json.dumps({what: {"MB": round(grown), "seconds": round(seconds), "processor": round(processor)}}))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("rows", type=int, nargs="?", default=1_000_000)
    parser.add_argument("--step", nargs=2)
    arguments = parser.parse_args()
    if arguments.step:
        step, folder = arguments.step[0], Path(arguments.step[1])
        if step == "write":
            write_small(folder / "small")
            write_large(folder / "small", folder / "large", arguments.rows)
        else:
            measure(step, folder / "large")
        return
    with tempfile.TemporaryDirectory() as directory:
        # This process stays small: a child's peak counts from that of its parent.
        for step in ("write", "compare", "report"):
            command = [sys.executable, "-m", "tests.benchmarks.compare_scale", str(arguments.rows)]
            subprocess.run([*command, "--step", step, directory], check=True)


if __name__ == "__main__":
    main()
