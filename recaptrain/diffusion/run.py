"""Fine-tunes Stable Diffusion on a dataset at one revision with a mixture of its captions.

resolve dataset and base → read captions → encode pictures once → train → save the pipeline with its card → push.
"""

import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from recapdata.console import say
from recapdata.dataset.target import Target, open_dataset
from recapdata.extras import require
from recapdata.options import values
from recapdata.weights import RUN
from recaptrain.diffusion.base import Base, load_base
from recaptrain.diffusion.card import write_card
from recaptrain.diffusion.conditioning import text_encoders
from recaptrain.diffusion.data import Examples, read_examples
from recaptrain.diffusion.encoding import Data, encode_data, picture_side
from recaptrain.diffusion.lora import add_adapters, save_adapters, shrink_weights
from recaptrain.diffusion.loss import Denoising, place
from recaptrain.diffusion.parts import join, whole_parts
from recaptrain.diffusion.schedule import reschedule, training_schedule
from recaptrain.diffusion.settings import DiffusionSettings, DiffusionSummary
from recaptrain.diffusion.summary import summarize
from recaptrain.diffusion.watching import check_metrics, open_validation
from recaptrain.diffusion.weights import CaptionWeights, read_weights
from recaptrain.training.accelerator import frozen_dtype, open_accelerator
from recaptrain.training.audits import CaptionAudit, read_audits
from recaptrain.training.loop import train
from recaptrain.training.model_folder import check_out, finish_run, swapped_in
from recaptrain.training.optimizers import check_optimizer
from recaptrain.training.preparing import Training, prepare
from recaptrain.training.recorders import check_recorders, close_recorders, open_recorders
from recaptrain.training.resuming import begin_run, pinned
from recaptrain.training.run_folder import RunFolder

if TYPE_CHECKING:
    import torch
    from accelerate import Accelerator


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
    check_metrics(settings)
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
    picture_side(settings, base)
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
    audits, weights = _begin(settings, run, target, base, examples, accelerator, recipe)
    data = encode_data(settings, target, base, examples, accelerator)
    if accelerator.is_main_process:
        data.say(settings)
        for line in weights.lines() if weights is not None else ():
            say(f"  {line}")
    modules = _modules(settings, base, list(base.parts(settings.train)), accelerator)
    training = prepare(accelerator, join(modules), settings.optimization)
    task = _task(settings, training, base, data, weights)
    recorders = open_recorders(accelerator, values(settings))
    validation = open_validation(settings, run, training, task, data, recorders)
    train(training, task, run, validation, trackers=recorders)
    close_recorders(accelerator)
    if not (settings.saves_best and validation.best.restore()):
        training.take_average()
        training.gather()
    summary = summarize(settings, target, base, data, run.rows(), out, validation.result())
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
            examples=data.examples,
            audits=audits,
            run=run,
            accelerator=accelerator,
        )

    pushed = finish_run(accelerator, out, save, push=settings.push_to_hub, public=settings.public)
    return replace(summary, pushed=pushed)


def _begin(
    settings: DiffusionSettings,
    run: RunFolder,
    target: Target,
    base: Base,
    examples: Examples,
    accelerator: "Accelerator",
    recipe: Mapping[str, str] | None,
) -> tuple[dict[str, CaptionAudit], CaptionWeights | None]:
    """Begin the run in its folder, or check that it is the one there; the audits of its captions, and their weights."""
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
        resolution=picture_side(settings, base),
        **({"prediction": base.prediction} if settings.prediction_type else {}),  # else the base says it
        **({"weights": weights.digest} if weights is not None else {}),
    )
    return audits, weights


def _task(
    settings: DiffusionSettings, training: Training, base: Base, data: Data, weights: CaptionWeights | None
) -> Denoising:
    """What is learned, as the settings say."""
    return Denoising(
        training=training,
        base=base,
        schedule=training_schedule(base.pipeline.scheduler),
        examples=data.examples,
        batches=data.batches,
        latents=data.latents,
        texts=data.texts,
        snr_gamma=settings.snr_gamma,
        offset=settings.offset_noise or 0.0,
        weights=weights,
    )


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
