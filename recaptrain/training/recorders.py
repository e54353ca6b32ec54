"""Experiment trackers that Accelerate knows by name (tensorboard, wandb, …): figures, pictures and texts of a run."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from recapdata.errors import OptionError
from recapdata.suggestions import did_you_mean
from recaptrain.training.trackers import Tracker

if TYPE_CHECKING:
    from accelerate import Accelerator


class Recorder(Tracker, Protocol):
    """A tracker that takes pictures and texts, too."""

    def picture(self, name: str, path: Path, step: int) -> None:
        """Take a picture file."""

    def text(self, name: str, text: str, step: int) -> None:
        """Take a text."""


def check_recorders(names: Sequence[str]) -> None:
    """Check that trackers are known and installed.

    Raises:
        OptionError: one is not.
    """
    if not names:
        return
    from accelerate.tracking import LOGGER_TYPE_TO_CLASS, get_available_trackers

    known, installed = list(LOGGER_TYPE_TO_CLASS), [str(each) for each in get_available_trackers()]
    for name in names:
        if name not in known:
            raise OptionError(
                f"--log-with {name}: no such tracker{did_you_mean(name, known)}; Accelerate knows {', '.join(known)}"
            )
        if name not in installed:
            raise OptionError(
                f"--log-with {name}: it is not installed; install it, or use {', '.join(installed) or 'none'}"
            )


def open_recorders(accelerator: "Accelerator", options: Mapping[str, Any]) -> "list[Recorder]":
    """Begin to record a run with what the accelerator was opened with; none where that is nothing. Call on every process.

    Args:
        options: of the run, to be shown beside its figures.
    """
    if not accelerator.log_with:
        return []
    plain = {
        name: value if isinstance(value, bool | int | float | str) else str(value)
        for name, value in options.items()
    }
    accelerator.init_trackers("recaptrain", config=plain)
    return [_Accelerate(accelerator)] if accelerator.is_main_process else []


def close_recorders(accelerator: "Accelerator") -> None:
    """End what `open_recorders` began. `Accelerator.end_training` would end the group of processes, too, which have yet to save."""
    for tracker in accelerator.trackers:
        tracker.finish()


class _Accelerate:
    """All trackers of an accelerator."""

    def __init__(self, accelerator: "Accelerator") -> None:
        self._accelerator = accelerator

    def log(self, row: Mapping[str, float]) -> None:
        figures = {name: value for name, value in row.items() if name != "step"}
        self._accelerator.log(figures, step=int(row["step"]))

    def picture(self, name: str, path: Path, step: int) -> None:
        import numpy as np
        from PIL import Image

        with Image.open(path) as image:
            pixels = np.asarray(image.convert("RGB"))
        for tracker in self._accelerator.trackers:
            if tracker.name == "tensorboard":
                tracker.log_images({name: pixels[None]}, step=step, dataformats="NHWC")
            elif hasattr(tracker, "log_images"):
                tracker.log_images({name: [Image.fromarray(pixels)]}, step=step)

    def text(self, name: str, text: str, step: int) -> None:
        self._accelerator.log({name: text}, step=step)
