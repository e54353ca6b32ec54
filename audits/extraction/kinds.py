"""What kind of noun heads a phrase: an object, a part or number of one, a place, the picture itself, or nothing to see."""

from __future__ import annotations

from audits.extraction import words as lexicon
from audits.extraction.phrases import ABSTRACT, OBJECT, PARTITIVE, PICTURE, REGION
from audits.extraction.tree import Tree

#: Pictures that hang on walls as often as they are the one described.
_HANGING = frozenset(
    [
        "photo",
        "photograph",
        "image",
        "picture",
        "pic",
        "portrait",
        "frame",
        "vector",
        "screenshot",
        "panorama",
    ]
)

#: Tokens from the start of a caption within which "a portrait of" speaks of the caption's own picture.
OPENING = 8
AT_THE = (["at", "the"], ["near", "the"], ["by", "the"])
#: Of several things one name: "a mountain range", "a tea set".
NAMED_BY_MEMBERS = frozenset(["set", "range", "collection", "piece"])
HANGING_VERBS = frozenset(
    ["stand", "hang", "sit", "lie", "lean", "decorate", "adorn", "rest", "mount", "display"]
)
TOWARDS = frozenset(["at", "to", "toward", "towards", "facing", "into", "for"])
WEARERS = frozenset(
    ["women", "men", "ladies", "gentlemen", "girls", "boys", "kids", "children", "toddlers", "infants"]
)


def kind_of(tree: Tree, first: int, head: int, lemma: str) -> str:
    """The kind of the noun phrase that ends at `head`; `lemma` is its last noun's, in lower case."""
    word = tree.lower[head]
    of = head + 1 < len(tree.words) and tree.lower[head + 1] == "of"
    if word == "camera" and _looks_out(tree, first, head):
        return ABSTRACT
    if word in WEARERS and _is_for(tree, first, head):
        return ABSTRACT
    if word == "up" or word == "ups":  # of "close-up"
        return PICTURE
    if word in lexicon.COUNTING_NOUNS and (of or (first == head and word != "couple")):
        return PARTITIVE
    if word == "top" and not of and first > 0 and _is_garment(tree, head):
        return OBJECT
    if lemma in lexicon.REGION_NOUNS or word in lexicon.REGION_NOUNS:
        place = all(tree.lower[i] in lexicon.REGION_NOUNS for i in range(first, head))  # "the bottom right"
        return REGION if place or lemma in ("side", "background") else OBJECT
    if of and lemma in ("foot", "base", "tip", "head") and tree.lower[max(0, head - 2) : head] in AT_THE:
        return REGION
    if of and lemma in lexicon.TRANSPARENT:
        return PARTITIVE
    if lemma in lexicon.PICTURE_WORDS and _about_the_picture(tree, first, head, lemma, of):
        return PICTURE
    if (
        lemma in lexicon.PICTURE_THINGS
        and of
        and head <= 6
        and not any(tree.pos[i] == "VERB" for i in range(first))
    ):
        return PICTURE
    if lemma in lexicon.ABSTRACT or lemma in lexicon.STYLE_WORDS:
        return OBJECT if first < head and f"{tree.lower[head - 1]}-{lemma}" in lexicon.FIXED else ABSTRACT
    if (
        lemma in lexicon.UNITS
        and first == head
        and any(tree.pos[i] == "NUM" for i in range(max(0, first - 1), head))
    ):
        return ABSTRACT
    if lemma in lexicon.TRANSPARENT and lemma not in lexicon.STANDALONE:
        described = first < head or (first > 0 and tree.tags[first - 1] == "VBG")
        named = (lemma == "lot" and described) or (first < head and lemma in NAMED_BY_MEMBERS)
        return OBJECT if named else ABSTRACT
    if tree.lower[first] in lexicon.COLORS and first == head:
        fruit = lemma == "orange" and (
            tree.tags[head] == "NNS"
            or tree.lower[head - 1 : head] in (["a"], ["an"], ["the"])
            or (head > 1 and tree.lower[head - 1] in lexicon.COLORS and tree.pos[head - 2] == "DET")
        )
        return OBJECT if fruit else ABSTRACT
    parted = head + 2 < len(tree.words) and tree.lower[head + 1] in lexicon.PARTED
    if parted and tree.pos[head + 2] in ("NOUN", "PROPN", "ADJ"):
        return ABSTRACT  # "wood framed windows"
    if lemma == "line" and first > 0 and ("in" in tree.lower[max(0, first - 2) : first]):
        return ABSTRACT
    return OBJECT


def _stands_somewhere(tree: Tree, head: int) -> bool:
    """ "A photo of a baby stands on the piano": a picture that is a thing in the picture."""
    above = tree.heads[head]
    return tree.deps[head] in ("nsubj", "nsubj:pass") and tree.lemmas[above].lower() in HANGING_VERBS


def _looks_out(tree: Tree, first: int, head: int) -> bool:
    """ "looking at the camera": it is the one that took the picture."""
    before = tree.lower[max(0, head - 2) : head]
    return tree.lower[head] == "camera" and first == head and before[-1:] == ["the"] and before[0] in TOWARDS


def _is_for(tree: Tree, first: int, head: int) -> bool:
    """ "Women's Leather Boots": whom a thing on sale is made for."""
    opens = first == 0 or tree.lower[first - 1] in (",", "-", "|", ":")
    after = tree.lower[head + 1 : head + 2]
    return (
        opens
        and first == head
        and tree.lower[head] in WEARERS
        and after[:1] in (["'s"], ["’s"], ["'"], ["’"])
    )


def _is_garment(tree: Tree, head: int) -> bool:
    """ "a red top", "wearing a top": not the top of something."""
    governor = tree.lemmas[tree.heads[head]].lower()
    colored = any(tree.lower[kid] in lexicon.COLORS for kid in tree.kids[head])
    return colored or governor in ("wear", "dress") or tree.lower[head - 1] in lexicon.COLORS


def _about_the_picture(tree: Tree, first: int, head: int, lemma: str, of: bool) -> bool:
    """ "a photo of …", "in this image", "the picture shows", "…, close-up": not "two photos on a wall"."""
    if lemma == "frame":
        return first == head and tree.lower[max(0, first - 2) : first] in (["in", "the"], ["of", "the"])
    if lemma not in _HANGING:
        return True
    if (
        first > 0
        and tree.lower[first - 1] == ","
        and (head + 1 == len(tree.words) or tree.lower[head + 1] in (",", "."))
    ):
        return True
    start = first - 1
    while start > 0 and (tree.pos[start] in ("ADJ", "CCONJ", "ADV") or tree.lower[start] in ("-", "and")):
        start -= 1
    before = {tree.lower[i] for i in range(max(0, min(start, first - 3)), first)}
    if before & {"this", "the"} or (of and head <= OPENING):
        return not _stands_somewhere(tree, head)
    if tree.tags[head] == "NNS" or any(tree.pos[kid] == "NUM" for kid in tree.kids[head]):
        return False
    if head + 1 < len(tree.words) and tree.pos[head + 1] == "ADP":  # "a picture above a bed"
        return False
    return tree.deps[head] in ("ROOT", "appos", "parataxis", "list", "dep") or head <= 3
