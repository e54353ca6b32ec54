"""Colors and sizes: before the noun ("a black and white dog"), after it ("painted blue"), or said of it ("is red")."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from audits.extraction import words as lexicon
from audits.extraction.phrases import OBJECT, PARTITIVE, REGION, Mention, Phrases, conjuncts
from audits.extraction.reference import antecedent
from audits.extraction.tree import Tree
from recapdata.records import Claim

#: Verbs after which a color is what the thing was made to be.
COLORING = frozenset(
    {"paint", "color", "colour", "dye", "turn", "look", "appear", "become", "be", "remain", "seem", "stay"}
)

#: Words from a color to the noun that bears it, at most.
FARTHEST = 50


@dataclass(frozen=True, slots=True)
class Word:
    """A color or size word of a caption: its name and the tokens it takes ("dark blue" is one color)."""

    name: str
    first: int
    last: int


def color_at(tree: Tree, index: int) -> Word | None:
    """The color that ends at a token, with what shades it."""
    word = tree.lower[index]
    following = tree.lower[index + 1] if index + 1 < len(tree.words) else ""
    after_hyphen = tree.lower[index + 2] if following == "-" and index + 2 < len(tree.words) else ""
    if word not in lexicon.COLORS:
        unsure = word in lexicon.UNSURE_COLORS
        if not unsure or not (
            following in lexicon.COLORED
            or after_hyphen in lexicon.COLORED
            or tree.pos[index] == "ADJ"
            or lexicon.among_colors(tree.lower, index)
        ):
            return None
    if any(
        lemma.lower() in lexicon.NOT_COLORED.get(word, ()) for lemma in tree.lemmas[index + 1 : index + 2]
    ):
        return None
    first = index
    while first > 0:
        previous = first - 1
        if (
            tree.lower[previous] == "-"
            and previous > 0
            and tree.lower[previous - 1] in lexicon.SHADES | lexicon.COLORS
        ):
            first = previous - 1
        elif tree.lower[previous] in lexicon.SHADES:
            first = previous
        else:
            break
    name = tree.text[tree.start[first] : tree.end[index]].lower()
    return Word(name.replace("grey", "gray"), first, index)


def size_at(tree: Tree, index: int) -> Word | None:
    """The size that a token names: "a tall man"; not "5 feet tall", "long-sleeved", "a short-haired dog"."""
    word = tree.lower[index]
    if word not in lexicon.SIZES:
        return None
    if index + 1 < len(tree.words) and tree.lower[index + 1] == "-":
        return None
    if index > 0 and tree.lemmas[index - 1].lower() in lexicon.UNITS:
        return None
    return Word(word, index, index)


def attributes(phrases: Phrases, masked: set[int]) -> Iterator[Claim]:
    """The color and size claims of a caption."""
    tree = phrases.tree
    for index in range(len(tree.words)):
        if index in masked:
            continue
        for kind, word in (("color", color_at(tree, index)), ("size", size_at(tree, index))):
            if word is None or _part_of_longer(tree, index, kind) or _is_thing(phrases, index):
                continue
            part = _part_after(tree, index)
            if part is not None:
                yield from _claims_of_part(tree, kind, word, part)
                continue
            for mention in _bearers(phrases, word):
                if mention.real and (mention.kind == OBJECT or (kind == "color" and _is_background(mention))):
                    yield _claim(tree, kind, word, mention)


def _is_thing(phrases: Phrases, index: int) -> bool:
    """ "an orange and a knife": the color's name is what is there."""
    mention = phrases.at.get(index)
    return (
        phrases.tree.lower[index] == "orange"
        and mention is not None
        and mention.head == index
        and mention.kind == OBJECT
    )


def _part_after(tree: Tree, index: int) -> int | None:
    """The token of "haired" in "brown haired", "brown-haired"."""
    after = index + 2 if index + 1 < len(tree.words) and tree.lower[index + 1] == "-" else index + 1
    return after if after < len(tree.words) and tree.lower[after] in lexicon.PARTED else None


