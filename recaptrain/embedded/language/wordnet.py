"""WordNet 3.0 read from its database files: the lexicographer classes of English words, as counts of their senses.

The files are those of Debian's package `wordnet-base` (`/usr/share/wordnet`). Made of them are the word vectors of
the embedded spaCy pipeline (`word_vectors`), its lemmatizer's tables (`lemma_tables`), and the word
lists of `audits.extraction.words` (`python -m recaptrain.embedded.language.wordnet /usr/share/wordnet audits/extraction/wordnet.txt`).

License: WordNet 3.0, Copyright 2006 by Princeton University; its license text travels beside what is made from it.
"""

from __future__ import annotations

import argparse
import textwrap
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from spacy.lookups import Lookups
    from spacy.vectors import Vectors

POS = {"noun": "n", "verb": "v", "adj": "a", "adv": "r"}
#: Lexicographer files by number (lexnames(5WN)), the verbs' fifteen as one.
CLASSES = [
    "adj", "adj.pert", "adv", "tops", "act", "animal", "artifact", "attribute", "body", "cognition",
    "communication", "event", "feeling", "food", "group", "location", "motive", "object", "person",
    "phenomenon", "plant", "possession", "process", "quantity", "relation", "shape", "state", "substance",
    "time",
]  # fmt: skip
PARTICIPIAL = 44
#: Classes of nouns whose members can be seen.
PHYSICAL = frozenset(["animal", "artifact", "body", "food", "object", "person", "plant", "substance"])
#: Classes of nouns some of whose members can be seen: signs, crowds, places, rain, circles.
PARTLY = frozenset(["communication", "group", "location", "phenomenon", "shape", "tops", "possession"])
#: How a word form relates to its lemma.
FORMS = ("lemma", "plural", "third", "gerund", "past", "compared")
#: Endings that come off, with what takes their place (morphy(7WN)), for spaCy's rule lemmatizer.
LEMMA_RULES = {
    "noun": "s: ses:s ves:f xes:x zes:z ches:ch shes:sh men:man ies:y",
    "verb": "s: ies:y es:e es: ed:e ed: ing:e ing:",
    "adj": "er: est: er:e est:e",
}
#: Nouns that are visible for less than this are no objects.
UNSEEN = 0.15
#: Classes in which an adjective and a noun may name one thing.
NAMED_BY_TWO = frozenset(["animal", "artifact", "food", "plant"])
#: These say something of their noun also in compounds that WordNet lists ("old man", "white house").
COMMON_ADJECTIVES = frozenset([
    "old", "young", "big", "great", "little", "small", "large", "tall", "long", "short", "new", "good",
    "bad", "common", "white", "black", "red", "blue", "green", "yellow", "brown", "pink", "purple",
    "orange", "gray", "grey", "silver", "gold", "golden", "open", "closed", "empty", "full", "wooden",
    "round", "square", "double", "single", "dark", "light", "wet", "dry",
])  # fmt: skip
#: Every sense counts this much beside its occurrences in the sense-tagged texts.
SMOOTHING = 0.5


