"""recaptrain trains captioners and diffusion models on any dataset revision and measures what the captions changed."""

from typing import TYPE_CHECKING

from recapdata.lazy import lazy_names

if TYPE_CHECKING:
    from recaptrain.api import (
        evaluate,
        generate,
        humans,
        judge,
        reproduce,
        train_captioner,
        train_diffusion,
        upsample,
    )

__all__ = [
    "evaluate",
    "generate",
    "humans",
    "judge",
    "reproduce",
    "train_captioner",
    "train_diffusion",
    "upsample",
]

__getattr__, __dir__ = lazy_names(__name__, dict.fromkeys(__all__, "recaptrain.api"))
