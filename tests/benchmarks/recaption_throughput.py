"""How much of the model's own speed `recaption` keeps: images/s of the run over those of a bare `generate` loop on ready tensors.

Both arms use the same model, batch size and token limit, the model on one core, and take turns in one process, so that the ratio holds on
a busy machine. Scenes are PNGs; with --photos N the pictures are JPEGs of 640×480, whose decoding is most of the preparing.

    OMP_NUM_THREADS=1 python -m tests.benchmarks.recaption_throughput --images 4096
"""

import argparse
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from recapdata.captioners import CaptionerOptions, open_captioner, parse_captioner
from recapdata.engines.preparing import prepare_images
from recapdata.recaption import RunOptions, recaption
from recapdata.scenes import draw_scene, encode_png
from recapdata.store import DatasetFolder
from tests.builders import build_dataset


def photo(index: int) -> bytes:
    """A JPEG of 640×480 with smooth shapes and a little noise, so that it decodes like a photograph."""
    import io

    from PIL import Image

    dice = np.random.default_rng(index)
    small = dice.integers(0, 256, (12, 16, 3), dtype=np.uint8)
    image = np.asarray(Image.fromarray(small).resize((640, 480), Image.Resampling.BICUBIC)).astype(np.int16)
    noisy = (image + dice.normal(0, 6, image.shape)).clip(0, 255).astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(noisy).save(buffer, "JPEG", quality=90)
    return buffer.getvalue()


def bare(captioner: Any, images: list[bytes], batch_size: int) -> float:
    """Images per second of `generate` alone, its tensors made beforehand."""
    ready = []
    for start in range(0, len(images), batch_size):
        prepared = prepare_images(captioner.prepare, images[start : start + batch_size], batch_size)
        ready += [
            {name: torch.from_numpy(each) for name, each in part.prepared.items()} for part in prepared.parts
        ]
    limit = captioner.provenance.sampling["max_new_tokens"]
    began = time.perf_counter()
    with torch.inference_mode():
        for inputs in ready:
            captioner._model.generate(**inputs, do_sample=False, max_new_tokens=limit)
    return len(images) / (time.perf_counter() - began)


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
    name, model = parse_captioner(arguments.captioner)
    captioner = open_captioner(
        name, CaptionerOptions(model=model, style="long", max_tokens=arguments.max_tokens)
    )
    captioner.load()
    each = arguments.images // arguments.turns
    loops, runs = [], []
    with tempfile.TemporaryDirectory() as folder:
        for turn in range(arguments.turns):
            indices = range(turn * each, (turn + 1) * each)
            images = [photo(i) if arguments.photos else encode_png(draw_scene(99, i)) for i in indices]
            dataset: DatasetFolder = build_dataset(
                Path(folder) / str(turn), images=images, shard_rows=each, row_group_rows=512, sets=()
            )
            loops.append(bare(captioner, images, arguments.batch_size))
            summary = recaption(
                dataset.path,
                "recap",
                captioner=arguments.captioner,
                options=options,
                run=RunOptions(batch_size=arguments.batch_size, workers=arguments.workers),
            )
            runs.append(summary.images_per_second)
            print(f"turn {turn + 1}: bare loop {loops[-1]:.1f}/s, recaption {runs[-1]:.1f}/s", flush=True)
    ratio = statistics.median(run / loop for run, loop in zip(runs, loops, strict=True))
    print(f"recaption keeps {ratio:.3f} of the bare loop's speed (median of {arguments.turns} turns)")


if __name__ == "__main__":
    main()
