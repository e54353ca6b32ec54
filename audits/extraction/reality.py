"""Whether a caption says that something is there, or denies or supposes it: "no people", "as if riding a horse"."""

from __future__ import annotations

from audits.extraction import words as lexicon
from audits.extraction.phrases import PARTITIVE, Mention, Phrases
from audits.extraction.tree import Tree

NEGATIONS = frozenset(["not", "n't", "never", "n’t"])
#: Before "of": "empty of cars", "the size of a bus", "instead of a hat".
WITHOUT = frozenset(
    {
        "instead",
        "free",
        "shape",
        "form",
        "devoid",
        "style",
        "empty",
        "bereft",
        "void",
        "clear",
        "bare",
        "size",
        "lack",
        "absence",
    }
    | {
        "height",
        "length",
        "width",
        "color",
        "colour",
        "shapes",
        "reminiscent",
        "cleared",
        "out",
        "rid",
        "smell",
        "scent",
        "sound",
        "memory",
    }
)
#: What may deny a noun from before its article.
BEFORE_ARTICLES = frozenset(
    [
        "like",
        "not",
        "without",
        "as",
        "of",
        "resembling",
        "except",
        "neither",
        "nor",
        "than",
        "perhaps",
        "maybe",
    ]
)
PERHAPS = frozenset({"perhaps", "maybe", "possibly"})
HYPOTHETICAL = frozenset({"would", "could", "might", "may", "should"})
SUPPOSING = HYPOTHETICAL | PERHAPS


def is_real(tree: Tree, mention: Mention) -> bool:
    """Whether the caption says that this is there, climbing from the noun to its clause."""
    index = mention.head
    for token in range(mention.first - 1, max(-1, mention.first - 5), -1):
        word = tree.lower[token]
        if word in ("no", "without", "zero", "sans") or (
            word == "not" and tree.lower[token + 1] in ("a", "an", "any")
        ):
            return False
        if word in ("like", "resembling", "unlike", "except", "minus") and not _hedged(tree, token):
            return word == "except" and not {"empty", "bare", "deserted", "nothing", "no"}.isdisjoint(
                tree.lower[:token]
            )
        if word == "of" and token > 0 and tree.lower[token - 1] in WITHOUT:
            return False
        if word in PERHAPS or word in ("hardly", "scarcely", "barely"):
            return False
        if (word == "than" and tree.lower[token - 1] == "rather") or (
            word == "as" and "as" in tree.lower[max(0, token - 3) : token]
        ):
            return False
        if word in ("a", "an", "the"):
            if tree.lower[token - 1] not in BEFORE_ARTICLES:
                break
        elif tree.pos[token] not in ("DET", "ADJ", "NUM", "ADV", "NOUN", "PROPN") and word not in ("of",):
            break
    child = index
    for _ in range(12):
        head = tree.heads[child]
        if head == child:
            break
        clause = (
            tree.pos[head] in ("VERB", "AUX") or tree.has(head, "mark") or tree.lower[head] in lexicon.GONE
        )
        if clause and _clause_is_unreal(tree, head, child):
            return False
        if tree.lemmas[head].lower() in lexicon.WISHING and tree.deps[child] in (
            "ccomp",
            "xcomp",
            "advcl",
            "obl",
        ):
            return False
        child = head
    if tree.case_of(index).split()[-1:] in (["than"], ["unlike"], ["minus"], ["without"]):
        return False
    return not (tree.has(index, "cop") and (is_negated(tree, index) or _is_supposed(tree, index)))


def _is_supposed(tree: Tree, index: int) -> bool:
    """ "It could be a dog", "perhaps it is a wolf"."""
    return any(tree.lower[kid] in SUPPOSING and kid < index for kid in tree.kids[index])


def _hedged(tree: Tree, like: int) -> bool:
    """ "it looks like a cat", "those are looking like fingers": the writer's caution, not a likeness."""
    before = tree.lower[max(0, like - 4) : like]
    return tree.lower[like] == "like" and bool(
        {"looks", "look", "looking", "seems", "seem"} & set(before[-2:])
        and {"it", "there", "that", "this", "those", "these", "which"} & set(before)
    )


