"""The optional parts of the installation: which extra of `pyproject.toml` brings which modules, and the line that installs it."""

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from types import TracebackType

from recapdata.errors import MissingExtra

MODELS = ("torch", "torchvision", "transformers", "open_clip", "safetensors")
READING = ("spacy", "thinc", "ftfy", "py3langid", "threadpoolctl", "tokenizers")

EXTRAS = {
    "caption": MODELS,
    "audit": (*MODELS, *READING),
    "view": ("fiftyone", "eta", "bson", *MODELS, *READING),
    "train": ("accelerate", "diffusers", "peft", "tensorboardX", *MODELS),
    "hub": ("pygit2", "starlette", "uvicorn"),
    "ray": ("ray",),
    "ocr": ("rapidocr", "onnxruntime"),
    "onnx": ("onnxruntime",),
    "evaluate": (
        "evalica",
        "scipy",
        "starlette",
        "torch_fidelity",
        "uvicorn",
        "accelerate",
        "diffusers",
        "peft",
        "tensorboardX",
        *MODELS,
        *READING,
    ),
}
"""Extra → the top-level modules that it brings and the core does not."""

OWN = {"recapdata": "caption", "audits": "audit", "recaptrain": "train"}
"""Package → the extra that its commands need: it is named where several bring the missing module."""

ENTRANCES = ("recapdata.console", "recapdata.extras")
"""Modules that every command passes through, whatever package it belongs to."""


@contextmanager
def naming_extras() -> Iterator[None]:
    """Word a missing optional module as the line that installs it; also a decorator of functions.

    Raises:
        MissingExtra: in place of the `ModuleNotFoundError` of a module in `EXTRAS`; others pass.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        module = (error.name or "").partition(".")[0]
        extras = [name for name, modules in EXTRAS.items() if module in modules]
        if not extras:
            raise
        wanted = _command_extra(error.__traceback__)
        raise MissingExtra(_line([module], wanted if wanted in extras else extras[0])) from error


def require(*modules: str, extra: str) -> None:
    """Check that optional modules are installed, before a long run gets to where it needs them.

    Raises:
        MissingExtra: one is not.
    """
    missing = [module for module in modules if find_spec(module) is None]
    if missing:
        raise MissingExtra(_line(missing, extra))


def _line(modules: list[str], extra: str) -> str:
    are = "is" if len(modules) == 1 else "are"
    return (
        f"this needs {' and '.join(modules)}, which {are} not installed; "
        f"install with: pip install 'recapdata[{extra}]'"
    )


def _command_extra(traceback: TracebackType | None) -> str | None:
    """The extra of the package whose command or function was called: the outermost of ours in a traceback."""
    while traceback is not None:
        module = traceback.tb_frame.f_globals.get("__name__", "")
        if module not in ENTRANCES and (extra := OWN.get(module.partition(".")[0])):
            return extra
        traceback = traceback.tb_next
    return None
