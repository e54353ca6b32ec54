"""What follows nouns and subjects: modifiers, relative clauses, verbs with their objects."""

from __future__ import annotations

from recaptrain.embedded.language.noun_phrases import CARRIED, COMMON, THINGS, UNRELATED, Kinds
from recaptrain.embedded.language.places import Places
from recaptrain.embedded.language.tokens import (
    Marked,
    Phrase,
    Token,
    adjective,
    common,
    plural_noun,
    row_token,
    under,
)
from recaptrain.embedded.language.words import Verb, VerbGroup


class VerbPhrases(Places):
    """Rules for verbs, and for what hangs on nouns."""

    def postmodifier(self, head: Token, plural: bool, depth: int, places: bool = True) -> list[Token]:
        draw = self.chance()
        if draw < 0.32:
            return self.where(head, of_noun=True) if places else self.with_phrase(head)
        if draw < 0.45:
            return self.with_phrase(head)
        if draw < 0.68:
            return under(self.verb_phrase("VBG", head.kind or "person", depth), head, "acl")
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
            unit = plural_noun(form, lemma, "obl:unmarked", root)
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
            phrase = self.verb_phrase("VBG", subject.kind or "person", 0)
        elif draw < 0.88:
            verb = row_token(self.states.draw().forms["VBN"])
            phrase, role = ([verb, *self.where(verb, of_noun=False)], verb), "nsubj:pass"
        else:
            word = self.pick("down up back over open closed visible")
            predicate = adjective(word) if word in ("open", "closed", "visible") else self.tok("r:" + word)
            phrase = [predicate], predicate
        root = phrase[1]
        body = under(phrase, head, dep)
        subject.head, subject.dep = root, role
        return [self.tok("with", "mark", root), *tokens, *body]

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

    def relative(self, head: Token, plural: bool) -> list[Token]:
        """ "who rides a horse", "that is red", "the man is riding", "the bears are on", "whose hat is red"."""
        draw = self.chance()
        kind = head.kind or "person"
        if draw < 0.62:
            pronoun = self.tok(
                self.pick("who who that") if kind == "person" else self.pick("that that that which")
            )
            body, root, passive = self.predicate(plural, kind, rich=False)
            pronoun.head, pronoun.dep = root, "nsubj:pass" if passive else "nsubj"
            return [pronoun, *under((body, root), head, "acl:relcl")]
        if draw < 0.88:
            return self.object_relative(head)
        if draw < 0.94:
            tokens, subject, many = self.np("part clothing animal_part plant", article="")
            body, root = self.predicate_adjective()
            subject.head, subject.dep = root, "nsubj"
            be = self.tok("are" if many else "is", "cop", root)
            return [
                self.tok("whose", "nmod:poss", subject),
                *tokens,
                be,
                *under((body, root), head, "acl:relcl"),
            ]
        tokens, subject, many = self.np("person animal", simple=False)
        body, root, passive = self.predicate(many, "person", rich=False)
        subject.head, subject.dep = root, "nsubj:pass" if passive else "nsubj"
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
        subject.head, subject.dep = root, "nsubj"
        return [*before, *tokens, *under((verb_tokens, root), head, "acl:relcl")]

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
                head.morph = head.morph.replace("Sing", "Plur")
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
            after.space = False
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
