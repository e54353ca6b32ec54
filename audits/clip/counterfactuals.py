"""Counterfactual captions (hard negatives): a caption with one color, count, position or object exchanged, to see whether an image tells them apart.

A counterfactual keeps the caption's grammar (a/an, plural, letter case, digits or number words) and is a plausible thing to say: what may
take whose place stands in `counterfactual.yaml`. It depends on nothing but the image's key and the claim, so that a run
repeated makes the same ones. A claim that nothing in the table fits is left alone.
"""

import hashlib
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import yaml

from audits.extraction.words import INVARIABLE, IRREGULAR, NUMBERS, singular
from audits.lexicon import load_lexicon
from audits.rules import rules
from recapdata.records import Claim, ClaimKind

TABLE = "counterfactuals.yaml"
KINDS: tuple[ClaimKind, ...] = ("object", "count", "color", "position")
"""The kinds of claims that are exchanged; at most one of each kind a caption."""

_NUMBER_WORDS = {number: word for word, number in NUMBERS.items() if number <= 12}
#: Words for a number that are not numbers themselves, with the number of words they take before their noun.
_GROUPS = re.compile(r"\b(?:a pair of|a couple of|a trio of|half a dozen|a dozen(?: of)?)(?= )", re.I)
_ARTICLE = re.compile(r"\b(an?)(\s+)$", re.I)
_VOWEL = re.compile(r"(?!uni|use|eu|one\b|ukul)[aeiou]|hour|honest", re.I)
_PLURALS = {single: plural for plural, single in reversed(IRREGULAR.items())}

Edit = tuple[int, int, str]


@dataclass(frozen=True, slots=True)
class Counterfactual:
    """A caption with one claim changed.

    Attributes:
        kind: the kind of the claim.
        span: where the changed claim stands in the caption, code points.
        edits: what is put in which places instead, in order; the claim's own and whatever must agree with it.
    """

    kind: ClaimKind
    span: tuple[int, int]
    edits: tuple[Edit, ...]

    def text(self, caption: str, start: int = 0, end: int | None = None) -> str:
        """The caption as the counterfactual has it, or the part of it from `start` to `end`."""
        end = len(caption) if end is None else end
        parts, place = [], start
        for first, last, words in self.edits:
            if start <= first and last <= end:
                parts += [caption[place:first], words]
                place = last
        return "".join([*parts, caption[place:end]])


@dataclass(frozen=True, slots=True)
class _Table:
    colors: tuple[str, ...]
    near: dict[str, list[str]]
    natural: dict[str, list[str]]
    objects: dict[str, tuple[str, ...]]
    positions: dict[str, dict[str, str]]


def counterfactuals(key: str, caption: str, claims: Sequence[Claim]) -> list[Counterfactual]:
    """The counterfactuals to set against a caption: for each kind the first of its claims, in an order drawn by the key, that has one."""
    found = []
    for kind in KINDS:
        mine = [claim for claim in claims if claim.kind == kind]
        mine.sort(key=lambda claim: _draw(key, claim, "claim"))
        exchanged = (_EXCHANGES[kind](key, caption, claim) for claim in mine)
        edits = next(filter(None, exchanged), [])
        if edits:
            found.append(Counterfactual(kind, (edits[0][0], edits[0][1]), tuple(_agreed(caption, edits))))
    return found


def counterfactuals_identity() -> str:
    """What counterfactuals depend on beside captions and claims: the version of these rules and of their table."""
    return rules("counterfactual")


# --- one claim of each kind: the places to change, the claim's own first ---------------------------------------------------


def _other_color(key: str, caption: str, claim: Claim) -> list[Edit]:
    table = _table()
    meanings = load_lexicon().color(claim.color or "")
    place = _place(caption, claim.span, re.split(r"[ -]", claim.color or "")[-1])
    if not meanings or place is None:
        return []
    last = (claim.object or "").lower().split()[-1:]
    among = table.natural.get(last[0], list(table.colors)) if last else list(table.colors)
    close = meanings | {each for meaning in meanings for each in table.near[meaning]}
    if re.search(r"\b(?:dark|light|pale|bright|deep)[ -]$", caption[: place[0]], re.I):
        close = close | {"black", "white", "gray"}  # nothing is a light black
    others = [color for color in among if color not in close and not _says(caption, color)]
    return [(*place, _cased(caption, place, _pick(key, claim, others)))] if others else []


def _other_count(key: str, caption: str, claim: Claim) -> list[Edit]:
    """Another number of at least two, so that noun and verb stay as they are."""
    count = claim.count or 0
    others = [each for each in (count - 2, count - 1, count + 1, count + 2) if each >= 2]
    if count < 2 or not others:
        return []
    other = _pick(key, claim, [str(each) for each in others])
    words = _NUMBER_WORDS.get(int(other), other)
    start, end = claim.span
    digits = re.search(rf"(?<![\w.,]){count}(?![\w.,]*\d)", caption[start:end])
    if digits:
        return [(start + digits.start(), start + digits.end(), other)]
    spelled = next((word for word, number in NUMBERS.items() if number == count), None)
    place = _place(caption, claim.span, spelled) if spelled else None
    if place is None:
        group = _GROUPS.search(caption, max(start - 8, 0), end)
        place = (group.start(), group.end()) if group else None
    return [(*place, _cased(caption, place, words))] if place is not None else []


