"""Fine-tunes Stable Diffusion on a dataset at one revision with a mixture of its captions.

resolve dataset and base → read captions → encode pictures once → train → save the pipeline with its card → push.
"""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from recapdata.console import progress, say
from recapdata.dataset.target import Target, open_dataset
from recapdata.errors import InputError, OptionError
from recapdata.extras import require
from recapdata.options import values
from recapdata.weights import RUN
from recaptrain.caches import caches_root
from recaptrain.diffusion.base import Base, load_base
from recaptrain.diffusion.buckets import Batches, Size, assign, bucket_sizes, report
from recaptrain.diffusion.card import write_card
from recaptrain.diffusion.checkpoint_metrics import FOLDER, CheckpointMetrics, evaluate_settings
from recaptrain.diffusion.conditioning import text_encoders
from recaptrain.diffusion.data import Examples, read_examples
from recaptrain.diffusion.held_out import held_out_rows
from recaptrain.diffusion.latents import BATCH_PIXELS, Encoder, Latents, encode_dataset, fittings
from recaptrain.diffusion.lora import add_adapters, save_adapters, shrink_weights
from recaptrain.diffusion.loss import Denoising, place
from recaptrain.diffusion.parts import join, whole_parts
from recaptrain.diffusion.samples import SAMPLES, Samples, read_prompts
from recaptrain.diffusion.schedule import reschedule, training_schedule
from recaptrain.diffusion.settings import DiffusionSettings, DiffusionSummary
from recaptrain.diffusion.text_states import TextEncoding, TextStates, encode_captions
from recaptrain.diffusion.validation import Validation, ValidationResult
from recaptrain.diffusion.weights import read_weights
from recaptrain.training.accelerator import frozen_dtype, open_accelerator
from recaptrain.training.audits import read_audits
from recaptrain.training.loop import train
from recaptrain.training.model_folder import check_out, finish_run, first_and_last, swapped_in
from recaptrain.training.optimizers import check_optimizer
from recaptrain.training.preparing import Training, prepare
from recaptrain.training.recorders import check_recorders, close_recorders, open_recorders
from recaptrain.training.resuming import begin_run, pinned
from recaptrain.training.run_folder import RunFolder

if TYPE_CHECKING:
    import torch
    from accelerate import Accelerator


NAMED = 5
"""Pictures that are named of those that are left out."""


def train_diffusion(
    settings: DiffusionSettings, out: Path, *, recipe: Mapping[str, str] | None = None
) -> DiffusionSummary | None:
    """Train and save a pipeline to `out`; the same settings with `resume` end as if it had never been interrupted.

    Under `accelerate launch` every process calls it; all but the main one get None.

    Args:
        recipe: name and hash of the recipe that the settings came from, to be noted.

    Raises:
        OptionError: settings that cannot be used, or `out` holds a run that these settings did not begin.
        CaptionSetNotFound, InputError: the dataset has not what the mixture draws from.
        ModelNotSupported: the base is no Stable Diffusion pipeline.
        HubError: dataset, base or push target cannot be reached.
    """
    began = time.monotonic()
    check_out(out)
    require("accelerate", "diffusers", extra="train")
    check_recorders(settings.log_with)
    _check_metrics(settings)
    run = RunFolder(out / RUN)
    named = pinned(settings, run)
    target = open_dataset(named.dataset, named.revision)
    mixture = settings.caption_mixture
    mixture.require(target.set_names(), where=target.name)
    base = reschedule(
        load_base(named.base, named.base_revision),
        prediction=settings.prediction_type,
        zero_terminal_snr=settings.zero_terminal_snr,
    )
    base.parts(settings.train)
    _side(settings, base)
    examples = read_examples(target, mixture, base)
    accelerator = open_accelerator(
        settings.mixed_precision,
        accumulate=settings.optimization.accumulate,
        shards=True,
        log_with=list(settings.log_with) or None,
        project_dir=str(run.path),
    )
    check_optimizer(settings.optimizer, accelerator.device.type)
    with run.held(accelerator):
        summary = _train(settings, out, run, target, base, examples, accelerator, began, recipe)
    return summary if accelerator.is_main_process else None


