"""What is wrong with a caption before any image is looked at: flags on each row, and the habits of a whole set.

A flag never drops a row. Each is a question that a person can answer by reading the caption, and the table below is all
there is to it.
"""

from __future__ import annotations

import hashlib
import re
from array import array
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np

from audits.text import FLAGS as FORM_FLAGS
from audits.text import LONGEST, read_form
from audits.text.quotations import quotations

_REFUSAL = re.compile(
    r"\bas an ai\b|\bi(?:'m| am) (?:sorry|unable|not able|afraid)\b|\bi apologi[sz]e\b|\bmy apologies\b|^\W*sorry\b|"
    r"\bi (?:cannot|can't|can not|could not|couldn't|won't|will not|do not|don't) (?:\w+ ){0,3}"
    r"(?:assist|help|describe|identify|provide|see|view|access|comply|fulfil|fulfill|process|recognize|determine|generate)\b|"
    r"\b(?:unable|not able|not possible) to (?:\w+ )?(?:process|view|see|describe|identify|access|display|load)\b|"
    r"\bno image (?:was |is |has been )?(?:provided|attached|uploaded|available)\b|\bplease (?:provide|upload|share) (?:\w+ ){0,2}image\b",
    re.I,
)
_PICTURE = r"(?:image|picture|photo|photograph|illustration|scene|painting|drawing|caption)"
_BOILERPLATE = re.compile(
    rf"^\W*(?:(?:in )?(?:this|the) (?:\w+ )?{_PICTURE}(?:,| (?:there|we|i|you|one|shows?|depicts?|features?|captures?|displays?|"
    rf"presents?|portrays?|contains?|showcases?|illustrates?|consists?|can be|is (?:of|a|an|about|showing)))|"
    rf"(?:this|it) is an? (?:\w+ ){{0,3}}{_PICTURE} (?:of|showing|that|in which|and)|here (?:we|you|i) can see)|"
    rf"\b(?:the|this) {_PICTURE} (?:shows|depicts|features|captures|displays|portrays|showcases|conveys|exudes|evokes)\b|"
    r"\boverall,? (?:the|this|it)\b|\bthe overall (?:mood|atmosphere|scene|composition|impression|tone)\b|"
    r"\b(?:worth noting|important to note|can be seen that|adds? (?:a|an|to the) (?:\w+ )?(?:touch|sense|atmosphere|charm))\b",
    re.I,
)
_PROMPT = re.compile(
    r"<(?:image|img|s|/s|pad|eos|bos|unk|\|[^|>]+\|)>|<\|?(?:im_start|im_end|endoftext|start_header_id|assistant|user|system)\|?>|"
    r"\[/?INST\]|^\W*(?:user|assistant|human|system|answer|question|caption|description|alt[- ]text|output|response|prompt)\s*:|"
    r"\b(?:assistant|human|user)\s*:\s|###\s*(?:instruction|response|input)|"
    r"\b(?:describe|caption|write a (?:\w+ ){0,3}(?:caption|description|sentence) (?:of|for|about)) (?:this|the) (?:image|picture|photo)\b|"
    r"^\W*(?:sure|certainly|of course|absolutely)\b[!,.:]|\bhere(?:'s| is| are) (?:a|an|the|your|my|some) (?:\w+ ){0,3}"
    r"(?:caption|description|alt text|summary)\b|\bin (?:one|a single|1) sentence\b.*[:.]\s*$|\bword limit\b|"
    r"\bbased on the (?:image|picture|photo|alt text|prompt)\b",
    re.I,
)
_MARKUP = re.compile(
    r"</?[a-z][a-z0-9]*(?:\s[^<>]*)?/?>|&(?:[a-z]{2,8}|#\d{2,5});|\*\*\S|__\S+__|```|!?\[[^\]]*\]\([^)]*\)|^\s*(?:#{1,6}|[-*•])\s+\S|"
    r"https?://\S|\bwww\.\S|\S@\S+\.[a-z]{2,4}\b|\.(?:jpe?g|png|gif|webp|bmp|tiff?|svg)\b|[{]\s*[\"']|[\"']\s*:\s*[\"'\[{]|"
    r"\b(?:function|var|const|import|def|return|print)\s*[({]|;\s*}|\\n|\\u[0-9a-f]{4}|%[0-9A-F]{2}%",
    re.I | re.M,
)
_GARBLED = re.compile(
    "�|[\u0000-\u0008\u000b\u000c\u000e-\u001f\u0080-\u009f]|Ã[\u0080-¿]|â€|Â[\u00a0-¿]|ï»¿"
)
_LETTERS = re.compile(r"[^\W\d_]")
_LATIN = re.compile(r"[A-Za-zÀ-ɏḀ-ỿﬁﬂ]")
#: At the end of a caption these wait for what follows, whatever comes before.
_WAITING = frozenset(
    [
        "a",
        "an",
        "the",
        "and",
        "or",
        "but",
        "nor",
        "of",
        "with",
        "from",
        "for",
        "into",
        "onto",
        "as",
        "while",
        "because",
        "although",
        "his",
        "its",
        "their",
        "my",
        "our",
        "your",
        "this",
        "these",
        "which",
        "whose",
        "where",
        "when",
        "if",
        "than",
        "is",
        "are",
        "was",
        "were",
        "be",
        "been",
        "being",
        "has",
        "have",
        "very",
        "also",
        "such",
        "between",
        "including",
        "than",
        "among",
        "towards",
        "toward",
        "during",
        "without",
        "both",
        "either",
        "each",
        "every",
        "most",
        "some",
        "several",
        "many",
    ]
)
#: These may also end a relative clause ("the chair he sits in"); others end too much ("with a hat on", "from above").
_STRANDED = frozenset(["in", "at", "to"])
_ENDING_VERB = re.compile(r"(?:ing|ed|s|sits?|is|are|was|were|on|sat|stood)$", re.I)
_WORDS = re.compile(r"\w+(?:['’]\w+)?")
_FINAL = re.compile(r"[.!?…。！？][\"'”’»)\]]*\s*$")


