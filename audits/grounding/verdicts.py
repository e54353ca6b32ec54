"""Grounding: claims × evidence → supported | contradicted | unknown, and how much of what is there the caption says.

A claim is contradicted only where no ordinary reading of its words fits the evidence; a claim about something outside a source's
scope is unknown. Of several sources the first with a verdict decides. An attribute of an object that is not there is unknown too
(the object claim is contradicted); its number is not: it is zero. What may be about an object that could not be read whole
is unknown (`Evidence.unplaced`, `Evidence.unidentified`). A hedged claim (`Claim.hedge`) is never contradicted, except for a
number of some that is more than there are of all.

`lexicon` says what nouns mean, `context` what their caption makes of them, `mentions` which objects are meant; `counting` compares
numbers, `spatial` positions, `quoted_text` texts; `recall` says what was left out. The evidence text of a verdict names the match that
decided: "sedan = car (1 car)", "no bird (chicken may be food)".
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from audits.evidence import Evidence, Observation
from audits.extraction.words import quantity
from audits.grounding import quoted_text, spatial
from audits.grounding import recall as left_out
from audits.grounding.context import Context, read_context
from audits.grounding.counting import Counted, counted, fits
from audits.grounding.mentions import (
    basic_values,
    confused,
    described,
    known_values,
    matching,
    related_objects,
    same_mention,
    spans_overlap,
)
from audits.grounding.recall import SHARES, Recall
from audits.lexicon import Meaning
from audits.rules import rules
from recapdata.records import Claim, Verdict

HEDGES: Mapping[str, str] = {
    "depicted": "it may be depicted",
    "owner": "it need not be in the picture",
    "sought": "it need not be there yet",
    "partial": "it is a number of some",
}
"""Ending of the evidence text of a hedged claim that would be contradicted without its hedge."""

Judgment = tuple[Verdict, str]
"""A verdict and its evidence text."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Grounding:
    """The claims of a caption with their verdicts, and its recall."""

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
        """The fields of `SCORES_TYPE`; None where no source knows classes, counts, colors or texts at all."""
        values = [value for name in SHARES for value in self.recall.shares[name].both]
        return dict(zip(self.EMPTY, [*values, list(self.recall.missed)], strict=True))


def ground(claims: Sequence[Claim], evidence: Sequence[Evidence], caption: str | None = None) -> Grounding:
    """Judge the claims of one caption by the evidence of its image.

    Args:
        evidence: of each source, the most trusted first; at least one.
        caption: the text that the claims' spans refer to. Without it a few readings are not recognized ("a bed of flowers").
    """
    context = read_context(claims, caption)
    judged = tuple(_judge(claim, context, evidence) for claim in claims)
    return Grounding(claims=judged, recall=left_out.recall(judged, evidence))


def grounding_identity() -> str:
    """What verdicts depend on beside claims and evidence: the version of these rules and of the lexicon."""
    return rules("grounding")


def _judge(claim: Claim, context: Context, evidence: Sequence[Evidence]) -> Claim:
    """The claim with the verdict of the first source that has one."""
    unjudged = ""
    may_be_wrong = claim.hedge is None or (claim.kind, claim.hedge) == ("count", "partial")
    for source in evidence:
        if claim.kind not in source.scope.kinds:
            continue
        verdict, text = _JUDGES[claim.kind](claim, context, source)
        if verdict == "contradicted" and (lacking := _lacking(claim, context, source)):
            verdict, text = "unknown", f"{text}, but {lacking}"
        if verdict == "contradicted" and not may_be_wrong:
            verdict, text = "unknown", f"{text} ({HEDGES[claim.hedge or '']})"
        if verdict != "unknown":
            return replace(claim, verdict=verdict, evidence=f"{source.source}: {text}")
        unjudged = unjudged or f"{source.source}: {text}"
    return replace(claim, verdict="unknown", evidence=unjudged or f"no evidence of the kind {claim.kind}")


def _lacking(claim: Claim, context: Context, source: Evidence) -> str:
    """What is not known of objects that the claim may be about; empty where nothing is lacking."""
    if number := source.unidentified:
        return "1 object is of unknown class" if number == 1 else f"{number} objects are of unknown class"
    if not source.unplaced:
        return ""
    meanings = [context.meaning(noun, source, claim.span) for noun in (claim.object, claim.subject) if noun]
    about = frozenset[str]().union(*(each.supporting | each.near for each in meanings))
    classes = about & source.unplaced
    places = [each.bbox is not None for each in source.objects if each.category in about]
    counted = claim.kind == "count" and claim.count is not None and any(places)
    if counted and not sum(places) <= (claim.count or 0) <= len(places):
        return ""  # wrong, however many of those without a place there are
    return f"not every {_named(classes)} has a place" if classes else ""


