"""What auditing one more caption set costs where the pictures were looked at before: processor time against the first set's.

    OMP_NUM_THREADS=1 python -m tests.benchmarks.second_set              the photographs of $RECAPDATA_SHARED/coco-mini
    OMP_NUM_THREADS=1 python -m tests.benchmarks.second_set --scenes 60  drawn scenes

Each audit is a console command of its own; its start is measured by auditing the second set once more with nothing to do, and taken off.
"""

import argparse
import os
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

SHARED = Path(os.environ.get("RECAPDATA_SHARED", "../shared"))
EVIDENCE = "annotations,colors,ocr"


def command(program: str, *words: object) -> float:
    """Processor seconds of a console command."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    code = f"from {program}.cli import main; main()"
    subprocess.run([sys.executable, "-c", code, *map(str, words)], check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def audit(folder: Path, set_name: str, *more: object) -> float:
    """Processor seconds of the audit of one set."""
    return command("audits", "run", folder, "--captions", set_name, "--evidence", EVIDENCE, *more)


def main() -> None:
    """Print the seconds of either set without those of starting, and their ratio."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--scenes", type=int)
    parser.add_argument("--clip", help="score with this CLIP model too")
    options = parser.parse_args()
    clip = ["--clip", options.clip] if options.clip else []
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "dataset"
        if options.scenes:
            command("recapdata", "ingest", f"scenes:{options.scenes},human={options.scenes}", folder)
            columns = ("alt_text", "human_long")
        else:
            command("recapdata", "ingest", f"coco:{SHARED / 'coco-mini'}", folder)
            columns = ("captions[0]", "captions[1]")
        for name, column in zip(("first", "second"), columns, strict=True):
            command("recapdata", "import-captions", folder, name, column)
        first, second = audit(folder, "first", *clip), audit(folder, "second", *clip)
        start = audit(folder, "second", *clip)
        kept = sum(path.stat().st_size for path in (folder / "evidence").rglob("*.parquet"))
    print(
        f"first set {first - start:.1f} s, second {second - start:.1f} s, ratio {(second - start) / (first - start):.3f}; "
        f"starting {start:.1f} s; the cache has {kept:,} bytes"
    )


if __name__ == "__main__":
    main()
