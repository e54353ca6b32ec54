"""What prompts state, read by the audit's claims: classes that they name, counts, positions, phrases.

A noun names a class of a detector by the audit's lexicon ("man" names person, "hot dog" names no dog), never by a substring; one
that may be something else ("a mouse", "a bed of flowers"), that is hedged ("a statue of a horse"), or that several
classes share ("a vehicle") names none. A prompt is parsed once in a process, whatever metrics read it.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from audits.evidence import Evidence, Scope
from audits.grounding.context import Context, read_context
from audits.grounding.mentions import same_mention
from audits.lexicon import load_lexicon
from audits.rules import rules
from recapdata.records import Claim

if TYPE_CHECKING:
    from spacy.language import Language

REMEMBERED = 4096
"""Prompts whose claims are remembered."""

_EDGE = re.compile(
    r"(?P<determiner>\b(?:an?|the|one|two|three|four|five|six|seven|eight|nine|ten|this|that|these|those|some|several|his|her|its|"
    r"their|my)\s)|[,.;:!?]|\b(?:and|or|with|of|in|on|at|by|near|under|over|behind|beside|to|has|have|is|are)\s",
    re.IGNORECASE,
)
"""A word that opens a phrase, or a mark or word behind which one may open."""
_ARTICLE = re.compile(r"\b(?:an?|one)\s", re.IGNORECASE)


def read_prompts(prompts: Sequence[str]) -> list[Context]:
    """The claims of each prompt with what they are about; those read before are remembered."""
    from audits.extraction import claims

    new = [prompt for prompt in dict.fromkeys(prompts) if prompt not in _CONTEXTS]
    found = {prompt: _CONTEXTS[prompt] for prompt in prompts if prompt in _CONTEXTS}
    for prompt, own in zip(new, claims(new, pipeline=_pipeline()) if new else (), strict=True):
        found[prompt] = read_context(own, prompt)
    if len(_CONTEXTS) + len(new) > REMEMBERED:
        _CONTEXTS.clear()
    _CONTEXTS.update((prompt, found[prompt]) for prompt in new)
    return [found[prompt] for prompt in prompts]


def reading_identity() -> str:
    """What the claims of prompts and the meaning of their nouns rest on: rules, lexicon and the spaCy pipeline."""
    from audits.language.pipeline import identity

    return f"{rules('claims', 'grounding')} {identity(_pipeline())}"


_CONTEXTS: dict[str, Context] = {}


@cache
def _pipeline() -> "Language":
    from audits.language.pipeline import load_pipeline

    return load_pipeline()


# --- classes -------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Stated:
    """A thing that a prompt states, as a detector may find it.

    Attributes:
        name: the class that it names, or the classes, joined by a vertical bar.
        classes: of which a detected object is such a thing.
        count: how many the prompt says there are; None where it does not say.
    """

    name: str
    classes: frozenset[str]
    count: int | None = None


def nouns(context: Context) -> frozenset[str]:
    """The objects that a prompt names, as a zero-shot detector is asked for them."""
    return frozenset(claim.object for claim in context.claims if claim.kind == "object" and claim.object)


def classes_of(context: Context, claim: Claim, noun: str | None, classes: frozenset[str]) -> frozenset[str]:
    """The classes of a detector that a noun means for sure, in this prompt; empty where it may be something else."""
    return context.meaning(noun, _unseen(classes), claim.span).classes


def named_classes(context: Context, classes: frozenset[str]) -> list[Stated]:
    """The classes that a prompt names, each once, in the order in which it does."""
    named: dict[str, Stated] = {}
    for claim in _plain(context, "object"):
        meant = classes_of(context, claim, claim.object, classes)
        name = claim.object if claim.object in meant else next(iter(meant)) if len(meant) == 1 else None
        if name is not None:
            named.setdefault(name, Stated(name, meant))
    return list(named.values())


def stated_counts(context: Context, classes: frozenset[str]) -> list[Stated]:
    """The numbers that a prompt states of things of a detector's classes: "two men and three women" are five persons.

    A number is a number word or digits; "a dog" states none. A number of some ("two more dogs"), and of what is counted in
    heaps ("three luggage"), are left out.
    """
    uncounted = load_lexicon().uncounted
    totals: dict[frozenset[str], int] = {}
    for claim in _plain(context, "count"):
        meant = classes_of(context, claim, claim.object, classes)
        head = (claim.object or "").lower().split()[-1:]
        if meant and claim.count is not None and head and head[0] not in uncounted:
            totals[meant] = totals.get(meant, 0) + claim.count
    return [Stated("|".join(sorted(meant)), meant, count) for meant, count in totals.items()]


def counted_things(context: Context, classes: frozenset[str]) -> list[Stated]:
    """The things of a prompt with their numbers, "a dog" being one, as T2I-CompBench's prompts have them.

    Things of which it counts only some ("two green triangles, a yellow triangle") are left out, as by `stated_counts`.
    """
    counts = [claim for claim in context.claims if claim.kind == "count"]
    some = frozenset().union(
        *(classes_of(context, each, each.object, classes) for each in counts if each.hedge is not None)
    )
    things = {each.classes: each for each in stated_counts(context, classes)}
    for claim in _plain(context, "object"):
        meant = classes_of(context, claim, claim.object, classes)
        counted = any(same_mention(claim, count) for count in counts)
        if meant and not counted and _ARTICLE.match(_phrase(context, claim)):
            before = things.get(meant)
            number = 1 if before is None else 1 + (before.count or 0)
            things[meant] = Stated("|".join(sorted(meant)), meant, number)
    return [each for each in things.values() if not each.classes & some]


def _plain(context: Context, kind: str) -> Iterator[Claim]:
    """The claims of a kind that say of something that it is there."""
    return (claim for claim in context.claims if claim.kind == kind and claim.hedge is None)


def _unseen(classes: frozenset[str]) -> Evidence:
    """The evidence of a detector that has not looked yet."""
    return Evidence(source="detector", scope=Scope(classes=classes), objects=(), width=1, height=1)


# --- phrases -------------------------------------------------------------------------------------------------------------


def noun_phrases(context: Context) -> list[str]:
    """The phrases of the objects of a prompt, each with its article and attributes: "a green bench", "the fluffy sweater"."""
    phrases = (_phrase(context, claim) for claim in _plain(context, "object"))
    return list(dict.fromkeys(filter(None, phrases)))


def _phrase(context: Context, claim: Claim) -> str:
    """The words of an object from its article on, or from the nearest word or mark before its attributes that opens a phrase.

    Attributes that no claim is made of ("a wooden chair", "a teardrop plum") stand between those and the noun, too.
    """
    attributes = ("count", "color", "size")
    mine = [other for other in context.claims if other.kind in attributes and same_mention(other, claim)]
    start = min(each.span[0] for each in (claim, *mine))
    ends = [other.span[1] for other in context.claims if other.kind == "object"]
    before = max((end for end in ends if end <= start), default=0)
    edges = list(_EDGE.finditer(context.caption, before, start))
    if edges:
        start = edges[-1].start() if edges[-1]["determiner"] else edges[-1].end()
    elif not before:
        start = 0
    return " ".join(context.caption[start : claim.span[1]].split())
