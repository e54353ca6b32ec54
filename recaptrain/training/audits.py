"""The audit of the captions that a model is trained on, where the dataset's revision has one."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from recapdata.dataset.audit_files import read_identity
from recapdata.dataset.target import Target
from recapdata.versions.figures import FigureValue, read_figures


@dataclass(frozen=True, slots=True, kw_only=True)
class CaptionAudit:
    """What an audit says of one caption set.

    Attributes:
        figures: by name, in reading order.
        digest: a hash over the set's figures and what they were made by, as `audits/summary.json` has them.
        current: whether it is of the captions that are there now. A published revision is published with its own audit.
    """

    figures: Mapping[str, FigureValue]
    digest: str
    current: bool


def read_audits(target: Target, sets: Sequence[str]) -> dict[str, CaptionAudit]:
    """The audits of caption sets by name; nothing of a set that was not audited.

    Raises:
        DatasetDamaged: the summary of the audit cannot be read.
    """
    summary = target.summary() or {}
    figures, entries = read_figures(summary), summary.get("sets", {})
    return {
        name: CaptionAudit(
            figures=figures[name],
            digest=f"sha256:{hashlib.sha256(json.dumps(entries[name], sort_keys=True).encode()).hexdigest()}",
            current=target.published or all(_current(target, name, shard) for shard in target.shards()),
        )
        for name in sets
        if name in entries
    }


def _current(target: Target, set_name: str, shard: int) -> bool:
    path = target.audit_shard(set_name, shard)
    identity = None if path is None else read_identity(path, any_format=True)
    return identity is not None and identity.captions == target.captions_hash(set_name, shard)
