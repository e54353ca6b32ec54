"""The training loop of every model, on one process or several, whose outcome does not depend on interruptions.

What is learned is a `Task`. Everything random is a function of (seed, step, micro-batch, process): the rows, their captions,
noise, and what dropout layers draw. So a checkpoint holds weights, optimizer and average alone.
"""

import math
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from recapdata.errors import OptionError
from recaptrain.training.checkpoints import load_checkpoint, save_checkpoint
from recaptrain.training.preparing import Training
from recaptrain.training.run_folder import RunFolder
from recaptrain.training.sharding import whole
from recaptrain.training.trackers import Tracker, progress_bar

if TYPE_CHECKING:
    import torch

RECENT, RISEN = 20, 1.5
"""The loss has been rising where the second half of so many steps lies so many times above the first."""


class Task(Protocol):
    """What is learned: the inputs of a step, and the loss on them."""

    def inputs(self, step: int) -> list[Any]:
        """What each of a step's `accumulate` micro-batches of this process takes: a function of the step alone.

        It is called one step ahead on another thread, so it may read, decode and tokenize, but not touch the model; and only
        it may tokenize, since a tokenizer serves one thread.
        """

    def loss(self, inputs: Any, draw: int) -> "tuple[torch.Tensor, Mapping[str, torch.Tensor | float]]":
        """The loss of one micro-batch, and figures to log; means that weigh like the other processes' and micro-batches'.

        Args:
            draw: seed of whatever is random in it.
        """


class Callback(Protocol):
    """What is called while a model learns: validation, early stopping."""

    def begin(self, step: int) -> bool:
        """Called before the step after `step`, 0 or where a checkpoint was; True where there is nothing left to learn."""

    def after_step(self, step: int) -> bool:
        """Called after each step; True ends the run."""

    def after_checkpoint(self) -> None:
        """Called when a checkpoint is whole: what belongs to earlier ones may go."""


