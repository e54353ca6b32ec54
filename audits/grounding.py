"""Grounding: claims × evidence → supported | contradicted | unknown, and what is there that the caption does not say.

A claim about something that the evidence cannot see is unknown, never wrong. Of several sources the first that can tell decides.
An attribute of a thing that is not there is unknown too (the object claim is what is wrong); a number of it is not: it is nought.
Positions follow GenEval (Ghosh et al. 2023): the offset of the centers, less 0.1 of the summed extents on each axis, lies in a
direction where it makes up more than half of the distance.
"""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from math import hypot
from pathlib import Path
from typing import Any, ClassVar

from audits.evidence import Evidence
from audits.lexicon import Lexicon, Meaning, load_lexicon
from recapdata.records import Claim, Object, Verdict

MARGIN = 0.1
DIRECTION = 0.5
DIRECTIONS = {"left of": (-1, 0), "right of": (1, 0), "above": (0, -1), "below": (0, 1)}
REGION_MARGIN = 0.05
"""Share of the image's side around the middle where "left" and "right" are a matter of taste."""
CENTER = (0.25, 0.4)
"""A center this near the middle (share of the side) is "in the center"; one further off than the second is not."""
PROMINENT = 0.1
"""Objects of at least this share of the largest one's area count even where the small ones are not counted."""

