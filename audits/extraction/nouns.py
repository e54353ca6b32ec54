"""Noun phrases: which nouns of a caption are objects that it claims to be there."""

from __future__ import annotations

from audits.extraction import words as lexicon
from audits.extraction.kinds import kind_of
from audits.extraction.numbers import value
from audits.extraction.phrases import ABSTRACT, LETTERING, OBJECT, PARTITIVE, Mention, Phrases
from audits.extraction.reality import is_real, spread_denial
from audits.extraction.tree import NOMINAL, Tree

#: "two lane street", "three-piece suit".
MEASURING = frozenset(
    ["lane", "piece", "door", "seat", "tier", "way", "wheel", "engine", "level", "layer", "burner"]
)

#: Prepositions that may be left over at the end of a clause.
STRANDED = frozenset(
    ["on", "in", "at", "through", "under", "over", "from", "behind", "beside", "near", "against", "inside"]
)
#: Parts of speech whose words are no nouns, however they stand.
NEVER = frozenset({"DET", "ADP", "PUNCT", "CCONJ", "SCONJ", "PRON", "NUM", "PART", "SYM", "SPACE", "INTJ"})

#: Words of which a tag does not tell whether they are nouns here.
UNSURE = (
    lexicon.SHADES | lexicon.UNSURE_COLORS | lexicon.POSTURES | {"one", "ones", "left", "right", "orange"}
)
#: What may follow a noun that only tells a form.
FORMING = lexicon.FORMED | {"-"}

#: Plurals of which small lemmatizers only take the "s" ("crosse", "mangoe"); the rule of `words.singular` knows better.
HALFWAY = ("sses", "xes", "ches", "shes", "zzes", "oes")


def find(tree: Tree, masked: set[int], announcing: set[int]) -> Phrases:
    """All mentions of a caption.

    Args:
        masked: tokens inside quoted text, which is lettering and speaks of nothing.
        announcing: tokens that only say that lettering follows ("with the text 'Hello'").
    """
    phrases = Phrases(tree)
    index, size = 0, len(tree.words)
    nouns = {i for i in range(size) if tree.pos[i] not in NEVER and i not in masked and _is_noun(tree, i)}
    while index < size:
        if index not in nouns:
            index += 1
            continue
        first = index
        while _joins(tree, index, nouns):
            index += 2 if tree.lower[index + 1] == "-" else 1
        if first < index and tree.lower[index - 1] != "-" and _disagrees(tree, first, index):
            index -= 1  # "A fire burns": the last one is the verb
            nouns.discard(index + 1)
        if first < index and tree.lower[index - 1] != "-" and _opens_contact_clause(tree, first, index):
            index -= 1  # "the table a bowl is on", without its article
        first = _widened(tree, _without_modifier(tree, first, index), index)
        mention = _mention(tree, first, index, announcing)
        phrases.mentions.append(mention)
        for token in range(first, index + 1):
            phrases.at[token] = mention
        index += 1
    _resolve_partitives(phrases)
    for mention in phrases.mentions:
        mention.real = is_real(tree, mention)
    spread_denial(phrases)
    return phrases


def _opens_contact_clause(tree: Tree, first: int, head: int) -> bool:
    """ "ground giraffes are standing on": two nouns, verbs, and a preposition left over at the end of the sentence."""
    if first > 0 and tree.pos[first - 1] == "DET":
        return False
    after = index = head + 1
    while index < len(tree.words) and tree.pos[index] in ("AUX", "VERB", "ADV"):
        index += 1
    ends = index + 1 == len(tree.words) or tree.pos[index + 1 : index + 2] == ["PUNCT"]
    going = "VBG" in tree.tags[after:index]  # not "street lamp is on"
    return going and index < len(tree.words) and ends and tree.lower[index] in STRANDED


