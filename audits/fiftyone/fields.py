"""Records, annotations and audit rows as FiftyOne fields, and the schema that declares them.

Per caption set there are three fields: the caption itself, a plain string (`recap_short`); `recap_short_audit` with lengths,
scores, flags, how many claims of each kind and verdict there are, what was missed, and the claims as short phrases to filter by;
and `recap_short_claims`, the claims whole. They are declared before the first sample, so that an empty one can be filtered by too.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from audits.fiftyone import require
from recapdata.records import CLAIM_KINDS, VERDICTS

ANNOTATIONS = "annotations"
COUNTS: Mapping[str, str] = {
    "words": "Words of the caption",
    "clip_tokens": "Tokens in CLIP's own tokenizer; past 77 it reads no further",
    "claims_total": "Checkable claims of the caption",
    **{f"claims_{kind}": f"Claims of kind {kind}" for kind in CLAIM_KINDS},
    **{verdict: f"Claims that are {verdict} by the evidence" for verdict in VERDICTS},
    "objects_present": "Distinct classes that the evidence shows",
    "objects_said": "Of these, how many the caption speaks of",
    "texts_present": "Words written in the picture",
    "texts_said": "Of these, how many the caption quotes",
}
NUMBERS = {
    "clip_score": "100·cos of image and caption",
    "clip_score_hessel": "CLIPScore, 2.5·max(cos, 0) with a prefix",
    "clip_sentence_mean": "100·cos, mean over the sentences",
    "clip_sentence_min": "100·cos of the worst sentence",
}
PHRASES = {
    "says": "Claims of the caption",
    "wrong": "Claims that the evidence contradicts",
    "missed": "What the evidence shows and the caption does not say",
    "flags": "Hygiene flags",
}


def audit_field(field: str) -> str:
    """The field of a caption set's audit beside the field of its captions."""
    return f"{field}_audit"


def claims_field(field: str) -> str:
    """The field of a caption set's claims; not inside the audit's, where FiftyOne's annotation schemas fail on it."""
    return f"{field}_claims"


def declare(dataset: Any, fields: Mapping[str, str]) -> None:
    """Declare what the dataset's schema lacks of `fields` (field by caption set), and arrange the App's sidebar."""
    fo = require()
    known = dataset.get_field_schema(flat=True)
    texts = {
        "key": "SHA-256 of the image's bytes: the record's key in the dataset",
        "source": "Where the record came from",
        "license": "License of the image",
        **{field: f"Captions of the set {name}" for name, field in fields.items()},
    }
    for path, description in texts.items():
        if path not in known:
            dataset.add_sample_field(path, fo.StringField, description=description)
    if ANNOTATIONS not in known:
        dataset.add_sample_field(ANNOTATIONS, fo.EmbeddedDocumentField, embedded_doc_type=fo.Detections)
        for name in ("color", "size", "text"):
            dataset.add_sample_field(f"{ANNOTATIONS}.detections.{name}", fo.StringField)
    for name, field in fields.items():
        if claims_field(field) not in known:
            dataset.add_sample_field(
                claims_field(field),
                fo.ListField,
                subfield=fo.DictField,
                description=f"Claims of the set {name}, with spans, verdicts and evidence",
            )
        if audit_field(field) not in known:
            dataset.add_sample_field(
                audit_field(field),
                fo.EmbeddedDocumentField,
                embedded_doc_type=fo.DynamicEmbeddedDocument,
                description=f"Audit of the set {name}",
                fields=_audit_schema(fo),
            )
    dataset.create_index("key", unique=True)
    dataset.app_config.sidebar_groups = _sidebar(dataset, fields)
    dataset.save()


