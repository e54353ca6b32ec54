"""Noun phrases: which nouns of a caption are objects that it claims to be there."""

from __future__ import annotations

from dataclasses import dataclass, field

from audits.claims import words as lexicon
from audits.claims.tree import NOMINAL, Tree

#: What kind of noun a mention is; only `object` mentions are claimed.
#: partitive: "a group (of people)"; region: "the left side"; picture: "a photo (of)"; abstract: "day", "style".
OBJECT, PARTITIVE, REGION, PICTURE, ABSTRACT = "object", "partitive", "region", "picture", "abstract"

#: Relations under which what is said hangs on something that is not said to be so.
UNREAL_CASES = frozenset({"without", "except", "minus", "like", "unlike", "sans"})
NEGATIONS = frozenset({"no", "not", "n't", "never", "neither", "nor", "without"})
HYPOTHETICAL = frozenset({"would", "could", "might", "may", "should"})


@dataclass(slots=True)
class Mention:
    """One noun phrase.

    Attributes:
        head: token index of its last noun.
        first: token index of the first noun of its compound ("traffic" of "traffic light").
        object: the noun phrase's lemma without determiners, numbers and adjectives.
        kind: one of the constants of this module.
        real: False where the caption denies or supposes it ("no people", "as if riding a horse").
        target: for a partitive, the mention that it is a part or group of.
        plural: whether it names several.
    """

    head: int
    first: int
    object: str
    kind: str
    real: bool = True
    target: Mention | None = None
    plural: bool = False

    def resolved(self) -> Mention:
        """What a partitive is of, itself otherwise: people for "a group of people"."""
        mention = self
        for _ in range(3):
            if mention.target is None:
                break
            mention = mention.target
        return mention


@dataclass(slots=True)
class Phrases:
    """The mentions of a tree; `at` gives the mention that a token is part of."""

    tree: Tree
    mentions: list[Mention] = field(default_factory=list)
    at: dict[int, Mention] = field(default_factory=dict)

    def following(self, index: int) -> Mention | None:
        """The mention whose noun phrase starts at a token: only determiners, numbers and adjectives come before it."""
        tree = self.tree
        while index < len(tree):
            mention = self.at.get(index)
            if mention is not None:
                after = mention.head + 1
                if (
                    after < len(tree)
                    and tree.lower[after] in ("'s", "’s", "'", "’")
                    and tree.pos[after] in ("PART", "PUNCT")
                ):
                    owned = self.following(after + 1)  # "in the man's hand" is in the hand
                    return owned or mention
                return mention
            if not (
                tree.pos[index] in ("DET", "ADJ", "NUM", "ADV", "PUNCT", "CCONJ", "PART")
                or _modifies(tree, index)
            ):
                return None
            if tree.pos[index] == "PUNCT" and tree.lower[index] not in (
                "-",
                ",",
                '"',
                "'",
                "“",
                "”",
                "‘",
                "’",
            ):
                return None
            index += 1
        return None


def _modifies(tree: Tree, index: int) -> bool:
    """A participle or a possessive before its noun ("a painted wall", "his", "the man 's", "cutting board")."""
    dep, head = tree.deps[index], tree.heads[index]
    if tree.pos[index] == "VERB" and index + 1 < len(tree) and tree.pos[index + 1] in NOMINAL:
        return tree.tags[index] in ("VBG", "VBN")
    return head > index and dep in ("amod", "nmod:poss", "compound", "case", "det", "advmod", "nummod")


def find(tree: Tree, masked: set[int]) -> Phrases:
    """All mentions of a caption.

    Args:
        masked: tokens inside quoted text, which is lettering and speaks of nothing.
    """
    phrases = Phrases(tree)
    index, size = 0, len(tree)
    while index < size:
        if not _is_noun(tree, index) or index in masked:
            index += 1
            continue
        first = index
        while _joins(tree, index, masked):
            index += 2 if tree.lower[index + 1] == "-" else 1
        mention = _mention(tree, first, index)
        phrases.mentions.append(mention)
        for token in range(first, index + 1):
            phrases.at[token] = mention
        index += 1
    _resolve_partitives(phrases)
    for mention in phrases.mentions:
        mention.real = _is_real(tree, mention)
    _spread_denial(phrases)
    return phrases


