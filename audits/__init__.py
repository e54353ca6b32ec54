"""audits measures how good captions are: what they say, whether it is true, and what they leave out.

    claims/       caption → claims, with character spans
    coverage.py   what captions speak of and how long they are; hygiene.py: what is wrong with them as texts
    evidence/     image → what is really there; grounding.py: claims × evidence → verdicts
    clip.py       how well image and caption fit
    runner.py     `audits run`: all of it, shard by shard, into Parquet and summary.json
    comparison/   `audits compare`: two sets or versions, record by record
    report/       `audits report`: one HTML page
    fiftyone/     `audits view`

In Python, with pandas tables:

    >>> import audits
    >>> audit = audits.run("my-dataset", evidence=["annotations"])
    >>> audit.figures                      # a row per caption set and figure, with its confidence interval
    >>> audit.captions, audit.claims       # a row per caption, a row per claim
    >>> difference = audits.compare("my-dataset", "recap-short", "recap-long")
    >>> difference.figures, difference.rows
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from audits.results import Audit, Difference, compare, run

__all__ = ["Audit", "Difference", "compare", "run"]


def __getattr__(name: str) -> Any:
    """The Python API, imported when it is first used, so that `import audits` stays light."""
    if name not in __all__:
        raise AttributeError(f"module 'audits' has no attribute {name!r}")
    from audits import results

    return getattr(results, name)
