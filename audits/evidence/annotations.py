"""Annotations as evidence: the `objects` column of the dataset (COCO's boxes, the drawn world's truth, any Hub dataset's).

One pass over the column finds what the annotators looked for at all: a class that is never used cannot be missed. Where the
classes are a part of a known vocabulary (COCO's eighty), the whole vocabulary was looked for.

An annotation that could not be read whole when it came in lacks its box or its class (see `recapdata.ingestion.annotations`). What
it may have been is not held against a caption: nothing about a class of unknown place is contradicted, and beside an object of
unknown class nothing at all. Where no object of a dataset has a box, a list that names a class twice is one of objects, which can
be counted; one that never does is of tags, which say what there is and not how many.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from audits.evidence import Evidence, Observation, Record, Scope
from audits.evidence.masks import mask_area
from audits.lexicon import load_lexicon
from audits.rules import source_rules
from recapdata.console import say
from recapdata.dataset.masks import is_number, is_readable
from recapdata.dataset.target import Target
from recapdata.errors import OptionError

USED = ("bbox", "category", "color", "size", "text", "mask")
ATTRIBUTES = ("color", "size", "text")
CROWDS = "crowds"


@dataclass(frozen=True, slots=True)
class Annotations:
    """The `objects` column as an evidence source; made by `open_annotations`.

    Attributes:
        listed: whether objects without a box are all there are of their class, as in a dataset that lists objects and has no boxes.
    """

    scope: Scope
    hashes: Mapping[int, str]
    columns: tuple[str, ...]
    listed: bool = False
    name: str = "annotations"

    def identity(self, shard: int) -> str:
        """A hash of the shard's objects and of the classes and attributes known in the whole dataset."""
        scope = json.dumps(
            [sorted(self.scope.classes), sorted(self.scope.attributes), *(["listed"] * self.listed)]
        )
        seen = hashlib.sha256((scope + self.hashes[shard]).encode()).hexdigest()[:16]
        return f"annotations+{source_rules('annotations')}-{seen}"

    def collect(self, records: Sequence[Record]) -> list[Evidence | None]:
        """The annotated objects of each record; None where it was not annotated (an empty list was)."""
        rows = [record.values for record in records]
        return [None if row["objects"] is None else self._evidence(row) for row in rows]

    def _evidence(self, row: Mapping[str, Any]) -> Evidence:
        known = [annotated(each) for each in row["objects"]]
        identified = tuple(filter(is_identified, known))
        return Evidence(
            source=self.name,
            scope=self.scope,
            objects=identified,
            unplaced=frozenset() if self.listed else unplaced(identified),
            unidentified=len(known) - len(identified),
            width=row["width"],
            height=row["height"],
            uncounted=frozenset(each.lower() for each in row.get(CROWDS) or ()),
        )


def open_annotations(target: Target | None, argument: str | None = None) -> Annotations:
    """Read the `objects` column once, and learn what its annotators looked for.

    Raises:
        OptionError: an argument, of which it takes none; pictures that are of no dataset.
    """
    if target is None:
        raise OptionError("annotations: these pictures are of no dataset, and nobody annotated them")
    if argument is not None:
        raise OptionError(
            f"annotations:{argument}: annotations are the dataset's own; leave out what follows"
        )
    classes: set[str] = set()
    attributes: set[str] = set()
    hashes: dict[int, str] = {}
    boxed = repeated = False
    read = ["objects", *_crowds(target)]
    for shard in target.shards():
        digest = hashlib.sha256()
        for batch in target.read(shard, read, batch_rows=4096):
            for row in batch.to_pylist():
                objects = row["objects"]
                used = None if objects is None else [[each[name] for name in USED] for each in objects]
                digest.update(json.dumps([used, row.get(CROWDS)], ensure_ascii=False).encode() + b"\n")
                named = [each["category"] for each in objects or () if each["category"] is not None]
                repeated = repeated or len(set(named)) < len(named)
                for each in objects or ():
                    boxed = boxed or each["bbox"] is not None
                    if each["category"] is not None:
                        classes.add(each["category"].lower())
                    attributes.update(name for name in ATTRIBUTES if each[name] is not None)
        hashes[shard] = digest.hexdigest()
    if not classes and not attributes:
        say(f"{target.name} has no annotated objects: by annotations every claim stays unjudged")
    vocabulary = load_lexicon().vocabulary(frozenset(classes))
    return Annotations(
        scope=Scope(classes=vocabulary, attributes=frozenset(attributes)),
        hashes=hashes,
        columns=(*read, "width", "height"),
        listed=repeated and not boxed,
    )


def _crowds(target: Target) -> list[str]:
    """The column of classes annotated as a crowd, where the dataset has one (COCO) and it is a list of names."""
    if CROWDS not in target.columns() or not target.shards():
        return []
    batch = next(iter(target.read(target.shards()[0], [CROWDS], batch_rows=1)), None)
    fits = batch is not None and batch.schema.field(CROWDS).type == pa.list_(pa.string())
    return [CROWDS] if fits else []


def is_identified(seen: Observation) -> bool:
    """Whether it is known what an annotated object is: a thing of a class, or a written word."""
    return seen.category is not None or seen.text is not None


def unplaced(objects: Iterable[Observation]) -> frozenset[str]:
    """Classes of the objects of which nobody knows where they are."""
    return frozenset(each.category for each in objects if each.category is not None and each.bbox is None)


def annotated(values: Mapping[str, Any]) -> Observation:
    """One value of `OBJECT_TYPE` as it is judged by, without a box or a mask that is none: folders of old were not checked."""
    bbox, mask = values["bbox"], values["mask"]
    if bbox is not None and not (
        len(bbox) == 4 and all(map(is_number, bbox)) and bbox[2] > 0 and bbox[3] > 0
    ):
        bbox = None
    if mask is not None and not is_readable(mask):
        mask = None
    return Observation(
        bbox=None if bbox is None else (bbox[0], bbox[1], bbox[2], bbox[3]),
        category=None if values["category"] is None else values["category"].lower(),
        colors=() if values["color"] is None else (values["color"],),
        size=values["size"],
        text=values["text"],
        mask=mask,
        area=mask_area(mask) if mask is not None else None if bbox is None else bbox[2] * bbox[3],
    )
