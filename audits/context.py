"""What the rest of a caption makes of a noun: what it says of animals, of food, in passing, or from inside a thing.

The lexicon knows a noun by itself. In its caption an ordinary reading may be another one: "the mother" of elephants is no person,
the carrots of a soup are no carrots that an annotator would find, what a thing is "for" need not be there. Such a reading never
makes a noun mean more; it says that the absence of its classes proves nothing.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from audits.evidence import Evidence
from audits.lexicon import Lexicon, Meaning, load_lexicon, meaning
from recapdata.records import Claim

_WORDS = r"(?:(?!of\b|front\b|with\b|and\b)[\w'-]+ ){0,2}$"
_FOR = re.compile(rf"\bfor {_WORDS}", re.IGNORECASE)
_INSIDE = re.compile(
    rf"\b(?:in|inside|within|aboard|onboard|from|through|into) (?:of )?{_WORDS}", re.IGNORECASE
)
_PART = re.compile(
    rf"(?<!in )(?<!in the )\b(?:front|back|rear|seat|bed|inside|interior|trunk|hood|roof|window|side|end|wheel|cockpit|dashboard|cabin|aisle|deck) of {_WORDS}",
    re.IGNORECASE,
)
_ON = re.compile(rf"\b(?:on|off|onto) {_WORDS}", re.IGNORECASE)
_BOARDED = frozenset({"bus", "train", "airplane", "boat"})
_OF = re.compile(r"\s+of\b", re.IGNORECASE)
_SHAPE = re.compile(
    rf"\b(?:face|head|shape|form|silhouette|outline|image|likeness|shadow|reflection|photo|photograph|picture|painting|drawing|portrait|statue|sculpture|mural|print) of {_WORDS}|"
    rf"\b(?:decorated|printed|embroidered|painted) with {_WORDS}|\bwarn(?:s|ing)? (?:of|about) {_WORDS}",
    re.IGNORECASE,
)
_MADE = re.compile(
    r"\s+(?:(?:is|are|was|were) )?(?:made|built|carved|knitted|folded|formed|cut) (?:up |out |entirely )?(?:of|from)\b"
)
_NEXT = re.compile(r" ([a-z]+)\b")
_REACH = 60
"""Characters before a noun in which a preposition of its own can stand."""


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
        return self._in_passing(head[0], found, span)

    def _in_passing(self, head: str, found: Meaning, span: tuple[int, int]) -> str:
        lexicon = load_lexicon()
        before = self.caption[max(0, span[0] - _REACH) : span[0]]
        after = _NEXT.match(self.caption, span[1])
        if after is not None and after[1] in lexicon.tails and self.caption[span[1] - 1] != "s":
            return "a part of a name"
        if self.caption[span[1] : span[1] + 1] == "-":
            return "a part of a word"
        if head in lexicon.of and _OF.match(self.caption, span[1]):
            return lexicon.of[head]
        if _SHAPE.search(before) or self._on_surface(span[1]):
            return "a picture of it"
        if found.classes & lexicon.living and _MADE.match(self.caption, span[1]):
            return "an imitation"
        if _FOR.search(before):
            return "what something is for"
        enclosing = found.classes & lexicon.enclosing
        inside = (
            _INSIDE.search(before) or _PART.search(before) or (enclosing & _BOARDED and _ON.search(before))
        )
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
