"""How much of a model's own speed `recaptrain evaluate` keeps, and whether its memory grows with the number of pictures.

    OMP_NUM_THREADS=1 python -m tests.benchmarks.evaluation speed --images 96
    OMP_NUM_THREADS=1 python -m tests.benchmarks.evaluation memory 2000 10000

speed   Pictures per second of a metric from files to rows, over those of a bare loop that calls the same model on ready tensors in the same
        batches, and does nothing else: CLIP score (an image and two texts a picture, ViT-B-32) and features (Inception v3, and the CLIP's).
        The weights are random, pictures PNGs of 512 × 512, as `recaptrain generate` writes them. The arms take turns; beside the clock's
        ratio stands that of the processor time of the thread that the model runs in, which a busy machine changes less.
memory  For each number of small pictures, a process of its own measures CLIP score, RP, FID and KID with the embedded model, and once more
        with every row there: peak memory, its growth since the first number, and processor time a picture.
"""

import argparse
import io
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from PIL import Image

from recapdata.scenes import draw_scene, encode_png, human_short
from recaptrain.evaluation.measuring import measure
from recaptrain.evaluation.metrics import Metric, open_metric
from recaptrain.evaluation.pictures import Pictures, read_pictures
from recaptrain.evaluation.settings import EvaluateSettings
from tests.benchmarks.recaption_throughput import photo

BATCH = 32
SIDE = 512


def write_pictures(folder: Path, contents: Sequence[bytes], prompts: Sequence[str]) -> Path:
    """A folder as `recaptrain generate` leaves it."""
    folder.mkdir()
    with open(folder / "metadata.jsonl", "w", encoding="utf8") as lines:
        for number, (content, prompt) in enumerate(zip(contents, prompts, strict=True)):
            name = f"{number:05d}"
            (folder / f"{name}.png").write_bytes(content)
            row = {"file_name": f"{name}.png", "id": name, "prompt_id": name, "prompt": prompt}
            lines.write(json.dumps(row) + "\n")
    return folder


# --- speed -----------------------------------------------------------------------------------------------------------------


def large(index: int) -> bytes:
    """A PNG of the size that Stable Diffusion draws."""
    image = Image.open(io.BytesIO(photo(index))).convert("RGB").resize((SIDE, SIDE))
    content = io.BytesIO()
    image.save(content, "PNG")
    return content.getvalue()


def bare_clip(metric: Metric, images: list[Image.Image], prompts: list[str]) -> Callable[[], None]:
    """The three encodings of CLIP score on ready pixels and tokens."""
    import torch

    from audits.clip.scores import HESSEL_PREFIX

    clip = metric.embeddings.clip  # type: ignore[attr-defined]
    ready = [
        (
            torch.stack([clip.pixels(image) for image in images[at : at + BATCH]]),
            [
                clip.tokenize([prefix + each for each in prompts[at : at + BATCH]])
                for prefix in ("", HESSEL_PREFIX)
            ],
        )
        for at in range(0, len(images), BATCH)
    ]

    def loop() -> None:
        with torch.inference_mode():
            for pixels, texts in ready:
                image = clip.model.encode_image(pixels.to(clip.device), normalize=True)
                for tokens in texts:
                    text = clip.model.encode_text(tokens.to(clip.device), normalize=True)
                    (image * text).sum(-1).tolist()

    return loop


def bare_features(metric: Metric, images: list[Image.Image], prompts: list[str]) -> Callable[[], None]:
    """The network behind features on ready pixels."""
    import numpy as np
    import torch

    extractor = metric.extractor  # type: ignore[attr-defined]
    starts = range(0, len(images), BATCH)
    if hasattr(extractor, "clip"):
        clip = extractor.clip
        ready = [torch.stack([clip.pixels(each) for each in images[at : at + BATCH]]) for at in starts]
        return lambda: [clip.encode_images(pixels).cpu().numpy() for pixels in ready] and None
    ready = [
        torch.from_numpy(np.stack([np.asarray(each) for each in images[at : at + BATCH]])).permute(0, 3, 1, 2)
        for at in starts
    ]

    def loop() -> None:
        with torch.inference_mode():
            for pixels in ready:
                extractor.model(pixels.to(extractor.device))[0].cpu().numpy()

    return loop


def random_clip(home: Path) -> str:
    """A CLIP ViT-B-32 of random weights."""
    import open_clip
    import torch

    torch.manual_seed(0)
    torch.save(open_clip.create_model("ViT-B-32").state_dict(), home / "random.pt")
    return f"ViT-B-32:{home / 'random.pt'}"


def random_inception(home: Path) -> str:
    """An Inception v3 of random weights."""
    import torch
    from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

    class Random(FeatureExtractorInceptionV3):
        def load_state_dict(self, state_dict: object, *args: object, **kwargs: object) -> None:
            """Keep the weights of the start."""

    torch.manual_seed(0)
    torch.save({}, home / "none.pth")
    made = Random("inception-v3-compat", ["2048"], feature_extractor_weights_path=str(home / "none.pth"))
    torch.save(made.state_dict(), home / "inception.pth")
    return str(home / "inception.pth")


