"""Options and summary of a tuning run."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from recapdata.errors import OptionError
from recaptrain.training.settings import MixedPrecision, Optimization

FULL_RATE = 4e-5
"""Learning rate where all weights are tuned: RECAP's (from memory; see --lr)."""

LORA_RATE = 2e-4
"""Learning rate of an adapter, whose weights begin at nothing."""

LOOKS = 15
"""How often a run is looked at where nothing is said; not more often than every ten steps."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CaptionerSettings:
    """What to learn from, from which base, and how.

    Attributes:
        dataset: a folder, or `user/name` on the Hub; `revision` a tag, branch or commit of the latter.
        captions: caption set (or text column that came along) by style, `short` or `long`.
        base: `embedded`, a folder, or `user/name` of an image-text-to-text model; `base_revision` as above.
        prompts: prompts by style, where others are wanted than `recapdata recaption --style` has for such a base.
        examples: only the first so many records that have a caption.
        validation: share of the records that is held out.
        validate_every: steps between two looks at them.
        patience: looks without a better loss after which the run ends; None for never.
        samples: pictures of which captions are written at each look.
        lora: rank of the adapters; None to tune the weights themselves.
        freeze: parts that are left as they are: `vision`.
    """

    dataset: str
    revision: str | None = None
    captions: Mapping[str, str]
    base: str
    base_revision: str | None = None
    prompts: Mapping[str, str]
    examples: int | None = None
    validation: float = 0.1
    validate_every: int
    patience: int | None = None
    samples: int = 3
    lora: int | None = None
    freeze: tuple[str, ...] = ()
    optimization: Optimization
    mixed_precision: MixedPrecision = "auto"
    gradient_checkpointing: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class CaptionerSummary:
    """What a tuning run made.

    Attributes:
        commit: of the dataset; None for a folder. `base_revision`: commit or content hash of the base.
        captions: how many captions of each style were learned from; `held_out`: how many were not.
        records: records with a caption; `left_out`: those without one; `unreadable`: those whose picture cannot be decoded.
        loss_before, loss: on the held-out captions, before and with the weights kept; None where nothing was held out.
        best_step: the step whose weights were kept, of `steps` made.
        first_training_loss, last_training_loss: mean over the first and the last tenth of the steps.
        pushed: URL of the pushed commit.
    """

    out: str
    dataset: str
    commit: str | None
    base: str
    base_revision: str
    prompts: Mapping[str, str]
    captions: Mapping[str, int]
    held_out: Mapping[str, int]
    records: int
    left_out: int
    unreadable: int
    trained_weights: int
    steps: int
    best_step: int
    stopped_early: bool
    loss_before: float | None
    loss: float | None
    first_training_loss: float
    last_training_loss: float
    seconds: float
    pushed: str | None = None

    def text(self) -> str:
        """The closing lines for the terminal."""
        where = f"{self.dataset} at {self.commit[:12]}" if self.commit else self.dataset
        seen = " and ".join(f"{count:,} {style}" for style, count in self.captions.items())
        lines = [
            f"tuned {self.base} on {seen} captions of {where}: {self.steps:,} steps in {self.seconds:.0f} s"
        ]
        if self.loss is not None and self.loss_before is not None:
            held = " and ".join(f"{count:,} {style}" for style, count in self.held_out.items())
            lines.append(
                f"loss on {held} captions held out: {self.loss_before:.4f} before, {self.loss:.4f} at step {self.best_step:,}, "
                "whose weights were kept"
            )
            if self.loss >= self.loss_before:
                lines.append("it never got better than the base: lower --lr, or look at the captions")
        lines.append(
            f"loss learned from: {self.first_training_loss:.4f} at first, {self.last_training_loss:.4f} at last"
        )
        if self.left_out or self.unreadable:
            lines.append(
                f"{self.left_out:,} records left out for want of a caption, {self.unreadable:,} for a picture that cannot be decoded"
            )
        lines.append(f"model and card in {self.out}; {self.pushed or 'not pushed'}")
        lines += [
            f"next: recapdata recaption DIR recap-{style} --captioner {self.out} --style {style}"
            for style in self.captions
        ]
        return "\n".join(lines)


def captioner_settings(
    captions: str,
    prompts: Sequence[str],
    *,
    steps: int,
    learning_rate: float | None,
    validate_every: int | None,
    checkpoint_every: int | None,
    patience: int,
    freeze: str | None,
    batch_size: int,
    accumulate: int,
    course: str,
    warmup: int,
    seed: int,
    **others: Any,
) -> CaptionerSettings:
    """Settings as a user types them, with defaults that depend on one another filled in.

    Args:
        captions: `short=SET,long=SET`, or one of them.
        prompts: `STYLE=TEXT` each.
        others: fields of `CaptionerSettings` as they are.

    Raises:
        OptionError: captions or prompts are not written so.
    """
    sets = dict(
        _pair(part, "--captions", "short=human_short,long=human_long") for part in captions.split(",")
    )
    every = max(10, round(steps / LOOKS)) if validate_every is None else validate_every
    rate = LORA_RATE if others.get("lora") is not None else FULL_RATE
    return CaptionerSettings(
        captions=sets,
        prompts=dict(_pair(part, "--prompt", 'short="caption en"') for part in prompts),
        validate_every=every,
        patience=patience or None,
        freeze=tuple(part.strip() for part in (freeze or "").split(",") if part.strip()),
        optimization=Optimization(
            steps=steps,
            batch_size=batch_size,
            accumulate=accumulate,
            learning_rate=rate if learning_rate is None else learning_rate,
            course=course,  # type: ignore[arg-type]
            warmup=warmup,
            seed=seed,
            checkpoint_every=every if checkpoint_every is None else checkpoint_every,
        ),
        **others,
    )


def _pair(text: str, option: str, example: str) -> tuple[str, str]:
    name, equals, value = (part.strip() for part in text.partition("="))
    if not equals or not name or not value:
        raise OptionError(f"{option} {text}: write STYLE=…, for example {option} {example}")
    return name, value
