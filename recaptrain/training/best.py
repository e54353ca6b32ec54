"""The weights of a run's best step, which lie beside its checkpoints."""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from recapdata.errors import DatasetDamaged

if TYPE_CHECKING:
    import torch


def copy_weights(path: Path, parameters: "Iterable[tuple[str, torch.nn.Parameter]]") -> None:
    """Put the weights of a safetensors file into parameters, by name.

    Raises:
        DatasetDamaged: the file lacks one of them, has another shape, or cannot be read.
    """
    import torch
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        kept = load_file(path)
        with torch.no_grad():
            for name, parameter in parameters:
                if kept[name].shape != parameter.shape:
                    raise ValueError(
                        f"{name} has the shape {tuple(kept[name].shape)}, not {tuple(parameter.shape)}"
                    )
                parameter.copy_(kept[name])
    except (OSError, ValueError, KeyError, SafetensorError) as error:
        reason = " ".join(str(error).split())[:300]
        raise DatasetDamaged(
            f"{path} is damaged ({reason}); start the run again in another folder"
        ) from error
