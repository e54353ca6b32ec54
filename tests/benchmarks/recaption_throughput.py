"""How much of the model's own speed `recaption` keeps: images/s of the run over those of a bare `generate` loop on ready tensors.

Both arms use the same model, batch size and token limit, the model on one core, and take turns in one process, so that the ratio holds on
a busy machine. Scenes are PNGs; with --photos N the pictures are JPEGs of 640×480, whose decoding is most of the preparing.

    OMP_NUM_THREADS=1 python -m tests.benchmarks.recaption_throughput --images 4096
"""

import argparse
import statistics
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from recapdata.captioners import CaptionerOptions, open_captioner, parse_captioner
from recapdata.recaptioning import RunOptions, recaption
from recapdata.recaptioning.batches import prepare_images
from recapdata.scenes import draw_scene, encode_png
from tests.builders import build_dataset


def photo(index: int) -> bytes:
    """A JPEG of 640×480 with smooth shapes and a little noise, so that it decodes like a photograph."""
    import io

    from PIL import Image

    dice = np.random.default_rng(index + 1)
    small = dice.integers(0, 256, (12, 16, 3), dtype=np.uint8)
    image = np.asarray(Image.fromarray(small).resize((640, 480), Image.Resampling.BICUBIC)).astype(np.int16)
    noisy = (image + dice.normal(0, 6, image.shape)).clip(0, 255).astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(noisy).save(buffer, "JPEG", quality=90)
    return buffer.getvalue()


@dataclass(frozen=True, slots=True)
class Speed:
    """Images per second by the clock, and the model thread's own processor seconds, which a busy machine changes less."""

    images: int
    seconds: float
    processor: float

    def __str__(self) -> str:
        return f"{self.images / self.seconds:.1f}/s ({self.processor / self.images * 1e3:.2f} ms of processor an image)"


def bare(captioner: Any, images: list[bytes], batch_size: int) -> Speed:
    """`generate` alone, its tensors made beforehand."""
    ready = []
    for start in range(0, len(images), batch_size):
        prepared = prepare_images(captioner.prepare, images[start : start + batch_size], batch_size)
        ready += [
            {name: torch.from_numpy(each) for name, each in part.prepared.items()} for part in prepared.parts
        ]
    limit = captioner.provenance.sampling["max_new_tokens"]
    began, processor = time.perf_counter(), time.thread_time()
    with torch.inference_mode():
        for inputs in ready:
            captioner._model.generate(**inputs, do_sample=False, max_new_tokens=limit)
    return Speed(len(images), time.perf_counter() - began, time.thread_time() - processor)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--images", type=int, default=4096)
    parser.add_argument("--photos", action="store_true")
    parser.add_argument("--captioner", default="embedded")
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--max-tokens", type=int, default=64)
    parser.add_argument("--turns", type=int, default=4)
    parser.add_argument("--workers", type=int)
    arguments = parser.parse_args()

    torch.set_num_threads(1)
    options = CaptionerOptions(style="long", max_tokens=arguments.max_tokens)
    run_options = RunOptions(batch_size=arguments.batch_size, workers=arguments.workers)
    name, model = parse_captioner(arguments.captioner)
    captioner = open_captioner(name, replace(options, model=model))
    captioner.load()

    def run(where: Path, images: list[bytes]) -> Speed:
        folder = build_dataset(where, images=images, shard_rows=len(images), row_group_rows=512, sets=())
        processor = time.thread_time()
        summary = recaption(
            folder.path, "recap", captioner=arguments.captioner, options=options, run=run_options
        )
        return Speed(len(images), summary.caption_seconds, time.thread_time() - processor)

    def pictures(first: int, count: int) -> list[bytes]:
        return [
            photo(i) if arguments.photos else encode_png(draw_scene(99, i))
            for i in range(first, first + count)
        ]

    clock, own = [], []
    each = arguments.images // arguments.turns
    with tempfile.TemporaryDirectory() as folder:
        few = pictures(-1, 1) if arguments.photos else pictures(10**6, 1)
        fixed = run(Path(folder) / "few", few).processor - bare(captioner, few, 1).processor
        for turn in range(arguments.turns):
            images = pictures(turn * each, each)
            loop, ran = bare(captioner, images, arguments.batch_size), run(Path(folder) / str(turn), images)
            ran = replace(ran, processor=ran.processor - fixed)
            clock.append(loop.seconds / ran.seconds)
            own.append(loop.processor / ran.processor)
            print(f"turn {turn + 1}: bare loop {loop}, recaption {ran}", flush=True)
    print(
        f"recaption keeps {statistics.median(clock):.3f} of the bare loop's speed by the clock, "
        f"{statistics.median(own):.3f} by the model thread's processor time (medians of {arguments.turns} turns; opening "
        "and loading the model left out)"
    )


if __name__ == "__main__":
    main()
