"""FSDP on two processes: what it learns, keeps and saves is what is learned where each process holds all weights."""

import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch.utils._pytree import tree_flatten_with_path

from recaptrain.training.run_folder import RunFolder
from tests.forked import Forks
from tests.recaptrain.pipelines import build_pipeline, build_scenes
from tests.recaptrain.processes import FSDP

STEPS, SAVED = 4, 2


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return build_pipeline(tmp_path_factory.mktemp("base") / "tiny")


@pytest.fixture(scope="module")
def scenes(tmp_path_factory):
    return build_scenes(tmp_path_factory.mktemp("scenes") / "ds", rows=10).path


def words(dataset, base, out, *more):
    return [
        *("recaptrain", "diffusion", "--dataset", dataset, "--base", base, "--mixture", "short=1,long=1;length=random;dropout=0.1"),
        *("--steps", STEPS, "--batch-size", 1, "--accumulate", 2, "--lr", "1e-3", "--fit", "stretch", "--checkpoint-every", SAVED),
        *("--validation", 0.2, "--validate-every", SAVED, "--samples", 1, "--sample-steps", 2),
        *("--mixed-precision", "no", "--seed", 3, *more, out),
    ]  # fmt: skip


def launch(forks: Forks, given: list, *, fsdp: bool = True):
    launched = ["python", "tests.recaptrain.processes:launch", 2, "", *given]
    return forks.run([str(each) for each in launched], seconds=300, env=FSDP if fsdp else {})


def validations(out: Path) -> list[float]:
    return [row["loss"] for row in RunFolder(out / "training").rows("validation")]


def files(out: Path, pattern: str = "*/*.safetensors") -> dict[str, bytes]:
    return {path.relative_to(out).as_posix(): path.read_bytes() for path in sorted(out.glob(pattern))}


@pytest.mark.slow
def test_what_is_spread_over_processes_learns_as_what_is_not(tmp_path, scenes, base, forks):
    """Losses, validations, averages, best weights and pictures; and from a checkpoint on the same, bit for bit.

    Sums over processes are taken in another order, so that losses of the two ways differ in their last digits.
    """
    both = ("--train", "unet,text_encoder", "--ema-decay", 0.9, "--keep", 2)
    whole, sharded, resumed = (tmp_path / name for name in ("whole", "sharded", "resumed"))
    outcome = launch(forks, words(scenes, base, whole, *both), fsdp=False)
    assert outcome.code == 0, outcome.errors
    outcome = launch(forks, words(scenes, base, sharded, *both))
    assert outcome.code == 0, outcome.errors
    run = RunFolder(sharded / "training")
    assert run.losses() == pytest.approx(RunFolder(whole / "training").losses(), rel=1e-5)
    assert validations(sharded) == pytest.approx(validations(whole), rel=1e-5)
    assert len(validations(sharded)) == 1 + STEPS // SAVED
    _close(sharded, whole)

    shutil.copytree(sharded, resumed)
    for name in ("unet", "text_encoder", f"training/step-{STEPS}"):
        shutil.rmtree(resumed / name)
    outcome = launch(forks, words(scenes, base, resumed, *both, "--resume"))
    assert outcome.code == 0, outcome.errors
    again = RunFolder(resumed / "training")
    assert [start["after_step"] for start in again.starts()] == [0, SAVED]
    assert again.losses() == run.losses()
    assert validations(resumed) == validations(sharded)
    for pattern in (
        "*/*.safetensors",
        "training/best-*",
        f"training/step-{STEPS}/model*",
        "training/samples/*",
    ):
        assert files(resumed, pattern) == files(sharded, pattern)
        assert files(sharded, pattern)
    for name in ("optimizer.bin", "average.pt"):
        assert _equal(*(_read(each / "training" / f"step-{STEPS}" / name) for each in (resumed, sharded)))


def _read(path: Path):
    return torch.load(path, weights_only=True)


def _equal(one, other) -> bool:
    """Whether what is in two files is the same, however pickle wrote it."""
    ones, others = (tree_flatten_with_path(each)[0] for each in (one, other))
    return len(ones) == len(others) > 0 and all(
        path == place and (torch.equal(value, twin) if isinstance(value, torch.Tensor) else value == twin)
        for (path, value), (place, twin) in zip(ones, others, strict=True)
    )


def _close(sharded: Path, whole: Path) -> None:
    """The pipelines load in stock diffusers, and their weights are apart by less than a hundredth of what was learned."""
    from diffusers import StableDiffusionPipeline

    ones, others = (
        StableDiffusionPipeline.from_pretrained(each, dtype=torch.float32) for each in (sharded, whole)
    )
    for part in ("unet", "text_encoder"):
        one, other = (dict(getattr(each, part).named_parameters()) for each in (ones, others))
        assert one.keys() == other.keys()
        apart = torch.stack([(one[name] - other[name]).abs().mean() for name in one])
        assert apart.mean() < 0.01 * STEPS * 1e-3


@pytest.mark.slow
def test_adapters_are_gathered_alone(tmp_path, scenes, base, forks):
    out = tmp_path / "out"
    outcome = launch(forks, words(scenes, base, out, "--lora", 2, "--save", "last"))
    assert outcome.code == 0, outcome.errors
    saved = load_file(out / "pytorch_lora_weights.safetensors")
    kept = load_file(out / "training" / f"step-{STEPS}" / "model.safetensors")
    assert len(kept) == len(saved) > 0
    assert all(".lora_" in name for name in kept)
    assert sum(each.abs().sum() for name, each in saved.items() if "lora_B" in name) > 0
    pictures = files(out, "training/samples/*")
    first, last = pictures[min(pictures)], pictures[max(pictures)]
    assert first != last
