"""SIGKILLs during one recaption run: is anything lost, are the bytes those of a run left alone, and how much was captioned twice.

The embedded captioner samples, with decoding processes beside it; every image it captions is noted in a file, so that work done
twice is counted and not guessed.

    OMP_NUM_THREADS=1 python -m tests.benchmarks.recaption_kills --kills 30
"""

import argparse
import multiprocessing
import os
import random
import shutil
import signal
import tempfile
import time
from collections import Counter
from pathlib import Path

from recapdata.captioners import CaptionerOptions
from recapdata.captioners.vlm import Vlm
from recapdata.dataset.folder import DatasetFolder
from recapdata.recaptioning import RunOptions, recaption
from recapdata.scenes import draw_scene, encode_png
from tests.builders import build_dataset

SET = "recap"


def run(path: Path, log: Path, batch_size: int, workers: int) -> None:
    """The whole run, every image that the model captions noted in `log` the moment it is captioned."""
    caption = Vlm.caption

    def noting(self, prepared, keys):
        captions = caption(self, prepared, keys)
        with open(log, "a") as file:
            file.write("".join(f"{key}\n" for key in keys))
        return captions

    Vlm.caption = noting  # type: ignore[method-assign]
    recaption(
        path,
        SET,
        captioner="embedded",
        options=CaptionerOptions(style="long", temperature=1.0, max_tokens=24),
        run=RunOptions(batch_size=batch_size, workers=workers),
    )


def lines(path: Path) -> list[str]:
    return path.read_text().split() if path.exists() else []


def contents(folder: DatasetFolder) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted((folder.path / "captions" / SET).iterdir())}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kills", type=int, default=30)
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()

    dice = random.Random(arguments.seed)
    fork = multiprocessing.get_context("fork")
    with tempfile.TemporaryDirectory() as place:
        images = [
            encode_png(draw_scene(99, row)) for row in range(arguments.kills * 2 * arguments.batch_size)
        ]
        folder = build_dataset(Path(place) / "set", images=images, shard_rows=100, row_group_rows=40, sets=())
        whole = DatasetFolder(Path(shutil.copytree(folder.path, Path(place) / "whole")))
        log, started = Path(place) / "log", time.monotonic()

        def start(where: DatasetFolder, noted: Path) -> multiprocessing.process.BaseProcess:
            child = fork.Process(
                target=run, args=(where.path, noted, arguments.batch_size, arguments.workers)
            )
            child.start()
            return child

        kills, most = 0, 0
        while kills < arguments.kills:
            before, wanted = len(lines(log)), dice.randint(0, 2) * arguments.batch_size
            twice = sum((Counter(lines(log)) - Counter(set(lines(log)))).values())
            child = start(folder, log)
            while child.is_alive() and len(lines(log)) < before + wanted:
                time.sleep(0.002)
            time.sleep(dice.random() * 0.2)
            if not child.is_alive():
                break
            os.kill(child.pid or 0, signal.SIGKILL)
            child.join()
            kills += 1
            time.sleep(0.3)  # the decoding process sees that it is an orphan, and lets go of the folder
            most = max(most, sum((Counter(lines(log)) - Counter(set(lines(log)))).values()) - twice)
        last = start(folder, log)
        last.join()
        alone = start(whole, Path(place) / "alone")
        alone.join()
        captioned = Counter(lines(log))
        twice = sum(captioned.values()) - len(captioned)
        rows = [row for shard in folder.shards() for row in folder.read_captions(SET, shard).to_pylist()]
        print(
            f"{kills} kills of a run over {len(images):,} images in batches of {arguments.batch_size}, "
            f"{time.monotonic() - started:.0f} s: {len(rows):,} rows, {sum(row['error'] is not None for row in rows)} failures; "
            f"{'the same bytes as' if contents(folder) == contents(whole) else 'OTHER BYTES THAN'} a run left alone; "
            f"{twice} images captioned twice, {twice / max(kills, 1):.1f} a kill, at most {most} between two kills"
        )


if __name__ == "__main__":
    main()
