"""The audit run: plan → the stale parts of each shard → audit shards → summary. Resumable, streaming, one bar.

The sets of a shard are audited together, so that an image is decoded and encoded once however many captions it has.
"""

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from audits.audited import made_by
from audits.clip.counterfactuals import lies_identity
from audits.clip.models import ClipSource, resolve
from audits.clip.scorer import MARGIN, PARTS, PLAIN_PARTS
from audits.clip.skew import Prompts, content_hash, open_prompts, skews
from audits.evidence import EvidenceSource, open_evidence
from audits.grounding.verdicts import grounding_identity
from audits.language.pipeline import identity, load_pipeline
from audits.rules import rules
from audits.runner.engines import open_engine
from audits.runner.outcome import AuditSummary
from audits.runner.plan import ShardPlan, Wanted, plan_shard, still_fresh
from audits.runner.text_part import reading_identity
from audits.runner.worker import Tools, captions_of
from audits.summary import summarize, summary_json
from audits.text.duplicates import Repeats, find_repeats
from audits.text.hygiene import habits
from audits.text.names import alt_source, load_names, names_identity
from recapdata.atomic import write_atomic
from recapdata.console import progress, say
from recapdata.dataset.audit_files import SUMMARY_FILE, read_audit
from recapdata.dataset.folder import hold
from recapdata.dataset.shards import ShardFile
from recapdata.dataset.target import Target, open_dataset
from recapdata.errors import CaptionSetNotFound, OptionError

if TYPE_CHECKING:
    from spacy.language import Language


def run(
    target: str | Path | Target,
    *,
    captions: Sequence[str] = (),
    pipeline: str | None = None,
    clip: str | None = None,
    clip_parts: Sequence[str] = PARTS,
    evidence: Sequence[str] = (),
    prompts: str | None = None,
    out: Path | None = None,
    engine: str = "local",
    workers: int | None = None,
) -> AuditSummary:
    """Audit caption sets of a dataset and write `<out>/<set>/train-NNNNN.parquet` and `<out>/summary.json`.

    Finished shards are computed again only where their captions or what they were computed with have changed, and then only
    the parts that depend on it. The manifest is not touched. Of a set under way (a pilot, say) the captions that are there are
    audited; the shards that get more of them later are then computed again.

    Args:
        captions: the caption sets; all of them where empty.
        pipeline: a spaCy pipeline by name or folder; the project's own where None.
        clip: a CLIP model by name (see `clip_models`); no CLIP scores are taken where None.
        clip_parts: those of `clip.PARTS` that are wanted.
        evidence: names of evidence sources, the most trusted first.
        prompts: a caption set or a file of prompts that the captions are compared with (see `skew`); needs `clip`.
        out: where the results go; `audits` in the dataset folder where None, required for a published version.
        engine: where it is done, a name of `engines.ENGINES`; the results do not depend on it.
        workers: processes here, actors on a cluster; as many as there are cores where None.

    Raises:
        CaptionSetNotFound: no such caption set, or the dataset has none.
        OptionError: no place for the results of a published version, or prompts without a CLIP model.
        ClusterError: there is no cluster, or its nodes do not see the dataset.
    """
    began = time.monotonic()
    do_units = open_engine(engine)
    target = (target if isinstance(target, Target) else open_dataset(target)).so_far()
    destination = _destination(target, out)
    sets = _sets(target, captions)
    nlp = load_pipeline(pipeline)
    if prompts is not None and clip is None:
        raise OptionError("--prompts needs a CLIP model to compare texts with; name one with --clip")
    asked = open_prompts(prompts, target) if prompts is not None else None
    model = resolve(clip) if clip is not None else None
    sources = tuple(open_evidence(name, target) for name in dict.fromkeys(evidence))
    alt = alt_source(target)
    names = load_names(pipeline, nlp) if alt is not None and sets != [alt] else None
    repeats = {name: find_repeats(_texts(target, name)) for name in sets}
    wanted = replace(
        _wanted(target, nlp, model, clip_parts, sources),
        names=_wanted_names(target, sets, alt, names_identity(names, nlp)) if alt and names else {},
        copies=_wanted_copies(target, repeats),
    )
    destination.mkdir(parents=True, exist_ok=True)
    with hold(destination):
        plans = _plan(target, destination, sets, wanted)
        stale = [[plan for plan in shard if plan.stale] for shard in plans]
        units = [shard for shard in stale if shard]
        tools = Tools(
            target=target,
            pipeline=pipeline,
            clip=model,
            clip_name=clip,
            clip_parts=clip_parts,
            evidence=sources,
            alt=alt if names is not None else None,
            repeats=repeats,
        )
        with progress("audit", sum(captions_of(unit, target) for unit in units), unit="captions") as advance:
            unreadable = sum(do_units(units, tools, nlp=nlp, workers=workers, advance=advance))
        done = [plan for shard in plans for plan in shard]
        content = _summarize(target, destination, done, wanted, identity(nlp))
        _add_skews(content, target, destination, sets, done, asked, model)
        text = json.dumps(content, ensure_ascii=False, indent=1) + "\n"
        write_atomic(destination / SUMMARY_FILE, text.encode())
        content = json.loads(text)
    return AuditSummary(
        target=target.resolved,
        out=str(destination),
        pipeline=content["pipeline"],
        clip=content["clip"],
        evidence=content["evidence"],
        records=content["records"],
        sets=content["sets"],
        audited=sets,
        computed=sum(map(len, stale)),
        kept=len(done) - sum(map(len, stale)),
        unreadable=unreadable,
        unfinished=[
            name for name in sets if not all(target.finished(name, shard) for shard in target.shards())
        ],
        seconds=round(time.monotonic() - began, 1),
    )


