"""Tunes a captioner on a dataset's human captions, as RECAP did (short and long together) or DALL·E 3 (each from the base).

resolve dataset and base → read captions, hold some out → train, watching the rest → save the best with its card → push.
"""

import itertools
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from recapdata.console import say
from recapdata.dataset.target import Target, open_dataset
from recapdata.errors import InputError
from recapdata.extras import require
from recapdata.weights import RUN
from recaptrain.captioner.base import (
    CaptionerBase,
    add_adapter,
    find_base,
    freeze,
    load_model,
    save_captioner,
    saved_dtype,
    trained_weights,
)
from recaptrain.captioner.card import write_card
from recaptrain.captioner.data import HumanCaptions, Rows, gather_pictures, read_captions
from recaptrain.captioner.degenerate import fault, vocabulary
from recaptrain.captioner.loss import Captioning, caption_encoder, tokenize_captions
from recaptrain.captioner.settings import CaptionerSettings, CaptionerSummary
from recaptrain.captioner.validation import Validation, held_out_validation, last_samples
from recaptrain.training.accelerator import open_accelerator
from recaptrain.training.loop import train
from recaptrain.training.model_folder import check_out, finish_run, first_and_last
from recaptrain.training.preparing import prepare
from recaptrain.training.resuming import begin_run, pinned
from recaptrain.training.run_folder import RunFolder

if TYPE_CHECKING:
    from accelerate import Accelerator


def tune_captioners(settings: CaptionerSettings, out: Path) -> dict[str, CaptionerSummary]:
    """One captioner for all styles, or with `apart` one for each, from the same base, into `out`/STYLE; see `tune_captioner`.

    A captioner that an earlier call has finished is not made again.

    Returns:
        A summary by style, by `captioner` for one of them all; nothing on processes that are not the main one.
    """
    if not settings.apart:
        summary = tune_captioner(settings, out)
        return {"captioner": summary} if summary else {}
    summaries: dict[str, CaptionerSummary] = {}
    for style, name in settings.captions.items():
        alone = replace(
            settings,
            apart=False,
            captions={style: name},
            prompt={each: text for each, text in settings.prompt.items() if each == style},
            resume=settings.resume and (out / style / RUN).is_dir(),
            push_to_hub=f"{settings.push_to_hub}-{style}" if settings.push_to_hub else None,
        )
        summary = tune_captioner(alone, out / style)
        if summary:
            summaries[style] = summary
    return summaries


def tune_captioner(settings: CaptionerSettings, out: Path) -> CaptionerSummary | None:
    """Tune and save a captioner to `out`; the same settings with `resume` end as if it had never been interrupted.

    Under `accelerate launch` every process calls it; all but the main one get None.

    Raises:
        OptionError: settings that cannot be used, or `out` holds a run that these settings did not begin.
        CaptionSetNotFound, InputError: the dataset has not what is to be learned.
        CaptionerNotFound, ModelNotSupported: there is no such base, or it is of a kind that cannot be tuned.
        HubError: dataset, base or push target cannot be reached.
    """
    began = time.monotonic()
    check_out(out)
    require("accelerate", *(["peft"] if settings.lora is not None else []), extra="train")
    run = RunFolder(out / RUN)
    named = pinned(settings, run)
    target = open_dataset(named.dataset, named.revision)
    captions = read_captions(
        target, settings.captions, examples=settings.examples, validation=settings.validation
    )
    base = find_base(named.base, named.base_revision, list(settings.captions), dict(settings.prompt))
    accelerator = _open_accelerator(settings)
    with run.held(accelerator):
        summary = _tune(settings, out, run, target, captions, base, accelerator, began)
    return summary if accelerator.is_main_process else None


def _tune(
    settings: CaptionerSettings,
    out: Path,
    run: RunFolder,
    target: Target,
    captions: HumanCaptions,
    base: CaptionerBase,
    accelerator: "Accelerator",
    began: float,
) -> CaptionerSummary:
    """Everything that writes to `out`; the summary, on every process."""
    model = _model(settings, base, accelerator)
    settings = settings.fitting(model.num_parameters())
    dtype, encoder = saved_dtype(model), caption_encoder(base, model)
    model = _trainable(settings, model)
    weights = trained_weights(model)
    begin_run(
        run,
        target,
        captions.table,
        base.source,
        settings,
        accelerator,
        facts={},
        prompts=dict(base.prompts),
        freeze=sorted(settings.freeze),
        **{"held out": len(captions.held_out), "validate every": settings.validation_interval},
    )
    with accelerator.main_process_first():
        pictures = gather_pictures(
            target, captions, run.path / "pictures.arrow", shown=accelerator.is_main_process
        )
    captions = captions.without(pictures.undecodable())
    _check_captions(captions, target, settings)
    training = prepare(accelerator, model, settings.optimization)
    batches = tokenize_captions(captions, pictures, encoder)
    task = Captioning(training=training, batches=batches, pools=captions.pools(held_out=False))
    validation = held_out_validation(training, batches, settings, run, out)
    model.train()
    train(training, task, run, validation)
    validation.best.restore()
    summary = _summary(settings, target, base, captions, validation, run, out)
    samples = last_samples(run, summary.best_step)
    summary = replace(
        summary,
        trained_weights=weights,
        seconds=round(time.monotonic() - began, 1),
        **_judged(samples, captions),
    )

    def save() -> None:
        tuned = accelerator.unwrap_model(training.model, keep_fp32_wrapper=False)
        save_captioner(tuned, base, out, dtype)
        write_card(
            out,
            summary,
            name=settings.push_to_hub or out.resolve().name,
            settings=settings,
            target=target,
            base=base,
            samples=samples,
            accelerator=accelerator,
        )

    pushed = finish_run(accelerator, out, save, push=settings.push_to_hub, public=settings.public)
    return replace(summary, pushed=pushed)


