"""Small things to test with, made by hand so that expected values can be derived from the arguments."""

import hashlib
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
from PIL import Image

from recapdata.dataset.audit_files import AUDIT_SCHEMA, SUMMARY_FILE, Identity
from recapdata.dataset.digest import rows_hash
from recapdata.dataset.folder import DatasetFolder
from recapdata.dataset.shards import ShardWriter
from recapdata.records import (
    CAPTION_SCHEMA,
    RECORD_SCHEMA,
    Caption,
    Claim,
    Counts,
    Manifest,
    Object,
    Provenance,
    image_key,
)


def png(index: int, size: tuple[int, int] = (8, 8)) -> bytes:
    """A PNG of one color that no other index has (for index < 2**24)."""
    red, green, blue = (index * 37 + index // 65_536) % 256, (index // 256) % 256, index % 256
    buffer = io.BytesIO()
    Image.new("RGB", size, (red, green, blue)).save(buffer, "PNG")
    return buffer.getvalue()


def noise_jpeg(index: int, size: tuple[int, int] = (64, 64)) -> bytes:
    """A JPEG that does not compress, the same for the same index."""
    pixels = hashlib.shake_256(str(index).encode()).digest(size[0] * size[1] * 3)
    buffer = io.BytesIO()
    Image.frombytes("RGB", size, pixels).save(buffer, "JPEG", quality=90)
    return buffer.getvalue()


def build_dataset(
    path: Path,
    *,
    rows: int = 6,
    shard_rows: int = 4,
    row_group_rows: int = 2,
    sets: Mapping[str, Sequence[str | None]] | Sequence[str] = ("alt",),
    columns: Mapping[str, pa.Array] | None = None,
    objects: Sequence[Sequence[Object]] | None = None,
    images: Sequence[bytes] | None = None,
    license: str | None = None,
) -> DatasetFolder:
    """A dataset folder of `rows` pictures `png(0), png(1), …` over shards of `shard_rows` rows.

    Args:
        sets: captions by set, None for a failure; or only names, which then say "<name> <row>".
        columns: columns that came along, whole; they are cut into shards here.
        objects: annotations per row; `[]` where omitted.
        images: image bytes per row in place of the pictures.
    """
    folder = DatasetFolder.create(path)
    pictures = list(images) if images is not None else [png(index) for index in range(rows)]
    written = (
        sets
        if isinstance(sets, Mapping)
        else {name: [f"{name} {row}" for row in range(len(pictures))] for name in sets}
    )
    came = dict(columns or {})
    schema = pa.schema([*RECORD_SCHEMA, *(pa.field(name, array.type) for name, array in came.items())])
    for shard, start in enumerate(range(0, len(pictures), shard_rows)):
        stop = min(start + shard_rows, len(pictures))
        with ShardWriter(folder.image_shard(shard), schema) as writer:
            for first in range(start, stop, row_group_rows):
                part = range(first, min(first + row_group_rows, stop))
                writer.write(_image_rows(part, pictures, came, objects, schema))
        for name, captions in written.items():
            write_captions(
                folder, name, shard, [image_key(p) for p in pictures[start:stop]], captions[start:stop]
            )
    folder.save_manifest(
        Manifest(
            name=path.name,
            license=license,
            sources=("builder",),
            columns=tuple(came),
            sets={
                name: Provenance(writer="web", column=name, date="2026-01-01T00:00:00Z") for name in written
            },
            counts=Counts(items=len(pictures), records=len(pictures)),
        )
    )
    return folder


def write_captions(
    folder: DatasetFolder, set_name: str, shard: int, keys: Sequence[str], captions: Sequence[str | None]
) -> None:
    """One caption shard; None becomes a failure of type `Refused`."""
    rows = [
        (
            Caption(caption=text, finish_reason="import")
            if text is not None
            else Caption(caption=None, error="Refused: built to fail")
        ).to_row(key, set_name)
        for key, text in zip(keys, captions, strict=True)
    ]
    with ShardWriter(folder.caption_shard(set_name, shard), CAPTION_SCHEMA) as writer:
        writer.write(pa.Table.from_pylist(rows, schema=CAPTION_SCHEMA))


def write_audit(
    folder: DatasetFolder,
    set_names: Sequence[str],
    figures: Mapping[str, tuple[float, float, float]] | None = None,
    claims: str = "claims:1",
) -> None:
    """An audit of these sets: one claim of two words per caption, and a summary with the same figures (value, low, high) for each.

    The figures are shares of which more is better, and rest on claims; "object coverage" at 0.5 (0.4–0.6) where omitted.

    Args:
        claims: the version of the rules that read the claims.
    """
    values = figures or {"object coverage": (0.5, 0.4, 0.6)}
    identity = Identity(
        captions="",
        claims=f"en_built@0.1.0 {claims} coverage:1 hygiene:1 form:1",
        evidence="grounding:1 annotations+v1",
    )
    claim = Claim(
        kind="object", span=(0, 3), object="bird", verdict="supported", evidence="annotations: 1 bird"
    )
    for name in set_names:
        for shard in folder.shards():
            batches = list(folder.read_captions(name, shard, ["key", "caption"]).to_batches())
            rows = [
                {"key": row["key"], "set": name, "claims": None, "scores": None}
                if row["caption"] is None
                else {"key": row["key"], "set": name, "claims": [claim.to_struct()], "scores": {"words": 2}}
                for batch in batches
                for row in batch.to_pylist()
            ]
            with ShardWriter(folder.audit_shard(name, shard), AUDIT_SCHEMA) as writer:
                writer.write(pa.Table.from_pylist(rows, schema=AUDIT_SCHEMA))
                writer.commit(replace(identity, captions=rows_hash(batches)).to_footer())
    count = sum(folder.rows(shard) for shard in folder.shards())
    summary = {
        "format": 1,
        "pipeline": "en_built@0.1.0",
        "clip": None,
        "evidence": ["annotations"],
        "records": count,
        "sets": {
            name: {
                "captions": count,
                "missing": 0,
                "made_by": {part: [made] for part, made in identity.parts().items()},
                "figures": {
                    figure: {
                        "value": value,
                        "low": low,
                        "high": high,
                        "unit": "share",
                        "better": "higher",
                        "n": count,
                        "rests_on": ["claims"],
                    }
                    for figure, (value, low, high) in values.items()
                },
            }
            for name in set_names
        },
    }
    (folder.path / "audits" / SUMMARY_FILE).write_text(json.dumps(summary))


def add_set(folder: DatasetFolder, name: str, captions: Sequence[str | None]) -> None:
    """One more caption set, written by a model, in the folder and its manifest."""
    start = 0
    for shard in folder.shards():
        keys = folder.read_keys(shard)
        write_captions(folder, name, shard, keys, captions[start : start + len(keys)])
        start += len(keys)
    provenance = Provenance(
        writer="model",
        captioner="vlm",
        model="me/captioner",
        revision="a" * 40,
        style="short",
        prompt="caption en",
        sampling={"max_new_tokens": 64},
        date="2026-01-02T00:00:00Z",
    )
    manifest = folder.manifest
    folder.save_manifest(replace(manifest, sets={**manifest.sets, name: provenance}))


def _image_rows(
    part: range,
    pictures: Sequence[bytes],
    came: Mapping[str, pa.Array],
    objects: Sequence[Sequence[Object]] | None,
    schema: pa.Schema,
) -> pa.Table:
    rows: list[dict[str, Any]] = []
    for row in part:
        width, height = Image.open(io.BytesIO(pictures[row])).size
        rows.append(
            {
                "key": image_key(pictures[row]),
                "image": {"bytes": pictures[row], "path": None},
                "width": width,
                "height": height,
                "source": f"picture-{row}",
                "license": None,
                "objects": [each.to_dict() for each in objects[row]] if objects is not None else [],
                **{name: array[row].as_py() for name, array in came.items()},
            }
        )
    return pa.Table.from_pylist(rows, schema=schema)
