"""Fine-tunes Stable Diffusion on a dataset at one revision with a mixture of its captions.

resolve dataset and base → read captions → encode pictures once → train → save the pipeline with its card → push.
"""

import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from recapdata.caption_sets.mixture import Mixture
from recapdata.console import progress, say
from recapdata.dataset.digest import ArrowDigest
from recapdata.dataset.target import Target, open_dataset
from recapdata.errors import InputError, OptionError
from recaptrain.diffusion.base import Base, load_base
from recaptrain.diffusion.latents import FITS, Encoder, Fit, Latents, encode_dataset
from recaptrain.diffusion.loss import Denoising, place
from recaptrain.training.checkpoints import RunFolder
from recaptrain.training.data import Examples, read_examples
from recaptrain.training.loop import (
    MixedPrecision,
    Optimization,
    check_optimization,
    own_precision,
    prepare,
    train,
)

if TYPE_CHECKING:
    from accelerate import Accelerator

CAPTION_DROPOUT = 0.1
"""Share of empty captions where the mixture does not say: what Stable Diffusion itself was trained with."""

RUN = "training"
"""The folder inside OUT that holds checkpoints, log and latents; it is never pushed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DiffusionSettings:
    """What to train on, from which base, and how.

    Attributes:
        dataset: a folder, or `user/name` on the Hub; `revision` a tag, branch or commit of the latter.
        base: `embedded`, a folder, or `user/name` of a Stable Diffusion pipeline; `base_revision` as above.
        parts: which of `unet` and `text_encoder` are trained.
        snr_gamma: γ of Min-SNR-γ weighting; None weighs all noise levels alike.
        resolution: side of the pictures in pixels; the base model's own where None.
        latent_cache: where encoded pictures are kept; in OUT where None.
    """

    dataset: str
    revision: str | None = None
    mixture: Mixture
    base: str
    base_revision: str | None = None
    parts: tuple[str, ...] = ("unet",)
    optimization: Optimization
    snr_gamma: float | None = 5.0
    resolution: int | None = None
    fit: Fit = "crop"
    mixed_precision: MixedPrecision = "auto"
    gradient_checkpointing: bool = False
    latent_cache: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DiffusionSummary:
    """What a training run made.

    Attributes:
        commit: of the dataset; None for a folder. `base_revision`: commit or content hash of the base.
        examples: records trained on; `left_out`: records without a usable caption or picture, `unreadable` of them for the picture.
        over_length: expected share of drawn captions with more tokens than the text encoder reads.
        first_loss, last_loss: mean over the first and the last tenth of the steps.
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
    pushed: str | None = None

    def text(self) -> str:
        """The closing lines for the terminal."""
        where = f"{self.dataset} at {self.commit[:12]}" if self.commit else self.dataset
        lines = [
            f"trained {self.steps:,} steps from {self.base} on {self.examples:,} records of {where} in {self.seconds:.0f} s",
            f"mixture {self.mixture}; {self.over_length:.1%} of the captions are longer than the text encoder reads",
            f"loss {self.first_loss:.4f} over the first tenth of the steps, {self.last_loss:.4f} over the last",
        ]
        if self.left_out:
            lines.append(
                f"{self.left_out:,} records left out ({self.unreadable:,} unreadable, the others without a usable caption)"
            )
        lines.append(f"pipeline and card in {self.out}; {self.pushed or 'not pushed'}")
        lines.append(f"next: recaptrain generate {self.out} PROMPTS OUT")
        return "\n".join(lines)


def parse_mixture(text: str, *, dropout: float | None = None, **changes: Any) -> Mixture:
    """The mixture to train with: as `Mixture.parse`, with caption dropout where neither text nor option says.

    Raises:
        OptionError: it cannot be read as one.
    """
    if dropout is None and "dropout" not in text:
        dropout = CAPTION_DROPOUT
    return Mixture.parse(text, dropout=dropout, **changes)


def train_diffusion(
    settings: DiffusionSettings,
    out: Path,
    *,
    resume: bool = False,
    push: str | None = None,
    public: bool = False,
) -> DiffusionSummary | None:
    """Train and save a pipeline to `out`; the same command with `resume` ends as if it had never been interrupted.

    Under `accelerate launch` every process calls it; all but the main one get None.

    Args:
        push: `user/model` to upload the pipeline to; a new repository is private unless `public`.

    Raises:
        OptionError: settings that cannot be used, or `out` holds a run that these settings did not begin.
        CaptionSetNotFound, InputError: the dataset has not what the mixture draws from.
        ModelNotSupported: the base is no Stable Diffusion pipeline.
        HubError: dataset, base or push target cannot be reached.
    """
    began = time.monotonic()
    _check(settings)
    target = open_dataset(settings.dataset, settings.revision)
    settings.mixture.require(target.set_names(), where=target.name)
    base = load_base(settings.base, settings.base_revision)
    names = list(base.parts(settings.parts))
    examples = read_examples(target, settings.mixture, base)
    accelerator = _accelerator(settings)
    run = RunFolder(out / RUN)
    with accelerator.main_process_first():
        identity = _identity(settings, target, base, examples, accelerator)
        run.begin(identity, resume=resume or not accelerator.is_main_process)
    latents = _latents(settings, target, base, accelerator, out)
    unreadable = latents.unreadable()
    examples = examples.without(unreadable)
    if not len(examples.rows):
        raise InputError(f"{target.name}: none of its pictures can be decoded")
    if settings.gradient_checkpointing:
        base.pipeline.unet.enable_gradient_checkpointing()
        base.pipeline.text_encoder.gradient_checkpointing_enable()
    modules = place(base.pipeline, names, accelerator.device)
    training = prepare(accelerator, modules, settings.optimization)
    task = Denoising(
        training=training,
        pipeline=base.pipeline,
        examples=examples,
        latents=latents,
        snr_gamma=settings.snr_gamma,
    )
    train(training, task, run)
    summary = _summary(settings, target, base, examples, len(unreadable), run.losses(), out)
    summary = replace(summary, seconds=round(time.monotonic() - began, 1))
    return _finish(task, settings, target, base, summary, out, push, public)


