"""What an audit has to do: for every caption set and shard, which parts are stale and must be computed again.

Planning reads footers, and the captions of each set once; never images, and no model. A part that was not asked for is kept as
long as the captions it was computed from are still the same: a run without CLIP does not throw away the scores of the run before.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from audits.clip.counterfactuals import counterfactuals_identity
from audits.clip.scorer import MARGIN, PARTS, PLAIN_PARTS
from audits.evidence import EvidenceSource
from audits.grounding.verdicts import grounding_identity
from audits.rules import rules
from audits.text.duplicates import Fingerprints, Repeats
from audits.text.hygiene import Habits, habits
from recapdata.dataset.audit_files import Identity, is_current, read_identity
from recapdata.dataset.digest import RowsHash
from recapdata.dataset.folder import shard_name
from recapdata.dataset.shards import read_schema
from recapdata.dataset.target import Target
from recapdata.errors import OptionError
from recapdata.models.dual_encoders import ClipSource

Part = Literal["claims", "clip", "margin", "names", "copies", "evidence"]
BATCH = 8192


@dataclass(frozen=True, slots=True, kw_only=True)
class SetCaptions:
    """What is known of a caption set before any of it is audited, after one pass over its captions.

    A caption on many images can only be flagged when all have been counted, so this pass comes before the one that audits.

    Attributes:
        hashes: by shard that has captions, the hash that tells whether an audit is of them.
        copies: by shard what the column `copies` depends on; `repeats` has the captions that many images share.
        sample: some of the captions, where they were asked for.
    """

    hashes: Mapping[int, str]
    repeats: Repeats
    copies: Mapping[int, str]
    habits: Habits
    sample: Sequence[str] = ()


def read_set(target: Target, set_name: str, sampled: Callable[[str], bool] | None = None) -> SetCaptions:
    """Read the captions of a set once.

    Args:
        sampled: whether the caption of a key belongs to the sample; no sample where None.
    """
    hashes: dict[int, str] = {}
    ends: dict[int, tuple[int, int]] = {}
    sample: list[str] = []

    def captions(prints: Fingerprints) -> Iterator[str]:
        rows = 0
        for shard in target.captioned_shards(set_name):
            digest, start = RowsHash(), rows
            for batch in target.read(shard, ["key", set_name], batch_rows=BATCH):
                digest.update(batch)
                texts = batch.column(set_name).to_pylist()
                prints.add(texts)
                rows += len(texts)
                if sampled is not None:
                    keyed = zip(batch.column("key").to_pylist(), texts, strict=True)
                    sample.extend(text for key, text in keyed if text is not None and sampled(key))
                yield from (text for text in texts if text is not None)
            hashes[shard], ends[shard] = digest.hexdigest(), (start, rows)

    with Fingerprints() as prints:
        found = habits(captions(prints))
        repeats, stored = prints.repeats(), prints.stored()
        copies = {shard: repeats.identity(stored[start:end]) for shard, (start, end) in ends.items()}
    return SetCaptions(hashes=hashes, repeats=repeats, copies=copies, habits=found, sample=tuple(sample))


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


def clip_wanted(model: ClipSource | None, parts: Sequence[str]) -> tuple[str | None, str | None]:
    """The identities of the CLIP scores and of the margins; None for what is not taken.

    Raises:
        OptionError: there are no such scores.
    """
    unknown = [part for part in parts if part not in PARTS]
    if unknown or not parts:
        raise OptionError(f"no CLIP scores {', '.join(unknown) or 'at all'}; there are {', '.join(PARTS)}")
    if model is None:
        return None, None
    named = f"{model.name}@{model.revision}".replace(" ", "_")
    plain = [part for part in PLAIN_PARTS if part in parts]
    return (
        f"{named} {'+'.join(plain)} {rules('scores')}" if plain else None,
        f"{named} {counterfactuals_identity()} {rules('scores')}" if MARGIN in parts else None,
    )


def evidence_wanted(target: Target, sources: Sequence[EvidenceSource]) -> dict[int, str]:
    """The identity of the evidence of each shard."""
    return {
        shard: " ".join([grounding_identity(), *(source.identity(shard) for source in sources)])
        for shard in target.shards()
    }


def names_wanted(
    target: Target, sets: Sequence[str], alt: str, found_by: str, read: Callable[[str], SetCaptions]
) -> dict[tuple[str, int], str]:
    """The identity of the names of each shard's alt text, for every set but the alt text itself."""
    if alt in target.set_names():
        texts = read(alt).hashes
    else:
        texts = {shard: target.captions_hash(alt, shard) for shard in target.shards()}
    return {
        (name, shard): f"{found_by} alt:{text}"
        for name in sets
        if name != alt
        for shard, text in texts.items()
    }


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


def plan_shard(out: Path, set_name: str, shard: int, captions: str, wanted: Wanted) -> ShardPlan:
    """Compare what a finished audit shard was computed from with what is wanted now.

    Args:
        captions: the hash of the shard's captions as they are.
    """
    path = out / set_name / shard_name(shard)
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
        # New claims without evidence carry no verdicts, whatever the old ones had; nor do counterfactuals of old claims count.
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


def still_fresh(
    out: Path, set_name: str, captions: Mapping[int, str], wanted: Wanted
) -> Sequence[ShardPlan] | None:
    """The finished audit of a set that this run was not asked for; None where any of it is missing or stale.

    Args:
        captions: the hash of the captions of each shard that has some.
    """
    bare = Wanted(claims=wanted.claims)
    plans = [plan_shard(out, set_name, shard, content, bare) for shard, content in captions.items()]
    return None if not plans or any(plan.stale for plan in plans) else plans
