"""Which nouns mean which classes of evidence, and which color and size words mean which colors and sizes.

The table itself is `lexicon.yaml`, to read and extend; this module looks things up in it.
"""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
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
    """

    classes: frozenset[str] = frozenset()
    maybe: frozenset[str] = frozenset()
    exact: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Lexicon:
    """The table of `lexicon.yaml`, turned so that it is looked up by the word a caption uses."""

    names: Mapping[str, frozenset[str]]
    maybe: Mapping[str, frozenset[str]]
    same: Mapping[str, frozenset[str]]
    colors: Mapping[str, frozenset[str]]
    sizes: Mapping[str, frozenset[str]]
    unmaking: frozenset[str]
    uncounted: frozenset[str]
    vocabularies: tuple[frozenset[str], ...]
    revision: str

    def meaning(self, noun: str, classes: frozenset[str]) -> Meaning:
        """What a noun phrase's lemma means among `classes`; empty where none of them has to do with it.

        It is looked up whole, then without its first words, down to its head.
        """
        words = noun.lower().split()
        for start in range(len(words)):
            phrase = self._known(" ".join(words[start:]), classes)
            if phrase is None:
                continue
            strong = self.names.get(phrase, frozenset()) | {phrase}
            weak = self.maybe.get(phrase, frozenset())
            if self.unmaking & set(words[:start]):
                return Meaning(maybe=(strong | weak) & classes)
            exact = start == 0 and (phrase in classes or bool(self.same.get(phrase, frozenset()) & classes))
            return Meaning(strong & classes, weak & classes, exact and phrase not in self.uncounted)
        return Meaning()

    def _known(self, phrase: str, classes: frozenset[str]) -> str | None:
        """The phrase as the table or the evidence has it: small lemmatizers leave an "e" ("crosse") or an "s" behind."""
        bare = phrase[:-1] if _LEFT_OVER.search(phrase) else phrase
        return next(
            (each for each in (phrase, bare) if each in classes or each in self.names or each in self.maybe),
            None,
        )

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


@cache
def load_lexicon() -> Lexicon:
    """The lexicon of the project."""
    content = files("audits").joinpath(TABLE).read_bytes()
    table = yaml.safe_load(content)
    return Lexicon(
        names=_by_word(table["names"]),
        maybe={word: frozenset(classes) for word, classes in table["maybe"].items()},
        same=_by_word(table["same"]),
        colors=_by_word(table["colors"]),
        sizes=_by_word(table["sizes"]),
        unmaking=frozenset(table["unmaking"]),
        uncounted=frozenset(table["uncounted"]),
        vocabularies=tuple(frozenset(each) for each in table["vocabularies"].values()),
        revision=hashlib.sha256(content).hexdigest()[:12],
    )


def _by_word(table: Mapping[str, list[str]]) -> dict[str, frozenset[str]]:
    """Meanings by word, from words by meaning."""
    found: dict[str, set[str]] = {}
    for meaning, words in table.items():
        for word in words:
            found.setdefault(word, set()).add(meaning)
    return {word: frozenset(meanings) for word, meanings in found.items()}