def _clause_is_unreal(tree: Tree, verb: int, child: int) -> bool:
    dep = tree.deps[child]
    if dep in ("nsubj", "nsubj:pass"):
        if (
            _is_conditional(tree, verb)
            or _as_if(tree, verb)
            or _is_absent(tree, verb, dep)
            or _opens_unsure(tree, verb)
        ):
            return True
        if not tree.has(verb, "expl"):
            return False
    if dep == "obj" and tree.lemmas[verb].lower() in lexicon.LACKING:
        return True
    if dep in ("conj", "parataxis", "list") and tree.pos[child] in ("VERB", "AUX"):
        return False
    if is_negated(tree, verb) or _of_nobody(tree, verb):
        return dep in ("obj", "nsubj", "obl", "xcomp", "iobj")
    if _as_if(tree, verb):
        return True
    return any(
        (tree.lower[kid] in HYPOTHETICAL and tree.deps[kid] == "aux")
        or (
            tree.deps[kid] == "mark"
            and (tree.lower[kid] == "if" or tree.case_of(verb) == "as if" or tree.lower[kid] == "though")
        )
        for kid in tree.kids[verb]
    )


def _is_conditional(tree: Tree, verb: int) -> bool:
    """ "If a car comes", "until the bus arrives": the subject is not there yet."""
    return any(
        tree.deps[kid] in ("mark", "advmod")
        and tree.lower[kid] in ("if", "unless", "until", "till", "before")
        for kid in tree.kids[verb]
    )


def _opens_unsure(tree: Tree, verb: int) -> bool:
    """ "Perhaps a cat made the prints", "maybe there is a dog"."""
    return any(tree.lower[kid] in PERHAPS and kid < verb for kid in tree.kids[verb])


def _is_absent(tree: Tree, verb: int, dep: str) -> bool:
    """ "The bus has left", "the cake is gone", "a tooth is missing", "the dog never came"."""
    lemma = tree.lemmas[verb].lower()
    perfect = any(tree.lemmas[kid].lower() == "have" and tree.deps[kid] == "aux" for kid in tree.kids[verb])
    gone = (
        tree.lower[verb] in lexicon.GONE
        or (dep == "nsubj:pass" and lemma in lexicon.TAKEN)
        or (
            perfect
            and dep == "nsubj"
            and lemma in lexicon.LEAVING
            and (lemma == "leave" or not tree.has(verb, "obj"))
        )
    )
    never = any(tree.lower[kid] in ("never", "once") for kid in tree.kids[verb])
    permitted = is_negated(tree, verb) and tree.lemmas[verb].lower() in (
        "permit",
        "allow",
        "come",
        "arrive",
        "appear",
    )
    return gone or never or permitted


def _as_if(tree: Tree, verb: int) -> bool:
    """ "as if the dog is about to jump": the parts of "as if" may hang on different words."""
    start = min([verb, *tree.kids[verb]])
    return ["as", "if"] in (tree.lower[i : i + 2] for i in range(start, verb))


def _of_nobody(tree: Tree, verb: int) -> bool:
    """ "Neither the man nor the woman wears a hat", "nobody holds a sign"."""
    for subject in tree.kids[verb]:
        if tree.deps[subject] in ("nsubj", "nsubj:pass"):
            words = [tree.lower[subject], *(tree.lower[kid] for kid in tree.kids[subject])]
            opening = [i for i in range(subject) if tree.sent[i] == tree.sent[subject]][:1]
            words += [tree.lower[i] for i in opening if tree.lower[i] == "neither"]
            return not {"neither", "nobody", "none", "no"}.isdisjoint(words)
    return False


def is_negated(tree: Tree, index: int) -> bool:
    return any(tree.lower[kid] in NEGATIONS for kid in tree.kids[index])


def spread_denial(phrases: Phrases) -> None:
    """ "no cars or people", "without a hat or gloves": what is denied of the first conjunct is denied of the rest."""
    for mention in phrases.mentions:
        tree, head = phrases.tree, phrases.tree.heads[mention.head]
        if tree.deps[mention.head] == "conj" and head in phrases.at and not phrases.at[head].real:
            between = {tree.lower[i] for i in range(head, mention.first)}
            if "or" in between or "nor" in between or not between & {"a", "an", "the", "but"}:
                mention.real = False
        if mention.kind == PARTITIVE and mention.target is not None and not mention.real:
            mention.target.real = False
