"""Grounding: claims × evidence → supported | contradicted | unknown, and how much of what is there the caption says.

A claim about something that the evidence cannot see is unknown, never wrong. Of several sources the first that can tell decides.
An attribute of a thing that is not there is unknown too (the object claim is what is wrong); a number of it is not: it is nought.
Where things are is judged in `places`, quoted texts in `texts`, what was left out in `recall`.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any, ClassVar

from audits import places, texts
from audits import recall as left_out
from audits.evidence import Evidence, Seen
from audits.lexicon import Lexicon, Meaning, load_lexicon
from audits.recall import SHARES, Recall
from recapdata.records import Claim, Verdict

PROMINENT = 0.1
"""Objects of at least this share of the largest one's area count even where the small ones are not counted."""

Finding = tuple[Verdict, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Grounding:
    """The claims of a caption with their verdicts, and how much of what is there they speak of."""

    EMPTY: ClassVar[dict[str, Any]] = {
        **{
            "_".join([name.split()[0], what, *name.split()[1:]]): None
            for name in SHARES
            for what in ("present", "said")
        },
        "missed": None,
    }
    """The fields of `SCORES_TYPE` that grounding fills, as they are without it."""

    claims: tuple[Claim, ...]
    recall: Recall

    def scores(self) -> dict[str, Any]:
        """The fields of `SCORES_TYPE`; None where no source looks for classes, counts, colors or texts at all."""
        values = [value for name in SHARES for value in self.recall.shares[name].both]
        return dict(zip(self.EMPTY, [*values, list(self.recall.missed)], strict=True))


def ground(claims: Sequence[Claim], evidence: Sequence[Evidence]) -> Grounding:
    """Judge the claims of one caption by what is known of its image.

    Args:
        evidence: what each source saw, the most trusted first; at least one.
    """
    judged = tuple(_judged(claim, claims, evidence) for claim in claims)
    return Grounding(claims=judged, recall=left_out.recall(judged, evidence))


@cache
def grounding_identity() -> str:
    """What verdicts depend on beside claims and evidence: these rules and the lexicon."""
    rules = b"".join(
        Path(str(each)).read_bytes()
        for each in (__file__, places.__file__, texts.__file__, left_out.__file__)
    )
    return f"grounding:{hashlib.sha256(rules).hexdigest()[:12]}+{load_lexicon().revision}"


# --- one claim -----------------------------------------------------------------------------------------------------------


def _judged(claim: Claim, claims: Sequence[Claim], evidence: Sequence[Evidence]) -> Claim:
    """The claim with the verdict of the first source that can tell."""
    reason = ""
    for each in evidence:
        if claim.kind not in each.scope.kinds:
            continue
        verdict, found = _JUDGES[claim.kind](claim, claims, each)
        if verdict != "unknown":
            return replace(claim, verdict=verdict, evidence=f"{each.source}: {found}")
        reason = reason or f"{each.source}: {found}"
    return replace(claim, verdict="unknown", evidence=reason or f"no evidence of the kind {claim.kind}")


def _judge_object(claim: Claim, claims: Sequence[Claim], evidence: Evidence) -> Finding:
    meaning = _meaning(claim.object, evidence)
    seen = _matching(meaning, evidence)
    if seen:
        return "supported", _listed(seen)
    if not _ambiguous(meaning):
        return "contradicted", f"no {' or '.join(sorted(meaning.classes | meaning.maybe))}"
    return "unknown", f"does not look for {claim.object}"


def _judge_count(claim: Claim, claims: Sequence[Claim], evidence: Evidence) -> Finding:
    meaning = _meaning(claim.object, evidence)
    if not (meaning.classes or meaning.maybe):
        return "unknown", f"does not look for {claim.object}"
    seen = _matching(meaning, evidence)
    described = _described(claim, claims, seen) or seen
    sure = [each for each in described if each.score is None or each.score >= evidence.counting]
    counts = {len(sure), len(_prominent(sure))}
    if claim.count in counts:
        return "supported", f"{claim.count} {claim.object}"
    if len(sure) < (claim.count or 0) <= len(described):
        return "unknown", f"{len(sure)} to {len(described)} {claim.object}"
    if evidence.uncounted & (meaning.classes | meaning.maybe):
        return "unknown", f"a crowd of {claim.object}"
    if meaning.exact or (meaning.classes and not meaning.maybe and len(described) < (claim.count or 0)):
        return "contradicted", f"{len(sure)} {claim.object}"
    return "unknown", f"cannot count {claim.object} apart"


def _judge_attribute(claim: Claim, claims: Sequence[Claim], evidence: Evidence) -> Finding:
    """Colors and sizes, where the evidence knows them of the objects that the noun may mean."""
    kind = claim.kind
    stated = _values(claim)
    meaning = _meaning(claim.object, evidence)
    matching = _matching(meaning, evidence)
    # Of "a large red circle" the color is that of the large ones, and the size that of the red ones.
    others = [other for other in claims if other.kind != kind]
    known = [seen for seen in _described(claim, others, matching) or matching if _known(seen, kind)]
    if not known or not stated:
        return "unknown", f"knows no {kind} of {claim.object}"
    here = frozenset().union(*(_known(seen, kind) for seen in known))
    if stated & here:
        return "supported", f"{claim.object} is {', '.join(sorted(stated & here))}"
    found = f"{claim.object} is {', '.join(sorted(here))}"
    surely = not _ambiguous(meaning) and any(seen.category in meaning.classes for seen in known)
    if not surely or (kind == "color" and any(stated & seen.near_colors for seen in known)):
        return "unknown", found
    # "a black and white dog" makes two claims of one thing: one that fits is enough for neither to be wrong.
    siblings = [other for other in claims if other.kind == kind and _same_mention(other, claim)]
    return ("unknown" if any(_values(other) & here for other in siblings) else "contradicted"), found


def _judge_position(claim: Claim, claims: Sequence[Claim], evidence: Evidence) -> Finding:
    subjects = _mentioned(claim, claims, evidence, claim.subject, first=True)
    if claim.region is not None and claim.object is None:
        return _judge_region(claim, subjects, evidence)
    others = _mentioned(claim, claims, evidence, claim.object, first=False)
    relation = claim.relation or ""
    if relation not in (*places.DIRECTIONS, *places.NEAR):
        return "unknown", f"cannot tell {claim.relation!r}"
    pairs = [(one, other) for one in subjects for other in others if one is not other]
    if not pairs:
        return "unknown", f"does not see both {claim.subject} and {claim.object}"
    found = [places.related(one, other, relation, evidence) for one, other in pairs]
    if True in found:
        return "supported", f"{claim.subject} is {claim.relation} {claim.object}"
    if None in found:
        return "unknown", f"{claim.subject} and {claim.object} lie too close to tell, or too far"
    return "contradicted", f"{claim.subject} is not {claim.relation} {claim.object}"


def _judge_region(claim: Claim, subjects: Sequence[Seen], evidence: Evidence) -> Finding:
    region = claim.region or ""
    found = [places.in_region(seen, region, evidence) for seen in subjects if seen.bbox is not None]
    if not found:
        return "unknown", f"does not see {claim.subject}"
    if True in found:
        return "supported", f"{claim.subject} is at the {region}"
    if None in found:
        return "unknown", f"cannot tell whether {claim.subject} is at the {region}"
    return "contradicted", f"{claim.subject} is not at the {region}"


def _judge_text(claim: Claim, claims: Sequence[Claim], evidence: Evidence) -> Finding:
    if "text" not in evidence.scope.attributes:
        return "unknown", "reads no text"
    read = [seen.text for seen in evidence.objects if seen.text]
    found = texts.there(claim.text or "", evidence)
    said = f"reads {', '.join(read)}" if read else "no text"
    return "unknown" if found is None else "supported" if found else "contradicted", said


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


def _ambiguous(meaning: Meaning) -> bool:
    """Whether a noun may speak of something that the evidence does not look for: an "animal", a "mouse" that is no device."""
    return not meaning.classes or bool(meaning.classes & meaning.maybe)


def _matching(meaning: Meaning, evidence: Evidence) -> list[Seen]:
    wanted = meaning.classes | meaning.maybe
    return [seen for seen in evidence.objects if seen.category in wanted]


def _mentioned(
    claim: Claim, claims: Sequence[Claim], evidence: Evidence, noun: str | None, *, first: bool
) -> list[Seen]:
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


def _described(mention: Claim, claims: Sequence[Claim], seen: Sequence[Seen]) -> list[Seen]:
    """Those objects that fit the colors and sizes that the caption gives the mention; what is not known of one fits."""
    left = list(seen)
    for claim in claims:
        if claim.kind in ("color", "size") and _same_mention(claim, mention):
            values = _all_values(mention, claims, claim.kind)
            left = [
                each
                for each in left
                if not (known := _known(each, claim.kind)) or known & values or each.near_colors & values
            ]
    return left


def _known(seen: Seen, kind: str) -> frozenset[str]:
    """The colors, or the size, that are known of an object."""
    return frozenset(seen.colors if kind == "color" else [seen.size] if seen.size else ())


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


def _prominent(seen: Sequence[Seen]) -> list[Seen]:
    areas = [each.bbox[2] * each.bbox[3] for each in seen if each.bbox is not None]
    least = PROMINENT * max(areas, default=0.0)
    return [each for each in seen if each.bbox is None or each.bbox[2] * each.bbox[3] >= least]


def _listed(seen: Sequence[Seen]) -> str:
    names = [each.category or "" for each in seen]
    return ", ".join(f"{names.count(name)} {name}" for name in dict.fromkeys(names))