def _is_noun(tree: Tree, index: int) -> bool:
    word = tree.lower[index]
    if not word[0].isalpha() or (len(word) == 1 and word != "t"):
        return False
    if word in lexicon.SHADES and index + 1 < len(tree) and tree.lower[index + 1] in lexicon.COLORS:
        return False
    if index + 1 < len(tree) and word in lexicon.UNSURE_COLORS:
        ahead = (
            tree.lower[index + 2]
            if tree.lower[index + 1] == "-" and index + 2 < len(tree)
            else tree.lower[index + 1]
        )
        if ahead in lexicon.COLORED or lexicon.among_colors(tree.lower, index):
            return False
    return tree.pos[index] in NOMINAL or _stands_as_noun(tree, index)


def _stands_as_noun(tree: Tree, index: int) -> bool:
    """A word tagged as adjective or verb that the tree uses as a noun: taggers miss nouns that they never met."""
    if tree.pos[index] not in ("ADJ", "VERB") or tree.lower[index] in lexicon.NEVER_NOUNS:
        return False
    following = index + 1
    if following < len(tree) and (tree.pos[following] in NOMINAL or tree.lower[following] in ("-", "of")):
        return False
    dep = tree.deps[index]
    if tree.pos[index] == "VERB":
        return dep in ("obj", "nsubj", "nmod", "obl") and tree.has(index, "det", "amod", "case", "nmod:poss")
    if dep == "ROOT" or dep == "conj":
        return tree.has(index, "acl", "det") and not tree.has(index, "nsubj", "cop", "advmod")
    return dep in ("nsubj", "nsubj:pass", "obj", "nmod", "obl") and not tree.has(index, "advmod")


def _joins(tree: Tree, index: int, masked: set[int]) -> bool:
    """Whether the noun at an index goes on in the next one ("stop" + "sign", "T" + "-" + "shirt")."""
    following = index + 1
    if (
        following + 1 < len(tree)
        and tree.lower[following] == "-"
        and tree.end[index] == tree.start[following]
    ):
        after = following + 1
        return _is_noun(tree, after) and tree.end[following] == tree.start[after] and after not in masked
    if following >= len(tree) or following in masked or not _is_noun(tree, following):
        return False
    if tree.sent[index] != tree.sent[following]:
        return False
    return tree.deps[following] not in ("nmod:unmarked", "obl:unmarked", "vocative")


def _mention(tree: Tree, first: int, head: int) -> Mention:
    lemma = noun_lemma(tree, head)
    parts = [
        tree.words[i] if tree.pos[i] == "PROPN" and not tree.words[i].islower() else tree.lower[i]
        for i in range(first, head)
        if not (tree.lower[i] in lexicon.COLORS or tree.lower[i] in lexicon.SIZES or _measures(tree, i))
    ]
    word = tree.lower[head]
    plural = (
        tree.tags[head] in ("NNS", "NNPS")
        or word in lexicon.IRREGULAR
        or (word[-1] == "s" and word != lemma.lower())
    )
    name = " ".join([*parts, lemma]).replace(" - ", "-")
    return Mention(head, first, name, _kind(tree, first, head, lemma.lower()), plural=plural)


def _measures(tree: Tree, index: int) -> bool:
    """ "two story house", "3 piece suit": the number and its noun are an attribute."""
    return (
        index > 0
        and tree.pos[index - 1] == "NUM"
        and tree.lower[index]
        in (
            lexicon.UNITS
            | {"lane", "piece", "door", "seat", "tier", "way", "wheel", "engine", "level", "layer", "burner"}
        )
    )


