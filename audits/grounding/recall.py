"""What is there and was not said: objects by how much of the image they cover, their numbers, their colors, words.

Objects are counted by class. How large an object is follows COCO: small under 32² pixels, large from 96² on, taken as shares of
COCO's picture of 640×480, so that a picture of another resolution is judged alike. A class is as large as its largest object.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from audits.evidence import Evidence, Observation
from audits.extraction.words import plural, quantity
from audits.grounding.quoted_text import quoted
from audits.lexicon import meaning
from recapdata.dataset.audit_files import EXTENTS
from recapdata.records import Claim

MEDIUM = 32**2 / (640 * 480)
LARGE = 96**2 / (640 * 480)
"""Shares of the image's area from which on an object is medium, and large."""


@dataclass(frozen=True, slots=True)
class Share:
    """Of so many things that are there, so many were said; None where no source looks for them."""

    present: int | None = None
    said: int | None = None

    @property
    def both(self) -> tuple[int | None, int | None]:
        """Present, said."""
        return self.present, self.said


@dataclass(frozen=True, slots=True)
class Recall:
    """How much of what is there a caption says, and the names of the rest.

    Attributes:
        shares: by the names of `SHARES`.
    """

    shares: Mapping[str, Share]
    missed: tuple[str, ...]


WORD = "the word "
"""What the name of a word that is written in the picture begins with, in `Recall.missed`."""
SHARES = ("objects", *(f"objects {extent}" for extent in EXTENTS), "counts", "colors", "texts")


def recall(claims: Sequence[Claim], evidence: Sequence[Evidence]) -> Recall:
    """How much of what the evidence shows the claims speak of.

    Args:
        claims: with their verdicts; a wrong number or color says nothing.
    """
    lookers = [each for each in evidence if each.scope.classes and "object" in each.scope.kinds]
    there = _extents(lookers)
    said = {class_: _claims_of(class_, claims, evidence) for class_ in {*there, *_colored(evidence)}}
    mentioned = [class_ for class_ in there if any(claim.kind == "object" for claim in said[class_])]
    missed = [class_ for class_ in there if class_ not in mentioned]
    shares = {"objects": _share(lookers, list(there), mentioned)}
    for size in EXTENTS:
        alike = [class_ for class_, found in there.items() if found == size]
        shares[f"objects {size}"] = _share(lookers, alike, [each for each in alike if each in mentioned])
    seers = [each for each in evidence if "color" in each.scope.attributes]
    for kind, known, sources in (
        ("count", _several(lookers), lookers),
        ("color", _colored(seers), seers),
    ):
        right = [class_ for class_ in known if _right(kind, said.get(class_, ()))]
        shares[f"{kind}s"] = _share(sources, list(known), right)
        # Of what was not mentioned at all, the number and the color are not missed on top.
        missed += [found for class_, found in known.items() if class_ in mentioned and class_ not in right]
    shares["texts"], unread = _texts(claims, evidence)
    return Recall(shares, (*missed, *(f'{WORD}"{text}"' for text in unread)))


def things_and_words(missed: Sequence[str]) -> tuple[list[str], list[str]]:
    """What a caption misses, parted into things with their numbers and colors, and quoted words of the picture."""
    words = [each.removeprefix(WORD) for each in missed if each.startswith(f'{WORD}"')]
    return [each for each in missed if not each.startswith(f'{WORD}"')], words


def extent(seen: Observation, width: int, height: int) -> str:
    """Whether an object covers a small, medium or large part of its image; one without a box is taken for medium."""
    if seen.area is None and seen.bbox is None:
        return EXTENTS[1]
    area = seen.area if seen.area is not None else seen.bbox[2] * seen.bbox[3]  # type: ignore[index]
    share = area / max(width * height, 1)
    return EXTENTS[(share >= MEDIUM) + (share >= LARGE)]