# --- objects and counts --------------------------------------------------------------------------------------------------


def _judge_object(claim: Claim, context: Context, evidence: Evidence) -> Judgment:
    noun = claim.object or ""
    meaning = context.meaning(noun, evidence, claim.span)
    if not meaning.supporting:
        return "unknown", f"does not look for {noun}"
    if objects := matching(meaning, evidence):
        classes = frozenset(str(observation.category) for observation in objects)
        listed = _listed(objects)
        return "supported", listed if classes == {noun} else f"{noun} = {_named(classes)} ({listed})"
    if crowds := meaning.supporting & evidence.uncounted:
        return "supported", f"a crowd of {' and '.join(sorted(crowds))}"
    absent = f"no {_named(meaning.supporting)}"
    if doubtful := [one for one in evidence.doubtful if one.category in meaning.supporting]:
        return "unknown", f"{absent} for certain ({len(doubtful)} doubtful)"
    if not meaning.firm:
        return "unknown", f"{absent} ({noun} may be {meaning.other or 'something else'})"
    if others := confused(meaning, evidence):
        return "unknown", f"{absent}, but {_listed(others)}"
    explained = absent if noun in meaning.supporting else f"{absent} ({noun} = {_named(meaning.supporting)})"
    return "contradicted", explained


def _judge_count(claim: Claim, context: Context, evidence: Evidence) -> Judgment:
    noun, number = claim.object or "", claim.count or 0
    meaning = context.meaning(noun, evidence, claim.span)
    if not meaning.supporting:
        return "unknown", f"does not look for {noun}"
    ways = _ways_to_count(claim, meaning, context, evidence)
    honest = [fits(number, way) for way in ways]
    if True in honest:
        return "supported", _counted_text(noun, number, ways[honest.index(True)])
    most = max(ways, key=lambda way: way.most)
    shown = next((way for way in ways if way.most), ways[0])
    text = shown.text(_named(shown.classes))
    if claim.hedge == "partial" and number <= most.total:
        return "supported", f"{number} of {text}"
    if _sum_of_mentions(claim, context) in {way.total for way in ways}:
        return "supported", f"{number} of {text}"
    if None in honest:
        return "unknown", text
    if number > most.most:
        if most.most:
            certain = meaning.exact or (meaning.firm and not meaning.maybe)
        else:
            certain = meaning.firm and not confused(meaning, evidence)
        return ("contradicted" if certain else "unknown"), text
    if claim.hedge == "partial" or not meaning.exact or _counts_a_part(claim, context, evidence):
        return "unknown", f"{text}; cannot count {noun} apart"
    return "contradicted", text


def _ways_to_count(claim: Claim, meaning: Meaning, context: Context, evidence: Evidence) -> list[Counted]:
    """The objects that may be counted, where their colors and sizes fit: of the class of that name, of its classes, and of all."""
    ways: list[Counted] = []
    for classes in (
        frozenset({claim.object or ""}) & meaning.supporting,
        meaning.classes,
        meaning.supporting,
    ):
        objects = [observation for observation in evidence.objects if observation.category in classes]
        if not classes or (ways and len(objects) == len(ways[0].sure)):
            continue
        ways.append(counted(described(claim, context.claims, objects) or objects, classes, evidence))
    return ways


def _counted_text(noun: str, number: int, way: Counted) -> str:
    """The number that is supported, and what it counts."""
    if noun in way.classes and len(way.classes) == 1 and number == way.total:
        return quantity(number, noun)
    names = _named(frozenset(str(observation.category) for observation in way.sure) or way.classes)
    return f"{quantity(number, noun)} = {names} ({way.text(names)})"


def _sum_of_mentions(claim: Claim, context: Context) -> int | None:
    """The sum of the numbers that the caption gives of a noun ("two dogs … one dog"); None where it gives one."""
    numbers = [
        other.count
        for other in context.claims
        if other.kind == "count" and other.object == claim.object and other.count
    ]
    return sum(numbers) if len(numbers) > 1 else None


def _counts_a_part(claim: Claim, context: Context, evidence: Evidence) -> bool:
    """Whether a number may be of some only: in a region, of a look that the evidence does not know, or one of several numbers."""
    looks = [
        other for other in context.claims if other.kind in ("color", "size") and same_mention(other, claim)
    ]
    known = [other for other in looks if other.kind in evidence.scope.attributes]
    words = frozenset(word for other in known for word in f"{other.color or other.size}".lower().split())
    if len(known) < len(looks) or context.adjectives(claim) - words:
        return True
    in_region = any(
        other.kind == "position"
        and other.region
        and other.subject == claim.object
        and spans_overlap(other, claim)
        for other in context.claims
    )
    if in_region or _sum_of_mentions(claim, context) is not None:
        return True
    meant = context.meaning(claim.object, evidence, claim.span).supporting
    return any(  # "two dogs and a puppy"
        other.kind == "object"
        and other.object != claim.object
        and not spans_overlap(other, claim)
        and meant & context.meaning(other.object, evidence, other.span).supporting
        for other in context.claims
    )


