"""What an audit has to do: for every caption set and shard, which parts are stale and must be computed again.

Planning reads footers and captions, never images and no model. A part that was not asked for is kept as long as the captions
it was computed from are still the same: a run without CLIP does not throw away the scores of the run before.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from recapdata.dataset.audit_files import Identity, is_current, read_identity
from recapdata.dataset.folder import shard_name
from recapdata.dataset.shards import read_schema
from recapdata.dataset.target import Target

Part = Literal["claims", "clip", "margin", "names", "copies", "evidence"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What the parts of this run are computed with; None where a part is not asked for.

    Attributes:
        names, copies: the identity of these by caption set and shard; sets that are not there are not asked.
        evidence: the identity of the evidence of each shard.
    """

    claims: str
    clip: str | None = None
    margin: str | None = None
    names: Mapping[tuple[str, int], str] = field(default_factory=dict)
    copies: Mapping[tuple[str, int], str] = field(default_factory=dict)
    evidence: dict[int, str] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ShardPlan:
    """What is to be done for one caption set in one shard, and where it goes.

    Attributes:
        identity: what the footer will say.
        stale: the parts to compute.
        keeps: whether any other part is taken from the file at `path` as it stands.
    """

    set_name: str
    shard: int
    path: Path
    identity: Identity
    stale: frozenset[Part]
    keeps: bool


def plan_shard(target: Target, out: Path, set_name: str, shard: int, wanted: Wanted) -> ShardPlan:
    """Compare what a finished audit shard was computed from with what is wanted now."""
    path = out / set_name / shard_name(shard)
    captions = target.captions_hash(set_name, shard)
    old = read_identity(path)
    columns_now = old is not None and is_current(read_schema(path))
    if old is not None and old.captions != captions:
        old = None
    evidence = wanted.evidence[shard] if wanted.evidence is not None else None
    names, copies = wanted.names.get((set_name, shard)), wanted.copies.get((set_name, shard))
    stale: set[Part] = set()
    if old is None or old.claims != wanted.claims or not columns_now:
        stale.add("claims")
    if wanted.clip is not None and (old is None or old.clip != wanted.clip):
        stale.add("clip")
    if wanted.margin is not None and (old is None or "claims" in stale or old.margin != wanted.margin):
        stale.add("margin")
    if names is not None and (old is None or old.names != names):
        stale.add("names")
    if copies is not None and (old is None or "claims" in stale or old.copies != copies):
        stale.add("copies")
    if evidence is not None and (old is None or "claims" in stale or old.evidence != evidence):
        stale.add("evidence")
    identity = Identity(
        captions=captions,
        claims=wanted.claims,
        clip=wanted.clip or (old.clip if old is not None else None),
        names=names or (old.names if old is not None else None),
        # New claims without evidence carry no verdicts, whatever the old ones had; nor do lies of old claims count.
        margin=wanted.margin or (old.margin if old is not None and "claims" not in stale else None),
        copies=copies or (old.copies if old is not None and "claims" not in stale else None),
        evidence=evidence or (old.evidence if old is not None and "claims" not in stale else None),
    )
    return ShardPlan(
        set_name=set_name,
        shard=shard,
        path=path,
        identity=identity,
        stale=frozenset(stale),
        keeps=old is not None,
    )


def still_fresh(target: Target, out: Path, set_name: str, wanted: Wanted) -> Sequence[ShardPlan] | None:
    """The finished audit of a set that this run was not asked for; None where any of it is missing or stale."""
    shards = target.captioned_shards(set_name)
    if not shards:
        return None
    bare = Wanted(claims=wanted.claims)
    plans = [plan_shard(target, out, set_name, shard, bare) for shard in shards]
    return None if any(plan.stale for plan in plans) else plans
