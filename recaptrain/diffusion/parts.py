"""The trained parts of a pipeline as one module: what Accelerate wraps, and FSDP spreads over processes, at once."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, Any

from recaptrain.training.preparing import Training

if TYPE_CHECKING:
    import torch

    from recaptrain.diffusion.conditioning import Pipeline


def join(parts: "Mapping[str, torch.nn.Module]") -> "torch.nn.Module":
    """One module of parts by name, which is called with what is to be computed with them.

    A wrapper gathers weights, or gradients, where the module that it wraps is called: so all that a step computes with trained parts
    happens in that call, in whatever order a pipeline has.
    """
    made: torch.nn.Module = _module()(parts)
    return made


@cache
def _module() -> Any:
    import torch

    class Parts(torch.nn.ModuleDict):
        def forward(self, compute: Callable[[Mapping[str, Any]], Any]) -> Any:
            return compute(dict(self.items()))

        @property
        def _no_split_modules(self) -> list[str]:
            """Classes of blocks that FSDP gathers one at a time, where its policy is to follow what the parts say."""
            there = {type(each).__name__ for each in self.modules()}
            return sorted(
                {
                    name
                    for part in self.values()
                    for name in getattr(part, "_no_split_modules", None) or ()
                    if name in there
                }
            )

    return Parts


@contextmanager
def gathered(pipeline: "Pipeline", training: Training) -> Iterator[None]:
    """A context in which a pipeline has its trained parts whole, as they were gathered last; for the main process."""
    if not training.accelerator.is_fsdp2:
        yield
        return
    own = {name: getattr(pipeline, name) for name in whole_parts(training)}
    for name, part in whole_parts(training).items():
        setattr(pipeline, name, part.to(training.accelerator.device))
    try:
        yield
    finally:
        for name, part in own.items():
            getattr(pipeline, name).to("cpu")
            setattr(pipeline, name, part)


def whole_parts(training: Training) -> "dict[str, torch.nn.Module]":
    """The trained parts by name, without wrappers, whole; none on processes that have but shards of them."""
    whole: Any = training.whole
    return {} if whole is None else dict(whole.items())
