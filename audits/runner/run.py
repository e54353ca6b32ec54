"""The audit run: plan → the stale parts of each shard → audit shards → summary. Resumable, streaming, one bar.

The sets of a shard are audited together, so that an image is decoded and encoded once however many captions it has. The captions
of a set are read once to plan (see `plan.SetCaptions`), and once more by the process that audits them, where they are stale.
"""

import json
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, BinaryIO

import pyarrow as pa

from audits.audited import made_by, with_columns
from audits.cache import cache_roots, prune
from audits.clip.cache import embeddings_maker
from audits.clip.scorer import PARTS
from audits.clip.skew import Skew, content_hash, open_prompts, sampler, skews
from audits.evidence import open_evidence
from audits.evidence.cache import makers
from audits.figures import in_reading_order, reads_captions, registered, title
from audits.language.pipeline import identity, load_pipeline
from audits.runner.plan import (
    BATCH,
    SetCaptions,
    ShardPlan,
    Wanted,
    clip_wanted,
    evidence_wanted,
    names_wanted,
    plan_shard,
    read_set,
    still_fresh,
)
from audits.runner.text_part import reading_identity
from audits.runner.worker import Setup, audit_units, captions_of
from audits.summary import short_model, summarize, summary_json
from audits.text.names import alt_source, load_names, names_identity
from recapdata.atomic import write_atomic
from recapdata.console import progress, say
from recapdata.dataset.audit_files import SUMMARY_FILE, read_audit, read_summary
from recapdata.dataset.bounded import SMALL_BYTES
from recapdata.dataset.folder import EVIDENCE, check_output, hold, ways_out
from recapdata.dataset.shards import ShardFile
from recapdata.dataset.target import Target, open_dataset
from recapdata.display import shell_word
from recapdata.engines import check_engine
from recapdata.errors import CaptionSetNotFound, DatasetDamaged, OptionError
from recapdata.models.dual_encoders import ClipSource, find_clip
from recapdata.models.sources import caution
from recapdata.outputs import FileKind, check_replaceable
from recapdata.suggestions import did_you_mean
from recapdata.versions.figures import read_figures

