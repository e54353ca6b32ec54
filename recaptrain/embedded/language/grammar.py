"""A grammar of captions that yields sentences with their gold Universal Dependencies trees.

A web treebank says little of what captions say: that zebras graze, a truck drives down a road, an orange sits on a plate.
The sentences here are drawn from word lists (`grammar.yaml`) by rules for the constructions of captions, short and
long: whole sentences with a finite verb after every kind of subject, fragments, lists, places, inversion, relative clauses,
passives, comparisons, negation. Words that are both noun and verb come in both roles. Subjects and objects mostly suit
their verb; in one draw of seven they do not, so that the syntax alone tells the words' roles.
Tags, labels and attachments are those of UD English EWT in spaCy's form ("ROOT" for the root).
"""

from __future__ import annotations

from collections.abc import Iterator

from recaptrain.embedded.language.noun_phrases import COMMON, THINGS
from recaptrain.embedded.language.sentences import Sentences
from recaptrain.embedded.language.tokens import (
    Phrase,
    Token,
    adjective,
    common,
    finished,
    present,
    row_token,
    statement,
    under,
    verbal,
)
from recaptrain.embedded.language.treebank import Tree
from recaptrain.embedded.language.words import GERUND, PASSIVE, Deck

#: How often each rule is used, as shares of the whole.
RULES = {
    "clause": 30, "fronted_clause": 9, "fragment": 15, "existential": 6, "picture_sentence": 6, "passive": 6, "copula": 7,
    "inversion": 5, "pronoun_clause": 6, "contrast": 4, "negation": 3, "listing": 5, "template": 4, "ambience": 3,
    "possession": 4, "text_sentence": 2, "bare_triple": 1, "interrupted": 2, "vague": 1,
}  # fmt: skip


def grammar_trees(count: int, *, seed: int) -> Iterator[Tree]:
    """So many captions with their trees, always the same for one seed."""
    grammar = Grammar(seed)
    for _ in range(count):
        yield grammar.tree()


