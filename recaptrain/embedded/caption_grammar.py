"""A grammar of captions that yields sentences with their gold Universal Dependencies trees.

A web treebank says little of what captions say: that zebras graze, a truck drives down a road, an orange sits on a plate.
The sentences here are drawn from word lists (`caption_grammar.yaml`) by rules for the constructions of captions, short and
long: whole sentences with a finite verb after every kind of subject, fragments, lists, places, inversion, relative clauses,
passives, comparisons, negation. Words that are both noun and verb come in both roles. Subjects and objects mostly suit
their verb; in one sentence in seven they are drawn at random, so that the syntax alone tells the words' roles.
Tags, labels and attachments are those of UD English EWT in spaCy's form ("ROOT" for the root).
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from typing import TypeAlias

from recaptrain.embedded.caption_words import (
    GERUND,
    PARTICIPLE,
    PASSIVE,
    PAST,
    PRESENT,
    Deck,
    Noun,
    Part,
    Row,
    Verb,
    VerbGroup,
    lexicon,
)
from recaptrain.embedded.treebank import Tree

#: One token under construction: form, tag, part of speech, morphology, lemma, head token, label, space after, place.
Token: TypeAlias = list
#: Tokens in order and the one that heads them.
Phrase: TypeAlias = tuple[list[Token], Token]

#: How often subject and object are drawn without regard to the verb.
UNRELATED = 0.15
MORPH_PRON = "Number={}|Person=3|PronType=Prs"

THINGS = (
    "person animal bird sea insect vehicle boat aircraft food container kitchen furniture bathroom electronics clothing plant "
    "building structure sports toy tool instrument landscape text decoration animal_part part vehicle_part"
).split()
COMMON = "person person person animal animal vehicle food furniture building plant structure clothing tool container sports electronics kitchen decoration landscape toy".split()
OWNERS = "person person person animal bird vehicle building".split()

FUNCTION_WORDS: dict[str, Row] = {
    "a": ("a", "DT", "DET", "Definite=Ind|PronType=Art", "a"),
    "the": ("the", "DT", "DET", "Definite=Def|PronType=Art", "the"),
    "some": ("some", "DT", "DET", "PronType=Ind", "some"),
    "any": ("any", "DT", "DET", "PronType=Ind", "any"),
    "another": ("another", "DT", "DET", "PronType=Ind", "another"),
    "each": ("each", "DT", "DET", "PronType=Tot", "each"),
    "both": ("both", "DT", "DET", "PronType=Tot", "both"),
    "all": ("all", "DT", "DET", "PronType=Tot", "all"),
    "all-the": ("all", "PDT", "DET", "PronType=Tot", "all"),
    "all-adv": ("all", "RB", "ADV", "", "all"),
    "no": ("no", "DT", "DET", "PronType=Neg", "no"),
    "this": ("this", "DT", "DET", "Number=Sing|PronType=Dem", "this"),
    "these": ("these", "DT", "DET", "Number=Plur|PronType=Dem", "this"),
    "either": ("either", "DT", "DET", "PronType=Ind", "either"),
    "several": ("several", "JJ", "ADJ", "Degree=Pos", "several"),
    "many": ("many", "JJ", "ADJ", "Degree=Pos", "many"),
    "few": ("few", "JJ", "ADJ", "Degree=Pos", "few"),
    "various": ("various", "JJ", "ADJ", "Degree=Pos", "various"),
    "other": ("other", "JJ", "ADJ", "Degree=Pos", "other"),
    "others": ("others", "NNS", "NOUN", "Number=Plur", "other"),
    "more": ("more", "JJR", "ADJ", "Degree=Cmp", "more"),
    "more-adv": ("more", "RBR", "ADV", "Degree=Cmp", "more"),
    "same": ("same", "JJ", "ADJ", "Degree=Pos", "same"),
    "such": ("such", "JJ", "ADJ", "Degree=Pos|ExtPos=ADP", "such"),
    "in": ("in", "IN", "ADP", "", "in"),
    "and": ("and", "CC", "CCONJ", "", "and"),
    "or": ("or", "CC", "CCONJ", "", "or"),
    "but": ("but", "CC", "CCONJ", "", "but"),
    ",": (",", ",", "PUNCT", "", ","),
    ".": (".", ".", "PUNCT", "", "."),
    '"': ('"', "``", "PUNCT", "", '"'),
    '"end': ('"', "''", "PUNCT", "", '"'),
    "'s": ("'s", "POS", "PART", "", "'s"),
    "'": ("'", "POS", "PART", "", "'s"),
    "not": ("not", "RB", "PART", "Polarity=Neg", "not"),
    "n't": ("n't", "RB", "PART", "Polarity=Neg", "not"),
    "there": ("there", "EX", "PRON", "", "there"),
    "who": ("who", "WP", "PRON", "PronType=Rel", "who"),
    "that": ("that", "WDT", "PRON", "PronType=Rel", "that"),
    "which": ("which", "WDT", "PRON", "PronType=Rel", "which"),
    "whose": ("whose", "WP$", "PRON", "Poss=Yes|PronType=Rel", "whose"),
    "where": ("where", "WRB", "ADV", "PronType=Rel", "where"),
    "to": ("to", "TO", "PART", "", "to"),
    "while": ("while", "IN", "SCONJ", "", "while"),
    "as": ("as", "IN", "SCONJ", "", "as"),
    "with": ("with", "IN", "SCONJ", "", "with"),
    "he": ("he", "PRP", "PRON", "Case=Nom|Gender=Masc|" + MORPH_PRON.format("Sing"), "he"),
    "she": ("she", "PRP", "PRON", "Case=Nom|Gender=Fem|" + MORPH_PRON.format("Sing"), "she"),
    "it": ("it", "PRP", "PRON", "Case=Nom|Gender=Neut|" + MORPH_PRON.format("Sing"), "it"),
    "they": ("they", "PRP", "PRON", "Case=Nom|" + MORPH_PRON.format("Plur"), "they"),
    "him": ("him", "PRP", "PRON", "Case=Acc|Gender=Masc|" + MORPH_PRON.format("Sing"), "he"),
    "her-acc": ("her", "PRP", "PRON", "Case=Acc|Gender=Fem|" + MORPH_PRON.format("Sing"), "she"),
    "it-acc": ("it", "PRP", "PRON", "Case=Acc|Gender=Neut|" + MORPH_PRON.format("Sing"), "it"),
    "them": ("them", "PRP", "PRON", "Case=Acc|" + MORPH_PRON.format("Plur"), "they"),
    "his": ("his", "PRP$", "PRON", "Case=Gen|Gender=Masc|Number=Sing|Person=3|Poss=Yes|PronType=Prs", "his"),
    "her": ("her", "PRP$", "PRON", "Case=Gen|Gender=Fem|Number=Sing|Person=3|Poss=Yes|PronType=Prs", "her"),
    "its": ("its", "PRP$", "PRON", "Case=Gen|Gender=Neut|Number=Sing|Person=3|Poss=Yes|PronType=Prs", "its"),
    "their": ("their", "PRP$", "PRON", "Case=Gen|Number=Plur|Person=3|Poss=Yes|PronType=Prs", "their"),
    "is": ("is", "VBZ", "AUX", PRESENT.format("Sing"), "be"),
    "are": ("are", "VBP", "AUX", PRESENT.format("Plur"), "be"),
    "was": ("was", "VBD", "AUX", PAST.format("Sing"), "be"),
    "were": ("were", "VBD", "AUX", PAST.format("Plur"), "be"),
    "be": ("be", "VB", "AUX", "VerbForm=Inf", "be"),
    "being": ("being", "VBG", "AUX", PARTICIPLE, "be"),
    "has": ("has", "VBZ", "VERB", PRESENT.format("Sing"), "have"),
    "have": ("have", "VBP", "VERB", PRESENT.format("Plur"), "have"),
    "having": ("having", "VBG", "VERB", PARTICIPLE, "have"),
    "can": ("can", "MD", "AUX", "VerbForm=Fin", "can"),
    "could": ("could", "MD", "AUX", "VerbForm=Fin", "could"),
    "may": ("may", "MD", "AUX", "VerbForm=Fin", "may"),
    "seen": ("seen", "VBN", "VERB", PASSIVE, "see"),
    "including": ("including", "VBG", "VERB", PARTICIPLE, "include"),
    "dozen": ("dozen", "CD", "NUM", "NumForm=Word|NumType=Card", "dozen"),
}
for _word in "in on at near behind beside under above below by beneath underneath over between among across along inside outside around against with without of from down through toward towards into onto past up off atop within for like amid amidst during after before upon beyond about".split():
    FUNCTION_WORDS["p:" + _word] = (_word, "IN", "ADP", "", _word)
FUNCTION_WORDS["p:to"] = ("to", "IN", "ADP", "", "to")
FUNCTION_WORDS["p:out"] = ("out", "IN", "ADP", "", "out")
FUNCTION_WORDS["p:than"] = ("than", "IN", "ADP", "", "than")
FUNCTION_WORDS["p:as"] = ("as", "IN", "ADP", "", "as")
for _word in "down up together around back over away along nearby outside inside overhead ahead behind outdoors indoors upright quietly slowly peacefully happily intently closely quickly gently carefully neatly also very slightly partially fully mostly brightly next left right directly just only almost alone upstairs downhill uphill sideways forward apart now too currently clearly prominently".split():
    FUNCTION_WORDS["r:" + _word] = (_word, "RB", "ADV", "", _word)
FUNCTION_WORDS["r:close"] = ("close", "RB", "ADV", "Degree=Pos", "close")
FUNCTION_WORDS["r:far"] = ("far", "RB", "ADV", "Degree=Pos", "far")
for _word in "up down out off over on in".split():
    FUNCTION_WORDS["prt:" + _word] = (_word, "RP", "ADP", "", _word)
NUMBERS = "two three four five six seven eight nine ten eleven twelve fifteen twenty".split()
for _word in ["one", *NUMBERS]:
    FUNCTION_WORDS["n:" + _word] = (_word, "CD", "NUM", "NumForm=Word|NumType=Card", _word)
for _word in "2 3 4 5 6 7 8 9 10 12 20 100".split():
    FUNCTION_WORDS["n:" + _word] = (_word, "CD", "NUM", "NumForm=Digit|NumType=Card", _word)


def tok(key: str, dep: str = "", head: Token | None = None) -> Token:
    form, tag, pos, morph, lemma = FUNCTION_WORDS[key]
    return [form, tag, pos, morph, lemma, head, dep, True, 0]


def row_token(row: Row, dep: str = "", head: Token | None = None) -> Token:
    return [*row, head, dep, True, 0]


def noun(word: str, dep: str = "", head: Token | None = None) -> Token:
    return [word, "NN", "NOUN", "Number=Sing", word, head, dep, True, 0]


def adjective(word: str, dep: str = "", head: Token | None = None) -> Token:
    return [word, "JJ", "ADJ", "Degree=Pos", word, head, dep, True, 0]


def parts_of(parts: tuple[Part, ...]) -> list[Token]:
    tokens = [[*part.row, None, part.dep, part.space, 0] for part in parts]
    last = tokens[-1]
    for part, token in zip(parts, tokens, strict=True):
        if part.head >= 0:
            token[5] = tokens[part.head]
    last[7] = True
    return tokens


def under(phrase: Phrase, head: Token, dep: str) -> list[Token]:
    """The phrase's tokens, tied to a head."""
    phrase[1][5] = head
    phrase[1][6] = dep
    return phrase[0]


