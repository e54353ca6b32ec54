"""The spatial phrases of a caption: where each stands, and the field's word for it or the region of the picture."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass

from audits.extraction import relations
from audits.extraction import words as lexicon
from audits.extraction.tree import NOMINAL, Tree


@dataclass(frozen=True, slots=True)
class Phrase:
    """A spatial phrase: its word, and the tokens of the phrase itself without its object."""

    relation: str | None
    region: str | None
    first: int
    last: int


def spatial_phrases(tree: Tree, masked: set[int]) -> Iterator[Phrase]:
    """The spatial phrases in order; a region wins over the relation it is made of ("in" of "in the background")."""
    regions = list(_regions(tree))
    within = {token for region in regions for token in range(region.first, region.last + 1)}
    places = (place for place in _relations(tree, masked) if place.first not in within)
    yield from sorted([*regions, *places], key=lambda phrase: phrase.first)


def _regions(tree: Tree) -> Iterator[Phrase]:
    for match in relations.matches(tree.text, tree.start, tree.lower, regions=True):
        found = _tokens(tree, match.start(), match.end())
        if found is None or _is_direction(tree, *found):
            continue
        after = relations.OF_PICTURE.match(tree.text, match.end())
        following = tree.lower[found[1] + 1] if found[1] + 1 < len(tree.words) else ""
        if after is None and (following in ("of", "-", "to") or _goes_on(tree, found[1])):
            continue
        last = _tokens(tree, match.start(), after.end())[1] if after is not None else found[1]  # type: ignore[index]
        yield Phrase(None, relations.name_of(match, relations.REGIONS), found[0], last)


def _is_direction(tree: Tree, first: int, last: int) -> bool:
    """ "its head is turned to the left": where something points, not where it is."""
    return tree.lower[first] in ("to", "toward", "towards") and (
        tree.lemmas[tree.heads[last]].lower() in lexicon.DIRECTED
        or tree.lemmas[first - 1].lower() in lexicon.DIRECTED
    )


def _relations(tree: Tree, masked: set[int]) -> Iterator[Phrase]:
    for match in relations.matches(tree.text, tree.start, tree.lower, regions=False):
        found = _tokens(tree, match.start(), match.end())
        if found is None or found[0] in masked:
            continue
        first, last = found
        if tree.lower[last] in ("left", "right") and _goes_on(tree, last):  # "in his left hand"
            if tree.lower[first] in ("in", "on", "at"):
                yield Phrase(tree.lower[first], None, first, first)
        elif _is_place(tree, first, last):
            yield Phrase(relations.name_of(match, relations.RELATIONS), None, first, last)


def _leads_along(tree: Tree, index: int) -> bool:
    """ "drives down the road", whether a parser takes the word for a preposition or for a part of the verb."""
    after = index + 1
    while after < len(tree.words) and tree.pos[after] in ("DET", "ADJ", "PRON", "NUM"):
        after += 1
    while after + 1 < len(tree.words) and tree.pos[after] in NOMINAL and tree.pos[after + 1] in NOMINAL:
        after += 1
    return after < len(tree.words) and tree.lemmas[after].lower() in lexicon.PATHS


def _hangs_from(tree: Tree, index: int) -> bool:
    governor = tree.lemmas[tree.heads[tree.heads[index]]].lower()
    before = tree.lemmas[index - 1].lower() if index > 0 else ""
    return bool({governor, before} & lexicon.HANGING)


def _tokens(tree: Tree, start: int, end: int) -> tuple[int, int] | None:
    """First and last token of a span of the text; None where the span cuts a token."""
    first = bisect_left(tree.start, start)
    last = bisect_left(tree.end, end)
    if (
        first >= len(tree.words)
        or last >= len(tree.words)
        or tree.start[first] != start
        or tree.end[last] != end
    ):
        return None
    return first, last


def _goes_on(tree: Tree, last: int) -> bool:
    """The region word modifies a noun: "on the left shoulder", "in the front yard", "at the top shelf"."""
    following = last + 1
    return (
        following < len(tree.words)
        and tree.pos[following] in NOMINAL
        and (tree.heads[last] == following or tree.deps[last] in ("amod", "compound"))
    )


def _is_place(tree: Tree, first: int, last: int) -> bool:
    """Whether a preposition is one here: not a particle ("put on"), not a conjunction, not an agent ("made by")."""
    if first > 0 and tree.lower[first - 1] == "-":
        return False
    if last > first:
        return True
    word = tree.lower[first]
    if word in ("up", "down"):
        return _leads_along(tree, first)
    if tree.pos[first] in ("SCONJ", "CCONJ") or tree.deps[first] == "compound:prt":
        return False
    if word == "from":
        return _hangs_from(tree, first)
    if word == "in" and first > 0 and tree.lower[first - 1] in lexicon.MADE_IN:
        return False
    if word == "by":
        head = tree.heads[first]
        return tree.deps[head] != "obl:agent" and not (first > 0 and tree.tags[first - 1] in ("VBN", "VBD"))
    governor = tree.heads[tree.heads[first]]
    if (
        word in ("at", "on", "in", "over", "across", "through", "around")
        and tree.lemmas[governor].lower() in lexicon.NO_PLACE
    ):
        return False
    return tree.pos[first] not in NOMINAL
