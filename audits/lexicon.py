"""Which nouns mean which classes of evidence, and which color and size words mean which colors and sizes.

The table itself is `lexicon.yaml`, to read and extend; this module looks things up in it.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache, lru_cache
from importlib.resources import files

import yaml

TABLE = "lexicon.yaml"

_LEFT_OVER = re.compile(r"(?:(?:ss|x|ch|sh|zz)e|[^s]s)$")


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a noun may mean among the classes that some evidence looks for.

    Attributes:
        classes: classes the noun is a kind of or another word for; where none of them is seen, the noun is not there.
        maybe: classes that would bear the noun out, while their absence says nothing.
        exact: whether the noun says no more than its class, so that it can be counted against it.
        other: what else the noun may be, for the evidence text; empty where nothing else is known.
        near: classes that overlap with the noun's, and are not the same: where one is seen the noun is not called absent.
    """

    classes: frozenset[str] = frozenset()
    maybe: frozenset[str] = frozenset()
    exact: bool = False
    other: str = ""
    near: frozenset[str] = frozenset()

    @property
    def supporting(self) -> frozenset[str]:
        """All classes that bear the noun out."""
        return self.classes | self.maybe

    @property
    def firm(self) -> bool:
        """Whether the absence of all these classes says that the noun is not there."""
        return bool(self.classes)

    def doubted(self, other: str) -> "Meaning":
        """The same classes, of which the absence says nothing."""
        return replace(self, classes=frozenset(), maybe=self.supporting, other=self.other or other)


@dataclass(frozen=True, slots=True, kw_only=True)
class Lexicon:
    """The table of `lexicon.yaml`, turned so that it is looked up by the word a caption uses."""

    names: Mapping[str, frozenset[str]]
    maybe: Mapping[str, frozenset[str]]
    senses: Mapping[str, str]
    compounds: frozenset[str]
    plain: frozenset[str]
    vague: frozenset[str]
    surfaces: frozenset[str]
    of: Mapping[str, str]
    among: Mapping[str, frozenset[str]]
    tails: frozenset[str]
    unmaking: frozenset[str]
    materials: frozenset[str]
    living: frozenset[str]
    kin: frozenset[str]
    young: frozenset[str]
    animals: frozenset[str]
    enclosing: frozenset[str]
    ingredients: frozenset[str]
    dishes: frozenset[str]
    confused: Mapping[str, frozenset[str]]
    pairs: frozenset[str]
    grouped: frozenset[str]
    same: Mapping[str, frozenset[str]]
    uncounted: frozenset[str]
    colors: Mapping[str, frozenset[str]]
    sizes: Mapping[str, frozenset[str]]
    vocabularies: tuple[frozenset[str], ...]

    def meaning(self, noun: str, classes: frozenset[str]) -> Meaning:
        """What a noun phrase's lemma means among `classes`; empty where none of them has to do with it.

        It is looked up whole, then without its first words, down to its head.
        """
        words = noun.lower().split()
        for start in range(len(words)):
            phrase = self._known(" ".join(words[start:]), classes)
            if phrase is not None:
                return self._compound(words[:start], phrase, classes)
        return self.meaning(noun.replace("-", " "), classes) if "-" in noun else Meaning()

    def animal(self, noun: str) -> bool:
        """Whether a noun phrase is an animal, of whatever kind."""
        words = noun.lower().split()
        tails = (" ".join(words[start:]) for start in range(len(words)))
        return next((found for tail in tails if (found := self._animal_or_name(tail)) is not None), False)

    def lives(self, noun: str) -> bool:
        """Whether a noun phrase means something that lives or grows, so that one of wood or chocolate is none."""
        return bool(self.meaning(noun, self.vocabularies[0]).supporting & self.living)

    def dish(self, noun: str) -> bool:
        """Whether a noun phrase is a dish, in which ingredients are not told apart."""
        words = noun.lower().split()
        return any(" ".join(words[start:]) in self.dishes for start in range(len(words)))

    def _animal_or_name(self, phrase: str) -> bool | None:
        """Whether a phrase is an animal; None where the table has no such phrase."""
        for form in _forms(phrase):
            if form in self.animals:
                return True
            if form in self.names:
                return bool(self.names[form] & self.animals)
            if form in self.maybe:
                return False
        return None

    def _compound(self, modifiers: list[str], phrase: str, classes: frozenset[str]) -> Meaning:
        """The meaning of a phrase of the table after words that the table does not have with it."""
        before = set(modifiers) | {" ".join(modifiers)}
        if phrase in self.kin | self.young and any(self.animal(word) for word in modifiers):
            # A "giraffe family" is giraffes, a "lion father" is no person.
            return self.meaning(" ".join(modifiers), classes)
        found = self._phrase(phrase, classes)
        if before & self.unmaking or (before & self.materials and found.supporting & self.living):
            return found.doubted("an imitation")
        if modifiers:
            unlike = not set(modifiers) <= self.plain | set(self.colors) | self.materials
            if unlike and phrase in self.vague and phrase not in classes:
                return Meaning()
            if unlike and phrase in self.compounds:
                found = found.doubted("a thing of another kind")
            return replace(found, exact=False)
        return found

    def _phrase(self, phrase: str, classes: frozenset[str]) -> Meaning:
        """The meaning of a phrase as the table has it."""
        named = self.names.get(phrase, frozenset())
        strong = named | {phrase}
        weak = self.maybe.get(phrase, frozenset())
        exact = phrase in classes or bool(self.same.get(phrase, frozenset()) & classes)
        # Of the classes "person" and "woman" a woman is either, a person is both, and of a guy "man" says nothing for certain.
        above = frozenset({phrase}) if phrase in classes else strong
        kinds = frozenset(each for each in classes if self.names.get(each, frozenset()) & above) - strong
        strong, near = (strong | kinds, frozenset()) if phrase in classes else (strong, kinds)
        taken = frozenset().union(*(self.confused.get(each, frozenset()) for each in strong & classes))
        found = Meaning(
            strong & classes,
            weak & classes,
            exact and phrase not in self.uncounted,
            near=(near | taken) & classes,
        )
        if phrase in self.senses:
            return found.doubted(self.senses[phrase])
        if phrase not in classes and len(named & classes) < len(_alternatives(named, self.vocabularies)):
            unseen = ", ".join(sorted(_alternatives(named, self.vocabularies) - classes))
            return found.doubted(f"{unseen}, for which nobody looks")
        return found

    def _known(self, phrase: str, classes: frozenset[str]) -> str | None:
        """The phrase as the table or the evidence has it, whatever a lemmatizer left of its plural."""
        known = (
            each for each in _forms(phrase) if each in classes or each in self.names or each in self.maybe
        )
        return next(known, None)

    def color(self, word: str) -> frozenset[str]:
        """The basic colors that a color word may mean ("dark blue" → blue); empty for a word that is none of them."""
        return self._attribute(self.colors, word)

    def size(self, word: str) -> frozenset[str]:
        """The sizes that a size word may mean ("tiny" → small)."""
        return self._attribute(self.sizes, word)

    def vocabulary(self, classes: frozenset[str]) -> frozenset[str]:
        """The classes that annotators looked for: the smallest known vocabulary that holds all they used, or what they used."""
        known = [each for each in self.vocabularies if classes and classes <= each]
        return min(known, key=len, default=classes)

    @staticmethod
    def _attribute(table: Mapping[str, frozenset[str]], word: str) -> frozenset[str]:
        word = word.lower()
        last = word.replace("-", " ").split()[-1:] or [""]
        return table.get(word) or table.get(last[0], frozenset())


