"""Docs with hand-written trees, as spaCy's own tests build them: no model is loaded."""

from spacy.lang.en import English
from spacy.tokens import Doc

from audits.extraction import extract_claims
from recapdata.records import Claim

_VOCAB = English().vocab


def parsed(table: str) -> Doc:
    """A doc from one token a line: `word lemma tag POS head dependency`, the head as a line number from 0.

    A word that ends in `~` has no blank after it; "." after a word needs that.
    """
    rows = [line.split() for line in table.strip().splitlines()]
    return Doc(
        _VOCAB,
        words=[row[0].rstrip("~") for row in rows],
        spaces=[not row[0].endswith("~") for row in rows[:-1]] + [False],
        lemmas=[row[1] for row in rows],
        tags=[row[2] for row in rows],
        pos=[row[3] for row in rows],
        heads=[int(row[4]) for row in rows],
        deps=[row[5] for row in rows],
    )


def said(claims: list[Claim]) -> set[tuple]:
    """Claims without spans and hedges, as tuples that read well in a failed assertion."""
    return {
        tuple(
            value
            for name, value in claim.to_dict().items()
            if name not in ("span", "hedge") and value is not None
        )
        for claim in claims
    }


def said_by(table: str) -> set[tuple]:
    return said(extract_claims(parsed(table)))
