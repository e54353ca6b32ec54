"""`--where`: the records selected by a condition over the audit of their captions.

Of the audit only the named columns are read, and only while it is of the current captions.

    contradicted > 0 and clip_score < 20                 over the only audited set
    alt: "refusal" in flags or words < 3                 over the audit of the set alt
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from recapdata.dataset.audit_files import read_identity
from recapdata.dataset.folder import DatasetFolder, shard_name
from recapdata.dataset.shards import ShardFile, aligned, read_schema
from recapdata.dataset.target import Target, open_dataset
from recapdata.display import shell_word
from recapdata.errors import AuditNotFound, CaptionSetNotFound, ColumnNotFound
from recapdata.recaptioning.expression import Expression, parse
from recapdata.records import CLAIM_KINDS, VERDICTS
from recapdata.suggestions import did_you_mean

CAPTION = "caption"
CLAIMS = "claims"
BATCH = 8192

ADDRESSED = re.compile(r"\s*([a-z0-9][a-z0-9_-]*)\s*:\s*(.+)", re.S)


@dataclass(frozen=True, slots=True)
class Where:
    """An expression over the audit of one caption set of a folder; make one with `open_where`.

    Attributes:
        counts: selected records by shard.
    """

    target: Target
    set_name: str
    expression: Expression
    counts: dict[int, int]

    @property
    def images(self) -> int:
        """Selected records of all shards."""
        return sum(self.counts.values())

    def keys(self, shard: int) -> set[str]:
        """The selected keys of a shard."""
        chosen: set[str] = set()
        for keys, columns in self.batches(shard):
            chosen.update(keys.filter(self.expression.choose(columns)).to_pylist())
        return chosen

    def batches(self, shard: int) -> Iterator[tuple[pa.Array, dict[str, pa.Array]]]:
        """Keys and the named columns in batches; rows without a caption are left out."""
        path = self.target.audit_shard(self.set_name, shard)
        if path is None:  # nothing of the set is there either, which `open_where` made sure of
            return
        names = self.expression.names
        with ShardFile(path) as file:
            scores = {field.name for field in file.schema_arrow.field("scores").type} & names
            wanted = ["key", CLAIMS, *(f"scores.{name}" for name in scores)]
            streams = [file.iter_batches(BATCH, columns=wanted, use_threads=False)]
            if CAPTION in names:
                streams.append(self.target.read(shard, ["key", self.set_name], batch_rows=BATCH))
            for audit, *captions in aligned(streams, where=f"audit of {self.set_name}"):
                columns = _columns(audit, names - {CAPTION})
                if captions:
                    columns[CAPTION] = captions[0].column(self.set_name)
                captioned = pc.is_valid(audit.column(CLAIMS))
                yield (
                    audit.column("key").filter(captioned),
                    {name: column.filter(captioned) for name, column in columns.items()},
                )


def open_where(folder: DatasetFolder, text: str, *, asked: str | None = None) -> Where:
    """The records that `--where TEXT` selects in a folder; reads the audit once.

    Args:
        asked: what messages call it, where it was not typed as such.

    Raises:
        OptionError: the expression cannot be parsed, or is no condition.
        CaptionSetNotFound: no such set, or none is named and several are audited.
        ColumnNotFound: the expression names what no audit has.
        AuditNotFound: there is no audit, it is of other captions, or lacks a named column.
    """
    asked = asked or f"--where {text}"
    target = open_dataset(folder.path).so_far()
    addressed = ADDRESSED.fullmatch(text)
    expression = parse(addressed[2] if addressed else text)
    set_name = addressed[1] if addressed else _only_audited(target, text)
    where = over_audit(target, set_name, expression, asked=asked)
    for shard in target.captioned_shards(set_name):
        where.counts[shard] = sum(
            expression.choose(columns).true_count for _, columns in where.batches(shard)
        )
    return where


def over_audit(target: Target, set_name: str, expression: Expression, *, asked: str) -> Where:
    """An expression over the audit of a caption set, which is looked at: it is there, of the current captions, and has the columns.

    Args:
        asked: what messages call it.

    Raises:
        CaptionSetNotFound: no such set.
        ColumnNotFound: the expression names what no audit has.
        AuditNotFound: there is no audit, it is of other captions, or lacks a named column.
    """
    if set_name not in target.set_names():
        raise CaptionSetNotFound(
            f"{asked}: {target.name} has no caption set {set_name!r}{did_you_mean(set_name, target.set_names())}; it has {', '.join(target.set_names()) or 'none'}"
        )
    command = f"audits run {shell_word(str(target.name))} --captions {set_name}"
    shards = target.captioned_shards(set_name)
    if not shards:
        raise AuditNotFound(f"{asked}: {set_name} has no captions yet, so there is nothing to audit")
    taken: set[str] = set()
    for shard in shards:
        taken |= _taken(target, set_name, shard, expression, command)
    where = Where(target, set_name, expression, {})
    for shard in shards:
        for _, columns in where.batches(shard):
            seen = {name for name, column in columns.items() if column.null_count < len(column)}
            # A caption without claims has none of any verdict, judged or not.
            taken |= seen.difference(_verdicts())
    if lacking := sorted(expression.names - taken):
        raise AuditNotFound(
            f"{asked}: the audit of {set_name} has no values of {lacking[0]}; {_remedy(lacking[0], command)}"
        )
    return where


def _remedy(name: str, command: str) -> str:
    """The command that computes a column which an audit lacks."""
    if name.startswith(("clip", "low_margin", "lied")):
        return f"a CLIP model takes them: {command} --clip embedded"
    if name.startswith("entities"):
        return "they are taken where there is alt text, of the proper names in it"
    return f"evidence is needed for them: {command} --evidence annotations"


def _only_audited(target: Target, text: str) -> str:
    audited = [
        name
        for name in target.set_names()
        if any(target.audit_shard(name, shard) for shard in target.shards())
    ]
    if len(audited) == 1:
        return audited[0]
    if not audited:
        raise AuditNotFound(
            f"--where {text}: nothing of {target.name} is audited; run: audits run {shell_word(str(target.name))}"
        )
    raise CaptionSetNotFound(
        f"--where {text}: {', '.join(audited)} are audited; say which is meant, for example --where '{audited[0]}: {text}'"
    )


def _taken(target: Target, set_name: str, shard: int, expression: Expression, command: str) -> set[str]:
    """The named columns that every such audit has values of; the others are known only from its rows.

    Raises:
        AuditNotFound: the shard is not audited, or was when its captions were others.
        ColumnNotFound: no audit has such a column.
    """
    path = target.audit_shard(set_name, shard)
    if path is None:
        raise AuditNotFound(
            f"{set_name} is not audited in {shard_name(shard)} of {target.name}; run: {command}"
        )
    known = column_names(read_schema(path))
    if missing := sorted(expression.names - set(known)):
        raise ColumnNotFound(
            f"{expression.option} {expression.text}: an audit has no {missing[0]!r}{did_you_mean(missing[0], known)}; it has {', '.join(known)}"
        )
    identity = read_identity(path, any_format=True)
    if identity is None or identity.captions != target.captions_hash(set_name, shard):
        raise AuditNotFound(
            f"the audit of {set_name} is of captions that have changed since ({shard_name(shard)} of {target.name}); "
            f"run: {command}"
        )
    free = {CAPTION, CLAIMS, "error", *(_verdicts() if identity.evidence else ())}
    return free & expression.names


def column_names(schema: pa.Schema) -> list[str]:
    """The columns that an expression may name, by the schema of an audit shard."""
    return [CAPTION, *(field.name for field in schema.field("scores").type), CLAIMS, *_verdicts()]


def _verdicts() -> list[str]:
    kinds = ("", *(f"_{kind}" for kind in CLAIM_KINDS))
    return [f"{verdict}{kind}" for verdict in VERDICTS for kind in kinds]


def _columns(batch: pa.RecordBatch, names: frozenset[str]) -> dict[str, pa.Array]:
    """The named columns of a batch of audit rows."""
    claims, columns = batch.column(CLAIMS), {}
    scores = (
        {field.name: place for place, field in enumerate(batch.schema.field("scores").type)}
        if "scores" in batch.schema.names
        else {}
    )
    for name in names:
        if name in scores:
            columns[name] = pc.struct_field(batch.column("scores"), [scores[name]])
        elif name == CLAIMS:
            columns[name] = pc.list_value_length(claims)
        else:
            verdict, _, kind = name.partition("_")
            columns[name] = _judged(claims, verdict, kind)
    return columns


def _judged(claims: pa.Array, verdict: str, kind: str) -> pa.Array:
    """Claims with a verdict by row, of one kind or of all; null where there are claims and none was judged."""
    flat, parents = pc.list_flatten(claims), pc.list_parent_indices(claims).to_numpy()
    verdicts = pc.struct_field(flat, "verdict")
    wanted = pc.equal(verdicts, verdict).fill_null(False)
    if kind:
        wanted = pc.and_(wanted, pc.equal(pc.struct_field(flat, "kind"), kind))
    count = np.bincount(parents[wanted.to_numpy(zero_copy_only=False)], minlength=len(claims))
    judged = np.bincount(parents[verdicts.is_valid().to_numpy(zero_copy_only=False)], minlength=len(claims))
    stated = np.bincount(parents, minlength=len(claims))
    return pa.array(count, mask=(judged == 0) & (stated > 0))