def _alternatives(named: frozenset[str], vocabularies: tuple[frozenset[str], ...]) -> frozenset[str]:
    """The classes that a noun may be annotated as: those of one vocabulary, so that a word of two worlds is none of both."""
    return max((named & each for each in vocabularies), key=len, default=frozenset())


def _forms(phrase: str) -> Iterator[str]:
    """The phrase, and its singular where a small lemmatizer left it alone ("giraffes") or left an "e" behind ("crosse")."""
    yield phrase
    if _LEFT_OVER.search(phrase):
        yield phrase[:-1]
    if phrase.endswith("es"):
        yield phrase[:-2]
    if phrase.endswith("ies"):
        yield f"{phrase[:-3]}y"
    if phrase.endswith("ves"):
        yield f"{phrase[:-3]}fe"
    elif phrase.endswith("ive"):  # "knive"
        yield f"{phrase[:-2]}fe"


@lru_cache(maxsize=65536)
def meaning(noun: str, classes: frozenset[str]) -> Meaning:
    """`Lexicon.meaning` in the lexicon of the project, remembered."""
    return load_lexicon().meaning(noun, classes)


@cache
def load_lexicon() -> Lexicon:
    """The lexicon of the project."""
    table = yaml.safe_load(files("audits").joinpath(TABLE).read_bytes())
    sets = ("compounds", "plain", "vague", "surfaces", "tails", "unmaking", "materials", "living", "kin", "young", "animals", "enclosing", "ingredients",
            "dishes", "pairs", "grouped", "uncounted")  # fmt: skip
    return Lexicon(
        names=_by_word(table["names"]),
        maybe={word: frozenset(classes) for word, classes in table["maybe"].items()},
        senses=table["senses"],
        of=table["of"],
        among={noun: frozenset(words) for noun, words in table["among"].items()},
        confused={class_: frozenset(others) for class_, others in table["confused"].items()},
        same=_by_word(table["same"]),
        colors=_by_word(table["colors"]),
        sizes=_by_word(table["sizes"]),
        vocabularies=tuple(frozenset(each) for each in table["vocabularies"].values()),
        **{name: frozenset(table[name]) for name in sets},
    )


def _by_word(table: Mapping[str, list[str]]) -> dict[str, frozenset[str]]:
    """Meanings by word, from words by meaning."""
    found: dict[str, set[str]] = {}
    for meaning, words in table.items():
        for word in words:
            found.setdefault(word, set()).add(meaning)
    return {word: frozenset(meanings) for word, meanings in found.items()}
