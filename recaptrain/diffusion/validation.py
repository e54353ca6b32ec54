"""Validation of a diffusion model: fixed-noise loss on held-out records, pictures of fixed prompts, the best weights, early stop.

A diffusion loss depends on the noise and the noise levels drawn far more than on the model; with the same ones each time,
losses of different steps can be compared. All that is known of earlier steps is in logs that are rewound with the run.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from recapdata.errors import OptionError
from recapdata.suggestions import did_you_mean
from recaptrain.diffusion.checkpoint_metrics import CheckpointMetrics, MeasuredFigure
from recaptrain.diffusion.loss import Denoising, MicroBatch
from recaptrain.diffusion.parts import gathered
from recaptrain.diffusion.samples import Samples
from recaptrain.training.best import BestWeights
from recaptrain.training.preparing import Training
from recaptrain.training.recorders import Recorder
from recaptrain.training.run_folder import RunFolder
from recaptrain.training.trackers import say_beside_bar

VALIDATION, CAPTIONS = "validation", "captions"
"""Names of the logs."""
FIGURE = "figure/"
"""Stands before the names of figures in the log."""
MOST_CAPTIONS = 16
"""Captions that are logged of one step."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ValidationResult:
    """Losses on the held-out records.

    Attributes:
        before, best: mean over the sets by their shares in the mixture, before training and where it was lowest since; None
            where nothing was held out.
        best_step: by the loss, or the figure that weights are judged by; None where there is neither.
        steps: steps made.
        figures: of the pictures drawn, by step and name.
    """

    before: float | None
    best: float | None
    best_step: int | None
    steps: int
    figures: Mapping[int, Mapping[str, float]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Validation:
    """A `Callback`: looks at the averaged weights every so many steps.

    Attributes:
        held_out: rows that are not trained on; empty for none.
        sizes: latent batches are of one size: the size of each row of the dataset's table.
        every: steps between two validations.
        captions_every: steps between two at which the captions trained on are logged; None for never.
        metrics: measured on the pictures; None for none.
        best_by: `loss`, or the name of a figure of the metrics.
        patience: validations without a better one after which the run ends; None for never.
    """

    training: Training
    task: Denoising
    held_out: NDArray[np.int64]
    sizes: Sequence[tuple[int, int]]
    samples: Samples | None
    metrics: CheckpointMetrics | None
    best_by: str
    every: int
    captions_every: int | None
    patience: int | None
    run: RunFolder
    best: BestWeights
    recorders: Sequence[Recorder] = ()

    # -- as a Callback ---------------------------------------------------------------------------------------------------

    def begin(self, step: int) -> bool:
        """Validate the base; in a resumed run, check whether it was over."""
        if not step:
            self._measure(0)
        return self.best.exhausted(self.patience)

    def after_step(self, step: int) -> bool:
        """Log the captions of the step, and validate every so many steps and at the last."""
        self._log_captions(step)
        if step % self.every and step != self.training.optimization.steps:
            return False
        self._measure(step)
        return self.best.exhausted(self.patience)

    def after_checkpoint(self) -> None:
        """Delete weights that are the best of no checkpoint that is kept."""
        if self.training.accelerator.is_main_process:
            self.best.prune()

    # -- the outcome ------------------------------------------------------------------------------------------------------

    def result(self) -> ValidationResult:
        """The outcome of the validations so far."""
        rows, steps = self.run.rows(VALIDATION), len(self.run.rows())
        losses = {row["step"]: row.get("loss") for row in rows}
        best = self.best.step()
        return ValidationResult(
            before=losses.get(0),
            best=None if best is None else losses[best],
            best_step=best,
            steps=steps,
            figures={
                row["step"]: {
                    name.removeprefix(FIGURE): value for name, value in row.items() if name.startswith(FIGURE)
                }
                for row in rows
            },
        )

    # -- validating -------------------------------------------------------------------------------------------------------

    def _measure(self, step: int) -> None:
        import torch

        accelerator = self.training.accelerator
        with self.training.averaged(), torch.no_grad():
            losses = self._loss_by_set() if len(self.held_out) else {}
            self.training.gather()
            if accelerator.is_main_process:
                figures = self._draw(step)
                if losses or figures:
                    self._note(step, losses, figures)
        accelerator.wait_for_everyone()

    def _draw(self, step: int) -> Mapping[str, MeasuredFigure]:
        """Draw the pictures of a step and measure them."""
        if self.samples is None:
            return {}
        with gathered(self.task.base.pipeline, self.training):
            images = self.samples.draw()
        path = self.samples.write(step, images)
        for recorder in self.recorders:
            recorder.picture("samples", path, step)
        if self.metrics is None:
            return {}
        figures = self.metrics.measure(step, images, self.samples.prompts)
        if self.best_by not in ("loss", *figures) and not step:
            raise OptionError(
                f"--best-by {self.best_by}: the pictures of the base have no such figure{did_you_mean(self.best_by, figures)}; they have "
                f"{', '.join(figures) or 'none'}"
            )
        return figures

    def _loss_by_set(self) -> dict[str, float]:
        """The mean loss under the captions of each set; every process takes its share of the batches."""
        losses = {}
        for name in self.task.examples.mixture.sets:
            column = self.task.examples.table.column(name).take(pa.array(self.held_out)).to_pylist()
            texts = {row: text for row, text in zip(self.held_out.tolist(), column, strict=True) if text}
            if texts:
                losses[name] = self._loss(texts)
        return losses

    def _loss(self, texts: Mapping[int, str]) -> float:
        """Mean loss of some rows under these captions, each batch with noise and noise levels of its own that stay."""
        import torch

        accelerator = self.training.accelerator
        count, own = accelerator.num_processes, accelerator.process_index
        batches = self._batches(list(texts))
        total = torch.zeros((), device=accelerator.device)
        # All processes make as many passes: one that has run out of batches repeats the first for nothing.
        for turn in range(-(-len(batches) // count)):
            number = turn * count + own
            rows = batches[number if number < len(batches) else 0]
            inputs = self.task.fixed(np.array(rows), [texts[row] for row in rows])
            loss, _ = self.task.loss(inputs, self._seed(number))
            total += loss * (len(rows) if number < len(batches) else 0)
        return float(accelerator.reduce(total, reduction="sum")) / len(texts)

    def _batches(self, rows: Sequence[int]) -> list[list[int]]:
        by_size: dict[tuple[int, int], list[int]] = {}
        for row in rows:
            by_size.setdefault(self.sizes[row], []).append(row)
        most = self.training.optimization.batch_size
        return [
            group[start : start + most] for group in by_size.values() for start in range(0, len(group), most)
        ]

    def _seed(self, number: int) -> int:
        """A seed that no training step has."""
        return (self.training.optimization.seed * 1_000_003 + 2**62 + number) % 2**63

    def _note(self, step: int, losses: Mapping[str, float], figures: Mapping[str, MeasuredFigure]) -> None:
        """Log a validation, and keep the weights that are the best so far."""
        shown = {f"{FIGURE}{name}": each.value for name, each in figures.items()}
        loss = None
        if losses:
            shares = self.task.examples.mixture.shares
            weights = math.fsum(shares[name] for name in losses)
            loss = math.fsum(shares[name] * value for name, value in losses.items()) / weights
            shown = {"loss": loss, **{f"loss/{name}": value for name, value in losses.items()}, **shown}
        score = loss if self.best_by == "loss" else _score(figures.get(self.best_by))
        better = self.best.judge(step, score)
        self.run.log({"step": step, **shown, "score": score}, VALIDATION)
        for recorder in self.recorders:
            recorder.log({"step": step, **{f"validation/{name}": value for name, value in shown.items()}})
        parts = [f"{name} {each.value:.4g}" for name, each in figures.items()]
        if loss is not None:
            by_set = ", ".join(f"{name} {value:.4f}" for name, value in losses.items())
            parts.insert(0, f"validation loss {loss:.4f} ({by_set})")
        remark = ", before training" if not step else ", the best so far" if better else ""
        say_beside_bar(f"step {step:,}: {', '.join(parts)}{remark}")

    # -- captions ---------------------------------------------------------------------------------------------------------

    def _log_captions(self, step: int) -> None:
        """Write what this process has just been trained on to the log and to trackers."""
        seen: list[MicroBatch] = list(self.task.seen)
        self.task.seen.clear()
        if self.captions_every is None or not self.training.accelerator.is_main_process:
            return
        if step != 1 and step % self.captions_every:
            return
        keys = self.task.examples.table.column("key")
        pairs = [
            (row, drawn) for each in seen for row, drawn in zip(each.rows.tolist(), each.drawn, strict=True)
        ]
        rows = [
            {"step": step, "key": keys[row].as_py(), "set": drawn.set_name, "caption": drawn.caption or ""}
            for row, drawn in pairs[:MOST_CAPTIONS]
        ]
        for row in rows:
            self.run.log(row, CAPTIONS)
        for recorder in self.recorders:
            recorder.text(
                "captions",
                "\n\n".join(f"{row['set']}: {row['caption'] or '(dropped)'}" for row in rows),
                step,
            )


def _score(figure: MeasuredFigure | None) -> float | None:
    """What less of is better; more of a figure that has no better way."""
    if figure is None:
        return None
    return figure.value if figure.better == "lower" else -figure.value
