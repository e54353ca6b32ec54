"""The tokens of a CoCa and back: open_clip's own tokenizer (CLIP's), or one of transformers that lies in the model's folder."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from recapdata.errors import ModelNotSupported
from recapdata.models.open_clip import OpenClipSource

_BEFORE_MARKS = re.compile(r" +(?=[.,;:!?%)\]}]|'(?:s|t|re|ve|m|ll|d)\b)")
"""CLIP's tokenizer takes every mark for a word of its own and does not keep where spaces were."""


class Words(Protocol):
    """A tokenizer; `end` is the token that ends a text."""

    @property
    def end(self) -> int: ...

    def start(self, text: str) -> list[int]:
        """The begin token and the tokens of a text."""

    def text(self, tokens: Sequence[int]) -> str:
        """What tokens say, special ones left out."""


@dataclass(frozen=True, slots=True)
class ClipWords:
    """CLIP's byte pairs (`SimpleTokenizer`): lower case, every word followed by a space."""

    tokenizer: Any
    end: int

    def start(self, text: str) -> list[int]:
        return [self.tokenizer.sot_token_id, *self.tokenizer.encode(text)]

    def text(self, tokens: Sequence[int]) -> str:
        special = set(self.tokenizer.all_special_ids)
        said = self.tokenizer.decode([token for token in tokens if token not in special])
        return _BEFORE_MARKS.sub("", said).strip()


@dataclass(frozen=True, slots=True)
class FolderWords:
    """A tokenizer of transformers, with the token that it begins a text with."""

    tokenizer: Any
    begin: int
    end: int

    def start(self, text: str) -> list[int]:
        return [self.begin, *self.tokenizer(text, add_special_tokens=False)["input_ids"]]

    def text(self, tokens: Sequence[int]) -> str:
        return str(self.tokenizer.decode(list(tokens), skip_special_tokens=True)).strip()


def open_words(source: OpenClipSource) -> Words:
    """The tokenizer of a model.

    Raises:
        ModelNotSupported: it cannot be loaded, or has no tokens to begin and end a text with.
    """
    from open_clip.tokenizer import SimpleTokenizer

    outer: Any = source.load_tokenizer()
    if isinstance(outer, SimpleTokenizer):
        return ClipWords(outer, outer.eot_token_id)
    tokenizer = getattr(outer, "tokenizer", None)
    begin = getattr(tokenizer, "bos_token_id", None)
    end = getattr(tokenizer, "eos_token_id", None)
    if begin is None:
        begin = getattr(tokenizer, "cls_token_id", None)
    if end is None:
        end = getattr(tokenizer, "sep_token_id", None)
    if begin is None or end is None:
        raise ModelNotSupported(
            f"the tokenizer of {source.name} has no tokens to begin and end a text with, so it cannot write captions"
        )
    return FolderWords(tokenizer, begin, end)
