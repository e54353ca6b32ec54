"""What a stranger's processor may make of a picture: its sizes are checked before any picture is given to it.

A processor's configuration says to how many pixels, tiles and patches it brings every picture, whatever that had. So a few bytes could ask for
more memory than there is, where a dataset's pictures are bounded.
"""

import sys
from collections.abc import Mapping
from typing import Any

from recapdata.errors import ModelNotSupported

MOST_SIDE = 4_096
"""Pixels along a side that a picture may be brought to."""
MOST_PIXELS = 2**22
"""Pixels that a picture may be brought to at least, by processors that count them all."""
MOST_PARTS = 256
"""Tiles, crops or frames of a picture."""
MOST_PATCHES = 2**16
"""Patches or tokens of a picture."""
MOST_TOKENS = 2**14
"""Tokens that a processor writes for a picture, whatever that is: attention to all of them takes a gigabyte."""
_SIDES = ("size", "edge", "height", "width", "resolution", "side", "pinpoint")
_PARTS = ("tile", "crop", "slice", "frame", "split")
_PATCHES = ("patches", "token", "seq_length")
_COUNTING = "smart_resize"
"""The function, in a processor's module, by which `shortest_edge` and `longest_edge` of its size are numbers of all pixels."""


def check_processor(processor: Any, name: str) -> None:
    """Refuse a processor that would make more of a picture than any model sees.

    Args:
        processor: of pictures, or one that holds such as its `image_processor`; anything else is let pass.
        name: the model, for the message.

    Raises:
        ModelNotSupported: one of its sizes is too large.
    """
    from transformers.image_processing_base import ImageProcessingMixin

    inner = getattr(processor, "image_processor", processor)
    if inner is not processor:
        _check_tokens(processor, name)
    if not isinstance(inner, ImageProcessingMixin):
        return
    counting = hasattr(sys.modules.get(type(inner).__module__), _COUNTING)
    left: list[tuple[str, str, Any]] = [("", "", dict(vars(inner)))]
    while left:
        above, key, value = left.pop()
        if isinstance(value, list | tuple):
            left += ((above, key, each) for each in value)
        elif isinstance(value, Mapping) or _is_sizes(value):
            left += ((key, str(own), each) for own, each in dict(value).items())
        elif isinstance(value, int | float) and not isinstance(value, bool):
            most = _most(above, key, counting=counting)
            if most is not None and not value <= most:
                raise ModelNotSupported(
                    f"{name}: its processor of pictures says {key} {value:g}, more than {most:,}, which no model sees"
                )


def _check_tokens(processor: Any, name: str) -> None:
    """Refuse a processor that writes more tokens for a picture than any model reads: it repeats a text so often."""
    for key, value in vars(processor).items():
        counts = "seq_len" in key or ("num_" in key and key.endswith("tokens"))
        if counts and isinstance(value, int | float) and not value <= MOST_TOKENS:
            raise ModelNotSupported(
                f"{name}: its processor says {key} {value:g}, more than {MOST_TOKENS:,}, which no model reads"
            )


def _is_sizes(value: Any) -> bool:
    """Whether it is transformers' own mapping of sizes, which is none of Python's."""
    return type(value).__name__ == "SizeDict"


def _most(above: str, key: str, *, counting: bool) -> int | None:
    """The most that a number may be under a key, of an object under another; None where it says nothing of what is made."""
    if (key.startswith("max_") and key.endswith("pixels")) or (counting and key == "longest_edge"):
        return None  # pictures are made smaller by it
    if key.endswith("pixels") or (counting and key == "shortest_edge"):
        return MOST_PIXELS
    for words, most in ((_SIDES, MOST_SIDE), (_PATCHES, MOST_PATCHES), (_PARTS, MOST_PARTS)):
        if any(word in each for word in words for each in (above, key)):
            return most
    return None
