"""The device a run uses, and its precision."""

from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

from recapdata.errors import OptionError
from recaptrain.training.settings import MixedPrecision

if TYPE_CHECKING:
    import torch
    from accelerate import Accelerator


def open_accelerator(precision: MixedPrecision, *, accumulate: int = 1, **options: Any) -> "Accelerator":
    """Accelerate on this process's device.

    Args:
        accumulate: micro-batches of a step.
        options: further arguments of `accelerate.Accelerator`.

    Raises:
        OptionError: this process has trained in another precision; Accelerate keeps one for a process.
    """
    from accelerate import Accelerator
    from accelerate.state import AcceleratorState, is_initialized

    chosen = native_precision() if precision == "auto" else precision
    if is_initialized() and (before := AcceleratorState().mixed_precision) != chosen:
        raise OptionError(
            f"--mixed-precision {precision}: this process has trained in {before!r} and keeps to it; "
            f"use {before!r}, or train in a new process"
        )
    return Accelerator(mixed_precision=chosen, gradient_accumulation_steps=accumulate, **options)


def native_precision(device: str | None = None) -> str:
    """The fastest precision that a device computes in by itself: bf16, else fp16 on a GPU, else none ("no").

    Args:
        device: `cuda`, `mps` or `cpu`; the best that there is when None.
    """
    import torch

    if device is None:
        device = (
            "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
        )
    if device == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp16"
    return "bf16" if device == "cpu" and torch.cpu.get_capabilities().get("avx512_bf16") else "no"


def autocast(device: "torch.device | str") -> AbstractContextManager[Any]:
    """A context in bf16 where the device computes in it, in float32 elsewhere.

    A processor without bf16 emulates it, twelve times slower than float32.
    """
    import torch

    kind = torch.device(device).type
    return torch.autocast(kind, torch.bfloat16, enabled=native_precision(kind) == "bf16")