@dataclass(frozen=True)
class WordNet:
    """The database files of a folder.

    Attributes:
        senses: part of speech (n, v, a, r) → lemma → class → weight: occurrences in sense-tagged text, each sense 0.5 more.
    """

    folder: Path

    @cached_property
    def senses(self) -> dict[str, dict[str, dict[str, float]]]:
        tagged = self._tagged()
        found: dict[str, dict[str, dict[str, float]]] = {pos: defaultdict(dict) for pos in POS.values()}
        for name, pos in POS.items():
            classes = self._classes(name)
            for line in _lines(self.folder / f"index.{name}"):
                columns = line.split()
                lemma, count = columns[0], int(columns[2])
                weights = found[pos][lemma]
                for offset in columns[-count:]:
                    kind = classes[offset]
                    weights[kind] = weights.get(kind, 0.0) + SMOOTHING
                for kind, times in tagged[pos].get(lemma, {}).items():
                    weights[kind] = weights.get(kind, 0.0) + times
        return found

    @property
    def license(self) -> str:
        """The license, which opens every database file behind line numbers."""
        lines = (self.folder / "index.adv").read_text("utf8").splitlines()
        return "\n".join(line[2:].partition(" ")[2].strip() for line in lines if line.startswith("  "))

    @cached_property
    def exceptions(self) -> dict[str, dict[str, str]]:
        """Part of speech → irregular form → lemma ("geese" → "goose")."""
        found: dict[str, dict[str, str]] = {}
        for name, pos in POS.items():
            rows = (line.split() for line in (self.folder / f"{name}.exc").read_text("utf8").splitlines())
            found[pos] = {row[0]: row[1] for row in rows if len(row) > 1}
        return found

    def forms(self) -> Iterator[tuple[str, str, str, str]]:
        """(form, name of the form, part of speech, lemma) of every word without blanks, regular forms by rule."""
        for pos, lemmas in self.senses.items():
            for lemma in lemmas:
                if "_" not in lemma and lemma.isascii():
                    yield lemma, "lemma", pos, lemma
                    for form, name in _regular(lemma, pos):
                        yield form, name, pos, lemma
        for pos, forms in self.exceptions.items():
            for form, lemma in forms.items():
                if lemma in self.senses[pos] and "_" not in form:
                    yield form, _irregular(form, pos), pos, lemma

    def _classes(self, name: str) -> dict[str, str]:
        """Synset offset → class."""
        found = {}
        for line in _lines(self.folder / f"data.{name}"):
            offset, number, _ = line.split(" ", 2)
            found[offset] = _class(int(number))
        return found

    def _tagged(self) -> dict[str, dict[str, dict[str, float]]]:
        found: dict[str, dict[str, dict[str, float]]] = {
            pos: defaultdict(lambda: defaultdict(float)) for pos in POS.values()
        }
        for line in (self.folder / "cntlist.rev").read_text("utf8").splitlines():
            key, _, times = line.split()
            lemma, _, rest = key.partition("%")
            kind, number = rest.split(":")[:2]
            found["nvara"[int(kind) - 1]][lemma][_class(int(number))] += float(times)
        return found


def word_vectors(wordnet: WordNet) -> Vectors:
    """Vectors for words in lower case: the square roots of the shares of their classes, and flags for their form.

    Words of one profile share a row, so that some 200,000 forms take little room.

    Returns:
        spaCy vectors keyed by the attribute LOWER, of width len(CLASSES) + 2 + len(FORMS).
    """
    import numpy as np
    from spacy.strings import get_string_id
    from spacy.vectors import Vectors

    names = [*CLASSES, "verb", "adj.ppl"]
    place = {name: index for index, name in enumerate([*names, *FORMS])}
    weights: dict[str, dict[str, float]] = defaultdict(lambda: defaultdict(float))
    flags: dict[str, set[str]] = defaultdict(set)
    for form, name, pos, lemma in wordnet.forms():
        flags[form].add(name)
        for kind, weight in wordnet.senses[pos][lemma].items():
            weights[form][kind] += weight
    rows: dict[bytes, int] = {}
    data: list[np.ndarray] = []
    keys: list[int] = []
    index: list[int] = []
    for form, kinds in weights.items():
        vector = np.zeros(len(place), dtype="float32")
        total = sum(kinds.values())
        for kind, weight in kinds.items():
            vector[place[kind]] = round((weight / total) ** 0.5, 1)
        for name in flags[form]:
            vector[place[name]] = 0.5
        key = vector.tobytes()
        if key not in rows:
            rows[key] = len(data)
            data.append(vector)
        keys.append(get_string_id(form))
        index.append(rows[key])
    vectors = Vectors(shape=(len(data), len(place)), attr="LOWER", name="wordnet")
    vectors.data = np.stack(data)
    for one, row in zip(keys, index, strict=True):
        vectors.add(one, row=row)
    return vectors


def lemma_tables(wordnet: WordNet) -> Lookups:
    """The tables of spaCy's lemmatizer in mode "rule": endings, irregular forms, and the lemmas that there are."""
    from spacy.lookups import Lookups

    lookups = Lookups()
    lookups.add_table(
        "lemma_rules",
        {name: [rule.split(":") for rule in rules.split()] for name, rules in LEMMA_RULES.items()},
    )
    plain = {name: POS[name] for name in LEMMA_RULES}
    lookups.add_table(
        "lemma_exc",
        {
            name: {form: [lemma] for form, lemma in wordnet.exceptions[pos].items() if "_" not in form}
            for name, pos in plain.items()
        },
    )
    lookups.add_table(
        "lemma_index",
        {
            name: sorted(lemma for lemma in wordnet.senses[pos] if lemma.isascii() and lemma.isalpha())
            for name, pos in plain.items()
        },
    )
    return lookups


def visible(kinds: dict[str, float]) -> float:
    """The share of a noun's senses, by weight, that can be seen; a sense of a class that is so in part counts half."""
    weight = sum(w * (1.0 if k in PHYSICAL else 0.5 if k in PARTLY else 0.0) for k, w in kinds.items())
    return weight / sum(kinds.values())


