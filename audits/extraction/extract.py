"""One parsed caption to its claims, in the order of their spans."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from audits.extraction import nouns, style, texts
from audits.extraction.attributes import attributes
from audits.extraction.hedges import hedge
from audits.extraction.numbers import counts, set_of
from audits.extraction.phrases import OBJECT
from audits.extraction.positions import positions
from audits.extraction.tree import read
from recapdata.records import CLAIM_KINDS, Claim

if TYPE_CHECKING:
    from spacy.tokens import Doc

    from audits.extraction.tree import Lemmas
    from audits.language.pipeline import Scheme

_ORDER = {kind: number for number, kind in enumerate(CLAIM_KINDS)}


def extract_claims(
    doc: Doc, scheme: Scheme | None = None, *, text: str | None = None, lemmas_of: Lemmas | None = None
) -> list[Claim]:
    """The claims of a caption that a spaCy pipeline has tagged, parsed and lemmatized.

    Args:
        scheme: the label scheme of the dependencies; None tells it from the labels.
        text: the caption as written, where the doc was made from it in another case.
        lemmas_of: gives the lemmas, where the pipeline has not.

    Returns:
        Claims by kind's order of `CLAIM_KINDS` within the order of their spans; no claim twice.
    """
    if not len(doc):
        return []
    tree = read(doc, scheme, lemmas_of)
    if text is not None and text != tree.text:
        tree = replace(tree, text=text)
    lettering = texts.spans(tree.text, tree.lower)
    masked = texts.masked_tokens(tree, lettering) if lettering else set()
    manner = style.spans(tree.text)
    if manner:
        masked = masked | texts.masked_tokens(tree, manner)
    announcing = texts.announcing_tokens(tree, lettering) if lettering else set()
    phrases = nouns.find(tree, masked, announcing)
    hedge(phrases)
    found = [
        Claim(
            kind="object",
            span=(tree.start[mention.first], tree.end[mention.head]),
            object=mention.object,
            hedge=mention.hedge,
        )
        for mention in phrases.mentions
        if mention.kind == OBJECT and mention.real
    ]
    found += counts(phrases)
    found += set_of(phrases)
    found += attributes(phrases, masked)
    found += positions(phrases, masked)
    found += texts.texts(phrases, lettering)
    return sorted(dict.fromkeys(found), key=lambda claim: (claim.span, _ORDER[claim.kind]))
