"""Options that all trainers share: how the weights are moved, and in which precision."""

import math
from dataclasses import asdict, dataclass
from typing import Any, Literal

from recapdata.errors import OptionError

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

    def identity(self) -> dict[str, Any]:
        """The options that decide the outcome of the steps made so far.

        At a constant rate the number of steps is not one of them: more steps continue the same run.
        """
        left_out = {"checkpoint_every"} | ({"steps"} if self.course == "constant" else set())
        return {name: value for name, value in asdict(self).items() if name not in left_out}


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
