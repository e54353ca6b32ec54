"""The files of an audit: schema and footer of a shard, and the summary. Whoever writes or reads one asks here.

An audit shard has the rows of its caption shard in their order, so the two can be read side by side. A row whose caption is
missing keeps its place, with null claims and null scores: a failure is counted, never scored.
"""

import json
import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import pyarrow as pa

from recapdata.dataset.bounded import read_small
from recapdata.dataset.shards import ShardFile, read_note, restore
from recapdata.errors import DatasetDamaged
from recapdata.records import CLAIM_TYPE, valid_set_name

SUMMARY_FILE = "summary.json"
SUMMARY = f"audits/{SUMMARY_FILE}"
FORMAT = 2
FOOTER = "recapdata.audit"
EARLIER = "earlier"
"""Stands for the versions of rules in an audit of a recapdata that declared none; such an audit is comparable with nothing."""
_RULES = re.compile(r"[a-z_]+:\d+")
_SOURCE = re.compile(r"(.+\+v\d+)(?:-.*)?")
EXTENTS = ("small", "medium", "large")
"""How much of the image an object covers, in COCO's three classes (see `audits.grounding.verdicts`)."""

SCORES_TYPE = pa.struct(
    [
        ("words", pa.int32()),
        ("clip_tokens", pa.int32()),
        ("flags", pa.list_(pa.string())),
        ("clip_score", pa.float32()),
        ("clip_score_hessel", pa.float32()),
        ("clip_sentence_mean", pa.float32()),
        ("clip_sentence_min", pa.float32()),
        ("clip_over_context", pa.bool_()),
        ("clip_margin", pa.float32()),
        ("clip_margin_kind", pa.string()),
        ("clip_lie", pa.string()),
        ("lied_about", pa.list_(pa.string())),
        ("low_margin", pa.list_(pa.string())),
        ("objects_present", pa.int32()),
        ("objects_said", pa.int32()),
        *((f"objects_{what}_{size}", pa.int32()) for size in EXTENTS for what in ("present", "said")),
        ("counts_present", pa.int32()),
        ("counts_said", pa.int32()),
        ("colors_present", pa.int32()),
        ("colors_said", pa.int32()),
        ("texts_present", pa.int32()),
        ("texts_said", pa.int32()),
        ("missed", pa.list_(pa.string())),
        ("entities_present", pa.int32()),
        ("entities_kept", pa.int32()),
        ("entities_lost", pa.list_(pa.string())),
        ("copies", pa.int32()),
        ("error", pa.string()),
    ]
)
"""Scores of one caption; null where that part of the audit was not run.

`clip_score` is 100·cos (DALL·E 3), `clip_score_hessel` 2.5·max(cos, 0) with the prefix "A photo depicts" (Hessel et al. 2021),
`clip_sentence_*` 100·cos over the caption's sentences. `clip_over_context` says that the scorer reads only the caption's
beginning. `clip_margin` is 100·(cos(image, caption) − cos(image, lie)) for the lie that scores highest, `clip_lie` that lie and
`clip_margin_kind` the kind of claim it changes; `lied_about` has the kinds that a lie was told of, `low_margin` those of them
whose lie scores no lower than the caption.
`objects_present` counts the distinct classes that the evidence shows, `objects_said` those of them the caption speaks of;
`objects_*_large` are those whose largest object is large, and so on. `counts_*` are classes with more than one object, and those
whose number the caption says; `colors_*` classes whose color is known, and those given a right one; `texts_*` words in the
picture. `missed` names the rest.
`entities_present` counts the proper names of the row's alt text, `entities_kept` those that the caption has too,
`entities_lost` names the rest. `copies` counts the rows of the set with this very caption,
null where they are few.
`error` says what could not be done: an image that cannot be read has no CLIP score, an endless caption is read in part.
"""

DETECTION_TYPE = pa.struct(
    [
        ("source", pa.string()),
        ("bbox", pa.list_(pa.float64())),
        ("category", pa.string()),
        ("colors", pa.list_(pa.string())),
        ("text", pa.string()),
        ("score", pa.float32()),
    ]
)
"""One thing that evidence beside the dataset's own annotations saw; bbox is [x, y, width, height] in pixels, score 0–1."""

