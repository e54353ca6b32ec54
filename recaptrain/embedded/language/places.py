"""Phrases that say where: "on the table", "next to a dog", "in the background"."""

from __future__ import annotations

from recaptrain.embedded.language.noun_phrases import LANDMARKS, Kinds, NounPhrases
from recaptrain.embedded.language.tokens import (
    Phrase,
    Token,
    adjective,
    common,
    plural_noun,
    row_token,
    under,
)


class Places(NounPhrases):
    """Rules for places."""

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
                middle = plural_noun("sides", "side")
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
        if of_noun and phrase[1].form == "close":
            close = phrase[1]
            close.tag, close.pos, close.morph = "JJ", "ADJ", "Degree=Pos"
            return under(phrase, head, "amod")
        return under(phrase, head, "advmod" if adverb else "nmod" if of_noun else "obl")

    def worn_place(self) -> Phrase:
        """ "on its head", "around his neck", "behind it"."""
        word = self.pick("on on in around behind over under above inside near")
        if self.chance() < 0.35:
            inner = self.tok(self.pick("it-acc it-acc them him her"))
            return [self.tok("p:" + word, "case", inner), inner], inner
        tokens, inner, _ = self.np("part part part furniture structure", plural=False, article="")
        return [self.tok("p:" + word, "case", inner), self.owner(inner), *tokens], inner
