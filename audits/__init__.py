"""audits measures how good captions are: what they say, whether it is true, and what they leave out.

    extraction/   caption → claims, with character spans
    text/         coverage, hygiene, repetition: captions before any image is looked at
    evidence/     image → what is there; grounding/: claims × evidence → verdicts
    clip/         how well image and caption fit
    runner/       `audits run`: all of it, shard by shard, into Parquet and summary.json
    comparison/   `audits compare`: two sets or versions, record by record
    reporting/    `audits report`: one HTML page
    fiftyone/     `audits view`
    contradicted.py `audits wrong`: the captions with a wrong claim, as a table
    cache.py      what was seen of pictures, kept by key
    api.py        the functions below; results.py: what they return

In Python, with pandas tables:

    audit = audits.run("my-dataset", evidence=["annotations"])
    audit.figures                      # a row per caption set and figure, with its confidence interval
    audit.captions, audit.claims       # a row per caption, a row per claim
    audit.wrong                        # the captions with a wrong claim; as CSV: audit.export_wrong("wrong.csv")
    difference = audits.compare("my-dataset", "recap-short", "recap-long")
    difference.figures, difference.rows
"""

from typing import TYPE_CHECKING

from recapdata.lazy import lazy_names

if TYPE_CHECKING:
    from audits.api import claims, compare, report, run, view, wrong
    from audits.results import Audit, Difference

__all__ = ["Audit", "Difference", "claims", "compare", "report", "run", "view", "wrong"]

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        **dict.fromkeys(["claims", "compare", "report", "run", "view", "wrong"], "audits.api"),
        **dict.fromkeys(["Audit", "Difference"], "audits.results"),
    },
)