def _disagrees(tree: Tree, first: int, head: int) -> bool:
    """Whether a compound's last word cannot be its head: "a polar bear paws over the ground", "two seagulls circle"."""
    word = tree.lower[head]
    if word in lexicon.INVARIABLE:
        return False
    index = first - 1
    while (
        index >= 0 and tree.pos[index] in ("ADJ", "ADV", "VERB") and tree.lower[index] not in ("few", "many")
    ):
        index -= 1
    if index < 0:
        return False
    plural = word.endswith("s") and lexicon.singular(word) != word
    if tree.lower[index] in ("a", "an", "another", "each", "every", "this", "that"):
        return plural and word not in lexicon.PAIRED
    several = (value(tree, index) or 0) > 1 or tree.lower[index] in (
        "several",
        "many",
        "both",
        "these",
        "those",
    )
    before = tree.lower[head - 1]
    named = f"{before}-{word}" in lexicon.FIXED
    return (
        several and not plural and not named and before.endswith("s") and lexicon.singular(before) != before
    )


def _widened(tree: Tree, first: int, head: int) -> int:
    """Where "hot dog" starts: an adjective that makes another thing of its noun belongs to it."""
    noun = "-".join([*tree.lower[first:head], noun_lemma(tree, head).lower()])
    return first - 1 if first > 0 and f"{tree.lower[first - 1]}-{noun}" in lexicon.FIXED else first


def _without_modifier(tree: Tree, first: int, head: int) -> int:
    """Where "bus" of "double-decker bus" starts, "mug" of "left-hand mug": what a hyphen ties to an adjective is one, too."""
    tied = first > 1 and tree.lower[first - 1] == "-" and tree.end[first - 1] == tree.start[first]
    adjective = (
        tied
        and tree.end[first - 2] == tree.start[first - 1]
        and tree.pos[first - 2] in ("ADJ", "ADV", "VERB")
    )
    return first + 1 if adjective and first < head and tree.lower[first + 1] != "-" else first


def _is_noun(tree: Tree, index: int) -> bool:
    word, pos = tree.lower[index], tree.pos[index]
    following = tree.lower[index + 1] if index + 1 < len(tree.words) else ""
    if not word[0].isalpha() or (len(word) == 1 and word != "t"):
        return False
    if word in UNSURE and (sure := _is_sure(tree, index, word, following)) is not None:
        return sure
    if following in FORMING and _is_form(tree, index):
        return False
    if (
        word in ("hand", "home", "machine")
        and following == "-"
        and tree.tags[index + 2 : index + 3] in (["VBN"], ["JJ"], ["VBD"])
    ):
        return False  # "hand-painted"
    if "/" in word and any(letter.isdigit() for letter in word):  # "f/1.4"
        return False
    if pos in NOMINAL:
        return not _is_doing(tree, index, word)
    return _ends_compound(tree, index) or _stands_as_noun(tree, index)


def _is_doing(tree: Tree, index: int, word: str) -> bool:
    """ "a horse riding skis", "a knife cutting cake": a participle between two nouns, tagged as one of them."""
    if not word.endswith("ing") or not 0 < index < len(tree.words) - 1 or tree.pos[index - 1] not in NOMINAL:
        return False
    pair = f"{tree.lower[index - 1]}-{word}"
    return (
        lexicon.singular(tree.lower[index - 1]) in lexicon.LIVING
        and tree.pos[index + 1] in ("NOUN", "PROPN", "DET", "ADJ", "NUM", "PRON", "ADP")
        and pair not in lexicon.FIXED
    )


def _is_sure(tree: Tree, index: int, word: str, following: str) -> bool | None:
    """Whether a word of `UNSURE` is a noun, None where the tag may say so."""
    if word in ("one", "ones"):  # stands for a noun said before
        return False
    if word in lexicon.SHADES and following in lexicon.COLORS:
        return False
    if word in lexicon.UNSURE_COLORS and following:
        ahead = tree.lower[index + 2] if following == "-" and index + 2 < len(tree.words) else following
        if ahead in lexicon.COLORED or lexicon.among_colors(tree.lower, index):
            return False
    if word in ("left", "right") and _is_side_of(tree, index):
        return False
    if word == "orange" and _is_fruit(tree, index):
        return True
    if word in lexicon.POSTURES and _acts(tree, index) and not _ends_compound(tree, index):
        return False
    return None


def _is_side_of(tree: Tree, index: int) -> bool:
    """ "a cow right of a laptop": no noun, where no article stands before."""
    return (
        tree.lower[index] in ("left", "right")
        and tree.lower[index + 1 : index + 2] == ["of"]
        and index > 0
        and tree.lower[index - 1] not in lexicon.BEFORE_SIDES
    )


