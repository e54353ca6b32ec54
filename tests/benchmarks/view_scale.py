"""Building the FiftyOne dataset: seconds and memory per sample must not grow with the number of samples.

    python -m tests.benchmarks.view_scale 5000 20000

For each size a dataset of small pictures with two audited caption sets is made, and the view of it is built in a process of its own:
anew, once more with nothing changed, and with the captions of one shard changed. What is printed per size is the processor time of
that process (and of the build anew, the time by the clock), its peak memory, and how both have grown since the first size. The
database is another process and only in the clock's time.
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
from typing import Any

import pyarrow as pa

from recapdata.dataset.audit_files import AUDIT_SCHEMA, Identity
from recapdata.dataset.digest import rows_hash
from recapdata.dataset.folder import DatasetFolder
from recapdata.dataset.shards import ShardWriter
from recapdata.records import Claim, Object
from tests.builders import build_dataset, png, write_captions

SHARD_ROWS = 2_000
SETS = ("alt", "recap-short")
CAPTION = "A red dog to the left of two black cats, under a sign that says STOP, number {}."
DOG = Object(bbox=(1, 1, 3, 3), category="dog", color="brown")
CAT = Object(bbox=(4, 1, 3, 3), category="cat", color="black")
SCORES: dict[str, Any] = {
    "words": 17,
    "clip_tokens": 22,
    "flags": [],
    "objects_present": 2,
    "objects_said": 2,
    "texts_present": 0,
    "texts_said": 0,
    "missed": [],
}


def make(path: Path, rows: int) -> DatasetFolder:
    """A dataset of that many pictures with the audit of both sets."""
    captions = [CAPTION.format(row) for row in range(rows)]
    folder = build_dataset(
        path,
        images=[png(row) for row in range(rows)],
        shard_rows=SHARD_ROWS,
        row_group_rows=SHARD_ROWS,
        sets=dict.fromkeys(SETS, captions),
        objects=[[DOG, CAT]] * rows,
    )
    for shard in folder.shards():
        for name in SETS:
            _audit(folder, name, shard)
    return folder


def _audit(folder: DatasetFolder, name: str, shard: int) -> None:
    claims = [
        Claim(kind="object", span=(6, 9), object="dog", verdict="supported", evidence="annotations: 1 dog"),
        Claim(
            kind="color",
            span=(2, 9),
            object="dog",
            color="red",
            verdict="contradicted",
            evidence="it is brown",
        ),
        Claim(kind="count", span=(25, 39), object="cat", count=2, verdict="contradicted", evidence="1 cat"),
        Claim(kind="text", span=(64, 68), text="STOP", verdict="unknown", evidence="reads no text"),
    ]
    structs = [claim.to_struct() for claim in claims]
    rows = [
        {"key": key, "set": name, "claims": structs, "scores": SCORES, "detections": None}
        for key in folder.read_keys(shard)
    ]
    captions = folder.read_captions(name, shard, ["key", "caption"]).to_batches()
    with ShardWriter(folder.audit_shard(name, shard), AUDIT_SCHEMA) as writer:
        writer.write(pa.Table.from_pylist(rows, schema=AUDIT_SCHEMA))
        writer.commit(Identity(captions=rows_hash(captions), claims="made").to_footer())


def measure(path: Path) -> dict[str, Any]:
    """Build three times, in this process; seconds of each and its peak memory."""
    from audits.fiftyone import require
    from audits.fiftyone.dataset import build

    require().list_datasets()  # so that importing FiftyOne and starting its database are not counted
    found: dict[str, Any] = {}
    folder = DatasetFolder.open(path)
    for step in ("anew", "unchanged", "one shard changed"):
        if step == "one shard changed":
            keys = folder.read_keys(0)
            write_captions(folder, "alt", 0, keys, ["A bird."] * len(keys))
            _audit(folder, "alt", 0)
        began, clock = time.process_time(), time.monotonic()
        summary = build(path)
        found[step] = time.process_time() - began
        found.setdefault("clock", time.monotonic() - clock)
    found["samples"] = summary.samples
    found["memory"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return found


def main() -> None:
    """Measure each size in a process of its own and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sizes", nargs="*", type=int, default=[5_000, 20_000])
    parser.add_argument("--measure", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure is not None:
        sys.stdout.write(json.dumps(measure(options.measure)) + "\n")
        return
    first: dict[str, Any] | None = None
    sys.stdout.write(
        "samples   ms/sample (clock)   ratio   unchanged   one shard   peak memory   more per 1,000\n"
    )
    for size in options.sizes:
        row = _in_process(size)
        first = first or row
        each, before = (1000 * one["anew"] / one["samples"] for one in (row, first))
        more = row["samples"] - first["samples"]
        growth = (row["memory"] - first["memory"]) / 2**20 / more * 1000 if more else 0.0
        sys.stdout.write(
            f"{row['samples']:>7,}   {each:>9.2f} ({1000 * row['clock'] / row['samples']:.2f})   {each / before:>5.2f}   "
            f"{row['unchanged']:>7.1f} s   {row['one shard changed']:>7.1f} s   {row['memory'] / 2**20:>8.0f} MB   "
            f"{growth:>11.2f} MB\n"
        )
        sys.stdout.flush()


def _in_process(size: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="view-scale-") as place:
        make(Path(place) / "made", size)
        environment = os.environ | {
            "FIFTYONE_DATABASE_DIR": f"{place}/db",
            "FIFTYONE_DEFAULT_DATASET_DIR": f"{place}/media",
        }
        command = [sys.executable, "-m", "tests.benchmarks.view_scale", "--measure", f"{place}/made"]
        done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
        found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        return found


if __name__ == "__main__":
    main()
