"""Phrases of captions under construction: noun phrases, places, verbs with what follows them.

Tags, labels and attachments are those of UD English EWT.
"""

from __future__ import annotations

import random
from functools import cache
from typing import Any, TypeAlias

from recaptrain.embedded.caption_words import Deck, Noun, Part, Row, Verb, VerbGroup, lexicon

#: A token under construction: form, tag, part of speech, morphology, lemma, head token, label, space after, and a free place
#: (a noun's kind, later the token's index).
Token: TypeAlias = list[Any]
#: Tokens in order and the one that heads them.
Phrase: TypeAlias = tuple[list[Token], Token]
#: Besides, whether a noun phrase takes a plural verb, or whether a predicate is passive.
Marked: TypeAlias = tuple[list[Token], Token, bool]
Kinds: TypeAlias = str

#: How often subjects, objects and modifiers are drawn without regard to the words beside them.
UNRELATED = 0.15

#: Kinds of nouns, a kind once for each share of the draws.
THINGS = (
    "person animal bird sea insect vehicle boat aircraft food container kitchen furniture bathroom electronics clothing plant "
    "building structure sports toy tool instrument landscape text decoration animal_part part vehicle_part"
)
COMMON = (
    "person person person person person animal animal animal bird bird sea vehicle vehicle boat aircraft food food furniture "
    "furniture building building plant plant structure structure clothing tool container container sports sports electronics kitchen "
    "bathroom decoration landscape toy instrument insect also_adjective compound compound compound compound"
)
LANDMARKS = "furniture furniture compound building plant structure person vehicle animal electronics container landscape"
OWNERS = "person person person animal bird vehicle building"
CARRIED = "clothing clothing part animal_part food plant vehicle_part tool decoration furniture person structure container"

#: Kinds of modifiers before a noun, by the noun's kind.
THING_MODIFIERS = "color color color color size size quality quality material age participle hyphenated"
MODIFIERS = {
    "person": "person person person person size age animate color hyphenated",
    "animal": "color color color animal animal animal size size age animate",
    "bird": "color color color animal animal size size animate",
    "sea": "color color animal size size",
    "insect": "color color animal size size",
    "plant": "color color size size size quality present",
    "food": "color color food food size size cooked",
    "food_mass": "color food food food cooked",
    "drink": "color food quality",
    "building": "color color size size place age material quality hyphenated",
    "vehicle": "color color color color size size age participle present",
    "boat": "color color color size size age present",
    "aircraft": "color color color size size age present",
    "landscape": "color size size size place place present",
    "place": "place place place size color",
    "surface": "place place size color material",
    "action": "quality size mood quality quality",
    "ambience": "mood",
    "abstract": "mood",
    "picture_word": "color quality mood size",
    "part": "color color size size quality",
    "animal_part": "color color size size quality",
    "material": "color quality",
    "cover": "color quality",
}


@cache
def options(words: str) -> tuple[str, ...]:
    return tuple(words.split())


def row_token(row: Row, dep: str = "", head: Token | None = None) -> Token:
    return [*row, head, dep, True, None]


def common(word: str, dep: str = "", head: Token | None = None) -> Token:
    """A noun in the singular."""
    return [word, "NN", "NOUN", "Number=Sing", word, head, dep, True, None]


def adjective(word: str, dep: str = "", head: Token | None = None) -> Token:
    return [word, "JJ", "ADJ", "Degree=Pos", word, head, dep, True, None]


def parts_of(parts: tuple[Part, ...]) -> list[Token]:
    tokens: list[Token] = [[*part.row, None, part.dep, part.space, None] for part in parts]
    if len(tokens) > 1:
        for part, token in zip(parts, tokens, strict=True):
            if part.head >= 0:
                token[5] = tokens[part.head]
    return tokens


def under(phrase: Phrase, head: Token, dep: str) -> list[Token]:
    """The phrase's tokens, tied to a head."""
    root = phrase[1]
    root[5], root[6] = head, dep
    return phrase[0]


