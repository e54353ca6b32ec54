"""A grammar of captions that yields sentences with their gold Universal Dependencies trees.

A web treebank says little of what captions say: that zebras graze, a truck drives down a road, an orange sits on a plate.
The sentences here are drawn from word lists (`caption_grammar.yaml`) by rules for the constructions of captions, short and
long: whole sentences with a finite verb after every kind of subject, fragments, lists, places, inversion, relative clauses,
passives, comparisons, negation. Words that are both noun and verb come in both roles. Subjects and objects mostly suit
their verb; in one draw of seven they do not, so that the syntax alone tells the words' roles.
Tags, labels and attachments are those of UD English EWT in spaCy's form ("ROOT" for the root).
"""

from __future__ import annotations

from collections.abc import Iterator

from recaptrain.embedded.caption_phrases import (
    COMMON,
    THINGS,
    UNRELATED,
    Kinds,
    Marked,
    Phrase,
    Phrases,
    Token,
    adjective,
    common,
    row_token,
    under,
)
from recaptrain.embedded.caption_words import GERUND, PARTICIPLE, PASSIVE, PRESENT, Deck
from recaptrain.embedded.treebank import Tree

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


def finished(phrase: Phrase, *, capital: bool, stop: str) -> Tree:
    """The tree of a phrase that stands alone; `stop` is "", "." or " ."."""
    tokens, root = phrase
    root[5], root[6] = root, "ROOT"
    if stop:
        if stop == ".":
            tokens[-1][7] = False
        tokens.append([".", ".", "PUNCT", "", ".", root, "punct", False, None])
    following = ""
    for place in range(len(tokens) - 1, -1, -1):
        token = tokens[place]
        token[8] = place
        tag = token[1]
        if tag == "DT":
            if token[4] == "a" and _vowel_sound(following):
                token[0] = "an"
        elif tag == "VBG" and token[2] == "VERB" and token[6] != "case":
            gerund = token[6] in ("acl", "amod") or (token[6] == "xcomp" and tokens[place - 1][0] != "be")
            token[3] = GERUND if gerund else PARTICIPLE
        following = token[0]
    if capital:
        first = tokens[0][0]
        tokens[0][0] = first[:1].upper() + first[1:]
    tokens[-1][7] = False
    forms, tags, pos, morphs, lemmas, heads, deps, spaces, _ = zip(*tokens, strict=True)
    return Tree(forms, spaces, tags, pos, morphs, lemmas, tuple([head[8] for head in heads]), deps)


def _vowel_sound(word: str) -> bool:
    """Whether "an" stands before the word."""
    if word in ("hour", "suv", "8", "11", "18", "80"):
        return True
    if word[:1].lower() not in "aeiou" or not word:
        return False
    return not word.startswith(("uni", "urinal", "used", "one", "ute", "euro")) or word.startswith("unid")