def unseen_nouns(wordnet: WordNet) -> list[str]:
    """Nouns of one word that name nothing to see: `visible` below `UNSEEN`."""
    nouns = wordnet.senses["n"].items()
    return sorted(lemma for lemma, kinds in nouns if lemma.isalpha() and visible(kinds) < UNSEEN)


def living_nouns(wordnet: WordNet) -> list[str]:
    """Nouns of one word of which half of the senses or more, by weight, are animals and people."""
    nouns = wordnet.senses["n"].items()
    return sorted(
        lemma
        for lemma, kinds in nouns
        if lemma.isalpha() and kinds.get("animal", 0) + kinds.get("person", 0) >= sum(kinds.values()) / 2
    )


def fixed_compounds(wordnet: WordNet) -> list[str]:
    """Things named by two words of which the second alone would name none ("remote-control"), or one can be taken for an
    attribute or a verb ("hot-dog", "baking-sheet", "trash-can"). Joined by a hyphen."""
    nouns, adjectives = wordnet.senses["n"], wordnet.senses["a"]
    verbs = {form: name for form, name, pos, _ in wordnet.forms() if pos == "v"}
    found = []
    for lemma, kinds in nouns.items():
        first, _, last = lemma.partition("_")
        if not (last.isalpha() and first.isalpha()) or visible(kinds) < 0.5 or first in COMMON_ADJECTIVES:
            continue
        unseen_head = last in nouns and visible(nouns[last]) < UNSEEN
        misread = (
            first in adjectives
            or verbs.get(first) in ("gerund", "past")
            or last in verbs
            or last in adjectives
        )
        if unseen_head or (misread and max(kinds, key=kinds.__getitem__) in NAMED_BY_TWO):
            found.append(f"{first}-{last}")
    return sorted(found)


def _class(number: int) -> str:
    if number == PARTICIPIAL:
        return "adj.ppl"
    return CLASSES[number] if number < len(CLASSES) else "verb"


def _lines(path: Path) -> Iterator[str]:
    """The entries of a database file, after the license that opens it."""
    return (line for line in path.read_text("utf8").splitlines() if not line.startswith("  "))


def _regular(lemma: str, pos: str) -> Iterator[tuple[str, str]]:
    if len(lemma) < 2:
        return
    sibilant = lemma.endswith(("s", "x", "z", "ch", "sh"))
    y = lemma.endswith("y") and lemma[-2] not in "aeiou"
    plural = lemma[:-1] + "ies" if y else lemma + ("es" if sibilant else "s")
    if pos == "n":
        yield plural, "plural"
    elif pos == "v":
        yield plural, "third"
        stem = lemma[:-1] if lemma.endswith("e") and not lemma.endswith(("ee", "oe", "ye")) else lemma
        yield stem + "ing", "gerund"
        yield (lemma[:-1] + "ied" if y else stem + "ed"), "past"
        if (
            len(lemma) < 7
            and lemma[-1] in "bdgklmnprtvz"
            and lemma[-2] in "aeiou"
            and (len(lemma) == 2 or lemma[-3] not in "aeiou")
        ):
            yield lemma + lemma[-1] + "ing", "gerund"
            yield lemma + lemma[-1] + "ed", "past"


def _irregular(form: str, pos: str) -> str:
    if pos == "n":
        return "plural"
    if pos == "v":
        return "gerund" if form.endswith("ing") else "third" if form.endswith("s") else "past"
    return "compared"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("wordnet", type=Path, help="folder of index.noun, data.noun, cntlist.rev …")
    parser.add_argument("out", type=Path, help="text file to write: a section of words after each [name]")
    args = parser.parse_args()
    wordnet = WordNet(args.wordnet)
    sections = {
        "unseen": unseen_nouns(wordnet),
        "living": living_nouns(wordnet),
        "fixed": fixed_compounds(wordnet),
    }
    about = (
        "unseen: nouns that name nothing to see; living: animals and people; fixed: things named by two words.\n\n"
        + wordnet.license
    )
    lines = [
        f"# {line}".rstrip()
        for line in ["Made by recaptrain/embedded/language/wordnet.py of WordNet 3.0.", *about.splitlines()]
    ]
    for name, words in sections.items():
        lines += ["", f"[{name}]", *textwrap.wrap(" ".join(words), 118, break_on_hyphens=False)]
    args.out.write_text("\n".join(lines) + "\n", encoding="utf8")


if __name__ == "__main__":
    main()
