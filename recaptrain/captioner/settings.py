"""Options and summary of a tuning run."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

from recapdata.display import shown_as_text
from recapdata.options import above, at_least, check_options, nonempty, option
from recaptrain.training.settings import MixedPrecision, Optimization, RateCourse

FULL_RATE = 4e-5
"""Learning rate where all weights are tuned: RECAP's (from memory; see --lr)."""

LORA_RATE = 2e-4
"""Learning rate of an adapter, whose weights begin at nothing."""

SMALL_RATE, SMALL = 1e-3, 10_000_000
"""Learning rate of a base with fewer weights than that, such as the embedded one: at 4e-5 it learns to write nothing."""

STYLES = ("short", "long")

LOOKS = 15
"""Validations of a run where `validate_every` is not given; not more than one every ten steps."""


def _styles(by_style: Mapping[str, str]) -> str | None:
    """A check: what `recapdata recaption --style` knows, and nothing else."""
    return None if by_style.keys() <= set(STYLES) else f"STYLE is {' or '.join(STYLES)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class CaptionerSettings:
    """What to learn from, from which base, and how."""

    dataset: str = option(help="user/name on the Hub, or a dataset folder.", identity=False)
    captions: Mapping[str, str] = option(
        help="Human captions to learn: short=SET,long=SET, or one of them; SET is a caption set or a text column.",
        example="short=human_short,long=human_long",
        check=lambda sets: nonempty(sets) or _styles(sets),
        identity=False,
    )
    base: str = option(
        help="Image-text-to-text model: user/name on the Hub, a folder, or embedded (the drawn world's, which "
        "has seen no descriptive caption).",
        identity=False,
    )
    revision: str | None = option(
        None, help="Tag, branch or commit of the dataset.", shown="main", identity=False
    )
    base_revision: str | None = option(
        None, help="Tag, branch or commit of the base.", shown="main", identity=False
    )
    apart: bool = option(
        False,
        help="Tune each style from the base, into OUT/short and OUT/long (DALL·E 3).",
        identity=False,
    )
    prompt: Mapping[str, str] = option(
        {},
        metavar="STYLE=TEXT",
        help="Prompt of a style.",
        shown="what recapdata recaption --style asks such a base",
        example='short="caption en"',
        repeated=True,
        check=_styles,
        identity=False,
    )
    examples: int | None = option(
        None,
        help="Only the first so many records with a caption.",
        shown="all",
        check=at_least(1),
        identity=False,
    )
    validation: float = option(
        0.1,
        help="Share of the records held out, by a hash of their keys; none below 20.",
        check=lambda share: None if 0 <= share < 1 else "it must be at least 0 and below 1",
        identity=False,
    )
    lora: int | None = option(
        None,
        metavar="RANK",
        help="Tune adapters of this rank on the language model, merged at the end.",
        shown="all weights",
        check=at_least(1),
    )
    freeze: tuple[Literal["vision"], ...] = option(
        (), help="What stays as it is: vision (the tower that sees)."
    )
    steps: int = option(300, help="Most optimizer steps.", check=at_least(1))
    batch_size: int = option(8, help="Captions at once on one device.", check=at_least(1))
    gradient_accumulation_steps: int = option(
        1,
        help="Batches that make one step.",
        check=at_least(1),
        aliases=("accumulate",),
        identity="accumulate",
    )
    lr: float | None = option(
        None,
        help="Learning rate.",
        shown="4e-5, with --lora 2e-4, of a base below 10 million weights (embedded) 1e-3",
        check=above(0),
        identity=False,
    )
    lr_scheduler: RateCourse = option(
        "cosine",
        help="constant, cosine or linear, after the warm-up.",
        aliases=("lr_course",),
        identity="course",
    )
    lr_warmup_steps: int = option(
        10,
        help="Steps over which the learning rate rises.",
        check=at_least(0),
        aliases=("warmup",),
        identity="warmup",
    )
    validate_every: int | None = option(
        None,
        help="Steps between looks at the held-out captions.",
        shown="a fifteenth of the steps, at least 10",
        check=at_least(1),
        identity=False,
    )
    patience: int | None = option(
        5, help="End after so many looks without a better loss; 0: never.", off=0, check=at_least(1)
    )
    samples: int = option(
        3,
        help="Held-out pictures whose captions go into OUT/samples.jsonl at each look.",
        check=at_least(0),
    )
    seed: int = option(0, help="Of everything random.", check=at_least(0))
    mixed_precision: MixedPrecision = option(
        "auto", help="auto, no, fp16 or bf16; auto takes what this machine is good at.", identity=False
    )
    gradient_checkpointing: bool = option(False, help="Less memory, about a quarter slower.", outcome=False)
    checkpoint_every: int | None = option(
        None, help="Steps between checkpoints.", shown="at each look", check=at_least(1), outcome=False
    )
    keep: int = option(
        1,
        help="Checkpoints to keep, the latest ones.",
        check=at_least(1),
        aliases=("checkpoints_total_limit",),
        outcome=False,
    )
    resume: bool = option(False, help="Go on with the run in OUT from its last checkpoint.", outcome=False)
    push_to_hub: str | None = option(
        None,
        metavar="USER/MODEL",
        aliases=("push",),
        help="Upload model and card there (with --apart: …-short, …-long).",
        outcome=False,
    )
    public: bool = option(False, help="A new repository is public.", outcome=False)

    def __post_init__(self) -> None:
        check_options(self)

    @property
    def validation_interval(self) -> int:
        """Steps between two validations."""
        if self.validate_every is not None:
            return self.validate_every
        return max(10, round(self.steps / LOOKS))

    def fitting(self, weights: int) -> "CaptionerSettings":
        """The settings with the learning rate that suits a base of so many weights, where none is given."""
        return replace(self, lr=SMALL_RATE) if self.lr is None and weights < SMALL else self

    @property
    def optimization(self) -> Optimization:
        """What the training loop takes of them."""
        rate = LORA_RATE if self.lora is not None else FULL_RATE
        return Optimization(
            steps=self.steps,
            batch_size=self.batch_size,
            accumulate=self.gradient_accumulation_steps,
            learning_rate=rate if self.lr is None else self.lr,
            course=self.lr_scheduler,
            warmup=self.lr_warmup_steps,
            ema_decay=None,
            seed=self.seed,
            checkpoint_every=self.checkpoint_every or self.validation_interval,
            keep=self.keep,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
@shown_as_text
class CaptionerSummary:
    """What a tuning run made.

    Attributes:
        commit: of the dataset; None for a folder. `base_revision`: commit or content hash of the base.
        captions: how many captions of each style were learned from; `held_out`: how many were not.
        records: records with a caption; `left_out`: those without one; `unreadable`: those whose picture cannot be decoded.
        loss_before, loss: on the held-out captions, before and with the weights kept; None where nothing was held out.
        best_step: the step whose weights were kept, of `steps` made.
        first_training_loss, last_training_loss: mean over the first and the last tenth of the steps.
        samples: sample captions at the step that was kept; `degenerate`: those that repeat themselves, are empty, or have hardly a word
            of the human ones, with an example and what is wrong with it.
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
    samples: int = 0
    degenerate: int = 0
    degenerate_example: str | None = None
    pushed: str | None = None

    @property
    def learned(self) -> bool:
        """Whether most of its sample captions are captions; so where there are none."""
        return 2 * self.degenerate <= self.samples

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
        if not self.learned:
            lines.append(
                f"warning: {self.degenerate} of {self.samples} sample captions are no captions: {self.degenerate_example}\n"
                f"it has not learned to write them; try more --steps (now {self.steps:,}), another --lr, or more captions, and see "
                f"{self.out}/samples.jsonl"
            )
            return "\n".join(lines)
        lines += [
            f"next: recapdata recaption DIR recap-{style} --captioner {self.out} --style {style}"
            for style in self.captions
        ]
        return "\n".join(lines)
