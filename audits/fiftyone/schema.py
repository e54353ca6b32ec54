"""The schema of a view: every field declared with its meaning, colored, and in its place in the App's sidebar.

Fields are declared before the first sample, so that one that is empty everywhere can be filtered by too.
"""

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pyarrow as pa

from audits.fiftyone import require
from audits.fiftyone.fields import (
    ANNOTATIONS,
    COUNTS,
    DETECTIONS,
    DISAGREEMENT,
    PHRASES,
    SCORES,
    audit_field,
    claims_field,
    wrong_field,
)
from audits.fiftyone.figures import kept
from recapdata.dataset.audit_files import SCORES_TYPE


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
        for path in (f"{audit_field(field)}.{name}" for name in kept()):
            if path not in known:
                dataset.add_sample_field(
                    path, fo.FloatField, description="What this caption adds to a figure"
                )
    dataset.create_index("key", unique=True)
    dataset.app_config.sidebar_groups = _sidebar(dataset, fields)
    _color(dataset, fields)
    dataset.save()


@contextmanager
def captions_open(dataset: Any, fields: Collection[str]) -> Iterator[None]:
    """Let what follows write to the fields of captions, which are read-only otherwise.

    A caption that was changed by FiftyOne's own means would stand in no caption set, and go with the next build.
    """
    _lock(dataset, fields, False)
    try:
        yield
    finally:
        _lock(dataset, fields, True)


def _lock(dataset: Any, fields: Collection[str], locked: bool) -> None:
    for path in fields:
        field = dataset.get_field(path)
        if field is not None and field.read_only != locked:
            field.read_only = locked
            field.save()


def activate(dataset: Any, fields: Mapping[str, str]) -> None:
    """Choose what the grid shows at first: the last caption set, since one is what a tile has room for, and what is wrong there.

    Beside it stand the annotations; what a detector saw, only where there are none. A person's own choice stays.
    """
    if dataset.app_config.active_fields is None and fields:
        from fiftyone.core.odm.dataset import ActiveFields

        paths = grid_fields(dataset, list(fields.values())[-1])
        dataset.app_config.active_fields = ActiveFields(paths=paths, exclude=False)
        dataset.save()


def grid_fields(dataset: Any, field: str) -> list[str]:
    """What the grid shows of a caption set: its captions, what is wrong there, and what is in the pictures."""
    annotated = dataset.count(f"{ANNOTATIONS}.detections")
    return [field, wrong_field(field), ANNOTATIONS if annotated else DETECTIONS]


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
            # The App draws the boxes of the first over those of the others.
            name="labels",
            paths=[*(wrong_field(field) for field in fields.values()), ANNOTATIONS, DETECTIONS],
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