def _train(
    settings: DiffusionSettings,
    out: Path,
    run: RunFolder,
    target: Target,
    base: Base,
    examples: Examples,
    accelerator: "Accelerator",
    began: float,
    recipe: Mapping[str, str] | None,
) -> DiffusionSummary:
    """Everything that writes to `out`; the summary, on every process."""
    audits = read_audits(target, examples.mixture.sets)
    weights = read_weights(target, examples.mixture, settings.weigh) if settings.weigh else None
    begin_run(
        run,
        target,
        examples.table,
        base.source,
        settings,
        accelerator,
        facts={"recipe": recipe, "audits": {name: each.digest for name, each in audits.items()}},
        mixture=str(examples.mixture),
        train=sorted(settings.train),
        resolution=_side(settings, base),
        **({"prediction": base.prediction} if settings.prediction_type else {}),  # else the base says it
        **({"weights": weights.digest} if weights is not None else {}),
    )
    sizes = _sizes(settings, base, examples)
    latents = _latents(settings, target, base, examples, sizes, accelerator)
    unreadable = latents.missing()
    unreadable = unreadable[np.isin(unreadable, examples.rows)]
    examples = examples.without(unreadable)
    if not len(examples.rows):
        raise InputError(f"{target.name}: none of its pictures can be decoded")
    texts = _texts(settings, target, base, examples, accelerator) if settings.text_cache else None
    held_out = held_out_rows(examples, settings.validation, settings.validation_keys)
    prompts = _prompts(settings, examples, held_out)
    examples = examples.without(held_out)
    batches = Batches.of(examples.rows, sizes, settings.batch_size)
    if accelerator.is_main_process:
        _say_pictures(settings, examples, batches, sizes, unreadable, held_out)
        for line in weights.lines() if weights is not None else ():
            say(f"  {line}")
    modules = _modules(settings, base, list(base.parts(settings.train)), accelerator)
    training = prepare(accelerator, join(modules), settings.optimization)
    task = Denoising(
        training=training,
        base=base,
        schedule=training_schedule(base.pipeline.scheduler),
        examples=examples,
        batches=batches,
        latents=latents,
        texts=texts,
        snr_gamma=settings.snr_gamma,
        offset=settings.offset_noise or 0.0,
        weights=weights,
    )
    samples = Samples(
        accelerator=accelerator,
        pipeline=base.pipeline,
        prompts=prompts,
        size=(_side(settings, base),) * 2,
        seed=settings.seed,
        steps=settings.sample_steps,
        folder=run.path / SAMPLES,
    )
    recorders = open_recorders(accelerator, values(settings))
    validation = Validation(
        training=training,
        task=task,
        held_out=held_out,
        sizes=sizes,
        samples=samples if prompts else None,
        metrics=_metrics(settings, run, prompts),
        best_by=settings.best_by,
        every=settings.validate_every,
        captions_every=settings.log_captions_every,
        patience=settings.patience,
        run=run,
        recorders=recorders,
    )
    train(training, task, run, validation, trackers=recorders)
    close_recorders(accelerator)
    if not (settings.saves_best and validation.restore_best()):
        training.take_average()
        training.gather()
    summary = _summary(
        settings, target, base, examples, len(unreadable), run.rows(), out, len(held_out), validation.result()
    )
    summary = replace(summary, seconds=round(time.monotonic() - began, 1))

    def save() -> None:
        _save_model(settings, training, base, out)
        write_card(
            out,
            summary,
            name=settings.push_to_hub or out.resolve().name,
            settings=settings,
            target=target,
            base=base,
            examples=examples,
            audits=audits,
            run=run,
            accelerator=accelerator,
        )

    pushed = finish_run(accelerator, out, save, push=settings.push_to_hub, public=settings.public)
    return replace(summary, pushed=pushed)


def _summary(
    settings: DiffusionSettings,
    target: Target,
    base: Base,
    examples: Examples,
    unreadable: int,
    log: Sequence[Mapping[str, float]],
    out: Path,
    held_out: int,
    result: ValidationResult,
) -> DiffusionSummary:
    first, last = first_and_last([row["loss"] for row in log])
    saved = result.best_step if settings.saves_best and result.best_step else result.steps
    shares = {name: [row.get(f"drawn/{name}", 0.0) for row in log] for name in examples.mixture.sets}
    return DiffusionSummary(
        out=str(out),
        dataset=target.name,
        commit=target.commit,
        mixture=str(settings.caption_mixture),
        base=base.source.name,
        base_revision=base.source.revision,
        steps=result.steps,
        examples=len(examples.rows),
        left_out=examples.table.num_rows - len(examples.rows) - held_out,
        unreadable=unreadable,
        over_length=examples.over_length_share,
        first_loss=first,
        last_loss=last,
        seconds=0.0,
        drawn={name: math.fsum(each) / len(each) for name, each in shares.items()},
        dropped=math.fsum(row.get("dropped", 0.0) for row in log) / len(log),
        held_out=held_out,
        validation_before=result.before,
        validation_best=result.best,
        best_step=result.best_step,
        saved_step=(saved := result.best_step if settings.saves_best and result.best_step else result.steps),
        figures_before=result.figures.get(0, {}),
        figures=result.figures.get(saved, {}),
        lora=settings.lora,
    )