def finished(phrase: Phrase, *, capital: bool, stop: str) -> Tree:
    """The tree of a phrase that stands alone; `stop` is "", "." or " ."."""
    tokens, root = phrase
    root[5], root[6] = root, "ROOT"
    if stop:
        if stop == ".":
            tokens[-1][7] = False
        tokens.append(tok(".", "punct", root))
    for place, token in enumerate(tokens):
        token[8] = place
        if token[1] == "VBG" and token[2] == "VERB":
            token[3] = GERUND if token[6] in ("acl", "amod") else PARTICIPLE
    for place in range(len(tokens) - 1):
        token = tokens[place]
        if token[4] == "a" and token[1] == "DT":
            token[0] = "an" if _vowel_sound(tokens[place + 1][0]) else "a"
    if capital:
        first = tokens[0][0]
        tokens[0][0] = first[:1].upper() + first[1:]
    tokens[-1][7] = False
    forms, tags, pos, morphs, lemmas, heads, deps, spaces, _ = zip(*tokens, strict=True)
    return Tree(forms, spaces, tags, pos, morphs, lemmas, tuple([head[8] for head in heads]), deps)


def _vowel_sound(word: str) -> bool:
    if word in ("honest", "hour", "suv", "8", "11", "18"):
        return True
    return word[:1].lower() in "aeiou" and not word.lower().startswith(
        ("uni", "urin", "use", "one", "ute", "euro")
    )


