"""The loop that every embedded model is trained with: seeded, logged, resumable to the step.

What a step sees is a function of (seed, step) alone and the optimizer's state is in the checkpoint, so a run that was
interrupted ends as it would have without.
"""

import json
import math
import os
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from recapdata.console import say

if TYPE_CHECKING:
    from torch import Tensor, nn

LOG_EVERY = 50
CHECKPOINT_SECONDS = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """One stage of a recipe: `steps` of `batch` scenes with a learning rate that rises to `rate` and falls to nothing."""

    steps: int
    batch: int
    rate: float
    warmup: int = 100
    decay: float = 0.01

    def rate_at(self, step: int) -> float:
        """Linear warm-up, then a half cosine down to 0."""
        if step < self.warmup:
            return self.rate * (step + 1) / self.warmup
        return (
            self.rate
            * 0.5
            * (1 + math.cos(math.pi * (step - self.warmup) / max(1, self.steps - self.warmup)))
        )


def train(
    name: str,
    stage: Stage,
    model: "nn.Module",
    loss_of: Callable[[int], tuple["Tensor", dict[str, float]]],
    folder: Path,
    *,
    parameters: "Iterable[nn.Parameter] | None" = None,
) -> None:
    """Train `model` in place; `loss_of(step)` gives the loss and figures to log.

    Args:
        folder: takes `<name>.checkpoint` (removed by nobody: a finished stage is skipped by it) and `log.jsonl`.
        parameters: those to train; all of the model's when None.
    """
    import torch

    chosen = [parameter for parameter in (parameters or model.parameters()) if parameter.requires_grad]
    optimizer = torch.optim.AdamW(chosen, lr=stage.rate, betas=(0.9, 0.98), weight_decay=stage.decay)
    checkpoint = folder / f"{name}.checkpoint"
    first = _resume(checkpoint, model, optimizer)
    began = saved = time.monotonic()
    worked = time.process_time()
    model.train()
    for step in range(first, stage.steps):
        for group in optimizer.param_groups:
            group["lr"] = stage.rate_at(step)
        loss, figures = loss_of(step)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(chosen, 1.0)
        optimizer.step()
        done = step + 1
        if done % LOG_EVERY == 0 or done == stage.steps:
            speed = (done - first) * stage.batch / (time.monotonic() - began)
            spent = {"scenes/s": speed, "CPU s a step": (time.process_time() - worked) / (done - first)}
            _log(folder, name, done, stage.steps, {"loss": loss.item(), **figures, **spent})
        if time.monotonic() - saved > CHECKPOINT_SECONDS or done == stage.steps:
            _save(checkpoint, model, optimizer, done)
            saved = time.monotonic()


def _log(folder: Path, name: str, step: int, steps: int, figures: dict[str, float]) -> None:
    with (folder / "log.jsonl").open("a", encoding="utf-8") as log:
        log.write(json.dumps({"stage": name, "step": step, **figures}) + "\n")
    say(f"{name} {step}/{steps} " + " ".join(f"{key} {value:.3f}" for key, value in figures.items()))


def _save(checkpoint: Path, model: "nn.Module", optimizer: object, step: int) -> None:
    import torch

    state = {"step": step, "model": model.state_dict(), "optimizer": optimizer.state_dict()}  # type: ignore[attr-defined]
    partial = checkpoint.with_suffix(".partial")
    torch.save(state, partial)
    os.replace(partial, checkpoint)


def _resume(checkpoint: Path, model: "nn.Module", optimizer: object) -> int:
    import torch

    if not checkpoint.exists():
        return 0
    state = torch.load(checkpoint, weights_only=True)
    model.load_state_dict(state["model"])
    optimizer.load_state_dict(state["optimizer"])  # type: ignore[attr-defined]
    say(f"{checkpoint.name}: going on from step {state['step']}")
    return int(state["step"])
