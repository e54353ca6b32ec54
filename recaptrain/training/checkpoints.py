"""Checkpoints: the state of a training after N steps, written whole or not at all, and restored exactly."""

import os
from pathlib import Path
from typing import Any

from recapdata.atomic import remove
from recapdata.console import is_full_disk, say
from recapdata.errors import DatasetDamaged, DiskFull
from recaptrain.training.completeness import fault, seal
from recaptrain.training.preparing import Training
from recaptrain.training.run_folder import RunFolder
from recaptrain.training.saved_state import load_state, save_state


def save_checkpoint(run: RunFolder, training: Training, step: int, *, keep: int = 1) -> None:
    """Save the state after `step` steps, sealed, then delete all but the last `keep`. Call on every process.

    Raises:
        DiskFull: there is no room for it; what was saved before stays.
    """
    accelerator = training.accelerator
    partial = run.path / f".step-{step}.partial"
    if accelerator.is_main_process:
        remove(partial)
    accelerator.wait_for_everyone()
    try:
        save_state(training, partial)
        accelerator.wait_for_everyone()
        if accelerator.is_main_process:
            seal(partial, step)
    except Exception as error:
        if not _out_of_room(error):
            raise
        remove(partial)
        raise DiskFull(_no_room(run, step)) from error
    if accelerator.is_main_process:
        os.replace(partial, run.path / f"step-{step}")
        for earlier in run.steps()[:-keep]:
            remove(run.path / f"step-{earlier}")
    accelerator.wait_for_everyone()


def _no_room(run: RunFolder, step: int) -> str:
    kept = run.steps()
    back = f"step-{kept[-1]} is whole: --resume goes on from there" if kept else "there is none before it"
    return f"no space left for the checkpoint of step {step} in {run.path}; {back}, once there is room"


def load_checkpoint(run: RunFolder, training: Training) -> int:
    """Restore everything prepared and registered to the last state that is whole; its step, 0 where there is none.

    A damaged one is said and set aside as `damaged-N`. Call on every process.

    Raises:
        DatasetDamaged: there are states, and none of them is whole.
    """
    from accelerate.utils import broadcast_object_list

    outcome: list[Any] = [_last_whole(run) if training.accelerator.is_main_process else None]
    step = broadcast_object_list(outcome)[0]
    if isinstance(step, str):
        raise DatasetDamaged(step)
    if step:
        _restore(training, run.path / f"step-{step}")
    return int(step)


def _restore(training: Training, state: Path) -> None:
    if any(state.glob("custom_checkpoint_*.pkl")):
        raise DatasetDamaged(
            f"{state} holds pickled objects, which may be code: start the run again in another folder"
        )
    try:
        load_state(training, state)
    except Exception as error:  # files of a stranger that fit nothing end in any exception
        reason = f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
        raise DatasetDamaged(
            f"{state} is whole and cannot be restored ({reason}); delete it to go on from an earlier one, or start again"
        ) from error


def _last_whole(run: RunFolder) -> int | str:
    """The last step whose checkpoint is whole, 0 where there is no checkpoint at all; a message where all are damaged."""
    damaged: dict[int, str] = {}
    for step in reversed(run.steps()):
        wrong = fault(run.path / f"step-{step}")
        if wrong is None:
            for other, reason in damaged.items():
                aside = run.path / f"damaged-{other}"
                remove(aside)
                os.replace(run.path / f"step-{other}", aside)
                say(
                    f"warning: the checkpoint step-{other} is damaged ({reason}): going on from step-{step}; it is set aside "
                    f"as {aside}"
                )
            return step
        damaged[step] = wrong
    if not damaged:
        return 0
    (latest, reason), *earlier = damaged.items()
    which = f"step-{latest} is damaged ({reason})" + (
        f", and so are {len(earlier)} earlier ones" if earlier else ""
    )
    return (
        f"{run.path}: the checkpoint {which}; delete {'them' if earlier else 'it'} to begin again at step 0 with --resume, or "
        "name another folder (--keep 2 or more leaves one to fall back on)"
    )


def _out_of_room(error: Exception) -> bool:
    """Whether a library could not write for want of space; torch says only that it could not write."""
    return is_full_disk(error) or "file write failed" in str(error)
