"""Words that a caption says are written in the picture: quoted, or after "says", "reads", "the word"."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterator, Sequence

from audits.extraction.phrases import OBJECT, Phrases
from audits.extraction.tree import Tree
from audits.text.quotations import quotations
from recapdata.records import Claim

_CUE = (
    r"(?:says?|saying|reads?|reading|spells?|spelling|titled|labell?ed|captioned|inscribed with|"
    r"(?:[Tt]he|[Aa]) (?:words?|text|letters?|message|caption|headline|slogan|title|phrase|number|name|inscription|label)s?)"
)
#: Unquoted: capital letters or a number after a cue ("a sign that says STOP", "the number 7"), or the rest of the
#: clause after "says" and "reads".
_UNQUOTED = re.compile(
    r"\b(?P<cue>"
    + _CUE
    + r")\s*:?\s+(?P<text>(?:[A-Z0-9][A-Z0-9&'’.!?-]*)(?:\s+[A-Z0-9][A-Z0-9&'’.!?-]*)*)(?=[\s,.;:]|$)"
)
_SAYS = re.compile(
    r"\b(?:that|which|,)?\s*(?:says?|saying|reads|spells)\s*:?\s+(?P<text>[^\s,.;:\"'“‘][^,.;:\"“”]{0,60}?)\s*(?=[,.;:]|$)",
    re.I,
)
#: "with the text open your mind": unquoted to the end of the clause.
_WITH = re.compile(
    r"\b(?:with|and|of) (?:the |a )?(?:text|caption|words|message|slogan|headline)\s+(?!(?:on|in|of|is|are|that|which|written|at|"
    r"saying|reading|says|reads|and|or|below|above|next|across|printed|painted|to|around|bubble|box|balloon|over|under)\b)"
    r"(?P<text>[^\W\d_][^,.;:\"'“”‘’]{0,60}?)(?=\s{2}|\s*[,.;:]|\s*$)",
    re.I,
)
#: After these a quotation names something ("a film called 'Jaws'"); it is not written in the picture.
_NAMING = re.compile(
    r"\b(?:called|named|known as|so-called|nicknamed|entitled|style of|movie|film|song|novel|from)\s*$", re.I
)
#: Characters before lettering that may name it: "a film called 'Up'".
NEAR = 100

#: Nouns for the words themselves; what carries them is another thing.
LETTERING = frozenset(
    [
        "word",
        "text",
        "letter",
        "message",
        "caption",
        "headline",
        "slogan",
        "title",
        "phrase",
        "name",
        "number",
        "inscription",
    ]
)


#: Those that are no thing beside the words.
ANNOUNCING = frozenset(["text", "message", "caption", "headline", "slogan", "title", "phrase", "inscription"])


#: A text without these marks and words has no lettering.
MARKS = frozenset("\"'“‘«„")
CUES = frozenset(
    [
        "say",
        "says",
        "saying",
        "read",
        "reads",
        "reading",
        "spell",
        "spells",
        "spelling",
        "titled",
        "labeled",
        "labelled",
        "captioned",
        "inscribed",
        "label",
        "labels",
    ]
).union(*({word, f"{word}s"} for word in LETTERING))


def spans(text: str, lower: Sequence[str]) -> list[tuple[int, int]]:
    """Code point spans of all lettering, quoted or not, in order.

    Args:
        lower: the words of the text in lower case.
    """
    if MARKS.isdisjoint(text) and CUES.isdisjoint(lower):
        return []
    found = [(start, end) for start, end in quotations(text) if text[start:end].strip(" .,")]
    for pattern in (_UNQUOTED, _SAYS, _WITH):
        for match in pattern.finditer(text):
            start, end = match.span("text")
            if not any(start < other_end and other_start < end for other_start, other_end in found):
                found.append((start, end))
    return sorted(found)


def announcing_tokens(tree: Tree, lettering: list[tuple[int, int]]) -> set[int]:
    """Nouns that only announce lettering that follows: "with the text 'Hello'"."""
    starts = sorted(start for start, _ in lettering)
    found = set()
    for index, lemma in enumerate(tree.lemmas):
        if lemma.lower() in ANNOUNCING:
            following = bisect_left(starts, tree.end[index])
            if following < len(starts) and starts[following] - tree.end[index] <= 4:
                found.add(index)
    return found


def masked_tokens(tree: Tree, lettering: list[tuple[int, int]]) -> set[int]:
    """Tokens that stand inside lettering."""
    found = set()
    for start, end in lettering:
        index = bisect_left(tree.start, start)
        while index < len(tree.words) and tree.end[index] <= end:
            found.add(index)
            index += 1
    return found


def texts(phrases: Phrases, lettering: list[tuple[int, int]]) -> Iterator[Claim]:
    """The text claims of a caption, each with the object that carries the words where that can be told."""
    tree = phrases.tree
    for start, end in lettering:
        if _NAMING.search(tree.text[max(0, start - NEAR) : start].rstrip(" \"'“‘«„")):
            continue
        text = tree.text[start:end]
        lead = len(text) - len(text.lstrip())
        text = text.strip().rstrip(",") or text
        if not _is_quoted(tree.text, end):
            text = text.rstrip(".;:")
        yield Claim(
            kind="text",
            span=(start + lead, start + lead + len(text)),
            text=text,
            object=_carrier(phrases, start, end),
        )


def _is_quoted(text: str, end: int) -> bool:
    return text[end : end + 1] in ('"', "'", "”", "’", "»", "“")


def _carrier(phrases: Phrases, start: int, end: int) -> str | None:
    """The noun that the words are on: "a 'Club' sign", "a sign that says 'Club'", "'Club' on a sign"."""
    tree = phrases.tree
    after = next(
        (i for i in range(bisect_left(tree.start, end), len(tree.words)) if tree.words[i].strip("\"'’”»“")),
        None,
    )
    if (
        after is not None
        and after in phrases.at
        and phrases.at[after].kind == OBJECT
        and tree.start[after] - end <= 3
    ):
        return phrases.at[after].object
    if after is not None and tree.lower[after] in ("on", "in", "across", "written", "printed", "painted"):
        step = after + (2 if tree.lower[after] in ("written", "printed", "painted") else 1)
        mention = phrases.following(step)
        written = mention is not None and mention.object.split()[-1].lower() in LETTERING
        if mention is not None and mention.kind == OBJECT and not written:
            return mention.object
    said_of = _said_of(phrases, start)
    if said_of is not None:
        return said_of
    earlier = next(
        (
            mention
            for mention in reversed(phrases.mentions)
            if tree.end[mention.head] <= start
            and mention.kind == OBJECT
            and mention.object.split()[-1].lower() not in LETTERING
        ),
        None,
    )
    before = bisect_left(tree.start, start) - 1
    sentence = tree.sent[before] if before >= 0 else 0
    return earlier.object if earlier is not None and tree.sent[earlier.head] == sentence else None


def _said_of(phrases: Phrases, start: int) -> str | None:
    """The subject of "has the number 42", "shows the words": what the noun before the lettering is said of."""
    tree = phrases.tree
    noun = bisect_left(tree.start, start) - 1
    while (
        noun >= 0
        and start - tree.end[noun] <= 4
        and not (tree.end[noun] <= start and tree.lemmas[noun] in LETTERING)
    ):
        noun -= 1
    if noun < 0 or start - tree.end[noun] > 4 or tree.deps[noun] not in ("obj", "conj"):
        return None
    verb = tree.heads[noun]
    while tree.deps[verb] == "conj" and tree.pos[verb] in ("VERB", "AUX") and not tree.has(verb, "nsubj"):
        verb = tree.heads[verb]
    subject = next((kid for kid in tree.kids[verb] if tree.deps[kid] == "nsubj"), None)
    mention = phrases.at.get(subject) if subject is not None else None
    return mention.object if mention is not None and mention.kind == OBJECT else None
