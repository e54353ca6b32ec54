"""Proper names of the alt text that a new caption keeps: what a captioner cannot see it loses.

CapsFusion (Yu et al. 2023) calls it the loss of world knowledge: recaptioned, "Eiffel Tower, Paris" becomes "a tall metal tower".
Names are found by the pipeline's entity recognizer where it has one; else by capital letters, and its tagger where these say
little, as in a text That Capitalizes Every Word; a text without capitals then has no names. Shops, file names and dates (`retention.yaml`) are no names.
"""

import json
import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

import yaml

from audits.language.pipeline import identity
from audits.lexicon import load_lexicon
from audits.rules import rules
from recapdata.dataset.target import Target

if TYPE_CHECKING:
    from spacy.language import Language
    from spacy.tokens import Doc

TABLE = "names.yaml"
ENTITIES = frozenset(
    [
        "PERSON",
        "PER",
        "NORP",
        "FAC",
        "ORG",
        "GPE",
        "LOC",
        "PRODUCT",
        "EVENT",
        "WORK_OF_ART",
        "LAW",
        "LANGUAGE",
        "MISC",
    ]
)
"""Labels of entities that are names: OntoNotes' without dates, numbers and amounts, and CoNLL's."""
ALT_SET, ALT_COLUMN = "alt", "alt_text"
PROPER = frozenset({"NNP", "NNPS"})
LONGEST = 2000
"""Code points of an alt text that are looked at."""

_WORD = re.compile(r"[^\W\d_][\w.]*(?:['’-][^\W\d_]+)*")
_NOT_TEXT = re.compile(
    r"\S+\.(?:jpe?g|png|gif|webp|bmp|tiff?|svg|psd)\b|https?://\S+|www\.\S+|\S+@\S+|\b\w*[_\d]\w*\b", re.I
)
_SENTENCE_START = re.compile(r"(?:^|[.!?]\s)\W*$")


@dataclass(frozen=True, slots=True)
class Retention:
    """The names of one row's alt text, and which of them its caption has."""

    entities_present: int | None = None
    entities_kept: int | None = None
    entities_lost: list[str] | None = None


class Names:
    """Finds the proper names of alt texts with a pipeline."""

    def __init__(self, nlp: "Language") -> None:
        """Use the entity recognizer of a pipeline, or where it has none its tagger; nothing else of it runs."""
        self.recognizes = "ner" in nlp.pipe_names
        self._nlp = nlp
        self._known = _vocabulary(nlp)
        needed = ("ner",) if self.recognizes else ("tagger",)
        self._idle = [name for name in nlp.pipe_names if name not in (*needed, "tok2vec", "transformer")]

    def find(self, texts: Sequence[str | None]) -> list[tuple[str, ...]]:
        """The distinct names of each text, in order; of a missing text none."""
        # A column of that name may hold anything.
        cleaned = [_NOT_TEXT.sub(_blank, text[:LONGEST]) if isinstance(text, str) else "" for text in texts]
        shown = [text if self.recognizes or _is_prose(text) else text.lower() for text in cleaned]
        with self._nlp.select_pipes(disable=self._idle):
            docs = self._nlp.pipe(shown)
            found = [list(self._names(text, doc)) for text, doc in zip(cleaned, docs, strict=True)]
        return [tuple({_plain(name): name for name in names}.values()) for names in found]

    def _names(self, text: str, doc: "Doc") -> Iterator[str]:
        if self.recognizes:
            for entity in doc.ents:
                if entity.label_ in ENTITIES and not all(
                    word in _others() for word in _plain(entity.text).split()
                ):
                    yield entity.text
            return
        words = list(_WORD.finditer(text))
        proper = {token.idx for token in doc if token.tag_ in PROPER}
        judge = self._in_prose if _is_prose(text) else self._in_a_title
        run: list[re.Match[str]] = []
        for place, match in enumerate(words):
            if not _may_be_name(match[0]) or not judge(match, words[place + 1 : place + 2], proper):
                continue
            if run and not _joined(text[run[-1].end() : match.start()]):
                yield text[run[0].start() : run[-1].end()]
                run = []
            run.append(match)
        if run:
            yield text[run[0].start() : run[-1].end()]

    def _in_prose(self, word: re.Match[str], following: list[re.Match[str]], proper: set[int]) -> bool:
        """A capital letter tells; at the start of a sentence the tagger must say so, or the next word be a name, or the word new."""
        if not _SENTENCE_START.search(word.string[: word.start()]) or word.start() in proper:
            return True
        if word[0].lower().rstrip(".") not in self._known:
            return True
        return word[0].isupper() or any(
            _may_be_name(each[0]) and not word.string[word.end() : each.start()].strip() for each in following
        )

    def _in_a_title(self, word: re.Match[str], following: list[re.Match[str]], proper: set[int]) -> bool:
        """Every word has a capital: the tagger must call it a name without one, or never have met it."""
        acronym = word[0].isupper() and not word.string.isupper()
        return acronym or word.start() in proper or word[0].lower().rstrip(".") not in self._known