def _prompts(settings: DiffusionSettings, examples: Examples, held_out: NDArray[np.int64]) -> list[str]:
    """What is drawn at validations: the prompts of the file, or the first captions held out, of the sets in turn."""
    if not settings.samples:
        return []
    if settings.sample_prompts is not None:
        return read_prompts(settings.sample_prompts)[: settings.samples]
    sets, prompts = examples.mixture.sets, []
    for number, row in enumerate(held_out.tolist()):
        texts = [examples.table.column(name)[row].as_py() for name in sets]
        text = texts[number % len(sets)] or next((each for each in texts if each), None)
        prompts += [text] if text else []
    return prompts[: settings.samples]


def _check_metrics(settings: DiffusionSettings) -> None:
    """Check, before anything is loaded, that there will be pictures to measure, and that metrics can be named so."""
    if not settings.validate_metrics:
        return
    if not (settings.validation or settings.validation_keys or settings.sample_prompts):
        raise OptionError(
            f"--validate-metrics {','.join(settings.validate_metrics)}: there is nothing to draw pictures of; give --validation 0.05, for "
            "held-out captions, or --sample-prompts FILE"
        )
    require("torch_fidelity", extra="evaluate")
    evaluate_settings(settings.validate_metrics, settings.validate_with)


def _metrics(settings: DiffusionSettings, run: RunFolder, prompts: Sequence[str]) -> CheckpointMetrics | None:
    """What is measured of the pictures at validations."""
    if not settings.validate_metrics:
        return None
    if not prompts:
        raise InputError(
            f"--validate-metrics {','.join(settings.validate_metrics)}: no record is held out whose caption could be drawn; "
            "hold out more, or give --sample-prompts FILE"
        )
    folder = run.path / FOLDER
    measured = evaluate_settings(
        settings.validate_metrics, settings.validate_with, seed=settings.seed, out=str(folder)
    )
    return CheckpointMetrics(settings=measured, folder=folder)


def _side(settings: DiffusionSettings, base: Base) -> int:
    """The pictures' side in pixels.

    Raises:
        OptionError: UNet and autoencoder cannot halve it as often as they do.
    """
    side, grain = settings.resolution or base.resolution, _grain(base)
    if side < grain or side % grain:
        raise OptionError(f"--resolution {side}: for this base it must be a multiple of {grain}")
    return side


def _grain(base: Base) -> int:
    """What the sides of a picture must be multiples of: UNet and autoencoder halve them so often."""
    return int(base.factor * 2 ** (len(base.pipeline.unet.config.block_out_channels) - 1))


def _sizes(settings: DiffusionSettings, base: Base, examples: Examples) -> list[Size]:
    """The size that each picture is trained at.

    Raises:
        OptionError: --bucket-step is none of the base's.
    """
    side, grain = _side(settings, base), _grain(base)
    if not settings.buckets:
        return [(side, side)] * len(examples.shapes)
    step = settings.bucket_step or (math.lcm(64, grain) if side >= 512 else grain)
    if step % grain or step > side:
        raise OptionError(
            f"--bucket-step {step}: for this base it must be a multiple of {grain}, up to {side}"
        )
    own = assign(examples.shapes[examples.rows], bucket_sizes(side, step), least=settings.batch_size)
    sizes = [(side, side)] * len(examples.shapes)
    for row, size in zip(examples.rows.tolist(), own, strict=True):
        sizes[row] = size
    return sizes


def _say_pictures(
    settings: DiffusionSettings,
    examples: Examples,
    batches: Batches,
    sizes: Sequence[Size],
    unreadable: NDArray[np.int64],
    held_out: NDArray[np.int64],
) -> None:
    """What becomes of the dataset's pictures, before the first step."""
    for line in report(batches, examples.shapes, sizes, cropped=settings.fit == "crop"):
        say(line)
    keys = examples.table.column("key")
    if len(unreadable):
        named = ", ".join(keys[row].as_py()[:12] for row in unreadable[:NAMED].tolist())
        more = f" and {len(unreadable) - NAMED:,} more" if len(unreadable) > NAMED else ""
        say(f"  left out, since they cannot be decoded: {len(unreadable):,} ({named}{more})")
    if len(held_out):
        say(f"  held out for validation: {len(held_out):,}")
    if without := examples.table.num_rows - len(examples.rows) - len(unreadable) - len(held_out):
        say(f"  left out, without a caption that the mixture may use: {without:,}")


