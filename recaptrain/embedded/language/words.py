"""The lexicon of the caption grammar: word lists with their inflections, as rows of a Universal Dependencies tree.

A row is `(form, tag, pos, morph, lemma)` in the conventions of UD English EWT.
"""

from __future__ import annotations

import random
import re
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Generic, NamedTuple, TypeVar

T = TypeVar("T")
Row = tuple[str, str, str, str, str]

VOWELS = "aeiou"
PRESENT = "Mood=Ind|Number={}|Person=3|Tense=Pres|VerbForm=Fin"
PAST = "Mood=Ind|Number={}|Person=3|Tense=Past|VerbForm=Fin"
PARTICIPLE = "Tense=Pres|VerbForm=Part"
GERUND = "VerbForm=Ger"
PASSIVE = "Tense=Past|VerbForm=Part|Voice=Pass"


def plural_of(noun: str) -> str:
    if re.search(r"[^aeiou]y$", noun):
        return noun[:-1] + "ies"
    return noun + ("es" if re.search(r"(s|x|z|ch|sh)$", noun) else "s")


def _doubled(verb: str) -> str:
    """The stem before -ed and -ing: the last consonant of a verb of one short syllable is doubled."""
    sounds = verb.replace("qu", "q")
    one_syllable = len(re.findall(r"[aeiouy]+", sounds)) == 1
    short = re.search(r"(^|[^aeiou])[aeiou][^aeiouwxy]$", sounds)
    return verb + verb[-1] if one_syllable and short else verb


def third_person_of(verb: str) -> str:
    return verb + "es" if verb.endswith("o") else plural_of(verb)


def past_of(verb: str) -> str:
    if verb.endswith("e"):
        return verb + "d"
    if re.search(r"[^aeiou]y$", verb):
        return verb[:-1] + "ied"
    return _doubled(verb) + "ed"


def participle_of(verb: str) -> str:
    if verb.endswith("ie"):
        return verb[:-2] + "ying"
    if verb.endswith("e") and not re.search(r"[eyo]e$", verb):
        return verb[:-1] + "ing"
    return _doubled(verb) + "ing"


class Verb(NamedTuple):
    """One verb's forms as rows, by part-of-speech tag."""

    lemma: str
    forms: dict[str, Row]

    @staticmethod
    def read(entry: str) -> Verb:
        base, *rest = entry.split("/")
        past = rest[0] if rest else past_of(base)
        done = rest[1] if len(rest) > 1 else past
        going = rest[2] if len(rest) > 2 else participle_of(base)
        words = {
            "VB": (base, "VerbForm=Inf"),
            "VBZ": (third_person_of(base), PRESENT.format("Sing")),
            "VBP": (base, PRESENT.format("Plur")),
            "VBD": (past, PAST.format("Sing")),
            "VBG": (going, PARTICIPLE),
            "VBN": (done, PASSIVE),
        }
        return Verb(base, {tag: (form, tag, "VERB", morph, base) for tag, (form, morph) in words.items()})


class Part(NamedTuple):
    """A word within a noun or a hyphenated modifier; `head` counts parts from the start, -1 for the head itself."""

    row: Row
    head: int
    dep: str
    space: bool


class Noun(NamedTuple):
    """A noun with its compound parts, in the numbers that it has."""

    lemma: str
    singular: tuple[Part, ...] | None
    plural: tuple[Part, ...] | None
    mass: bool


HYPHEN: Row = ("-", "HYPH", "PUNCT", "", "-")


def _modifier(word: str) -> Row:
    if word.endswith("ed") and word not in ("red", "bed", "shed", "sled"):
        return (word, "VBN", "VERB", PASSIVE, MODIFIER_LEMMAS.get(word, word.removesuffix("ed")))
    if word.endswith("ing") and word != "ping":
        return (word, "VBG", "VERB", GERUND, MODIFIER_LEMMAS.get(word, word.removesuffix("ing")))
    return (word, "JJ", "ADJ", "Degree=Pos", word)


MODIFIER_LEMMAS = {
    "stuffed": "stuff", "potted": "pot", "fried": "fry", "grilled": "grill", "whipped": "whip", "mashed": "mash",
    "powdered": "powder", "stained": "stain", "barbed": "barb", "rolling": "roll", "moving": "move",
}  # fmt: skip


