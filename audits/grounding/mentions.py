"""The objects of the evidence that a claim is about: by what its noun means, and by the colors and sizes that the caption gives it."""

from collections.abc import Sequence

from audits.evidence import Evidence, Observation
from audits.grounding.context import Context
from audits.lexicon import Meaning, load_lexicon
from recapdata.records import Claim


def matching(meaning: Meaning, evidence: Evidence) -> list[Observation]:
    """The objects that bear a noun out."""
    return [observation for observation in evidence.objects if observation.category in meaning.supporting]


def confused(meaning: Meaning, evidence: Evidence) -> list[Observation]:
    """The objects of classes that overlap with a noun's, or are taken for them."""
    return [observation for observation in evidence.objects if observation.category in meaning.near]


def related_objects(
    claim: Claim, context: Context, evidence: Evidence, *, of_subject: bool
) -> tuple[list[Observation], bool]:
    """The objects that the subject of a position may be, or its object.

    Returns:
        The boxed objects, and whether it can be nothing else than one of them.
    """
    noun = claim.subject if of_subject else claim.object
    mentions = [
        other
        for other in context.claims
        if other.kind == "object" and other.object == noun and spans_overlap(other, claim)
    ]
    last = claim.subject == claim.object and not of_subject
    mention = mentions[-1 if last else 0] if mentions else None
    meaning = context.meaning(noun, evidence, mention.span if mention else None)
    boxed = [observation for observation in matching(meaning, evidence) if observation.bbox is not None]
    more = evidence.uncounted & meaning.supporting or any(
        observation.category in meaning.supporting for observation in evidence.doubtful
    )
    certain = meaning.firm and not more and (mention is None or mention.hedge is None)
    return boxed if mention is None else described(mention, context.claims, boxed) or boxed, certain


def described(mention: Claim, claims: Sequence[Claim], objects: Sequence[Observation]) -> list[Observation]:
    """The objects that fit the colors and sizes that the caption gives a mention; one of unknown color or size fits."""
    fitting = list(objects)
    for kind in ("color", "size"):
        values = stated_values(mention, claims, kind)
        if values is not None:
            fitting = [
                observation
                for observation in fitting
                if not (known := known_values(observation, kind))
                or known & values
                or observation.near_colors & values
            ]
    return fitting


def stated_values(mention: Claim, claims: Sequence[Claim], kind: str) -> frozenset[str] | None:
    """All basic colors, or sizes, that the caption gives a mention; None where it gives none."""
    stated = [basic_values(claim) for claim in claims if claim.kind == kind and same_mention(claim, mention)]
    return frozenset().union(*stated) if stated else None


def known_values(observation: Observation, kind: str) -> frozenset[str]:
    """The colors, or the size, that are known of an object."""
    return frozenset(
        observation.colors if kind == "color" else (observation.size,) if observation.size else ()
    )


def basic_values(claim: Claim) -> frozenset[str]:
    """The basic colors, or sizes, that a claim may mean."""
    lexicon = load_lexicon()
    return lexicon.color(claim.color or "") if claim.kind == "color" else lexicon.size(claim.size or "")


def same_mention(one: Claim, other: Claim) -> bool:
    """Whether two claims are about one mention of a noun."""
    return one.object == other.object and spans_overlap(one, other)


def spans_overlap(one: Claim, other: Claim) -> bool:
    """Whether the spans of two claims overlap."""
    return one.span[0] < other.span[1] and other.span[0] < one.span[1]
