"""What a caption speaks of and how long it is: one small row per caption, plain numbers that any summary can add up.

The set-level figures (shares of captions with a claim of each kind, claims per caption and per 100 words, captions beyond CLIP's
context, all with bootstrap intervals) are made from these rows by `audits.summary`.
"""

from __future__ import annotations

import gzip
import html
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from recapdata.records import CLAIM_KINDS, Claim, ClaimKind

if TYPE_CHECKING:
    from tokenizers import Tokenizer

#: Tokens of CLIP's text encoder, start and end tokens included: what is beyond is cut off.
CLIP_CONTEXT = 77
#: Merges that CLIP uses of its file (openai/CLIP, simple_tokenizer.py): with 2 x 256 bytes and 2 special tokens, 49,408 entries.
_MERGES = 49152 - 256 - 2
_WORD = re.compile(r"\w+(?:['’.,-]\w+)*")
#: How CLIP cuts a text before it merges bytes (openai/CLIP, simple_tokenizer.py).
_PIECES = r"'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"


@dataclass(frozen=True, slots=True)
class CaptionFigures:
    """The numbers of one caption.

    Attributes:
        words: words, a number or a hyphenated compound counting as one.
        clip_tokens: tokens of CLIP's tokenizer with start and end; more than `CLIP_CONTEXT` do not fit.
        claims: number of claims of each kind; every kind is there.
    """

    words: int
    clip_tokens: int
    claims: Mapping[ClaimKind, int]

    @property
    def truncated(self) -> bool:
        """Whether CLIP reads only the beginning."""
        return self.clip_tokens > CLIP_CONTEXT


def caption_figures(caption: str, claims: Sequence[Claim]) -> CaptionFigures:
    """The row of a caption and the claims found in it."""
    kinds = Counter(claim.kind for claim in claims)
    return CaptionFigures(
        words=count_words(caption),
        clip_tokens=count_clip_tokens(caption),
        claims=MappingProxyType({kind: kinds[kind] for kind in CLAIM_KINDS}),
    )


def count_words(caption: str) -> int:
    return len(_WORD.findall(caption))


def count_clip_tokens(caption: str) -> int:
    """Tokens of CLIP's byte-pair vocabulary, the start and end tokens included.

    Text is cleaned as open_clip's tokenizer does it: wrongly decoded text, HTML entities, white space, lower case.
    """
    if not caption.isascii():
        import ftfy  # comes with open_clip

        caption = ftfy.fix_text(caption)
    cleaned = " ".join(html.unescape(html.unescape(caption)).split()).lower()
    return len(_clip_tokenizer().encode(cleaned, add_special_tokens=False).ids) + 2


@lru_cache(maxsize=1)
def _clip_tokenizer() -> Tokenizer:
    """CLIP's tokenizer on the vocabulary that open_clip carries, without importing open_clip, which imports torch."""
    from tokenizers import Regex, Tokenizer
    from tokenizers.models import BPE
    from tokenizers.pre_tokenizers import ByteLevel, Split
    from tokenizers.pre_tokenizers import Sequence as Steps

    spec = find_spec("open_clip")
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError("No module named 'open_clip'", name="open_clip")  # as an import of it would
    lines = gzip.decompress((Path(spec.origin).parent / "bpe_simple_vocab_16e6.txt.gz").read_bytes())
    merges = [
        (pair[0], pair[1]) for pair in map(str.split, lines.decode("utf8").split("\n")[1 : _MERGES + 1])
    ]
    letters = list(_byte_letters())
    words = [*letters, *(letter + "</w>" for letter in letters), *("".join(merge) for merge in merges)]
    model = BPE(
        vocab={word: number for number, word in enumerate(words)},
        merges=merges,
        continuing_subword_prefix="",
        end_of_word_suffix="</w>",
    )
    tokenizer = Tokenizer(model)
    tokenizer.pre_tokenizer = Steps(
        [Split(Regex(_PIECES), "removed", invert=True), ByteLevel(add_prefix_space=False, use_regex=False)]
    )
    return tokenizer


def _byte_letters() -> list[str]:
    """The printable letter that stands for each byte in a byte-pair vocabulary, in CLIP's order (GPT-2's table)."""
    printable = [
        *range(ord("!"), ord("~") + 1),
        *range(ord("¡"), ord("¬") + 1),
        *range(ord("®"), ord("ÿ") + 1),
    ]
    others = 256 - len(printable)
    return [chr(byte) for byte in printable] + [chr(256 + number) for number in range(others)]
