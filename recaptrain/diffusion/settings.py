"""Options and summary of a diffusion training run."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from recapdata.display import shell_word, shown_as_text
from recapdata.errors import OptionError
from recapdata.options import above, at_least, between, check_options, nonempty, option
from recaptrain.training.settings import MixedPrecision, Optimization, Optimizer, RateCourse

if TYPE_CHECKING:
    from recapdata.caption_sets.mixture import Mixture

CAPTION_DROPOUT = 0.1
"""Share of empty captions where the mixture does not say: what Stable Diffusion itself was trained with."""

Fit = Literal["crop", "stretch", "pad"]
Crop = Literal["center", "random"]
Save = Literal["last", "best"]
Part = Literal["unet", "text_encoder"]
Prediction = Literal["epsilon", "v_prediction", "sample"]
LoraTargets = Literal["attention", "transformer"]
FULL_RATE, LORA_RATE = 1e-5, 1e-4


@dataclass(frozen=True, slots=True, kw_only=True)
class DiffusionSettings:
    """What to train on, from which base, and how."""

    dataset: str = option(help="user/name on the Hub, or a dataset folder.", identity=False)
    mixture: str = option(
        help="SET=WEIGHT,SET=WEIGHT…, one set's name, or a blend: recap-mix, dalle3.", identity=False
    )
    base: str = option(
        help="Stable Diffusion pipeline (1, 2 or XL): user/name on the Hub, a folder, or embedded.",
        identity=False,
    )
    revision: str | None = option(
        None, help="Tag, branch or commit of the dataset.", shown="main", identity=False
    )
    base_revision: str | None = option(
        None, help="Tag, branch or commit of the base.", shown="main", identity=False
    )
    train: tuple[Part, ...] = option(
        ("unet", "text_encoder"),
        help="What is trained, separated by commas: unet, text_encoder (of SDXL both).",
        check=nonempty,
    )
    lora: int | None = option(
        None, help="Rank of LoRA adapters; 0: all weights.", shown="all weights", off=0, check=at_least(1)
    )
    lora_alpha: float | None = option(
        None, help="The adapters count α / rank times.", shown="the rank", check=above(0)
    )
    lora_targets: LoraTargets = option(
        "attention", help="Layers with adapters: attention, or transformer (feed-forward, too)."
    )
    steps: int = option(1000, help="Optimizer steps.", check=at_least(1))
    batch_size: int = option(16, help="Examples at once on one device.", check=at_least(1))
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
        shown=f"{FULL_RATE:g}, with --lora {LORA_RATE:g}",
        check=above(0),
        identity=False,
    )
    lr_scheduler: RateCourse = option(
        "constant",
        help="constant, cosine or linear, after the warm-up.",
        aliases=("lr_course",),
        identity="course",
    )
    lr_warmup_steps: int = option(
        0,
        help="Steps over which the learning rate rises.",
        check=at_least(0),
        aliases=("warmup",),
        identity="warmup",
    )
    optimizer: Optimizer = option(
        "adamw", help="adamw, adamw-fused, or adamw-8bit (with bitsandbytes, on a GPU)."
    )
    weight_decay: float = option(1e-2, help="Of AdamW.", check=at_least(0), identity=False)
    max_grad_norm: float = option(
        1.0, help="Gradients are scaled down to this norm.", check=above(0), identity=False
    )
    prediction_type: Prediction | None = option(
        None, help="epsilon, v_prediction or sample.", shown="the base's", identity=False
    )
    zero_terminal_snr: bool = option(
        False, help="Let the last noise level be pure noise; kept in the saved scheduler.", negated=True
    )
    offset_noise: float | None = option(
        None, help="Strength of noise that is constant over a picture.", shown="none", off=0, check=above(0)
    )
    snr_gamma: float | None = option(5.0, help="γ of Min-SNR weighting; 0: none.", off=0, check=above(0))
    ema_decay: float | None = option(
        0.9999, help="Decay of the average of weights; 0: none.", off=0, check=between(0, 1)
    )
    caption_dropout: float | None = option(
        None,
        help="Share of empty captions.",
        shown=f"what the mixture says, else {CAPTION_DROPOUT}",
        identity=False,
    )
    caption_length: str | None = option(
        None, help="full, or random: the first n sentences.", shown="full", identity=False
    )
    over_length: str | None = option(
        None,
        help="Captions that the text encoder cannot read whole: truncate, sentences, chunks (up to 225 tokens, in windows) or drop.",
        shown="truncate",
        identity=False,
    )
    weigh: str | None = option(
        None,
        help="Weight of a caption in the loss, from its audit, in the language of recapdata recaption --where: "
        "'1 if contradicted == 0 else 0.3'; of one set, 'recap-long: …'.",
        metavar="EXPR",
    )
    seed: int = option(0, help="Of everything random.", check=at_least(0))
    resolution: int | None = option(
        None,
        help="Side of the pictures in pixels.",
        shown="the base's",
        check=at_least(1),
        identity=False,
    )
    fit: Fit = option("crop", help="How a picture is made square: crop (the middle), stretch or pad.")
    crop: Crop = option(
        "center", help="Where --fit crop cuts: center, or random, one of --crops cuttings of each picture."
    )
    crops: int = option(4, help="Cuttings of each picture with --crop random.", check=at_least(1))
    buckets: bool = option(
        False,
        help="Train each picture at the size nearest in shape, of the square's area, in the place of a square.",
        negated=True,
    )
    bucket_step: int | None = option(
        None,
        help="The sides of buckets are multiples of so many pixels.",
        shown="64, or the least that the base allows for smaller pictures",
        check=at_least(1),
    )
    flip: bool = option(
        False,
        help="Mirror half of the pictures, but none under a caption that speaks of left or right or quotes a text.",
        negated=True,
    )
    mixed_precision: MixedPrecision = option(
        "auto", help="auto, no, fp16 or bf16; auto takes what this machine is good at.", identity=False
    )
    gradient_checkpointing: bool = option(
        False, help="Less memory, about a quarter slower.", negated=True, outcome=False
    )
    latent_cache: Path | None = option(
        None,
        help="Folder of the caches of encoded pictures and captions, which runs share.",
        shown="RECAPDATA_CACHE, else ~/.cache/recapdata",
        outcome=False,
    )
    text_cache: bool = option(
        False,
        help="Keep the text encoders' states of all captions, too: faster, for about 0.1 to 0.7 MB of disk a caption; with --train unet.",
        negated=True,
    )
    validation: float = option(
        0.0,
        help="Share of the records held out, by a hash of their keys, for a loss with the same noise each time.",
        check=lambda share: None if 0 <= share < 1 else "it must be at least 0 and below 1",
    )
    validation_keys: Path | None = option(
        None,
        help="File with the keys of the records held out, one a line, in the place of a share.",
        shown="none",
        identity=False,
    )
    validate_every: int = option(500, help="Steps between validations.", check=at_least(1))
    validate_metrics: tuple[str, ...] = option(
        (),
        help="Metrics of recaptrain evaluate, separated by commas, measured at each validation on the pictures that --samples draws.",
        metavar="METRIC,METRIC…",
        identity=False,
    )
    validate_with: Mapping[str, str] = option(
        {},
        help="Options of recaptrain evaluate for them: reference, detector, reader, clip, features or vlm.",
        metavar="NAME=VALUE,…",
        example="clip=ViT-B-32:openai",
        identity=False,
    )
    best_by: str = option(
        "loss",
        help="What best weights and --patience go by: loss, on the records held out, or a figure of --validate-metrics by its name.",
        metavar="FIGURE",
    )
    patience: int | None = option(
        None,
        help="End after so many validations without a better one; 0: never.",
        shown="never",
        off=0,
        check=at_least(1),
    )
    save: Save | None = option(
        None,
        help="Which weights are saved: last, or best, by --best-by.",
        shown="best with --patience, else last",
        identity=False,
    )
    samples: int = option(
        4,
        help="Pictures drawn at each validation, the first 16 of them as a grid in OUT/training/samples.",
        check=at_least(0),
        outcome=False,
    )
    sample_prompts: Path | None = option(
        None,
        help="File with their prompts, one a line.",
        shown="captions held out",
        outcome=False,
    )
    sample_steps: int = option(
        25, help="Denoising steps of these pictures.", check=at_least(1), outcome=False
    )
    log_with: tuple[str, ...] = option(
        (),
        help="Experiment trackers, separated by commas: tensorboard, wandb and what else Accelerate knows.",
        outcome=False,
    )
    log_captions_every: int | None = option(
        100,
        help="Steps between two of which the captions trained on go into OUT/training/captions.jsonl; 0: never.",
        off=0,
        check=at_least(1),
        outcome=False,
    )
    checkpoint_every: int = option(500, help="Steps between checkpoints.", check=at_least(1), outcome=False)
    keep: int = option(
        2,
        help="Checkpoints to keep, the latest ones; a resumed run falls back on the one before a damaged one.",
        check=at_least(1),
        aliases=("checkpoints_total_limit",),
        outcome=False,
    )
    resume: bool = option(False, help="Go on with the run in OUT from its last checkpoint.", outcome=False)
    push_to_hub: str | None = option(
        None,
        help="Upload pipeline and card there.",
        metavar="USER/MODEL",
        aliases=("push",),
        outcome=False,
    )
    public: bool = option(False, help="A new repository is public.", outcome=False)

    def __post_init__(self) -> None:
        check_options(self)
        if self.lora is None and (self.lora_alpha is not None or self.lora_targets != "attention"):
            given = "lora-alpha" if self.lora_alpha is not None else "lora-targets"
            raise OptionError(f"--{given} is of adapters: add --lora RANK, or leave it out")
        if self.text_cache and "text_encoder" in self.train:
            raise OptionError(
                "--text-cache: the text encoder is trained, so that what it makes of captions changes with every step; add --train unet, or "
                "leave it out"
            )
        _ = self.caption_mixture
        held_out = self.validation or self.validation_keys
        for name, value in (("patience", self.patience), ("save", self.save == "best")):
            if value and not held_out and self.best_by == "loss":
                raise OptionError(
                    f"--{name} {getattr(self, name)}: nothing is held out to validate on; give --validation 0.05"
                )
        self._check_metrics()
        if self.validation and self.validation_keys:
            raise OptionError(
                "--validation and --validation-keys both say what is held out; give one of them"
            )

    def _check_metrics(self) -> None:
        if self.validate_with and not self.validate_metrics:
            raise OptionError("--validate-with is of metrics: add --validate-metrics, or leave it out")
        if self.best_by != "loss" and not self.validate_metrics:
            raise OptionError(
                f"--best-by {self.best_by}: it is a figure of no metric; add --validate-metrics"
            )
        if self.validate_metrics and not self.samples:
            raise OptionError(
                f"--validate-metrics {','.join(self.validate_metrics)}: with --samples 0 no picture is drawn that could be measured"
            )

    @property
    def saves_best(self) -> bool:
        """Whether the weights of the lowest validation loss are what is saved."""
        return self.save == "best" or (self.save is None and self.patience is not None)

    @property
    def caption_mixture(self) -> "Mixture":
        """The mixture to draw captions from, with caption dropout where neither its text nor an option says.

        Raises:
            OptionError: it cannot be read as one.
        """
        from recapdata.caption_sets.mixture import Mixture

        dropout = self.caption_dropout
        if dropout is None and "dropout" not in self.mixture:
            dropout = CAPTION_DROPOUT
        return Mixture.parse(
            self.mixture, dropout=dropout, length=self.caption_length, over_length=self.over_length
        )

    @property
    def optimization(self) -> Optimization:
        """What the training loop takes of them."""
        return Optimization(
            steps=self.steps,
            batch_size=self.batch_size,
            accumulate=self.gradient_accumulation_steps,
            learning_rate=self.lr or (FULL_RATE if self.lora is None else LORA_RATE),
            course=self.lr_scheduler,
            warmup=self.lr_warmup_steps,
            weight_decay=self.weight_decay,
            max_norm=self.max_grad_norm,
            optimizer=self.optimizer,
            ema_decay=self.ema_decay,
            seed=self.seed,
            checkpoint_every=self.checkpoint_every,
            keep=self.keep,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
@shown_as_text
class DiffusionSummary:
    """What a training run made.

    Attributes:
        commit: of the dataset; None for a folder. `base_revision`: commit or content hash of the base.
        examples: records trained on; `left_out`: records without a usable caption or picture, `unreadable` of them for the picture.
        over_length: expected share of drawn captions with more tokens than the text encoder reads.
        first_loss, last_loss: mean over the first and the last tenth of the steps.
        drawn: share of each caption set among the captions trained on, counted; `dropped`: of those that were made empty.
        held_out: records that are not trained on but validated with; `validation_before`, `validation_best`: loss on them before
            training and at `best_step`, None where there are none; `saved_step`: the step whose weights are saved.
        figures_before, figures: those of `validate_metrics` by name, before training and of the weights that are saved.
        lora: rank of the adapters that were trained; None of a whole pipeline.
        pushed: URL of the pushed commit.
    """

    out: str
    dataset: str
    commit: str | None
    mixture: str
    base: str
    base_revision: str
    steps: int
    examples: int
    left_out: int
    unreadable: int
    over_length: float
    first_loss: float
    last_loss: float
    seconds: float
    drawn: Mapping[str, float]
    dropped: float
    held_out: int
    validation_before: float | None
    validation_best: float | None
    best_step: int | None
    saved_step: int
    figures_before: Mapping[str, float]
    figures: Mapping[str, float]
    lora: int | None = None
    pushed: str | None = None

    def text(self) -> str:
        """The closing lines for the terminal."""
        where = f"{self.dataset} at {self.commit[:12]}" if self.commit else self.dataset
        lines = [
            f"trained {self.steps:,} steps from {self.base} on {self.examples:,} records of {where} in {self.seconds:.0f} s",
            f"mixture {self.mixture}; {self.over_length:.1%} of the captions are longer than the text encoder reads",
            f"loss {self.first_loss:.4f} over the first tenth of the steps, {self.last_loss:.4f} over the last",
        ]
        if self.validation_best is not None and self.validation_before is not None:
            lines.append(
                f"loss on {self.held_out:,} records held out: {self.validation_before:.4f} before, {self.validation_best:.4f} at step "
                f"{self.best_step:,}; saved are the weights of step {self.saved_step:,}"
            )
        if self.figures:
            parts = [
                f"{name} {self.figures_before.get(name, math.nan):.4g} before, {value:.4g}"
                for name, value in self.figures.items()
            ]
            lines.append(f"pictures of step {self.saved_step:,}: {'; '.join(parts)}")
        if self.left_out:
            lines.append(
                f"{self.left_out:,} records left out ({self.unreadable:,} unreadable, the others without a usable caption)"
            )
        what = (
            "pipeline"
            if self.lora is None
            else f"LoRA adapters of rank {self.lora} (for diffusers and kohya-style tools)"
        )
        lines.append(f"{what} and card in {self.out}; {self.pushed or 'not pushed'}")
        lines.append(f"next: recaptrain generate {shell_word(str(self.out))} PROMPTS OUT")
        return "\n".join(lines)
