"""Captions to claims: the checkable statements that a caption makes, each with its character span.

    >>> from audits.extraction import claims
    >>> next(claims(["two red apples on a table"]))     # object apple, object table, count 2, color red, position on

A claim is what the caption *says* is there. What it denies ("no people") or supposes ("as if flying") is none.
"""

from audits.extraction.extract import extract_claims
from audits.extraction.stream import LONGEST, ClaimsSummary, annotate_jsonl, claims

__all__ = ["LONGEST", "ClaimsSummary", "annotate_jsonl", "claims", "extract_claims"]
