"""Options that all trainers share: how the weights are moved, and in which precision."""

import math
from dataclasses import dataclass
from typing import Literal

RateCourse = Literal["constant", "cosine", "linear"]
MixedPrecision = Literal["auto", "no", "fp16", "bf16"]
Optimizer = Literal["adamw", "adamw-fused", "adamw-8bit"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Optimization:
    """How the weights are moved.

    Attributes:
        batch_size: examples of one forward pass on one process; a step uses batch_size × accumulate × processes.
        keep: how many checkpoints stay.
        max_norm: gradients are scaled down to it where their norm is above.
        ema_decay: of the average of weights that is saved; None saves the weights themselves.
    """

    steps: int
    batch_size: int
    accumulate: int
    learning_rate: float
    course: RateCourse
    warmup: int
    weight_decay: float = 1e-2
    max_norm: float = 1.0
    optimizer: Optimizer = "adamw"
    ema_decay: float | None
    seed: int
    checkpoint_every: int
    keep: int = 1

    def rate_at(self, step: int) -> float:
        """Learning rate of a step: linear warm-up, then constant, half a cosine down to 0, or a line down to 0."""
        if step < self.warmup:
            return self.learning_rate * (step + 1) / self.warmup
        if self.course == "constant":
            return self.learning_rate
        done = (step - self.warmup) / max(1, self.steps - self.warmup)
        if self.course == "linear":
            return self.learning_rate * (1.0 - done)
        return self.learning_rate * 0.5 * (1.0 + math.cos(math.pi * done))
