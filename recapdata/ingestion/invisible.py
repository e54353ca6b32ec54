"""Characters that cannot be seen and mean nothing: byte-order marks and zero-width blanks, as editors and web pages leave them.

Joiners that shape letters and emoji (U+200C, U+200D) mean something and are none of them.
"""

import re

_INVISIBLE = re.compile("[\u200b\u2060\ufeff\u180e]")


def without_invisible(text: str) -> str:
    """The text without them."""
    return _INVISIBLE.sub("", text)