def _summary(
    settings: DiffusionSettings,
    target: Target,
    base: Base,
    examples: Examples,
    unreadable: int,
    losses: list[float],
    out: Path,
) -> DiffusionSummary:
    tenth = max(1, len(losses) // 10)
    return DiffusionSummary(
        out=str(out),
        dataset=target.name,
        commit=target.commit,
        mixture=str(settings.mixture),
        base=base.source.name,
        base_revision=base.source.revision,
        steps=settings.optimization.steps,
        examples=len(examples.rows),
        left_out=examples.table.num_rows - len(examples.rows),
        unreadable=unreadable,
        over_length=examples.over_length_share,
        first_loss=sum(losses[:tenth]) / tenth,
        last_loss=sum(losses[-tenth:]) / tenth,
        seconds=0.0,
    )


def _check(settings: DiffusionSettings) -> None:
    """Refuse numbers that make no run."""
    check_optimization(settings.optimization)
    if settings.fit not in FITS:
        raise OptionError(f"--fit {settings.fit}: it must be one of {', '.join(FITS)}")


def _accelerator(settings: DiffusionSettings) -> "Accelerator":
    from accelerate import Accelerator

    precision = own_precision() if settings.mixed_precision == "auto" else settings.mixed_precision
    return Accelerator(
        mixed_precision=precision, gradient_accumulation_steps=settings.optimization.accumulate
    )


def _side(settings: DiffusionSettings, base: Base) -> int:
    """The pictures' side in pixels.

    Raises:
        OptionError: UNet and autoencoder cannot halve it as often as they do.
    """
    side = settings.resolution or base.resolution
    grain = base.factor * 2 ** (len(base.pipeline.unet.config.block_out_channels) - 1)
    if side < grain or side % grain:
        raise OptionError(f"--resolution {side}: for this base it must be a multiple of {grain}")
    return side


def _identity(
    settings: DiffusionSettings, target: Target, base: Base, examples: Examples, accelerator: "Accelerator"
) -> dict[str, Any]:
    """Everything that decides the outcome: a run is gone on with only by one that would have been the same."""
    digest = ArrowDigest()
    for name in examples.table.column_names:
        digest.update(name, examples.table.column(name))
    optimization = asdict(replace(settings.optimization, checkpoint_every=1))
    del optimization["checkpoint_every"]
    if settings.optimization.course == "constant":
        del optimization["steps"]  # more steps are the same run, gone on with
    return {
        "dataset": target.commit or "folder",
        "captions": digest.hexdigest(),
        "mixture": str(settings.mixture),
        "base": base.source.revision,
        "train": sorted(settings.parts),
        **optimization,
        "snr_gamma": settings.snr_gamma,
        "resolution": _side(settings, base),
        "fit": settings.fit,
        "precision": accelerator.mixed_precision,
        "processes": accelerator.num_processes,
    }


def _latents(
    settings: DiffusionSettings, target: Target, base: Base, accelerator: "Accelerator", out: Path
) -> Latents:
    """The dataset's pictures as latents, from the cache where it has them; the main process encodes first."""
    side = _side(settings, base)
    encoder = Encoder(
        vae=base.pipeline.vae.to(accelerator.device).eval(),
        side=side,
        fit=settings.fit,
        batch_size=max(1, min(64, 8 * 512**2 // side**2)),  # eight pictures of Stable Diffusion 1's size
        autocast=accelerator.autocast,
    )
    root = settings.latent_cache or out / RUN / "latents"
    rows = sum(target.rows(shard) for shard in target.shards())
    shown: AbstractContextManager[Callable[..., None]] = nullcontext(lambda count: None)
    if accelerator.is_main_process:
        size = rows * encoder.bytes_per_picture / 2**20
        say(f"latents: {rows:,} pictures at {side}×{side}, {size:,.1f} MiB in {encoder.folder(root)}")
        shown = progress("encoding", total=rows)
    with accelerator.main_process_first(), shown as advance:
        latents = encode_dataset(target, encoder, root, advance=advance)
    base.pipeline.vae.to("cpu")  # its place on the device is the UNet's now
    return latents


def _finish(
    task: Denoising,
    settings: DiffusionSettings,
    target: Target,
    base: Base,
    summary: DiffusionSummary,
    out: Path,
    push: str | None,
    public: bool,
) -> DiffusionSummary | None:
    """Save the averaged weights as a pipeline with its card, and push it."""
    from recaptrain.diffusion.card import write_card
    from recaptrain.training.saving import push_model, save_pipeline

    accelerator = task.training.accelerator
    accelerator.wait_for_everyone()
    if accelerator.is_main_process:
        save_pipeline(task.training, base.pipeline, out)
        facts: Mapping[str, Any] = {
            "settings": settings,
            "target": target,
            "base": base,
            "examples": task.examples,
            "precision": accelerator.mixed_precision,
            "processes": accelerator.num_processes,
            "device": str(accelerator.device),
        }
        write_card(out, summary, name=push or out.resolve().name, **facts)
        if push:
            summary = replace(summary, pushed=push_model(out, push, public=public, ignore=RUN))
    accelerator.wait_for_everyone()
    accelerator.free_memory()
    return summary if accelerator.is_main_process else None
