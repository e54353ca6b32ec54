"""The vocabulary of the project: its data types and, beside each, its Arrow schema.

Every stage takes and returns these; nothing mutates what it was given. Heights, widths and boxes are in pixels, boxes are
``[x, y, width, height]`` from the top left corner (COCO's order), spans are code points with the end exclusive.
"""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from typing import Any, Literal

import pyarrow as pa

SET_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")
KEY = re.compile(r"[0-9a-f]{64}")

ClaimKind = Literal["object", "count", "color", "size", "position", "text"]
CLAIM_KINDS: tuple[ClaimKind, ...] = ("object", "count", "color", "size", "position", "text")
Verdict = Literal["supported", "contradicted", "unknown"]
VERDICTS: tuple[Verdict, ...] = ("supported", "contradicted", "unknown")
Hedge = Literal["depicted", "owner", "sought", "partial"]
Writer = Literal["model", "human", "web", "import", "merge"]


MAX_PIXELS = 89_478_485
"""Width × height up to which an ingest takes a picture, where it is given no other limit (Pillow's)."""
MOST_PIXELS = 2**29
"""The highest limit of pixels that a dataset may ask for: a picture of so many takes 1.5 GB in RGB, and a dataset may be a stranger's."""
_MOST_VALUES = 10_000
"""Values in a provenance's settings, nested ones included: more is no record of settings."""


def valid_set_name(name: Any) -> str:
    """The name of a caption set, which is also a folder's and a column's.

    Raises:
        ValueError: it is none (see `SET_NAME`).
    """
    if not isinstance(name, str) or not SET_NAME.fullmatch(name):
        raise ValueError(
            f"{_short(name)} cannot name a caption set: lowercase letters, digits, - and _, beginning with a letter or digit"
        )
    return name


def timestamp() -> str:
    """The time now, ISO 8601 in UTC, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def image_key(image: bytes) -> str:
    """The key of a record: SHA-256 of its image's bytes, as 64 lowercase hexadecimal digits."""
    return hashlib.sha256(image).hexdigest()


# --- images ----------------------------------------------------------------------------------------------------------

IMAGE_TYPE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
"""How `datasets` stores an image, so that a published shard needs no conversion."""

MASK_TYPE = pa.struct([("size", pa.list_(pa.int32())), ("counts", pa.string())])
"""COCO's compressed run-length encoding; `size` is [height, width]."""

OBJECT_TYPE = pa.struct(
    [
        ("bbox", pa.list_(pa.float64())),
        ("category", pa.string()),
        ("color", pa.string()),
        ("size", pa.string()),
        ("text", pa.string()),
        ("mask", MASK_TYPE),
    ]
)

RECORD_SCHEMA = pa.schema(
    [
        ("key", pa.string()),
        ("image", IMAGE_TYPE),
        ("width", pa.int32()),
        ("height", pa.int32()),
        ("source", pa.string()),
        ("license", pa.string()),
        ("objects", pa.list_(OBJECT_TYPE)),
    ]
)
"""The columns every image shard opens with; the columns that came along follow them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Object:
    """One annotated thing in an image; a field is None where nothing is known of it.

    Of a record, the values are sound: the box is finite, has an area and lies in the picture, the mask is of the picture's size.
    What was wrong was left out when the annotation came in, and the ledger of notes says so. A thing without category and text is
    one of unknown class; of one without a box nobody knows where it is, or how many there are.

    A source may give an `Item` any values, and polygons or uncompressed run lengths for a mask; they are checked then.
    """

    bbox: tuple[float, float, float, float] | None = None
    category: str | None = None
    color: str | None = None
    size: str | None = None
    text: str | None = None
    mask: Mapping[str, Any] | None = None

    def to_dict(self) -> dict[str, Any]:
        """The value of `OBJECT_TYPE`."""
        return {
            "bbox": list(self.bbox) if self.bbox is not None else None,
            "category": self.category,
            "color": self.color,
            "size": self.size,
            "text": self.text,
            "mask": dict(self.mask) if self.mask is not None else None,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One thing that a source offers to `ingest`: an image with what came along, or the reason why it has none.

    Attributes:
        source: where it came from, as a person would look it up (path, URL, tar member, repository row).
        image: the original bytes; None exactly when `error` is set.
        objects: annotations; None where the source has none to give (an empty tuple says "nothing there").
        columns: values of the columns that came along, by the names that the source declares.
        notes: what the source had to leave out of it.
        size: width and height of the picture by the source, if it says them.
        error: a `Failure` of stage `ingest` when the item could not be read.
    """

    source: str
    image: bytes | None = None
    license: str | None = None
    objects: tuple[Object, ...] | None = None
    columns: Mapping[str, Any] = field(default_factory=dict)
    error: "Failure | None" = None
    notes: "tuple[Note, ...]" = ()
    size: tuple[Any, Any] | None = None


