"""What watches a training: prompts to draw, metrics of the pictures drawn, and the validation that they are for."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from recapdata.errors import InputError, OptionError
from recapdata.extras import require
from recaptrain.diffusion.checkpoint_metrics import FOLDER, CheckpointMetrics, evaluate_settings
from recaptrain.diffusion.data import Examples
from recaptrain.diffusion.encoding import Data, picture_side
from recaptrain.diffusion.loss import Denoising
from recaptrain.diffusion.samples import SAMPLES, Samples, read_prompts
from recaptrain.diffusion.settings import DiffusionSettings
from recaptrain.diffusion.validation import VALIDATION, Validation
from recaptrain.training.best import BestWeights
from recaptrain.training.preparing import Training
from recaptrain.training.recorders import Recorder
from recaptrain.training.run_folder import RunFolder


def check_metrics(settings: DiffusionSettings) -> None:
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


def open_validation(
    settings: DiffusionSettings,
    run: RunFolder,
    training: Training,
    task: Denoising,
    data: Data,
    recorders: Sequence[Recorder],
) -> Validation:
    """The validation of a run, as the settings say.

    Raises:
        InputError: there are metrics, and no prompt to draw pictures of.
    """
    base = task.base
    prompts = _prompts(settings, data.examples, data.held_out)
    samples = Samples(
        accelerator=training.accelerator,
        pipeline=base.pipeline,
        prompts=prompts,
        size=(picture_side(settings, base),) * 2,
        seed=settings.seed,
        steps=settings.sample_steps,
        folder=run.path / SAMPLES,
    )
    return Validation(
        training=training,
        task=task,
        held_out=data.held_out,
        sizes=data.sizes,
        samples=samples if prompts else None,
        metrics=_metrics(settings, run, prompts),
        best_by=settings.best_by,
        every=settings.validate_every,
        captions_every=settings.log_captions_every,
        patience=settings.patience,
        run=run,
        best=BestWeights(
            run=run,
            training=training,
            log=VALIDATION,
            score="score",
            otherwise="go on with --resume --save last",
        ),
        recorders=recorders,
    )