class Phrases:
    """Rules for the parts of sentences; every draw comes from one seeded generator."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        self.chance = self.rng.random
        words = lexicon()
        self.rows = words.function_words
        self.by_lemma = words.verb_by_lemma
        self.groups = words.verbs
        self.nouns = {name: Deck(entries, self.rng) for name, entries in words.nouns.items()}
        self.adjectives = {name: Deck(rows, self.rng) for name, rows in words.adjectives.items()}
        self.hyphenated, self.names = self.deck(words.hyphenated), self.deck(words.names)
        self.numbers, self.digits = self.deck(words.numbers), self.deck(words.digits)
        self.states, self.agents = Deck(words.states, self.rng), Deck(words.agents, self.rng)
        self.with_states, self.written = Deck(words.with_states, self.rng), self.deck(words.written)
        self.writing, self.quotes = self.deck(words.writing), self.deck(words.quotes)
        self.verbs = {id(group): Deck(list(group.verbs), self.rng) for group in words.verbs}
        weighted = [group for group in words.verbs for _ in range(max(2, round(len(group.verbs) ** 0.8)))]
        self.any_group = self.deck(weighted)
        self.transitive = self.deck([group for group in weighted if group.frame == "tr"])
        inert = [
            group for group in weighted if "container" in group.subjects or "structure" in group.subjects
        ]
        self.of_subject = {
            name: self.deck([group for group in weighted if name in group.subjects] or inert)
            for name in words.nouns
        }
        #: A telegraphic sentence leaves the articles out ("dog sits on bench").
        self.telegraphic = False

    def deck(self, cards: list[Any]) -> Deck[Any]:
        return Deck(cards, self.rng, flat=True)

    def pick(self, words: str) -> str:
        """One of the words of a string."""
        found = options(words)
        return found[int(self.chance() * len(found))]

    def tok(self, key: str, dep: str = "", head: Token | None = None) -> Token:
        """A function word; see `caption_words.function_words` for the keys."""
        return [*self.rows[key], head, dep, True, None]

    # -- nouns and what stands before them

    def kind(self, kinds: Kinds) -> str:
        name = self.pick(kinds)
        return name if name in self.nouns else "person"

    def noun_tokens(self, kind: str, plural: bool | None = None) -> tuple[list[Token], bool, bool]:
        """A noun of a kind: its tokens, whether it is plural, whether it is a mass noun."""
        entry: Noun = self.nouns[kind].draw()
        if plural is None:
            plural = self.chance() < 0.36
        parts = entry.plural if plural else entry.singular
        if parts is None:
            plural = not plural
            parts = entry.plural if plural else entry.singular
        tokens = parts_of(parts or ())
        tokens[-1][8] = kind
        return tokens, plural, entry.mass

    def modifiers(self, head: Token, kind: str) -> list[Token]:
        """Zero to three words before a noun."""
        draw = self.chance()
        if draw < 0.56:
            return []
        if self.chance() < 0.12:
            kinds = "size color quality person place participle present animate hyphenated"
        else:
            kinds = MODIFIERS.get(kind, THING_MODIFIERS)
        if draw > 0.965:
            return self.paired_modifiers(head, kinds)
        first, second = self.pick(kinds), self.pick(kinds)
        tokens = self.modifier(head, first)
        if draw > 0.85 and not first == second == "color":
            more = self.modifier(head, second)
            if more[-1][0] in [token[0] for token in tokens] or (
                tokens[0][2] == "VERB" and more[-1][2] == "VERB"
            ):
                return tokens
            if tokens[-1][6] == "compound":
                return tokens if more[-1][6] == "compound" else more + tokens
            if more[-1][6] == "amod" and (first == second or self.chance() < 0.12):
                tokens[-1][7] = False
                tokens.append(self.tok(",", "punct", tokens[-1]))
            tokens += more
        if first in ("size", "person", "place", "food", "mood") and self.chance() < 0.06:
            tokens.insert(0, self.tok("r:very", "advmod", tokens[0]))
        return tokens

    def modifier(self, head: Token, kind: str) -> list[Token]:
        if kind == "hyphenated":
            tokens = parts_of(self.hyphenated.draw())
            tokens[-1][5], tokens[-1][6] = head, "amod" if tokens[-1][2] != "NOUN" else "compound"
            return tokens
        token = row_token(self.adjectives[kind].draw(), "amod", head)
        if token[2] == "NOUN":
            token[6] = "compound"
        elif kind == "color" and self.chance() < 0.08:
            return [row_token(self.adjectives["shade"].draw(), "amod", head), token]
        return [token]

    def paired_modifiers(self, head: Token, kinds: Kinds) -> list[Token]:
        """ "black and white", "red, white and blue"."""
        kind = "color" if "color" in kinds else self.pick(kinds)
        if kind in ("hyphenated", "material"):
            kind = "quality"
        rows = [self.adjectives[kind].draw() for _ in range(2 if self.chance() < 0.8 else 3)]
        return self.coordinated(
            [([token], token) for token in map(row_token, dict.fromkeys(rows))], head, "amod"
        )

    def coordinated(self, phrases: list[Phrase], head: Token | None, dep: str) -> list[Token]:
        """Phrases joined by commas and a conjunction; each comma and conjunction belongs to what follows it."""
        first = phrases[0][1]
        first[5], first[6] = head, dep
        tokens = list(phrases[0][0])
        oxford = len(phrases) > 2 and self.chance() < 0.55
        for place, phrase in enumerate(phrases[1:], 2):
            last = place == len(phrases)
            if not last or oxford:
                tokens[-1][7] = False
                tokens.append(self.tok(",", "punct", phrase[1]))
            if last:
                tokens.append(self.tok("and" if self.chance() < 0.96 else "or", "cc", phrase[1]))
            tokens += under(phrase, first, "conj")
        return tokens

    def determiner(self, head: Token, plural: bool, mass: bool, depth: int) -> list[Token]:
        draw = self.chance()
        if self.telegraphic and draw < 0.9:
            return [self.tok("n:" + self.number(), "nummod", head)] if plural and draw < 0.3 else []
        if mass:
            if draw < 0.55:
                return []
            return [self.tok("the" if draw < 0.8 else "some", "det", head)]
        if plural:
            return self.plural_determiner(head, draw, depth)
        if draw < 0.59:
            return [self.tok("a", "det", head)]
        if draw < 0.86:
            return [self.tok("the", "det", head)]
        if draw < 0.87:
            return []
        if draw < 0.90:
            return [self.tok("n:one", "nummod", head)]
        if draw < 0.92:
            return [self.tok("another", "det", head)]
        if draw < 0.935:
            return [self.tok(self.pick("this each every"), "det", head)]
        return [self.owner(head)] if draw < 0.965 or not depth else self.possessor(head)

    def plural_determiner(self, head: Token, draw: float, depth: int) -> list[Token]:
        if draw < 0.32:
            return []
        if draw < 0.57:
            return [self.tok("n:" + self.number(), "nummod", head)]
        if draw < 0.70:
            return [self.tok("the", "det", head)]
        if draw < 0.78:
            return [self.tok("several", "amod", head)]
        if draw < 0.84:
            return [self.tok("some", "det", head)]
        if draw < 0.87:
            return [self.tok("many", "amod", head)]
        if draw < 0.90:
            return [self.tok("a", "det", head), self.tok("few", "amod", head)]
        if draw < 0.91:
            return [self.tok(self.pick("both all"), "det", head)]
        if draw < 0.915:
            return [self.tok("all-the", "det:predet", head), self.tok("the", "det", head)]
        if draw < 0.92:
            return [self.tok("these", "det", head)]
        if draw < 0.93:
            return [self.tok("the", "det", head), self.tok("n:" + self.number(), "nummod", head)]
        if draw < 0.94:
            return [
                self.tok("n:" + self.number(), "nummod", head),
                self.tok(self.pick("more other"), "amod", head),
            ]
        if draw < 0.945:
            return [self.tok("another", "det", head), self.tok("n:" + self.number(), "nummod", head)]
        if draw < 0.952:
            dozen = self.tok("dozen", "nummod", head)
            return [self.tok("a", "det", dozen), dozen]
        if draw < 0.957:
            return [self.tok("other", "amod", head)]
        return [self.owner(head)] if draw < 0.98 or not depth else self.possessor(head)

    def number(self) -> str:
        draw = self.chance()
        if draw < 0.42:
            return "two"
        if draw < 0.62:
            return "three"
        return self.numbers.draw() if draw < 0.93 else self.digits.draw()

    def owner(self, head: Token) -> Token:
        return self.tok(self.pick("his her-own its their"), "nmod:poss", head)

    def possessor(self, head: Token) -> list[Token]:
        """ "the man's", "the girls'", "a child's"."""
        tokens, plural, mass = self.noun_tokens(self.pick(OWNERS))
        owner = tokens[-1]
        owner[5], owner[6], owner[7] = head, "nmod:poss", False
        tokens = self.determiner(owner, plural, mass, 0) + tokens
        if len(tokens) == 1 and not plural:
            tokens.insert(0, self.tok("a", "det", owner))
        tokens.append(self.tok("'" if plural and owner[0].endswith("s") else "'s", "case", owner))
        return tokens

    # -- noun phrases

    def np(
        self,
        kinds: Kinds = COMMON,
        *,
        plural: bool | None = None,
        depth: int = 0,
        simple: bool = True,
        article: str | None = None,
        places: bool = True,
    ) -> Marked:
        """A noun phrase, and whether it takes a plural verb.

        Args:
            depth: how many modifiers may follow within one another.
            simple: without a group noun, a measure or a coordination.
            article: the determiner's key, "" for none, None for any.
            places: whether a place may follow the noun.
        """
        if not simple and article is None:
            draw = self.chance()
            if draw < 0.05 and plural is not False:
                return self.group_phrase(kinds, depth)
            if draw < 0.085:
                return self.joined_phrase(kinds)
            if draw < 0.10 and plural is not True:
                return self.measure_phrase()
            if draw < 0.105 and plural is not False:
                return self.part_phrase(kinds)
        kind = "action" if self.chance() < 0.05 else self.kind(kinds)
        tokens, many, mass = self.noun_tokens(kind, plural)
        head = tokens[-1]
        compound = kind == "action" and len(tokens) == 1 and self.chance() < 0.4
        if compound:
            tokens = self.compounded(head) + tokens
        elif self.chance() < 0.007:
            tokens.insert(0, row_token(self.names.draw(), "compound", head))
        tokens = self.modifiers(head, kind) + tokens
        if article is None:
            before = self.determiner(head, many, mass, depth)
            if compound and not before:  # "boat rides" alone would as well be a boat that rides
                before.append(
                    self.tok("the" if self.chance() < 0.5 else "some" if many or mass else "a", "det", head)
                )
            tokens = before + tokens
        elif (
            article
            and not (self.telegraphic and article in ("a", "the"))
            and not (article == "a" and (mass or many))
        ):
            tokens.insert(0, self.tok(article, "det", head))
        if depth and self.chance() < 0.36:
            tokens += self.postmodifier(head, many, depth - 1, places)
        return tokens, head, many

    def compounded(self, head: Token) -> list[Token]:
        """A noun before another: "boat" in "boat ride"."""
        tokens, _, _ = self.noun_tokens(
            self.pick("animal vehicle boat sports food person tool structure"), False
        )
        return under((tokens, tokens[-1]), head, "compound")

    def group_phrase(self, kinds: Kinds, depth: int) -> Marked:
        """ "a group of zebras", "two rows of trees", "lots of people", "a pair of scissors"."""
        paired = self.chance() < 0.15
        inner, head, _ = self.np("paired" if paired else kinds, plural=True, article="")
        draw = self.chance()
        many = True
        before: list[Token] = []
        if draw < 0.08:
            group = self.tok(self.pick("lots lots dozens"))
        elif draw < 0.13:
            group = common("lot")
            before = [self.tok("a", "det", group)]
        else:
            tokens, many, _ = self.noun_tokens("group", draw > 0.82)
            group = tokens[-1]
            if paired:
                group[0], group[4] = "pairs" if many else "pair", "pair"
            if many:
                before = [self.tok("n:" + self.number(), "nummod", group)]
            else:
                before = [self.tok("a" if draw < 0.72 else "the", "det", group)]
                many = self.chance() < 0.55
            if self.chance() < 0.15:
                before.append(row_token(self.adjectives["size"].draw(), "amod", group))
        group[8] = head[8]
        tokens = [*before, group, *self.preposition("of", (inner, head), group, "nmod")]
        if depth and self.chance() < 0.25:
            tokens += self.postmodifier(group, many, 0, True)
        return tokens, group, many

    def measure_phrase(self) -> Marked:
        """ "a bowl of soup", "two slices of pizza"."""
        inner, head, _ = self.np("food food_mass food_mass drink", article="")
        tokens, many, _ = self.noun_tokens("measure")
        group = tokens[-1]
        tokens = self.determiner(group, many, False, 0) + self.modifiers(group, "container") + tokens
        group[8] = "food"
        return tokens + self.preposition("of", (inner, head), group, "nmod"), group, many

    def part_phrase(self, kinds: Kinds) -> Marked:
        """ "one of the men", "some of the cars", "two of them"."""
        key = self.pick("n:one n:one some several many n:two both")
        group = self.tok(key)
        if self.chance() < 0.3:
            inner = self.tok("them")
            tokens, head = [inner], inner
        else:
            tokens, head, _ = self.np(kinds, plural=True, article="the")
        group[8] = head[8] or "person"
        return [group, *self.preposition("of", (tokens, head), group, "nmod")], group, key != "n:one"

    def joined_phrase(self, kinds: Kinds) -> Marked:
        """ "a man and a woman", "a knife, a fork and a spoon"."""
        phrases = [self.np(kinds)[:2] for _ in range(2 if self.chance() < 0.75 else 3)]
        return self.coordinated(phrases, None, ""), phrases[0][1], True

    def preposition(self, words: str, phrase: Phrase, head: Token, dep: str) -> list[Token]:
        """A phrase with its prepositions ("out of": both are case markers) under a head."""
        root = phrase[1]
        root[5], root[6] = head, dep
        if " " in words:
            return [*[self.tok("p:" + word, "case", root) for word in words.split()], *phrase[0]]
        return [self.tok("p:" + words, "case", root), *phrase[0]]

    # -- places

    def place(self, depth: int = 0) -> tuple[Phrase, bool]:
        """A phrase that says where, and whether an adverb heads it (advmod) and not a noun (obl, nmod)."""
        draw = self.chance()
        if draw < 0.60:
            return self.simple_place(depth), False
        if draw < 0.75:
            return self.adverbial_place()
        if draw < 0.88:
            return self.part_place(), False
        if draw < 0.95:
            return self.region(), False
        token = self.tok(
            "r:" + self.pick("nearby outside inside overhead behind outdoors indoors ahead upstairs around")
        )
        return ([token], token), True

    def landmark(self, kinds: Kinds = LANDMARKS, *, plural: bool | None = None) -> Phrase:
        """What a place is given by: a noun phrase, sometimes a pronoun."""
        if self.chance() < 0.06:
            head = self.tok(self.pick("it-acc it-acc them him her"))
            return [head], head
        if plural is None and self.chance() < 0.8:
            plural = False
        return self.np(kinds, plural=plural, simple=self.chance() < 0.7)[:2]

    def simple_place(self, depth: int = 0) -> Phrase:
        draw = self.chance()
        if draw < 0.34:
            word, kinds = self.pick("on on on on on upon atop across"), "surface surface furniture structure"
        elif draw < 0.66:
            word, kinds = (
                self.pick("in in in in in in inside at at outside through within"),
                "place place container",
            )
            if draw < 0.38:
                if draw < 0.355:
                    tokens, head, _ = self.np("time", plural=False, article="" if draw < 0.35 else "the")
                    return [self.tok("p:at", "case", head), *tokens], head
                word, kinds = self.pick("at at during"), "event"
            elif draw > 0.65:
                name = row_token(self.names.draw())
                return [self.tok("p:in", "case", name), name], name
        else:
            word, kinds = self.pick("near near behind behind beside under under above by beneath over against around among below between along underneath amid throughout opposite"), LANDMARKS  # fmt: skip
        if word == "between" and self.chance() < 0.6:
            first, head, _ = self.np(kinds, plural=False, article="a")
            other, second, _ = self.np(kinds, plural=False, article="a")
            tokens = self.coordinated([(first, head), (other, second)], None, "")
        elif depth and self.chance() < 0.2:
            tokens, head, _ = self.np(kinds, plural=False, depth=1, places=False)
        else:
            tokens, head = self.landmark(kinds, plural=True if word in ("among", "between", "amid") else None)
        return [self.tok("p:" + word, "case", head), *tokens], head

    def adverbial_place(self) -> tuple[Phrase, bool]:
        """ "next to X", "close to X", "left of X", "away from X"; also "out of X", "along with X", "all over X"."""
        tokens, head = self.landmark()
        if self.chance() < 0.82:
            word, _, link = self.pick("next:to next:to next:to close-to:to left:of right:of away:from far-from:from across:from").partition(":")  # fmt: skip
            adverb = self.tok("r:across" if word == "across" else word if "-" in word else "r:" + word)
            phrase = [adverb, *self.preposition(link, (tokens, head), adverb, "obl")]
            if word in ("next", "across") and self.chance() < 0.06:
                phrase.insert(0, self.tok("r:" + self.pick("directly right just"), "advmod", adverb))
            return (phrase, adverb), True
        if self.chance() < 0.15:
            return (
                [self.tok("all-over", "advmod", head), self.tok("p:over", "case", head), *tokens],
                head,
            ), False
        words = self.pick("out:of outside:of inside:of off:of along:with along:with on:to up:to").split(":")
        return ([*[self.tok("p:" + word, "case", head) for word in words], *tokens], head), False

    def part_place(self) -> Phrase:
        """ "in front of X", "on top of X", "to the left of X", "near the edge of X", "on the right side of X"."""
        tokens, head = self.landmark()
        if self.chance() < 0.45:
            before, _, word = self.pick("in:front in:front in:front on:top on:top in:back").partition(":")
            middle = common(word)
            return [self.tok("p:" + before, "case", middle), middle, *self.preposition("of", (tokens, head), middle, "nmod")], middle  # fmt: skip
        before, _, word = self.pick(
            "to:left to:right to:left to:right on:left on:right near:edge on:edge at:edge at:end near:end near:top at:top at:foot "
            "at:bottom on:side by:side on:back in:middle in:center in:corner near:corner at:base at:rear on:front at:head on:inside "
            "near:tip in:shade on:side on:side under:edge over:top above:surface"
        ).partition(":")
        middle = common(word)
        phrase = [self.tok("p:" + before, "case", middle), self.tok("the", "det", middle)]
        if word == "side":
            draw = self.chance()
            if draw < 0.2:
                phrase = [
                    self.tok("p:on", "case", middle),
                    self.tok("either" if draw < 0.15 else "each", "det", middle),
                ]
            elif draw < 0.3:
                middle = ["sides", "NNS", "NOUN", "Number=Plur", "side", None, "", True, None]
                phrase = [self.tok("p:on", "case", middle), self.tok("both", "det", middle)]
            elif draw < 0.75:
                phrase.append(adjective(self.pick("left right other far opposite"), "amod", middle))
        elif word == "corner" and self.chance() < 0.4:
            phrase.append(adjective(self.pick("left right far"), "amod", middle))
        return [*phrase, middle, *self.preposition("of", (tokens, head), middle, "nmod")], middle

    def region(self) -> Phrase:
        """ "in the background", "on the left", "in the top left corner", "on top"."""
        draw = self.chance()
        if draw < 0.12:
            head = common("top")
            return [self.tok("p:on", "case", head), head], head
        if draw < 0.72:
            before, _, word = self.pick("in:background in:background in:background in:foreground in:distance in:air on:left on:right in:middle in:center at:bottom at:top in:front at:back").partition(":")  # fmt: skip
            head = common(word)
            tokens = [self.tok("p:" + before, "case", head)]
            if word != "front":
                tokens.append(self.tok("the", "det", head))
            if word in ("background", "foreground", "distance") and self.chance() < 0.12:
                tokens.append(adjective(self.pick("blurry distant far snowy dark"), "amod", head))
            return [*tokens, head], head
        word = self.pick("side side corner part half")
        head = common(word)
        tokens = [self.tok("p:on" if word == "side" else "p:in", "case", head), self.tok("the", "det", head)]
        if word in ("corner", "part") and self.chance() < 0.6:
            tokens.append(adjective(self.pick("top bottom upper lower"), "amod", head))
        tokens += [adjective(self.pick("left right far"), "amod", head), head]
        if self.chance() < 0.3:
            picture, root, _ = self.np("picture_word", plural=False, article="the")
            tokens += self.preposition("of", (picture, root), head, "nmod")
        return tokens, head

    def path(self) -> Phrase:
        """ "down the road", "through the woods"."""
        word = self.pick("down down down along across through over past into toward up around on in onto off from to under by out-of towards")  # fmt: skip
        tokens, head, _ = self.np("surface surface surface place landscape building structure person", plural=False if self.chance() < 0.8 else None)  # fmt: skip
        return [*[self.tok("p:" + part, "case", head) for part in word.split("-")], *tokens], head

    def where(self, head: Token, *, of_noun: bool, depth: int = 0) -> list[Token]:
        """A place under a noun or a verb."""
        phrase, adverb = self.place(depth)
        if of_noun and phrase[1][0] == "close":
            phrase[1][1:4] = "JJ", "ADJ", "Degree=Pos"
            return under(phrase, head, "amod")
        return under(phrase, head, "advmod" if adverb else "nmod" if of_noun else "obl")

    # -- what follows a noun

    def postmodifier(self, head: Token, plural: bool, depth: int, places: bool = True) -> list[Token]:
        draw = self.chance()
        if draw < 0.32:
            return self.where(head, of_noun=True) if places else self.with_phrase(head)
        if draw < 0.45:
            return self.with_phrase(head)
        if draw < 0.68:
            return under(self.verb_phrase("VBG", head[8] or "person", depth), head, "acl")
        if draw < 0.80:
            return under(self.state_phrase(depth), head, "acl")
        if draw < 0.91:
            return self.relative(head, plural)
        if draw < 0.95:
            tokens, inner, _ = self.np(COMMON)
            return self.preposition("of", (tokens, inner), head, "nmod")
        if draw < 0.975:
            inner = row_token(self.adjectives["color"].draw())
            tokens = [inner]
            if self.chance() < 0.6:
                tokens, inner, _ = self.np("clothing")
            return self.preposition("in", (tokens, inner), head, "nmod")
        return self.measured(head)

    def measured(self, head: Token) -> list[Token]:
        """ "four feet long"; "full of books"; "empty of cars"."""
        if self.chance() < 0.4:
            root = adjective(self.pick("long tall wide high deep"), "amod", head)
            form, _, lemma = self.pick(
                "feet:foot feet:foot inches:inch meters:meter stories:story"
            ).partition(":")
            unit = [form, "NNS", "NOUN", "Number=Plur", lemma, root, "obl:unmarked", True, None]
            return [self.tok("n:" + self.number(), "nummod", unit), unit, root]
        root = adjective(self.pick("full full empty"), "amod", head)
        tokens, inner, _ = self.np("person food vehicle tool plant drink", plural=True, article="")
        return [root, *self.preposition("of", (tokens, inner), root, "obl")]

    def with_phrase(self, head: Token) -> list[Token]:
        """ "with a hat"; with its own predicate: "with its head down", "with candles on top"."""
        if self.chance() < 0.62:
            tokens, inner, _ = self.np(CARRIED, simple=False)
            return self.preposition(
                "with" if self.chance() < 0.95 else "without", (tokens, inner), head, "nmod"
            )
        return self.with_clause(head, "acl", CARRIED)

    def with_clause(
        self, head: Token, dep: str, kinds: Kinds = "person animal plant food tool clothing vehicle"
    ) -> list[Token]:
        """ "with" before a subject and a predicate without "be" (in UD a clause: mark, nsubj)."""
        tokens, subject, _ = self.np(kinds, simple=self.chance() < 0.8)
        draw = self.chance()
        role = "nsubj"
        if draw < 0.10:
            top = common("top")
            phrase = [self.tok("p:on", "case", top), top], top
        elif draw < 0.25:
            phrase = self.region()
        elif draw < 0.45:
            phrase = self.worn_place()
        elif draw < 0.70:
            phrase = self.verb_phrase("VBG", subject[8] or "person", 0)
        elif draw < 0.88:
            verb = row_token(self.states.draw().forms["VBN"])
            phrase, role = ([verb, *self.where(verb, of_noun=False)], verb), "nsubj:pass"
        else:
            word = self.pick("down up back over open closed visible")
            predicate = adjective(word) if word in ("open", "closed", "visible") else self.tok("r:" + word)
            phrase = [predicate], predicate
        root = phrase[1]
        body = under(phrase, head, dep)
        subject[5], subject[6] = root, role
        return [self.tok("with", "mark", root), *tokens, *body]

    def worn_place(self) -> Phrase:
        """ "on its head", "around his neck", "behind it"."""
        word = self.pick("on on in around behind over under above inside near")
        if self.chance() < 0.35:
            inner = self.tok(self.pick("it-acc it-acc them him her"))
            return [self.tok("p:" + word, "case", inner), inner], inner
        tokens, inner, _ = self.np("part part part furniture structure", plural=False, article="")
        return [self.tok("p:" + word, "case", inner), self.owner(inner), *tokens], inner

    def state_phrase(self, depth: int = 0) -> Phrase:
        """ "covered in snow", "parked on the street", "surrounded by trees", "made of wood", "dressed in red"."""
        draw = self.chance()
        if draw < 0.38:
            verb = row_token(self.states.draw().forms["VBN"])
            return [verb, *self.where(verb, of_noun=False, depth=depth)], verb
        label, words = "obl", "of from"
        if draw < 0.58:
            verb = row_token(self.agents.draw().forms["VBN"])
            tokens, inner, _ = self.np(
                "plant person building landscape animal vehicle structure", depth=depth, simple=False
            )
            label, words = "obl:agent", "by"
        elif draw < 0.82:
            verb = row_token(self.with_states.draw().forms["VBN"])
            tokens, inner, _ = self.np(
                "cover cover cover food plant person decoration text tool", plural=True, article=""
            )
            words = "with with in"
        elif draw < 0.88:
            verb = row_token(self.by_lemma["make"].forms["VBN"])
            tokens, inner, _ = self.np("material", article="")
        elif draw < 0.91:
            verb, inner = row_token(self.written.draw().forms["VBN"]), common(self.writing.draw())
            tokens, words = [inner], "in in with"
        elif draw < 0.96:
            verb = row_token(self.by_lemma["dress"].forms["VBN"])
            tokens, inner, _ = self.np("clothing", plural=None, article=None if self.chance() < 0.6 else "")
            words = "in"
        else:
            verb = row_token(self.by_lemma["dress"].forms["VBN"])
            tokens, inner, _ = self.np("person animal", article="a", plural=False)
            words = "as"
        return [verb, *self.preposition(self.pick(words), (tokens, inner), verb, label)], verb

    # -- relative clauses

    def relative(self, head: Token, plural: bool) -> list[Token]:
        """ "who rides a horse", "that is red", "the man is riding", "the bears are on", "whose hat is red"."""
        draw = self.chance()
        kind = head[8] or "person"
        if draw < 0.62:
            pronoun = self.tok(
                self.pick("who who that") if kind == "person" else self.pick("that that that which")
            )
            body, root, passive = self.predicate(plural, kind, rich=False)
            pronoun[5], pronoun[6] = root, "nsubj:pass" if passive else "nsubj"
            return [pronoun, *under((body, root), head, "acl:relcl")]
        if draw < 0.88:
            return self.object_relative(head)
        if draw < 0.94:
            tokens, subject, many = self.np("part clothing animal_part plant", article="")
            body, root = self.predicate_adjective()
            subject[5], subject[6] = root, "nsubj"
            be = self.tok("are" if many else "is", "cop", root)
            return [
                self.tok("whose", "nmod:poss", subject),
                *tokens,
                be,
                *under((body, root), head, "acl:relcl"),
            ]
        tokens, subject, many = self.np("person animal", simple=False)
        body, root, passive = self.predicate(many, "person", rich=False)
        subject[5], subject[6] = root, "nsubj:pass" if passive else "nsubj"
        return [self.tok("where", "advmod", root), *tokens, *under((body, root), head, "acl:relcl")]

    def object_relative(self, head: Token) -> list[Token]:
        """ "the man is riding", "that a dog chews"; with a stranded preposition "the bears are on", "the cat sleeps on"."""
        tokens, subject, many = self.np("person animal", article="the" if self.chance() < 0.6 else None)
        before: list[Token] = []
        draw = self.chance()
        if draw < 0.6:
            verb = self.verbs[id(self.transitive.draw())].draw()
            verb_tokens, root = self.finite(verb, many)
            if draw < 0.3:
                before = [self.tok(self.pick("that which"), "obj", root)]
        else:
            word = self.pick("on on in at with under near behind")
            if draw < 0.78:
                root = self.tok("p:" + word)
                verb_tokens = [self.tok("are" if many else "is", "cop", root), root]
            else:
                verb = self.by_lemma[
                    self.pick("sit stand lie play lean rest look walk ride sleep perch work drive")
                ]
                verb_tokens, root = self.finite(verb, many)
                verb_tokens.append(self.tok("p:" + word, "obl", root))
        subject[5], subject[6] = root, "nsubj"
        return [*before, *tokens, *under((verb_tokens, root), head, "acl:relcl")]

    # -- verbs

    def group_for(self, kind: str) -> VerbGroup:
        return self.any_group.draw() if self.chance() < UNRELATED else self.of_subject[kind].draw()

    def verb_phrase(self, tag: str, kind: str, depth: int = 0) -> Phrase:
        """A verb in one form with what follows it."""
        group = self.group_for(kind)
        head = row_token(self.verbs[id(group)].draw().forms[tag])
        return [head, *self.complements(group, head, depth)], head

    def complements(self, group: VerbGroup, head: Token, depth: int) -> list[Token]:
        """Objects, particles and places of a verb of a group."""
        frame, draw = group.frame, self.chance()
        if frame == "place":
            tokens = self.manner(head) if draw < 0.10 else []
            return (
                tokens + self.where(head, of_noun=False, depth=depth)
                if draw > 0.05 and draw < 0.9
                else tokens
            )
        if frame == "path":
            tokens = []
            if draw < 0.10:
                tokens.append(self.tok("r:" + self.pick("around away along together forward downhill quickly slowly"), "advmod", head))  # fmt: skip
            return tokens + under(self.path(), head, "obl") if draw > 0.06 and draw < 0.94 else tokens
        if frame == "part":
            tokens = [self.tok("r:" + self.pick(" ".join(group.words)), "advmod", head)]
            return tokens + self.where(head, of_noun=False, depth=depth) if draw < 0.6 else tokens
        if frame == "light":
            return self.light_object(group, head)
        kinds = THINGS if self.chance() < UNRELATED else " ".join(group.objects)
        if frame == "tr":
            if "picture_word" in group.subjects:
                tokens, inner, _ = self.np(kinds, depth=depth + 1, simple=False)
                tokens = under((tokens, inner), head, "obj")
                return tokens + under(self.region(), head, "obl") if draw < 0.15 else tokens
            tokens, inner, _ = self.np(kinds, depth=depth, simple=False, places=False)
            tokens = under((tokens, inner), head, "obj")
            return tokens + self.where(head, of_noun=False) if draw < 0.3 else tokens
        if frame == "pp":
            words = self.pick(" ".join(group.words))
            tokens, inner, _ = self.np(kinds, depth=depth, simple=False, places=False)
            if words == "away~from":
                adverb = self.tok("r:away", "advmod", head)
                return [adverb, *self.preposition("from", (tokens, inner), adverb, "obl")]
            return self.preposition(words, (tokens, inner), head, "obl")
        particle = self.tok("prt:" + self.pick(" ".join(group.words)), "compound:prt", head)
        tokens, inner, _ = self.np(kinds)
        tokens = under((tokens, inner), head, "obj")
        return [particle, *tokens] if draw < 0.7 else [*tokens, particle]

    def light_object(self, group: VerbGroup, head: Token) -> list[Token]:
        """ "takes a walk", "goes for a ride": the noun of an action after a verb that says little."""
        tokens, many, mass = self.noun_tokens("action", False if self.chance() < 0.85 else None)
        inner = tokens[-1]
        if self.chance() < 0.25:
            tokens = self.compounded(inner) + tokens
        tokens = self.modifiers(inner, "action") + tokens
        if not mass and not many:
            tokens.insert(0, self.tok(self.pick("a a a the another"), "det", inner))
        if group.words != ("",):
            tokens = self.preposition(self.pick(" ".join(group.words)), (tokens, inner), head, "obl")
        else:
            tokens = under((tokens, inner), head, "obj")
        return tokens + self.where(head, of_noun=False) if self.chance() < 0.4 else tokens

    def manner(self, head: Token) -> list[Token]:
        words = "quietly peacefully happily slowly intently together alone outside nearby upright gently neatly closely"
        return [self.tok("r:" + self.pick(words), "advmod", head)]

    def finite(self, verb: Verb, plural: bool, draw: float | None = None) -> Phrase:
        """ "rides", "ride", "is riding", "rode", "can ride", "isn't riding": tokens that end with the verb, and the verb."""
        if draw is None:
            draw = self.chance()
        if draw < 0.66:
            head = row_token(verb.forms["VBP" if plural else "VBZ"])
            return [head], head
        if draw >= 0.90 and draw < 0.94:
            head = row_token(verb.forms["VBD"])
            if plural:
                head[3] = head[3].replace("Sing", "Plur")
            return [head], head
        if draw >= 0.94 and draw < 0.955:
            head = row_token(verb.forms["VB"])
            return [self.tok(self.pick("can could may might"), "aux", head), head], head
        head = row_token(verb.forms["VBG"])
        be = self.tok("are" if plural else "is", "aux", head)
        if draw < 0.90:
            return [be, head], head
        if draw < 0.975:
            return [be, self.denial(head, be), head], head
        return [
            be,
            self.tok("r:" + self.pick("also currently happily carefully slowly"), "advmod", head),
            head,
        ], head

    def denial(self, head: Token, after: Token) -> Token:
        """ "not", or "n't" joined to the verb before it."""
        if self.chance() < 0.5:
            after[7] = False
            return self.tok("n't", "advmod", head)
        return self.tok("not", "advmod", head)

    def predicate(self, plural: bool, kind: str, depth: int = 0, *, rich: bool = True) -> Marked:
        """What is said of a subject: tokens, head, whether passive."""
        draw = self.chance()
        if draw < (0.84 if rich else 0.62):
            group = self.group_for(kind)
            tokens, head = self.finite(self.verbs[id(group)].draw(), plural)
            return tokens + self.complements(group, head, depth), head, False
        be = "are" if plural else "is"
        if draw < 0.92:
            tokens, head = self.state_phrase(depth)
            return [self.tok(be, "aux:pass", head), *tokens], head, True
        tokens, head = self.predicate_adjective() if self.chance() < 0.5 else self.place(depth)[0]
        return [self.tok(be, "cop", head), *tokens], head, False

    def predicate_adjective(self, kinds: Kinds = "predicate predicate color quality") -> Phrase:
        """ "red", "serene and cloudy", "very tall"."""
        kind = self.pick(kinds)
        head = row_token(self.adjectives[kind].draw())
        draw = self.chance()
        if draw < 0.25:
            others = [row_token(self.adjectives[kind].draw()) for _ in range(1 if draw < 0.2 else 2)]
            phrases: list[Phrase] = [([token], token) for token in (head, *others)]
            return self.coordinated(phrases, None, ""), head
        if draw < 0.33:
            adverb = self.tok(
                "r:" + self.pick("very slightly mostly partially fully too almost"), "advmod", head
            )
            return [adverb, head], head
        return [head], head