# --- what did not become a record --------------------------------------------------------------------------------------

FAILURE_SCHEMA = pa.schema(
    [
        ("stage", pa.string()),
        ("source", pa.string()),
        ("key", pa.string()),
        ("error", pa.string()),
        ("message", pa.string()),
    ]
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """A recorded failure, one row of the failure ledger: stage, source or key, error.

    Attributes:
        error: the type of the failure, a short CamelCase name that can be counted (`TruncatedImage`).
        message: what was wrong with this one, for a person.
    """

    stage: str
    source: str
    error: str
    message: str
    key: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """The row of `FAILURE_SCHEMA`."""
        return {f.name: getattr(self, f.name) for f in fields(self)}


NOTE_SCHEMA = pa.schema(
    [("key", pa.string()), ("source", pa.string()), ("note", pa.string()), ("message", pa.string())]
)


@dataclass(frozen=True, slots=True)
class Note:
    """What should be known of a record, such as an annotation that was left out: a row of the ledger of notes, with its key.

    Attributes:
        note: its type, a short CamelCase name that can be counted (`BadBox`).
        message: what is the matter with this one, for a person.
    """

    note: str
    message: str


@dataclass(frozen=True, slots=True)
class Counts:
    """How many items an ingest saw and what became of them; `items` is counted apart from the other four."""

    items: int = 0
    records: int = 0
    duplicates: int = 0
    failures: int = 0
    removed: int = 0

    @property
    def balanced(self) -> bool:
        """Whether items = records + duplicates + failures + removed."""
        return self.items == self.records + self.duplicates + self.failures + self.removed

    def __add__(self, other: "Counts") -> "Counts":
        return Counts(*(getattr(self, f.name) + getattr(other, f.name) for f in fields(self)))


# --- captions ----------------------------------------------------------------------------------------------------------

CAPTION_SCHEMA = pa.schema(
    [
        ("key", pa.string()),
        ("set", pa.string()),
        ("caption", pa.string()),
        ("seed", pa.int64()),
        ("finish_reason", pa.string()),
        ("tokens", pa.int32()),
        ("error", pa.string()),
        ("origin", pa.string()),
    ]
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Caption:
    """What a captioner (or a column) says of one image; a failure is a null caption with an error.

    Attributes:
        seed: the seed its sampling noise was drawn from; None where nothing was sampled.
        finish_reason: `stop` (the model ended it), `length` (cut at the token limit), `import`, `edit` (a person changed
            it), or None on failure.
        tokens: generated tokens in the captioner's own tokenizer.
        error: `Type: message` when there is no caption.
        origin: the set whose words these are, where they were taken over from another set; None for words written for this one.
    """

    caption: str | None
    seed: int | None = None
    finish_reason: str | None = None
    tokens: int | None = None
    error: str | None = None
    origin: str | None = None

    @classmethod
    def from_dict(cls, values: Any) -> "Caption":
        """The caption of a mapping that may come from anybody, so that every field is checked.

        Raises:
            TypeError: a field is unknown or of another type.
            ValueError: a text is no Unicode, or a number does not fit its column.
        """
        caption = cls(**_named(values))
        for f in fields(cls):
            value = getattr(caption, f.name)
            if value is None:
                continue
            _check_type(f.name, value, int if f.name in ("seed", "tokens") else str)
            pa.scalar(value, CAPTION_SCHEMA.field(f.name).type)
        return caption

    def to_row(self, key: str, set_name: str) -> dict[str, Any]:
        """The row of `CAPTION_SCHEMA` for a key in a set."""
        return {"key": key, "set": set_name, **{f.name: getattr(self, f.name) for f in fields(self)}}


@dataclass(frozen=True, slots=True, kw_only=True)
class Provenance:
    """Who wrote a caption set and how, complete enough to write it again.

    Attributes:
        writer: `model`, `human` (people wrote it), `web` (alt text), `import` (a column of unknown writer), or `merge` (each caption is
            one of another set).
        column: the column a set was imported from; None for a model's.
        captioner: the captioner's name in the table of captioners.
        model: model id or path as given; `revision` is the commit or content hash it resolved to, never a branch.
        prompt: the exact text the model was given; `prompt_hash` its SHA-256.
        sampling: parameters of the decoding (max_new_tokens, temperature, top_p, …).
        libraries: versions of what decides the words (torch, transformers, …).
        base: the set whose captions stand where a person edited none (`edited`), or the model was asked for none (a recaptioned
            selection); None for other sets.
        edits: how many captions of it a person changed, or the model wrote.
        sources: the sets that a merged one was made of, as they were named; `choice` is `first` or `fewest contradictions`.
        parts: by set whose words stand in a merged one, its provenance, which holds when that set is gone.
        origins: by set whose words stand in a merged one, how many captions.
        date: when the run began, ISO 8601 in UTC; the only field that two equal runs differ in.
    """

    writer: Writer
    column: str | None = None
    captioner: str | None = None
    model: str | None = None
    revision: str | None = None
    style: str | None = None
    prompt: str | None = None
    prompt_hash: str | None = None
    sampling: Mapping[str, Any] = field(default_factory=dict)
    seed: int | None = None
    batch_size: int | None = None
    dtype: str | None = None
    libraries: Mapping[str, str] = field(default_factory=dict)
    base: str | None = None
    edits: int | None = None
    sources: tuple[str, ...] = ()
    choice: str | None = None
    parts: Mapping[str, "Provenance"] = field(default_factory=dict)
    origins: Mapping[str, int] = field(default_factory=dict)
    date: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """A mapping without the empty fields, as the manifest holds it."""
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        values["sources"] = list(self.sources)
        values["parts"] = {name: part.to_dict() for name, part in self.parts.items()}
        return {name: value for name, value in values.items() if value not in (None, {}, [])}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Provenance":
        """The provenance of what `to_dict` gave.

        Raises:
            TypeError: a field is unknown or of another type.
            ValueError: `base` or another name is no name of a set, or the settings are too many.
        """
        values = _named(values)
        parts = _named(values.get("parts") or {})
        _check_plain("parts", parts)  # before it is read part by part: parts have none of their own
        provenance = cls(
            **{
                **values,
                "sources": _texts("sources", values.get("sources")),
                "parts": {
                    valid_set_name(name): cls.from_dict(
                        {key: value for key, value in _named(part).items() if key != "parts"}
                    )
                    for name, part in parts.items()
                },
            }
        )
        for name in (*provenance.sources, *provenance.origins):
            valid_set_name(name)
        for f in fields(cls):
            value = getattr(provenance, f.name)
            if f.name in ("sampling", "libraries", "origins"):
                _check_plain(f.name, _named(value))
            elif value is not None and f.name not in ("sources", "parts"):
                _check_type(f.name, value, int if f.name in ("seed", "batch_size", "edits") else str)
        if provenance.base is not None:
            valid_set_name(provenance.base)
        return provenance

    def same_settings(self, other: "Provenance") -> bool:
        """Whether two runs would write the same captions: everything but the date is equal."""
        return {**self.to_dict(), "date": None} == {**other.to_dict(), "date": None}


# --- claims ------------------------------------------------------------------------------------------------------------

CLAIM_TYPE = pa.struct(
    [
        ("kind", pa.string()),
        ("span", pa.list_(pa.int32())),
        ("object", pa.string()),
        ("count", pa.int32()),
        ("color", pa.string()),
        ("size", pa.string()),
        ("subject", pa.string()),
        ("relation", pa.string()),
        ("region", pa.string()),
        ("text", pa.string()),
        ("verdict", pa.string()),
        ("evidence", pa.string()),
        ("hedge", pa.string()),
    ]
)

CLAIM_FIELDS: Mapping[ClaimKind, tuple[str, ...]] = {
    "object": ("object",),
    "count": ("object", "count"),
    "color": ("object", "color"),
    "size": ("object", "size"),
    "position": ("subject", "relation", "object", "region"),
    "text": ("text", "object"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """One checkable statement of a caption, with the code points it stands on.

    Which fields a kind uses is `CLAIM_FIELDS`; the others are None. `verdict` and `evidence` are None until grounded.

    Attributes:
        hedge: why the words are true also of a picture without the thing, so that evidence can support the claim and not
            contradict it; None for a plain claim. `depicted`: a statue, toy or picture of it, or its shape; `owner`: whose
            thing it is or for whom ("a child's umbrella"); `sought`: waited for, aimed at or about to be met ("waiting for
            a bus"); `partial`: a number of some of them ("two more", "one … the others").
    """

    kind: ClaimKind
    span: tuple[int, int]
    object: str | None = None
    count: int | None = None
    color: str | None = None
    size: str | None = None
    subject: str | None = None
    relation: str | None = None
    region: str | None = None
    text: str | None = None
    verdict: Verdict | None = None
    evidence: str | None = None
    hedge: Hedge | None = None

    def __repr__(self) -> str:
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        return (
            f"Claim({', '.join(f'{name}={value!r}' for name, value in values.items() if value is not None)})"
        )

    def to_dict(self) -> dict[str, Any]:
        """The JSON form: kind, span, the kind's own fields, and hedge, verdict and evidence where there are any."""
        claim: dict[str, Any] = {"kind": self.kind, "span": list(self.span)}
        claim |= {name: getattr(self, name) for name in CLAIM_FIELDS[self.kind]}
        if self.hedge is not None:
            claim["hedge"] = self.hedge
        if self.verdict is not None:
            claim |= {"verdict": self.verdict, "evidence": self.evidence}
        return claim

    def to_struct(self) -> dict[str, Any]:
        """The value of `CLAIM_TYPE`: every field, null where unused."""
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        return {**values, "span": list(self.span)}

    @classmethod
    def from_struct(cls, struct: Mapping[str, Any]) -> "Claim":
        """The claim of a `CLAIM_TYPE` value."""
        return cls(**{**struct, "span": tuple(struct["span"])})


# --- the manifest --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """What a dataset folder says of itself (`recapdata.yaml`).

    Attributes:
        name: title of the dataset; the folder's name until it is published under a repository id.
        version: semantic version of what is published; None before the first.
        parent: Hub commit that this version was made from; None for the first.
        sources: what was ingested, in order, each as the canonical text of its source.
        sets: caption sets by name, in the order in which they were made.
        columns: names of the columns that came along with the images, in schema order.
        fingerprint: hash over keys and captions, computed at publication (see `versions`).
        max_pixels: the highest limit that an ingest was given for its pictures; None where none was above the default.
    """

    name: str
    version: str | None = None
    parent: str | None = None
    license: str | None = None
    sources: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()
    sets: Mapping[str, Provenance] = field(default_factory=dict)
    counts: Counts = field(default_factory=Counts)
    fingerprint: str | None = None
    max_pixels: int | None = None

    def to_dict(self) -> dict[str, Any]:
        """Plain values for YAML, in reading order."""
        values = {
            "name": self.name,
            "version": self.version,
            "parent": self.parent,
            "license": self.license,
            "sources": list(self.sources),
            "columns": list(self.columns),
            "counts": {f.name: getattr(self.counts, f.name) for f in fields(self.counts)},
            "sets": {name: provenance.to_dict() for name, provenance in self.sets.items()},
            "fingerprint": self.fingerprint,
        }
        # A field that most datasets lack, so that earlier versions of recapdata can read theirs.
        return values if self.max_pixels is None else {**values, "max_pixels": self.max_pixels}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Manifest":
        """The manifest of what `to_dict` gave; it may come from anybody, so that every field is checked.

        Raises:
            TypeError: a field is unknown, missing or of another type.
            ValueError: a caption set or a column has a name that it cannot have, or the limit of pixels is none.
        """
        values = _named(values)
        manifest = cls(
            **{
                **values,
                "sources": _texts("sources", values.get("sources")),
                "columns": _texts("columns", values.get("columns")),
                "counts": Counts(**_named(values.get("counts") or {})),
                "sets": {
                    valid_set_name(name): Provenance.from_dict(each)
                    for name, each in _named(values.get("sets") or {}).items()
                },
            }
        )
        for name in ("name", "version", "parent", "license", "fingerprint"):
            if getattr(manifest, name) is not None or name == "name":
                _check_type(name, getattr(manifest, name), str)
        if manifest.max_pixels is not None:
            _check_type("max_pixels", manifest.max_pixels, int)
            if not 0 < manifest.max_pixels <= MOST_PIXELS:
                raise ValueError(f"max_pixels: {manifest.max_pixels} is not between 1 and {MOST_PIXELS}")
        for f in fields(Counts):
            _check_type(f.name, getattr(manifest.counts, f.name), int)
        names = [*RECORD_SCHEMA.names, *manifest.columns, *manifest.sets]
        if twice := {name for name in names if names.count(name) > 1}:
            raise ValueError(
                f"{', '.join(map(_short, sorted(twice)))}: the name of two columns or caption sets"
            )
        return manifest


def _named(values: Any) -> Mapping[str, Any]:
    """A mapping whose names are text."""
    if not isinstance(values, Mapping) or not all(isinstance(name, str) for name in values):
        raise TypeError(f"{_short(values)} is no mapping by names")
    return values


def _texts(field_name: str, values: Any) -> tuple[str, ...]:
    """A list of different texts, none of them empty or with a null byte."""
    if values is not None and not isinstance(values, list | tuple):
        raise TypeError(f"{field_name} is no list: {_short(values)}")
    for value in values or ():
        _check_type(field_name, value, str)
        if not value or "\0" in value:
            raise ValueError(f"{field_name}: {_short(value)} is no name")
    return tuple(values or ())


def _check_type(name: str, value: Any, kind: type) -> None:
    if not isinstance(value, kind) or isinstance(value, bool):
        raise TypeError(f"{name} is no {'text' if kind is str else 'whole number'}: {_short(value)}")


def _check_plain(name: str, value: Any) -> None:
    """Refuse settings that are no plain values, or that a few lines of YAML make huge by naming each other."""
    waiting, seen = [value], 0
    while waiting:
        each = waiting.pop()
        seen += 1
        if seen > _MOST_VALUES:
            raise ValueError(f"{name} holds more than {_MOST_VALUES:,} values")
        if isinstance(each, Mapping):
            waiting += _named(each).values()
        elif isinstance(each, list | tuple):
            waiting += each
        elif not (each is None or isinstance(each, str | int | float)):
            raise TypeError(f"{name} holds {_short(each)}, which is no plain value")


def _short(value: Any) -> str:
    """A value as a message shows it, whatever its length."""
    return ascii(value)[:80] if isinstance(value, str | int | float | None) else f"a {type(value).__name__}"
