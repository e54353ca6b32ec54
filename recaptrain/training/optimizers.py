"""The optimizers by name: AdamW as torch has it, in one fused kernel, or with its state in 8 bits."""

from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from recapdata.errors import MissingExtra, OptionError
from recaptrain.training.settings import Optimization, Optimizer

if TYPE_CHECKING:
    import torch


def check_optimizer(name: Optimizer, device: str) -> None:
    """Check, before anything long, that an optimizer can be used on a kind of device (`cuda`, `cpu`, …).

    Raises:
        MissingExtra: bitsandbytes, which no extra brings, is not installed.
        OptionError: it needs a GPU.
    """
    if name != "adamw-8bit":
        return
    if find_spec("bitsandbytes") is None:
        raise MissingExtra(
            "--optimizer adamw-8bit needs bitsandbytes, which is not installed; install it with pip install bitsandbytes, "
            "or use --optimizer adamw-fused"
        )
    if device != "cuda":
        raise OptionError(
            f"--optimizer adamw-8bit needs a GPU, and this run is on {device}; use --optimizer adamw-fused"
        )


def build_optimizer(
    parameters: "list[torch.nn.Parameter]",
    optimization: Optimization,
    *,
    betas: tuple[float, float],
    device: str,
) -> "torch.optim.Optimizer":
    """AdamW (Loshchilov & Hutter 2019) over parameters; its 8-bit form is Dettmers et al. 2022.

    Raises:
        MissingExtra, OptionError: see `check_optimizer`.
    """
    import torch

    check_optimizer(optimization.optimizer, device)
    options: dict[str, Any] = {
        "lr": optimization.learning_rate,
        "betas": betas,
        "weight_decay": optimization.weight_decay,
    }
    if optimization.optimizer == "adamw-8bit":
        import bitsandbytes

        return bitsandbytes.optim.AdamW8bit(parameters, **options)  # type: ignore[no-any-return]
    # On a CPU torch's own choice is a loop over the weights, a seventh of a small model's step; on a GPU it takes them all at once.
    fused = optimization.optimizer == "adamw-fused" or device == "cpu"
    return torch.optim.AdamW(parameters, fused=fused or None, **options)
