"""Which columns beside `image` hold images: those whose first value is one."""

from pathlib import Path

import pyarrow as pa

from recapdata import load
from recapdata.dataset.image_columns import image_columns
from recapdata.publishing.published import data_schema
from recapdata.records import IMAGE_TYPE
from tests.builders import build_dataset, png


def test_a_column_of_images_is_told_by_its_first_value(tmp_path: Path) -> None:
    from datasets import Features, Image, List

    def held(content: bytes) -> dict[str, bytes | None]:
        return {"bytes": content, "path": None}

    columns = {
        "edited": pa.array([None, None, held(png(7))], IMAGE_TYPE),
        "frames": pa.array([[], [held(png(8)), held(png(9))], None], pa.list_(IMAGE_TYPE)),
        "sound": pa.array([held(b"RIFF\0\0\0\0WAVE")] * 3, IMAGE_TYPE),
        "nothing": pa.nulls(3, IMAGE_TYPE),
        "note": pa.array(["x"] * 3),
    }
    folder = build_dataset(tmp_path / "ds", rows=3, shard_rows=2, columns=columns)
    shards = [folder.image_shard(shard) for shard in folder.shards()]
    assert image_columns(shards, folder.schema()) == {"edited", "frames"}
    published = Features.from_arrow_schema(data_schema(folder))
    assert (published["image"], published["edited"], published["frames"]) == (Image(), Image(), List(Image()))
    assert not isinstance(published["sound"], Image)
    rows = load(folder.path)
    assert rows[2]["edited"].size == (8, 8)
    assert [each.size for each in rows[1]["frames"]] == [(8, 8)] * 2
