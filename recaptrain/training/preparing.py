"""What is trained, as Accelerate hands it to the processes: each holds all of it, or FSDP has spread it over them in shards."""

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from recapdata.errors import OptionError
from recaptrain.training.optimizers import build_optimizer
from recaptrain.training.settings import Optimization
from recaptrain.training.sharding import own_parts, reshard, whole_weights

if TYPE_CHECKING:
    import torch
    from accelerate import Accelerator
    from diffusers.training_utils import EMAModel


@dataclass(slots=True, kw_only=True)
class Training:
    """A run under way: what is trained, and the state that its steps move.

    Attributes:
        model: what is trained, as Accelerate wraps it: what a step calls.
        whole: the same without wrappers and with whole weights. Of a model in shards it is a copy on the CPU of the main process,
            as of the last `gather`, and None on the other processes.
        parameters: the trained parameters of `model`, in a fixed order.
        average: of the part of each parameter that this process holds.
    """

    accelerator: "Accelerator"
    model: "torch.nn.Module"
    whole: "torch.nn.Module | None"
    optimizer: Any
    parameters: "list[torch.nn.Parameter]"
    average: "EMAModel | None"
    optimization: Optimization

    @contextmanager
    def averaged(self) -> Iterator[None]:
        """A context with the averaged weights, where there are any, in the place of the last step's."""
        if self.average is None:
            yield
            return
        self.average.store(own_parts(self.parameters))
        self.take_average()
        try:
            yield
        finally:
            self.average.restore(own_parts(self.parameters))
            self._renew()

    def take_average(self) -> None:
        """Put the averaged weights, where there are any, in the place of the last step's."""
        if self.average is not None:
            self.average.copy_to(own_parts(self.parameters))
            self._renew()

    def _renew(self) -> None:
        """Let the next forward pass take the weights that have been put in place."""
        if self.accelerator.is_fsdp2:
            reshard(self.model)

    def step_average(self) -> None:
        """Let the average, where there is one, take in the weights as they are."""
        if self.average is not None:
            self.average.step(own_parts(self.parameters))

    def gather(self) -> None:
        """Bring `whole` up to date, where weights are in shards. Call on every process."""
        if self.accelerator.is_fsdp2:
            weights = whole_weights(self.model)
            if self.whole is not None:
                self.whole.load_state_dict(weights, strict=False)  # what is frozen is there

    def trained(self) -> "list[tuple[str, torch.nn.Parameter]]":
        """The trained parameters of `whole` by name; none where this process has no `whole`."""
        if self.whole is None:
            return []
        return [(name, each) for name, each in self.whole.named_parameters() if each.requires_grad]


def prepare(
    accelerator: "Accelerator",
    model: "torch.nn.Module",
    optimization: Optimization,
    *,
    betas: tuple[float, float] = (0.9, 0.999),
) -> Training:
    """Hand a model to Accelerate: on its device, or on the CPU where it is to be spread over processes.

    Args:
        betas: of AdamW.

    Raises:
        OptionError: the optimizer is not installed, or not for this device or for shards; FSDP cannot shard the model so.
    """
    optimizer = build_optimizer(_trained(model), optimization, betas=betas, device=accelerator.device.type)
    whole: torch.nn.Module | None = model
    if accelerator.is_fsdp2:
        if optimization.optimizer == "adamw-8bit":
            raise OptionError(
                "--optimizer adamw-8bit cannot step weights that FSDP has spread over processes; use --optimizer adamw-fused"
            )
        whole = copy.deepcopy(model) if accelerator.is_main_process else None
    try:
        prepared, optimizer = accelerator.prepare(model, optimizer)
    except ValueError as error:
        if not accelerator.is_fsdp2:
            raise
        reason = " ".join(str(error).split())[:120]
        raise OptionError(
            f"FSDP cannot shard the model as Accelerate's configuration says ({reason}); fsdp_auto_wrap_policy: TRANSFORMER_BASED_WRAP "
            "without names of classes gathers a block at a time"
        ) from error
    parameters = _trained(prepared)
    average = None
    if optimization.ema_decay is not None:
        from diffusers.training_utils import EMAModel

        average = EMAModel(own_parts(parameters), decay=optimization.ema_decay, foreach=True)
    return Training(
        accelerator=accelerator,
        model=prepared,
        whole=whole,
        optimizer=optimizer,
        parameters=parameters,
        average=average,
        optimization=optimization,
    )


def _trained(model: "torch.nn.Module") -> "list[torch.nn.Parameter]":
    return [each for each in model.parameters() if each.requires_grad]