# --- attributes, positions, texts ----------------------------------------------------------------------------------------


def _judge_attribute(claim: Claim, context: Context, evidence: Evidence) -> Judgment:
    """Colors and sizes, where the evidence knows them of the objects that the noun may mean."""
    kind, claims = claim.kind, context.claims
    stated = basic_values(claim)
    meaning = context.meaning(claim.object, evidence, claim.span)
    objects = matching(meaning, evidence)
    # Of "a large red circle" the color is that of the large ones, and the size that of the red ones.
    others = [other for other in claims if other.kind != kind]
    known = [one for one in described(claim, others, objects) or objects if known_values(one, kind)]
    if not known or not stated:
        return "unknown", f"knows no {kind} of {claim.object}"
    shown = frozenset().union(*(known_values(observation, kind) for observation in known))
    if stated & shown:
        return "supported", f"{claim.object} is {', '.join(sorted(stated & shown))}"
    text = f"{claim.object} is {', '.join(sorted(shown))}"
    certain = meaning.firm and any(observation.category in meaning.classes for observation in known)
    if not certain or (kind == "color" and any(stated & observation.near_colors for observation in known)):
        return "unknown", text
    # "a black and white dog" makes two claims of one thing: one that fits is enough for neither to be wrong.
    siblings = [other for other in claims if other.kind == kind and same_mention(other, claim)]
    return ("unknown" if any(basic_values(other) & shown for other in siblings) else "contradicted"), text


def _judge_position(claim: Claim, context: Context, evidence: Evidence) -> Judgment:
    subjects, certain_subject = related_objects(claim, context, evidence, of_subject=True)
    if claim.region is not None and claim.object is None:
        return _judge_region(claim, subjects, context, evidence, certain=certain_subject)
    others, certain_other = related_objects(claim, context, evidence, of_subject=False)
    relation = claim.relation or ""
    if relation not in (*spatial.DIRECTIONS, *spatial.NEAR):
        return "unknown", f"cannot tell {claim.relation!r}"
    pairs = [(one, other) for one in subjects for other in others if one is not other]
    if not pairs:
        return "unknown", f"does not see both {claim.subject} and {claim.object}"
    holds = [spatial.related(one, other, relation, evidence) for one, other in pairs]
    if True in holds:
        return "supported", f"{claim.subject} is {claim.relation} {claim.object}"
    if None in holds:
        return "unknown", f"{claim.subject} and {claim.object} lie too close to tell, or too far"
    if not (certain_subject and certain_other):
        return "unknown", f"not {claim.relation}, if these are {claim.subject} and {claim.object}"
    return "contradicted", f"{claim.subject} is not {claim.relation} {claim.object}"


def _judge_region(
    claim: Claim, subjects: Sequence[Observation], context: Context, evidence: Evidence, *, certain: bool
) -> Judgment:
    region = claim.region or ""
    holds = [spatial.in_region(subject, region, evidence) for subject in subjects]
    if not holds:
        return "unknown", f"does not see {claim.subject}"
    if True in holds:
        return "supported", f"{claim.subject} is at the {region}"
    # "a cup on top" is on top of something, wherever that is in the picture.
    words = context.caption[claim.span[0] : claim.span[1]].lower()
    if None in holds or not certain or re.search(r"\bon top\b", words):
        return "unknown", f"cannot tell whether {claim.subject} is at the {region}"
    return "contradicted", f"{claim.subject} is not at the {region}"


def _judge_text(claim: Claim, context: Context, evidence: Evidence) -> Judgment:
    if "text" not in evidence.scope.attributes:
        return "unknown", "reads no text"
    readings = [observation.text for observation in evidence.objects if observation.text]
    readable = quoted_text.is_there(claim.text or "", evidence)
    text = f"reads {', '.join(readings)}" if readings else "no text"
    return "unknown" if readable is None else "supported" if readable else "contradicted", text


_JUDGES = {
    "object": _judge_object,
    "count": _judge_count,
    "color": _judge_attribute,
    "size": _judge_attribute,
    "position": _judge_position,
    "text": _judge_text,
}


def _named(classes: frozenset[str]) -> str:
    return " or ".join(sorted(classes))


def _listed(objects: Sequence[Observation]) -> str:
    names = [observation.category or "" for observation in objects]
    return ", ".join(quantity(names.count(name), name) for name in dict.fromkeys(names))