Finding = tuple[Verdict, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Grounding:
    """The claims of a caption with their verdicts, and how much of what is there they speak of.

    Attributes:
        objects_present, objects_said: None where no source looks for classes; so with texts where none reads them.
    """

    EMPTY: ClassVar[dict[str, Any]] = {
        "objects_present": None,
        "objects_said": None,
        "texts_present": None,
        "texts_said": None,
        "missed": None,
    }

    claims: tuple[Claim, ...]
    objects_present: int | None
    objects_said: int | None
    texts_present: int | None
    texts_said: int | None
    missed: tuple[str, ...]

    def scores(self) -> dict[str, Any]:
        """The fields of `SCORES_TYPE`."""
        return {name: getattr(self, name) for name in self.EMPTY} | {"missed": list(self.missed)}


def ground(claims: Sequence[Claim], evidence: Sequence[Evidence]) -> Grounding:
    """Judge the claims of one caption by what is known of its image.

    Args:
        evidence: what each source saw, the most trusted first; at least one.
    """
    judged = tuple(_judged(claim, claims, evidence) for claim in claims)
    present = _classes(evidence)
    said = [class_ for class_ in present if _says(claims, class_, evidence)]
    texts = _texts(evidence)
    spoken = {_letters(claim.text or "") for claim in claims if claim.kind == "text"}
    read = [text for text in texts if _letters(text) in spoken]
    missed = [class_ for class_ in present if class_ not in said]
    missed += [f'the word "{text}"' for text in texts if text not in read]
    looks = any(each.scope.classes for each in evidence)
    reads = any("text" in each.scope.attributes for each in evidence)
    return Grounding(
        claims=judged,
        objects_present=len(present) if looks else None,
        objects_said=len(said) if looks else None,
        texts_present=len(texts) if reads else None,
        texts_said=len(read) if reads else None,
        missed=tuple(missed),
    )


@cache
def grounding_identity() -> str:
    """What verdicts depend on beside claims and evidence: these rules and the lexicon."""
    rules = hashlib.sha256(Path(__file__).read_bytes()).hexdigest()[:12]
    return f"grounding:{rules}+{load_lexicon().revision}"


# --- one claim -----------------------------------------------------------------------------------------------------------


def _judged(claim: Claim, claims: Sequence[Claim], evidence: Sequence[Evidence]) -> Claim:
    """The claim with the verdict of the first source that can tell."""
    reason = ""
    for each in evidence:
        verdict, found = _JUDGES[claim.kind](claim, claims, each)
        if verdict != "unknown":
            return replace(claim, verdict=verdict, evidence=f"{each.source}: {found}")
        reason = reason or f"{each.source}: {found}"
    return replace(claim, verdict="unknown", evidence=reason)


def _judge_object(claim: Claim, claims: Sequence[Claim], evidence: Evidence) -> Finding:
    meaning = _meaning(claim.object, evidence)
    seen = _matching(meaning, evidence)
    if seen:
        return "supported", _listed(seen)
    if meaning.classes and not meaning.maybe:
        return "contradicted", f"no {' or '.join(sorted(meaning.classes))}"
    return "unknown", f"does not look for {claim.object}"


def _judge_count(claim: Claim, claims: Sequence[Claim], evidence: Evidence) -> Finding:
    meaning = _meaning(claim.object, evidence)
    if not (meaning.classes or meaning.maybe):
        return "unknown", f"does not look for {claim.object}"
    seen = _matching(meaning, evidence)
    described = _described(claim, claims, seen) or seen
    counts = {len(described), len(_prominent(described))}
    if claim.count in counts:
        return "supported", f"{claim.count} {claim.object}"
    if evidence.uncounted & (meaning.classes | meaning.maybe):
        return "unknown", f"a crowd of {claim.object}"
    if meaning.exact or (meaning.classes and not meaning.maybe and max(counts) < (claim.count or 0)):
        return "contradicted", f"{len(described)} {claim.object}"
    return "unknown", f"cannot count {claim.object} apart"


def _judge_attribute(claim: Claim, claims: Sequence[Claim], evidence: Evidence) -> Finding:
    """Colors and sizes, where the evidence knows them of the objects that the noun may mean."""
    kind = claim.kind
    stated = _values(claim)
    known = [seen for seen in _matching(_meaning(claim.object, evidence), evidence) if getattr(seen, kind)]
    if not known or not stated:
        return "unknown", f"knows no {kind} of {claim.object}"
    here = sorted({getattr(seen, kind) for seen in known})
    if stated & set(here):
        return "supported", f"{claim.object} is {', '.join(sorted(stated & set(here)))}"
    # "a black and white dog" makes two claims of one thing: one that fits is enough for neither to be wrong.
    siblings = [other for other in claims if other.kind == kind and _same_mention(other, claim)]
    if any(_values(other) & set(here) for other in siblings):
        return "unknown", f"{claim.object} is {', '.join(here)}"
    return "contradicted", f"{claim.object} is {', '.join(here)}"


def _judge_position(claim: Claim, claims: Sequence[Claim], evidence: Evidence) -> Finding:
    subjects = _mentioned(claim, claims, evidence, claim.subject, first=True)
    if claim.region is not None and claim.object is None:
        return _judge_region(claim, subjects, evidence)
    others = _mentioned(claim, claims, evidence, claim.object, first=False)
    direction = DIRECTIONS.get(claim.relation or "")
    if direction is None:
        return "unknown", f"cannot tell {claim.relation!r}"
    pairs = [(one, other) for one in subjects for other in others if one is not other]
    if not pairs:
        return "unknown", f"does not see both {claim.subject} and {claim.object}"
    found = [_lies(one, other, direction) for one, other in pairs]
    if True in found:
        return "supported", f"{claim.subject} is {claim.relation} {claim.object}"
    if None in found:
        return "unknown", f"{claim.subject} and {claim.object} lie on one line"
    return "contradicted", f"{claim.subject} is not {claim.relation} {claim.object}"


def _judge_region(claim: Claim, subjects: Sequence[Object], evidence: Evidence) -> Finding:
    region = claim.region or ""
    places = [_in_region(seen, region, evidence) for seen in subjects if seen.bbox is not None]
    if not places:
        return "unknown", f"does not see {claim.subject}"
    if True in places:
        return "supported", f"{claim.subject} is at the {region}"
    if None in places:
        return "unknown", f"cannot tell whether {claim.subject} is at the {region}"
    return "contradicted", f"{claim.subject} is not at the {region}"


def _judge_text(claim: Claim, claims: Sequence[Claim], evidence: Evidence) -> Finding:
    if "text" not in evidence.scope.attributes:
        return "unknown", "reads no text"
    words = [seen.text for seen in evidence.objects if seen.text]
    stated = _letters(claim.text or "")
    if stated in {_letters(word) for word in words} | {_letters("".join(words))}:
        return "supported", f"reads {', '.join(words)}"
    return "contradicted", f"reads {', '.join(words)}" if words else "no text"


_JUDGES = {
    "object": _judge_object,
    "count": _judge_count,
    "color": _judge_attribute,
    "size": _judge_attribute,
    "position": _judge_position,
    "text": _judge_text,
}


# --- which objects a claim is about --------------------------------------------------------------------------------------


def _meaning(noun: str | None, evidence: Evidence) -> Meaning:
    return load_lexicon().meaning(noun or "", evidence.scope.classes)


def _matching(meaning: Meaning, evidence: Evidence) -> list[Object]:
    wanted = meaning.classes | meaning.maybe
    return [seen for seen in evidence.objects if seen.category in wanted]


def _mentioned(
    claim: Claim, claims: Sequence[Claim], evidence: Evidence, noun: str | None, *, first: bool
) -> list[Object]:
    """The objects that the subject or object of a position may be, told apart by what its mention says of them."""
    seen = [each for each in _matching(_meaning(noun, evidence), evidence) if each.bbox is not None]
    mentions = [
        other
        for other in claims
        if other.kind == "object" and other.object == noun and _overlap(other, claim)
    ]
    if not mentions:
        return seen
    mention = mentions[0] if first or claim.subject != claim.object else mentions[-1]
    return _described(mention, claims, seen) or seen


def _described(mention: Claim, claims: Sequence[Claim], seen: Sequence[Object]) -> list[Object]:
    """Those objects that fit the colors and sizes that the caption gives the mention; what is not known of one fits."""
    left = list(seen)
    for claim in claims:
        if claim.kind in ("color", "size") and _same_mention(claim, mention):
            values = _all_values(mention, claims, claim.kind)
            left = [
                each
                for each in left
                if getattr(each, claim.kind) is None or getattr(each, claim.kind) in values
            ]
    return left


def _all_values(mention: Claim, claims: Sequence[Claim], kind: str) -> frozenset[str]:
    found = [_values(claim) for claim in claims if claim.kind == kind and _same_mention(claim, mention)]
    return frozenset().union(*found)


def _values(claim: Claim) -> frozenset[str]:
    """The basic colors or sizes that a claim may mean."""
    lexicon: Lexicon = load_lexicon()
    return lexicon.color(claim.color or "") if claim.kind == "color" else lexicon.size(claim.size or "")


def _same_mention(one: Claim, other: Claim) -> bool:
    return one.object == other.object and _overlap(one, other)


def _overlap(one: Claim, other: Claim) -> bool:
    return one.span[0] < other.span[1] and other.span[0] < one.span[1]


def _prominent(seen: Sequence[Object]) -> list[Object]:
    areas = [each.bbox[2] * each.bbox[3] for each in seen if each.bbox is not None]
    least = PROMINENT * max(areas, default=0.0)
    return [each for each in seen if each.bbox is None or each.bbox[2] * each.bbox[3] >= least]


# --- where things are ----------------------------------------------------------------------------------------------------


def _lies(one: Object, other: Object, direction: tuple[int, int]) -> bool | None:
    """Whether one object clearly lies in that direction of the other; None where it is neither so nor clearly otherwise."""
    assert one.bbox is not None
    assert other.bbox is not None
    offsets = []
    for axis in (0, 1):
        offset = (one.bbox[axis] + one.bbox[axis + 2] / 2) - (other.bbox[axis] + other.bbox[axis + 2] / 2)
        margin = MARGIN * (one.bbox[axis + 2] + other.bbox[axis + 2])
        offsets.append((offset, max(abs(offset) - margin, 0.0) * (1 if offset > 0 else -1)))
    distance = hypot(offsets[0][0], offsets[1][0])
    if not distance:
        return None
    along = sum(sign * cleared for sign, (_, cleared) in zip(direction, offsets, strict=True)) / distance
    if along > DIRECTION:
        return True
    return False if along <= 0 else None


def _in_region(seen: Object, region: str, evidence: Evidence) -> bool | None:
    """Whether the center of an object lies in a region of the image; None where that is a matter of taste or of depth."""
    assert seen.bbox is not None
    x = (seen.bbox[0] + seen.bbox[2] / 2) / max(evidence.width, 1) - 0.5
    y = (seen.bbox[1] + seen.bbox[3] / 2) / max(evidence.height, 1) - 0.5
    if region == "center":
        off = max(abs(x), abs(y))
        return True if off <= CENTER[0] else False if off > CENTER[1] else None
    found = []
    for word in region.split():
        if word not in ("left", "right", "top", "bottom"):
            return None
        along = (x if word in ("left", "right") else y) * (1 if word in ("right", "bottom") else -1)
        found.append(True if along > REGION_MARGIN else False if along < -REGION_MARGIN else None)
    return False if False in found else None if None in found else True


# --- what is there -------------------------------------------------------------------------------------------------------


def _classes(evidence: Sequence[Evidence]) -> list[str]:
    """Distinct classes seen by any source, in the order seen; what is only a written word is counted as text."""
    return list(
        dict.fromkeys(
            seen.category
            for each in evidence
            for seen in each.objects
            if seen.category is not None and seen.text is None
        )
    )


def _says(claims: Sequence[Claim], class_: str, evidence: Sequence[Evidence]) -> bool:
    classes = frozenset().union(*(each.scope.classes for each in evidence))
    meanings = (
        load_lexicon().meaning(claim.object or "", classes) for claim in claims if claim.kind == "object"
    )
    return any(class_ in meaning.classes | meaning.maybe for meaning in meanings)


def _texts(evidence: Sequence[Evidence]) -> list[str]:
    return list(dict.fromkeys(seen.text for each in evidence for seen in each.objects if seen.text))


def _listed(seen: Sequence[Object]) -> str:
    names = [each.category or "" for each in seen]
    return ", ".join(f"{names.count(name)} {name}" for name in dict.fromkeys(names))


def _letters(text: str) -> str:
    return re.sub(r"[^\w]|_", "", text).casefold()