def _noun_parts(word: str, head_row: Row) -> tuple[Part, ...]:
    """Parts of `hot~air_balloon`: each but the last is tied to the next, `-` stands between the halves of one word."""
    pieces = re.findall(r"([^_~-]+)([_~-]?)", word)
    parts: list[Part] = []
    for index, (piece, link) in enumerate(pieces):
        last = index == len(pieces) - 1
        place = len(parts)
        if last:
            parts.append(Part(head_row, -1, "", True))
        elif link == "-":
            row: Row = (piece, "NN", "NOUN", "Number=Sing", piece)
            if piece == "double":
                row = (piece, "JJ", "ADJ", "Degree=Pos", piece)
            parts.append(Part(row, place + 2, "amod" if piece == "double" else "compound", False))
            parts.append(Part(HYPHEN, place, "punct", False))
        elif link == "~":
            parts.append(Part(_modifier(piece), place + 1, "amod", True))
        else:
            parts.append(Part((piece, "NN", "NOUN", "Number=Sing", piece), place + 1, "compound", True))
    return tuple(parts)


def read_noun(entry: str) -> Noun:
    """A noun as the word lists write it: `dog`, `man|men`, `|scissors`, `rice|`."""
    singular, bar, plural = entry.partition("|")
    if not bar:
        plural = plural_of(singular)
    head = re.split(r"[_~-]", singular or plural)[-1]
    head_plural = re.split(r"[_~-]", plural)[-1] if plural else ""
    lemma = head
    if singular:
        one = _noun_parts(singular, (head, "NN", "NOUN", "Number=Sing", lemma))
    if plural:
        ptan = not singular and plural not in ("people", "woods")
        row = (head_plural, "NNS", "NOUN", "Number=Ptan" if ptan else "Number=Plur", lemma)
        many = _noun_parts(plural, row)
    return Noun(
        (singular or plural).replace("_", " ").replace("~", " "),
        one if singular else None,
        many if plural else None,
        bool(bar) and not plural,
    )


def read_hyphenated(kind: str, entry: str) -> tuple[Part, ...]:
    """The parts of a hyphenated modifier; the last is its head (see the word lists for the kinds)."""
    first, last = entry.split("-")
    label = {
        "adjective": "amod", "number": "nummod", "noun": "obl:unmarked", "adverb": "advmod", "compound": "amod",
        "number_compound": "nummod",
    }[kind]  # fmt: skip
    if label == "nummod":
        row: Row = (first, "CD", "NUM", "NumForm=Word|NumType=Card", first)
    elif label == "obl:unmarked":
        row = (first, "NN", "NOUN", "Number=Sing", first)
    elif label == "advmod":
        row = (first, "RB", "ADV", "", first)
    else:
        row = (first, "JJ", "ADJ", "Degree=Pos", first)
    if kind.endswith("compound"):
        head: Row = (last, "NN", "NOUN", "Number=Sing", last)
    elif (
        kind in ("noun", "adverb")
        and last.endswith(("ed", "en", "wn", "de", "it", "rn"))
        and last != "shaped"
    ):
        lemma = IRREGULAR_LEMMAS.get(last, last.removesuffix("ed"))
        head = (last, "VBN", "VERB", PASSIVE, lemma)
    elif last.endswith("ing"):
        head = (last, "VBG", "VERB", GERUND, last.removesuffix("ing"))
    else:
        head = (last, "JJ", "ADJ", "Degree=Pos", last)
    return (Part(row, 2, label, False), Part(HYPHEN, 0, "punct", False), Part(head, -1, "", True))


PRESENT_LEMMAS = {"cascading": "cascade", "surrounding": "surround", "setting": "set", "blinking": "blink"}
COMPARED = {
    "bigger": "big", "larger": "large", "longer": "long", "older": "old", "wider": "wide", "newer": "new",
    "taller": "tall",
}  # fmt: skip
IRREGULAR_LEMMAS = {
    "lined": "line", "eaten": "eat", "lit": "light", "made": "make", "drawn": "draw", "worn": "wear", "baked": "bake",
    "paved": "pave", "plated": "plate", "colored": "color",
}  # fmt: skip


class Deck(Generic[T]):
    """Cards drawn one after another from a shuffled pack in which the first words of a list lie several times.

    Every word of the list comes in each pass, the first ones more often (about 1 / rank ** 0.6).
    """

    __slots__ = ("cards", "place", "rng")

    def __init__(self, words: list[T], rng: random.Random, *, flat: bool = False) -> None:
        top = 1 if flat else 6
        self.cards = [
            word for rank, word in enumerate(words) for _ in range(max(1, round(top / (1 + rank) ** 0.6)))
        ]
        self.rng = rng
        self.place = len(self.cards)

    def draw(self) -> T:
        if self.place >= len(self.cards):
            self.rng.shuffle(self.cards)
            self.place = 0
        self.place += 1
        return self.cards[self.place - 1]


@dataclass(frozen=True, slots=True)
class VerbGroup:
    """Verbs that share their subjects and what follows them."""

    subjects: tuple[str, ...]
    frame: str
    words: tuple[str, ...]
    objects: tuple[str, ...]
    verbs: tuple[Verb, ...]


