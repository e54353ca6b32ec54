"""Whether two checkouts audit alike: every row of the audit and every figure of its summary, to the last digit.

    git worktree add ../before COMMIT && ln -s $PWD/.venv ../before/.venv
    python -m tests.same_figures ../before

Each checkout makes the dataset, the captions and the audit itself, by its own console commands: of the drawn world, and of the
photographs of `$RECAPDATA_SHARED/coco-mini` where that is present.
"""

import argparse
import json
import math
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

SHARED = Path(os.environ.get("RECAPDATA_SHARED", "../shared")).resolve()


def command(checkout: Path, program: str, *words: object) -> None:
    """A console command of one checkout, which has to succeed."""
    code = f"from {program}.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, words)],
        cwd=checkout,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit(f"{checkout}: {program} {' '.join(map(str, words))}\n{done.stderr[-3000:]}")


def audited_scenes(checkout: Path, folder: Path, scenes: int) -> None:
    """Drawn scenes with alt text, people's and the embedded captioner's captions, and all evidence."""
    command(
        checkout, "recapdata", "ingest", f"scenes:{scenes},seed=11,human={scenes}", folder, "--shard-rows", 64
    )
    command(checkout, "recapdata", "import-captions", folder, "alt", "alt_text")
    command(checkout, "recapdata", "import-captions", folder, "human", "human_long")
    command(
        checkout, "recapdata", "recaption", folder, "recap-long", "--captioner", "embedded", "--style", "long"
    )
    command(
        checkout, "audits", "run", folder, "--evidence", "annotations,colors,ocr", "--clip", "embedded",
        "--prompts", "alt",
    )  # fmt: skip


def audited_photographs(checkout: Path, folder: Path) -> None:
    """The photographs with two of their captions each and COCO's boxes."""
    command(checkout, "recapdata", "ingest", f"coco:{SHARED / 'coco-mini'}", folder, "--shard-rows", 40)
    command(checkout, "recapdata", "import-captions", folder, "first", "captions[0]")
    command(checkout, "recapdata", "import-captions", folder, "second", "captions[1]")
    command(checkout, "audits", "run", folder, "--evidence", "annotations,colors", "--clip", "embedded")


def differences(before: Any, after: Any, where: str) -> list[str]:
    """Where two JSON-like values differ."""
    if isinstance(before, dict) and isinstance(after, dict):
        names = [*before, *(name for name in after if name not in before)]
        return [
            line
            for name in names
            for line in differences(before.get(name), after.get(name), f"{where}.{name}")
        ]
    if isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        pairs = enumerate(zip(before, after, strict=True))
        return [line for place, pair in pairs for line in differences(*pair, f"{where}[{place}]")]
    if before == after or (
        isinstance(before, float) and isinstance(after, float) and math.isnan(before + after)
    ):
        return []
    return [f"{where}: {before!r} → {after!r}"]


def compare_audits(before: Path, after: Path) -> list[str]:
    """Differences of two dataset folders' audits: rows by file, then the summary."""
    paths = [
        sorted(path.relative_to(folder) for path in (folder / "audits").rglob("*.parquet"))
        for folder in (before, after)
    ]
    found = differences([str(path) for path in paths[0]], [str(path) for path in paths[1]], "files")
    for path in paths[0] if not found else ():
        tables = [pq.read_table(folder / path) for folder in (before, after)]
        if tables[0].schema.remove_metadata() != tables[1].schema.remove_metadata():
            found.append(f"{path}: the schemas differ")
        found += differences(*(table.to_pylist() for table in tables), str(path))
    summaries = [json.loads((folder / "audits/summary.json").read_text()) for folder in (before, after)]
    return found + differences(*summaries, "summary")


def main() -> None:
    """Print what differs; exit with 1 where anything does."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("before", type=Path, help="a checkout of the earlier commit")
    parser.add_argument("--scenes", type=int, default=200)
    options = parser.parse_args()
    checkouts = {"before": options.before.resolve(), "after": Path(__file__).parent.parent}
    failed = False
    with tempfile.TemporaryDirectory() as scratch:
        folders = {name: Path(scratch) / name for name in checkouts}
        worlds: list[tuple[str, Any]] = [
            ("scenes", lambda checkout, folder: audited_scenes(checkout, folder, options.scenes))
        ]
        if (SHARED / "coco-mini").is_dir():
            worlds.append(("coco-mini", audited_photographs))
        for world, make in worlds:
            for name, checkout in checkouts.items():
                folders[name].mkdir(exist_ok=True)
                make(checkout, folders[name] / world)
            found = compare_audits(*(folder / world for folder in folders.values()))
            count = len(list((folders["after"] / world / "audits").rglob("*.parquet")))
            print(f"{world}: {count} audit files, {len(found)} differences", *found[:40], sep="\n  ")
            failed |= bool(found)
    raise SystemExit(failed)


if __name__ == "__main__":
    main()
