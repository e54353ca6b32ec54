"""Yes/no questions about a prompt, each with the questions that it depends on: from its claims, or from a benchmark's own file.

    Is there a dog?                     object
    Are there exactly two dogs?         count, depends on the dog
    Is the dog brown?                   color or size, depends on the dog
    Is the dog to the left of the cat?  position, depends on both
    Is the text "STOP" written there?   text, depends on what bears it

After the Davidsonian Scene Graph (Cho et al. 2024): atomic, one at a time, and none asked of what is not there. DSG has a language
model write them; here they are the audit's claims in the form of questions, the same for the same prompt. A prompt of DPG-Bench brings
its own (`fields["questions"]` with `question_natural_language` and `dependency`), and so does one of GenEval 2 (`fields["vqa_list"]`, pairs of a
question and its answer, and `skills`, their kinds, without dependencies); these are taken instead. A question of GenEval 2 whose answer
is not yes becomes one whose answer is: "How many cows are in the image?" – three – "Are there exactly three cows in the image?"
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from audits.clip.counterfactuals import plural
from audits.extraction.words import NUMBERS
from audits.grounding.context import Context
from audits.grounding.mentions import spans_overlap
from recapdata.records import Claim

VERSION = 2
SPELLED = {number: word for word, number in reversed(NUMBERS.items()) if number <= 12}
RELATIONS = {"left of": "to the left of", "right of": "to the right of", "with": "together with"}
"""Relations whose question needs other words than their name."""
BEFORE_REGION = {"left": "on", "right": "on", "top": "at", "bottom": "at"}
"""Prepositions of regions; "in" stands before the others."""
_HOW_MANY = re.compile(r"how many (?P<what>.+?) (?:are|is) (?P<where>.+)\?", re.IGNORECASE)
_VOWEL = re.compile(r"(?!uni|use|eu|one\b|ukul)[aeiou]|hour|honest", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Question:
    """A question that is answered with yes where the picture shows what the prompt says.

    Attributes:
        kind: of the claim that it asks for, or the benchmark's category.
        parents: places of the questions without whose yes it means nothing.
    """

    text: str
    kind: str
    parents: tuple[int, ...] = ()


def questions_of(context: Context, fields: Mapping[str, Any]) -> list[Question]:
    """The questions of a prompt: the benchmark's own, where its fields bring some, else those of its claims."""
    table, pairs = fields.get("questions"), fields.get("vqa_list")
    if table and is_table(table):
        return list(_own(table))
    if pairs and are_pairs(pairs):
        return _of_pairs(pairs, fields.get("skills"))
    return _of_claims(context)


# --- of claims -------------------------------------------------------------------------------------------------------------


def _of_claims(context: Context) -> list[Question]:
    """Objects first, then what is said of them; a question that comes twice is asked once."""
    plain = [claim for claim in context.claims if claim.hedge is None]
    objects = [claim for claim in plain if claim.kind == "object"]
    found: dict[str, Question] = {}
    places: dict[int, int] = {}  # place of the question of an object by that of its claim
    for number, claim in enumerate(objects):
        text = f"{'Are' if _is_plural(context, claim) else 'Is'} there {_with_article(context, claim)}?"
        found.setdefault(text, Question(text, "object"))
        places[number] = list(found).index(text)
    for claim in plain:
        if claim.kind == "object":
            continue
        text = _TEXTS[claim.kind](context, claim, objects)
        nouns = (claim.subject, claim.object) if claim.kind == "position" else (claim.object,)
        parents = [_mention(claim, noun, objects) for noun in nouns if noun is not None]
        known = tuple(dict.fromkeys(places[place] for place in parents if place is not None))
        found.setdefault(text, Question(text, claim.kind, known))
    return list(found.values())


def _mention(claim: Claim, noun: str, objects: Sequence[Claim]) -> int | None:
    """The place of the object that a claim is about: the mention that it stands on, else any of that noun."""
    mentions = [place for place, each in enumerate(objects) if each.object == noun]
    on = [place for place in mentions if spans_overlap(objects[place], claim)]
    return next(iter(on or mentions), None)


def _is_plural(context: Context, claim: Claim) -> bool:
    """Whether the caption has an object's noun in the plural."""
    words = context.caption[slice(*claim.span)].lower().split()
    noun = (claim.object or "").lower().split()
    return bool(words and noun) and words[-1] != noun[-1] and words[-1].endswith("s")