def _claims_of_part(tree: Tree, kind: str, word: Word, part: int) -> Iterator[Claim]:
    """ "a brown-haired man" has brown hair: the part is there and has the color."""
    span = (tree.start[word.first], tree.end[part])
    if kind == "color":
        noun = lexicon.PARTED[tree.lower[part]]
        yield Claim(kind="object", span=span, object=noun)
        yield Claim(kind="color", span=span, object=noun, color=word.name)


def _is_background(mention: Mention) -> bool:
    return mention.kind == REGION and mention.object.split()[-1] == "background"


def _claim(tree: Tree, kind: str, word: Word, mention: Mention) -> Claim:
    span = (
        min(tree.start[word.first], tree.start[mention.first]),
        max(tree.end[word.last], tree.end[mention.head]),
    )
    if kind == "color":
        return Claim(kind="color", span=span, object=mention.object, color=word.name, hedge=mention.hedge)
    return Claim(kind="size", span=span, object=mention.object, size=word.name, hedge=mention.hedge)


def _part_of_longer(tree: Tree, index: int, kind: str) -> bool:
    """A color that only shades the next one ("navy blue", "blue-green")."""
    if kind != "color" or index + 1 >= len(tree.words):
        return False
    following = index + 2 if tree.lower[index + 1] == "-" and index + 2 < len(tree.words) else index + 1
    if tree.lower[following] not in lexicon.COLORS:
        return False
    return following == index + 2 or tree.lower[index] in lexicon.SHADES


def _bearers(phrases: Phrases, word: Word) -> list[Mention]:
    """What a color or size is said of; none where it stands alone ("a man in black")."""
    tree = phrases.tree
    ahead = _noun_ahead(phrases, word)
    if ahead is not None and _is_color_noun(tree, ahead.head):  # "a brown color", "an orange color car"
        return [mention.resolved() for mention in _said_of(phrases, Word(word.name, word.first, ahead.head))]
    if (
        ahead is not None
        and ahead.kind == PARTITIVE
        and word.name in lexicon.SIZES
        and tree.lower[ahead.head] != "pair"
    ):
        return []  # of "a large group of people" the group is large
    if ahead is not None:
        return [ahead.resolved()]
    return [mention.resolved() for mention in _said_of(phrases, word)]


def _noun_ahead(phrases: Phrases, word: Word) -> Mention | None:
    """The noun phrase that the word stands inside of, at its left."""
    tree = phrases.tree
    here = phrases.at.get(word.last)
    if here is not None and here.head > word.last:
        return here
    index = word.last + 1
    while index < min(len(tree.words), word.last + FARTHEST):
        mention = phrases.at.get(index)
        text = tree.lower[index]
        if mention is not None:
            if (
                mention.first == mention.head
                and text in lexicon.COLORS
                and mention.head + 1 < len(tree.words)
            ):
                index += 1  # "orange" taken for a noun in "orange and white cat"
                continue
            if (
                _is_color_noun(tree, index)
                and mention.head == index
                and phrases.at.get(index + 1) is not None
            ):
                return phrases.at[index + 1]
            return mention
        if text == "one" and tree.pos[index] in ("NUM", "PRON", "NOUN"):
            return antecedent(phrases, index)
        if text in ("a", "an", "the", "his", "her", "their", "its", "with", "of", "is", "are"):
            return None
        if tree.pos[index] in ("ADJ", "NUM", "ADV") or text in ("-", "and", "&", "/", "or", ","):
            if text in ("and", "&", "or", ",") and not _more_of_the_same(tree, index):
                return _after_comma(phrases, word, index)
        elif text in lexicon.COLORS or text in lexicon.COLORED or text in lexicon.PARTED:
            pass
        elif not (
            tree.pos[index] == "VERB"
            and tree.tags[index] in ("VBN", "VBG", "VBD")
            and tree.heads[index] > index
        ):
            return None
        index += 1
    return None


