"""Fine-tunes Stable Diffusion on a dataset at one revision with a mixture of its captions.

resolve dataset and base → read captions → encode pictures once → train → save the pipeline with its card → push.
"""

import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from recapdata.console import progress, say
from recapdata.dataset.target import Target, open_dataset
from recapdata.errors import InputError, OptionError
from recaptrain.diffusion.base import Base, load_base
from recaptrain.diffusion.card import write_card
from recaptrain.diffusion.data import Examples, read_examples
from recaptrain.diffusion.latents import Encoder, Latents, encode_dataset
from recaptrain.diffusion.loss import Denoising, place
from recaptrain.diffusion.settings import DiffusionSettings, DiffusionSummary
from recaptrain.training.accelerator import open_accelerator
from recaptrain.training.checkpoints import RunFolder, begin_run
from recaptrain.training.loop import Training, prepare, train
from recaptrain.training.model_folder import RUN, check_out, finish_run, first_and_last, swapped_in

if TYPE_CHECKING:
    from accelerate import Accelerator


def train_diffusion(settings: DiffusionSettings, out: Path) -> DiffusionSummary | None:
    """Train and save a pipeline to `out`; the same settings with `resume` end as if it had never been interrupted.

    Under `accelerate launch` every process calls it; all but the main one get None.

    Raises:
        OptionError: settings that cannot be used, or `out` holds a run that these settings did not begin.
        CaptionSetNotFound, InputError: the dataset has not what the mixture draws from.
        ModelNotSupported: the base is no Stable Diffusion pipeline.
        HubError: dataset, base or push target cannot be reached.
    """
    began = time.monotonic()
    check_out(out, settings.base)
    target = open_dataset(settings.dataset, settings.revision)
    mixture = settings.caption_mixture
    mixture.require(target.set_names(), where=target.name)
    base = load_base(settings.base, settings.base_revision)
    names = list(base.parts(settings.train))
    examples = read_examples(target, mixture, base)
    accelerator = open_accelerator(settings.mixed_precision, accumulate=settings.optimization.accumulate)
    run = RunFolder(out / RUN)
    begin_run(
        run,
        target,
        examples.table,
        base.source,
        settings,
        accelerator,
        mixture=str(mixture),
        train=sorted(settings.train),
        resolution=_side(settings, base),
    )
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

    def save() -> None:
        _save_pipeline(training, base, out)
        write_card(
            out,
            summary,
            name=settings.push_to_hub or out.resolve().name,
            settings=settings,
            target=target,
            base=base,
            examples=examples,
            accelerator=accelerator,
        )

    pushed = finish_run(accelerator, out, save, push=settings.push_to_hub, public=settings.public)
    return replace(summary, pushed=pushed) if accelerator.is_main_process else None


def _summary(
    settings: DiffusionSettings,
    target: Target,
    base: Base,
    examples: Examples,
    unreadable: int,
    losses: list[float],
    out: Path,
) -> DiffusionSummary:
    first, last = first_and_last(losses)
    return DiffusionSummary(
        out=str(out),
        dataset=target.name,
        commit=target.commit,
        mixture=str(settings.caption_mixture),
        base=base.source.name,
        base_revision=base.source.revision,
        steps=settings.optimization.steps,
        examples=len(examples.rows),
        left_out=examples.table.num_rows - len(examples.rows),
        unreadable=unreadable,
        over_length=examples.over_length_share,
        first_loss=first,
        last_loss=last,
        seconds=0.0,
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


def _save_pipeline(training: Training, base: Base, out: Path) -> None:
    """Write the whole pipeline, the trained parts with their averaged weights."""
    training.take_average()
    for name, module in training.trained.items():
        plain = training.accelerator.unwrap_model(module, keep_fp32_wrapper=False)
        setattr(base.pipeline, name, plain.eval())
    base.pipeline.to("cpu")
    with swapped_in(out) as partial:
        base.pipeline.save_pretrained(partial)
