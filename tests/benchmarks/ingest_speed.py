"""How fast pictures come in, and how the index of keys bears millions of them.

    python -m tests.benchmarks.ingest_speed                   scenes, photographs, keys
    python -m tests.benchmarks.ingest_speed keys 10000000     one of them, of another size

`scenes` draws, checks and writes pictures of the drawn world; `photographs` reads JPEGs of about 200 KB from a folder; `keys`
enters keys in shards of 100,000 and looks up as many as an ingest does, 64 at a time, half of them known.
CPU seconds count all threads of the process, so "per CPU second" is what one core does.
"""

import argparse
import hashlib
import resource
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

SIZES = {"scenes": 10_000, "photographs": 1_000, "keys": 2_000_000}


def ingest_scenes(path: Path, count: int) -> str:
    """Draw and ingest scenes."""
    from recapdata.ingestion import ingest

    return _report("scenes", count, lambda: ingest(f"scenes:{count},human={count}", path / "out"))


def ingest_photographs(path: Path, count: int) -> str:
    """Ingest a folder of JPEGs, each with a text beside it."""
    from recapdata.ingestion import ingest
    from tests.builders import noise_jpeg

    (path / "photos").mkdir()
    picture = noise_jpeg(0, (430, 330))
    for number in range(count):
        (path / "photos" / f"{number:06d}.jpg").write_bytes(picture + number.to_bytes(4, "big"))
        (path / "photos" / f"{number:06d}.txt").write_text(f"noise number {number}")
    return _report("photographs", count, lambda: ingest(str(path / "photos"), path / "out"))


def index_keys(path: Path, count: int) -> str:
    """Enter keys shard by shard as an ingest does, then ask."""
    from recapdata.dataset.folder import DatasetFolder
    from recapdata.dataset.keys import INDEX, KeyIndex

    folder = DatasetFolder.create(path)
    per_shard = 100_000
    before = _peak()
    slowest = 0.0
    began = time.perf_counter()
    with KeyIndex(folder) as index:
        for shard in range(-(-count // per_shard)):
            folder.image_shard(shard).parent.mkdir(exist_ok=True)
            folder.image_shard(shard).touch()  # the index notes which file it was
            keys = {_key(number) for number in range(shard * per_shard, min(count, (shard + 1) * per_shard))}
            entered = time.perf_counter()
            index.add_shard(shard, keys)
            slowest = max(slowest, time.perf_counter() - entered)
        seconds = time.perf_counter() - began
        asked = 64 * 1000
        began = time.perf_counter()
        for start in range(0, asked, 64):
            known = index.records({_key(each * 31 % (2 * count)) for each in range(start, start + 64)})
            assert known
        looked_up = asked / (time.perf_counter() - began)
    size = (path / INDEX).stat().st_size / 2**20
    return (
        f"keys: {count:,} entered in {seconds:.1f} s ({count / seconds:,.0f}/s, slowest shard of {per_shard:,} {slowest:.1f} s), "
        f"{looked_up:,.0f} looked up a second, {size:,.0f} MB on disk, {_peak() - before:.0f} MB of memory"
    )


def _key(number: int) -> bytes:
    return hashlib.sha256(number.to_bytes(8, "big")).digest()


def _peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _report(what: str, count: int, act: Callable[[], object]) -> str:
    began, processor = time.perf_counter(), time.process_time()
    act()
    seconds, processor = time.perf_counter() - began, time.process_time() - processor
    return f"{what}: {count:,} in {seconds:.1f} s ({count / seconds:,.0f}/s), {count / processor:,.0f} per CPU second"


CASES: dict[str, Callable[[Path, int], str]] = {
    "scenes": ingest_scenes,
    "photographs": ingest_photographs,
    "keys": index_keys,
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("case", nargs="?", choices=tuple(CASES))
    parser.add_argument("size", nargs="?", type=int)
    arguments = parser.parse_args()
    for case in [arguments.case] if arguments.case else CASES:
        with tempfile.TemporaryDirectory() as folder:
            print(CASES[case](Path(folder), arguments.size or SIZES[case]))


if __name__ == "__main__":
    main()