BRIEF_SETS = 3
"""Caption sets in the short form of an audit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditSummary:
    """The outcome of `audits run`; pipeline, clip, evidence, records and sets are as in `summary.json`.

    Attributes:
        audited: the sets this run was asked for; `sets` may hold others from earlier runs.
        computed: audit shards written by this run; `kept` were fresh already.
        unreadable: images that could not be decoded, and so have no CLIP score.
        unfinished: sets under way (a pilot, say), of which the captions that are there were audited.
    """

    target: str
    out: str
    pipeline: str
    clip: str | None
    evidence: Sequence[str]
    records: int
    sets: Mapping[str, Mapping[str, Any]]
    audited: Sequence[str]
    computed: int
    kept: int
    unreadable: int
    unfinished: Sequence[str]
    seconds: float

    @property
    def complete(self) -> bool:
        """Whether every image was read; a set under way is audited as far as it is, and said to be a sample."""
        return not self.unreadable

    def __repr__(self) -> str:
        return self.brief()

    def text(self) -> str:
        """The table of figures, a column per set, and where the results lie."""
        return "\n".join([*self._head(), "", *self._table(list(self.sets)), "", *self._foot()])

    def brief(self) -> str:
        """The figures at a glance of the first sets: what a notebook shows of an audit that has nothing else to show it by."""
        glance = {figure.name for figure in registered() if figure.glance}
        more = len(self.sets) - BRIEF_SETS
        lines = [*self._head(), "", *self._table(list(self.sets)[:BRIEF_SETS], glance), ""]
        lines += (
            [f"and {more} more caption sets" if more > 1 else "and one more caption set"] if more > 0 else []
        )
        return "\n".join(
            [*lines, "all of it: print(audit.text()); tables: audit.figures, .captions, .claims, .wrong"]
        )

    def _head(self) -> list[str]:
        used = [f"pipeline {self.pipeline}"]
        used += [f"CLIP {short_model(self.clip)}"] if self.clip else []
        used += [f"evidence {', '.join(self.evidence)}"] if self.evidence else []
        return [f"Audit of {self.target}: {self.records:,} records", "; ".join(used)]

    def _table(self, sets: Sequence[str], only: Collection[str] | None = None) -> list[str]:
        """A column per set; `only` some figures, where given."""
        shown = {name: self.sets[name] for name in sets}
        names = in_reading_order(figure for each in shown.values() for figure in each["figures"])
        names = [name for name in names if only is None or name in only]
        rows = [("", list(shown))]
        rows.append(("captions", [f"{each['captions']:,}" for each in shown.values()]))
        missing = {name: each["missing"] for name, each in shown.items() if name not in self.unfinished}
        if any(missing.values()):
            rows.append(("missing", [f"{missing[name]:,}" if name in missing else "–" for name in shown]))
        figures = list(read_figures({"sets": shown}).values())
        rows += [
            (title(name), [each[name].text() if name in each else "–" for each in figures]) for name in names
        ]
        first = max(len(name) for name, _ in rows)
        widths = [max(len(cells[place]) for _, cells in rows) for place in range(len(shown))]
        return [
            f"{name:<{first}}"
            + "".join(f"   {cell:>{width}}" for cell, width in zip(cells, widths, strict=True))
            for name, cells in rows
        ]

    def _foot(self) -> list[str]:
        lines = ["(95 % bootstrap confidence intervals)"]
        if self.kept:
            lines.append(f"{self.kept:,} audit shards were fresh already, {self.computed:,} computed")
        if not self.evidence:
            lines.append(
                "no claim was judged: say by what, with --evidence annotations,detector:MODEL,colors,ocr"
            )
        if self.unreadable:
            lines.append(f"{self.unreadable:,} images could not be read and have no CLIP score")
        lines += [
            f"{name}: distance from the prompts of {each['skew']['prompts']} {Skew(**each['skew']).text()}"
            for name, each in self.sets.items()
            if "skew" in each
        ]
        lines += [
            f"{name} is under way: a sample, {self.sets[name]['captions']:,} captions of {self.records:,} records; after the "
            "rest has come, the same command audits that too"
            for name in self.unfinished
        ]
        return [
            *lines,
            f"→ {self.out}/summary.json",
            f"look at it: audits view {shell_word(str(self.target))}",
        ]


def run(
    target: str | Path | Target,
    *,
    captions: Sequence[str] = (),
    pipeline: str | None = None,
    clip: str | None = None,
    clip_scores: Sequence[str] = PARTS,
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
        clip_scores: those of `clip.PARTS` that are wanted.
        evidence: names of evidence sources, the most trusted first.
        prompts: a caption set or a file of prompts that the captions are compared with (see `skew`); needs `clip`.
        out: where the results go; `audits` in the dataset folder where None, required for a published version.
        engine: where it is done, a name of `recapdata.engines.ENGINES`; the results do not depend on it.
        workers: processes here, actors on a cluster; as many as there are cores where None.

    Raises:
        CaptionSetNotFound: no such caption set, the dataset has none, or the set has no captions yet.
        OptionError: no place for the results of a published version, or one where another summary.json lies, or prompts without a CLIP
            model.
        DatasetDamaged: the place for the results holds a symbolic link.
        ClusterError: there is no cluster, or its nodes do not see the dataset.
    """
    began = time.monotonic()
    check_engine(engine)
    target = open_dataset(target).so_far()
    destination = _destination(target, out)
    sets = _sets(target, captions)
    check_output(destination, {*sets, SUMMARY_FILE, ".lock", f".{EVIDENCE}"})
    if out is not None:
        check_replaceable(destination / SUMMARY_FILE, SUMMARY)
    if prompts is not None and clip is None:
        raise OptionError("--prompts needs a CLIP model to compare texts with; name one with --clip")
    sources = tuple(open_evidence(name, target) for name in dict.fromkeys(evidence))
    nlp = load_pipeline(pipeline)
    records = sum(target.rows(shard) for shard in target.shards())
    sampled = sampler(records) if prompts is not None else None

    @cache
    def read(set_name: str) -> SetCaptions:
        return read_set(target, set_name, sampled)

    asked = None
    if prompts is not None:
        asked = open_prompts(prompts, target.set_names(), lambda name: read(name).sample)
    model = find_clip(clip) if clip is not None else None
    if clip is not None and (warning := caution(clip, target)):
        say(warning)
    alt = alt_source(target)
    names = load_names(pipeline, nlp) if alt is not None and sets != [alt] else None
    scores, margin = clip_wanted(model, clip_scores)
    wanted = Wanted(
        claims=reading_identity(nlp),
        clip=scores,
        margin=margin,
        names=names_wanted(target, sets, alt, names_identity(names, nlp), read) if alt and names else {},
        copies={(name, shard): copies for name in sets for shard, copies in read(name).copies.items()},
        evidence=evidence_wanted(target, sources) if sources else None,
    )
    destination.mkdir(parents=True, exist_ok=True)
    with hold(destination):
        plans = [
            [
                plan_shard(destination, name, shard, read(name).hashes[shard], wanted)
                for name in sets
                if shard in read(name).hashes
            ]
            for shard in target.shards()
        ]
        stale = [[plan for plan in shard if plan.stale] for shard in plans]
        units = [shard for shard in stale if shard]
        roots = cache_roots(target, destination)
        if units:
            used = [*makers(sources, target.shards()), *_embedded_by(model)]
            prune(roots[0], used, held=target.folder is not None)
        setup = Setup(
            target=target,
            pipeline=pipeline,
            clip=model,
            clip_name=clip,
            clip_parts=clip_scores,
            evidence=sources,
            alt=alt if names is not None else None,
            repeats={name: read(name).repeats for name in sets},
            cache=roots,
        )
        with progress("audit", sum(captions_of(unit, target) for unit in units), unit="captions") as advance:
            unreadable = sum(
                audit_units(units, setup, engine=engine, nlp=nlp, workers=workers, advance=advance)
            )
        done = [plan for shard in plans for plan in shard]
        content = _summarize(target, destination, done, wanted, identity(nlp), records, read)
        try:
            earlier = read_summary(destination / SUMMARY_FILE, target.name) or {"sets": {}}
        except DatasetDamaged as error:  # this very run is what its message recommends
            say(f"{destination / SUMMARY_FILE} was not JSON and is written anew ({error.__cause__})")
            earlier = {"sets": {}}
        before = {name: each["skew"] for name, each in earlier["sets"].items() if "skew" in each}
        # A set that this run was not asked for is in the summary because its captions are the same as then.
        kept = {name: before[name] for name in content["sets"] if name in before and name not in sets}
        hashed = {name: (content_hash(read(name).hashes.values()), read(name).sample) for name in sets}
        for name, skew in {**kept, **skews(hashed, asked, model, before)}.items():
            content["sets"][name]["skew"] = skew
        text = json.dumps(content, ensure_ascii=False, indent=1) + "\n"
        content = json.loads(text)
        if content != earlier:  # else it stays byte by byte, as versions were published with it
            write_atomic(destination / SUMMARY_FILE, text.encode())
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