AUDIT_SCHEMA = pa.schema(
    [
        ("key", pa.string()),
        ("set", pa.string()),
        ("claims", pa.list_(CLAIM_TYPE)),
        ("scores", SCORES_TYPE),
        ("detections", pa.list_(DETECTION_TYPE)),
    ]
)
"""`detections` is null where no source but the annotations was asked; the annotations themselves are in the image shards."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """What the parts of an audit shard were computed from; a part is stale where its own differs from the wanted one.

    Attributes:
        captions: `rows_hash` of the shard's keys and captions, on which every part depends.
        claims: the spaCy pipeline with its revision, and the versions of the rules that read captions.
        clip: the CLIP model with its resolved revision, which scores were taken, and the version of their rules; None where it
            was not run.
        margin: the CLIP model and the versions of the rules; it depends on the claims too.
        names: how proper names were found, by which pipeline and version of the rules, and a hash of the alt text.
        copies: the version of the rules, and a hash of how often each caption of the shard occurs in its whole set.
        evidence: the version of the rules that judge, and the sources, each with the version of its rules and after that a hash
            of what it can see and saw; None where nothing was grounded.

    Versions are those of `audits.rules`; they stand as words `claims:3` between blanks.
    """

    captions: str
    claims: str
    clip: str | None = None
    margin: str | None = None
    names: str | None = None
    copies: str | None = None
    evidence: str | None = None

    def parts(self) -> dict[str, str]:
        """What each part that figures rest on was made by, as `recapdata.versions.comparable` has it.

        Left out is what differs between datasets: hashes of the alt text, of captions, and of what the evidence saw.
        """
        pipeline = self.claims.split(" ")[0]
        parts = {
            "claims": f"{pipeline} {_versions(self.claims, 'claims', 'form')}",
            "coverage": _versions(self.claims, "coverage"),
            "hygiene": _versions(self.claims, "hygiene", "form"),
        }
        if self.copies is not None:
            parts["copies"] = _versions(self.copies, "copies")
        if self.names is not None:
            how = " ".join(self.names.split(" ")[:2])
            parts["names"] = f"{how} {_versions(self.names, 'retention')}"
        if self.clip is not None:
            parts["clip"] = f"{self.clip.split(' ')[0]} {_versions(self.clip, 'scores')}"
        if self.margin is not None:
            versions = _versions(self.margin, "scores", "counterfactual")
            parts["margin"] = f"{self.margin.split(' ')[0]} {versions}"
        if self.evidence is not None:
            judged, *sources = self.evidence.split(" ")
            parts["evidence"] = " ".join([_versions(judged, "grounding"), *map(source_of, sources)])
        return parts

    def to_footer(self) -> dict[str, str]:
        """The Parquet key-value metadata of the shard."""
        return {FOOTER: json.dumps({"format": FORMAT, **asdict(self)}, sort_keys=True)}


def _versions(identity: str, *names: str) -> str:
    """The versions of some rule sets in an identity; `EARLIER` where it declares none of one."""
    known = dict(word.split(":") for word in identity.split(" ") if _RULES.fullmatch(word))
    return " ".join(f"{name}:{known[name]}" for name in names) if known.keys() >= set(names) else EARLIER


def source_of(identity: str) -> str:
    """A source of evidence with its model and the version of its rules, without the hash of what it saw."""
    match = _SOURCE.fullmatch(identity)
    return match[1] if match else f"{identity.rpartition('+')[0] or identity}+{EARLIER}"


def read_identity(path: Path, *, any_format: bool = False) -> Identity | None:
    """The identity of a finished audit shard; None where there is no file, or one without an identity.

    Args:
        any_format: also of a shard of an earlier format, of which `captions` and `evidence` mean the same.

    Raises:
        DatasetDamaged: the file is truncated or corrupt, or its identity is not JSON.
    """
    if not path.is_file():
        return None
    values = read_note(path, FOOTER.encode())
    if values is None or not (any_format or values.get("format") == FORMAT):
        return None
    known: dict[str, Any] = {f.name: values.get(f.name) for f in fields(Identity)}
    for name, value in known.items():
        if not isinstance(value, str) and not (value is None and name not in ("captions", "claims")):
            raise DatasetDamaged(
                f"{path} does not say what it was computed from ({name} is no text); {restore(str(path))}"
            )
    return Identity(**known)


def read_audit(file: ShardFile, columns: Sequence[str], *, batch_rows: int) -> Iterator[pa.RecordBatch]:
    """Columns of an audit shard in batches; a field that an earlier recapdata did not write is null.

    Args:
        columns: names of `AUDIT_SCHEMA`, whole, or a nested one as `scores.words`.
    """
    for batch in file.iter_batches(batch_rows, columns=list(columns), use_threads=False):
        arrays = [
            values.cast(AUDIT_SCHEMA.field(name).type) if name in columns else values
            for name, values in zip(batch.schema.names, batch.columns, strict=True)
        ]
        yield pa.RecordBatch.from_arrays(arrays, names=batch.schema.names)


def is_current(schema: pa.Schema) -> bool:
    """Whether an audit shard has the columns that audits have now."""
    return schema.remove_metadata().equals(AUDIT_SCHEMA)


_NUMBER = (int, float)
_SKEW = {
    "distance": _NUMBER,
    "prompts": str,
    "clip": str,
    "captions_used": int,
    "prompts_used": int,
    "caption_words": _NUMBER,
    "prompt_words": _NUMBER,
    "dimensions": int,
    "enough": bool,
    "identity": str,
}
_FIGURE = {
    "value": _NUMBER,
    "low": _NUMBER,
    "high": _NUMBER,
    "unit": str,
    "better": str,
    "n": int,
    "rests_on": [str],
}
_SHARES = ("lower_case", "capitalized", "upper_case", "final_stop", "repeated")
_HABITS = {
    **dict.fromkeys(_SHARES, _NUMBER),
    "most_repeated": int,
    "words": [_NUMBER],
    "first_words": [[(str, *_NUMBER)]],
}
_SET = {
    "captions": int,
    "missing": int,
    "figures": {...: _FIGURE},
    "made_by": {...: [str]},
    "habits": _HABITS,
    "skew": _SKEW,
}
_SUMMARY = {"pipeline": str, "clip": str, "evidence": [str], "records": int, "sets": {...: _SET}}
"""What is read of a summary: a type, a list of one shape, or a mapping by name; `...` stands for every name."""


def check_summary(summary: Any) -> None:
    """Refuse what is no summary of an audit; it may come from anybody.

    Raises:
        TypeError, ValueError: a value is of another type, or one that is always there is missing.
    """
    _check_shape(summary, _SUMMARY, "it")
    for set_name, each in summary.get("sets", {}).items():
        valid_set_name(set_name)
        wanted = {"captions", "missing", "figures"} - {
            name for name, value in each.items() if value is not None
        }
        if wanted or ("skew" in each and each["skew"].keys() != _SKEW.keys()):
            raise ValueError(f"what it says of {set_name} is not whole")
        if any(
            len(pair) != 2 or not isinstance(pair[1], _NUMBER)
            for pair in (each.get("habits") or {}).get("first_words") or ()
        ):
            raise TypeError(f"what it says of {set_name} is not of the form of a summary")


def _check_shape(value: Any, shape: Any, name: str) -> None:
    if isinstance(shape, dict):
        if not isinstance(value, dict):
            raise TypeError(f"{name} is no mapping")
        for key, each in value.items():
            inner = shape.get(key, shape.get(...))
            if inner is not None and each is not None:
                _check_shape(each, inner, str(key)[:80])
    elif isinstance(shape, list):
        if not isinstance(value, list):
            raise TypeError(f"{name} is no list")
        for each in value:
            _check_shape(each, shape[0], name)
    elif not isinstance(value, shape) or (isinstance(value, bool) and shape is not bool):
        raise TypeError(f"{name} is of another type")
    elif isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"{name} is {value}")
    elif isinstance(value, int) and abs(value) > 2**63:
        raise ValueError(f"{name} is beyond any number that was counted")


def read_summary(path: Path, name: str) -> dict[str, Any] | None:
    """The content of `summary.json`; None where there is no such file.

    Args:
        name: the dataset, for the message.

    Raises:
        DatasetDamaged: it is not a summary in JSON.
    """
    if not path.is_file():
        return None
    try:
        summary = json.loads(read_small(path))
        if not isinstance(summary, dict):
            raise ValueError("no object")
        check_summary(summary)
        return summary
    except (ValueError, TypeError, RecursionError) as error:
        raise DatasetDamaged(
            f"{SUMMARY_FILE} of {name} is not JSON, or no summary of an audit: {error}; run the audit again"
        ) from error