def load_names(pipeline: str | None, nlp: "Language") -> Names:
    """The names of the pipeline that claims are read with, with its entity recognizer, which claims do without."""
    if pipeline is None:
        return Names(nlp)
    import spacy

    whole = spacy.load(pipeline)
    return Names(whole if "ner" in whole.pipe_names else nlp)


def alt_source(target: Target) -> str | None:
    """Where a dataset has its alt text: the caption set `alt`, the column `alt_text`, or nowhere."""
    if ALT_SET in target.set_names():
        return ALT_SET
    return ALT_COLUMN if ALT_COLUMN in target.columns() else None


def names_identity(names: Names, pipeline: "Language") -> str:
    """What names depend on beside the alt text."""
    return f"names:{'entities' if names.recognizes else 'tagger'} {identity(pipeline)} {rules('retention')}"


def retained(caption: str, names: Sequence[str]) -> Retention:
    """Which names a caption has: all words of a name, in any order, whatever their case and accents."""
    words = set(_plain(caption).split())
    lost = [
        name for name in names if not {word for word in _plain(name).split() if word not in _links()} <= words
    ]
    return Retention(len(names), len(names) - len(lost), lost)


def _may_be_name(word: str) -> bool:
    """Whether a word of alt text could be a name or part of one: it has a capital, and is no word of the tables."""
    lower = word.lower().rstrip(".")
    others = lower in _others() or lower in _links() or lower in load_lexicon().names or lower in _colors()
    return word[0].isupper() and len(lower) > 1 and not others


def _is_prose(text: str) -> bool:
    """Whether capitals mean something, because not nearly every word has one."""
    words = [word for word in _WORD.findall(text) if word.lower() not in _links()]
    capitals = sum(word[0].isupper() for word in words)
    small = sum(word[0].islower() and len(word) > 2 for word in words)
    return 0 < capitals <= 2 * small


def _joined(between: str) -> bool:
    """Whether what stands between two words leaves them one name: "Statue of Liberty", not "London, Paris"."""
    return not between.strip() or all(word in _links() for word in between.lower().split())


def _plain(text: str) -> str:
    """Lower case, without accents, possessives and punctuation."""
    text = re.sub(r"['’]s\b", "", unicodedata.normalize("NFKD", text).casefold())
    return " ".join(re.findall(r"[^\W_]+", "".join(each for each in text if not unicodedata.combining(each))))


def _blank(match: re.Match[str]) -> str:
    """A break of the same length, so that what stands around it is not one name."""
    return "|" * len(match[0])


@cache
def _table() -> dict[str, frozenset[str]]:
    table: dict[str, str] = yaml.safe_load(files("audits.text").joinpath(TABLE).read_bytes())
    return {name: frozenset(words.split()) for name, words in table.items()}


def _vocabulary(nlp: "Language") -> frozenset[str]:
    """The words that a pipeline met when it was trained; those it has met since would make the order of texts matter."""
    strings = nlp.path / "vocab" / "strings.json" if nlp.path is not None else None
    if strings is not None and strings.is_file():
        return frozenset(json.loads(strings.read_text(encoding="utf8")))
    return frozenset(nlp.vocab.strings)


@cache
def _colors() -> frozenset[str]:
    return frozenset(load_lexicon().colors)


@cache
def _others() -> frozenset[str]:
    return _table()["sites"] | _table()["trade"] | _table()["dates"]


def _links() -> frozenset[str]:
    return _table()["linking"]
