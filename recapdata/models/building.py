"""A bound of the memory in which a library builds a stranger's model: not much more than its weights take.

A configuration of a few bytes may describe gigabytes, and libraries allocate what it says before they see that the weights are of another shape.
Here whatever PyTorch is asked for meanwhile is counted first, and refused where files of this size cannot be the reason.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from recapdata.errors import ModelNotSupported
from recapdata.models.sources import ModelSource, local_folder

SLACK = 2**29
"""Bytes that may be asked for beside the weights: masks, positions, what initialization takes."""
TIMES = 4
"""Bytes that may be asked for, in float32, for each byte of the files: weights may be kept in fewer bits."""
_CASTS = ("aten::_to_copy",)
"""They make no more of what there is, and each weight is cast once."""


@contextmanager
def building(name: str, files: ModelSource | Path) -> Iterator[None]:
    """Refuse to build more than the model's files can fill.

    Args:
        name: the model, for the message.
        files: its source, or its folder or single file of weights; asked for its size only where that matters.

    Raises:
        ModelNotSupported: the configuration describes a model that is far larger.
    """
    with _bound(name, lambda: _size(files)):
        yield


def _size(files: ModelSource | Path) -> int:
    """Bytes of all files of a model on this machine."""
    path = local_folder(files) if isinstance(files, ModelSource) else files
    if path is None:
        return 0
    paths = path.rglob("*") if path.is_dir() else [path]
    return sum(each.stat().st_size for each in paths if each.is_file())


def _bound(name: str, size: Callable[[], int]) -> Any:
    from torch.utils._python_dispatch import TorchDispatchMode

    class Bound(TorchDispatchMode):
        """Every operation of this thread that makes a tensor of a size, before it does so."""

        def __init__(self) -> None:
            super().__init__()
            self._asked = 0
            self._most: int | None = None

        def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            kwargs = kwargs or {}
            if _makes(func) and str(kwargs.get("device")) != "meta":
                self._ask(_bytes(func, args, kwargs))
            return func(*args, **kwargs)

        def _ask(self, number: int) -> None:
            self._asked += number
            if self._asked <= SLACK:
                return
            if self._most is None:
                self._most = SLACK + TIMES * size()
            if self._asked > self._most:
                raise ModelNotSupported(
                    f"{name}: its configuration describes a model of more than {self._asked / 1e9:,.1f} GB, and its files "
                    f"have {(self._most - SLACK) / TIMES / 1e9:,.3f} GB: they are not whole, or not of one model"
                )

    return Bound()


def _makes(func: Any) -> bool:
    """Whether an operation of PyTorch makes a tensor of a size that it is told."""
    schema = func._schema
    return schema.name not in _CASTS and any(each.name == "device" for each in schema.arguments)


def _bytes(func: Any, args: Any, kwargs: Any) -> int:
    """How much an operation would make; found on the device that has no memory."""
    asked = {key: value for key, value in kwargs.items() if key != "pin_memory"}
    try:
        made = func(*args, **{**asked, "device": "meta"})
    except (NotImplementedError, RuntimeError, TypeError):
        return 0
    return int(made.numel() * made.element_size()) if hasattr(made, "numel") else 0