def noun_lemma(tree: Tree, index: int) -> str:
    """The singular of a noun: the pipeline's lemma where it is one, a rule's where the lemmatizer left the plural."""
    word, lemma = tree.lower[index], tree.lemmas[index].lower()
    if word in lexicon.IRREGULAR:
        return lexicon.IRREGULAR[word]
    if word in lexicon.INVARIABLE:
        return word
    if tree.pos[index] == "PROPN" and tree.tags[index] != "NNPS" and not tree.words[index].islower():
        return tree.words[index]
    if lemma == word and word.endswith("s") and tree.words[index].islower():
        return lexicon.singular(word)
    plausible = lemma[:2] == word[:2] and abs(len(word) - len(lemma)) <= 3
    if plausible and (lemma != word or tree.tags[index] not in ("NNS", "NNPS")):
        return lemma
    return lexicon.singular(word)


def _kind(tree: Tree, first: int, head: int, lemma: str) -> str:
    word = tree.lower[head]
    of = head + 1 < len(tree) and tree.lower[head + 1] == "of"
    if word == "up" or word == "ups":  # of "close-up"
        return PICTURE
    if word in lexicon.COUNTING_NOUNS and (of or first == head):
        return PARTITIVE
    if word == "top" and not of and first > 0 and _is_garment(tree, head):
        return OBJECT
    if lemma in lexicon.REGION_NOUNS or word in lexicon.REGION_NOUNS:
        return REGION if first == head else OBJECT if lemma not in ("side", "background") else REGION
    if of and lemma in lexicon.TRANSPARENT:
        return PARTITIVE
    if lemma in lexicon.PICTURE_WORDS and _about_the_picture(tree, first, head, of):
        return PICTURE
    if (
        lemma in lexicon.PICTURE_THINGS
        and of
        and head <= 6
        and not any(tree.pos[i] == "VERB" for i in range(first))
    ):
        return PICTURE
    if lemma in lexicon.ABSTRACT or lemma in lexicon.STYLE_WORDS:
        return ABSTRACT
    if lemma in lexicon.UNITS and any(tree.pos[i] == "NUM" for i in range(max(0, first - 1), head)):
        return ABSTRACT
    if lemma in lexicon.TRANSPARENT and lemma not in lexicon.STANDALONE:
        described = first < head or (first > 0 and tree.tags[first - 1] == "VBG")
        return OBJECT if lemma == "lot" and described else ABSTRACT
    if tree.lower[first] in lexicon.COLORS and first == head:
        fruit = lemma == "orange" and (
            tree.tags[head] == "NNS" or tree.lower[head - 1 : head] in (["a"], ["an"], ["the"])
        )
        return OBJECT if fruit else ABSTRACT
    if lemma == "line" and first > 0 and ("in" in tree.lower[max(0, first - 2) : first]):
        return ABSTRACT
    return OBJECT


def _is_garment(tree: Tree, head: int) -> bool:
    """ "a red top", "wearing a top": not the top of something."""
    governor = tree.lemmas[tree.heads[head]].lower()
    colored = any(tree.lower[kid] in lexicon.COLORS for kid in tree.kids[head])
    return colored or governor in ("wear", "dress") or tree.lower[head - 1] in lexicon.COLORS


def _about_the_picture(tree: Tree, first: int, head: int, of: bool) -> bool:
    """ "a photo of …", "in this image", "the picture shows", "…, close-up": not "two photos on a wall"."""
    lemma = noun_lemma(tree, head)
    if lemma not in (
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
    ):
        return True
    if (
        first > 0
        and tree.lower[first - 1] == ","
        and (head + 1 == len(tree) or tree.lower[head + 1] in (",", "."))
    ):
        return True
    before = {tree.lower[i] for i in range(max(0, first - 3), first)}
    if before & {"this", "the"} or of:
        return True
    if tree.tags[head] == "NNS" or any(tree.pos[kid] == "NUM" for kid in tree.kids[head]):
        return False
    if head + 1 < len(tree) and tree.pos[head + 1] == "ADP":  # "a picture above a bed"
        return False
    return tree.deps[head] in ("ROOT", "appos", "parataxis", "list", "dep") or head <= 3


