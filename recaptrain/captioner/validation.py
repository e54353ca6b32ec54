"""Validation of a captioner: loss on held-out captions, sample captions, the best weights so far, early stopping.

All that it knows of earlier steps is in logs that are rewound with the run, so that a resumed run decides the same.
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from recapdata.atomic import write_atomic
from recapdata.captioners.prompts import max_tokens
from recapdata.captioners.text_generation import Start
from recapdata.console import say
from recapdata.models.transformers import quiet
from recaptrain.captioner.data import Rows
from recaptrain.captioner.loss import CaptionBatches, answer_loss, on_device
from recaptrain.captioner.settings import CaptionerSettings
from recaptrain.training.best import BestWeights
from recaptrain.training.preparing import Training
from recaptrain.training.run_folder import RunFolder
from recaptrain.training.trackers import say_beside_bar

VALIDATION = "validation"
SAMPLES = "samples"


@dataclass(frozen=True, slots=True, kw_only=True)
class ValidationResult:
    """Losses on the held-out captions.

    Attributes:
        before, best: mean over the styles of the mean loss of a token, before tuning and where it was lowest since; None
            where nothing was held out.
        best_step: the step whose weights are kept; the last one where nothing was held out.
        steps: steps made.
    """

    before: float | None
    best: float | None
    best_step: int
    steps: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Validation:
    """A `Callback` over held-out captions.

    Attributes:
        held_out: rows by style.
        shown: rows of the pictures of which sample captions are written.
        every: steps between two validations.
        patience: validations without a better loss after which the run ends; None for never.
        samples: where the sample captions are written for a person, all of them again each time.
    """

    training: Training
    batches: CaptionBatches
    held_out: Mapping[str, Rows]
    shown: Rows
    every: int
    patience: int | None
    run: RunFolder
    samples: Path
    best: BestWeights

    # -- as a Callback ---------------------------------------------------------------------------------------------------

    def begin(self, step: int) -> bool:
        """Validate the base; in a resumed run, check whether it was over."""
        if not step:
            self._measure(0)
        self._publish_samples()
        if len(self.shown) and self.training.accelerator.is_main_process:
            say(f"captions of {len(self.shown)} pictures at each validation: {self.samples}")
        return self.best.exhausted(self.patience)

    def after_step(self, step: int) -> bool:
        """Validate every so many steps, and at the last."""
        if step % self.every and step != self.training.optimization.steps:
            return False
        self._measure(step)
        return self.best.exhausted(self.patience)

    def after_checkpoint(self) -> None:
        """Delete weights that are the best of no checkpoint that is kept."""
        if self.training.accelerator.is_main_process:
            self.best.prune()

    # -- the outcome --------------------------------------------------------------------------------------------------

    def result(self) -> ValidationResult:
        """The outcome of the validations so far."""
        losses, steps, best = self.best.scores(), len(self.run.rows()), self.best.step()
        return ValidationResult(
            before=losses.get(0),
            best=None if best is None else losses[best],
            best_step=steps if best is None else best,
            steps=steps,
        )

    # -- validating ------------------------------------------------------------------------------------------------------

    def _measure(self, step: int) -> None:
        import torch

        accelerator, model = self.training.accelerator, self._plain()
        model.eval()
        with torch.no_grad(), accelerator.autocast():
            losses = {style: self._loss(style, rows) for style, rows in self.held_out.items()}
            if accelerator.is_main_process:
                self._write_samples(step)
        model.train()
        if losses and accelerator.is_main_process:
            self._note(step, losses)
        accelerator.wait_for_everyone()

    def _loss(self, style: str, rows: Rows) -> float:
        """Mean loss of a token of the held-out captions of a style; every process takes its share of the batches."""
        import torch

        accelerator, model = self.training.accelerator, self._plain()
        size = self.training.optimization.batch_size
        starts = range(0, len(rows), size)[accelerator.process_index :: accelerator.num_processes]
        total = torch.zeros((), device=accelerator.device)
        for start in starts:
            total += answer_loss(model, model, self.batches.batch(style, rows[start : start + size]))
        return float(accelerator.reduce(total, reduction="sum")) / self.batches.tokens(style, rows)

    def _note(self, step: int, losses: Mapping[str, float]) -> None:
        loss = math.fsum(losses.values()) / len(losses)
        better = self.best.judge(step, loss)
        self.run.log({"step": step, "loss": loss, **losses}, VALIDATION)
        parts = ", ".join(f"{style} {value:.4f}" for style, value in losses.items())
        remark = ", before tuning" if not step else ", the best so far" if better else ""
        say_beside_bar(f"step {step:,}: validation loss {loss:.4f} ({parts}){remark}")

    def _plain(self) -> Any:
        return self.training.accelerator.unwrap_model(self.training.model)

    # -- samples ------------------------------------------------------------------------------------------------------

    def _write_samples(self, step: int) -> None:
        captions = self.batches.captions
        for style in captions.styles if len(self.shown) else ():
            texts = self._caption(style)
            human = captions.texts(style, self.shown)
            for key, own, text in zip(captions.keys(self.shown), human, texts, strict=True):
                self.run.log(
                    {"step": step, "style": style, "key": key, "caption": text, "human": own}, SAMPLES
                )
        self._publish_samples()

    def _publish_samples(self) -> None:
        if self.training.accelerator.is_main_process and len(self.shown):
            lines = [json.dumps(row, ensure_ascii=False) + "\n" for row in self.run.rows(SAMPLES)]
            write_atomic(self.samples, "".join(lines).encode())

    def _caption(self, style: str) -> list[str]:
        """Greedy captions of the shown pictures, as `recapdata recaption` would write them."""
        model, start = self._plain(), Start()
        with quiet():
            tokens = model.generate(
                **on_device(model, self.batches.prompts(style, self.shown)),
                do_sample=False,
                num_beams=1,
                max_new_tokens=max_tokens(style),
                logits_processor=[start],
            )
        first = 0 if self.batches.encoder.kind == "plain" else start.position or 0
        texts: Sequence[str] = self.batches.encoder.processor.tokenizer.batch_decode(
            tokens[:, first:].tolist(), skip_special_tokens=True
        )
        return [text.strip() for text in texts]


def held_out_validation(
    training: Training, batches: CaptionBatches, settings: CaptionerSettings, run: RunFolder, out: Path
) -> Validation:
    """The validation of a run on its held-out captions; samples are of learned pictures where none are held out."""
    held_out = {style: rows for style, rows in batches.captions.pools(held_out=True).items() if len(rows)}
    shown = batches.captions.pools(held_out=bool(held_out)).values()
    return Validation(
        training=training,
        batches=batches,
        held_out=held_out,
        shown=np.unique(np.concatenate(list(shown)))[: settings.samples],
        every=settings.validation_interval,
        patience=settings.patience,
        run=run,
        samples=out / "samples.jsonl",
        best=BestWeights(
            run=run,
            training=training,
            log=VALIDATION,
            score="loss",
            otherwise="train again in another folder",
        ),
    )


def last_samples(run: RunFolder, step: int) -> list[dict[str, Any]]:
    """The sample captions of the last validation at or before a step."""
    rows = [row for row in run.rows(SAMPLES) if row["step"] <= step]
    latest = max((row["step"] for row in rows), default=0)
    return [row for row in rows if row["step"] == latest]
