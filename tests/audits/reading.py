"""The project's own pipeline, loaded once for all tests that parse captions with it."""

from functools import cache

from spacy.language import Language

from audits.extraction import claims
from audits.language.pipeline import load_pipeline
from recapdata.records import Claim


@cache
def own_pipeline() -> Language:
    return load_pipeline()


def claims_of(caption: str) -> list[Claim]:
    """The claims of a caption."""
    return next(claims([caption], pipeline=own_pipeline()))
