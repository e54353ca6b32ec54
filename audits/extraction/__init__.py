"""Captions to claims: the checkable statements that a caption makes, each with its character span.

    >>> from audits.claims import claims
    >>> next(claims(["two red apples on a table"]))     # object apple, object table, count 2, color red, position on

A claim is what the caption *says* is there. What it denies ("no people") or supposes ("as if flying") is none.
"""

from audits.claims.extract import extract_claims
from audits.claims.stream import ClaimsSummary, annotate_jsonl, claims

__all__ = ["ClaimsSummary", "annotate_jsonl", "claims", "extract_claims"]