def _refuses(caption: str) -> bool:
    return bool(_REFUSAL.search(_unquoted(caption.replace("’", "'"))))


def _opens_with_formula(caption: str) -> bool:
    return bool(_BOILERPLATE.search(caption))


def _leaks_prompt(caption: str) -> bool:
    return bool(_PROMPT.search(caption.replace("’", "'")))


def _has_markup(caption: str) -> bool:
    return bool(_MARKUP.search(caption))


def _is_garbled(caption: str) -> bool:
    return bool(_GARBLED.search(caption))


def _is_empty(caption: str) -> bool:
    return not any(letter.isalnum() for letter in caption)


def _unquoted(caption: str) -> str:
    """The caption without lettering: a sign may well say "I am sorry"."""
    for start, end in reversed(quotations(caption)):
        caption = caption[:start] + caption[end:]
    return caption


def _loops(caption: str) -> bool:
    """The same one to twelve words over and over (four times a word, three times a phrase), or half the text said before."""
    words = [word.lower() for word in _WORDS.findall(caption)]
    for length in range(1, min(12, len(words) // 3) + 1):
        needed, run = (3 if length == 1 else 2 * length), 0
        for index in range(len(words) - length):
            run = run + 1 if words[index] == words[index + length] else 0
            if run >= needed:
                return True
    if len(words) < 40:
        return False
    grams = list(zip(words, words[1:], words[2:], words[3:], strict=False))
    return len(set(grams)) < 0.5 * len(grams)


def _is_cut_off(caption: str) -> bool:
    """Ends in a word or mark that waits for more, or without a stop after sentences that have one."""
    text = caption.rstrip()
    if not text or _FINAL.search(text):
        return text.endswith(("...", "…"))
    if text.endswith((",", "-", "–", "—", ":", "(", "[", "&", "/")):
        return True
    words = _WORDS.findall(text)
    if not words or not text[-1].isalnum():
        return False
    last = words[-1].lower()
    if last in _WAITING:
        return True
    if last in _STRANDED and len(words) > 1 and not _ENDING_VERB.search(words[-2]):
        return True
    sentences = re.findall(r"[a-z)\"'”]\.\s+[A-Z]", text)
    return len(sentences) >= 2


def _is_in_another_script(caption: str) -> bool:
    """Three letters in ten or more are not Latin."""
    letters = _LETTERS.findall(caption)
    return len(letters) >= 3 and len(_LATIN.findall(caption)) < 0.7 * len(letters)


def _has_form(flag: str, caption: str) -> bool:
    return flag in read_form(caption).flags


#: Flag -> the question it answers, in the order in which flags are given.
FLAGS: Mapping[str, Callable[[str], bool]] = {
    "empty": _is_empty,
    "refusal": _refuses,
    "boilerplate": _opens_with_formula,
    "prompt_leakage": _leaks_prompt,
    "repetition": _loops,
    "cut_off": _is_cut_off,
    "wrong_script": _is_in_another_script,
    "garbled": _is_garbled,
    "markup": _has_markup,
    **{name: partial(_has_form, name) for name in FORM_FLAGS},
}


def flags(caption: str) -> tuple[str, ...]:
    """The names of `FLAGS` that hold for a caption; most have none.

    Of one of more than `LONGEST` code points both ends are read: some rules take quadratic time, and no caption has so many.
    """
    if len(caption) > LONGEST:
        caption = f"{caption[: LONGEST // 2]}\n{caption[-LONGEST // 2 :]}"
    return tuple(name for name, holds in FLAGS.items() if holds(caption))


# --- the habits of a set ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Habits:
    """The regularities of a caption set that a model would learn (DALL·E 3, appendix: it warns of exactly these).

    Attributes:
        captions: how many captions this rests on.
        lower_case, capitalized, upper_case: shares of captions without a capital letter, that open with one, that have
            no small letter; in that order of precedence for captions without letters: none.
        final_stop: share that ends in a full stop.
        words: quantiles of the length in words, at 0, 5, 25, 50, 75, 95 and 100 percent.
        first_words: the commonest first words (lower case) with their shares, most frequent first.
        repeated: share of captions that another row has word for word; `most_repeated` is how often the commonest occurs.
    """

    captions: int
    lower_case: float
    capitalized: float
    upper_case: float
    final_stop: float
    words: tuple[float, ...]
    first_words: tuple[tuple[str, float], ...]
    repeated: float
    most_repeated: int


QUANTILES = (0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 1.0)
SHOWN_FIRST_WORDS = 10
#: First words kept while counting; far more than a set has in earnest, so that a set of noise cannot fill memory.
MAX_FIRST_WORDS = 100_000


def habits(captions: Iterable[str]) -> Habits:
    """The habits of a stream of captions; 12 bytes of memory a caption, for finding repeated ones.

    Two captions count as the same where they differ only in white space and case.
    """
    cases: Counter[str] = Counter()
    first_words: Counter[str] = Counter()
    lengths, prints = array("i"), array("Q")
    stops = 0
    for caption in captions:
        words = _WORDS.findall(caption)
        lengths.append(len(words))
        normal = " ".join(caption.lower().split())
        prints.append(
            int.from_bytes(hashlib.blake2b(normal.encode("utf8"), digest_size=8).digest(), "little")
        )
        cases[_case(caption)] += 1
        stops += caption.rstrip().endswith(".")
        if words and (len(first_words) < MAX_FIRST_WORDS or words[0].lower() in first_words):
            first_words[words[0].lower()] += 1
    return _habits(cases, first_words, np.array(lengths), np.array(prints, dtype=np.uint64), stops)


def _case(caption: str) -> str:
    letters = _LETTERS.findall(caption)
    if not letters:
        return "none"
    if not any(letter.isupper() for letter in letters):
        return "lower"
    if len(letters) > 1 and not any(letter.islower() for letter in letters):
        return "upper"
    return "capitalized" if letters[0].isupper() else "mixed"


def _habits(
    cases: Counter[str], first_words: Counter[str], lengths: np.ndarray, prints: np.ndarray, stops: int
) -> Habits:
    total = len(lengths)
    if not total:
        return Habits(0, 0.0, 0.0, 0.0, 0.0, (0.0,) * len(QUANTILES), (), 0.0, 0)
    _, times = np.unique(prints, return_counts=True)
    return Habits(
        captions=total,
        lower_case=cases["lower"] / total,
        capitalized=cases["capitalized"] / total,
        upper_case=cases["upper"] / total,
        final_stop=stops / total,
        words=tuple(float(value) for value in np.quantile(lengths, QUANTILES)),
        first_words=tuple(
            (word, count / total) for word, count in first_words.most_common(SHOWN_FIRST_WORDS)
        ),
        repeated=float(times[times > 1].sum() / total),
        most_repeated=int(times.max()),
    )
