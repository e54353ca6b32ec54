"""The device a run uses, and its precision."""

import os
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

from recapdata.errors import OptionError
from recaptrain.training.settings import MixedPrecision

if TYPE_CHECKING:
    import torch
    from accelerate import Accelerator


SHARDING = {"ACCELERATE_USE_FSDP": "FSDP", "ACCELERATE_USE_DEEPSPEED": "DeepSpeed"}
"""Environment variables by which `accelerate launch` says that weights are to be spread over processes."""


def open_accelerator(precision: MixedPrecision, *, accumulate: int = 1, **options: Any) -> "Accelerator":
    """Accelerate on this process's device.

    Args:
        accumulate: micro-batches of a step.
        options: further arguments of `accelerate.Accelerator`.

    Raises:
        OptionError: this process has trained in another precision; Accelerate keeps one for a process. Or it was launched with
            FSDP or DeepSpeed.
    """
    for variable, name in SHARDING.items():
        if os.environ.get(variable, "false").lower() == "true":
            raise OptionError(
                f"this process was launched with {name}, which spreads one model's weights over processes; here each holds them whole "
                f"(for their average, the best ones, and several models at once): launch without {name}. Less memory is had by "
                "--gradient-checkpointing, a smaller --batch-size, LoRA, or --optimizer adamw-8bit"
            )
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


def frozen_dtype(accelerator: "Accelerator") -> "torch.dtype | None":
    """What weights that are not trained may be kept in on a GPU: what is computed in there; None where that is float32."""
    import torch

    halves = {"bf16": torch.bfloat16, "fp16": torch.float16}
    return halves.get(accelerator.mixed_precision) if accelerator.device.type == "cuda" else None


def seed_device(device: "torch.device", seed: int) -> None:
    """Seed what layers draw from on a device: its own generator and the CPU's.

    `torch.manual_seed` seeds every kind of device there might be, which takes milliseconds where there is no GPU.
    """
    import torch

    torch.default_generator.manual_seed(seed)
    if device.type in ("cuda", "mps", "xpu"):
        getattr(torch, device.type).manual_seed(seed)


def autocast(device: "torch.device | str") -> AbstractContextManager[Any]:
    """A context in bf16 where the device computes in it, in float32 elsewhere.

    A processor without bf16 emulates it, twelve times slower than float32.
    """
    import torch

    kind = torch.device(device).type
    return torch.autocast(kind, torch.bfloat16, enabled=native_precision(kind) == "bf16")
