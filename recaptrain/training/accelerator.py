"""The device a run uses, and its precision."""

import os
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

from recapdata.errors import OptionError
from recaptrain.training.settings import MixedPrecision

if TYPE_CHECKING:
    import torch
    from accelerate import Accelerator


FSDP = "ACCELERATE_USE_FSDP"
"""The environment variable by which `accelerate launch` says that weights are to be spread over processes."""
REFUSED = {
    "ACCELERATE_USE_DEEPSPEED": "DeepSpeed",
    "ACCELERATE_USE_MEGATRON_LM": "Megatron-LM",
    "ACCELERATE_USE_PARALLELISM_CONFIG": "a parallelism config",
}
"""And those for other ways, of which none is supported."""


def open_accelerator(
    precision: MixedPrecision, *, accumulate: int = 1, shards: bool = False, **options: Any
) -> "Accelerator":
    """Accelerate on this process's device.

    Args:
        accumulate: micro-batches of a step.
        shards: whether what is trained may be spread over processes by FSDP.
        options: further arguments of `accelerate.Accelerator`.

    Raises:
        OptionError: this process has trained in another precision; Accelerate keeps one for a process. Or it was launched with
            DeepSpeed, or with FSDP where that is not possible.
    """
    _check_launch(shards=shards)
    from accelerate import Accelerator
    from accelerate.state import AcceleratorState, is_initialized

    chosen = native_precision() if precision == "auto" else precision
    if is_initialized() and (before := AcceleratorState().mixed_precision) != chosen:
        raise OptionError(
            f"--mixed-precision {precision}: this process has trained in {before!r} and keeps to it; "
            f"use {before!r}, or train in a new process"
        )
    sharded = _launched_with(FSDP)
    if sharded:
        from accelerate import FullyShardedDataParallelPlugin

        # Weights are read whole by every process before it is known which of them are trained.
        options["fsdp_plugin"] = FullyShardedDataParallelPlugin(cpu_ram_efficient_loading=False)
    accelerator = Accelerator(mixed_precision=chosen, gradient_accumulation_steps=accumulate, **options)
    if sharded and not accelerator.is_fsdp2:
        raise OptionError(
            f"this process was launched with FSDP, and Accelerate spreads weights over GPUs alone, not on {accelerator.device.type} "
            f"with {accelerator.num_processes} process{'es' * (accelerator.num_processes > 1)}: launch without FSDP"
        )
    return accelerator


def _launched_with(variable: str) -> bool:
    return os.environ.get(variable, "false").lower() == "true"


def _check_launch(*, shards: bool) -> None:
    """Check that weights may be spread over processes as `accelerate launch` says."""
    for variable, name in REFUSED.items():
        if _launched_with(variable):
            way = (
                "use FSDP (fsdp_version: 2 in Accelerate's configuration)"
                if shards
                else f"launch without {name}"
            )
            raise OptionError(f"this process was launched with {name}, which is not supported: {way}")
    if not _launched_with(FSDP):
        return
    if not shards:
        raise OptionError(
            "this process was launched with FSDP, which spreads a model's weights over processes; here each holds them whole: launch "
            "without FSDP. Less memory is had by --gradient-checkpointing, a smaller --batch-size, LoRA, or --optimizer adamw-8bit"
        )
    if os.environ.get("FSDP_VERSION", "1") != "2":
        raise OptionError(
            "this process was launched with FSDP 1, which flattens weights: set fsdp_version: 2 in Accelerate's configuration "
            "(accelerate launch --fsdp_version 2)"
        )


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