def _destination(target: Target, out: Path | None) -> Path:
    if out is not None:
        return out
    if target.folder is None:
        raise OptionError(
            f"{target.name} is a published version and cannot be written to; say where the audit goes with --out DIR"
        )
    return target.folder / "audits"


def _sets(target: Target, captions: Sequence[str]) -> list[str]:
    known = target.set_names()
    for name in captions:
        if name not in known:
            raise CaptionSetNotFound(
                f"{target.name} has no caption set {name!r}; it has {', '.join(known) or 'none'}"
            )
    sets = list(dict.fromkeys(captions)) or known
    if not sets:
        raise CaptionSetNotFound(
            f"{target.name} has no caption set to audit; make one with recapdata import-captions or recaption"
        )
    return sets


def _wanted(
    target: Target,
    nlp: "Language",
    model: ClipSource | None,
    parts: Sequence[str],
    sources: Sequence[EvidenceSource],
) -> Wanted:
    unknown = [part for part in parts if part not in PARTS]
    if unknown or not parts:
        raise OptionError(f"no CLIP scores {', '.join(unknown) or 'at all'}; there are {', '.join(PARTS)}")
    clip = margin = None
    if model is not None:
        named = f"{model.name}@{model.revision}".replace(" ", "_")
        plain = [part for part in PLAIN_PARTS if part in parts]
        clip = f"{named} {'+'.join(plain)} {rules('scores')}" if plain else None
        margin = f"{named} {lies_identity()} {rules('scores')}" if MARGIN in parts else None
    evidence = {
        shard: " ".join([grounding_identity(), *(source.identity(shard) for source in sources)])
        for shard in target.shards()
    }
    return Wanted(
        claims=reading_identity(nlp), clip=clip, margin=margin, evidence=evidence if sources else None
    )


def _wanted_names(target: Target, sets: Sequence[str], alt: str, found_by: str) -> dict[tuple[str, int], str]:
    """The identity of the names of each shard's alt text, for every set but the alt text itself."""
    shards = target.captioned_shards(alt) if alt in target.set_names() else target.shards()
    texts = {shard: target.captions_hash(alt, shard) for shard in shards}
    return {
        (name, shard): f"{found_by} alt:{text}"
        for name in sets
        if name != alt
        for shard, text in texts.items()
    }