@dataclass(frozen=True, slots=True)
class Lexicon:
    nouns: dict[str, list[Noun]]
    verbs: list[VerbGroup]
    adjectives: dict[str, list[Row]]
    hyphenated: list[tuple[Part, ...]]
    names: list[Row]
    function_words: dict[str, Row]
    numbers: list[str]
    digits: list[str]
    writing: list[str]
    quotes: list[str]
    modifiers: dict[str, str]
    determiners: dict[str, list[tuple[float, str]]]
    verb_by_lemma: dict[str, Verb] = field(default_factory=dict)
    states: list[Verb] = field(default_factory=list)
    agents: list[Verb] = field(default_factory=list)
    with_states: list[Verb] = field(default_factory=list)
    written: list[Verb] = field(default_factory=list)


def _adjectives(name: str, words: str, known: dict[str, Verb]) -> list[Row]:
    if name in ("present", "animate"):
        going = {verb.forms["VBG"][0]: verb.lemma for verb in known.values()}
        return [
            (word, "VBG", "VERB", GERUND, going.get(word) or PRESENT_LEMMAS[word]) for word in words.split()
        ]
    if name == "comparative":
        return [(word, "JJR", "ADJ", "Degree=Cmp", COMPARED.get(word, word[:-2])) for word in words.split()]
    if name == "material":
        return [
            (word, "JJ", "ADJ", "Degree=Pos", word)
            if word in ("wooden", "woolen", "ceramic")
            else (word, "NN", "NOUN", "Number=Sing", word)
            for word in words.split()
        ]
    return [(word, "JJ", "ADJ", "Degree=Pos", word) for word in dict.fromkeys(words.split())]


def function_words(lists: dict[str, str]) -> dict[str, Row]:
    """Rows by key: a word of the list itself, `p:` a preposition, `r:` an adverb, `prt:` a particle, `n:` a number."""
    rows: dict[str, Row] = {}
    for line in lists["function_words"].splitlines():
        key, form, tag, pos, morph, lemma = line.split()
        rows[key] = (form, tag, pos, "" if morph == "-" else morph, lemma)
    for mark, name, tag, pos, morph in (
        ("p:", "prepositions", "IN", "ADP", ""),
        ("r:", "adverbs", "RB", "ADV", ""),
        ("prt:", "particles", "RP", "ADP", ""),
        ("n:", "numbers", "CD", "NUM", "NumForm=Word|NumType=Card"),
        ("n:", "digits", "CD", "NUM", "NumForm=Digit|NumType=Card"),
    ):
        rows.update({mark + word: (word, tag, pos, morph, word) for word in lists[name].split()})
    return rows


@cache
def lexicon() -> Lexicon:
    """The word lists of grammar.yaml."""
    import yaml

    text = Path(__file__).with_name("grammar.yaml").read_text(encoding="utf8")
    lists = yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    nouns = {
        name: [read_noun(entry) for entry in dict.fromkeys(words.split())]
        for name, words in lists["nouns"].items()
    }
    groups = []
    for subjects, frame, words in lists["verbs"]:
        kind, *details = frame.split(":")
        particles = tuple(details[0].split(",")) if kind in ("pp", "prt", "part", "light") else ()
        objects = tuple(details[-1].split()) if kind in ("tr", "pp", "prt") else ()
        verbs = tuple(Verb.read(entry) for entry in dict.fromkeys(words.split()))
        groups.append(VerbGroup(tuple(subjects.split()), kind, particles, objects, verbs))
    known = {verb.lemma: verb for group in groups for verb in group.verbs}

    def participles(words: str) -> list[Verb]:
        return [known.get(entry) or Verb.read(entry) for entry in dict.fromkeys(words.split())]

    adjectives = {name: _adjectives(name, words, known) for name, words in lists["adjectives"].items()}
    for name in ("participle", "cooked"):
        adjectives[name] = [verb.forms["VBN"] for verb in participles(lists["adjectives"][name])]
    return Lexicon(
        nouns=nouns,
        verbs=groups,
        adjectives=adjectives,
        hyphenated=[
            read_hyphenated(kind, word)
            for kind, words in lists["hyphenated"].items()
            for word in words.split()
        ],
        function_words=function_words(lists),
        numbers=lists["numbers"].split()[1:],
        digits=lists["digits"].split(),
        writing=lists["writing"].split(),
        quotes=lists["quotes"].split(),
        modifiers=lists["modifiers"],
        determiners=lists["determiners"],
        written=participles(lists["written"]),
        names=[(word, "NNP", "PROPN", "Number=Sing", word) for word in lists["proper"].split()],
        verb_by_lemma=known,
        states=participles(lists["states"]),
        agents=participles(lists["agents"]),
        with_states=participles(lists["with_states"]),
    )