def speed(images: int, rounds: int, which: Sequence[str]) -> None:
    """Print the ratio of each arm."""
    with tempfile.TemporaryDirectory() as temporary:
        home = Path(temporary)
        contents = [large(number) for number in range(images)]
        prompts = [human_short(draw_scene(0, number)) for number in range(images)]
        run = read_pictures(str(write_pictures(home / "pictures", contents, prompts)))
        decoded = [picture.load() for picture in run.items]
        clip = random_clip(home)
        arms = {
            "clip": ("clipscore", clip, None, bare_clip),
            "features": ("fid", "embedded", f"clip:{clip}", bare_features),
            "inception": ("fid", "embedded", None, bare_features),
        }
        for name in which:
            metric_name, model, features, make = arms[name]
            if name == "inception":
                features = f"inception:{random_inception(home)}"
            given = EvaluateSettings(
                metrics=(metric_name,),
                clip=model,
                features=features,
                reference=str(home / "pictures"),
                out=str(home / name),
            )
            metric = open_metric(metric_name, given, run)
            _race(name, run, metric, make(metric, decoded, prompts), home / name, rounds)


def _race(name: str, run: Pictures, metric: Metric, loop: Callable[[], None], out: Path, rounds: int) -> None:
    loop()
    ratios = []
    count = len(run.items)
    for number in range(rounds):
        _forget(metric)
        bare = _taken(loop)
        whole = _taken(lambda folder=out / f"{number}": measure(run.items, [metric], folder))
        ratios.append((bare[0] / whole[0], bare[1] / whole[1]))
        print(
            f"{name}: bare {count / bare[0]:6.1f}/s   evaluate {count / whole[0]:6.1f}/s   ratio {ratios[-1][0]:.3f} by the clock, "
            f"{ratios[-1][1]:.3f} of the model's thread",
            flush=True,
        )
    clock, thread = (statistics.median(each) for each in zip(*ratios, strict=True))
    print(
        f"{name}, {count} pictures: median ratio {clock:.3f} by the clock, {thread:.3f} of the model's thread (wanted: 0.9)",
        flush=True,
    )


def _taken(function: Callable[[], object]) -> tuple[float, float]:
    """Seconds by the clock, and of processor time of this thread, which a busy machine changes less."""
    clock, processor = time.perf_counter(), time.thread_time()
    function()
    return time.perf_counter() - clock, time.thread_time() - processor


def _forget(metric: Metric) -> None:
    """Let no embedding of the round before be known."""
    from recaptrain.evaluation.seen import Store

    embeddings = getattr(metric, "embeddings", None)
    if embeddings is not None:
        embeddings._store = Store(None)


# --- memory ----------------------------------------------------------------------------------------------------------------


def memory(sizes: Sequence[int]) -> None:
    """Print peak memory and processor time by the number of pictures."""
    first = None
    for size in sizes:
        with tempfile.TemporaryDirectory() as temporary:
            home = Path(temporary)
            scenes = [draw_scene(0, number) for number in range(size)]
            write_pictures(
                home / "pictures",
                [encode_png(scene) for scene in scenes],
                [human_short(scene) for scene in scenes],
            )
            for turn in ("anew", "again"):
                command = [sys.executable, "-m", "tests.benchmarks.evaluation", "one", temporary]
                answer = subprocess.run(command, check=True, capture_output=True, text=True, env=os.environ)
                found = json.loads(answer.stdout.splitlines()[-1])
                first = first or found
                print(
                    f"{size:,} pictures, {turn}: peak {found['peak']:.0f} MB ({found['peak'] / first['peak']:.2f} of the first), "
                    f"{found['processor'] / size * 1e3:.1f} ms of processor a picture",
                    flush=True,
                )


def one(home: Path) -> None:
    """Evaluate, and print what it took as JSON."""
    from recaptrain.evaluation.run import evaluate

    folder = str(home / "pictures")
    given = EvaluateSettings(
        metrics=("clipscore", "rp", "fid", "kid"),
        features="embedded",
        reference=folder,
        out=str(home / "out"),
    )
    evaluate([folder], given)
    usage = resource.getrusage(resource.RUSAGE_SELF)
    print(json.dumps({"peak": usage.ru_maxrss / 1024, "processor": usage.ru_utime + usage.ru_stime}))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True)
    racing = commands.add_parser("speed")
    racing.add_argument("--images", type=int, default=96)
    racing.add_argument("--rounds", type=int, default=3)
    racing.add_argument("--arms", default="clip,features,inception")
    commands.add_parser("memory").add_argument("sizes", type=int, nargs="+")
    commands.add_parser("one").add_argument("home", type=Path)
    options = parser.parse_args()
    if options.command == "speed":
        speed(options.images, options.rounds, options.arms.split(","))
    elif options.command == "memory":
        memory(options.sizes)
    else:
        one(options.home)


if __name__ == "__main__":
    main()
