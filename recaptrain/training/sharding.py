"""Weights that FSDP has spread over processes: the part that a process holds, and the whole that they make together."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch


def own_parts(parameters: "Iterable[Any]") -> "list[torch.nn.Parameter]":
    """What this process holds of parameters: each itself, or its shard where it is spread, which shares its memory."""
    import torch

    return [
        torch.nn.Parameter(each.detach().to_local(), requires_grad=each.requires_grad)
        if _spread(each)
        else each
        for each in parameters
    ]


def whole(tensor: Any) -> Any:
    """A tensor, gathered from all processes where it is spread over them; anything else as it is. Call on every process."""
    return tensor.full_tensor() if _spread(tensor) else tensor


def reshard(model: "torch.nn.Module") -> None:
    """Have the next forward pass gather weights anew: without a backward pass those of the last one stay, whatever becomes of shards."""
    from torch.distributed.fsdp import FSDPModule

    for module in model.modules():
        if isinstance(module, FSDPModule):
            module.reshard()


def join_parts(parts: "Iterable[torch.Tensor]", parameters: "Iterable[Any]") -> "list[torch.Tensor]":
    """The tensors that parts make which are laid out as parameters are, on the CPU. Call on every process."""
    from torch.distributed.tensor import DTensor

    return [
        DTensor.from_local(
            part, like.device_mesh, like.placements, shape=like.shape, stride=like.stride(), run_check=False
        )
        .full_tensor()
        .cpu()
        for part, like in zip(parts, parameters, strict=True)
    ]


def split_parts(tensors: "Iterable[torch.Tensor]", parameters: "Iterable[Any]") -> "list[torch.Tensor]":
    """What this process holds of tensors that are to be laid out as parameters are: the way back of `join_parts`."""
    from torch.distributed.tensor import distribute_tensor

    return [
        distribute_tensor(
            each.to(like.device), like.device_mesh, like.placements, src_data_rank=None
        ).to_local()
        for each, like in zip(tensors, parameters, strict=True)
    ]


def whole_weights(model: "torch.nn.Module") -> "dict[str, torch.Tensor]":
    """The trained weights of a sharded model by name, on the CPU of the main process; none on the others. Call on every process."""
    from torch.distributed.checkpoint.state_dict import StateDictOptions, get_model_state_dict

    options = StateDictOptions(full_state_dict=True, cpu_offload=True, ignore_frozen_params=True)
    weights: dict[str, Any] = get_model_state_dict(model, options=options)
    return weights


def load_weights(model: "torch.nn.Module", weights: dict[str, Any]) -> None:
    """Put whole weights, which every process has, into a sharded model; what is not among them stays."""
    from torch.distributed.checkpoint.state_dict import StateDictOptions, set_model_state_dict

    set_model_state_dict(model, weights, options=StateDictOptions(full_state_dict=True, strict=False))


def whole_optimizer(model: "torch.nn.Module", optimizer: Any) -> dict[str, Any]:
    """The state of an optimizer of a sharded model, on the CPU of the main process; none on the others. Call on every process."""
    from torch.distributed.checkpoint.state_dict import StateDictOptions, get_optimizer_state_dict

    options = StateDictOptions(full_state_dict=True, cpu_offload=True)
    return dict(get_optimizer_state_dict(model, optimizer, options=options))


def load_optimizer(model: "torch.nn.Module", optimizer: Any, state: dict[str, Any]) -> None:
    """Put the whole state of an optimizer, which every process has, into that of a sharded model."""
    from torch.distributed.checkpoint.state_dict import StateDictOptions, set_optimizer_state_dict

    set_optimizer_state_dict(model, optimizer, state, options=StateDictOptions(full_state_dict=True))


def _spread(tensor: Any) -> bool:
    return hasattr(tensor, "full_tensor")
