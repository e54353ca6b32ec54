"""Models of transformers: loaded at their pinned revision, for the device of this machine, with errors of one line."""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

from recapdata.errors import ModelNotSupported
from recapdata.models.building import building
from recapdata.models.opening import check_sizes, opening, read_json
from recapdata.models.processors import check_processor
from recapdata.models.sources import ModelSource

REFUSALS = (RuntimeError, ValueError, TypeError, IndexError, KeyError, AttributeError, ArithmeticError)
"""What processors and models raise on an input they cannot take; one image must not end a night's run."""


ADAPTER = "adapter_config.json"


def leave_a_core() -> None:
    """Keep the model off one core, which decodes: threads that wait for each other there cost many times what they bring.

    The number depends on the machine alone, since sums in another order could end in other words.
    """
    import torch

    if "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(max(1, (os.cpu_count() or 1) - 1))


def device_and_dtype() -> tuple[str, str]:
    """Device and dtype that suit this machine."""
    import torch

    if torch.cuda.is_available():
        return "cuda", "bfloat16" if torch.cuda.is_bf16_supported() else "float16"
    if torch.backends.mps.is_available():
        return "mps", "float16"
    return "cpu", "float32"


def is_memory(error: BaseException) -> bool:
    """Whether memory did not suffice, on whatever device."""
    import torch

    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return "alloc" in str(error) and "memory" in str(error)  # how the CPU allocator says it


@contextmanager
def quiet() -> Iterator[None]:
    """Keep the library's remarks on generation options off the progress bar."""
    from transformers.utils import logging as library

    before = library.get_verbosity()
    library.set_verbosity(logging.ERROR)
    try:
        yield
    finally:
        library.set_verbosity(before)


@contextmanager
def loading(source: ModelSource) -> Iterator[None]:
    """Turn what the library raises about a model that it cannot load into one line."""
    from transformers.utils import logging as library

    bars = library.is_progress_bar_enabled()
    library.disable_progress_bar()
    try:
        name = f"{source.name} at {source.revision}"
        with opening(name, f"{source.name} cannot be loaded by transformers"), quiet():
            yield
    finally:
        if bars:
            library.enable_progress_bar()


def load_pretrained(loader: Any, source: ModelSource, **options: Any) -> Any:
    """What a class of transformers loads of a model at its revision; no code of the model's repository is run.

    Args:
        loader: a class with `from_pretrained`: a configuration, a processor, a model.

    Raises:
        ModelNotSupported: files are missing, do not fit the class, or would make more of a picture than any model sees.
        HubError: the Hub cannot be reached.
    """
    check_sizes(source, "config.json")
    if read_json(source, ADAPTER) is not None:
        raise ModelNotSupported(
            f"{source.name} holds an adapter ({ADAPTER}), which may stand for another model: give a model with its adapter merged"
        )
    builds = "Model" in loader.__name__  # what reads a configuration or a tokenizer needs no PyTorch
    with loading(source), building(source.name, source) if builds else nullcontext():
        loaded = loader.from_pretrained(
            source.location, revision=source.commit, trust_remote_code=False, **options
        )
    check_processor(loaded, source.name)
    return loaded