def _embedded_by(model: ClipSource | None) -> list[str]:
    return [] if model is None else [embeddings_maker(f"{model.name}@{model.revision}")]


def _is_summary(file: BinaryIO) -> bool:
    try:
        content = json.loads(file.read(SMALL_BYTES))
    except (ValueError, RecursionError):
        return False
    return isinstance(content, dict) and isinstance(content.get("sets"), dict)


SUMMARY = FileKind(noun="summary of audits run", example=SUMMARY_FILE, recognize=_is_summary)


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
                f"{target.name} has no caption set {name!r}{did_you_mean(name, known)}; it has {', '.join(known) or 'none'}"
            )
    sets = list(dict.fromkeys(captions)) or known
    if not sets:
        raise CaptionSetNotFound(
            f"{target.name} has no caption set to audit; make one with recapdata import-captions or recaption"
        )
    begun = [name for name in sets if target.captioned_shards(name)]
    if empty := [name for name in sets if name not in begun]:
        message = f"caption set {empty[0]!r} of {target.name} has no captions yet; {ways_out(target.name, empty[0])}"
        if captions or not begun:
            raise CaptionSetNotFound(message)
        say(message)
    return begun


def _summarize(
    target: Target,
    out: Path,
    done: Sequence[ShardPlan],
    wanted: Wanted,
    pipeline: str,
    records: int,
    read: Callable[[str], SetCaptions],
) -> dict[str, Any]:
    """The summary over the audited sets and those audited before that are still fresh."""
    plans: dict[str, list[ShardPlan]] = {}
    for name in target.set_names():
        mine = [plan for plan in done if plan.set_name == name]
        if mine:
            plans[name] = mine
        elif (out / name).is_dir():
            kept = still_fresh(out, name, read(name).hashes, wanted)
            if kept is None:
                say(
                    f"{name}: its earlier audit is of other captions, or by other rules or another pipeline, and not in the "
                    f"summary; run: audits run {shell_word(str(target.name))} --captions {name}"
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
        records=records,
        sets={name: summarize(_audit_batches(target, each)) for name, each in plans.items()},
        habits={name: read(name).habits for name in plans},
    )


def _audit_batches(target: Target, plans: Sequence[ShardPlan]) -> Iterator[pa.RecordBatch]:
    """The audits that figures are made of, with the captions where a figure from outside reads them."""
    texts = reads_captions()
    for plan in plans:
        with ShardFile(plan.path) as file:
            columns = ["claims", "scores", *(["key"] if texts else [])]
            found = read_audit(file, columns, batch_rows=BATCH)
            texts_beside = {"caption": plan.set_name}
            yield from with_columns(found, target, texts_beside, plan.shard) if texts else found