class Grammar(Phrases):
    """Rules for whole captions."""

    def __init__(self, seed: int) -> None:
        super().__init__(seed)
        names = [name for name, weight in RULES.items() for _ in range(weight)]
        self.rules: Deck[str] = self.deck(names)

    def tree(self) -> Tree:
        """One sentence or fragment, written in one of the ways captions are."""
        self.telegraphic = self.chance() < 0.07
        tokens, root = phrase = getattr(self, self.rules.draw())()
        whole = root[2] in ("VERB", "AUX") or any(
            token[5] is root and token[6] in ("cop", "nsubj") for token in tokens
        )
        draw = self.chance()
        if self.telegraphic or not whole:
            capital = draw > 0.62 and not (self.telegraphic and draw < 0.8)
            stop = "." if draw > 0.86 or 0.5 < draw < 0.54 else " ." if 0.54 < draw < 0.62 else ""
        else:
            capital = draw > 0.32
            stop = "." if draw > 0.44 or draw < 0.08 else " ." if draw < 0.14 else ""
        return finished(phrase, capital=capital, stop=stop)

    # -- clauses

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
        return self.said((tokens, head), self.predicate(plural, head[8] or "person"))

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
            tag = root[1] if root[1] in ("VBZ", "VBP", "VBD", "VBG", "VB") else "VBZ"
            head = row_token(self.verbs[id(group)].draw().forms[tag], "conj", root)
            head[3] = root[3] if tag == root[1] else head[3]
            return [*tokens, self.tok("and", "cc", head), head, *self.complements(group, head, 0)], root
        if draw < 0.90:
            return tokens + self.subordinate(tokens, root, kind), root
        if draw < 0.95:
            clause, head = self.small_clause()
            tokens[-1][7] = False
            word = "and" if self.chance() < 0.8 else "but"
            clause = under((clause, head), root, "conj")
            return [*tokens, self.tok(",", "punct", head), self.tok(word, "cc", head), *clause], root
        clause = self.with_clause(root, "advcl")
        if self.chance() < 0.5:
            tokens[-1][7] = False
            clause.insert(0, self.tok(",", "punct", clause[0][5]))
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
        tokens[-1][7] = False
        return [self.tok(",", "punct", head), *body]

    def participle_of(self, base: str, form: str) -> Token:
        return [form, "VBG", "VERB", PARTICIPLE, base, None, "", True, None]

    def effect(self) -> Phrase:
        """ "creating a sense of calm", "adding to the charm of the scene", "giving the room a cozy feel"."""
        draw = self.chance()
        if draw < 0.5:
            form, _, base = self.pick(
                "creating:create adding:add giving:give providing:provide bringing:bring conveying:convey suggesting:suggest "
                "lending:lend evoking:evoke"
            ).partition(":")
            head = self.participle_of(base, form)
            return [head, *under(self.sense(), head, "obj")], head
        if draw < 0.75:
            head = self.participle_of("add", "adding")
            tokens, inner, _ = self.np("abstract ambience", article="the", plural=False)
            other, last, _ = self.np("ambience place picture_word", article="the", plural=False)
            tokens = tokens + self.preposition("of", (other, last), inner, "nmod")
            return [head, *self.preposition("to", (tokens, inner), head, "obl")], head
        head = self.participle_of("give", "giving")
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
                tokens[-1][7] = False
                body.insert(0, self.tok(",", "punct", head))
            return body
        body, head = self.verb_phrase("VB", kind)
        body.insert(0, self.tok("to", "mark", head))
        if draw < 0.92:
            return under((body, head), root, "advcl")
        ready = adjective("ready", "advcl", root)
        tokens[-1][7] = False
        return [self.tok(",", "punct", ready), ready, *under((body, head), ready, "xcomp")]

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
            if head[1] == "VBG" and self.chance() < 0.4:
                tokens.insert(0, self.tok("while", "mark", head))
            label, comma = "advcl", True
        tokens = under((tokens, head), root, label)
        if comma:
            tokens[-1][7] = False
            tokens.append(self.tok(",", "punct", head))
        return tokens + sentence, root

    # -- what is there

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
        root[2] = "VERB"
        there = self.tok("there", "expl", root)
        if not plural and draw > 0.93:
            root[0], there[7] = "'s", False
        middle = [self.tok("r:also", "advmod", root)] if 0.05 < draw < 0.11 else []
        modified = tokens[-1] is not subject
        tokens = [there, root, *middle, *under((tokens, subject), root, "nsubj")]
        if self.chance() < 0.55:
            tokens += self.where(root if modified else subject, of_noun=not modified)
        return tokens, root

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
                at = 1 if tokens[0][1] == "DT" else 0
                tokens[at:at] = self.coordinated([([black], black), ([white], white)], head, "amod")
            what, inner, _ = self.np(COMMON, depth=2, simple=False)
            return tokens + self.preposition("of", (what, inner), head, "nmod"), head
        tokens, head, _ = self.np("picture_word ambience", plural=False, article="the")
        form, _, base = self.pick(
            "taken:take set:set set:set framed:frame shot:shoot captured:capture"
        ).partition(":")
        root = [form, "VBN", "VERB", PASSIVE, base, None, "", True, None]
        be = self.tok(self.pick("is was"), "aux:pass", root)
        place = under(self.simple_place(1), root, "obl")
        return [*under((tokens, head), root, "nsubj:pass"), be, root, *place], root

    def passive(self) -> Phrase:
        """ "The field is surrounded by trees", "A kite is being flown by a boy", "Two dogs can be seen in the yard"."""
        tokens, subject, plural = self.subject()
        kind = subject[8] or "person"
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
                subject[8] or COMMON, plural=plural, depth=1, article="" if plural else "a"
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

    def compared(self) -> Phrase:
        """ "taller than the tree", "as big as a car"."""
        other, inner, _ = self.np(COMMON, article="the" if self.chance() < 0.7 else None)
        if self.chance() < 0.25:
            root = adjective(self.pick("tall big large small long wide old"))
            as_: Token = ["as", "RB", "ADV", "", "as", root, "advmod", True, None]
            return [as_, root, *self.preposition("as", (other, inner), root, "obl")], root
        root = row_token(self.adjectives["comparative"].draw())
        tokens = [root, *self.preposition("than", (other, inner), root, "obl")]
        if self.chance() < 0.2:
            tokens.insert(0, self.tok("r:" + self.pick("slightly almost"), "advmod", root))
        return tokens, root

    def seeming(self, subject: Phrase, plural: bool) -> Phrase:
        """ "appears to be sleeping", "seems happy", "looks like a toy"."""
        base = self.pick("appear appear seem look")
        root: Token = [base + ("" if plural else "s"), "VBP" if plural else "VBZ", "VERB", "", base, None, "", True, None]  # fmt: skip
        root[3] = PRESENT.format("Plur" if plural else "Sing")
        start = [*under(subject, root, "nsubj"), root]
        if base == "look":
            if self.chance() < 0.6:
                what, inner, _ = self.np(COMMON, plural=plural)
                return start + self.preposition("like", (what, inner), root, "obl"), root
            return start + under(self.predicate_adjective(), root, "xcomp"), root
        draw = self.chance()
        if draw < 0.5:
            body, head = self.verb_phrase("VBG", subject[1][8] or "person")
            body = [self.tok("to", "mark", head), self.tok("be", "aux", head), *body]
        elif draw < 0.85:
            body, head = self.np(COMMON, plural=plural)[:2] if draw < 0.7 else self.place()[0]
            body = [self.tok("to", "mark", head), self.tok("be", "cop", head), *body]
        else:
            body, head = self.predicate_adjective()
        return start + under((body, head), root, "xcomp"), root

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

    # -- pronouns, parts of groups, negation

    def pronoun_clause(self) -> Phrase:
        """ "She is wearing a hat", "It has two wheels", "They're playing"."""
        word, _, kind = self.pick("he:person she:person it:animal it:vehicle it:building they:person they:animal this:container someone:person").partition(":")  # fmt: skip
        plural = word == "they"
        if word in ("someone", "this"):
            pronoun: Token = [
                "someone",
                "NN",
                "PRON",
                "Number=Sing|PronType=Ind",
                "someone",
                None,
                "",
                True,
                None,
            ]
            if word == "this":
                pronoun = ["this", "DT", "PRON", "Number=Sing|PronType=Dem", "this", None, "", True, None]
        else:
            pronoun = self.tok(word)
        if self.chance() < 0.2:
            root = self.tok("have" if plural else "has")
            what, inner, _ = self.np("part animal_part clothing vehicle_part tool", depth=1)
            tokens = [*under(([pronoun], pronoun), root, "nsubj"), root, *under((what, inner), root, "obj")]
            return self.extended(tokens, root, kind)
        body, root, passive = self.predicate(plural, kind, 1)
        tokens, root = self.said(([pronoun], pronoun), (body, root, passive))
        be = body[0]
        if (
            be[2] == "AUX"
            and be[0] in ("is", "are")
            and body[1][0] != "n't"
            and word != "this"
            and self.chance() < 0.25
        ):
            be[0] = "'re" if be[0] == "are" else "'s"
            pronoun[7] = False
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
        each[5], each[6] = head, "nsubj"
        tokens[-1][7] = False
        return [*tokens, self.tok(",", "punct", head), each, *under((body, head), root, label)], root

    def joined(self, first: Phrase, second: Phrase) -> Phrase:
        """Two clauses with "while" or "and" between them."""
        (tokens, root), (clause, head) = first, second
        if self.chance() < 0.5:
            head[5], head[6] = root, "advcl"
            link = [self.tok("while", "mark", head)]
        else:
            head[5], head[6] = root, "conj"
            link = [self.tok(self.pick("and and but"), "cc", head)]
        if self.chance() < 0.5:
            tokens[-1][7] = False
            link.insert(0, self.tok(",", "punct", head))
        return [*tokens, *link, *clause], root

    def negation(self) -> Phrase:
        """ "No people are visible", "There are no cars on the street", "A street without any cars"."""
        tokens, subject, plural = self.np(COMMON, article="no")
        draw = self.chance()
        if draw < 0.35:
            return self.said((tokens, subject), self.predicate(plural, subject[8] or "person", rich=False))
        if draw < 0.75:
            root = self.tok("are" if plural else "is")
            root[2] = "VERB"
            tokens = [self.tok("there", "expl", root), root, *under((tokens, subject), root, "nsubj")]
            if self.chance() < 0.3:
                tokens.append(adjective(self.pick("visible present"), "amod", subject))
                return tokens + self.where(root, of_noun=False) if self.chance() < 0.6 else tokens, root
            return tokens + self.where(subject, of_noun=True) if self.chance() < 0.6 else tokens, root
        other, head, many = self.np(COMMON)
        if draw < 0.85:
            if tokens[0][0] == "no":
                tokens[0] = self.tok("any", "det", subject)
            return other + self.preposition("without", (tokens, subject), head, "nmod"), head
        root = self.tok("have" if many else "has")
        return [*under((other, head), root, "nsubj"), root, *under((tokens, subject), root, "obj")], root

    # -- lists and templates

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
        root = self.tok("are" if first[1] == "NNS" or self.chance() < 0.5 else "is")
        root[2] = "VERB"
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
            general[-1][7] = False
            tokens.insert(0, self.tok(",", "punct", first))
        root[0], root[1], root[3] = "are", "VBP", PRESENT.format("Plur")
        return there + under((general, head), root, "nsubj") + tokens, root

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
        return [*under((tokens, subject), root, "nsubj"), root, *under((other, inner), root, "obj")], root

    # -- mood, possession, writing

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
            root: Token = [base + "s", "VBZ", "VERB", PRESENT.format("Sing"), base, None, "", True, None]
            return [*under((tokens, subject), root, "nsubj"), root, *under(self.sense(), root, "obj")], root
        if draw < 0.9:
            body, root = self.predicate_adjective("mood mood mood predicate")
        else:
            body, root = self.sense()
        return [*under((tokens, subject), root, "nsubj"), self.tok("is", "cop", root), *body], root

    def possession(self) -> Phrase:
        """ "The cat has green eyes", "The man's hat is red", "a child's drawing on the refrigerator"."""
        draw = self.chance()
        if draw < 0.45:
            tokens, subject, plural = self.subject(
                "person animal vehicle building bird furniture clothing", depth=0
            )
            root = self.tok("have" if plural else "has")
            what, inner, _ = self.np("part animal_part vehicle_part clothing structure", depth=1)
            return [*under((tokens, subject), root, "nsubj"), root, *under((what, inner), root, "obj")], root
        what, head, plural = self.np(
            "part clothing tool toy decoration vehicle action furniture building", article=""
        )
        tokens = self.possessor(head) + what
        if draw < 0.7:
            return tokens + self.where(head, of_noun=True), head
        return self.said((tokens, head), self.predicate(plural, "tool", rich=self.chance() < 0.5))

    def quotation(self) -> Phrase:
        """A name or notice in quotation marks."""
        parts = self.quotes.draw().replace("~", "_~").split("_")
        tokens: list[Token] = []
        for place, part in enumerate(parts):
            word = part.removeprefix("~")
            if word.isdigit():
                token: Token = [word, "CD", "NUM", "NumForm=Digit|NumType=Card", word, None, "", True, None]
            elif place + 1 < len(parts) and parts[place + 1].startswith("~"):
                token = [word, "NNP", "ADJ", "Degree=Pos", word, None, "amod", True, None]
            else:
                token = [word, "NNP", "PROPN", "Number=Sing", word, None, "compound", True, None]
            tokens.append(token)
        head = tokens[-1]
        for token in tokens[:-1]:
            token[5] = head
        head[7] = False
        start, end = self.tok("open", "punct", head), self.tok("close", "punct", head)
        start[7] = False
        return [start, *tokens, end], head

    def text_sentence(self) -> Phrase:
        """ "a sign that reads "STOP"", "a shirt with the word "Love" on it", "A sign says "No Parking""."""
        tokens, subject, _ = self.np("text text clothing structure", plural=False)
        draw = self.chance()
        base = self.pick("read say read")
        if draw < 0.4:
            verb: Token = [
                base + "s",
                "VBZ",
                "VERB",
                PRESENT.format("Sing"),
                base,
                subject,
                "acl:relcl",
                True,
                None,
            ]
            body = [self.tok("that", "nsubj", verb), verb, *under(self.quotation(), verb, "obj")]
        elif draw < 0.6:
            verb = [base + "ing", "VBG", "VERB", GERUND, base, subject, "acl", True, None]
            body = [verb, *under(self.quotation(), verb, "obj")]
        elif draw < 0.8:
            on = self.tok("it-acc", "acl", subject)
            word = common(self.pick("word name text number"), "nsubj", on)
            quoted = under(self.quotation(), word, "appos")
            body = [self.tok("with", "mark", on), self.tok("the", "det", word), word, *quoted, self.tok("p:on", "case", on), on]  # fmt: skip
        else:
            root: Token = [base + "s", "VBZ", "VERB", PRESENT.format("Sing"), base, None, "", True, None]
            return [
                *under((tokens, subject), root, "nsubj"),
                root,
                *under(self.quotation(), root, "obj"),
            ], root
        if self.chance() < 0.6:
            return tokens + body, subject
        place, root = self.simple_place()
        return [*under((tokens + body, subject), root, "nsubj"), self.tok("is", "cop", root), *place], root

    # -- noun phrases as captions

    def fragment(self) -> Phrase:
        """A noun phrase alone."""
        tokens, head, plural = self.np(COMMON if self.chance() < 0.8 else THINGS, depth=2, simple=False)
        if tokens[-1] is head and self.chance() < 0.75:
            tokens = tokens + self.postmodifier(head, plural, 1)
        if self.chance() < 0.05:
            tokens[-1][7] = False
            body, inner, _ = self.np(COMMON, depth=1)
            label = "conj" if self.chance() < 0.5 else "appos"
            tokens = [*tokens, self.tok(",", "punct", inner), *under((body, inner), head, label)]
        return tokens, head

    def interrupted(self) -> Phrase:
        """ "The dog, a brown poodle, sleeps"; "A man, wearing a hat, stands"; "The bus, which is red, drives by"."""
        tokens, subject, plural = self.np(THINGS if self.chance() < 0.3 else "person person animal vehicle")
        kind = subject[8] or "person"
        draw = self.chance()
        if draw < 0.35:
            extra, head, _ = self.np(kind, plural=plural, article="" if plural else "a")
            label = "appos"
        elif draw < 0.8:
            extra, head = self.verb_phrase("VBG", kind) if draw < 0.65 else self.state_phrase()
            label = "acl"
        else:
            extra = self.relative(subject, plural)
            head = next(token for token in extra if token[6] == "acl:relcl" and token[5] is subject)
            label = "acl:relcl"
        extra = under((extra, head), subject, label)
        tokens[-1][7] = extra[-1][7] = False
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
            verb = [base + "s", "VBZ", "VERB", PRESENT.format("Sing"), base, pronoun, "acl:relcl", True, None]
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
