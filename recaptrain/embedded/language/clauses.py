"""Clauses with a subject and a verb, and what long captions hang on them."""

from __future__ import annotations

from recaptrain.embedded.language.noun_phrases import COMMON, THINGS, UNRELATED, Kinds
from recaptrain.embedded.language.tokens import (
    Marked,
    Phrase,
    Token,
    adjective,
    common,
    present,
    row_token,
    under,
    verbal,
)
from recaptrain.embedded.language.verb_phrases import VerbPhrases
from recaptrain.embedded.language.words import PARTICIPLE


class Clauses(VerbPhrases):
    """Rules for clauses and their parts."""

    def subject(self, kinds: Kinds = "", depth: int = 1, article: str | None = None) -> Marked:
        if not kinds:
            draw = self.chance()
            kinds = (
                "person" if draw < 0.32 else "animal" if draw < 0.46 else "vehicle" if draw < 0.55 else THINGS
            )
        return self.np(
            kinds, depth=depth if self.chance() < 0.5 else 0, simple=self.chance() < 0.3, article=article
        )

    def said(self, subject: Phrase, body: Marked) -> Phrase:
        """Subject and predicate."""
        tokens, root, passive = body
        return under(subject, root, "nsubj:pass" if passive else "nsubj") + tokens, root

    def small_clause(self) -> Phrase:
        """A subject and a predicate, to be joined to another clause."""
        tokens, head, plural = self.subject(depth=0)
        return self.said((tokens, head), self.predicate(plural, head.kind or "person"))

    def clause(self) -> Phrase:
        """NP V …, with what dense captions hang on it."""
        group = self.any_group.draw()
        name = self.kind(THINGS if self.chance() < UNRELATED else " ".join(group.subjects))
        tokens, head, plural = self.subject(name)
        verb_tokens, root = self.finite(self.verbs[id(group)].draw(), plural)
        tokens = under((tokens, head), root, "nsubj") + verb_tokens + self.complements(group, root, 1)
        return self.extended(tokens, root, name)

    def extended(self, tokens: list[Token], root: Token, kind: str) -> Phrase:
        """A clause, some of the time with a second verb, a participle, a subordinate clause or another clause."""
        draw = self.chance()
        if draw < 0.60:
            return tokens, root
        if draw < 0.70:
            return tokens + self.tail(tokens, root, kind), root
        if draw < 0.79:
            group = self.group_for(kind)
            tag = root.tag if root.tag in ("VBZ", "VBP", "VBD", "VBG", "VB") else "VBZ"
            head = row_token(self.verbs[id(group)].draw().forms[tag], "conj", root)
            head.morph = root.morph if tag == root.tag else head.morph
            return [*tokens, self.tok("and", "cc", head), head, *self.complements(group, head, 0)], root
        if draw < 0.90:
            return tokens + self.subordinate(tokens, root, kind), root
        if draw < 0.95:
            clause, head = self.small_clause()
            tokens[-1].space = False
            word = "and" if self.chance() < 0.8 else "but"
            clause = under((clause, head), root, "conj")
            return [*tokens, self.tok(",", "punct", head), self.tok(word, "cc", head), *clause], root
        clause = self.with_clause(root, "advcl")
        if self.chance() < 0.5:
            tokens[-1].space = False
            clause.insert(0, self.tok(",", "punct", clause[0].head))
        return tokens + clause, root

    def tail(self, tokens: list[Token], root: Token, kind: str) -> list[Token]:
        """ ", holding a bat", ", surrounded by trees", ", creating a sense of warmth"."""
        draw = self.chance()
        if draw < 0.55:
            body, head = self.verb_phrase("VBG", kind)
        else:
            body, head = self.state_phrase() if draw < 0.7 else self.effect()
        body = under((body, head), root, "advcl")
        if draw < 0.12:
            return body
        tokens[-1].space = False
        return [self.tok(",", "punct", head), *body]

    def effect(self) -> Phrase:
        """ "creating a sense of calm", "adding to the charm of the scene", "giving the room a cozy feel"."""
        draw = self.chance()
        if draw < 0.5:
            form, _, base = self.pick(
                "creating:create adding:add giving:give providing:provide bringing:bring conveying:convey suggesting:suggest "
                "lending:lend evoking:evoke"
            ).partition(":")
            head = verbal(form, "VBG", PARTICIPLE, base)
            return [head, *under(self.sense(), head, "obj")], head
        if draw < 0.75:
            head = verbal("adding", "VBG", PARTICIPLE, "add")
            tokens, inner, _ = self.np("abstract ambience", article="the", plural=False)
            other, last, _ = self.np("ambience place picture_word", article="the", plural=False)
            tokens = tokens + self.preposition("of", (other, last), inner, "nmod")
            return [head, *self.preposition("to", (tokens, inner), head, "obl")], head
        head = verbal("giving", "VBG", PARTICIPLE, "give")
        who, first, _ = self.np("place ambience picture_word", article="the", plural=False)
        feel = common(self.pick("feel look appearance touch character charm"))
        modifier = row_token(self.adjectives["mood"].draw(), "amod", feel)
        what = [self.tok("a", "det", feel), modifier, feel]
        return [head, *under((who, first), head, "iobj"), *under((what, feel), head, "obj")], head

    def sense(self) -> Phrase:
        """ "a sense of tranquility and warmth", "a cozy atmosphere"."""
        if self.chance() < 0.55:
            head = common(self.pick("sense sense feeling touch air mood atmosphere"))
            phrases = [
                self.np("abstract", article="", plural=False)[:2]
                for _ in range(1 if self.chance() < 0.6 else 2)
            ]
            tokens = self.coordinated(phrases, None, "")
            return [self.tok("a", "det", head), head, *self.preposition("of", (tokens, phrases[0][1]), head, "nmod")], head  # fmt: skip
        tokens, _, _ = self.noun_tokens("ambience", False)
        head = tokens[-1]
        return [
            self.tok("a", "det", head),
            row_token(self.adjectives["mood"].draw(), "amod", head),
            *tokens,
        ], head

    def subordinate(self, tokens: list[Token], root: Token, kind: str) -> list[Token]:
        """ "while holding a cup", "as a dog runs by", "to catch a ball", ", ready to hit a ball"."""
        draw = self.chance()
        if draw < 0.35:
            body, head = self.verb_phrase("VBG", kind)
            return [self.tok("while", "mark", head), *under((body, head), root, "advcl")]
        if draw < 0.75:
            clause, head = self.small_clause()
            body = [self.tok(self.pick("while as as"), "mark", head), *under((clause, head), root, "advcl")]
            if self.chance() < 0.3:
                tokens[-1].space = False
                body.insert(0, self.tok(",", "punct", head))
            return body
        body, head = self.verb_phrase("VB", kind)
        body.insert(0, self.tok("to", "mark", head))
        if draw < 0.92:
            return under((body, head), root, "advcl")
        ready = adjective("ready", "advcl", root)
        tokens[-1].space = False
        return [self.tok(",", "punct", ready), ready, *under((body, head), ready, "xcomp")]

    def joined(self, first: Phrase, second: Phrase) -> Phrase:
        """Two clauses with "while" or "and" between them."""
        (tokens, root), (clause, head) = first, second
        if self.chance() < 0.5:
            head.head, head.dep = root, "advcl"
            link = [self.tok("while", "mark", head)]
        else:
            head.head, head.dep = root, "conj"
            link = [self.tok(self.pick("and and but"), "cc", head)]
        if self.chance() < 0.5:
            tokens[-1].space = False
            link.insert(0, self.tok(",", "punct", head))
        return [*tokens, *link, *clause], root

    def compared(self) -> Phrase:
        """ "taller than the tree", "as big as a car"."""
        other, inner, _ = self.np(COMMON, article="the" if self.chance() < 0.7 else None)
        if self.chance() < 0.25:
            root = adjective(self.pick("tall big large small long wide old"))
            as_: Token = Token("as", "RB", "ADV", "", "as", root, "advmod")
            return [as_, root, *self.preposition("as", (other, inner), root, "obl")], root
        root = row_token(self.adjectives["comparative"].draw())
        tokens = [root, *self.preposition("than", (other, inner), root, "obl")]
        if self.chance() < 0.2:
            tokens.insert(0, self.tok("r:" + self.pick("slightly almost"), "advmod", root))
        return tokens, root

    def seeming(self, subject: Phrase, plural: bool) -> Phrase:
        """ "appears to be sleeping", "seems happy", "looks like a toy"."""
        base = self.pick("appear appear seem look")
        root = present(base, plural=plural)
        start = [*under(subject, root, "nsubj"), root]
        if base == "look":
            if self.chance() < 0.6:
                what, inner, _ = self.np(COMMON, plural=plural)
                return start + self.preposition("like", (what, inner), root, "obl"), root
            return start + under(self.predicate_adjective(), root, "xcomp"), root
        draw = self.chance()
        if draw < 0.5:
            body, head = self.verb_phrase("VBG", subject[1].kind or "person")
            body = [self.tok("to", "mark", head), self.tok("be", "aux", head), *body]
        elif draw < 0.85:
            body, head = self.np(COMMON, plural=plural)[:2] if draw < 0.7 else self.place()[0]
            body = [self.tok("to", "mark", head), self.tok("be", "cop", head), *body]
        else:
            body, head = self.predicate_adjective()
        return start + under((body, head), root, "xcomp"), root

    def indefinite(self, kinds: Kinds = COMMON, depth: int = 1) -> Marked:
        """A noun phrase that brings in something new: mostly without "the" and without an owner."""
        draw = self.chance()
        if draw < 0.4:
            return self.np(kinds, plural=False, depth=depth, article="a")
        return self.np(kinds, plural=True if draw < 0.85 else None, depth=depth, simple=draw > 0.6)

    def existential(self) -> Phrase:
        """ "There is a dog in the yard", "there are two men riding bikes"."""
        tokens, subject, plural = self.indefinite()
        draw = self.chance()
        root = self.tok(("were" if plural else "was") if draw < 0.05 else "are" if plural else "is")
        root.pos = "VERB"
        there = self.tok("there", "expl", root)
        if not plural and draw > 0.93:
            root.form, there.space = "'s", False
        middle = [self.tok("r:also", "advmod", root)] if 0.05 < draw < 0.11 else []
        modified = tokens[-1] is not subject
        tokens = [there, root, *middle, *under((tokens, subject), root, "nsubj")]
        if self.chance() < 0.55:
            tokens += self.where(root if modified else subject, of_noun=not modified)
        return tokens, root
