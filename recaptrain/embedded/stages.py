"""The stages of a recipe, each trained by the loop of all trainers: seeded, logged, resumed where it was interrupted.

What a step sees is a function of (seed, step) alone.
"""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from recaptrain.training import loop
from recaptrain.training.accelerator import open_accelerator
from recaptrain.training.preparing import prepare
from recaptrain.training.run_folder import RunFolder
from recaptrain.training.settings import Optimization, RateCourse

if TYPE_CHECKING:
    import torch

Loss: TypeAlias = "tuple[torch.Tensor, Mapping[str, torch.Tensor | float]]"
"""The loss of a step, and figures to log."""

BETAS = (0.9, 0.98)
CHECKPOINT_EVERY = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """One stage of a recipe: `steps` of `batch` scenes with a learning rate that rises to `rate`, then stays or falls to 0.

    Attributes:
        course: constant where a later stage goes on, or where it is not known yet how many steps are enough.
    """

    steps: int
    batch: int
    rate: float
    warmup: int = 100
    decay: float = 0.01
    course: RateCourse = "cosine"


@dataclass(frozen=True, slots=True)
class _Steps:
    """A `Task` of one micro-batch a step."""

    loss_of: Callable[[int], Loss]

    def inputs(self, step: int) -> list[int]:
        return [step]

    def loss(self, inputs: int, draw: int) -> Loss:
        return self.loss_of(inputs)


def train(
    name: str,
    stage: Stage,
    model: "torch.nn.Module",
    loss_of: Callable[[int], Loss],
    work: Path,
    *,
    averaging: float | None = None,
) -> None:
    """Train a model in place, on its own device; a stage that `work` holds finished is loaded.

    Args:
        loss_of: the loss of a step, with figures.
        work: takes the stage's checkpoint and log, in a folder of its name.
        averaging: decay of an average of the weights that takes their place at the end; None for none.

    Raises:
        OptionError: `work` holds the stage with other settings.
    """
    run = RunFolder(work / name)
    run.begin({**asdict(stage), "averaging": averaging}, resume=True)
    optimization = Optimization(
        steps=stage.steps,
        batch_size=stage.batch,
        accumulate=1,
        learning_rate=stage.rate,
        course=stage.course,
        warmup=stage.warmup,
        weight_decay=stage.decay,
        ema_decay=averaging,
        seed=0,
        checkpoint_every=CHECKPOINT_EVERY,
    )
    on_cpu = next(model.parameters()).device.type == "cpu"
    accelerator = open_accelerator("no", cpu=on_cpu)  # the losses choose their precision themselves
    training = prepare(accelerator, model, optimization, betas=BETAS)
    model.train()
    loop.train(training, _Steps(loss_of), run, title=name)
    training.take_average()
    accelerator.free_memory()
