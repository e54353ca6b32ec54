"""Recaptioning: records → a caption set by a model, resumable at any moment, with nothing lost and nothing captioned twice.

run       plan → batches → captions → recorder
plan      which records of which shards, cut into batches
batches   one batch: cut, read, prepared, captioned; local and cluster: where that is done
recorder  finished batches made durable, full shards written; how far a set is
summary   what was done, and what to type next
"""

from typing import TYPE_CHECKING

from recapdata.lazy import lazy_names
from recapdata.recaptioning.options import RunOptions

if TYPE_CHECKING:
    from recapdata.recaptioning.run import recaption
    from recapdata.recaptioning.summary import RecaptionSummary

__all__ = ["RecaptionSummary", "RunOptions", "recaption"]
__getattr__, __dir__ = lazy_names(
    __name__, {"RecaptionSummary": f"{__name__}.summary", "recaption": f"{__name__}.run"}
)
