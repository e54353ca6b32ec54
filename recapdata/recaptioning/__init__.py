"""Recaptioning: records → a caption set by a model, resumable at any moment, with nothing lost and nothing captioned twice.

agreement   what the command means for a set that exists
state       how far a set is, shard by shard
run         plan → batches → captions, through an engine
recorder    finished batches made durable, full shards written
summary     what was done, and what to type next
"""

from typing import TYPE_CHECKING

from recapdata.recaptioning.options import RunOptions
from recapdata.registry import lazily

if TYPE_CHECKING:
    from recapdata.recaptioning.run import recaption
    from recapdata.recaptioning.summary import RecaptionSummary

__all__ = ["RecaptionSummary", "RunOptions", "recaption"]
__getattr__ = lazily(__name__, recaption="run", RecaptionSummary="summary")