class Grammar:
    """The rules; every draw comes from one seeded generator."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        self.chance = self.rng.random
        words = lexicon()
        self.nouns = {name: Deck(entries, self.rng) for name, entries in words.nouns.items()}
        self.adjectives = {name: Deck(rows, self.rng) for name, rows in words.adjectives.items()}
        self.hyphenated = Deck(words.hyphenated, self.rng, flat=True)
        self.names = Deck(words.names, self.rng, flat=True)
        self.states = Deck(words.states, self.rng)
        self.agents = Deck(words.agents, self.rng)
        self.with_states = Deck(words.with_states, self.rng)
        self.groups = words.verbs
        self.verbs = {id(group): Deck(list(group.verbs), self.rng, flat=True) for group in words.verbs}
        self.by_lemma = words.verb_by_lemma
        weighted = [group for group in words.verbs for _ in range(max(2, round(len(group.verbs) ** 0.8)))]
        self.any_group = Deck(weighted, self.rng, flat=True)
        self.of_subject: dict[str, Deck[VerbGroup]] = {}
        for name in words.nouns:
            fitting = [group for group in weighted if name in group.subjects]
            self.of_subject[name] = Deck(fitting or weighted, self.rng, flat=True)
        of_objects = [group for group in weighted if group.frame == "tr"]
        self.transitive = Deck(of_objects, self.rng, flat=True)
        rules = [
            (30, self.clause),
            (9, self.fronted_clause),
            (14, self.fragment),
            (6, self.existential),
            (5, self.picture_sentence),
            (6, self.passive),
            (7, self.copula),
            (5, self.inversion),
            (5, self.pronoun_clause),
            (3, self.contrast),
            (3, self.negation),
            (4, self.listing),
            (2, self.template),
            (3, self.ambience),
            (3, self.possession),
            (2, self.text_sentence),
            (1, self.bare_triple),
            (2, self.reduced),
        ]
        self.rules: Deck[Callable[[], Phrase]] = Deck(
            [rule for weight, rule in rules for _ in range(weight)], self.rng, flat=True
        )

    # -- drawing ---------------------------------------------------------------------------------------------------

    def one(self, options: list | tuple):
        return options[int(self.chance() * len(options))]

    def kind(self, kinds: list[str] | tuple[str, ...]) -> str:
        name = self.one(kinds)
        return name if name in self.nouns else "person"

    # -- noun phrases ----------------------------------------------------------------------------------------------

    def adjective(self) -> list[Token]:
        """One modifier before a noun, its head last, unattached."""
        draw = self.chance()
        if draw < 0.34:
            if self.chance() < 0.1:
                return [
                    row_token(self.adjectives["shade"].draw()),
                    row_token(self.adjectives["color"].draw()),
                ]
            return [row_token(self.adjectives["color"].draw())]
        if draw < 0.54:
            return [row_token(self.adjectives["size"].draw())]
        if draw < 0.74:
            return [row_token(self.adjectives["quality"].draw())]
        if draw < 0.80:
            return [row_token(self.adjectives["material"].draw())]
        if draw < 0.84:
            return [row_token(self.adjectives["age"].draw())]
        if draw < 0.90:
            return [row_token(self.adjectives["participle"].draw())]
        if draw < 0.96:
            return [row_token(self.adjectives["present"].draw())]
        return parts_of(self.hyphenated.draw())

    def modifiers(self, head: Token) -> list[Token]:
        """Zero to three modifiers before a noun."""
        draw = self.chance()
        if draw < 0.52:
            return []
        if draw > 0.955:
            return self.paired_modifiers(head)
        tokens: list[Token] = []
        for _ in range(1 if draw < 0.84 else 2):
            found = self.adjective()
            if tokens and found[-1][0] in [token[0] for token in tokens]:
                continue
            if len(found) == 2:
                found[0][5], found[0][6] = head, "amod"
            found[-1][5] = head
            found[-1][6] = "amod" if found[-1][2] != "NOUN" else "compound"
            if tokens and self.chance() < 0.15:
                comma = tok(",", "punct", tokens[-1])
                tokens[-1][7] = False
                tokens.append(comma)
            tokens.extend(found)
        if self.chance() < 0.04 and tokens[0][2] == "ADJ" and tokens[0][6] == "amod":
            tokens.insert(
                0, tok("r:" + self.one(("very", "slightly", "partially", "brightly")), "advmod", tokens[0])
            )
        return tokens

    def paired_modifiers(self, head: Token) -> list[Token]:
        """ "black and white", "red, white and blue"."""
        kind = self.one(("color", "color", "color", "quality"))
        rows = [self.adjectives[kind].draw() for _ in range(2 if self.chance() < 0.8 else 3)]
        return self.coordinated([([token], token) for token in map(row_token, rows)], head, "amod")

    def coordinated(
        self, phrases: list[Phrase], head: Token | None, dep: str, word: str = "and"
    ) -> list[Token]:
        """Phrases joined by commas and a conjunction under the first; a comma before it half of the time."""
        first = phrases[0][1]
        first[5], first[6] = head, dep
        tokens = list(phrases[0][0])
        oxford = len(phrases) > 2 and self.chance() < 0.55
        for place, phrase in enumerate(phrases[1:], 2):
            last = place == len(phrases)
            if not last or oxford:
                tokens[-1][7] = False
                tokens.append(tok(",", "punct", phrase[1]))
            if last:
                tokens.append(tok(word, "cc", phrase[1]))
            tokens.extend(under(phrase, first, "conj"))
        return tokens

    def noun_tokens(self, kind: str, plural: bool | None = None) -> tuple[list[Token], bool, bool]:
        """A noun of a kind: its tokens, whether plural, whether it takes no article."""
        entry: Noun = self.nouns[kind].draw()
        if plural is None:
            plural = self.chance() < 0.33
        parts = entry.plural if plural else entry.singular
        if parts is None:
            parts, plural = (entry.singular, False) if plural else (entry.plural, True)
        assert parts is not None
        return parts_of(parts), plural, entry.mass and not plural

    def determiner(self, head: Token, plural: bool, mass: bool, depth: int) -> list[Token]:
        draw = self.chance()
        if mass:
            if draw < 0.5:
                return []
            return [tok("the" if draw < 0.75 else "some", "det", head)] if draw < 0.95 else [self.owner(head)]
        if plural:
            return self.plural_determiner(head, draw, depth)
        if draw < 0.57:
            return [tok("a", "det", head)]
        if draw < 0.80:
            return [tok("the", "det", head)]
        if draw < 0.86:
            return []
        if draw < 0.89:
            return [tok("n:one", "nummod", head)]
        if draw < 0.92:
            return [tok("another", "det", head)]
        if draw < 0.935:
            return [tok("this" if draw < 0.93 else "each", "det", head)]
        if draw < 0.97 or not depth:
            return [self.owner(head)]
        return self.possessor(head)

    def plural_determiner(self, head: Token, draw: float, depth: int) -> list[Token]:
        if draw < 0.30:
            return []
        if draw < 0.55:
            return [tok("n:" + self.number(), "nummod", head)]
        if draw < 0.68:
            return [tok("the", "det", head)]
        if draw < 0.76:
            return [tok("several", "amod", head)]
        if draw < 0.82:
            return [tok("some", "det", head)]
        if draw < 0.86:
            return [tok("many", "amod", head)]
        if draw < 0.89:
            return [tok("a", "det", head), tok("few", "amod", head)]
        if draw < 0.90:
            return [tok(self.one(("both", "all")), "det", head)]
        if draw < 0.91:
            return [tok("all-the", "det:predet", head), tok("the", "det", head)]
        if draw < 0.92:
            return [tok("these", "det", head)]
        if draw < 0.93:
            return [tok("the", "det", head), tok("n:" + self.number(), "nummod", head)]
        if draw < 0.94:
            return [
                tok("n:" + self.number(), "nummod", head),
                tok("more" if draw < 0.935 else "other", "amod", head),
            ]
        if draw < 0.945:
            dozen = tok("dozen", "nummod", head)
            return [tok("a", "det", dozen), dozen]
        if draw < 0.955:
            return [tok("various" if draw < 0.95 else "other", "amod", head)]
        if draw < 0.98 or not depth:
            return [self.owner(head)]
        return self.possessor(head)

    def number(self) -> str:
        draw = self.chance()
        if draw < 0.45:
            return "two"
        if draw < 0.65:
            return "three"
        if draw < 0.93:
            return self.one(NUMBERS)
        return self.one(("2", "3", "4", "5", "6", "7", "8", "9", "10", "12", "20", "100"))

    def owner(self, head: Token) -> Token:
        return tok(self.one(("his", "her", "its", "their")), "nmod:poss", head)

    def possessor(self, head: Token) -> list[Token]:
        """ "the man's", "the girls'", "a child's"."""
        tokens, plural, _ = self.noun_tokens(self.one(OWNERS))
        owner = tokens[-1]
        owner[5], owner[6] = head, "nmod:poss"
        tokens.insert(0, tok("the" if plural or self.chance() < 0.6 else "a", "det", owner))
        owner[7] = False
        apostrophe = plural and owner[0].endswith("s")
        tokens.append(tok("'" if apostrophe else "'s", "case", owner))
        return tokens

    def np(
        self,
        kinds: list[str] | tuple[str, ...] = COMMON,
        *,
        plural: bool | None = None,
        depth: int = 1,
        simple: bool = False,
        article: str | None = None,
    ) -> tuple[list[Token], Token, bool]:
        """A noun phrase: tokens, head, whether it takes a plural verb.

        Args:
            depth: how many phrases may follow within one another.
            simple: without a group noun, a measure or a coordination.
            article: a determiner of its own, instead of a drawn one.
        """
        draw = self.chance()
        if not simple and article is None:
            if draw < 0.045 and plural is not False:
                return self.group_phrase(kinds, depth)
            if draw < 0.075 and depth:
                return self.joined_phrase(kinds, plural)
            if draw < 0.095 and plural is not True:
                return self.measure_phrase()
            if draw < 0.10:
                return self.part_phrase(kinds)
        kind = self.kind(kinds)
        if self.chance() < 0.05:
            kind = "action"
        tokens, many, mass = self.noun_tokens(kind, plural)
        head = tokens[-1]
        if kind == "action" and len(tokens) == 1 and self.chance() < 0.35:
            tokens = self.compounded(head) + tokens
        if self.chance() < 0.01:
            tokens.insert(0, row_token(self.names.draw(), "compound", head))
        tokens = self.modifiers(head) + tokens
        if article is None:
            tokens = self.determiner(head, many, mass, depth) + tokens
        elif article:
            tokens.insert(0, tok(article, "det", head))
        if depth and self.chance() < 0.36:
            tokens = tokens + self.postmodifier(head, many, kind, depth - 1)
        return tokens, head, many

    def compounded(self, head: Token) -> list[Token]:
        """A noun before another: "boat" in "boat ride"."""
        tokens, _, _ = self.noun_tokens(
            self.one(("animal", "vehicle", "boat", "sports", "food", "person", "tool")), False
        )
        tokens[-1][5], tokens[-1][6] = head, "compound"
        return tokens

    def group_phrase(self, kinds: list[str] | tuple[str, ...], depth: int) -> tuple[list[Token], Token, bool]:
        """ "a group of zebras", "two rows of trees", "lots of people", "a pair of scissors"."""
        inner, head, _ = self.np(kinds, plural=True, depth=0, simple=True, article="")
        draw = self.chance()
        if draw < 0.12:
            group = ["lots", "NNS", "NOUN", "Number=Plur", "lot", None, "", True, 0]
            if draw < 0.04:
                group = ["dozens", "NNS", "NOUN", "Number=Plur", "dozen", None, "", True, 0]
            before = []
            many = True
        elif draw < 0.17:
            group = noun("lot")
            before = [tok("a", "det", group)]
            many = True
        else:
            tokens, many, _ = self.noun_tokens("group", draw > 0.8)
            group = tokens[-1]
            before = (
                [tok("n:" + self.number(), "nummod", group)]
                if many
                else [tok("a" if draw < 0.7 else "the", "det", group)]
            )
            if self.chance() < 0.15:
                size = row_token(self.adjectives["size"].draw(), "amod", group)
                before.append(size)
            many = many or self.chance() < 0.55
        phrase = [*before, group, tok("p:of", "case", head), *under((inner, head), group, "nmod")]
        if depth and self.chance() < 0.25:
            phrase += self.postmodifier(group, many, "person", 0)
        return phrase, group, many

    def measure_phrase(self) -> tuple[list[Token], Token, bool]:
        """ "a bowl of soup", "two slices of pizza"."""
        inner, head, _ = self.np(
            ("food", "food_mass", "food_mass", "drink"), depth=0, simple=True, article=""
        )
        tokens, many, _ = self.noun_tokens("measure")
        group = tokens[-1]
        before = self.modifiers(group)
        before = self.determiner(group, many, False, 0) + before
        return [*before, group, tok("p:of", "case", head), *under((inner, head), group, "nmod")], group, many

    def part_phrase(self, kinds: list[str] | tuple[str, ...]) -> tuple[list[Token], Token, bool]:
        """ "one of the men", "some of the cars"."""
        key, many = self.one(
            (("n:one", False), ("some", True), ("several", True), ("many", True), ("n:two", True))
        )
        group = tok(key)
        if self.chance() < 0.3:
            inner = tok("them")
            return [group, *self.preposition("of", ([inner], inner), group, "nmod")], group, many
        tokens, head, _ = self.np(kinds, plural=True, depth=0, simple=True, article="the")
        return [group, *self.preposition("of", (tokens, head), group, "nmod")], group, many

    def joined_phrase(
        self, kinds: list[str] | tuple[str, ...], plural: bool | None
    ) -> tuple[list[Token], Token, bool]:
        """ "a man and a woman", "a knife, a fork and a spoon"."""
        size = 2 if self.chance() < 0.75 else 3
        phrases: list[Phrase] = []
        for _ in range(size):
            tokens, head, _ = self.np(kinds, depth=0, simple=True)
            phrases.append((tokens, head))
        head = phrases[0][1]
        return self.coordinated(phrases, None, ""), head, True

    def preposition(self, words: str, phrase: Phrase, head: Token, dep: str) -> list[Token]:
        """A phrase with its prepositions ("out of": both are case markers) under a head."""
        tokens = [tok("p:" + word, "case", phrase[1]) for word in words.split()]
        return tokens + under(phrase, head, dep)

    # -- places ----------------------------------------------------------------------------------------------------

    def place(self, depth: int = 0, kinds: tuple[str, ...] | None = None) -> tuple[Phrase, bool]:
        """A phrase that says where: tokens, head; and whether an adverb heads it (advmod) or a noun (obl, nmod)."""
        draw = self.chance()
        if draw < 0.60:
            return self.simple_place(depth, kinds), False
        if draw < 0.88:
            return self.relational_place(draw, kinds)
        if draw < 0.95:
            return self.region(), False
        word = self.one(("nearby", "outside", "inside", "overhead", "behind", "outdoors", "indoors", "ahead"))
        token = tok("r:" + word)
        return ([token], token), True

    def simple_place(self, depth: int, kinds: tuple[str, ...] | None) -> Phrase:
        draw = self.chance()
        if draw < 0.34:
            word, kinds = (
                self.one(("on", "on", "on", "on", "upon", "atop", "across")),
                kinds or ("surface", "surface", "furniture"),
            )
        elif draw < 0.66:
            word, kinds = (
                self.one(("in", "in", "in", "in", "in", "inside", "at", "outside", "through", "within")),
                kinds or ("place", "place", "container"),
            )
        else:
            word = self.one(
                (
                    "near",
                    "behind",
                    "beside",
                    "under",
                    "above",
                    "by",
                    "beneath",
                    "over",
                    "against",
                    "around",
                    "among",
                    "below",
                    "between",
                    "along",
                    "underneath",
                    "amid",
                    "past",
                )
            )
            kinds = kinds or ("furniture", "building", "plant", "structure", "landscape", "person", "vehicle")
        if self.chance() < 0.06:
            pronoun = tok(self.one(("it-acc", "them", "him", "her-acc")))
            return [tok("p:" + word, "case", pronoun), pronoun], pronoun
        plural = True if word in ("among", "between") else False if self.chance() < 0.8 else None
        tokens, head, _ = self.np(
            kinds, plural=plural, depth=depth if self.chance() < 0.3 else 0, simple=self.chance() < 0.7
        )
        if word == "between" and head[1] == "NNS" and self.chance() < 0.5:
            other, second, _ = self.np(kinds, plural=False, depth=0, simple=True, article="a")
            first, head, _ = self.np(kinds, plural=False, depth=0, simple=True, article="a")
            tokens = self.coordinated([(first, head), (other, second)], None, "")
        return [tok("p:" + word, "case", head), *tokens], head

    def relational_place(self, draw: float, kinds: tuple[str, ...] | None) -> tuple[Phrase, bool]:
        """ "next to X", "in front of X", "to the left of X", "near the edge of X"."""
        kinds = kinds or (
            "furniture",
            "building",
            "plant",
            "structure",
            "person",
            "vehicle",
            "animal",
            "electronics",
            "container",
        )
        tokens, head, _ = self.np(
            kinds, plural=False if self.chance() < 0.75 else None, depth=0, simple=self.chance() < 0.8
        )
        if self.chance() < 0.07:
            head = tok(self.one(("it-acc", "them", "him", "her-acc")))
            tokens = [head]
        if draw < 0.71:
            word, link = self.one(
                (
                    ("next", "to"),
                    ("next", "to"),
                    ("next", "to"),
                    ("close", "to"),
                    ("away", "from"),
                    ("left", "of"),
                    ("right", "of"),
                    ("far", "from"),
                )
            )
            adverb = tok("r:" + word)
            phrase = [adverb, *self.preposition(link, (tokens, head), adverb, "obl")]
            if self.chance() < 0.06:
                phrase.insert(0, tok("r:" + self.one(("directly", "just")), "advmod", adverb))
            return (phrase, adverb), True
        if draw < 0.735:
            words = self.one(("out of", "outside of", "inside of", "off of", "along with", "up to"))
            return ([*[tok("p:" + w, "case", head) for w in words.split()], *tokens], head), False
        if draw < 0.80:
            word, before = self.one(
                (
                    ("front", "in"),
                    ("front", "in"),
                    ("front", "in"),
                    ("top", "on"),
                    ("top", "on"),
                    ("back", "in"),
                )
            )
            middle = noun(word)
            phrase = [
                tok("p:" + before, "case", middle),
                middle,
                *self.preposition("of", (tokens, head), middle, "nmod"),
            ]
            return (phrase, middle), False
        word, before = self.one((
            ("left", "to"), ("right", "to"), ("left", "to"), ("right", "to"), ("left", "on"), ("right", "on"), ("edge", "near"),
            ("edge", "on"), ("edge", "at"), ("end", "at"), ("end", "near"), ("top", "near"), ("top", "at"), ("foot", "at"), ("bottom", "at"), ("side", "on"),
            ("side", "by"), ("back", "on"), ("middle", "in"), ("center", "in"), ("corner", "in"), ("corner", "near"), ("base", "at"),
            ("rear", "at"), ("front", "on"), ("surface", "on"), ("head", "at"), ("inside", "on"), ("tip", "near"), ("shade", "in"),
        ))  # fmt: skip
        middle = noun(word)
        phrase = [tok("p:" + before, "case", middle), tok("the", "det", middle)]
        if word == "side" and self.chance() < 0.6:
            if self.chance() < 0.3:
                phrase = [tok("p:on", "case", middle), tok("either", "det", middle)]
            else:
                phrase.append(
                    adjective(self.one(("left", "right", "other", "far", "opposite")), "amod", middle)
                )
        phrase += [middle, *self.preposition("of", (tokens, head), middle, "nmod")]
        return (phrase, middle), False

    def region(self) -> Phrase:
        """ "in the background", "on the left", "in the top left corner", "on top"."""
        draw = self.chance()
        if draw < 0.12:
            head = noun("top")
            return [tok("p:on", "case", head), head], head
        if draw < 0.70:
            word, before = self.one(
                (
                    ("background", "in"),
                    ("background", "in"),
                    ("foreground", "in"),
                    ("distance", "in"),
                    ("air", "in"),
                    ("left", "on"),
                    ("right", "on"),
                    ("middle", "in"),
                    ("center", "in"),
                    ("bottom", "at"),
                    ("front", "in"),
                )
            )
            if word == "front":
                head = noun("front")
                return [tok("p:in", "case", head), head], head
            head = noun(word)
            tokens = [tok("p:" + before, "case", head), tok("the", "det", head), head]
            if word in ("background", "foreground") and self.chance() < 0.1:
                tokens.insert(2, adjective(self.one(("blurry", "blurred", "distant", "far")), "amod", head))
            return tokens, head
        word = self.one(("side", "corner", "part", "half"))
        head = noun(word)
        tokens = [tok("p:on" if word == "side" else "p:in", "case", head), tok("the", "det", head)]
        if word in ("corner", "part") and self.chance() < 0.6:
            tokens.append(adjective(self.one(("top", "bottom", "upper", "lower")), "amod", head))
        tokens.append(adjective(self.one(("left", "right", "far")), "amod", head))
        tokens.append(head)
        if self.chance() < 0.3:
            picture, root, _ = self.np(("picture_word",), plural=False, depth=0, simple=True, article="the")
            tokens += self.preposition("of", (picture, root), head, "nmod")
        return tokens, head

    def path(self) -> Phrase:
        """ "down the road", "through the woods"."""
        word = self.one(
            (
                "down",
                "down",
                "along",
                "across",
                "through",
                "over",
                "past",
                "into",
                "toward",
                "up",
                "around",
                "on",
                "in",
                "onto",
                "off",
                "from",
                "to",
                "under",
                "by",
                "out of",
                "towards",
            )
        )
        kinds = ("surface", "surface", "surface", "place", "landscape", "building", "structure", "person")
        tokens, head, _ = self.np(kinds, plural=False if self.chance() < 0.8 else None, depth=0, simple=True)
        return [*[tok("p:" + part, "case", head) for part in word.split()], *tokens], head

    def where(self, head: Token, of_noun: bool, depth: int = 0) -> list[Token]:
        """A place under a noun or a verb."""
        phrase, adverb = self.place(depth)
        return under(phrase, head, "advmod" if adverb else "nmod" if of_noun else "obl")

    # -- what follows a noun ---------------------------------------------------------------------------------------

    def postmodifier(self, head: Token, plural: bool, kind: str, depth: int) -> list[Token]:
        draw = self.chance()
        if draw < 0.32:
            return self.where(head, True, depth)
        if draw < 0.44:
            return self.with_phrase(head, depth)
        if draw < 0.68:
            return self.participle(head, kind, depth)
        if draw < 0.78:
            return self.past_participle(head, depth)
        if draw < 0.90:
            return self.relative(head, plural, kind)
        if draw < 0.94:
            tokens, inner, _ = self.np(COMMON, depth=0, simple=True)
            return self.preposition("of", (tokens, inner), head, "nmod")
        if draw < 0.96:
            inner = row_token(self.adjectives["color"].draw())
            return self.preposition("in", ([inner], inner), head, "nmod")
        if draw < 0.98:
            tokens, inner, _ = self.np(("clothing",), depth=0, simple=True)
            return self.preposition("in", (tokens, inner), head, "nmod")
        return self.measured(head)

    def measured(self, head: Token) -> list[Token]:
        """ "four feet long"; "full of books"; "empty of cars"."""
        if self.chance() < 0.4:
            adjective_ = adjective(self.one(("long", "tall", "wide", "high", "deep")), "amod", head)
            unit = ["feet", "NNS", "NOUN", "Number=Plur", "foot", adjective_, "obl:unmarked", True, 0]
            if self.chance() < 0.4:
                unit[0] = unit[4] = self.one(("inches", "meters", "yards"))
                unit[4] = {"inches": "inch", "meters": "meter", "yards": "yard"}[unit[0]]
            return [tok("n:" + self.number(), "nummod", unit), unit, adjective_]
        adjective_ = adjective(self.one(("full", "full", "empty")), "amod", head)
        tokens, inner, _ = self.np(
            ("person", "food", "vehicle", "tool", "plant", "drink"),
            plural=True,
            depth=0,
            simple=True,
            article="",
        )
        return [adjective_, *self.preposition("of", (tokens, inner), adjective_, "obl")]

    def with_phrase(self, head: Token, depth: int) -> list[Token]:
        """ "with a hat", "with its head down", "with candles on top", "with people walking"."""
        kinds = (
            "clothing",
            "clothing",
            "part",
            "animal_part",
            "food",
            "plant",
            "vehicle_part",
            "tool",
            "decoration",
            "furniture",
            "person",
            "structure",
        )
        draw = self.chance()
        if draw < 0.62:
            tokens, inner, _ = self.np(kinds, depth=depth)
            return self.preposition(
                "with" if self.chance() < 0.93 else "without", (tokens, inner), head, "nmod"
            )
        return self.with_clause(head, "acl", kinds)

    def with_clause(
        self,
        head: Token,
        dep: str,
        kinds: tuple[str, ...] = ("person", "animal", "plant", "food", "tool", "clothing"),
    ) -> list[Token]:
        """ "with" and a subject with a predicate but no verb "be"."""
        tokens, subject, _ = self.np(kinds, depth=0, simple=self.chance() < 0.8)
        draw = self.chance()
        role = "nsubj"
        if draw < 0.42:
            if self.chance() < 0.5:
                phrase = self.region()
            else:
                word = self.one(("on", "in", "around", "behind", "over", "under", "above", "inside", "near"))
                owner, inner, _ = self.np(
                    ("part", "part", "furniture", "structure", "container"),
                    plural=False,
                    depth=0,
                    simple=True,
                    article="",
                )
                owner.insert(0, self.owner(inner))
                if self.chance() < 0.35:
                    inner = tok(self.one(("it-acc", "them", "him", "her-acc")))
                    owner = [inner]
                phrase = [tok("p:" + word, "case", inner), *owner], inner
        elif draw < 0.70:
            phrase = self.verb_phrase("VBG", self.one(kinds), 0)
        elif draw < 0.88:
            verb = row_token(self.states.draw().forms["VBN"])
            phrase = [verb, *self.where(verb, False)], verb
            role = "nsubj:pass"
        else:
            predicate = self.one(
                (
                    tok("r:down"),
                    tok("r:up"),
                    tok("r:back"),
                    adjective("open"),
                    adjective("closed"),
                    adjective("visible"),
                )
            )
            phrase = [predicate], predicate
        root = phrase[1]
        body = under(phrase, head, dep)
        subject[5], subject[6] = root, role
        return [tok("with", "mark", root), *tokens, *body]

    def participle(self, head: Token, kind: str, depth: int) -> list[Token]:
        """ "riding a horse"."""
        return under(self.verb_phrase("VBG", kind, depth), head, "acl")

    def past_participle(self, head: Token, depth: int) -> list[Token]:
        """ "covered in snow", "parked on the street", "surrounded by trees", "made of wood", "dressed in red"."""
        return under(self.state_phrase(depth), head, "acl")

    def state_phrase(self, depth: int = 0) -> Phrase:
        draw = self.chance()
        if draw < 0.38:
            verb = row_token(self.states.draw().forms["VBN"])
            return [verb, *self.where(verb, False, depth)], verb
        if draw < 0.60:
            verb = row_token(self.agents.draw().forms["VBN"])
            tokens, inner, _ = self.np(
                ("plant", "person", "building", "landscape", "animal", "vehicle", "structure"), depth=depth
            )
            return [verb, *self.preposition("by", (tokens, inner), verb, "obl:agent")], verb
        if draw < 0.84:
            verb = row_token(self.with_states.draw().forms["VBN"])
            tokens, inner, _ = self.np(
                ("cover", "cover", "food", "plant", "person", "decoration", "text", "tool"),
                plural=True,
                depth=0,
                simple=True,
                article="",
            )
            return [
                verb,
                *self.preposition("in" if self.chance() < 0.3 else "with", (tokens, inner), verb, "obl"),
            ], verb
        if draw < 0.92:
            verb = row_token(self.by_lemma["make"].forms["VBN"])
            tokens, inner, _ = self.np(("material",), depth=0, simple=True, article="")
            return [
                verb,
                *self.preposition(self.one(("of", "from", "out of")), (tokens, inner), verb, "obl"),
            ], verb
        verb = row_token(self.by_lemma["dress"].forms["VBN"])
        if draw < 0.96:
            tokens, inner, _ = self.np(("clothing",), depth=0, simple=True)
            return [verb, *self.preposition("in", (tokens, inner), verb, "obl")], verb
        tokens, inner, _ = self.np(("person", "animal"), depth=0, simple=True, article="a", plural=False)
        return [verb, *self.preposition("as", (tokens, inner), verb, "obl")], verb

    def relative(self, head: Token, plural: bool, kind: str) -> list[Token]:
        """ "who rides a horse", "that is red", "the man is riding", "the bears are on", "whose hat is red"."""
        draw = self.chance()
        if draw < 0.62:
            pronoun = tok(
                self.one(("who", "who", "that"))
                if kind == "person"
                else self.one(("that", "that", "that", "which"))
            )
            body, root, passive = self.predicate(plural, kind, 0, rich=False)
            pronoun[5], pronoun[6] = root, "nsubj:pass" if passive else "nsubj"
            return [pronoun, *under((body, root), head, "acl:relcl")]
        if draw < 0.85:
            tokens, subject, many = self.np(
                ("person", "animal"), depth=0, simple=True, article=self.one(("the", "a", "the", None))
            )
            before: list[Token] = []
            if draw < 0.75:
                group = self.transitive.draw()
                verb = self.verbs[id(group)].draw()
                verb_tokens, root = self.finite(verb, many)
                after = self.where(root, False) if self.chance() < 0.3 else []
                if draw < 0.68:
                    before = [tok(self.one(("that", "which")), "obj", root)]
            else:
                word = self.one(("on", "in", "at", "with", "under", "near", "behind"))
                if draw < 0.79:
                    root = tok("p:" + word)
                    verb_tokens, after = [tok("are" if many else "is", "cop", root)], [root]
                else:
                    verb = self.one(
                        [
                            self.by_lemma[w]
                            for w in (
                                "sit",
                                "stand",
                                "lie",
                                "play",
                                "lean",
                                "rest",
                                "look",
                                "walk",
                                "ride",
                                "sleep",
                                "perch",
                                "work",
                            )
                        ]
                    )
                    verb_tokens, root = self.finite(verb, many)
                    after = [tok("p:" + word, "obl", root)]
            subject[5], subject[6] = root, "nsubj"
            return [*before, *tokens, *under((verb_tokens + after, root), head, "acl:relcl")]
        if draw < 0.93:
            tokens, subject, many = self.np(
                ("part", "clothing", "animal_part", "plant"), depth=0, simple=True, article=""
            )
            predicate, _ = self.predicate_adjective()
            root = predicate[1]
            subject[5], subject[6] = root, "nsubj"
            return [
                tok("whose", "nmod:poss", subject),
                *tokens,
                tok("are" if many else "is", "cop", root),
                *under(predicate, head, "acl:relcl"),
            ]
        tokens, subject, many = self.np(("person", "animal"), depth=0, simple=True)
        body, root, passive = self.predicate(many, "person", 0, rich=False)
        subject[5], subject[6] = root, "nsubj:pass" if passive else "nsubj"
        return [tok("where", "advmod", root), *tokens, *under((body, root), head, "acl:relcl")]

    # -- verbs -----------------------------------------------------------------------------------------------------

    def group_for(self, kind: str) -> VerbGroup:
        if self.chance() < UNRELATED:
            return self.any_group.draw()
        return self.of_subject[kind].draw()

    def verb_phrase(self, tag: str, kind: str, depth: int, group: VerbGroup | None = None) -> Phrase:
        """A verb in one form with what follows it."""
        group = group or self.group_for(kind)
        verb = self.verbs[id(group)].draw()
        head = row_token(verb.forms[tag])
        return [head, *self.complements(group, head, depth)], head

    def complements(self, group: VerbGroup, head: Token, depth: int) -> list[Token]:
        """Objects, particles and places of a verb of a group."""
        frame, draw = group.frame, self.chance()
        if frame == "place":
            tokens = self.manner(head) if draw < 0.10 else []
            if draw > 0.14:
                tokens += self.where(head, False, depth)
            return tokens
        if frame == "path":
            tokens = (
                [
                    tok(
                        "r:"
                        + self.one(
                            (
                                "around",
                                "away",
                                "along",
                                "together",
                                "forward",
                                "downhill",
                                "slowly",
                                "past" if False else "by" if False else "quickly",
                            )
                        ),
                        "advmod",
                        head,
                    )
                ]
                if draw < 0.12
                else []
            )
            if draw > 0.08:
                tokens += under(self.path(), head, "obl")
            return tokens
        kinds = THINGS if self.chance() < UNRELATED else group.objects
        if frame == "tr":
            tokens, inner, _ = self.np(kinds, depth=depth)
            tokens = under((tokens, inner), head, "obj")
            if draw < 0.3:
                tokens = tokens + self.where(head, False)
            return tokens
        if frame == "pp":
            words = self.one(group.words).split("~")
            tokens, inner, _ = self.np(kinds, depth=depth)
            if words == ["away", "from"]:
                adverb = tok("r:away", "advmod", head)
                return [adverb, *self.preposition("from", (tokens, inner), adverb, "obl")]
            return self.preposition(words[0], (tokens, inner), head, "obl")
        if frame == "part":
            tokens = [tok("r:" + self.one(group.words), "advmod", head)]
            return tokens + self.where(head, False, depth) if draw < 0.6 else tokens
        particle = tok("prt:" + self.one(group.words), "compound:prt", head)
        tokens, inner, _ = self.np(kinds, depth=0, simple=True)
        tokens = under((tokens, inner), head, "obj")
        return [particle, *tokens] if draw < 0.7 else [*tokens, particle]

    def manner(self, head: Token) -> list[Token]:
        return [
            tok(
                "r:"
                + self.one(
                    (
                        "quietly",
                        "peacefully",
                        "happily",
                        "slowly",
                        "intently",
                        "together",
                        "alone",
                        "outside",
                        "nearby",
                        "upright",
                        "gently",
                        "neatly",
                        "closely",
                    )
                ),
                "advmod",
                head,
            )
        ]

    def finite(self, verb: Verb, plural: bool, tense: float | None = None) -> Phrase:
        """ "rides", "ride", "is riding", "rode", "can ride", "isn't riding": tokens that end with the verb, and the verb."""
        draw = self.chance() if tense is None else tense
        if draw < 0.66:
            head = row_token(verb.forms["VBP" if plural else "VBZ"])
            return [head], head
        if draw < 0.90:
            head = row_token(verb.forms["VBG"])
            return [tok("are" if plural else "is", "aux", head), head], head
        if draw < 0.95:
            head = row_token(verb.forms["VBD"])
            if plural:
                head[3] = PAST.format("Plur")
            return [head], head
        if draw < 0.97:
            head = row_token(verb.forms["VB"])
            return [tok(self.one(("can", "could", "may")), "aux", head), head], head
        head = row_token(verb.forms["VBG"])
        tokens = [tok("are" if plural else "is", "aux", head), head]
        if draw < 0.985:
            tokens.insert(1, self.denial(head, tokens[0]))
        else:
            tokens.insert(
                1,
                tok("r:" + self.one(("also", "currently", "happily", "carefully", "slowly")), "advmod", head),
            )
        return tokens, head

    def denial(self, head: Token, after: Token) -> Token:
        if self.chance() < 0.5:
            after[7] = False
            return tok("n't", "advmod", head)
        return tok("not", "advmod", head)

    def predicate(
        self, plural: bool, kind: str, depth: int, *, rich: bool = True
    ) -> tuple[list[Token], Token, bool]:
        """What is said of a subject: tokens, head, whether passive."""
        draw = self.chance()
        if draw < 0.84 if rich else draw < 0.6:
            group = self.group_for(kind)
            verb = self.verbs[id(group)].draw()
            tokens, head = self.finite(verb, plural)
            return tokens + self.complements(group, head, depth), head, False
        be = "are" if plural else "is"
        if draw < 0.92:
            tokens, head = self.state_phrase(depth)
            return [tok(be, "aux:pass", head), *tokens], head, True
        if self.chance() < 0.5:
            (tokens, head), _ = self.predicate_adjective()
        else:
            (tokens, head), _ = self.place(depth)
        return [tok(be, "cop", head), *tokens], head, False

    def predicate_adjective(self) -> tuple[Phrase, bool]:
        """ "red", "serene and cloudy", "very tall"."""
        kind = self.one(("predicate", "predicate", "color", "quality"))
        head = row_token(self.adjectives[kind].draw())
        draw = self.chance()
        if draw < 0.22:
            other = row_token(self.adjectives[kind].draw())
            return (self.coordinated([([head], head), ([other], other)], None, ""), head), True
        if draw < 0.32:
            return (
                [
                    tok(
                        "r:"
                        + self.one(("very", "slightly", "mostly", "partially", "fully", "too", "almost")),
                        "advmod",
                        head,
                    ),
                    head,
                ],
                head,
            ), False
        return ([head], head), False

    # -- sentences -------------------------------------------------------------------------------------------------

    def subject(
        self, kinds: tuple[str, ...] | list[str] | None = None, depth: int = 1
    ) -> tuple[list[Token], Token, bool, str]:
        if kinds is None:
            draw = self.chance()
            name = (
                "person"
                if draw < 0.32
                else "animal"
                if draw < 0.46
                else "vehicle"
                if draw < 0.55
                else self.one(THINGS)
            )
            kinds = (name,)
        tokens, head, plural = self.np(
            kinds, depth=depth if self.chance() < 0.55 else 0, simple=self.chance() < 0.3
        )
        return tokens, head, plural, kinds[0]

    def said(self, subject: Phrase, body: tuple[list[Token], Token, bool]) -> Phrase:
        """Subject and predicate."""
        tokens, root, passive = body
        return under(subject, root, "nsubj:pass" if passive else "nsubj") + tokens, root

    def clause(self) -> Phrase:
        """NP V …, with what dense captions hang on it."""
        group = self.any_group.draw()
        kinds = THINGS if self.chance() < UNRELATED else group.subjects
        name = self.kind(kinds)
        tokens, head, plural, _ = self.subject((name,))
        verb = self.verbs[id(group)].draw()
        verb_tokens, root = self.finite(verb, plural)
        phrase = under((tokens, head), root, "nsubj") + verb_tokens + self.complements(group, root, 1)
        return self.extended(phrase, root, name, plural)

    def extended(self, phrase: list[Token], root: Token, kind: str, plural: bool) -> Phrase:
        """A clause, some of the time with a second verb, a participle, a subordinate clause or another clause."""
        draw = self.chance()
        if draw < 0.60:
            return phrase, root
        if draw < 0.70:
            return phrase + self.tail(phrase, root, kind), root
        if draw < 0.78:
            group = self.group_for(kind)
            verb = self.verbs[id(group)].draw()
            going = root[1] == "VBG"
            head = row_token(verb.forms[root[1] if root[1] in ("VBZ", "VBP", "VBD", "VBG", "VB") else "VBZ"])
            body = [head, *self.complements(group, head, 0)]
            head[5], head[6] = root, "conj"
            return [*phrase, tok("and", "cc", head), *body], root
        if draw < 0.90:
            return phrase + self.subordinate(phrase, root, kind), root
        if draw < 0.95:
            tokens, subject, many, name = self.subject(depth=0)
            body, head, passive = self.predicate(many, name, 0)
            clause, _ = self.said((tokens, subject), (body, head, passive))
            head[5], head[6] = root, "conj"
            phrase[-1][7] = False
            return [
                *phrase,
                tok(",", "punct", head),
                tok("and" if self.chance() < 0.8 else "but", "cc", head),
                *clause,
            ], root
        if self.chance() < 0.5:
            phrase[-1][7] = False
            clause = self.with_clause(root, "advcl")
            return [*phrase, tok(",", "punct", clause[0][5]), *clause], root
        return phrase + self.with_clause(root, "advcl"), root

    def tail(self, phrase: list[Token], root: Token, kind: str) -> list[Token]:
        """ ", holding a bat", ", creating a sense of warmth"."""
        draw = self.chance()
        if draw < 0.55:
            body, head = self.verb_phrase("VBG", kind, 0)
        elif draw < 0.7:
            body, head = self.state_phrase()
        else:
            body, head = self.effect()
        head[5], head[6] = root, "advcl"
        if draw < 0.12:
            return body
        phrase[-1][7] = False
        return [tok(",", "punct", head), *body]

    def effect(self) -> Phrase:
        """ "creating a sense of calm", "adding to the charm of the scene", "giving the room a cozy feel"."""
        draw = self.chance()
        if draw < 0.5:
            lemma = self.one(("creat|e", "add", "giv|e", "provid|e", "bring", "convey", "suggest", "lend"))
            stem = lemma.replace("|", "")
            head: Token = [lemma.split("|")[0] + "ing", "VBG", "VERB", PARTICIPLE, stem, None, "", True, 0]
            tokens, inner = self.sense()
            return [head, *under((tokens, inner), head, "obj")], head
        if draw < 0.75:
            head = ["adding", "VBG", "VERB", PARTICIPLE, "add", None, "", True, 0]
            tokens, inner, _ = self.np(
                ("abstract", "ambience"), depth=0, simple=True, article="the", plural=False
            )
            other, last, _ = self.np(
                ("ambience", "place", "picture_word"), depth=0, simple=True, article="the", plural=False
            )
            tokens = tokens + self.preposition("of", (other, last), inner, "nmod")
            return [head, *self.preposition("to", (tokens, inner), head, "obl")], head
        head = ["giving", "VBG", "VERB", PARTICIPLE, "give", None, "", True, 0]
        who, first, _ = self.np(
            ("place", "ambience", "picture_word"), depth=0, simple=True, article="the", plural=False
        )
        feel = noun(self.one(("feel", "look", "appearance", "touch", "character", "charm")))
        adjective_ = row_token(self.adjectives["quality"].draw(), "amod", feel)
        return [
            head,
            *under((who, first), head, "iobj"),
            *under(([tok("a", "det", feel), adjective_, feel], feel), head, "obj"),
        ], head

    def sense(self) -> Phrase:
        """ "a sense of tranquility and warmth", "a cozy atmosphere"."""
        if self.chance() < 0.55:
            head = noun(self.one(("sense", "sense", "feeling", "touch", "air", "mood")))
            first, inner, _ = self.np(("abstract",), depth=0, simple=True, article="", plural=False)
            phrases = [(first, inner)]
            if self.chance() < 0.35:
                second, last, _ = self.np(("abstract",), depth=0, simple=True, article="", plural=False)
                phrases.append((second, last))
            tokens = self.coordinated(phrases, None, "")
            return [tok("a", "det", head), head, *self.preposition("of", (tokens, inner), head, "nmod")], head
        tokens, _, _ = self.noun_tokens("ambience", False)
        head = tokens[-1]
        return [
            tok("a", "det", head),
            row_token(self.adjectives["quality"].draw(), "amod", head),
            *tokens,
        ], head

    def subordinate(self, phrase: list[Token], root: Token, kind: str) -> list[Token]:
        """ "while holding a cup", "as people watch", "as a dog runs by", "to catch a ball", "ready to hit"."""
        draw = self.chance()
        if draw < 0.35:
            body, head = self.verb_phrase("VBG", kind, 0)
            head[5], head[6] = root, "advcl"
            return [tok("while", "mark", head), *body]
        if draw < 0.75:
            tokens, subject, many, name = self.subject(depth=0)
            body, head, passive = self.predicate(many, name, 0)
            clause, _ = self.said((tokens, subject), (body, head, passive))
            head[5], head[6] = root, "advcl"
            word = tok(self.one(("while", "as", "as")), "mark", head)
            if self.chance() < 0.3:
                phrase[-1][7] = False
                return [tok(",", "punct", head), word, *clause]
            return [word, *clause]
        body, head = self.verb_phrase("VB", kind, 0)
        to = tok("to", "mark", head)
        if draw < 0.92:
            head[5], head[6] = root, "advcl"
            return [to, *body]
        ready = adjective("ready", "advcl", root)
        head[5], head[6] = ready, "xcomp"
        phrase[-1][7] = False
        return [tok(",", "punct", ready), ready, to, *body]

    def fronted_clause(self) -> Phrase:
        """ "In the background, people walk …", "While riding a bike, a man …", "In this image, there is …"."""
        draw = self.chance()
        if draw < 0.35:
            sentence, root = self.existential()
        else:
            sentence, root = self.clause()
        place = self.chance()
        if place < 0.6:
            tokens, head = self.region() if self.chance() < 0.5 else self.simple_place(0, None)
            dep = "obl"
        elif place < 0.82:
            (tokens, head), adverb = self.place()
            dep = "advmod" if adverb else "obl"
        elif place < 0.92:
            tokens, head, _ = self.np(
                ("picture_word",), plural=False, depth=0, simple=True, article=self.one(("this", "the"))
            )
            tokens = [tok("p:in", "case", head), *tokens]
            dep = "obl"
        else:
            tokens, head = self.verb_phrase("VBG", "person", 0)
            dep = "advcl"
        comma = self.chance() < 0.85
        tokens = under((tokens, head), root, dep)
        if comma:
            tokens[-1][7] = False
            tokens = [*tokens, tok(",", "punct", head)]
        return tokens + sentence, root

    def existential(self) -> Phrase:
        """ "There is a dog in the yard", "There are no people visible"."""
        tokens, subject, plural = self.np(COMMON, depth=1)
        root = tok("are" if plural else "is")
        root[2] = "VERB"
        there = tok("there", "expl", root)
        if self.chance() < 0.06:
            root = tok("was" if not plural else "were")
            root[2] = "VERB"
            there[5] = root
        elif not plural and self.chance() < 0.1:
            root[0] = "'s"
            there[7] = False
        if self.chance() < 0.06:
            middle = [tok("r:also", "advmod", root)]
        else:
            middle = []
        phrase = [there, root, *middle, *under((tokens, subject), root, "nsubj")]
        if self.chance() < 0.55:
            after_other = any(
                token[6] in ("acl", "acl:relcl", "nmod") and token[5] is subject for token in tokens
            )
            phrase += self.where(root if after_other else subject, not after_other)
        return phrase, root

    def picture_sentence(self) -> Phrase:
        """ "The image features a bench", "A photo of a dog", "The picture was taken at night", "The scene is set in a park"."""
        draw = self.chance()
        if draw < 0.62:
            group = next(group for group in self.groups if "picture_word" in group.subjects)
            tokens, head, plural = self.np(
                ("picture_word",),
                plural=False if self.chance() < 0.85 else True,
                depth=0,
                simple=True,
                article="the" if self.chance() < 0.7 else None,
            )
            if self.chance() < 0.2 and not plural:
                kind, inner, _ = self.np(COMMON, depth=0, simple=True)
                tokens += self.preposition("of", (kind, inner), head, "nmod")
            verb = self.verbs[id(group)].draw()
            verb_tokens, root = self.finite(verb, plural, self.chance() * 0.66)
            what, inner, _ = self.np(group.objects, depth=2)
            phrase = under((tokens, head), root, "nsubj") + verb_tokens + under((what, inner), root, "obj")
            if self.chance() < 0.3:
                phrase = phrase + self.where(root, False)
            return self.extended(phrase, root, "person", plural) if self.chance() < 0.4 else (phrase, root)
        if draw < 0.82:
            tokens, head, _ = self.np(
                ("picture_word",), plural=False, depth=0, simple=True, article=self.one(("a", "a", "the", ""))
            )
            if self.chance() < 0.2:
                pair = self.coordinated(
                    [([black], black), ([white], white)]
                    if (black := adjective("black")) and (white := adjective("white"))
                    else [],
                    head,
                    "amod",
                )
                tokens = [*tokens[:1], *pair, *tokens[1:]] if tokens[0][1] == "DT" else [*pair, *tokens]
            what, inner, _ = self.np(COMMON, depth=2)
            return tokens + self.preposition("of", (what, inner), head, "nmod"), head
        tokens, head, _ = self.np(
            ("picture_word", "ambience"), plural=False, depth=0, simple=True, article="the"
        )
        form, lemma = self.one(
            (
                ("taken", "take"),
                ("set", "set"),
                ("framed", "frame"),
                ("shot", "shoot"),
                ("captured", "capture"),
            )
        )
        root = [form, "VBN", "VERB", PASSIVE, lemma, None, "", True, 0]
        return [
            *under((tokens, head), root, "nsubj:pass"),
            tok(self.one(("is", "was")), "aux:pass", root),
            root,
            *under(self.simple_place(0, None), root, "obl"),
        ], root

    def passive(self) -> Phrase:
        """ "The field is surrounded by trees", "A kite is being flown by a boy", "Two dogs can be seen in the yard"."""
        tokens, subject, plural, kind = self.subject()
        draw = self.chance()
        if draw < 0.5:
            body, root = self.state_phrase(1)
            phrase = [
                *under((tokens, subject), root, "nsubj:pass"),
                tok("are" if plural else "is", "aux:pass", root),
                *body,
            ]
        elif draw < 0.72:
            root = (
                tok("seen")
                if self.chance() < 0.7
                else ["spotted", "VBN", "VERB", PASSIVE, "spot", None, "", True, 0]
            )
            after = self.where(root, False) if self.chance() < 0.6 else []
            if self.chance() < 0.45:
                body, head = self.verb_phrase("VBG", kind, 0)
                head[5], head[6] = root, "xcomp"
                after = body + after if self.chance() < 0.5 else body
            phrase = [
                *under((tokens, subject), root, "nsubj:pass"),
                tok("can", "aux", root),
                tok("be", "aux:pass", root),
                root,
                *after,
            ]
        else:
            group = self.transitive.draw()
            verb = self.verbs[id(group)].draw()
            root = row_token(verb.forms["VBN"])
            be = [tok("are" if plural else "is", "aux:pass", root)]
            if self.chance() < 0.5:
                be = [tok("are" if plural else "is", "aux", root), tok("being", "aux:pass", root)]
            after = []
            if self.chance() < 0.6:
                who, agent, _ = self.np(tuple(group.subjects), depth=0)
                after = self.preposition("by", (who, agent), root, "obl:agent")
            elif self.chance() < 0.6:
                after = self.where(root, False)
            phrase = [*under((tokens, subject), root, "nsubj:pass"), *be, root, *after]
        return self.extended(phrase, root, kind, plural) if self.chance() < 0.3 else (phrase, root)

    def copula(self) -> Phrase:
        """ "The sky is blue", "The cat is on the bed", "It could be a wolf", "The man is taller than the boy"."""
        tokens, subject, plural, kind = self.subject()
        draw = self.chance()
        be = [tok("are" if plural else "is")]
        if self.chance() < 0.05:
            be = [tok(self.one(("could", "may")), "aux"), tok("be")]
        if draw < 0.32:
            (body, root), _ = self.predicate_adjective()
            if self.chance() < 0.3:
                body = body + self.where(root, False)
        elif draw < 0.62:
            (body, root), _ = self.place(1)
        elif draw < 0.76:
            body, root, _ = self.np(
                (kind,), plural=plural, depth=1, simple=True, article="a" if not plural else ""
            )
        elif draw < 0.90:
            return self.compared(tokens, subject, plural)
        else:
            return self.seeming(tokens, subject, plural)
        if self.chance() < 0.05:
            be.append(self.denial(root, be[0]) if len(be) == 1 else tok("not", "advmod", root))
        for token in be:
            token[5] = root
            token[6] = token[6] or "cop"
        return under((tokens, subject), root, "nsubj") + be + body, root

    def compared(self, tokens: list[Token], subject: Token, plural: bool) -> Phrase:
        root = row_token(self.adjectives["comparative"].draw())
        than = tok("p:than", "case")
        other, inner, _ = self.np(
            COMMON, depth=0, simple=True, article="the" if self.chance() < 0.7 else None
        )
        be = tok("are" if plural else "is", "cop", root)
        if self.chance() < 0.25:
            root = adjective(self.one(("tall", "big", "large", "small", "long", "wide", "old")))
            be[5] = root
            as_adverb: Token = ["as", "RB", "ADV", "", "as", root, "advmod", True, 0]
            body = [as_adverb, root, *self.preposition("as", (other, inner), root, "obl")]
        else:
            than[5] = inner
            body = [root, than, *under((other, inner), root, "obl")]
            if self.chance() < 0.2:
                body.insert(0, tok("r:" + self.one(("slightly", "almost")), "advmod", root))
        return under((tokens, subject), root, "nsubj") + [be, *body], root

    def seeming(self, tokens: list[Token], subject: Token, plural: bool) -> Phrase:
        """ "appears to be sleeping", "seems happy", "looks like a toy"."""
        lemma = self.one(("appear", "seem", "look"))
        root: Token = [
            lemma + ("" if plural else "s"),
            "VBP" if plural else "VBZ",
            "VERB",
            PRESENT.format("Plur" if plural else "Sing"),
            lemma,
            None,
            "",
            True,
            0,
        ]
        start = [*under((tokens, subject), root, "nsubj"), root]
        if lemma == "look":
            if self.chance() < 0.6:
                what, inner, _ = self.np(COMMON, plural=plural, depth=0, simple=True)
                return start + self.preposition("like", (what, inner), root, "obl"), root
            (body, head), _ = self.predicate_adjective()
            return start + under((body, head), root, "xcomp"), root
        draw = self.chance()
        if draw < 0.5:
            body, head = self.verb_phrase("VBG", "person", 0)
            body = [tok("to", "mark", head), tok("be", "aux", head), *body]
        elif draw < 0.7:
            body, head, _ = self.np(COMMON, plural=plural, depth=0, simple=True)
            body = [tok("to", "mark", head), tok("be", "cop", head), *body]
        elif draw < 0.85:
            (body, head), _ = self.place()
            body = [tok("to", "mark", head), tok("be", "cop", head), *body]
        else:
            (body, head), _ = self.predicate_adjective()
        return start + under((body, head), root, "xcomp"), root

    def inversion(self) -> Phrase:
        """ "To the left of the sofa stands a lamp", "Behind it is a tall plant", "On the table are two cups"."""
        (tokens, place), adverb = self.place()
        subject_tokens, subject, plural = self.np(COMMON, depth=1)
        if self.chance() < 0.55:
            be = tok("are" if plural else "is", "cop", place)
            return tokens + [be, *under((subject_tokens, subject), place, "nsubj")], place
        verb = self.one(
            [
                self.by_lemma[word]
                for word in (
                    "stand",
                    "sit",
                    "lie",
                    "hang",
                    "rest",
                    "rise",
                    "float",
                    "grow",
                    "perch",
                    "tower",
                    "lean",
                    "wait",
                    "loom",
                    "run",
                    "stretch",
                    "graze",
                    "sleep",
                    "swim",
                )
            ]
        )
        root = row_token(verb.forms["VBP" if plural else "VBZ"])
        return under((tokens, place), root, "advmod" if adverb else "obl") + [
            root,
            *under((subject_tokens, subject), root, "nsubj"),
        ], root

    def pronoun_clause(self) -> Phrase:
        """ "She is wearing a hat", "It has two wheels", "They're playing"."""
        word, plural, kind = self.one(
            (
                ("he", False, "person"),
                ("she", False, "person"),
                ("it", False, "animal"),
                ("it", False, "vehicle"),
                ("they", True, "person"),
                ("they", True, "animal"),
            )
        )
        pronoun = tok(word)
        draw = self.chance()
        if draw < 0.2:
            root = tok("have" if plural else "has")
            tokens, inner, _ = self.np(
                ("part", "animal_part", "clothing", "vehicle_part", "tool"), depth=1, simple=True
            )
            phrase, root = [pronoun, root, *under((tokens, inner), root, "obj")], root
            pronoun[5], pronoun[6] = root, "nsubj"
        else:
            body, root, passive = self.predicate(plural, kind, 1)
            phrase, root = self.said(([pronoun], pronoun), (body, root, passive))
            if (
                body[0][0] in ("is", "are")
                and body[0][2] == "AUX"
                and body[1][0] != "n't"
                and self.chance() < 0.25
            ):
                body[0][0] = {"is": "'s", "are": "'re"}[body[0][0]]
                pronoun[7] = False
        return self.extended(phrase, root, kind, plural)

    def contrast(self) -> Phrase:
        """ "Some are sitting while others stand", "One is red and the other is blue", ", each with a hat"."""
        draw = self.chance()
        kind = self.one(("person", "animal", "vehicle"))
        if draw < 0.35:
            body, root, passive = self.predicate(True, kind, 0)
            one = tok("some")
            phrase, root = self.said(([one], one), (body, root, passive))
            other = tok("others")
            body, head, passive = self.predicate(True, kind, 0)
            clause, _ = self.said(([other], other), (body, head, passive))
            return self.joined_clause(phrase, root, clause, head)
        if draw < 0.65:
            one = tok("n:one")
            tokens = [one]
            if self.chance() < 0.5:
                inner = tok("them")
                tokens += self.preposition("of", ([inner], inner), one, "nmod")
            body, root, passive = self.predicate(False, kind, 0)
            phrase, root = self.said((tokens, one), (body, root, passive))
            if self.chance() < 0.35:
                return phrase, root
            many = self.chance() < 0.3
            other = tok("others" if many else "other")
            body, head, passive = self.predicate(many, kind, 0)
            clause, _ = self.said(([tok("the", "det", other), other], other), (body, head, passive))
            return self.joined_clause(phrase, root, clause, head)
        if self.chance() < 0.5:
            phrase, root = self.clause_of(kind, True)
            dep = "advcl"
        else:
            phrase, root, _ = self.np((kind,), plural=True, depth=1, simple=True)
            dep = "acl"
        each = tok(self.one(("each", "each", "all", "both")))
        phrase[-1][7] = False
        draw = self.chance()
        if draw < 0.5:
            tokens, head, _ = self.np(
                ("clothing", "part", "tool", "food", "plant"), plural=False, depth=0, simple=True, article="a"
            )
            body: list[Token] = [tok("p:with", "case", head), *tokens]
        else:
            body, head = self.verb_phrase("VBG", kind, 0)
        each[5], each[6] = head, "nsubj"
        head[5], head[6] = root, dep
        return [*phrase, tok(",", "punct", head), each, *body], root

    def clause_of(self, kind: str, plural: bool) -> Phrase:
        tokens, head, _ = self.np((kind,), plural=plural, depth=0, simple=True)
        body, root, passive = self.predicate(head[1] != "NN", kind, 0)
        return self.said((tokens, head), (body, root, passive))

    def joined_clause(self, phrase: list[Token], root: Token, clause: list[Token], head: Token) -> Phrase:
        if self.chance() < 0.5:
            head[5], head[6] = root, "advcl"
            link = [tok("while", "mark", head)]
        else:
            head[5], head[6] = root, "conj"
            link = [tok(self.one(("and", "and", "but")), "cc", head)]
        if self.chance() < 0.5:
            phrase[-1][7] = False
            link.insert(0, tok(",", "punct", head))
        return [*phrase, *link, *clause], root

    def negation(self) -> Phrase:
        """ "No people are visible", "There are no cars on the street", "A street without cars"."""
        draw = self.chance()
        tokens, subject, plural = self.np(COMMON, depth=0, simple=True, article="no")
        if draw < 0.35:
            body, root, passive = self.predicate(plural, "person", 0, rich=False)
            return self.said((tokens, subject), (body, root, passive))
        if draw < 0.75:
            root = tok("are" if plural else "is")
            root[2] = "VERB"
            phrase = [tok("there", "expl", root), root, *under((tokens, subject), root, "nsubj")]
            if self.chance() < 0.3:
                subject_adjective = adjective(self.one(("visible", "present")), "amod", subject)
                phrase.append(subject_adjective)
            if self.chance() < 0.6:
                phrase += self.where(root, False)
            return phrase, root
        other, head, many = self.np(COMMON, depth=0, simple=True)
        if draw < 0.85:
            tokens[0] = tok("any", "det", subject)
            return other + self.preposition("without", (tokens, subject), head, "nmod"), head
        root = tok("have" if many else "has")
        return [*under((other, head), root, "nsubj"), root, *under((tokens, subject), root, "obj")], root

    def listing(self) -> Phrase:
        """ "a knife, a fork and a spoon on a table"; "The table holds a plate, two cups, and a vase of flowers"."""
        phrases: list[Phrase] = []
        kinds = self.one(
            (
                COMMON,
                ("food",),
                ("kitchen", "container", "food"),
                ("furniture", "electronics", "decoration"),
                ("animal", "bird"),
                ("clothing",),
                ("tool", "toy"),
            )
        )
        for _ in range(self.one((2, 3, 3, 3, 4, 4, 5, 6))):
            tokens, head, _ = self.np(kinds, depth=1 if self.chance() < 0.25 else 0, simple=True)
            phrases.append((tokens, head))
        first = phrases[0][1]
        draw = self.chance()
        tokens = self.coordinated(phrases, None, "")
        if draw < 0.25:
            return tokens + self.where(first, True) if self.chance() < 0.6 else tokens, first
        if draw < 0.45:
            verb = self.one(
                [
                    self.by_lemma[word]
                    for word in (
                        "sit",
                        "stand",
                        "lie",
                        "rest",
                        "hang",
                        "line",
                        "wait",
                        "surround",
                        "fill",
                        "cover",
                    )
                ]
            )
            verb_tokens, root = self.finite(verb, True)
            if verb.lemma in ("line", "surround", "fill", "cover"):
                what, inner, _ = self.np(
                    ("place", "surface", "furniture"), plural=False, depth=0, simple=True
                )
                return [
                    *under((tokens, first), root, "nsubj"),
                    *verb_tokens,
                    *under((what, inner), root, "obj"),
                ], root
            return [*under((tokens, first), root, "nsubj"), *verb_tokens, *self.where(root, False)], root
        if draw < 0.6:
            (body, root), _ = self.place()
            return [*under((tokens, first), root, "nsubj"), tok("are", "cop", root), *body], root
        if draw < 0.75:
            owner, head, plural = self.np(
                ("place", "furniture", "picture_word", "container"), depth=0, simple=True
            )
            if self.chance() < 0.5:
                return owner + self.preposition("with", (tokens, first), head, "nmod"), head
            group = self.one(
                [
                    g
                    for g in self.groups
                    if g.frame == "tr" and set(g.subjects) & {"picture_word", "container"}
                ]
            )
            verb = self.verbs[id(group)].draw()
            verb_tokens, root = self.finite(verb, plural, 0.1)
            return [
                *under((owner, head), root, "nsubj"),
                *verb_tokens,
                *under((tokens, first), root, "obj"),
            ], root
        if draw < 0.9:
            root = tok("are" if phrases[0][1][1] == "NNS" or self.chance() < 0.5 else "is")
            root[2] = "VERB"
            phrase = [tok("there", "expl", root), root, *under((tokens, first), root, "nsubj")]
            return (phrase + self.where(root, False) if self.chance() < 0.5 else phrase), root
        general, head, _ = self.np(
            ("tool", "food", "vehicle", "animal", "furniture", "clothing"), plural=True, depth=0, simple=True
        )
        if self.chance() < 0.5:
            link = [tok("such", "case", first), None]
            fixed = tok("p:as", "fixed", link[0])
            body = [link[0], fixed, *under((tokens, first), head, "nmod")]
        else:
            body = [tok("including", "case", first), *under((tokens, first), head, "nmod")]
        if self.chance() < 0.5:
            general[-1][7] = False
            body.insert(0, tok(",", "punct", first))
        root = tok("are")
        root[2] = "VERB"
        return [tok("there", "expl", root), root, *under((general, head), root, "nsubj"), *body], root

    def template(self) -> Phrase:
        """ "a photo of a cow right of a laptop", "a red car left of a dog", "a photo of three clocks"."""
        what, inner, _ = self.np(
            COMMON,
            depth=0,
            simple=True,
            article=self.one(("a", None)),
            plural=None if self.chance() < 0.3 else False,
        )
        draw = self.chance()
        other, last, _ = self.np(COMMON, depth=0, simple=True, article="a", plural=False)
        if draw < 0.5:
            word, link = self.one(
                (("left", "of"), ("right", "of"), ("left", "of"), ("right", "of"), ("next", "to"))
            )
            adverb = tok("r:" + word, "advmod", inner)
            what = [*what, adverb, *self.preposition(link, (other, last), adverb, "obl")]
        elif draw < 0.8:
            word = self.one(("above", "below", "on", "under", "beside", "behind", "near"))
            what = what + self.preposition(word, (other, last), inner, "nmod")
        elif draw < 0.9:
            what = self.coordinated([(what, inner), (other, last)], None, "")
        if self.chance() < 0.5:
            return what, inner
        picture, head, _ = self.np(("picture_word",), plural=False, depth=0, simple=True, article="a")
        return picture + self.preposition("of", (what, inner), head, "nmod"), head

    def ambience(self) -> Phrase:
        """ "The scene conveys a sense of calm", "The lighting is soft and warm", "The overall mood is peaceful"."""
        tokens, subject, _ = self.np(
            ("ambience", "picture_word"), plural=False, depth=0, simple=True, article="the"
        )
        if self.chance() < 0.3:
            inner = noun(self.one(("scene", "image", "photo", "room")))
            tokens = tokens + self.preposition(
                "of", ([tok("the", "det", inner), inner], inner), subject, "nmod"
            )
        draw = self.chance()
        if draw < 0.5:
            lemma = self.one(("convey", "create", "give", "evoke", "suggest", "exude", "add", "set"))
            root: Token = [lemma + "s", "VBZ", "VERB", PRESENT.format("Sing"), lemma, None, "", True, 0]
            body, inner = self.sense()
            return [*under((tokens, subject), root, "nsubj"), root, *under((body, inner), root, "obj")], root
        if draw < 0.85:
            (body, root), _ = self.predicate_adjective()
            return [*under((tokens, subject), root, "nsubj"), tok("is", "cop", root), *body], root
        body, root = self.sense()
        return [
            *under((tokens, subject), root, "nsubj"),
            tok("is", "cop", root),
            tok("n:one", "", None),
            *body,
        ][: -len(body) - 1] + body, root

    def possession(self) -> Phrase:
        """ "The cat has green eyes", "The man's hat is red", "a child's drawing on the refrigerator"."""
        draw = self.chance()
        if draw < 0.45:
            tokens, subject, plural, kind = self.subject(
                ("person", "animal", "vehicle", "building", "bird", "furniture", "clothing")[::1], depth=0
            )
            root = tok("have" if plural else "has")
            what, inner, _ = self.np(
                ("part", "animal_part", "vehicle_part", "clothing", "structure"), depth=1
            )
            return [*under((tokens, subject), root, "nsubj"), root, *under((what, inner), root, "obj")], root
        what, head, plural = self.np(
            ("part", "clothing", "tool", "toy", "decoration", "vehicle", "action", "furniture", "building"),
            depth=0,
            simple=True,
            article="",
        )
        tokens = self.possessor(head) + what
        if draw < 0.7:
            return tokens + self.where(head, True), head
        body, root, passive = self.predicate(plural, "tool", 0, rich=self.chance() < 0.5)
        return self.said((tokens, head), (body, root, passive))

    def text_sentence(self) -> Phrase:
        """ "a sign that reads "STOP" on it", "a shirt with the word "Nike"", "A sign says no parking"."""
        tokens, subject, plural = self.np(
            ("text", "text", "clothing", "structure"), depth=0, simple=True, plural=False
        )
        words = self.one(
            (
                "STOP",
                "OPEN",
                "Main Street",
                "SALE",
                "Happy Birthday",
                "Welcome",
                "EXIT",
                "Pizza",
                "City Hall",
                "Coffee",
                "NO PARKING",
                "Love",
                "Hotel",
                "Bus",
                "One Way",
                "Taxi",
                "25",
                "Market Street",
            )
        )
        quoted: list[Token] = []
        for word in words.split():
            if word.isdigit():
                quoted.append([word, "CD", "NUM", "NumForm=Digit|NumType=Card", word, None, "", True, 0])
            elif word in ("OPEN", "Happy", "One", "NO"):
                quoted.append([word, "NNP", "ADJ", "Degree=Pos", word, None, "", True, 0])
            else:
                quoted.append([word, "NNP", "PROPN", "Number=Sing", word, None, "", True, 0])
        inner = quoted[-1]
        for token in quoted[:-1]:
            token[5], token[6] = inner, "amod" if token[2] == "ADJ" else "compound"
        inner[7] = False
        start = tok('"', "punct", inner)
        start[7] = False
        quoted = [start, *quoted, tok('"end', "punct", inner)]
        draw = self.chance()
        if draw < 0.4:
            lemma = self.one(("read", "say", "read", "display"))
            verb: Token = [
                lemma + "s",
                "VBZ",
                "VERB",
                PRESENT.format("Sing"),
                lemma,
                subject,
                "acl:relcl",
                True,
                0,
            ]
            pronoun = tok("that", "nsubj", verb)
            body = [pronoun, verb, *under((quoted, inner), verb, "obj")]
        elif draw < 0.6:
            lemma = self.one(("read", "say"))
            verb = [lemma + "ing", "VBG", "VERB", GERUND, lemma, subject, "acl", True, 0]
            body = [verb, *under((quoted, inner), verb, "obj")]
        elif draw < 0.8:
            word = noun(self.one(("word", "name", "text", "number")))
            on = tok("it-acc")
            start_tokens = [tok("the", "det", word), word, *under((quoted, inner), word, "appos")]
            case = tok("p:on", "case", on)
            mark = tok("with", "mark", on)
            on[5], on[6] = subject, "acl"
            word[5], word[6] = on, "nsubj"
            body = [mark, *start_tokens, case, on]
        else:
            lemma = self.one(("read", "say"))
            root: Token = [lemma + "s", "VBZ", "VERB", PRESENT.format("Sing"), lemma, None, "", True, 0]
            return [
                *under((tokens, subject), root, "nsubj"),
                root,
                *under((quoted, inner), root, "obj"),
            ], root
        if self.chance() < 0.6:
            return tokens + body, subject
        place, root = self.simple_place(0, None)
        return [*under((tokens + body, subject), root, "nsubj"), tok("is", "cop", root), *place], root

    def bare_triple(self) -> Phrase:
        """ "person wear hat", "sky above tree": templates without articles."""
        tokens, subject, _ = self.np(COMMON, plural=False, depth=0, simple=True, article="")
        if self.chance() < 0.5:
            other, inner, _ = self.np(COMMON, plural=False, depth=0, simple=True, article="")
            word = self.one(
                ("on", "in", "above", "below", "behind", "near", "under", "beside", "in front of", "next to")
            )
            if " " not in word:
                return tokens + self.preposition(word, (other, inner), subject, "nmod"), subject
            if word == "next to":
                adverb = tok("r:next", "advmod", subject)
                return [*tokens, adverb, *self.preposition("to", (other, inner), adverb, "obl")], subject
            middle = noun("front", "nmod", subject)
            return [
                *tokens,
                tok("p:in", "case", middle),
                middle,
                *self.preposition("of", (other, inner), middle, "nmod"),
            ], subject
        group = self.transitive.draw()
        verb = self.verbs[id(group)].draw()
        root = row_token(verb.forms["VBZ" if self.chance() < 0.6 else "VBP"])
        other, inner, _ = self.np(group.objects, plural=False, depth=0, simple=True, article="")
        return [*under((tokens, subject), root, "nsubj"), root, *under((other, inner), root, "obj")], root

    def reduced(self) -> Phrase:
        """ "The dog, a brown poodle, sleeps"; "two men, one in a red shirt"; "a man, wearing a hat, stands"."""
        tokens, subject, plural, kind = self.subject(depth=0)
        tokens[-1][7] = False
        draw = self.chance()
        if draw < 0.35:
            extra, head, _ = self.np(
                (kind,), plural=plural, depth=0, simple=True, article="a" if not plural else ""
            )
            dep = "appos"
        elif draw < 0.65:
            extra, head = self.verb_phrase("VBG", kind, 0)
            dep = "acl"
        elif draw < 0.8:
            extra, head = self.state_phrase()
            dep = "acl"
        else:
            extra = self.relative(subject, plural, kind)
            head = next(token for token in extra if token[6] == "acl:relcl" and token[5] is subject)
            dep = "acl:relcl"
        extra = under((extra, head), subject, dep)
        extra[-1][7] = False
        tokens = [*tokens, tok(",", "punct", head), *extra, tok(",", "punct", head)]
        body, root, passive = self.predicate(plural, kind, 0)
        return self.said((tokens, subject), (body, root, passive))

    def fragment(self) -> Phrase:
        """A noun phrase alone, or one with "near", "riding", … at its end."""
        tokens, head, plural = self.np(COMMON if self.chance() < 0.8 else THINGS, depth=2)
        if self.chance() < 0.5:
            tokens = tokens + self.postmodifier(head, plural, "person", 1)
        if self.chance() < 0.12:
            tokens = tokens + self.where(head, True)
        if self.chance() < 0.05:
            tokens[-1][7] = False
            body, inner, _ = self.np(COMMON, depth=1)
            tokens = [
                *tokens,
                tok(",", "punct", inner),
                *under((body, inner), head, "conj" if self.chance() < 0.5 else "appos"),
            ]
        return tokens, head

    def tree(self) -> Tree:
        """One sentence or fragment, written in one of the ways captions are."""
        phrase = self.rules.draw()()
        draw = self.chance()
        whole = phrase[1][2] in ("VERB", "AUX") or any(
            token[6] in ("cop", "nsubj") and token[5] is phrase[1] for token in phrase[0]
        )
        if whole:
            capital, stop = (
                (True, ".")
                if draw < 0.58
                else (True, "")
                if draw < 0.7
                else (False, "")
                if draw < 0.86
                else (False, " .")
                if draw < 0.92
                else (False, ".")
            )
        else:
            capital, stop = (
                (False, "")
                if draw < 0.5
                else (True, ".")
                if draw < 0.7
                else (True, "")
                if draw < 0.84
                else (False, " .")
                if draw < 0.92
                else (False, ".")
            )
        return finished(phrase, capital=capital, stop=stop)


def grammar_trees(count: int, *, seed: int) -> Iterator[Tree]:
    """Captions with their trees, always the same for one seed."""
    grammar = Grammar(seed)
    for _ in range(count):
        yield grammar.tree()