def _wanted_copies(target: Target, repeats: Mapping[str, Repeats]) -> dict[tuple[str, int], str]:
    return {
        (name, shard): found.identity(
            batch.column(name).to_pylist() for batch in target.read(shard, ["key", name], batch_rows=8192)
        )
        for name, found in repeats.items()
        for shard in target.captioned_shards(name)
    }


def _texts(target: Target, name: str) -> Iterator[str]:
    """The captions of a set, in all its shards."""
    for shard in target.captioned_shards(name):
        for batch in target.read(shard, ["key", name], batch_rows=8192):
            yield from batch.column(name).drop_null().to_pylist()


def _plan(target: Target, out: Path, sets: Sequence[str], wanted: Wanted) -> list[list[ShardPlan]]:
    """Per shard the plans of the sets that have captions there."""
    captioned = {name: set(target.captioned_shards(name)) for name in sets}
    return [
        [plan_shard(target, out, name, shard, wanted) for name in sets if shard in captioned[name]]
        for shard in target.shards()
    ]


def _summarize(
    target: Target, out: Path, done: Sequence[ShardPlan], wanted: Wanted, pipeline: str
) -> dict[str, Any]:
    """The summary over the audited sets and those audited before that are still fresh."""
    plans: dict[str, list[ShardPlan]] = {}
    for name in target.set_names():
        mine = [plan for plan in done if plan.set_name == name]
        if mine:
            plans[name] = mine
        elif (out / name).is_dir():
            kept = still_fresh(target, out, name, wanted)
            if kept is None:
                say(
                    f"{name}: its earlier audit is of other captions, or by other rules or another pipeline, and not in the "
                    f"summary; run: audits run {target.name} --captions {name}"
                )
            else:
                plans[name] = list(kept)
    identities = [plan.identity for each in plans.values() for plan in each]
    scores = [score for each in identities for score in (each.clip, each.margin) if score]
    models = list(dict.fromkeys(score.split(" ")[0] for score in scores))
    if len(models) > 1:
        say(f"the sets were scored by different CLIP models, which cannot be compared: {', '.join(models)}")
    sources = dict.fromkeys(
        source.rpartition("+")[0]
        for each in identities
        if each.evidence
        for source in each.evidence.split(" ")[1:]
    )
    return summary_json(
        pipeline=pipeline,
        made_by={name: made_by(plan.identity for plan in each) for name, each in plans.items()},
        clip=", ".join(models) or None,
        evidence=list(sources),
        records=sum(target.rows(shard) for shard in target.shards()),
        sets={name: summarize(_audit_batches(each)) for name, each in plans.items()},
        habits={name: habits(_captions(target, each)) for name, each in plans.items()},
    )


def _add_skews(
    content: dict[str, Any],
    target: Target,
    out: Path,
    sets: Sequence[str],
    done: Sequence[ShardPlan],
    prompts: Prompts | None,
    model: ClipSource | None,
) -> None:
    """Set down in a summary how far the sets are from the prompts; what an earlier one says of them stays while it holds."""
    path = out / SUMMARY_FILE
    earlier = json.loads(path.read_text(encoding="utf8"))["sets"] if path.is_file() else {}
    before = {name: each["skew"] for name, each in earlier.items() if "skew" in each}
    # A set that this run was not asked for is in the summary because its captions are the same as then.
    kept = {name: before[name] for name in content["sets"] if name in before and name not in sets}
    hashes = {
        name: content_hash(plan.identity.captions for plan in done if plan.set_name == name) for name in sets
    }
    for name, skew in {**kept, **skews(target, hashes, prompts, model, before)}.items():
        content["sets"][name]["skew"] = skew


def _captions(target: Target, plans: Sequence[ShardPlan]) -> Iterator[str]:
    for plan in plans:
        for batch in target.read(plan.shard, ["key", plan.set_name], batch_rows=8192):
            yield from batch.column(plan.set_name).drop_null().to_pylist()


def _audit_batches(plans: Sequence[ShardPlan]) -> Iterator[pa.RecordBatch]:
    for plan in plans:
        with ShardFile(plan.path) as file:
            yield from read_audit(file, ["claims", "scores"], batch_rows=8192)
