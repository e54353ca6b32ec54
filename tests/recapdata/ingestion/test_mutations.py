"""Annotation files, tables and JSON with something wrong in them: no crash, no traceback, sums hold, every drop is counted.

A process of its own takes many mutations, so that one that kills it, hangs or eats memory is found.
"""

import json
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from audits.evidence import Record
from audits.evidence.annotations import open_annotations
from audits.evidence.masks import decode_mask
from recapdata.dataset.target import open_dataset
from recapdata.errors import RecapdataError
from recapdata.ingestion import IngestSummary, ingest
from tests.recapdata.ingestion.mutations import Truth, make

MEMORY = 2 * 2**30
SECONDS = 60
SHORT = 150
AT_ONCE = 370
LONG = SHORT + 5 * AT_ONCE


def test_a_few_mutations() -> None:
    _run(0, SHORT)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("start", range(SHORT, LONG, AT_ONCE))
def test_many_mutations(start: int) -> None:
    _run(start, AT_ONCE)


def _run(start: int, count: int) -> None:
    command = [sys.executable, "-m", __name__, str(start), str(count)]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=count * SECONDS, cwd=Path(__file__).parents[3]
    )
    lines = done.stdout.splitlines()
    last = lines[-1] if lines else "the first"
    assert done.returncode == 0, f"after {last}: code {done.returncode}\n{done.stderr[-3000:]}"
    assert lines[-1] == f"{start + count - 1} done"


def main(start: int, count: int) -> None:
    """Take in the sources of some mutations, one after the other, and check each; prints the number of each that is done."""
    folder = Path(tempfile.mkdtemp(prefix="mutations-"))
    try:
        for number in range(start, start + count):
            signal.alarm(SECONDS)  # kills the process
            began = time.monotonic()
            root, out = folder / "in", folder / "out"
            root.mkdir()
            truth = make(root, number)
            try:
                summary = ingest(truth.source, out)
            except RecapdataError as error:
                message = str(error)
                if len(message) > 2000 or len(message.splitlines()) > 1:
                    raise
            else:
                check(summary, truth, out)
            assert time.monotonic() - began < SECONDS
            shutil.rmtree(folder)
            folder.mkdir()
            sys.stdout.write(f"{number} done\n")
            sys.stdout.flush()
        assert _peak() < MEMORY
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _peak() -> int:
    """Largest resident set of this process in bytes; `ru_maxrss` would begin with that of the process it was started by."""
    status = Path("/proc/self/status")
    if status.is_file():
        return int(status.read_text().split("VmHWM:")[1].split()[0]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def check(summary: IngestSummary, truth: Truth, out: Path) -> None:
    """Sums of an ingest, what its folder holds, and what the audit makes of its annotations."""
    counts = summary.counts
    assert counts.balanced, counts
    assert truth.items is None or counts.items == truth.items, (counts, truth)
    json.dumps(summary.text())
    records = [
        row for path in sorted((out / "images").glob("*.parquet")) for row in pq.read_table(path).to_pylist()
    ]
    notes = [row for path in (out / "notes").glob("*.parquet") for row in pq.read_table(path).to_pylist()]
    failures = [
        row for path in (out / "failures").glob("*.parquet") for row in pq.read_table(path).to_pylist()
    ]
    assert (len(records), len(failures)) == (counts.records, counts.failures)
    assert sum(each.count for each in summary.noted) == len(notes)
    assert {row["key"] for row in notes} <= {row["key"] for row in records}
    for row in records:
        for thing in row["objects"] or ():
            _check_sound(thing, row["width"], row["height"])
    if truth.annotations is not None and counts.records == counts.items:
        _check_drops(truth.annotations, records, notes, summary)
    _look(out)


def _check_sound(thing: dict[str, Any], width: int, height: int) -> None:
    if thing["bbox"] is not None:
        x, y, w, h = thing["bbox"]
        assert w > 0
        assert h > 0
        assert -1 <= x <= x + w <= width + 1
        assert -1 <= y <= y + h <= height + 1
    assert thing["mask"] is None or thing["mask"]["size"] == [height, width]


def _check_drops(
    annotations: list[Any], records: list[dict[str, Any]], notes: list[dict[str, Any]], summary: IngestSummary
) -> None:
    """Each annotation of an instances file is an object or is said not to be one; each box and mask is there, or noted."""
    things = [thing for row in records for thing in row["objects"] or ()]
    count = {
        name: sum(row["note"] == name for row in notes)
        for name in ("BadBox", "BadMask", "BadAnnotation", "BadCaption")
    }
    aside = sum(
        int(note.split()[0].replace(",", ""))
        for note in summary.notes
        if "annotations" in note.split("and were")[0] or "entries" in note
    )
    assert len(things) + aside >= len(annotations) - count["BadAnnotation"], (len(things), aside, annotations)
    if aside:
        return  # which of them lead nowhere, and with what, is nobody's business here
    for name, note, given in (("bbox", "BadBox", "bbox"), ("mask", "BadMask", "segmentation")):
        there = sum(
            bool(each.get(given)) or (given == "bbox" and each.get(given) is not None)
            for each in annotations
            if isinstance(each, dict)
        )
        kept = sum(thing[name] is not None for thing in things)
        assert kept + count[note] == there, (name, kept, count, there)


def _look(out: Path) -> None:
    """The audit's reading of the annotations, masks and all."""
    target = open_dataset(out)
    source = open_annotations(target)
    for shard in target.shards():
        for batch in target.read(shard, source.columns):
            for evidence in source.collect([Record(values=row) for row in batch.to_pylist()]):
                for seen in evidence.objects if evidence is not None else ():
                    if evidence is not None and seen.mask is not None:
                        assert decode_mask(seen, evidence.height, evidence.width) is not None


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