def _open_accelerator(settings: CaptionerSettings) -> "Accelerator":
    from accelerate import DistributedDataParallelKwargs

    # Several towers have layers whose output nothing uses; they get no gradient.
    unused = DistributedDataParallelKwargs(find_unused_parameters=True)
    return open_accelerator(
        settings.mixed_precision, accumulate=settings.optimization.accumulate, kwargs_handlers=[unused]
    )


def _model(settings: CaptionerSettings, base: CaptionerBase, accelerator: "Accelerator") -> Any:
    """The base's weights on the device they are trained on."""
    halves = {"bf16": "bfloat16", "fp16": "float16"}
    on_gpu = accelerator.device.type == "cuda"
    half = halves.get(accelerator.mixed_precision) if settings.lora is not None and on_gpu else None
    model = load_model(base, half=half)
    if accelerator.device.type == "cpu" and accelerator.mixed_precision == "bf16":
        model.set_attn_implementation(
            "eager"
        )  # with bf16 autocast twice as fast on a CPU as the fused attention
    return model.to(accelerator.device)


def _trainable(settings: CaptionerSettings, model: Any) -> Any:
    """The model with what is not trained frozen."""
    freeze(model, settings.freeze)
    if settings.lora is not None:
        model = add_adapter(model, settings.lora, seed=settings.optimization.seed)
    if settings.gradient_checkpointing:
        model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
    return model


def _check_captions(captions: HumanCaptions, target: Target, settings: CaptionerSettings) -> None:
    """Check that every style has something to learn from, and say where nothing is held out."""
    for style, rows in captions.pools(held_out=False).items():
        if not len(rows):
            raise InputError(
                f"{target.name}: caption set {settings.captions[style]!r} has no {style} caption to learn from "
                "(of a record whose picture can be decoded)"
            )
    if settings.validation and not captions.held_out:
        say(
            f"{captions.table.num_rows} captioned records are too few to hold some out: all are learned from, without a "
            "validation loss or an early stop"
        )


def _summary(
    settings: CaptionerSettings,
    target: Target,
    base: CaptionerBase,
    captions: HumanCaptions,
    validation: Validation,
    run: RunFolder,
    out: Path,
) -> CaptionerSummary:
    result = validation.result()
    first, last = first_and_last(run.losses())
    return CaptionerSummary(
        out=str(out),
        dataset=target.name,
        commit=target.commit,
        base=base.source.name,
        base_revision=base.source.revision,
        prompts=dict(base.prompts),
        captions=_counts(captions.pools(held_out=False)),
        held_out=_counts(captions.pools(held_out=True)),
        records=captions.table.num_rows,
        left_out=captions.lacking,
        unreadable=len(captions.unusable),
        trained_weights=0,
        steps=result.steps,
        best_step=result.best_step,
        stopped_early=result.steps < settings.optimization.steps,
        loss_before=result.before,
        loss=result.best,
        first_training_loss=first,
        last_training_loss=last,
        seconds=0.0,
    )


def _judged(samples: list[dict[str, Any]], captions: HumanCaptions) -> dict[str, Any]:
    """What a summary says of the sample captions."""
    texts = [captions.table.column(style).drop_null().to_pylist() for style in captions.styles]
    known = vocabulary(itertools.chain.from_iterable(texts))
    faults = {text: wrong for row in samples if (wrong := fault(text := row["caption"], known))}
    example = next((f"{text[:80]!r} ({wrong})" for text, wrong in faults.items()), None)
    count = sum(row["caption"] in faults for row in samples)
    return {"samples": len(samples), "degenerate": count, "degenerate_example": example}


def _counts(pools: Mapping[str, Rows]) -> dict[str, int]:
    return {style: len(rows) for style, rows in pools.items()}
