"""The training loop of every model, on one process or several, that ends the same however often it was interrupted.

What is learned is a `Task`. Everything random is a function of (seed, step, micro-batch, process): the rows, their captions, noise,
and what dropout layers draw. So a checkpoint holds weights, optimizer and average alone.
"""

import math
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol

from recapdata.errors import OptionError
from recaptrain.training.checkpoints import RunFolder, leave_out_frozen

if TYPE_CHECKING:
    import torch
    from accelerate import Accelerator
    from diffusers.training_utils import EMAModel

RateCourse = Literal["constant", "cosine"]
MixedPrecision = Literal["auto", "no", "fp16", "bf16"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Optimization:
    """How the weights are moved.

    Attributes:
        batch_size: examples of one forward pass on one process; a step uses batch_size × accumulate × processes.
        ema_decay: of the average of weights that is saved; None saves the weights themselves.
    """

    steps: int
    batch_size: int
    accumulate: int = 1
    learning_rate: float
    course: RateCourse = "constant"
    warmup: int = 0
    weight_decay: float = 1e-2
    max_norm: float = 1.0
    ema_decay: float | None = None
    seed: int = 0
    checkpoint_every: int = 500

    def rate_at(self, step: int) -> float:
        """Learning rate of a step: linear warm-up, then constant or half a cosine down to 0."""
        if step < self.warmup:
            return self.learning_rate * (step + 1) / self.warmup
        if self.course == "constant":
            return self.learning_rate
        done = (step - self.warmup) / max(1, self.steps - self.warmup)
        return self.learning_rate * 0.5 * (1.0 + math.cos(math.pi * done))


def own_precision() -> str:
    """The mixed precision this machine is good at: bf16 where its processor computes in it, else fp16 on a GPU, else none."""
    import torch

    if torch.cuda.is_available():
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp16"
    if torch.backends.mps.is_available():
        return "no"
    return "bf16" if torch.cpu._is_avx512_bf16_supported() else "no"


def check_optimization(optimization: Optimization) -> None:
    """Refuse numbers that make no run.

    Raises:
        OptionError: one of them is too small.
    """
    for option, value in (
        ("--steps", optimization.steps),
        ("--batch-size", optimization.batch_size),
        ("--accumulate", optimization.accumulate),
        ("--checkpoint-every", optimization.checkpoint_every),
    ):
        if value < 1:
            raise OptionError(f"{option} {value}: it must be at least 1")
    if not optimization.learning_rate > 0:
        raise OptionError(f"--lr {optimization.learning_rate}: it must be above 0")


class Task(Protocol):
    """What is learned: the inputs of a step, and the loss on them."""

    def inputs(self, step: int) -> list[Any]:
        """What each of a step's `accumulate` micro-batches of this process takes: a function of the step alone.

        It is called one step ahead on another thread, so it may read, decode and tokenize, but not touch the model; and only
        it may tokenize, since a tokenizer serves one thread.
        """

    def loss(self, inputs: Any, draw: int) -> "torch.Tensor":
        """The loss of one micro-batch, a mean that weighs like the other processes' and micro-batches'.

        Args:
            draw: seed of whatever is random in it.
        """


class Watch(Protocol):
    """Looks at a model while it learns."""

    def begin(self, step: int) -> bool:
        """Called before the step after `step`, 0 or where a checkpoint was; True where there is nothing left to learn."""

    def look(self, step: int) -> bool:
        """Called after each step; True ends the run."""

    def kept(self) -> None:
        """Called when a checkpoint is whole: what belongs to earlier ones may go."""


@dataclass(slots=True, kw_only=True)
class Training:
    """A run under way: what is trained, and the state that its steps move."""

    accelerator: "Accelerator"
    trained: "dict[str, torch.nn.Module]"
    optimizer: Any
    average: "EMAModel | None"
    optimization: Optimization

    @property
    def parameters(self) -> "list[torch.nn.Parameter]":
        """The trained parameters, in a fixed order."""
        return _trained(self.trained.values())


def prepare(
    accelerator: "Accelerator", modules: "dict[str, torch.nn.Module]", optimization: Optimization
) -> Training:
    """Hand modules on their device to Accelerate, and register what a checkpoint must hold; frozen weights need not be in it."""
    import torch

    parameters = _trained(modules.values())
    optimizer = torch.optim.AdamW(
        parameters, lr=optimization.learning_rate, weight_decay=optimization.weight_decay
    )
    average = None
    if optimization.ema_decay is not None:
        from diffusers.training_utils import EMAModel

        average = EMAModel(parameters, decay=optimization.ema_decay, foreach=True)
        average.to(accelerator.device)
        accelerator.register_for_checkpointing(average)
    leave_out_frozen(accelerator)
    *prepared, optimizer = accelerator.prepare(*modules.values(), optimizer)
    return Training(
        accelerator=accelerator,
        trained=dict(zip(modules, prepared, strict=True)),
        optimizer=optimizer,
        average=average,
        optimization=optimization,
    )


def _trained(modules: "Iterable[torch.nn.Module]") -> "list[torch.nn.Parameter]":
    return [each for module in modules for each in module.parameters() if each.requires_grad]


def train(training: Training, task: Task, folder: RunFolder, watch: Watch | None = None) -> None:
    """Make the steps that are still to make, logging each, with a checkpoint now and then and at the end.

    Raises:
        OptionError: the loss is no longer a number.
    """
    settings, accelerator = training.optimization, training.accelerator
    first = folder.load(accelerator)
    if accelerator.is_main_process:
        folder.rewind_log(first)
    accelerator.wait_for_everyone()
    if watch is not None and watch.begin(first):
        return
    with (
        _bar(first, settings.steps, shown=accelerator.is_main_process) as advance,
        _ahead(task, first, settings.steps) as inputs_of,
    ):
        for step in range(first, settings.steps):
            began = time.monotonic()
            loss = _step(training, task, inputs_of(step), step)
            if not math.isfinite(loss):
                raise OptionError(
                    f"the loss of step {step + 1} is {loss}; lower --lr (it is {settings.learning_rate:g}), then go on "
                    "from the last checkpoint in a new folder or start again"
                )
            if accelerator.is_main_process:
                seconds = round(time.monotonic() - began, 4)
                folder.log({"step": step + 1, "loss": loss, "lr": settings.rate_at(step), "seconds": seconds})
            advance(loss)
            over = watch is not None and watch.look(step + 1)
            if over or (step + 1) % settings.checkpoint_every == 0 or step + 1 == settings.steps:
                folder.save(accelerator, step + 1)
                if watch is not None:
                    watch.kept()
            if over:
                return


@contextmanager
def _ahead(task: Task, first: int, steps: int) -> Iterator[Callable[[int], list[Any]]]:
    """Gives the inputs of the steps in order, those of the next step being made while the model works on this one's."""
    with ThreadPoolExecutor(1) as thread:
        coming: list[Future[list[Any]]] = [thread.submit(task.inputs, first)] if first < steps else []

        def inputs_of(step: int) -> list[Any]:
            now = coming.pop().result()
            if step + 1 < steps:
                coming.append(thread.submit(task.inputs, step + 1))
            return now

        yield inputs_of


def _step(training: Training, task: Task, inputs: list[Any], step: int) -> float:
    """One optimizer step over its micro-batches; the mean loss over all of them and all processes."""
    import torch

    settings, accelerator = training.optimization, training.accelerator
    for group in training.optimizer.param_groups:
        group["lr"] = settings.rate_at(step)
    share = settings.batch_size * accelerator.num_processes
    total = torch.zeros((), device=accelerator.device)
    for micro, each in enumerate(inputs):
        start = micro * share + accelerator.process_index * settings.batch_size
        draw = ((settings.seed * 1_000_003 + step) * 10_007 + start) % 2**63
        with accelerator.accumulate(*training.trained.values()):
            loss = task.loss(each, draw)
            accelerator.backward(loss)
            if accelerator.sync_gradients:
                accelerator.clip_grad_norm_(training.parameters, settings.max_norm)
            training.optimizer.step()
            training.optimizer.zero_grad()
        total += loss.detach() / settings.accumulate
    if training.average is not None:
        training.average.step(training.parameters)
    return float(accelerator.reduce(total, reduction="mean"))


@contextmanager
def _bar(first: int, total: int, *, shown: bool) -> Iterator[Any]:
    """A progress bar with loss and time to go on a terminal; yields `advance(loss)`."""
    from tqdm import tqdm

    with tqdm(
        initial=first,
        total=total,
        desc="training",
        unit="step",
        disable=not (shown and sys.stderr.isatty()),
    ) as bar:
        smooth: float | None = None

        def advance(loss: float) -> None:
            nonlocal smooth
            smooth = loss if smooth is None else 0.95 * smooth + 0.05 * loss
            bar.set_postfix_str(f"loss {smooth:.4f}", refresh=False)
            bar.update()

        yield advance