def _with_article(context: Context, claim: Claim) -> str:
    """An object as it is asked for: "a dog", "dogs", or "grass", which has no article in the caption either."""
    noun = claim.object or ""
    if _is_plural(context, claim):
        return plural(noun)
    before = context.caption[: claim.span[0]].lower()
    # "grass", "on grass": a thing without any word that counts it or points to it is stuff.
    attributes = [each for each in context.claims if each.kind in ("color", "size", "count")]
    start = min(
        [
            claim.span[0],
            *(each.span[0] for each in attributes if each.object == noun and spans_overlap(each, claim)),
        ]
    )
    counted = any(
        each.kind == "count" and each.object == noun and spans_overlap(each, claim) for each in attributes
    )
    opened = re.search(
        r"\b(?:an?|the|one|this|that|his|her|its|their|my|another|each|every)\s+(?:[\w'-]+\s+){0,3}$",
        before[:start],
    )
    if not (counted or opened):
        return noun
    return f"{'an' if _VOWEL.match(noun) else 'a'} {noun}"


def _the(context: Context, claim: Claim, noun: str | None, objects: Sequence[Claim]) -> tuple[str, str]:
    """`is` or `are`, and an object with its article, in the number in which the caption has it."""
    place = None if noun is None else _mention(claim, noun, objects)
    if place is not None and _is_plural(context, objects[place]):
        return "Are", f"the {plural(noun or '')}"
    return "Is", f"the {noun}"


def _count(context: Context, claim: Claim, objects: Sequence[Claim]) -> str:
    number, noun = claim.count or 0, claim.object or ""
    if number == 1:
        return f"Is there exactly one {noun}?"
    return f"Are there exactly {SPELLED.get(number, str(number))} {plural(noun)}?"


def _attribute(context: Context, claim: Claim, objects: Sequence[Claim]) -> str:
    verb, thing = _the(context, claim, claim.object, objects)
    return f"{verb} {thing} {claim.color or claim.size}?"


def _position(context: Context, claim: Claim, objects: Sequence[Claim]) -> str:
    verb, thing = _the(context, claim, claim.subject, objects)
    if claim.object is None:
        return f"{verb} {thing} {BEFORE_REGION.get(claim.region or '', 'in')} the {claim.region}?"
    _, other = _the(context, claim, claim.object, objects)
    relation = claim.relation or f"in the {claim.region} of"
    return f"{verb} {thing} {RELATIONS.get(relation, relation)} {other}?"


def _text(context: Context, claim: Claim, objects: Sequence[Claim]) -> str:
    return f'Is the text "{claim.text}" written there?'


_TEXTS = {"count": _count, "color": _attribute, "size": _attribute, "position": _position, "text": _text}


# --- of a benchmark --------------------------------------------------------------------------------------------------------


def is_table(rows: Any) -> bool:
    """Whether these are questions with dependencies in the form of DSG's and DPG-Bench's tables."""
    return isinstance(rows, list) and all(
        isinstance(row, Mapping)
        and isinstance(row.get("question_natural_language"), str)
        and _numbers(row.get("dependency")) is not None
        and _numbers(row.get("proposition_id")) is not None
        for row in rows
    )


def _own(rows: Sequence[Mapping[str, Any]]) -> Iterator[Question]:
    """The questions of a table; a dependency on 0, or on what the table does not have, is none."""
    places = {
        number: place for place, row in enumerate(rows) for number in _numbers(row["proposition_id"]) or ()
    }
    for row in rows:
        parents = (places[number] for number in _numbers(row["dependency"]) or () if number in places)
        yield Question(
            row["question_natural_language"], str(row.get("category_broad") or "other"), tuple(parents)
        )


def are_pairs(rows: Any) -> bool:
    """Whether these are questions with their answers in GenEval 2's form."""
    return isinstance(rows, list) and all(
        isinstance(row, list)
        and len(row) == 2
        and all(isinstance(each, str) and each.strip() for each in row)
        for row in rows
    )


def _of_pairs(pairs: Sequence[Sequence[str]], skills: Any) -> list[Question]:
    """The questions of pairs, each so that yes is right; of kind `other` where the file has no skill for each."""
    known = isinstance(skills, list) and len(skills) == len(pairs)
    kinds = [str(skill) for skill in skills] if known else ["other"] * len(pairs)
    return [Question(_for_yes(*pair), kind) for pair, kind in zip(pairs, kinds, strict=True)]


def _for_yes(question: str, answer: str) -> str:
    """A question to which yes is right where the answer is."""
    question, answer = question.strip(), answer.strip().rstrip(".").lower()
    if answer == "yes":
        return question
    if many := _HOW_MANY.fullmatch(question):
        what, where = many["what"], many["where"]
        if answer in ("one", "1", "a"):
            return f"Is there exactly one of the {what} {where}?"
        return f"Are there exactly {answer} {what} {where}?"
    return f'Is "{answer}" the right answer to the question: {question}'


def _numbers(value: Any) -> list[int] | None:
    """`1,3` as numbers; None where it is no list of numbers."""
    try:
        return [int(part) for part in str(value).split(",")]
    except ValueError:
        return None