def _is_form(tree: Tree, index: int) -> bool:
    """ "a dog-shaped balloon", "a jungle themed room": what something looks like is not there."""
    hyphen = tree.lower[index + 1 : index + 2] == ["-"]
    formed = index + 2 if hyphen else index + 1
    if tree.lower[formed : formed + 1] == [] or tree.lower[formed] not in lexicon.FORMED:
        return False
    return hyphen or tree.pos[formed + 1 : formed + 2] in (["NOUN"], ["ADJ"], ["PROPN"])


def _ends_compound(tree: Tree, index: int) -> bool:
    """ "hair drier", "trash can", "jet skis": a thing named by two words, whatever its second is tagged as.

    A verb in place of the second has an object of its own after it ("the trash can fall").
    """
    if index == 0 or tree.pos[index] in NOMINAL or tree.lower[index - 1] not in lexicon.FIXED_FIRST:
        return False
    pair = f"{tree.lower[index - 1]}-{lexicon.singular(tree.lower[index])}"
    if pair not in lexicon.FIXED and f"{tree.lower[index - 1]}-{tree.lower[index]}" not in lexicon.FIXED:
        return False
    following = tree.pos[index + 1] if index + 1 < len(tree.words) else "PUNCT"
    return tree.pos[index - 1] in ("NOUN", "PROPN", "ADJ", "VERB") and not (
        tree.pos[index] in ("VERB", "AUX") and following in ("DET", "PRON", "NUM", "PART", "VERB")
    )


def _is_fruit(tree: Tree, index: int) -> bool:
    """ "an orange on a plate": an article before, and nothing after that it could be the color of."""
    after = tree.pos[index + 1] if index + 1 < len(tree.words) else "PUNCT"
    if tree.tags[index + 1 : index + 2] == ["VBN"] and tree.pos[index + 2 : index + 3] == ["NOUN"]:
        return False  # "an orange potted plant"
    if tree.lower[index + 1 : index + 3] in (["left", "of"], ["right", "of"]):
        after = "ADP"
    return tree.lower[index - 1 : index] in (["a"], ["an"], ["the"]) and after in (
        "PUNCT",
        "ADP",
        "VERB",
        "AUX",
        "SCONJ",
    )


def _acts(tree: Tree, index: int) -> bool:
    """A verb after its noun and before a place or an object, whatever its tag ("a bus sits on the ground")."""
    before = tree.pos[index - 1] if index > 0 else ""
    after = tree.pos[index + 1] if index + 1 < len(tree.words) else "ADP"
    if tree.lower[index - 1] in lexicon.REGION_NOUNS and index > 0:  # "the one in the middle wears"
        before = "NOUN"
    quotes = after == "PUNCT" and tree.lower[index + 1] in ('"', "'", "“", "‘", ":")
    return before in NOMINAL and (quotes or after in ("ADP", "DET", "ADV", "PRON", "ADJ", "NUM"))


def _stands_as_noun(tree: Tree, index: int) -> bool:
    """A word tagged as adjective or verb that the tree uses as a noun: taggers miss nouns that they never met."""
    if tree.pos[index] not in ("ADJ", "VERB") or tree.lower[index] in lexicon.NEVER_NOUNS:
        return False
    following = index + 1
    if following < len(tree.words) and (
        tree.pos[following] in NOMINAL or tree.lower[following] in ("-", "of")
    ):
        return False
    dep = tree.deps[index]
    if tree.pos[index] == "VERB":
        return dep in ("obj", "nsubj", "nmod", "obl") and tree.has(index, "det", "amod", "case", "nmod:poss")
    if dep == "ROOT" or dep == "conj":
        return tree.has(index, "acl", "det") and not tree.has(index, "nsubj", "cop", "advmod")
    return dep in ("nsubj", "nsubj:pass", "obj", "nmod", "obl", "obl:agent") and not tree.has(index, "advmod")