class Grammar(Sentences):
    """Rules for captions as a whole, of which one is drawn for each tree."""

    def __init__(self, seed: int) -> None:
        super().__init__(seed)
        names = [name for name, weight in RULES.items() for _ in range(weight)]
        self.rules: Deck[str] = self.deck(names)

    def tree(self) -> Tree:
        """One sentence or fragment, written in one of the ways captions are."""
        self.telegraphic = self.chance() < 0.07
        tokens, root = phrase = getattr(self, self.rules.draw())()
        whole = root.pos in ("VERB", "AUX") or any(
            token.head is root and token.dep in ("cop", "nsubj") for token in tokens
        )
        draw = self.chance()
        if self.telegraphic or not whole:
            capital = draw > 0.62 and not (self.telegraphic and draw < 0.8)
            stop = "." if draw > 0.86 or 0.5 < draw < 0.54 else " ." if 0.54 < draw < 0.62 else ""
        else:
            capital = draw > 0.32
            stop = "." if draw > 0.44 or draw < 0.08 else " ." if draw < 0.14 else ""
        return finished(phrase, capital=capital, stop=stop)

    def picture_sentence(self) -> Phrase:
        """ "The image features a bench", "A photo of a dog", "The picture was taken at night", "The scene is set in a park"."""
        draw = self.chance()
        if draw < 0.62:
            group = next(group for group in self.groups if "picture_word" in group.subjects)
            tokens, head, plural = self.np("picture_word", plural=self.chance() < 0.12, article="the" if self.chance() < 0.75 else None)  # fmt: skip
            if self.chance() < 0.15:
                inner_tokens, inner, _ = self.np(COMMON)
                tokens = tokens + self.preposition("of", (inner_tokens, inner), head, "nmod")
            verb_tokens, root = self.finite(self.verbs[id(group)].draw(), plural, self.chance() * 0.7)
            tokens = under((tokens, head), root, "nsubj") + verb_tokens + self.complements(group, root, 1)
            return self.extended(tokens, root, "person") if self.chance() < 0.3 else (tokens, root)
        if draw < 0.82:
            tokens, head, _ = self.np("picture_word", plural=False, article=self.pick("a a the") if self.chance() < 0.75 else "")  # fmt: skip
            if self.chance() < 0.2:
                black, white = adjective("black"), adjective("white")
                at = 1 if tokens[0].tag == "DT" else 0
                tokens[at:at] = self.coordinated([([black], black), ([white], white)], head, "amod")
            what, inner, _ = self.np(COMMON, depth=2, simple=False)
            return tokens + self.preposition("of", (what, inner), head, "nmod"), head
        tokens, head, _ = self.np("picture_word ambience", plural=False, article="the")
        form, _, base = self.pick(
            "taken:take set:set set:set framed:frame shot:shoot captured:capture"
        ).partition(":")
        root = verbal(form, "VBN", PASSIVE, base)
        be = self.tok(self.pick("is was"), "aux:pass", root)
        place = under(self.simple_place(1), root, "obl")
        return [*under((tokens, head), root, "nsubj:pass"), be, root, *place], root

    def template(self) -> Phrase:
        """ "a photo of a cow right of a laptop", "a red car left of a dog", "a photo of three clocks"."""
        what, inner, _ = self.np(COMMON, plural=None if self.chance() < 0.3 else False, article=None if self.chance() < 0.5 else "a")  # fmt: skip
        other, last, _ = self.np(COMMON, article="a", plural=False)
        draw = self.chance()
        if draw < 0.5:
            word, _, link = self.pick("left:of right:of left:of right:of next:to").partition(":")
            adverb = self.tok("r:" + word, "advmod", inner)
            what = [*what, adverb, *self.preposition(link, (other, last), adverb, "obl")]
        elif draw < 0.8:
            word = self.pick("above below on under beside behind near")
            what = what + self.preposition(word, (other, last), inner, "nmod")
        elif draw < 0.9:
            what = self.coordinated([(what, inner), (other, last)], None, "")
        if self.chance() < 0.5:
            return what, inner
        picture, head, _ = self.np("picture_word", plural=False, article="a")
        return picture + self.preposition("of", (what, inner), head, "nmod"), head

    def bare_triple(self) -> Phrase:
        """ "person wear hat", "sky above tree": templates without articles."""
        tokens, subject, _ = self.np(COMMON, plural=False, article="")
        if self.chance() < 0.5:
            other, inner, _ = self.np(COMMON, plural=False, article="")
            word = self.pick("on in above below behind near under beside front next")
            if word == "next":
                adverb = self.tok("r:next", "advmod", subject)
                return [*tokens, adverb, *self.preposition("to", (other, inner), adverb, "obl")], subject
            if word == "front":
                middle = common("front", "nmod", subject)
                before = [self.tok("p:in", "case", middle), middle]
                return [*tokens, *before, *self.preposition("of", (other, inner), middle, "nmod")], subject
            return tokens + self.preposition(word, (other, inner), subject, "nmod"), subject
        group = self.transitive.draw()
        root = row_token(self.verbs[id(group)].draw().forms["VBZ" if self.chance() < 0.6 else "VBP"])
        other, inner, _ = self.np(" ".join(group.objects), plural=False, article="")
        return statement((tokens, subject), root, (other, inner))

    def ambience(self) -> Phrase:
        """ "The scene conveys a sense of calm", "The lighting is soft and warm", "The overall mood is peaceful"."""
        tokens, subject, _ = self.np("ambience ambience picture_word", plural=False, article="the")
        if self.chance() < 0.3:
            inner = common(self.pick("scene image photo room painting"))
            of = self.preposition("of", ([self.tok("the", "det", inner), inner], inner), subject, "nmod")
            tokens = tokens + of
        draw = self.chance()
        if draw < 0.5:
            base = self.pick("convey create give evoke suggest exude add set capture")
            return statement((tokens, subject), present(base), self.sense())
        if draw < 0.9:
            body, root = self.predicate_adjective("mood mood mood predicate")
        else:
            body, root = self.sense()
        return [*under((tokens, subject), root, "nsubj"), self.tok("is", "cop", root), *body], root

    def quotation(self) -> Phrase:
        """A name or notice in quotation marks."""
        parts = self.quotes.draw().replace("~", "_~").split("_")
        tokens: list[Token] = []
        for place, part in enumerate(parts):
            word = part.removeprefix("~")
            if word.isdigit():
                token = Token(word, "CD", "NUM", "NumForm=Digit|NumType=Card", word)
            elif place + 1 < len(parts) and parts[place + 1].startswith("~"):
                token = Token(word, "NNP", "ADJ", "Degree=Pos", word, None, "amod")
            else:
                token = Token(word, "NNP", "PROPN", "Number=Sing", word, None, "compound")
            tokens.append(token)
        head = tokens[-1]
        for token in tokens[:-1]:
            token.head = head
        head.space = False
        start, end = self.tok("open", "punct", head), self.tok("close", "punct", head)
        start.space = False
        return [start, *tokens, end], head

    def text_sentence(self) -> Phrase:
        """ "a sign that reads "STOP"", "a shirt with the word "Love" on it", "A sign says "No Parking""."""
        tokens, subject, _ = self.np("text text clothing structure", plural=False)
        draw = self.chance()
        base = self.pick("read say read")
        if draw < 0.4:
            verb = present(base, "acl:relcl", subject)
            body = [self.tok("that", "nsubj", verb), verb, *under(self.quotation(), verb, "obj")]
        elif draw < 0.6:
            verb = verbal(base + "ing", "VBG", GERUND, base, "acl", subject)
            body = [verb, *under(self.quotation(), verb, "obj")]
        elif draw < 0.8:
            on = self.tok("it-acc", "acl", subject)
            word = common(self.pick("word name text number"), "nsubj", on)
            quoted = under(self.quotation(), word, "appos")
            body = [self.tok("with", "mark", on), self.tok("the", "det", word), word, *quoted, self.tok("p:on", "case", on), on]  # fmt: skip
        else:
            return statement((tokens, subject), present(base), self.quotation())
        if self.chance() < 0.6:
            return tokens + body, subject
        place, root = self.simple_place()
        return [*under((tokens + body, subject), root, "nsubj"), self.tok("is", "cop", root), *place], root

    def fragment(self) -> Phrase:
        """A noun phrase alone."""
        tokens, head, plural = self.np(COMMON if self.chance() < 0.8 else THINGS, depth=2, simple=False)
        if tokens[-1] is head and self.chance() < 0.75:
            tokens = tokens + self.postmodifier(head, plural, 1)
        if self.chance() < 0.05:
            tokens[-1].space = False
            body, inner, _ = self.np(COMMON, depth=1)
            label = "conj" if self.chance() < 0.5 else "appos"
            tokens = [*tokens, self.tok(",", "punct", inner), *under((body, inner), head, label)]
        return tokens, head
