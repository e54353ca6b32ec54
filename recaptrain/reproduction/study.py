"""What an experiment compares, and the commands that train and measure it."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from recapdata.errors import InputError
from recaptrain.reproduction.commands import COMMANDS, Words
from recaptrain.reproduction.experiments import Arm
from recaptrain.reproduction.settings import ReproduceSettings

SAMPLING = ("--steps", "16", "--guidance", "2", "--batch-size", "32")
"""How the embedded base is drawn from. Guidance is where the FID of the base, before its last stage, was lowest: 0.103 and 0.071 at 1.5, 0.092 and 0.075 at 2, 0.129 and 0.148 at 4,
its SOA-C 47 and 55, 56 and 54, 57 and 60 (78 long and 78 short prompts, `recaptrain evaluate … --features embedded`).
"""

PRECISIONS = ("object precision", "count precision", "color precision", "position precision")
PRECISION = "precision (mean of four)"
"""The mean of those: of the audit's figures the one that any kind of error lowers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Study:
    """Arms, what they are measured on, and what the audit said of their captions before any of them was trained.

    Attributes:
        prompts: a file of prompts by kind.
        real: real images with captions of each kind, as `recaptrain evaluate` takes them; empty for none.
        metrics: of `recaptrain evaluate`.
        reference: real images that drawn ones are held against as a whole.
        detector: of the metrics that need one.
        held_out: keys that are not trained on, a line each.
        audit: figures of the audit by name, by arm.
    """

    arms: tuple[Arm, ...]
    prompts: Mapping[str, Path]
    real: Mapping[str, str]
    metrics: tuple[str, ...]
    reference: str
    detector: str | None
    held_out: Path | None
    audit: Mapping[str, Mapping[str, float]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where models, their pictures and measurements are kept, all under `out`."""

    out: Path

    def model(self, arm: Arm, seed: int) -> Path:
        """The trained pipeline."""
        return self.out / "models" / f"{arm.folder}-{seed}"

    def images(self, arm: Arm, seed: int, step: int, kind: str) -> Path:
        """Pictures of the prompts of a kind, after some steps."""
        return self.out / "images" / f"{arm.folder}-{seed}-{step}-{kind}"


def train_words(
    settings: ReproduceSettings, study: Study, place: Place, arm: Arm, seed: int, steps: int
) -> Words:
    """The command that trains an arm up to so many steps; more of them go on from there."""
    out = place.model(arm, seed)
    words = [
        "recaptrain", "diffusion", "--dataset", arm.dataset, "--mixture", str(arm.mixture), "--base", settings.base,
        "--train", ",".join(arm.train), "--steps", str(steps), "--batch-size", str(settings.batch_size), "--lr", f"{settings.lr:g}",
        "--seed", str(settings.seed + 1 + seed), "--ema-decay", "0.99", "--samples", "0", "--checkpoint-every", str(max(steps, 1)),
    ]  # fmt: skip
    words += ["--base-revision", settings.base_revision] if settings.base_revision else []
    words += ["--validation-keys", str(study.held_out)] if study.held_out else []
    resumed = (out / "training" / "settings.json").is_file()
    return (*words, *(["--resume"] if resumed else []), str(out))


def generate_words(
    settings: ReproduceSettings, study: Study, place: Place, arm: Arm, seed: int, step: int, kind: str
) -> Words:
    """The command that draws the prompts of a kind; every arm draws a prompt from the same noise."""
    model = str(place.model(arm, seed)) if arm.mixture else settings.base
    images = place.images(arm, seed, step, kind)
    revision = ("--revision", settings.base_revision) if settings.base_revision and not arm.mixture else ()
    sampling = SAMPLING if settings.base == "embedded" else ()
    words = ("recaptrain", "generate", model, str(study.prompts[kind]), str(images))
    return (*words, "--seed", str(settings.seed), *revision, *sampling)


def evaluate_words(
    settings: ReproduceSettings,
    study: Study,
    place: Place,
    sources: Mapping[str, str | Path],
    name: str,
    metrics: tuple[str, ...],
) -> Words:
    """The command that measures pictures of each kind of prompts."""
    detector = ("--detector", study.detector) if study.detector else ()
    reference = ("--reference", study.reference, "--features", settings.features) if "fid" in metrics else ()
    return (
        "recaptrain", "evaluate", *(f"{kind}={source}" for kind, source in sources.items()), "--metrics", ",".join(metrics),
        "--clip", settings.clip, *detector, *reference, "--seed", str(settings.seed), "--out", str(place.out / "evaluation" / name),
    )  # fmt: skip


def audited(summary: Mapping[str, Any], mixture: str) -> dict[str, float]:
    """The audit's figures of a mixture: of its sets, each by its weight; those that every set has; and `PRECISION`.

    Args:
        summary: of `audits run` or `audits/summary.json`.

    Raises:
        InputError: the summary is none.
    """
    from recapdata.caption_sets.mixture import Mixture

    weights = Mixture.parse(mixture).weights
    total = sum(weights.values())
    try:
        sets = {name: summary["sets"][name]["figures"] for name in weights}
        names = [
            name
            for name in next(iter(sets.values()))
            if all(name in each and each[name]["value"] is not None for each in sets.values())
        ]
        found = {
            name: sum(weight * float(sets[each][name]["value"]) for each, weight in weights.items()) / total
            for name in names
        }
    except (LookupError, TypeError, ValueError) as error:
        raise InputError(
            f"{COMMANDS} holds a summary of audits run that is none ({type(error).__name__}); use another folder"
        ) from error
    precisions = [found[name] for name in PRECISIONS if name in found]
    return (
        {**found, PRECISION: sum(precisions) / len(precisions)}
        if len(precisions) == len(PRECISIONS)
        else found
    )