def _share(sources: Sequence[Evidence], present: Sequence[str], said: Sequence[str]) -> Share:
    return Share(len(present), len(said)) if sources else Share()


def _extents(evidence: Sequence[Evidence]) -> dict[str, str]:
    """The largest extent of each class seen by any source, in the order seen; what is only a written word is counted as text."""
    found: dict[str, str] = {}
    for each in evidence:
        for seen in each.objects:
            if seen.category in each.scope.classes - each.scope.prompted and seen.text is None:
                size = extent(seen, each.width, each.height)
                found[seen.category] = max(found.get(seen.category, size), size, key=EXTENTS.index)
    return found


def _several(evidence: Sequence[Evidence]) -> dict[str, str]:
    """Classes of which the first source that sees them shows more than one, and how many, as in `6 dining tables`."""
    found: dict[str, str] = {}
    for each in evidence:
        sure = [seen for seen in each.objects if seen.score is None or seen.score >= each.counting]
        counted = each.scope.classes - each.scope.prompted
        names = [seen.category for seen in sure if seen.category in counted and seen.text is None]
        for name in dict.fromkeys(names):
            if names.count(name) > 1 and name not in each.uncounted | each.unplaced:
                found.setdefault(str(name), quantity(names.count(name), str(name)))
    return found


def _colored(evidence: Sequence[Evidence]) -> dict[str, str]:
    """Classes whose color some source is sure of, and the leading colors of their objects, as in `a red car`, `gray and white dogs`."""
    found: dict[str, list[str]] = {}
    for each in evidence:
        for seen in each.objects if "color" in each.scope.kinds else ():
            if seen.category is None or seen.category in each.scope.prompted or seen.text is not None:
                continue
            if seen.colors and seen.sure:
                found.setdefault(seen.category, []).append(seen.colors[0])
    return {class_: _colored_words(class_, colors) for class_, colors in found.items()}


def _colored_words(class_: str, colors: Sequence[str]) -> str:
    """Objects of a class with their colors, one for each."""
    words = " and ".join(dict.fromkeys(colors))
    if len(colors) > 1:
        return f"{words} {plural(class_)}"
    return f"{'an' if words[:1] in 'aeiou' else 'a'} {words} {class_}"


def _claims_of(class_: str, claims: Sequence[Claim], evidence: Sequence[Evidence]) -> list[Claim]:
    """The claims about a thing that may be of the class."""
    classes = frozenset().union(*(each.scope.classes for each in evidence))
    meanings = {
        noun: meaning(noun, classes)
        for noun in {claim.object for claim in claims if claim.kind in ("object", "count", "color")}
        if noun is not None
    }
    fitting = {noun for noun, found in meanings.items() if class_ in found.supporting}
    return [
        claim for claim in claims if claim.kind in ("object", "count", "color") and claim.object in fitting
    ]


def _right(kind: str, claims: Sequence[Claim]) -> bool:
    return any(claim.kind == kind and claim.verdict == "supported" for claim in claims)


def _texts(claims: Sequence[Claim], evidence: Sequence[Evidence]) -> tuple[Share, list[str]]:
    """How many of the words that were surely read the caption quotes, and the others.

    Where a source knows every word of the picture, what another one reads beside them is a misreading.
    """
    quotes = [claim.text for claim in claims if claim.kind == "text" and claim.text]
    readers = [each for each in evidence if "text" in each.scope.attributes]
    readers = [each for each in readers if each.scope.complete] or readers
    read: dict[str, bool] = {}
    for each in readers:
        for seen in each.objects:
            sure = seen.score is None or seen.score >= each.counting
            if seen.text and sure and any(map(str.isalnum, seen.text)):  # no star or rule taken for a letter
                read.setdefault(seen.text, quoted(seen.text, quotes, exact=each.scope.complete))
    missed = [text for text, said in read.items() if not said]
    return _share(readers, list(read), [text for text, said in read.items() if said]), missed
