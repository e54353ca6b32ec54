"""The meaning of a noun in its caption: readings under which its thing need not be seen in the picture.

The lexicon knows a noun by itself. In a caption it may ordinarily be read another way: "the mother" of elephants is no person, the
carrots of a soup are no carrots that an annotator would find, "a view from a train" shows no train. Such a reading adds no class to
a noun's meaning; it says that the absence of its classes does not contradict the caption.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from audits.evidence import Evidence
from audits.lexicon import Lexicon, Meaning, load_lexicon, meaning
from recapdata.records import Claim

# Up to two words (a determiner, an adjective) between a preposition and its noun.
_WORDS = r"(?:(?!of\b|front\b|with\b|and\b)[\w'-]+ ){0,2}$"
_PICTURES = "shape|form|silhouette|outline|likeness|shadow|statue|sculpture|mural"
_SHOWING = "decorated|printed|embroidered|painted|adorned"
_MEDIA = "book|magazine|movie|film|story|documentary|article|song|game"
_SEEKING = "about|trying|tries|ready|wants?|hop(?:es?|ing)|going|prepar(?:es?|ing)|learning"
_RESEMBLING = "(?:looks?|looking|shaped|just|much) like|resembl(?:es?|ing)|similar to"
_BEFORE: Sequence[tuple[re.Pattern[str], str]] = [
    (re.compile(rf"\b(?:{_PICTURES}) of {_WORDS}", re.IGNORECASE), "a picture of it"),
    (re.compile(rf"\b(?:{_SHOWING}) with {_WORDS}", re.IGNORECASE), "a picture of it"),
    (re.compile(rf"\b(?:{_MEDIA})s? (?:about|on) {_WORDS}", re.IGNORECASE), "what it is about"),
    (re.compile(r"\bwarn(?:s|ing)? (?:of|about) (?:[\w'-]+ ){0,4}$", re.IGNORECASE), "what it is about"),
    (re.compile(rf"\b(?:{_RESEMBLING}) {_WORDS}", re.IGNORECASE), "a likeness"),
    (re.compile(rf"\b(?:{_SEEKING}) to \w+ {_WORDS}", re.IGNORECASE), "not there yet"),
    (re.compile(rf"\bfor {_WORDS}", re.IGNORECASE), "what something is for"),
]
"""Words before a noun after which its thing need not be in the picture, and what the evidence text says then.

