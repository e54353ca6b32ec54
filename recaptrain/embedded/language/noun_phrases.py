"""Noun phrases of captions: determiners, modifiers, nouns, groups, coordination."""

from __future__ import annotations

import random
from functools import cache
from typing import Any, TypeAlias

from recaptrain.embedded.language.tokens import Marked, Phrase, Token, common, parts_of, row_token, under
from recaptrain.embedded.language.words import Deck, Noun, lexicon

Kinds: TypeAlias = str
"""Kinds of nouns, one for each share of the draws."""

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


@cache
def options(words: str) -> tuple[str, ...]:
    return tuple(words.split())


class Draws:
    """Every draw of the grammar, from one seeded generator."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        self.chance = self.rng.random
        words = lexicon()
        self.rows = words.function_words
        self.by_lemma = words.verb_by_lemma
        self.modifier_kinds, self.determiners = words.modifiers, words.determiners
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
        return row_token(self.rows[key], dep, head)


class NounPhrases(Draws):
    """Rules for noun phrases."""

    def postmodifier(self, head: Token, plural: bool, depth: int, places: bool = True) -> list[Token]:
        """What follows a noun; a rule of `verb_phrases`, since it may hold verbs."""
        raise NotImplementedError

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
        tokens[-1].kind = kind
        return tokens, plural, entry.mass

    def modifiers(self, head: Token, kind: str) -> list[Token]:
        """Zero to three words before a noun."""
        draw = self.chance()
        if draw < 0.56:
            return []
        if self.chance() < 0.12:
            kinds = "size color quality person place participle present animate hyphenated"
        else:
            kinds = self.modifier_kinds.get(kind, self.modifier_kinds["other"])
        if draw > 0.965:
            return self.paired_modifiers(head, kinds)
        first, second = self.pick(kinds), self.pick(kinds)
        tokens = self.modifier(head, first)
        if draw > 0.85 and not first == second == "color":
            more = self.modifier(head, second)
            if more[-1].form in [token.form for token in tokens] or (
                tokens[0].pos == "VERB" and more[-1].pos == "VERB"
            ):
                return tokens
            if tokens[-1].dep == "compound":
                return tokens if more[-1].dep == "compound" else more + tokens
            if more[-1].dep == "amod" and (first == second or self.chance() < 0.12):
                tokens[-1].space = False
                tokens.append(self.tok(",", "punct", tokens[-1]))
            tokens += more
        if first in ("size", "person", "place", "food", "mood") and self.chance() < 0.06:
            tokens.insert(0, self.tok("r:very", "advmod", tokens[0]))
        return tokens

    def modifier(self, head: Token, kind: str) -> list[Token]:
        if kind == "hyphenated":
            tokens = parts_of(self.hyphenated.draw())
            tokens[-1].head, tokens[-1].dep = head, "amod" if tokens[-1].pos != "NOUN" else "compound"
            return tokens
        token = row_token(self.adjectives[kind].draw(), "amod", head)
        if token.pos == "NOUN":
            token.dep = "compound"
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
        first.head, first.dep = head, dep
        tokens = list(phrases[0][0])
        oxford = len(phrases) > 2 and self.chance() < 0.55
        for place, phrase in enumerate(phrases[1:], 2):
            last = place == len(phrases)
            if not last or oxford:
                tokens[-1].space = False
                tokens.append(self.tok(",", "punct", phrase[1]))
            if last:
                tokens.append(self.tok("and" if self.chance() < 0.96 else "or", "cc", phrase[1]))
            tokens += under(phrase, first, "conj")
        return tokens

    def determiner(self, head: Token, plural: bool, mass: bool, depth: int) -> list[Token]:
        draw = self.chance()
        if self.telegraphic and draw < 0.9:
            return [self.tok("n:" + self.number(), "nummod", head)] if plural and draw < 0.3 else []
        kind = "mass" if mass else "plural" if plural else "singular"
        words = next(words for bound, words in self.determiners[kind] if draw < bound)
        if words in ("owner", "possessor"):
            return self.possessor(head) if words == "possessor" and depth else [self.owner(head)]
        if words == "a dozen":
            dozen = self.tok("dozen", "nummod", head)
            return [self.tok("a", "det", dozen), dozen]
        tokens = []
        for word in words.split():
            keys, _, label = word.partition("/")
            key = "n:" + self.number() if keys == "#" else keys
            tokens.append(self.tok(self.pick(key.replace("|", " ")) if "|" in key else key, label, head))
        return tokens

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
        owner.head, owner.dep, owner.space = head, "nmod:poss", False
        tokens = self.determiner(owner, plural, mass, 0) + tokens
        if len(tokens) == 1 and not plural:
            tokens.insert(0, self.tok("a", "det", owner))
        tokens.append(self.tok("'" if plural and owner.form.endswith("s") else "'s", "case", owner))
        return tokens

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
                group.form, group.lemma = "pairs" if many else "pair", "pair"
            if many:
                before = [self.tok("n:" + self.number(), "nummod", group)]
            else:
                before = [self.tok("a" if draw < 0.72 else "the", "det", group)]
                many = self.chance() < 0.55
            if self.chance() < 0.15:
                before.append(row_token(self.adjectives["size"].draw(), "amod", group))
        group.kind = head.kind
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
        group.kind = "food"
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
        group.kind = head.kind or "person"
        return [group, *self.preposition("of", (tokens, head), group, "nmod")], group, key != "n:one"

    def joined_phrase(self, kinds: Kinds) -> Marked:
        """ "a man and a woman", "a knife, a fork and a spoon"."""
        phrases = [self.np(kinds)[:2] for _ in range(2 if self.chance() < 0.75 else 3)]
        return self.coordinated(phrases, None, ""), phrases[0][1], True

    def preposition(self, words: str, phrase: Phrase, head: Token, dep: str) -> list[Token]:
        """A phrase with its prepositions ("out of": both are case markers) under a head."""
        root = phrase[1]
        root.head, root.dep = head, dep
        if " " in words:
            return [*[self.tok("p:" + word, "case", root) for word in words.split()], *phrase[0]]
        return [self.tok("p:" + words, "case", root), *phrase[0]]
