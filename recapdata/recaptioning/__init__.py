"""Recaptioning: records → a caption set by a model, resumable at any moment, with nothing lost and nothing captioned twice.

run       plan → batches → captions → recorder
plan      which records of which shards, cut into batches
batches   one batch: cut, read, prepared, captioned; local and cluster: where that is done
recorder  finished batches made durable, full shards written; how far a set is
summary   what was done, and what to type next
"""

from typing import TYPE_CHECKING

from recapdata.recaptioning.options import RunOptions
from recapdata.registry import lazily

if TYPE_CHECKING:
    from recapdata.recaptioning.run import recaption
    from recapdata.recaptioning.summary import RecaptionSummary

__all__ = ["RecaptionSummary", "RunOptions", "recaption"]
__getattr__ = lazily(__name__, recaption="run", RecaptionSummary="summary")
