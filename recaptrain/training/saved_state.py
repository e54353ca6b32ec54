"""What a checkpoint holds: trained weights, the optimizer's state and averaged weights, whole; read without running anything.

`model.safetensors` and `optimizer.bin` are as Accelerate names them, `average.pt` holds an average. None is unpickled but for tensors
and numbers. Whoever resumes draws everything random anew from seed and step.
"""

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from recaptrain.training.preparing import Training
from recaptrain.training.sharding import (
    join_parts,
    load_optimizer,
    load_weights,
    split_parts,
    whole_optimizer,
    whole_weights,
)

if TYPE_CHECKING:
    import torch

WEIGHTS, OPTIMIZER, AVERAGE = "model.safetensors", "optimizer.bin", "average.pt"
_WRAPPERS = re.compile(r"\b(?:module|_orig_mod|_checkpoint_wrapped_module)\.")
"""What wrappers put into the names of weights; whether names are saved with it depends on the wrapper."""


def save_state(training: Training, folder: Path) -> None:
    """Write the state to a folder, which is new. Call on every process."""
    if training.accelerator.is_fsdp2:
        _save_shards(training, folder)
    else:
        hook = training.accelerator.register_save_state_pre_hook(_leave_out_frozen)
        try:
            training.accelerator.save_state(str(folder))
        finally:
            hook.remove()
    if training.average is not None:
        _save_average(training, training.average.state_dict(), folder)


def load_state(training: Training, folder: Path) -> None:
    """Restore the state from a folder. Call on every process.

    Raises:
        ValueError: weights that are trained are not in it; files that are none raise whatever their readers do.
    """
    _check_names(training.model, folder)
    if training.accelerator.is_fsdp2:
        _load_shards(training, folder)
    else:
        training.accelerator.load_state(str(folder), strict=False)  # frozen weights are not in it
    if training.average is not None:
        training.average.load_state_dict(_read(folder / AVERAGE))
        if training.accelerator.is_fsdp2:
            training.average.shadow_params = split_parts(training.average.shadow_params, training.parameters)
        else:
            training.average.to(training.accelerator.device)


def _leave_out_frozen(models: list[Any], weights: list[dict[str, Any]], folder: str) -> None:
    """Keep weights that are not trained out of a checkpoint: the base has them, and they may be gigabytes.

    Of weights that two parts share, one stays.
    """
    for model, state in zip(models, weights, strict=True):
        kept = _trained_names(model)
        for name, _ in model.named_parameters(remove_duplicate=False):
            if name not in kept:
                state.pop(name, None)


def _trained_names(model: "torch.nn.Module") -> set[str]:
    return {name for name, parameter in model.named_parameters() if parameter.requires_grad}


def _check_names(model: "torch.nn.Module", folder: Path) -> None:
    """Check that the weights are those that are trained: Accelerate passes over what a file lacks, since frozen ones are not in it."""
    from safetensors import safe_open

    with safe_open(folder / WEIGHTS, framework="pt") as file:
        names = {_WRAPPERS.sub("", name) for name in file.keys()}  # noqa: SIM118 - it is no dictionary
    lacking = {_WRAPPERS.sub("", name) for name in _trained_names(model)} - names
    if lacking:
        raise ValueError(f"it lacks {len(lacking):,} of the trained weights, such as {min(lacking)}")


def _save_average(training: Training, state: dict[str, Any], folder: Path) -> None:
    """Write an average whole; Accelerate's own way for such objects unpickles whatever a checkpoint holds."""
    import torch

    if training.accelerator.is_fsdp2:
        state["shadow_params"] = join_parts(state["shadow_params"], training.parameters)
    if training.accelerator.is_main_process:
        torch.save(state, folder / AVERAGE)


def _save_shards(training: Training, folder: Path) -> None:
    """Write weights and optimizer gathered from all processes. Accelerate's own way keeps frozen weights, or pickles its index."""
    import torch
    from safetensors.torch import save_file

    weights = whole_weights(training.model)
    optimizer = whole_optimizer(training.model, training.optimizer.optimizer)
    if training.accelerator.is_main_process:
        folder.mkdir()
        save_file({name: each.contiguous() for name, each in weights.items()}, folder / WEIGHTS)
        scaler = training.accelerator.scaler
        torch.save(
            {"optimizer": optimizer, "scaler": None if scaler is None else scaler.state_dict()},
            folder / OPTIMIZER,
        )


def _load_shards(training: Training, folder: Path) -> None:
    from safetensors.torch import load_file

    load_weights(training.model, load_file(folder / WEIGHTS))
    state = _read(folder / OPTIMIZER)
    load_optimizer(training.model, training.optimizer.optimizer, state["optimizer"])
    if training.accelerator.scaler is not None:
        training.accelerator.scaler.load_state_dict(state["scaler"])


def _read(path: Path) -> Any:
    """A file of tensors and numbers; anything else in it is refused."""
    import torch

    return torch.load(path, map_location="cpu", weights_only=True)