def _other_place(key: str, caption: str, claim: Claim) -> list[Edit]:
    exchanged = _table().positions.get(claim.relation or claim.region or "", {})
    for words, instead in exchanged.items():
        place = _place(caption, claim.span, words)
        if place is not None:
            return [(*place, _cased(caption, place, instead))]
    return []


def _other_object(key: str, caption: str, claim: Claim) -> list[Edit]:
    """Another thing wherever the caption names this one; a phrase ("golden retriever puppy") is changed as a whole."""
    noun = (claim.object or "").lower()
    phrase = _surface(caption[slice(*claim.span)], noun)
    if phrase is None:
        return []
    single = " ".join([*phrase.split()[:-1], singular(phrase.split()[-1])])
    group = _row(noun) or _row(single)
    others = [each for each in group if not _says(caption, each) and not _says(caption, plural(each))]
    if not others:
        return []
    other = _pick(key, claim, others)
    forms = {
        single: other,
        plural(single): plural(other),
        phrase: other if phrase == single else plural(other),
    }
    own = claim.span[1] - len(phrase)
    pattern = "|".join(re.escape(form) for form in sorted(forms, key=len, reverse=True))
    places = [match.span() for match in re.finditer(rf"(?<![\w-])(?:{pattern})(?![\w-])", caption, re.I)]
    if (own, claim.span[1]) not in places:
        return []
    places.sort(key=lambda place: place[0] != own)
    return [(*place, _cased(caption, place, forms[caption[slice(*place)].lower()])) for place in places]


_EXCHANGES: dict[ClaimKind, Callable[[str, str, Claim], list[Edit]]] = {
    "object": _other_object,
    "count": _other_count,
    "color": _other_color,
    "position": _other_place,
}


# --- words -----------------------------------------------------------------------------------------------------------------


def plural(noun: str) -> str:
    """The plural of a noun, by rule; of a compound, that of its last word."""
    *before, last = noun.split(" ")
    if last in _PLURALS:
        last = _PLURALS[last]
    elif last.endswith(("s", "x", "ch", "sh", "tomato", "potato")):
        last += "es"
    elif last.endswith("y") and last[-2:-1] not in "aeiou":
        last = f"{last[:-1]}ies"
    elif last not in ("broccoli", "pasta", "pants", "shorts", "jeans", "sheep", "fish"):
        last += "s"
    return " ".join([*before, last])


def _agreed(caption: str, edits: Sequence[Edit]) -> Iterator[Edit]:
    """The edits in order, with the articles before them: "an orange" → "a pear"."""
    for start, end, words in sorted(edits):
        article = _ARTICLE.search(caption, max(start - 8, 0), start)
        if article is not None:
            right = "an" if _VOWEL.match(words) else "a"
            if article[1].lower() != right:
                yield article.start(1), article.end(1), _cased(caption, article.span(1), right)
        yield start, end, words


def _surface(text: str, noun: str) -> str | None:
    """The words at the end of a claim's span that name its noun, in lower case; None where they do not."""
    words = text.lower().split()[-len(noun.split()) :]
    if not words or not noun or words[-1] in INVARIABLE:
        return None  # "three sheep" and "a sheep" would need different words in their place
    if words[-1][:3] != noun.split()[-1][:3] and singular(words[-1]) != noun.split()[-1]:
        return None
    phrase = " ".join(words)
    return phrase if text.lower().endswith(phrase) else None


def _row(noun: str) -> tuple[str, ...]:
    """What could stand in a noun's place: of the whole phrase, else of its head."""
    objects = _table().objects
    return tuple(each for each in objects.get(noun) or objects.get(noun.split()[-1], ()) if each != noun)


def _place(caption: str, span: tuple[int, int], words: str) -> tuple[int, int] | None:
    found = re.compile(rf"(?<!\w){re.escape(words)}(?!\w)", re.I).search(caption, *span)
    return found.span() if found else None


def _says(caption: str, word: str) -> bool:
    return re.search(rf"\b{re.escape(word)}\b", caption, re.I) is not None


def _cased(caption: str, place: tuple[int, int], words: str) -> str:
    """The words in the letter case of what they take the place of."""
    old = caption[slice(*place)]
    if old.isupper() and (len(old) > 1 or caption.isupper()):
        return words.upper()
    return words[:1].upper() + words[1:] if old[:1].isupper() else words


def _pick(key: str, claim: Claim, others: Sequence[str]) -> str:
    return min(others, key=lambda other: _draw(key, claim, other))


def _draw(key: str, claim: Claim, what: str) -> bytes:
    return hashlib.blake2b(f"{key} {claim.kind} {claim.span} {what}".encode(), digest_size=8).digest()


@cache
def _table() -> _Table:
    table: dict[str, Any] = yaml.safe_load(files("audits.clip").joinpath(TABLE).read_bytes())
    return _Table(
        colors=tuple(table["colors"]),
        near=table["near"],
        natural={noun: row["colors"] for row in table["natural"] for noun in row["nouns"]},
        objects={noun: tuple(row) for row in table["objects"] for noun in row},
        positions=table["positions"],
    )