def shuffled(rows: NDArray[np.int64], seed: int, step: int, size: int) -> tuple[int, NDArray[np.int64]]:
    """The epoch and rows of a step: each row once, in an order of the epoch's own, before any comes again.

    A function of its arguments alone. An epoch's last rows that fill no batch are left to another epoch's order; where
    there are fewer rows than a batch holds, rows repeat within it.
    """
    total = len(rows)
    if total < size:
        return step, np.random.default_rng((seed, step)).choice(rows, size)
    epoch, batch = divmod(step, total // size)
    order = np.random.default_rng((seed, epoch)).permutation(total)
    return epoch, rows[order[batch * size : (batch + 1) * size]]


def train(
    training: Training,
    task: Task,
    folder: RunFolder,
    callback: Callback | None = None,
    *,
    trackers: Sequence[Tracker] = (),
    title: str = "training",
) -> None:
    """Make the steps that are still to make, logging each, with a checkpoint now and then and at the end.

    Args:
        title: what progress is shown under.

    Raises:
        OptionError: loss or gradients are no longer finite; no checkpoint is made of that.
    """
    settings, accelerator = training.optimization, training.accelerator
    first = load_checkpoint(folder, training)
    if accelerator.is_main_process:
        folder.rewind_log(first)
    accelerator.wait_for_everyone()
    if callback is not None and callback.begin(first):
        return
    images = settings.batch_size * settings.accumulate * accelerator.num_processes
    shown = (
        progress_bar(first, settings.steps, title=title, images=images)
        if accelerator.is_main_process
        else nullcontext()
    )
    with shown as bar, _ahead(task, first, settings.steps) as inputs_of:
        for step in range(first, settings.steps):
            began = time.monotonic()
            figures, norm = _step(training, task, inputs_of(step), step)
            if not (math.isfinite(figures["loss"]) and math.isfinite(norm)):
                raise OptionError(_diverged(training, folder, step, figures["loss"]))
            if bar is not None:
                rate, seconds = settings.rate_at(step), round(time.monotonic() - began, 4)
                row = {"step": step + 1, "loss": figures["loss"], "lr": rate, "seconds": seconds, **figures}
                folder.log(row)
                for tracker in (bar, *trackers):
                    tracker.log(row)
            over = callback is not None and callback.after_step(step + 1)
            if over or (step + 1) % settings.checkpoint_every == 0 or step + 1 == settings.steps:
                save_checkpoint(folder, training, step + 1, keep=settings.keep)
                if callback is not None:
                    callback.after_checkpoint()
            if over:
                return


@contextmanager
def _ahead(task: Task, first: int, steps: int) -> Iterator[Callable[[int], list[Any]]]:
    """Yield a function for the inputs of each step in order; a thread prepares the next step's while the model works."""
    with ThreadPoolExecutor(1) as thread:
        coming: list[Future[list[Any]]] = [thread.submit(task.inputs, first)] if first < steps else []

        def inputs_of(step: int) -> list[Any]:
            now = coming.pop().result()
            if step + 1 < steps:
                coming.append(thread.submit(task.inputs, step + 1))
            return now

        yield inputs_of


def _diverged(training: Training, folder: RunFolder, step: int, loss: float) -> str:
    """What went wrong in a step whose loss or gradients are not finite, as far as the log tells, and the way back."""
    settings, precision = training.optimization, training.accelerator.mixed_precision
    recent = [row["loss"] for row in folder.rows()[-RECENT:]]
    half = len(recent) // 2
    rising = half > 0 and sum(recent[-half:]) > RISEN * sum(recent[:half])
    if rising:
        cause = f"the loss had been rising (from {recent[0]:.4g} to {recent[-1]:.4g}): --lr {settings.learning_rate:g} is too high"
    elif precision == "fp16":
        cause = "in fp16 numbers above 65,504 overflow: use --mixed-precision bf16 or no"
    else:
        cause = (
            f"the loss had not been rising, so it is this step's examples or a --lr ({settings.learning_rate:g}) that is much "
            "too high"
        )
    what = (
        f"loss of step {step + 1} is {loss}"
        if not math.isfinite(loss)
        else f"gradients of step {step + 1} are not finite"
    )
    kept = folder.steps()
    back = (
        f"{folder.path / f'step-{kept[-1]}'} is from before: --resume goes on from there"
        if kept
        else "there is no checkpoint yet"
    )
    return f"the {what}; {cause}. {back}; with another --lr or precision start in a new folder"


def _step(training: Training, task: Task, inputs: list[Any], step: int) -> tuple[dict[str, float], float]:
    """One optimizer step over its micro-batches.

    Returns:
        The mean loss and figures over all of them and all processes; the norm of the gradients, 0 of a step that the gradient
        scaler of fp16 left out.
    """
    import torch

    settings, accelerator = training.optimization, training.accelerator
    for group in training.optimizer.param_groups:
        group["lr"] = settings.rate_at(step)
    share = settings.batch_size * accelerator.num_processes
    norm: Any = 0.0
    totals: dict[str, torch.Tensor] = defaultdict(lambda: torch.zeros((), device=accelerator.device))
    for micro, each in enumerate(inputs):
        start = micro * share + accelerator.process_index * settings.batch_size
        draw = ((settings.seed * 1_000_003 + step) * 10_007 + start) % 2**63
        with accelerator.accumulate(training.model):
            loss, figures = task.loss(each, draw)
            accelerator.backward(loss)
            if accelerator.sync_gradients:
                norm = whole(accelerator.clip_grad_norm_(training.parameters, settings.max_norm))
            training.optimizer.step()
            training.optimizer.zero_grad()
        for name, value in {"loss": loss, **figures}.items():
            totals[name] += torch.as_tensor(value).detach().float() / settings.accumulate
    training.step_average()
    together = accelerator.reduce(torch.stack(list(totals.values())), reduction="mean")
    means = dict(zip(totals, together.tolist(), strict=True))
    return means, 0.0 if norm is None or accelerator.optimizer_step_was_skipped else float(norm)
