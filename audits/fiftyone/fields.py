"""Records, annotations and audit rows as FiftyOne fields, and the schema that declares them.

Per caption set there are four fields: the caption itself, a plain string (`recap_short`); `recap_short_audit` with lengths,
scores, flags, how many claims of each kind and verdict there are, what was missed, and the claims as short phrases to filter by;
`recap_short_claims`, the claims whole; and `recap_short_wrong`, the contradicted ones on the boxes that they concern. They are
declared before the first sample, so that an empty one can be filtered by too.
"""

from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations
from typing import Any

import pyarrow as pa

from audits.fiftyone import require
from audits.fiftyone.boxes import annotation_value, detection_value, wrong_value
from audits.fiftyone.phrases import phrase
from audits.tables import SCORES_TYPE
from recapdata.edited import EDITED
from recapdata.records import CLAIM_KINDS, VERDICTS

ANNOTATIONS = "annotations"
DETECTIONS = "detections"
DISAGREEMENT = "disagreement"
COUNTS: Mapping[str, str] = {
    "claims_total": "Checkable claims of the caption",
    **{f"claims_{kind}": f"Claims of kind {kind}" for kind in CLAIM_KINDS},
    **{verdict: f"Claims that are {verdict} by the evidence" for verdict in VERDICTS},
    **{
        f"{verdict}_{kind}": f"Claims of kind {kind} that are {verdict}"
        for verdict in VERDICTS[:2]
        for kind in CLAIM_KINDS
    },
}
PHRASES = {
    "says": "Claims of the caption",
    "wrong": "Claims that the evidence contradicts",
}
SCORES: Mapping[str, str] = {
    "words": "Words of the caption",
    "clip_tokens": "Tokens in CLIP's own tokenizer; past 77 it reads no further",
    "flags": "Hygiene flags",
    "clip_score": "100·cos of image and caption",
    "clip_score_hessel": "CLIPScore, 2.5·max(cos, 0) with a prefix",
    "clip_sentence_mean": "100·cos, mean over the sentences",
    "clip_sentence_min": "100·cos of the worst sentence",
    "clip_over_context": "The scorer reads only the beginning of this caption",
    "clip_margin": "How much nearer the caption lies to its image than its nearest lie, in 100·cos",
    "clip_margin_kind": "The kind of claim that the nearest lie changes",
    "clip_lie": "The nearest lie: the caption with one fact exchanged",
    "low_margin": "Kinds of claims whose lie scores no lower than the caption",
    "objects_present": "Distinct classes that the evidence shows",
    "objects_said": "Of these, how many the caption speaks of",
    "texts_present": "Words written in the picture",
    "texts_said": "Of these, how many the caption quotes",
    "missed": "What the evidence shows and the caption does not say",
    "entities_lost": "Proper names of the alt text that the caption lacks",
    "copies": "Rows of the set with this very caption",
    "error": "What could not be done",
}
"""What the scores mean, where the name does not say it."""


def audit_field(field: str) -> str:
    """The field of a caption set's audit beside the field of its captions."""
    return f"{field}_audit"


def claims_field(field: str) -> str:
    """The field of a caption set's claims; not inside the audit's, where FiftyOne's annotation schemas fail on it."""
    return f"{field}_claims"


def wrong_field(field: str) -> str:
    """The field of a caption set's contradicted claims on boxes."""
    return f"{field}_wrong"


def declare(dataset: Any, fields: Mapping[str, str]) -> None:
    """Declare what the dataset's schema lacks of `fields` (field by caption set), and arrange the App's sidebar."""
    fo = require()
    from fiftyone.core.odm.dataset import ActiveFields

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
    if DISAGREEMENT not in known:
        about = "Share of the claims that not all caption sets make: 0 where all say the same, 1 where nothing is shared"
        dataset.add_sample_field(DISAGREEMENT, fo.FloatField, description=about)
    boxes = {ANNOTATIONS: ("color", "size", "text"), DETECTIONS: ("source", "text")}
    boxes |= {wrong_field(field): ("kind", "evidence") for field in fields.values()}
    for path, attributes in boxes.items():
        if path not in known:
            dataset.add_sample_field(path, fo.EmbeddedDocumentField, embedded_doc_type=fo.Detections)
            for name in attributes:
                dataset.add_sample_field(f"{path}.detections.{name}", fo.StringField)
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
    _color(dataset, fields)
    if dataset.app_config.active_fields is None and fields:
        last = list(fields.values())[-1]  # one caption a picture is what the grid has room for
        paths = [last, ANNOTATIONS, DETECTIONS, wrong_field(last)]
        dataset.app_config.active_fields = ActiveFields(paths=paths, exclude=False)
    dataset.save()


def _audit_schema(fo: Any) -> list[Any]:
    """The fields inside an audit field."""
    from fiftyone.core.odm import create_field

    strings: dict[str, Any] = {"subfield": fo.StringField}
    schema = [
        *(create_field(name, fo.ListField, description=text, **strings) for name, text in PHRASES.items()),
        *(create_field(name, fo.IntField, description=text) for name, text in COUNTS.items()),
    ]
    for score in SCORES_TYPE:
        kind, subfield = _field_type(fo, score.type)
        schema.append(create_field(score.name, kind, description=SCORES.get(score.name), **subfield))
    return schema