def _resolve_partitives(phrases: Phrases) -> None:
    tree = phrases.tree
    for mention in phrases.mentions:
        if mention.kind != PARTITIVE:
            continue
        index = mention.head + 1
        if index < len(tree) and tree.lower[index] == "of":
            index += 1
        target = phrases.following(index)
        if target is not None and target is not mention:
            mention.target = target
        elif mention.object.split()[-1] in lexicon.STANDALONE:
            mention.kind = OBJECT
        else:
            mention.kind = ABSTRACT


def _is_real(tree: Tree, mention: Mention) -> bool:
    """Whether the caption says that this is there, climbing from the noun to its clause."""
    index = mention.head
    for token in range(mention.first - 1, max(-1, mention.first - 5), -1):
        word = tree.lower[token]
        if word in ("no", "without", "zero", "sans") or (
            word == "not" and tree.lower[token + 1] in ("a", "an", "any")
        ):
            return False
        if word in ("like", "resembling", "unlike", "except", "minus") and not _hedged(tree, token):
            return False
        if (
            word == "of"
            and token > 0
            and tree.lower[token - 1] in ("instead", "free", "shape", "form", "devoid", "style")
        ):
            return False
        if word in ("a", "an", "the"):
            if tree.lower[token - 1] not in ("like", "not", "without", "as", "of", "resembling", "except"):
                break
        elif tree.pos[token] not in ("DET", "ADJ", "NUM", "ADV", "NOUN", "PROPN") and word not in ("of",):
            break
    child = index
    for _ in range(12):
        head = tree.heads[child]
        if head == child:
            break
        if tree.pos[head] in ("VERB", "AUX") and _clause_is_unreal(tree, head, child):
            return False
        child = head
    return not (tree.has(index, "cop") and _negated(tree, index))


def _hedged(tree: Tree, like: int) -> bool:
    """ "it looks like a cat", "those are looking like fingers": the writer's caution, not a likeness."""
    before = tree.lower[max(0, like - 4) : like]
    return tree.lower[like] == "like" and bool(
        {"looks", "look", "looking", "seems", "seem"} & set(before[-2:])
        and {"it", "there", "that", "this", "those", "these", "which"} & set(before)
    )


def _clause_is_unreal(tree: Tree, verb: int, child: int) -> bool:
    dep = tree.deps[child]
    if dep in ("nsubj", "nsubj:pass") and not tree.has(verb, "expl"):
        return False
    if dep in ("conj", "parataxis", "list") and tree.pos[child] in ("VERB", "AUX"):
        return False
    if _negated(tree, verb):
        return dep in ("obj", "nsubj", "obl", "xcomp", "iobj")
    return any(
        (tree.lower[kid] in HYPOTHETICAL and tree.deps[kid] == "aux")
        or (
            tree.deps[kid] == "mark"
            and (tree.lower[kid] == "if" or tree.case_of(verb) == "as if" or tree.lower[kid] == "though")
        )
        for kid in tree.kids[verb]
    )


def _negated(tree: Tree, index: int) -> bool:
    return any(tree.lower[kid] in ("not", "n't", "never", "n’t") for kid in tree.kids[index])


def _spread_denial(phrases: Phrases) -> None:
    """ "no cars or people", "without a hat or gloves": what is denied of the first conjunct is denied of the rest."""
    for mention in phrases.mentions:
        tree, head = phrases.tree, phrases.tree.heads[mention.head]
        if tree.deps[mention.head] == "conj" and head in phrases.at and not phrases.at[head].real:
            between = {tree.lower[i] for i in range(head, mention.first)}
            if "or" in between or "nor" in between or not between & {"a", "an", "the", "but"}:
                mention.real = False
        if mention.kind == PARTITIVE and mention.target is not None and not mention.real:
            mention.target.real = False


def conjuncts(phrases: Phrases, mention: Mention) -> list[Mention]:
    """The mention and those coordinated with it, in order: a "man and woman" that stand somewhere both do."""
    tree = phrases.tree
    first = mention.head
    while tree.deps[first] == "conj" and tree.heads[first] in phrases.at and tree.heads[first] < first:
        first = tree.heads[first]
    together = [first, *(kid for kid in tree.kids[first] if tree.deps[kid] == "conj")]
    found = [phrases.at[index] for index in together if index in phrases.at]
    return found if mention in found else [mention]