def _latents(
    settings: DiffusionSettings,
    target: Target,
    base: Base,
    examples: Examples,
    sizes: Sequence[Size],
    accelerator: "Accelerator",
) -> Latents:
    """The pictures that are trained on as latents, from the cache where it has them; the main process encodes first."""
    encoder = Encoder(
        vae=base.pipeline.vae.to(accelerator.device).eval(),
        model=base.source.name,
        batch_pixels=min(
            BATCH_PIXELS, settings.batch_size * _side(settings, base) ** 2
        ),  # a step needs more memory
        autocast=accelerator.autocast,
        precision=accelerator.mixed_precision,
    )
    root = settings.latent_cache or caches_root()
    ways = fittings(
        settings.fit, crops=settings.crops if settings.crop == "random" else 0, flip=settings.flip
    )
    wanted: list[Size | None] = [None] * len(sizes)
    for row in examples.rows.tolist():
        wanted[row] = sizes[row]
    shown: AbstractContextManager[Callable[..., None]] = nullcontext(lambda count: None)
    if accelerator.is_main_process:
        size = len(ways) * sum(encoder.bytes_of(each) for each in wanted if each is not None) / 2**20
        times = f" {len(ways)} times" * (len(ways) > 1)
        say(f"latents: {len(examples.rows):,} pictures{times}, {size:,.1f} MiB in {root}")
        shown = progress("encoding", total=len(wanted))
    with accelerator.main_process_first(), shown as advance:
        latents = encode_dataset(target, encoder, root, wanted, ways, advance=advance)
    base.pipeline.vae.to("cpu")  # its place on the device is the UNet's now
    return latents


def _texts(
    settings: DiffusionSettings, target: Target, base: Base, examples: Examples, accelerator: "Accelerator"
) -> TextStates:
    """The states of all captions that may be drawn, from the cache where it has them; the main process encodes first."""
    halves = {"bf16": "bfloat16", "fp16": "float16"}
    encoding = TextEncoding(
        pipeline=base.pipeline,
        model=base.source.name,
        most=base.windows(examples.mixture.over_length),
        dtype=halves.get(accelerator.mixed_precision, "float32"),
        autocast=accelerator.autocast,
    )
    for encoder in text_encoders(base.pipeline).values():
        encoder.to(accelerator.device).eval()
    root = settings.latent_cache or caches_root()
    captions = dict.fromkeys(examples.drawable())
    shown: AbstractContextManager[Callable[..., None]] = nullcontext(lambda count: None)
    if accelerator.is_main_process:
        size = encoding.bytes_of(len(captions)) / 2**20
        say(
            f"text states: {len(captions):,} texts, {size:,.1f} MiB{' or more' * (encoding.most > 1)} in {root}"
        )
        shown = progress("encoding captions", total=len(captions))
    with accelerator.main_process_first(), shown as advance:
        return encode_captions(encoding, captions, root, target.name, advance=advance)


def _modules(
    settings: DiffusionSettings, base: Base, names: list[str], accelerator: "Accelerator"
) -> "dict[str, torch.nn.Module]":
    """The modules to train, in place, with adapters where those are trained; by their names in the pipeline."""
    pipeline = base.pipeline
    trained_on = "cpu" if accelerator.is_fsdp2 else None  # each process takes its shards from there
    modules: dict[str, torch.nn.Module] = place(pipeline, names, accelerator.device, trained_on=trained_on)
    half = {} if settings.lora else base.stored_in_half(names)
    if half and accelerator.is_main_process:
        parts = ", ".join(f"{name} in {dtype.lower()}" for name, dtype in half.items())
        say(
            f"caution: the base is stored in half precision ({parts}), so what training in full starts from is rounded; "
            "a base in float32, where there is one, is the better start"
        )
    if settings.gradient_checkpointing:
        pipeline.unet.enable_gradient_checkpointing()
        for encoder in text_encoders(pipeline).values():
            encoder.activation_checkpointing_enable()
    if settings.lora is not None:
        if (
            dtype := frozen_dtype(accelerator)
        ) is not None:  # the base is not saved, and adapters are made in float32
            for module in (pipeline.unet, *text_encoders(pipeline).values()):
                shrink_weights(module, dtype)
        add_adapters(
            modules,
            rank=settings.lora,
            alpha=settings.lora_alpha,
            targets=settings.lora_targets,
            seed=settings.seed,
        )
    return modules


def _save_model(settings: DiffusionSettings, training: Training, base: Base, out: Path) -> None:
    """Write the whole pipeline, the trained parts with the weights that they have now; or the adapters alone."""
    parts = whole_parts(training)
    for name, part in parts.items():
        setattr(base.pipeline, name, part.eval())
    base.pipeline.to("cpu")
    with swapped_in(out) as partial:
        if settings.lora is None:
            base.pipeline.save_pretrained(partial)
        else:
            save_adapters(
                base.pipeline,
                parts,
                base.source,
                partial,
                rank=settings.lora,
                alpha=settings.lora_alpha,
                targets=settings.lora_targets,
            )
