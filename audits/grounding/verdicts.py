"""Grounding: claims × evidence → supported | contradicted | unknown, and how much of what is there the caption says.

A claim is contradicted only where no ordinary reading of its words fits the evidence; a claim about something that the evidence
cannot see is unknown. Of several sources the first that can tell decides. An attribute of a thing that is not there is unknown too
(the object claim is what is wrong); a number of it is not: it is nought. A hedged claim (`Claim.hedge`) is never contradicted, but
for a number of some that is more than there are of all.

What nouns mean stands in `lexicon`, what their caption makes of them in `context`, numbers in `counting`, where things are in
`places`, quoted texts in `texts`, what was left out in `recall`. The evidence text of a verdict names the match that decided:
"sedan = car (1 car)", "no bird (chicken may be food)".
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from audits.evidence import Evidence, Observation
from audits.grounding import quoted_text as texts
from audits.grounding import recall as left_out
from audits.grounding import spatial as places
from audits.grounding.context import Context, read_context
from audits.grounding.counting import Counted, counted, fits
from audits.grounding.recall import SHARES, Recall
from audits.lexicon import Lexicon, Meaning, load_lexicon
from audits.rules import rules
from recapdata.records import Claim, Verdict

HEDGES: Mapping[str, str] = {
    "depicted": "it may be depicted",
    "owner": "it need not be in the picture",
    "sought": "it need not be there yet",
    "partial": "it is a number of some",
}
"""What evidence texts say of a hedged claim that the evidence does not bear out."""

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


def ground(claims: Sequence[Claim], evidence: Sequence[Evidence], caption: str | None = None) -> Grounding:
    """Judge the claims of one caption by what is known of its image.

    Args:
        evidence: what each source saw, the most trusted first; at least one.
        caption: the text that the claims' spans refer to. Without it a few readings are not recognized ("a bed of flowers").
    """
    context = read_context(claims, caption)
    judged = tuple(_judged(claim, context, evidence) for claim in claims)
    return Grounding(claims=judged, recall=left_out.recall(judged, evidence))


def grounding_identity() -> str:
    """What verdicts depend on beside claims and evidence: the version of these rules and of the lexicon."""
    return rules("grounding")


# --- one claim -----------------------------------------------------------------------------------------------------------


def _judged(claim: Claim, context: Context, evidence: Sequence[Evidence]) -> Claim:
    """The claim with the verdict of the first source that can tell."""
    reason = ""
    for each in evidence:
        if claim.kind not in each.scope.kinds:
            continue
        verdict, found = _JUDGES[claim.kind](claim, context, each)
        if (
            verdict == "contradicted"
            and claim.hedge is not None
            and (claim.kind, claim.hedge) != ("count", "partial")
        ):
            verdict, found = "unknown", f"{found} ({HEDGES[claim.hedge]})"
        if verdict != "unknown":
            return replace(claim, verdict=verdict, evidence=f"{each.source}: {found}")
        reason = reason or f"{each.source}: {found}"
    return replace(claim, verdict="unknown", evidence=reason or f"no evidence of the kind {claim.kind}")


def _judge_object(claim: Claim, context: Context, evidence: Evidence) -> Finding:
    noun = claim.object or ""
    meaning = context.meaning(noun, evidence, claim.span)
    if not meaning.supporting:
        return "unknown", f"does not look for {noun}"
    seen = _matching(meaning, evidence)
    if seen:
        return "supported", _match(noun, seen)
    if crowds := meaning.supporting & evidence.uncounted:
        return "supported", f"a crowd of {' and '.join(sorted(crowds))}"
    absent = f"no {' or '.join(sorted(meaning.supporting))}"
    if doubtful := [each for each in evidence.doubtful if each.category in meaning.supporting]:
        return "unknown", f"{absent} for certain ({len(doubtful)} doubtful)"
    if not meaning.firm:
        return "unknown", f"{absent} ({noun} may be {meaning.other or 'something else'})"
    if confused := _confused(meaning, evidence):
        return "unknown", f"{absent}, but {_listed(confused)}"
    return (
        "contradicted",
        absent if noun in meaning.supporting else f"{absent} ({noun} = {_named(meaning.supporting)})",
    )


def _judge_count(claim: Claim, context: Context, evidence: Evidence) -> Finding:
    noun, number = claim.object or "", claim.count or 0
    meaning = context.meaning(noun, evidence, claim.span)
    if not meaning.supporting:
        return "unknown", f"does not look for {noun}"
    ways = _ways_to_count(claim, meaning, context, evidence)
    found = [fits(number, way) for way in ways]
    if True in found:
        return "supported", _counted_text(noun, number, ways[found.index(True)])
    most = max(ways, key=lambda way: way.most)
    nearest = next((way for way in ways if way.most), ways[0])
    text = nearest.text(_named(nearest.classes))
    if claim.hedge == "partial" and number <= most.total:
        return "supported", f"{number} of {text}"
    if _sum_of_mentions(claim, context) in {way.total for way in ways}:
        return "supported", f"{number} of {text}"
    if None in found:
        return "unknown", text
    if number > most.most:
        if most.most:
            certain = meaning.exact or (meaning.firm and not meaning.maybe)
        else:
            certain = meaning.firm and not _confused(meaning, evidence)
        return ("contradicted" if certain else "unknown"), text
    if claim.hedge == "partial" or not meaning.exact or _counts_a_part(claim, context, evidence):
        return "unknown", f"{text}; cannot count {noun} apart"
    return "contradicted", text


def _ways_to_count(claim: Claim, meaning: Meaning, context: Context, evidence: Evidence) -> list[Counted]:
    """The objects that may be meant, as far as its colors and sizes fit: of the class of that name, of its classes, and of all."""
    found: list[Counted] = []
    for classes in (
        frozenset({claim.object or ""}) & meaning.supporting,
        meaning.classes,
        meaning.supporting,
    ):
        seen = [each for each in evidence.objects if each.category in classes]
        if not classes or (found and len(seen) == len(found[0].sure)):
            continue
        described = _described(claim, context.claims, seen)
        found.append(counted(described or seen, classes, evidence))
    return found


def _counted_text(noun: str, number: int, way: Counted) -> str:
    """The number that was borne out, and by what."""
    if noun in way.classes and len(way.classes) == 1 and number == way.total:
        return f"{number} {noun}"
    names = _named(frozenset(str(each.category) for each in way.sure) or way.classes)
    return f"{number} {noun} = {names} ({way.text(names)})"


def _sum_of_mentions(claim: Claim, context: Context) -> int | None:
    """The sum of all numbers that the caption gives of a noun in several places ("two dogs … one dog"); None where it gives one."""
    mentions = [
        other
        for other in context.claims
        if other.kind == "count" and other.object == claim.object and other.count
    ]
    return sum(other.count or 0 for other in mentions) if len(mentions) > 1 else None


def _counts_a_part(claim: Claim, context: Context, evidence: Evidence) -> bool:
    """Whether a number may be of some only: in a part of the picture, of a look that evidence does not know, or one of several."""
    looks = [
        other for other in context.claims if other.kind in ("color", "size") and _same_mention(other, claim)
    ]
    known = [other for other in looks if other.kind in evidence.scope.attributes]
    words = frozenset(word for other in known for word in f"{other.color or other.size}".lower().split())
    if len(known) < len(looks) or context.adjectives(claim) - words:
        return True
    in_region = any(
        other.kind == "position" and other.region and other.subject == claim.object and _overlap(other, claim)
        for other in context.claims
    )
    if in_region or _sum_of_mentions(claim, context) is not None:
        return True
    meant = context.meaning(claim.object, evidence, claim.span).supporting
    return any(  # "two dogs and a puppy"
        other.kind == "object"
        and other.object != claim.object
        and not _overlap(other, claim)
        and meant & context.meaning(other.object, evidence, other.span).supporting
        for other in context.claims
    )


def _judge_attribute(claim: Claim, context: Context, evidence: Evidence) -> Finding:
    """Colors and sizes, where the evidence knows them of the objects that the noun may mean."""
    kind = claim.kind
    claims = context.claims
    stated = _values(claim)
    meaning = context.meaning(claim.object, evidence, claim.span)
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
    surely = meaning.firm and any(seen.category in meaning.classes for seen in known)
    if not surely or (kind == "color" and any(stated & seen.near_colors for seen in known)):
        return "unknown", found
    # "a black and white dog" makes two claims of one thing: one that fits is enough for neither to be wrong.
    siblings = [other for other in claims if other.kind == kind and _same_mention(other, claim)]
    return ("unknown" if any(_values(other) & here for other in siblings) else "contradicted"), found


def _judge_position(claim: Claim, context: Context, evidence: Evidence) -> Finding:
    subjects, certain = _mentioned(claim, context, evidence, claim.subject, first=True)
    if claim.region is not None and claim.object is None:
        return _judge_region(claim, subjects, context, evidence, certain=certain)
    others, sure = _mentioned(claim, context, evidence, claim.object, first=False)
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
    if not (certain and sure):
        return "unknown", f"not {claim.relation}, if these are {claim.subject} and {claim.object}"
    return "contradicted", f"{claim.subject} is not {claim.relation} {claim.object}"


def _judge_region(
    claim: Claim, subjects: Sequence[Observation], context: Context, evidence: Evidence, *, certain: bool
) -> Finding:
    region = claim.region or ""
    found = [places.in_region(seen, region, evidence) for seen in subjects if seen.bbox is not None]
    if not found:
        return "unknown", f"does not see {claim.subject}"
    if True in found:
        return "supported", f"{claim.subject} is at the {region}"
    # "a cup on top" is on top of something, wherever that is in the picture.
    words = context.caption[claim.span[0] : claim.span[1]].lower()
    if None in found or not certain or re.search(r"\bon top\b", words):
        return "unknown", f"cannot tell whether {claim.subject} is at the {region}"
    return "contradicted", f"{claim.subject} is not at the {region}"


def _judge_text(claim: Claim, context: Context, evidence: Evidence) -> Finding:
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


def _matching(meaning: Meaning, evidence: Evidence) -> list[Observation]:
    return [seen for seen in evidence.objects if seen.category in meaning.supporting]


def _confused(meaning: Meaning, evidence: Evidence) -> list[Observation]:
    """What is there of the classes that overlap with those of the noun, or are taken for them."""
    return [seen for seen in evidence.objects if seen.category in meaning.near]


def _mentioned(
    claim: Claim, context: Context, evidence: Evidence, noun: str | None, *, first: bool
) -> tuple[list[Observation], bool]:
    """The objects that the subject or object of a position may be, told apart by what its mention says of them.

    Returns:
        The objects, and whether it can be no other thing than one of them.
    """
    mentions = [
        other
        for other in context.claims
        if other.kind == "object" and other.object == noun and _overlap(other, claim)
    ]
    mention = (mentions[0] if first or claim.subject != claim.object else mentions[-1]) if mentions else None
    meaning = context.meaning(noun, evidence, mention.span if mention else None)
    seen = [each for each in _matching(meaning, evidence) if each.bbox is not None]
    more = evidence.uncounted & meaning.supporting or any(
        each.category in meaning.supporting for each in evidence.doubtful
    )
    certain = meaning.firm and not more and (mention is None or mention.hedge is None)
    if mention is None:
        return seen, certain
    return _described(mention, context.claims, seen) or seen, certain


def _described(mention: Claim, claims: Sequence[Claim], seen: Sequence[Observation]) -> list[Observation]:
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


def _known(seen: Observation, kind: str) -> frozenset[str]:
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


def _match(noun: str, seen: Sequence[Observation]) -> str:
    """The match that bore a noun out: "1 dog" where it is the class itself, else "sedan = car (1 car)"."""
    classes = frozenset(str(each.category) for each in seen)
    return _listed(seen) if classes == {noun} else f"{noun} = {_named(classes)} ({_listed(seen)})"


def _named(classes: frozenset[str]) -> str:
    return " or ".join(sorted(classes))


def _listed(seen: Sequence[Observation]) -> str:
    names = [each.category or "" for each in seen]
    return ", ".join(f"{names.count(name)} {name}" for name in dict.fromkeys(names))