Most of them hedge the claim already (`Claim.hedge`), where the caption was parsed right."""
_MADE = re.compile(
    r"\s+(?:(?:is|are|was|were) )?(?:made|built|carved|knitted|folded|formed|cut) (?:up |out |entirely )?(?:of|from)\b"
)
_INSIDE = re.compile(
    rf"\b(?:in|inside|within|aboard|onboard|from|through|into) (?:of )?{_WORDS}", re.IGNORECASE
)
_PARTS = "front|back|rear|seat|bed|inside|interior|trunk|hood|roof|window|side|end|wheel|cockpit|dashboard|cabin|aisle|deck"
_PART = re.compile(rf"(?<!in )(?<!in the )\b(?:{_PARTS}) of {_WORDS}", re.IGNORECASE)
_ON_BOARD = re.compile(rf"\b(?:on|off|onto) {_WORDS}", re.IGNORECASE)
_BOARDED = frozenset({"bus", "train", "airplane", "boat"})
_OF = re.compile(r"\s+of\b", re.IGNORECASE)
_NEXT = re.compile(r" ([a-z]+)\b")
_REACH = 60
"""Characters before and after a noun that are looked at."""


@dataclass(frozen=True, slots=True)
class Context:
    """A caption, its claims, and what they are about.

    Attributes:
        caption: as written; empty where it is not known.
        nouns: words of the nouns of which it says that they are there.
        animals, people, dish: whether it speaks of animals, of people by a word that is never said of animals, of a dish.
    """

    claims: tuple[Claim, ...]
    caption: str
    nouns: frozenset[str]
    animals: bool
    people: bool
    dish: bool

    def meaning(self, noun: str | None, evidence: Evidence, span: tuple[int, int] | None = None) -> Meaning:
        """What a noun means among the classes of the evidence, in this caption.

        Args:
            span: where the noun stands; None where that is not known.
        """
        found = meaning(self._whole(noun or "", span), evidence.scope.classes)
        if not found.classes:
            return found
        other = self._other(noun or "", found, evidence, span)
        return found.doubted(other) if other else found

    def adjectives(self, claim: Claim) -> frozenset[str]:
        """The words between the number and the noun of a count; empty where the caption is not known."""
        words = re.findall(r"[\w'-]+", self.caption[claim.span[0] : claim.span[1]].lower())
        return frozenset(words[1 : len(words) - len((claim.object or "").split())])

    def _whole(self, noun: str, span: tuple[int, int] | None) -> str:
        """The noun with the word before it, where the two are one thing, whatever a parser made of it: "gummy bear"."""
        before = re.search(r"([\w'-]+) $", self.caption[: span[0]]) if span is not None else None
        if before is None:
            return noun
        lexicon = load_lexicon()
        word, whole = before[1].lower(), f"{before[1]} {noun}".lower()
        unmade = word in lexicon.unmaking or (word in lexicon.materials and lexicon.lives(noun))
        return whole if unmade or whole in lexicon.names or whole in lexicon.maybe else noun

    def _other(self, noun: str, found: Meaning, evidence: Evidence, span: tuple[int, int] | None) -> str:
        """What else the noun may be, here; empty where it is nothing else."""
        lexicon = load_lexicon()
        head = noun.lower().split()[-1:] or [""]
        if head[0] in lexicon.kin and not self.people and (self.animals or _shows_animals(evidence, lexicon)):
            return "an animal"
        if found.classes <= lexicon.ingredients and self.dish:
            return "a part of a dish"
        if self.nouns & lexicon.among.get(head[0], frozenset()):
            return "a thing of another kind"
        if span is None or not self.caption:
            return ""
        return self._by_words(head[0], found, span)

    def _by_words(self, head: str, found: Meaning, span: tuple[int, int]) -> str:
        """What else a noun may be by the words around it; empty where they say nothing."""
        lexicon = load_lexicon()
        before = self.caption[max(0, span[0] - _REACH) : span[0]]
        after = _NEXT.match(self.caption, span[1])
        if after is not None and after[1] in lexicon.tails and self.caption[span[1] - 1] != "s":
            return "a part of a name"
        if self.caption[span[1] : span[1] + 1] == "-":
            return "a part of a word"
        if head in lexicon.of and _OF.match(self.caption, span[1]):
            return lexicon.of[head]
        if self._on_surface(span[1]):
            return "a picture of it"
        if found.classes & lexicon.living and _MADE.match(self.caption, span[1]):
            return "an imitation"
        if reason := next((reason for pattern, reason in _BEFORE if pattern.search(before)), ""):
            return reason
        enclosing = found.classes & lexicon.enclosing
        boarded = enclosing & _BOARDED and _ON_BOARD.search(before)
        inside = _INSIDE.search(before) or _PART.search(before) or boarded
        return "around the camera" if enclosing and inside else ""

    def _on_surface(self, end: int) -> bool:
        """Whether a noun that ends there is on something that bears pictures."""
        words = re.findall(r"[\w'-]+", self.caption[end : end + _REACH])[:5]
        surfaces = load_lexicon().surfaces
        return words[:1] == ["on"] and any(
            word.lower().rstrip("s").removeprefix("t-") in surfaces for word in words[1:]
        )


def read_context(claims: Sequence[Claim], caption: str | None = None) -> Context:
    """The context of the claims of a caption."""
    lexicon = load_lexicon()
    nouns = {
        claim.object for claim in claims if claim.kind == "object" and claim.object and claim.hedge is None
    }
    classes = lexicon.vocabularies[0]
    people = any(
        "person" in meaning(noun, classes).classes and noun.lower().split()[-1] not in lexicon.kin
        for noun in nouns
    )
    return Context(
        claims=tuple(claims),
        caption=caption or "",
        nouns=frozenset(word for noun in nouns for word in noun.lower().split()),
        animals=any(lexicon.animal(noun) for noun in nouns),
        people=people,
        dish=any(lexicon.dish(noun) for noun in nouns),
    )


def _shows_animals(evidence: Evidence, lexicon: Lexicon) -> bool:
    return any(seen.category in lexicon.animals for seen in evidence.objects)