def _joins(tree: Tree, index: int, nouns: set[int]) -> bool:
    """Whether the noun at an index goes on in the next one ("stop" + "sign", "T" + "-" + "shirt")."""
    following = index + 1
    if (
        following + 1 < len(tree.words)
        and tree.lower[following] == "-"
        and tree.end[index] == tree.start[following]
    ):
        after = following + 1
        return after in nouns and tree.end[following] == tree.start[after]
    if following not in nouns:
        return False
    if tree.sent[index] != tree.sent[following]:
        return False
    return tree.deps[following] not in ("nmod:unmarked", "obl:unmarked", "vocative")


def _mention(tree: Tree, first: int, head: int, announcing: set[int]) -> Mention:
    lemma = noun_lemma(tree, head)
    fixed = "-".join([*tree.lower[first:head], lemma.lower()]) in lexicon.FIXED
    parts = [
        tree.words[i] if tree.pos[i] == "PROPN" and not tree.words[i].islower() else tree.lower[i]
        for i in range(first, head)
        if fixed
        or not (tree.lower[i] in lexicon.COLORS or tree.lower[i] in lexicon.SIZES or _measures(tree, i))
    ]
    word = tree.lower[head]
    plural = (
        tree.tags[head] in ("NNS", "NNPS")
        or word in lexicon.IRREGULAR
        or (word[-1] == "s" and word != lemma.lower())
    )
    name = " ".join([*parts, lemma]).replace(" - ", "-")
    kind = LETTERING if head in announcing else kind_of(tree, first, head, lemma.lower())
    return Mention(head, first, name, kind, plural=plural)


def _measures(tree: Tree, index: int) -> bool:
    """ "two story house", "three-piece suit": the number and its noun are an attribute."""
    before = index - 2 if index > 1 and tree.lower[index - 1] == "-" else index - 1
    return (
        before >= 0
        and tree.pos[before] == "NUM"
        and (tree.lower[index] in lexicon.UNITS or tree.lower[index] in MEASURING)
    )


def noun_lemma(tree: Tree, index: int) -> str:
    """The singular of a noun: the pipeline's lemma where it is one, a rule's where the lemmatizer left the plural."""
    word, lemma = tree.lower[index], tree.lemmas[index].lower()
    if word in lexicon.IRREGULAR:
        return lexicon.IRREGULAR[word]
    if word == "glasses" and _are_vessels(tree, index):
        return "glass"
    if word in lexicon.INVARIABLE and not (word == "skis" and tree.lower[index - 1] == "jet"):
        return word
    if tree.pos[index] == "PROPN" and tree.tags[index] != "NNPS" and not tree.words[index].islower():
        opens = index == 0 or tree.sent[index - 1] != tree.sent[index]
        if not (opens and lexicon.singular(word) != word and tree.words[index].istitle()):
            return tree.words[index]
        return lexicon.singular(word)  # "Seagulls circle above": the sentence's capital
    if word.endswith("ies"):
        return lexicon.singular(word)  # WordNet has "cooky"
    if lemma == word and word.endswith("s") and tree.words[index].islower():
        return lexicon.singular(word)
    if lemma == word[:-1] and word.endswith(HALFWAY):
        return lexicon.singular(word)
    plausible = lemma[:2] == word[:2] and abs(len(word) - len(lemma)) <= 3
    if plausible and (lemma != word or tree.tags[index] not in ("NNS", "NNPS")):
        return lemma
    return lexicon.singular(word)


def _are_vessels(tree: Tree, index: int) -> bool:
    """ "wine glasses", "three glasses", "glasses of milk": those that are worn are counted in pairs."""
    before = tree.lower[max(0, index - 4) : index]
    return (
        tree.lower[index + 1 : index + 2] == ["of"]
        or bool(lexicon.DRINKS & set(before[-1:]))
        or any(tree.deps[kid] == "nummod" for kid in tree.kids[index])
    )


def _resolve_partitives(phrases: Phrases) -> None:
    tree = phrases.tree
    for mention in phrases.mentions:
        if mention.kind != PARTITIVE:
            continue
        index = mention.head + 1
        if index < len(tree.words) and tree.lower[index] == "of":
            index += 1
        target = phrases.following(index)
        if target is not None and target is not mention:
            mention.target = target
        elif mention.object.split()[-1] in lexicon.STANDALONE:
            mention.kind = OBJECT
        else:
            mention.kind = ABSTRACT