def _audit_schema(fo: Any) -> list[Any]:
    """The fields inside an audit field."""
    from fiftyone.core.odm import create_field

    strings: dict[str, Any] = {"subfield": fo.StringField}
    return [
        *(create_field(name, fo.ListField, description=text, **strings) for name, text in PHRASES.items()),
        *(create_field(name, fo.IntField, description=text) for name, text in COUNTS.items()),
        *(create_field(name, fo.FloatField, description=text) for name, text in NUMBERS.items()),
        create_field("error", fo.StringField, description="Why the image could not be scored"),
    ]


def _sidebar(dataset: Any, fields: Mapping[str, str]) -> list[Any]:
    """Captions first, then annotations, the audit of each set, and where the record comes from."""
    fo = require()
    paths = list(dataset.get_field_schema(flat=True))
    groups = [
        fo.SidebarGroupDocument(name="tags"),
        fo.SidebarGroupDocument(name="captions", paths=list(fields.values())),
        fo.SidebarGroupDocument(name="labels", paths=[ANNOTATIONS]),
    ]
    for field in fields.values():
        # The App makes a group of every embedded field that has none of its name.
        inside = [path for path in paths if path.startswith(f"{audit_field(field)}.")]
        group = {"name": audit_field(field), "paths": [*inside, claims_field(field)]}
        groups.append(fo.SidebarGroupDocument(**group, expanded=False))
    taken = {path for group in groups for path in group.paths or ()} | set(map(audit_field, fields.values()))
    rest = [path for path in paths if "." not in path and path not in taken | {"tags"}]
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


def audit_value(row: Mapping[str, Any] | None) -> Any:
    """Scores and counts of an audit row as one embedded document; None where the caption is missing or was not audited."""
    if row is None or row["claims"] is None:
        return None
    claims = row["claims"]
    kinds = [claim["kind"] for claim in claims]
    verdicts = [claim["verdict"] for claim in claims]
    judged = any(verdict is not None for verdict in verdicts)
    return require().DynamicEmbeddedDocument(
        **row["scores"],
        claims_total=len(kinds),
        **{f"claims_{kind}": kinds.count(kind) for kind in CLAIM_KINDS},
        **{verdict: verdicts.count(verdict) if judged else None for verdict in VERDICTS},
        says=[phrase(claim) for claim in claims],
        wrong=[
            f"{phrase(claim)} ({claim['evidence']})" for claim in claims if claim["verdict"] == "contradicted"
        ],
    )


def claims_value(row: Mapping[str, Any] | None, caption: str | None) -> list[dict[str, Any]] | None:
    """The claims of an audit row, each without its empty fields; None where there is no audit of the caption."""
    if row is None or row["claims"] is None or caption is None:
        return None
    return [_claim(claim, caption) for claim in row["claims"]]


def _claim(claim: Mapping[str, Any], caption: str) -> dict[str, Any]:
    """A claim without its empty fields, with the words it stands on."""
    stated = {name: value for name, value in claim.items() if value is not None}
    return {**stated, "words": caption[slice(*claim["span"])]}


def phrase(claim: Mapping[str, Any]) -> str:
    """A claim in a few words: `3 circle`, `red circle`, `circle left of star`, `"STOP"`."""
    kind = claim["kind"]
    if kind == "position":
        where = claim["region"] if claim["object"] is None else f"{claim['relation']} {claim['object']}"
        return f"{claim['subject']} {where}"
    if kind == "text":
        return f'"{claim["text"]}"'
    return claim["object"] if kind == "object" else f"{claim[kind]} {claim['object']}"


def values(
    record: Mapping[str, Any], audits: Mapping[str, Mapping[str, Any] | None], fields: Mapping[str, str]
) -> dict[str, Any]:
    """All fields of a sample but its picture's path.

    Args:
        record: a row of the target with the `columns` of its sets.
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
        found[audit_field(field)] = audit_value(audits.get(set_name))
        found[claims_field(field)] = claims_value(audits.get(set_name), record[set_name])
    return found


def columns(sets: Iterable[str]) -> list[str]:
    """The columns of a target that `values` needs."""
    return ["key", "source", "license", "width", "height", "objects", *sets]
