"""Records, annotations and audit rows as the values of FiftyOne fields.

Per caption set there are four fields: the caption itself, a plain string (`recap_short`); `recap_short_audit` with lengths,
scores, flags, how many claims of each kind and verdict there are, what was missed, and the claims as short phrases to filter by;
`recap_short_claims`, the claims whole; and `recap_short_wrong`, the contradicted ones on the boxes that they concern.

Values are in the form in which FiftyOne stores them: its label objects cost ten times the time of all else that a sample takes
(`tests/benchmarks/view_scale.py`), and are what it reads back.
"""

from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations
from typing import Any

from bson import ObjectId

from audits.boxed import seen_once
from audits.lexicon import load_lexicon
from audits.spans import phrase
from recapdata.caption_sets.edits import EDITED
from recapdata.records import CLAIM_KINDS, VERDICTS

ANNOTATIONS = "annotations"
DETECTIONS = "detections"
DISAGREEMENT = "disagreement"
ATTRIBUTES = ("color", "size", "text")
COUNTS: Mapping[str, str] = {
    "claims_total": "Checkable claims of the caption",
    **{f"claims_{kind}": f"Claims of kind {kind}" for kind in CLAIM_KINDS},
    **{verdict: f"Claims that are {verdict} by the evidence" for verdict in VERDICTS},
    **{
        f"{verdict}_{kind}": f"Claims of kind {kind} that are {verdict}"
        for verdict in VERDICTS
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


def audit_value(row: Mapping[str, Any] | None) -> Any:
    """Scores and counts of an audit row as one embedded document; None where the caption is missing or was not audited.

    Args:
        row: of `AUDIT_SCHEMA`; `kept` beside its columns holds further fields (`audits.fiftyone.figures.kept`).
    """
    if row is None or row["claims"] is None:
        return None
    claims = row["claims"]
    kinds = [claim["kind"] for claim in claims]
    verdicts = [claim["verdict"] for claim in claims]
    pairs = list(zip(verdicts, kinds, strict=True))
    judged = any(verdict is not None for verdict in verdicts)
    return document(
        "DynamicEmbeddedDocument",
        **row["scores"],
        **row.get("kept", {}),
        claims_total=len(kinds),
        **{f"claims_{kind}": kinds.count(kind) for kind in CLAIM_KINDS},
        **{verdict: verdicts.count(verdict) if judged else None for verdict in VERDICTS},
        **{
            f"{verdict}_{kind}": pairs.count((verdict, kind)) if judged else None
            for verdict in VERDICTS
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
    objects, others = seen_once(record["objects"], seen)
    things = [*(objects or ()), *(others or ())]
    found: dict[str, Any] = {
        "key": record["key"],
        "source": record["source"],
        "license": record["license"],
        ANNOTATIONS: annotation_value(objects, *size),
        DETECTIONS: detection_value(others, *size),
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


# --- things in the picture --------------------------------------------------------------------------------------------


def annotation_value(objects: Sequence[Mapping[str, Any]] | None, width: int, height: int) -> Any:
    """Annotated objects as `Detections`, boxes as shares of the image's sides; None where the record has none.

    An object without a box (a category of the whole image) has no place in the picture and is left out.
    """
    if objects is None:
        return None
    boxes = [
        _box(each, width, height, label=each["category"] or "object", **_known(each, ATTRIBUTES))
        for each in objects
        if each["bbox"] is not None
    ]
    return document("Detections", detections=boxes)


def detection_value(seen: Iterable[Mapping[str, Any]] | None, width: int, height: int) -> Any:
    """What evidence beside the annotations saw, each thing once; None where no such source was asked."""
    if seen is None:
        return None
    boxes = {}
    for each in seen:
        if each["bbox"] is not None:
            named = _known(each, ("source", "text"))
            named |= {"colors": each["colors"]} if each["colors"] else {}
            place = (each["source"], each["category"], each["text"], *each["bbox"])
            boxes[place] = _box(
                each,
                width,
                height,
                label=each["category"] or each["text"] or "object",
                confidence=each["score"],
                **named,
            )
    return document("Detections", detections=list(boxes.values()))


def wrong_value(
    claims: Sequence[Mapping[str, Any]] | None,
    objects: Sequence[Mapping[str, Any]],
    width: int,
    height: int,
) -> Any:
    """Contradicted claims as labels on the boxes that they concern; None where there is no audit.

    A claim of something that is not in the picture concerns no box, and a claim of a number concerns all that could be counted.

    Args:
        objects: annotated objects and what evidence saw.
    """
    if claims is None:
        return None
    boxes = [
        _box(each, width, height, label=phrase(claim), kind=claim["kind"], evidence=claim["evidence"])
        for claim in claims
        if claim["verdict"] == "contradicted"
        for each in _concerned(claim, objects)
    ]
    return document("Detections", detections=boxes)


def _concerned(claim: Mapping[str, Any], objects: Sequence[Mapping[str, Any]]) -> Iterable[Mapping[str, Any]]:
    boxed = [each for each in objects if each["bbox"] is not None]
    if claim["kind"] == "text":
        return [each for each in boxed if each["text"]]
    if claim["kind"] == "object":
        return []
    classes = frozenset(each["category"].lower() for each in boxed if each["category"])
    wanted: frozenset[str] = frozenset()
    for noun in (claim["subject"], claim["object"]):
        if noun:
            meaning = load_lexicon().meaning(noun, classes)
            wanted |= meaning.classes | meaning.maybe
    return [each for each in boxed if (each["category"] or "").lower() in wanted]


def _known(each: Mapping[str, Any], names: Iterable[str]) -> dict[str, Any]:
    return {name: each[name] for name in names if each[name] is not None}


def document(kind: str, /, **values: Any) -> dict[str, Any]:
    """A label, or another embedded document, as FiftyOne stores it.

    Args:
        kind: the name of its class.
    """
    return {"_cls": kind, **values}


def _box(each: Mapping[str, Any], width: int, height: int, **values: Any) -> dict[str, Any]:
    x, y, w, h = each["bbox"]
    place = [x / width, y / height, w / width, h / height]
    return document("Detection", _id=ObjectId(), attributes={}, tags=[], bounding_box=place, **values)
