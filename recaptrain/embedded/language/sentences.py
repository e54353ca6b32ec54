"""Whole sentences: passives, comparison, inversion, contrast, negation, lists."""

from __future__ import annotations

from recaptrain.embedded.language.clauses import Clauses
from recaptrain.embedded.language.noun_phrases import COMMON, THINGS
from recaptrain.embedded.language.tokens import Phrase, Token, adjective, present, row_token, statement, under
from recaptrain.embedded.language.words import PRESENT


class Sentences(Clauses):
    """Rules for sentences that may describe anything."""

    def fronted_clause(self) -> Phrase:
        """ "In the background, people walk …", "While riding a bike, a man …", "In this image, there is …"."""
        sentence, root = self.existential() if self.chance() < 0.35 else self.clause()
        draw = self.chance()
        label = "obl"
        comma = self.chance() < 0.85
        if draw < 0.58:
            tokens, head = self.region() if self.chance() < 0.5 else self.simple_place()
        elif draw < 0.80:
            (tokens, head), adverb = self.place()
            label = "advmod" if adverb else "obl"
        elif draw < 0.88:
            tokens, head, _ = self.np("picture_word", plural=False, article=self.pick("this the"))
            tokens.insert(0, self.tok("p:in", "case", head))
        elif draw < 0.93:
            head = self.tok("r:" + self.pick("overall additionally nearby outside inside overhead"))
            tokens, label = [head], "advmod"
        else:
            tokens, head = self.verb_phrase("VBG", "person") if self.chance() < 0.5 else self.state_phrase()
            if head.tag == "VBG" and self.chance() < 0.4:
                tokens.insert(0, self.tok("while", "mark", head))
            label, comma = "advcl", True
        tokens = under((tokens, head), root, label)
        if comma:
            tokens[-1].space = False
            tokens.append(self.tok(",", "punct", head))
        return tokens + sentence, root

    def passive(self) -> Phrase:
        """ "The field is surrounded by trees", "A kite is being flown by a boy", "Two dogs can be seen in the yard"."""
        tokens, subject, plural = self.subject()
        kind = subject.kind or "person"
        is_are = "are" if plural else "is"
        draw = self.chance()
        if draw < 0.45:
            body, root = self.state_phrase(1)
            body.insert(0, self.tok(is_are, "aux:pass", root))
        elif draw < 0.72:
            root = self.tok("seen")
            if self.chance() < 0.2:
                root = row_token(
                    self.by_lemma[self.pick("spot show picture photograph capture")].forms["VBN"]
                )
            be = [self.tok("can", "aux", root), self.tok("be", "aux:pass", root)]
            body = [*(be if draw < 0.64 else [self.tok(is_are, "aux:pass", root)]), root]
            if self.chance() < 0.5:
                doing, head = self.verb_phrase("VBG", kind)
                body += under((doing, head), root, "xcomp")
            else:
                body += self.where(root, of_noun=False)
        else:
            group = self.transitive.draw()
            root = row_token(self.verbs[id(group)].draw().forms["VBN"])
            body = [self.tok(is_are, "aux:pass", root), root]
            if self.chance() < 0.5:
                body = [self.tok(is_are, "aux", root), self.tok("being", "aux:pass", root), root]
            if self.chance() < 0.6:
                who, agent, _ = self.np(" ".join(group.subjects), simple=False)
                body += self.preposition("by", (who, agent), root, "obl:agent")
            elif self.chance() < 0.6:
                body += self.where(root, of_noun=False)
        tokens = under((tokens, subject), root, "nsubj:pass") + body
        return self.extended(tokens, root, kind) if self.chance() < 0.3 else (tokens, root)

    def copula(self) -> Phrase:
        """ "The sky is blue", "The cat is on the bed", "It could be a wolf", "The man is taller than the boy"."""
        tokens, subject, plural = self.subject()
        draw = self.chance()
        if draw < 0.32:
            body, root = self.predicate_adjective()
            if self.chance() < 0.25:
                body = body + self.where(root, of_noun=False)
        elif draw < 0.62:
            (body, root), _ = self.place(1)
        elif draw < 0.76:
            body, root, _ = self.np(
                subject.kind or COMMON, plural=plural, depth=1, article="" if plural else "a"
            )
        elif draw < 0.90:
            body, root = self.compared()
        else:
            return self.seeming((tokens, subject), plural)
        if self.chance() < 0.07:
            be = [self.tok(self.pick("could may might"), "aux", root), self.tok("be", "cop", root)]
        else:
            be = [self.tok("are" if plural else "is", "cop", root)]
            if self.chance() < 0.06:
                be.append(self.denial(root, be[0]))
        return under((tokens, subject), root, "nsubj") + be + body, root

    def inversion(self) -> Phrase:
        """ "To the left of the sofa stands a lamp", "Behind it is a tall plant", "On the table are two cups"."""
        (tokens, place), adverb = self.place()
        subject_tokens, subject, plural = self.indefinite()
        if self.chance() < 0.55:
            be = self.tok("are" if plural else "is", "cop", place)
            return [*tokens, be, *under((subject_tokens, subject), place, "nsubj")], place
        verb = self.by_lemma[self.pick("stand sit lie hang rest rise float grow perch tower lean wait loom run stretch graze sleep swim")]  # fmt: skip
        root = row_token(verb.forms["VBP" if plural else "VBZ"])
        tokens = under((tokens, place), root, "advmod" if adverb else "obl")
        return [*tokens, root, *under((subject_tokens, subject), root, "nsubj")], root

    def pronoun_clause(self) -> Phrase:
        """ "She is wearing a hat", "It has two wheels", "They're playing"."""
        word, _, kind = self.pick("he:person she:person it:animal it:vehicle it:building they:person they:animal this:container someone:person").partition(":")  # fmt: skip
        plural = word == "they"
        if word in ("someone", "this"):
            tag = "DT" if word == "this" else "NN"
            kind_of = "Dem" if word == "this" else "Ind"
            pronoun = Token(word, tag, "PRON", f"Number=Sing|PronType={kind_of}", word)
        else:
            pronoun = self.tok(word)
        if self.chance() < 0.2:
            root = self.tok("have" if plural else "has")
            what, inner, _ = self.np("part animal_part clothing vehicle_part tool", depth=1)
            tokens, root = statement(([pronoun], pronoun), root, (what, inner))
            return self.extended(tokens, root, kind)
        body, root, passive = self.predicate(plural, kind, 1)
        tokens, root = self.said(([pronoun], pronoun), (body, root, passive))
        be = body[0]
        if (
            be.pos == "AUX"
            and be.form in ("is", "are")
            and body[1].form != "n't"
            and word != "this"
            and self.chance() < 0.25
        ):
            be.form = "'re" if be.form == "are" else "'s"
            pronoun.space = False
        return self.extended(tokens, root, kind)

    def contrast(self) -> Phrase:
        """ "Some are sitting while others stand", "One is red and the other is blue", ", each with a hat"."""
        draw = self.chance()
        kind = self.pick("person person animal vehicle")
        if draw < 0.3:
            some, others = self.tok("some"), self.tok("others")
            first = self.said(([some], some), self.predicate(True, kind))
            return self.joined(first, self.said(([others], others), self.predicate(True, kind)))
        if draw < 0.6:
            one = self.tok("n:one")
            tokens = [one]
            if self.chance() < 0.5:
                inner = self.tok("them")
                tokens += self.preposition("of", ([inner], inner), one, "nmod")
            first = self.said((tokens, one), self.predicate(False, kind))
            if self.chance() < 0.3:
                return first
            many = self.chance() < 0.3
            other = self.tok("others" if many else "other")
            rest = [self.tok("the", "det", other), other]
            return self.joined(first, self.said((rest, other), self.predicate(many, kind)))
        tokens, root, plural = self.np(kind, plural=True)
        label = "acl"
        if draw < 0.8:
            tokens, root = self.said((tokens, root), self.predicate(plural, kind))
            label = "advcl"
        each = self.tok(self.pick("each each each all both"))
        if self.chance() < 0.5:
            body, head, _ = self.np("clothing part tool food plant", plural=False, article="a")
            body.insert(0, self.tok("p:with", "case", head))
        else:
            body, head = self.verb_phrase("VBG", kind)
        each.head, each.dep = head, "nsubj"
        tokens[-1].space = False
        return [*tokens, self.tok(",", "punct", head), each, *under((body, head), root, label)], root

    def negation(self) -> Phrase:
        """ "No people are visible", "There are no cars on the street", "A street without any cars"."""
        tokens, subject, plural = self.np(COMMON, article="no")
        draw = self.chance()
        if draw < 0.35:
            return self.said((tokens, subject), self.predicate(plural, subject.kind or "person", rich=False))
        if draw < 0.75:
            root = self.tok("are" if plural else "is")
            root.pos = "VERB"
            tokens = [self.tok("there", "expl", root), root, *under((tokens, subject), root, "nsubj")]
            if self.chance() < 0.3:
                tokens.append(adjective(self.pick("visible present"), "amod", subject))
                return tokens + self.where(root, of_noun=False) if self.chance() < 0.6 else tokens, root
            return tokens + self.where(subject, of_noun=True) if self.chance() < 0.6 else tokens, root
        other, head, many = self.np(COMMON)
        if draw < 0.85:
            if tokens[0].form == "no":
                tokens[0] = self.tok("any", "det", subject)
            return other + self.preposition("without", (tokens, subject), head, "nmod"), head
        root = self.tok("have" if many else "has")
        return statement((other, head), root, (tokens, subject))

    def listing(self) -> Phrase:
        """ "a knife, a fork and a spoon on a table"; "The table holds a plate, two cups, and a vase of flowers"."""
        kinds = self.pick("common food kitchen,container,food furniture,electronics,decoration animal,bird clothing tool,toy place,plant,building")  # fmt: skip
        kinds = COMMON if kinds == "common" else kinds.replace(",", " ")
        bare = self.chance() < 0.1
        phrases = [
            self.np(kinds, depth=1 if self.chance() < 0.25 else 0, article="" if bare else None)[:2]
            for _ in range(int(self.pick("2 3 3 3 4 4 5 6")))
        ]
        first = phrases[0][1]
        tokens = self.coordinated(phrases, None, "")
        draw = self.chance()
        if draw < 0.22:
            return tokens + self.where(first, of_noun=True) if self.chance() < 0.3 else tokens, first
        if draw < 0.45:
            verb = self.by_lemma[self.pick("sit stand lie rest hang line wait surround fill cover")]
            verb_tokens, root = self.finite(verb, True)
            tokens = under((tokens, first), root, "nsubj") + verb_tokens
            if verb.lemma in ("line", "surround", "fill", "cover"):
                what, inner, _ = self.np("place surface furniture", plural=False)
                return tokens + under((what, inner), root, "obj"), root
            return tokens + self.where(root, of_noun=False), root
        if draw < 0.6:
            (body, root), _ = self.place()
            return [*under((tokens, first), root, "nsubj"), self.tok("are", "cop", root), *body], root
        if draw < 0.75:
            owner, head, plural = self.np("place furniture picture_word container")
            if self.chance() < 0.5:
                return owner + self.preposition("with", (tokens, first), head, "nmod"), head
            verb = self.by_lemma[self.pick("show feature display contain include hold depict present")]
            verb_tokens, root = self.finite(verb, plural, 0.1)
            return [
                *under((owner, head), root, "nsubj"),
                *verb_tokens,
                *under((tokens, first), root, "obj"),
            ], root
        root = self.tok("are" if first.tag == "NNS" or self.chance() < 0.5 else "is")
        root.pos = "VERB"
        there = [self.tok("there", "expl", root), root]
        if draw < 0.88:
            tokens = there + under((tokens, first), root, "nsubj")
            return tokens + self.where(root, of_noun=False) if self.chance() < 0.4 else tokens, root
        general, head, _ = self.np("tool food vehicle animal furniture clothing", plural=True)
        tokens = under((tokens, first), head, "nmod")
        if self.chance() < 0.5:
            such = self.tok("such", "case", first)
            tokens = [such, self.tok("p:as", "fixed", such), *tokens]
        else:
            tokens.insert(0, self.tok("including", "case", first))
        if self.chance() < 0.5:
            general[-1].space = False
            tokens.insert(0, self.tok(",", "punct", first))
        root.form, root.tag, root.morph = "are", "VBP", PRESENT.format("Plur")
        return there + under((general, head), root, "nsubj") + tokens, root

    def possession(self) -> Phrase:
        """ "The cat has green eyes", "The man's hat is red", "a child's drawing on the refrigerator"."""
        draw = self.chance()
        if draw < 0.45:
            tokens, subject, plural = self.subject(
                "person animal vehicle building bird furniture clothing", depth=0
            )
            root = self.tok("have" if plural else "has")
            what, inner, _ = self.np("part animal_part vehicle_part clothing structure", depth=1)
            return statement((tokens, subject), root, (what, inner))
        what, head, plural = self.np(
            "part clothing tool toy decoration vehicle action furniture building", article=""
        )
        tokens = self.possessor(head) + what
        if draw < 0.7:
            return tokens + self.where(head, of_noun=True), head
        return self.said((tokens, head), self.predicate(plural, "tool", rich=self.chance() < 0.5))

    def interrupted(self) -> Phrase:
        """ "The dog, a brown poodle, sleeps"; "A man, wearing a hat, stands"; "The bus, which is red, drives by"."""
        tokens, subject, plural = self.np(THINGS if self.chance() < 0.3 else "person person animal vehicle")
        kind = subject.kind or "person"
        draw = self.chance()
        if draw < 0.35:
            extra, head, _ = self.np(kind, plural=plural, article="" if plural else "a")
            label = "appos"
        elif draw < 0.8:
            extra, head = self.verb_phrase("VBG", kind) if draw < 0.65 else self.state_phrase()
            label = "acl"
        else:
            extra = self.relative(subject, plural)
            head = next(token for token in extra if token.dep == "acl:relcl" and token.head is subject)
            label = "acl:relcl"
        extra = under((extra, head), subject, label)
        tokens[-1].space = extra[-1].space = False
        tokens = [*tokens, self.tok(",", "punct", head), *extra, self.tok(",", "punct", head)]
        return self.said((tokens, subject), self.predicate(plural, kind))

    def vague(self) -> Phrase:
        """ "what appears to be a dog on the grass", "A man holds what looks like a phone"."""
        pronoun = self.tok("what")
        what, head, _ = self.np(COMMON, plural=False, article="a")
        if self.chance() < 0.4:
            verb = row_token(self.by_lemma["look"].forms["VBZ"], "acl:relcl", pronoun)
            body = [verb, *self.preposition("like", (what, head), verb, "obl")]
        else:
            base = self.pick("appear appear seem")
            verb = present(base, "acl:relcl", pronoun)
            link = [self.tok("to", "mark", head), self.tok("be", "cop", head)]
            body = [verb, *link, *under((what, head), verb, "xcomp")]
        tokens = [pronoun, *body]
        if self.chance() < 0.4:
            return tokens + self.where(pronoun, of_noun=True), pronoun
        who, subject, plural = self.np("person animal", simple=False)
        verb_tokens, root = self.finite(
            self.by_lemma[self.pick("hold carry watch touch eat wear ride pull chase")], plural
        )
        return [
            *under((who, subject), root, "nsubj"),
            *verb_tokens,
            *under((tokens, pronoun), root, "obj"),
        ], root
