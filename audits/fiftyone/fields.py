"""Records, annotations and audit rows as FiftyOne fields, and the schema that declares them.

Per caption set there are two fields: the caption itself, a plain string (`recap_short`), and `recap_short_audit` with lengths,
scores, flags, how many claims of each kind and verdict there are, what was missed, and every claim with its span. They are
declared before the first sample, so that an empty one can be filtered by too.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from audits.fiftyone import require
from recapdata.records import CLAIM_KINDS, CLAIM_TYPE, VERDICTS

ANNOTATIONS = "annotations"
NUMBERS = ("clip_score", "clip_score_hessel", "clip_sentence_mean", "clip_sentence_min")
COUNTS = ("words", "clip_tokens", "objects_present", "objects_said", "texts_present", "texts_said")
LISTS = ("flags", "missed")
CLAIM_STRINGS = tuple(field.name for field in CLAIM_TYPE if field.name not in ("span", "count"))


def audit_field(field: str) -> str:
    """The field of a caption set's audit beside the field of its captions."""
    return f"{field}_audit"


def declare(dataset: Any, fields: Mapping[str, str]) -> None:
    """Declare every field of `fields` (field by caption set) that the dataset lacks, and arrange the App's sidebar."""
    fo = require()
    known = dataset.get_field_schema(flat=True)

    def add(path: str, kind: Any, **how: Any) -> None:
        if path not in known:
            dataset.add_sample_field(path, kind, **how)

    add("key", fo.StringField, description="SHA-256 of the image's bytes: the record's key in the dataset")
    add("source", fo.StringField, description="Where the record came from")
    add("license", fo.StringField)
    add(ANNOTATIONS, fo.EmbeddedDocumentField, embedded_doc_type=fo.Detections)
    for name in ("color", "size", "text"):
        add(f"{ANNOTATIONS}.detections.{name}", fo.StringField)
    for set_name, field in fields.items():
        add(field, fo.StringField, description=f"Captions of the set {set_name}")
        _declare_audit(add, fo, audit_field(field), set_name)
    dataset.create_index("key", unique=True)
    dataset.app_config.sidebar_groups = _sidebar(dataset, fields)


def _declare_audit(add: Any, fo: Any, audit: str, set_name: str) -> None:
    nested = {"embedded_doc_type": fo.DynamicEmbeddedDocument}
    add(audit, fo.EmbeddedDocumentField, description=f"Audit of the set {set_name}", **nested)
    for name in (*COUNTS, "claims_total", *(f"claims_{kind}" for kind in CLAIM_KINDS), *VERDICTS):
        add(f"{audit}.{name}", fo.IntField)
    for name in NUMBERS:
        add(f"{audit}.{name}", fo.FloatField)
    for name in LISTS:
        add(f"{audit}.{name}", fo.ListField, subfield=fo.StringField)
    add(f"{audit}.error", fo.StringField)
    add(f"{audit}.claims", fo.ListField, subfield=fo.EmbeddedDocumentField, **nested)
    for name in CLAIM_STRINGS:
        add(f"{audit}.claims.{name}", fo.StringField)
    add(f"{audit}.claims.count", fo.IntField)
    add(f"{audit}.claims.words", fo.StringField, description="The words of the caption that make the claim")
    add(f"{audit}.claims.span", fo.ListField, subfield=fo.IntField)


def _sidebar(dataset: Any, fields: Mapping[str, str]) -> list[Any]:
    """Captions first, then the audit of each set, then where the record comes from."""
    fo = require()
    paths = list(dataset.get_field_schema(flat=True))
    groups = [
        fo.SidebarGroupDocument(name="tags"),
        fo.SidebarGroupDocument(name="captions", paths=list(fields.values())),
        fo.SidebarGroupDocument(name="labels", paths=[ANNOTATIONS]),
    ]
    for set_name, field in fields.items():
        start = f"{audit_field(field)}."
        inside = [path for path in paths if path.startswith(start) and path.count(".") == 1]
        claims = [path for path in paths if path.startswith(f"{start}claims.")]
        groups.append(
            fo.SidebarGroupDocument(name=f"audit of {set_name}", paths=[*inside, *claims], expanded=False)
        )
    taken = {path for group in groups for path in group.paths or ()}
    rest = [path for path in paths if "." not in path and path not in taken and path != "tags"]
    groups.append(fo.SidebarGroupDocument(name="record", paths=rest, expanded=False))
    return groups


def annotation_value(objects: Sequence[Mapping[str, Any]] | None, width: int, height: int) -> Any:
    """Annotated objects as `Detections`, boxes as shares of the image's sides; None where the record has none.

    An object without a box (a category of the whole image) has no place in the picture and is left out.
    """
    fo = require()
    if objects is None:
        return None
    boxed = [each for each in objects if each["bbox"] is not None]
    return fo.Detections(detections=[_detection(fo, each, width, height) for each in boxed])


def _detection(fo: Any, each: Mapping[str, Any], width: int, height: int) -> Any:
    x, y, w, h = each["bbox"]
    attributes = {name: each[name] for name in ("color", "size", "text") if each[name] is not None}
    return fo.Detection(
        label=each["category"] or "object",
        bounding_box=[x / width, y / height, w / width, h / height],
        **attributes,
    )


def audit_value(row: Mapping[str, Any] | None, caption: str | None) -> Any:
    """An audit row as one embedded document; None where the caption is missing or was not audited."""
    fo = require()
    if row is None or row["claims"] is None or caption is None:
        return None
    kinds = [claim["kind"] for claim in row["claims"]]
    verdicts = [claim["verdict"] for claim in row["claims"]]
    judged = any(verdict is not None for verdict in verdicts)
    return fo.DynamicEmbeddedDocument(
        claims_total=len(kinds),
        **{f"claims_{kind}": kinds.count(kind) for kind in CLAIM_KINDS},
        **{verdict: verdicts.count(verdict) if judged else None for verdict in VERDICTS},
        **row["scores"],
        claims=[
            fo.DynamicEmbeddedDocument(**claim, words=caption[slice(*claim["span"])])
            for claim in row["claims"]
        ],
    )


def values(
    record: Mapping[str, Any], audits: Mapping[str, Mapping[str, Any] | None], fields: Mapping[str, str]
) -> dict[str, Any]:
    """All fields of a sample but its picture's path.

    Args:
        record: a row of the target with `key`, `source`, `license`, `width`, `height`, `objects` and the caption sets.
        audits: the audit row of each set, None where there is none.
    """
    found: dict[str, Any] = {
        "key": record["key"],
        "source": record["source"],
        "license": record["license"],
        ANNOTATIONS: annotation_value(record["objects"], record["width"], record["height"]),
    }
    for set_name, field in fields.items():
        found[field] = record[set_name]
        found[audit_field(field)] = audit_value(audits.get(set_name), record[set_name])
    return found


def columns(sets: Iterable[str]) -> list[str]:
    """The columns of a target that `values` needs."""
    return ["key", "source", "license", "width", "height", "objects", *sets]