def _after_comma(phrases: Phrases, word: Word, index: int) -> Mention | None:
    """ "silver , metal shelves": a compound after the comma, where the color opens the phrase."""
    opens = word.first == 0 or phrases.tree.pos[word.first - 1] == "DET"
    mention = phrases.at.get(index + 1)
    joined = mention is not None and mention.first == index + 1 < mention.head
    return mention if opens and joined and phrases.tree.lower[index] == "," else None


def _more_of_the_same(tree: Tree, index: int) -> bool:
    """After "and" or a comma another adjective or color follows, not a new noun phrase."""
    following = index + 1
    while following < len(tree.words) and tree.lower[following] in ("and", "or", ","):
        following += 1
    if following >= len(tree.words):
        return False
    text = tree.lower[following]
    return (
        text in lexicon.COLORS
        or text in lexicon.SHADES
        or text in lexicon.UNSURE_COLORS
        or tree.pos[following] in ("ADJ", "ADV")
        or (tree.pos[following] == "VERB" and tree.heads[following] > following)
    )


def _said_of(phrases: Phrases, word: Word) -> list[Mention]:
    """The noun of a predicate ("the car is red"), a result ("painted blue") or an apposition ("napkins, white")."""
    tree = phrases.tree
    apposed = _apposed(phrases, word)
    if apposed:
        return apposed
    index = word.last
    if tree.deps[index] in ("obl", "nmod") and tree.case_of(index):
        return []  # "a man in black"
    for _ in range(6):
        subjects = [
            kid for kid in tree.kids[index] if tree.deps[kid] in ("nsubj", "nsubj:pass", "nsubj:outer")
        ]
        if subjects and not _is_colored(tree, index, word):
            return []
        if subjects:
            if any(tree.lower[kid] in ("not", "n't", "never") for kid in tree.kids[index]):
                return []
            return [found for subject in subjects for found in _mentions_at(phrases, subject)]
        head, dep = tree.heads[index], tree.deps[index]
        if head == index:
            break
        if head in phrases.at and not _is_color_noun(tree, head):
            mention = phrases.at[head]
            if dep == "conj" or dep not in (
                "amod",
                "acl",
                "acl:relcl",
                "appos",
                "xcomp",
                "advcl",
                "advmod",
                "obj",
                "nmod",
            ):
                return []
            return [mention]
        if tree.pos[head] in ("NOUN", "PROPN") and head not in phrases.at:
            return []
        if tree.pos[head] == "VERB" and not _is_colored(tree, head, word):
            return []
        index = head
    return []


def _is_colored(tree: Tree, index: int, word: Word) -> bool:
    """Whether a predicate says how its subject looks: a color, "painted", "is … in color"."""
    return (
        index == word.last
        or tree.lower[index] in lexicon.COLORS
        or tree.lemmas[index].lower() in COLORING
        or _is_color_noun(tree, index)
        or tree.pos[index] == "ADJ"
    )


def _is_color_noun(tree: Tree, index: int) -> bool:
    return (
        tree.lower[index] in ("color", "colour", "colors", "colours") or tree.lower[index] in lexicon.COLORS
    )


def _mentions_at(phrases: Phrases, index: int) -> list[Mention]:
    mention = phrases.at.get(index)
    if mention is None and phrases.tree.pos[index] in ("PRON", "NUM", "DET"):
        mention = antecedent(phrases, index)
    return conjuncts(phrases, mention) if mention is not None else []


def _apposed(phrases: Phrases, word: Word) -> list[Mention]:
    """ "napkins, white, set of four": a color between commas belongs to the noun before it."""
    tree = phrases.tree
    before = word.first - 1
    if (
        before > 0
        and tree.lower[before] == ","
        and (word.last + 1 == len(tree.words) or tree.lower[word.last + 1] in (",", "."))
    ):
        mention = phrases.at.get(before - 1)
        return [mention] if mention is not None else []
    return []