def _field_type(fo: Any, kind: pa.DataType) -> tuple[Any, dict[str, Any]]:
    """The FiftyOne field for a score's Arrow type."""
    if pa.types.is_list(kind):
        return fo.ListField, {"subfield": _field_type(fo, kind.value_type)[0]}
    if pa.types.is_boolean(kind):
        return fo.BooleanField, {}
    if pa.types.is_integer(kind):
        return fo.IntField, {}
    return (fo.FloatField if pa.types.is_floating(kind) else fo.StringField), {}


def _color(dataset: Any, fields: Mapping[str, str]) -> None:
    """What is wrong in red, what people annotated in green, what a detector saw in blue; a person's own choice stays."""
    scheme = dataset.app_config.color_scheme
    if scheme is None:
        scheme = require().ColorScheme(color_by="field", fields=[])
    colors = {ANNOTATIONS: "#3ea85f", DETECTIONS: "#4d8fd6"}
    colors |= {wrong_field(field): "#e5484d" for field in fields.values()}
    known = {each["path"] for each in scheme.fields or ()}
    more = [{"path": path, "fieldColor": color} for path, color in colors.items() if path not in known]
    scheme.fields = [*(scheme.fields or ()), *more]
    dataset.app_config.color_scheme = scheme


def _sidebar(dataset: Any, fields: Mapping[str, str]) -> list[Any]:
    """Captions first, then annotations, the audit of each set, and where the record comes from."""
    fo = require()
    paths = list(dataset.get_field_schema(flat=True))
    groups = [
        fo.SidebarGroupDocument(name="tags"),
        fo.SidebarGroupDocument(name="captions", paths=list(fields.values())),
        fo.SidebarGroupDocument(
            name="labels", paths=[ANNOTATIONS, DETECTIONS, *(wrong_field(field) for field in fields.values())]
        ),
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


def audit_value(row: Mapping[str, Any] | None) -> Any:
    """Scores and counts of an audit row as one embedded document; None where the caption is missing or was not audited."""
    if row is None or row["claims"] is None:
        return None
    claims = row["claims"]
    kinds = [claim["kind"] for claim in claims]
    verdicts = [claim["verdict"] for claim in claims]
    pairs = list(zip(verdicts, kinds, strict=True))
    judged = any(verdict is not None for verdict in verdicts)
    return require().DynamicEmbeddedDocument(
        **row["scores"],
        claims_total=len(kinds),
        **{f"claims_{kind}": kinds.count(kind) for kind in CLAIM_KINDS},
        **{verdict: verdicts.count(verdict) if judged else None for verdict in VERDICTS},
        **{
            f"{verdict}_{kind}": pairs.count((verdict, kind)) if judged else None
            for verdict in VERDICTS[:2]
            for kind in CLAIM_KINDS
        },
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


def disagreement(said: Sequence[Iterable[str]]) -> float | None:
    """How far captions of one picture differ in what they claim; None with fewer than two of them.

    The mean over all pairs of 1 − |shared| / |either|, over distinct claims; two captions that claim nothing agree.
    """
    pairs = list(combinations([frozenset(each) for each in said], 2))
    if not pairs:
        return None
    return sum(1 - len(one & other) / len(one | other) if one | other else 0.0 for one, other in pairs) / len(
        pairs
    )


def values(
    record: Mapping[str, Any], audits: Mapping[str, Mapping[str, Any] | None], fields: Mapping[str, str]
) -> dict[str, Any]:
    """All fields of a sample but its picture's path.

    Args:
        record: a row of the target with the `columns` of its sets.
        audits: the audit row of each set, None where there is none.
    """
    size = record["width"], record["height"]
    rows = {name: audits.get(name) if record[name] is not None else None for name in fields}
    seen = _seen(rows.values())
    things = [*(record["objects"] or ()), *(seen or ())]
    found: dict[str, Any] = {
        "key": record["key"],
        "source": record["source"],
        "license": record["license"],
        ANNOTATIONS: annotation_value(record["objects"], *size),
        DETECTIONS: detection_value(seen, *size),
    }
    for set_name, field in fields.items():
        row = rows[set_name]
        found[field] = record[set_name]
        found[audit_field(field)] = audit_value(row)
        found[claims_field(field)] = claims_value(row, record[set_name])
        found[wrong_field(field)] = wrong_value(row["claims"] if row is not None else None, things, *size)
    # A set of edits is one of the others but for a few rows, and would only water the difference down.
    said = [found[audit_field(fields[name])] for name in fields if name != EDITED]
    found[DISAGREEMENT] = disagreement([each["says"] for each in said if each is not None])
    return found


def _seen(rows: Iterable[Mapping[str, Any] | None]) -> list[dict[str, Any]] | None:
    """What evidence beside the annotations saw, by the audits of all sets; None where none was asked."""
    lists = [row["detections"] for row in rows if row is not None and row["detections"] is not None]
    return [each for seen in lists for each in seen] if lists else None


def columns(sets: Iterable[str]) -> list[str]:
    """The columns of a target that `values` needs."""
    return ["key", "source", "license", "width", "height", "objects", *sets]
