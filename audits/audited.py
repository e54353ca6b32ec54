"""An audited caption set, opened to be read: its audit shards, checked to be of the captions as they are now."""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from audits.rules import VERSIONS, rules, source_rules
from recapdata.dataset.audit_files import AUDIT_SCHEMA, EARLIER, Identity, read_audit, read_identity
from recapdata.dataset.folder import shard_name
from recapdata.dataset.shards import ShardFile, aligned
from recapdata.dataset.target import Target
from recapdata.display import shell_word
from recapdata.errors import AuditNotFound
from recapdata.versions.comparable import PARTS, Made, affected, comparable, remedy, sentence
from recapdata.versions.figures import FigureValue

BATCH = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditedSet:
    """The audit of one caption set; made by `open_audit`.

    Attributes:
        paths: the audit shard of every shard that has captions, ascending.
        identities: what each was computed from.
        audits: the folder given by `--out` that the audit lies in; None where it lies in the target.
    """

    target: Target
    set_name: str
    paths: Mapping[int, Path]
    identities: Mapping[int, Identity]
    audits: Path | None = None

    @property
    def made(self) -> Made:
        """What the audit was made by."""
        evidence = json.dumps([identity.evidence for identity in self.identities.values()])
        return Made(
            set_name=self.set_name,
            target=self.target.name,
            parts=made_by(self.identities.values()),
            published=self.target.published,
            audits=None if self.audits is None else str(self.audits),
            evidence_hash=hashlib.sha256(evidence.encode()).hexdigest(),
        )

    def batches(
        self, columns: Sequence[str], *, shards: Sequence[int] | None = None
    ) -> Iterator[tuple[int, int, pa.RecordBatch]]:
        """Stream the named columns (nested ones as `scores.words`): the shard, the number of its first row, and the batch.

        Args:
            columns: those of `AUDIT_SCHEMA`, and beside the `key`, `caption` for the text and `source` for where the image came from.
            shards: only these; all where None.
        """
        beside = {"caption": self.set_name, "source": "source"}
        audited = [name for name in columns if name not in beside]
        others = {name: column for name, column in beside.items() if name in columns}
        for shard in shards if shards is not None else self.paths:
            with ShardFile(self.paths[shard]) as file:
                start = 0
                found = read_audit(file, audited, batch_rows=BATCH)
                if others:
                    found = with_columns(found, self.target, others, shard)
                for batch in found:
                    yield shard, start, batch
                    start += batch.num_rows

    def rows(self, shard: int, rows: Sequence[int]) -> list[dict[str, Any]]:
        """The audit rows (`AUDIT_SCHEMA`) of these numbers in a shard, in that order; only their row groups are read."""
        with ShardFile(self.paths[shard]) as file:
            values = file.take(rows, AUDIT_SCHEMA.names)
        return pa.Table.from_pylist(values, schema=AUDIT_SCHEMA).to_pylist()

    def captions(self, shard: int, rows: Sequence[int]) -> list[str | None]:
        """The captions of these row numbers in a shard, in that order."""
        captions: dict[int, str | None] = {}
        start, wanted = 0, sorted(set(rows))
        for batch in self.target.read(shard, ["key", self.set_name], batch_rows=BATCH):
            here = [row for row in wanted if start <= row < start + batch.num_rows]
            texts = batch.column(self.set_name)
            captions |= {row: texts[row - start].as_py() for row in here}
            start += batch.num_rows
        return [captions[row] for row in rows]


def with_columns(
    audit: Iterator[pa.RecordBatch], target: Target, columns: Mapping[str, str], shard: int
) -> Iterator[pa.RecordBatch]:
    """Audit rows of a shard, `key` among their columns, with columns of the dataset.

    Args:
        columns: what a column is called here, and what in the dataset.
    """
    # One stream for each: those of a published version are in different files.
    streams = [target.read(shard, ["key", column], batch_rows=BATCH) for column in columns.values()]
    where = f"{target.name}, {shard_name(shard)}"
    for batch, *others in aligned([audit, *streams], where=where):
        for (name, column), values in zip(columns.items(), others, strict=True):
            batch = batch.append_column(name, values.column(column))
        yield batch


def open_audit(target: Target, set_name: str, audits: Path | None = None) -> AuditedSet:
    """The audit of a caption set.

    Args:
        audits: where `audits run --out` put it; the target's own where None.

    Raises:
        CaptionSetNotFound: no such caption set.
        AuditNotFound: it was not audited, only in part, by an earlier version, or its captions have changed since.
    """
    target.check_set(set_name)
    target = target.so_far()
    paths: dict[int, Path] = {}
    identities: dict[int, Identity] = {}
    again = _command(target, set_name, audits)
    for shard in target.captioned_shards(set_name):
        path = _path(target, set_name, audits, shard)
        if path is None:
            what = "was audited in part only" if paths else "has not been audited"
            raise AuditNotFound(f"{set_name} of {target.name} {what}; run: {again}")
        identity = read_identity(path)
        if identity is None:
            raise AuditNotFound(
                f"the audit of {set_name} of {target.name} is of an earlier recapdata; run: {again}"
            )
        if identity.captions != target.captions_hash(set_name, shard):
            raise AuditNotFound(
                f"the captions of {set_name} of {target.name} have changed since their audit (first seen in "
                f"{shard_name(shard)}); run: {again}"
            )
        paths[shard], identities[shard] = path, identity
    if not paths:
        raise AuditNotFound(f"{set_name} of {target.name} has no captions yet, so there is no audit of it")
    return AuditedSet(target=target, set_name=set_name, paths=paths, identities=identities, audits=audits)


def made_by(identities: Iterable[Identity]) -> dict[str, list[str]]:
    """By part what the shards of a set were made by, as `Made` has it and `summary.json` holds it."""
    parts: dict[str, set[str]] = {}
    for identity in identities:
        for part, made in identity.parts().items():
            parts.setdefault(part, set()).add(made)
    return {part: sorted(parts[part]) for part in PARTS if part in parts}


def outdated(made: Made) -> list[str]:
    """The parts of an audit that were made by other rules than today's."""
    return [
        part
        for part, texts in made.parts.items()
        if not all(_is_current(word) for text in texts for word in text.split(" "))
    ]


def notices(sides: Sequence[Made], figures: Mapping[str, Mapping[str, FigureValue]]) -> list[str]:
    """What to know of audits that are shown side by side, a sentence each: rules that have changed, figures that do not compare.

    Args:
        figures: those of each set.
    """
    old = [side for side in sides if outdated(side)]
    sentences = []
    if old:
        names = ", ".join(side.set_name for side in old)
        parts = ", ".join(dict.fromkeys(part for side in old for part in outdated(side)))
        sentences.append(f"the audit of {names} was made by earlier rules ({parts}); run: {remedy(*old)}")
    current = [side for side in sides if side not in old]
    for other in current[1:]:
        reasons = comparable(current[0], other)
        unlike = [
            name
            for name, figure in figures.get(other.set_name, {}).items()
            if affected(reasons, figure.rests_on)
        ]
        if unlike:
            sentences.append(sentence(unlike, reasons))
    return sentences


def _is_current(word: str) -> bool:
    """Whether a word of an identity declares no version, or today's."""
    if EARLIER in (word, word.rpartition("+")[2]):
        return False
    source, _, version = word.rpartition("+v")
    if source and version.isdigit():
        name = _rule_set(source)
        return name not in VERSIONS or word == f"{source}+{source_rules(name)}"
    name, _, version = word.partition(":")
    return name not in VERSIONS or not version.isdigit() or word == rules(name)


def _rule_set(source: str) -> str:
    """The rule set of an evidence source: colors by a model have their own."""
    name, colon, _ = source.partition(":")
    return "clip_colors" if name == "colors" and colon else name


def _path(target: Target, set_name: str, audits: Path | None, shard: int) -> Path | None:
    """Where the audit of one shard lies; None where there is none."""
    if audits is None:
        return target.audit_shard(set_name, shard)
    path = audits / set_name / shard_name(shard)
    return path if path.is_file() else None


def _command(target: Target, set_name: str, audits: Path | None) -> str:
    """What to type so that the audit is there."""
    command = f"audits run {shell_word(str(target.name))} --captions {set_name}"
    if audits is not None:
        return f"{command} --out {audits}"
    return f"{command} --out DIR (and name DIR with --audit)" if target.published else command
