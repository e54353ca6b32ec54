"""Which captions are learned from: what is left out, who is held out, whose picture is broken, in what order."""

import numpy as np
import pyarrow as pa
import pytest

from recapdata.dataset.target import open_dataset
from recapdata.errors import CaptionSetNotFound, InputError, OptionError
from recaptrain.captioner.data import gather_pictures, read_captions
from tests.builders import build_dataset, png


def captions_of(folder, sets=None, **options):
    return read_captions(
        open_dataset(folder.path),
        sets or {"short": "a"},
        **{"examples": None, "validation": 0.0, **options},
    )


def test_rows_without_a_caption_are_left_out_and_counted(tmp_path):
    sets = {"a": ["one", None, "", "  ", " five "], "b": [None, "two", None, None, "long five"]}
    folder = build_dataset(tmp_path / "ds", rows=5, shard_rows=2, sets=sets)
    found = captions_of(folder, {"short": "a", "long": "b"})
    assert (found.table.num_rows, found.lacking) == (3, 2)
    assert found.texts("short", found.rows("short", held_out=False)) == ["one", "five"]
    assert found.texts("long", found.rows("long", held_out=False)) == ["two", "long five"]
    first = captions_of(folder, {"short": "a", "long": "b"}, examples=2)
    assert (first.table.num_rows, first.lacking) == (2, 0)


def test_a_text_column_that_came_along_will_do(tmp_path):
    columns = {"human_short": pa.array(["x", None, "z"]), "tags": pa.array([["a"], ["b"], ["c"]])}
    folder = build_dataset(tmp_path / "ds", rows=3, sets=(), columns=columns)
    assert captions_of(folder, {"short": "human_short"}).table.num_rows == 2
    with pytest.raises(OptionError, match="recapdata import-captions"):
        captions_of(folder, {"short": "tags"})


def test_what_is_not_there_is_said(tmp_path):
    folder = build_dataset(tmp_path / "ds", rows=3, sets={"a": [None, None, ""]})
    with pytest.raises(CaptionSetNotFound, match=r"no caption set or column 'human'; it has a"):
        captions_of(folder, {"short": "human"})
    with pytest.raises(InputError, match="none of its 3 records has a caption in a"):
        captions_of(folder)


@pytest.mark.parametrize(
    ("rows", "share", "held"), [(19, 0.1, 0), (20, 0.1, 4), (30, 0.1, 4), (60, 0.1, 6), (60, 0.0, 0)]
)
def test_a_share_is_held_out_but_no_less_than_a_handful(tmp_path, rows, share, held):
    folder = build_dataset(tmp_path / "ds", rows=rows, sets=("a",))
    found = captions_of(folder, validation=share)
    kept, out = found.rows("short", held_out=False), found.rows("short", held_out=True)
    assert len(out) == held
    assert sorted([*kept, *out]) == list(range(rows))


def test_who_is_held_out_depends_on_the_keys_alone(tmp_path):
    pictures = [png(index) for index in range(40)]
    one = build_dataset(tmp_path / "one", images=pictures, sets=("a",))
    other = build_dataset(tmp_path / "other", images=pictures[::-1], sets=("a",), shard_rows=9)
    held = [
        set(found.keys(found.rows("short", held_out=True)))
        for found in (captions_of(one, validation=0.2), captions_of(other, validation=0.2))
    ]
    assert held[0] == held[1]
    assert len(held[0]) == 8


def test_pictures_lie_in_a_file_and_broken_ones_are_left_out(tmp_path):
    pictures = [png(0), png(1), b"no picture", png(3), png(4)]
    broken = tmp_path / "ds"
    sets = {"a": ["zero", None, "two", "three", "four"]}
    good = build_dataset(tmp_path / "good", images=[png(index) for index in range(5)], sets=sets)
    folder = build_with_bytes(broken, good, pictures, sets)
    found = captions_of(folder)
    gathered = gather_pictures(open_dataset(folder.path), found, tmp_path / "p.arrow", shown=False)
    assert gathered.undecodable() == {1}
    usable = found.without(gathered.undecodable())
    assert usable.texts("short", usable.rows("short", held_out=False)) == ["zero", "three", "four"]
    (picture,) = gathered.decode(np.array([2]))
    assert picture.getpixel((0, 0)) == (3 * 37, 0, 3)
    again = gather_pictures(open_dataset(folder.path), found, tmp_path / "p.arrow", shown=False)
    assert again.table.equals(gathered.table)


def build_with_bytes(path, good, pictures, sets):
    """Like `good`, but with other bytes behind some keys: a picture that was damaged after it came in."""
    import shutil

    import pyarrow.parquet as pq

    from recapdata.dataset.folder import DatasetFolder

    shutil.copytree(good.path, path)
    folder, row = DatasetFolder(path), 0
    for shard in folder.shards():
        table = pq.read_table(folder.image_shard(shard))
        images = [{"bytes": each, "path": None} for each in pictures[row : row + table.num_rows]]
        row += table.num_rows
        place = table.schema.get_field_index("image")
        field = table.schema.field(place)
        pq.write_table(
            table.set_column(place, field, pa.array(images, field.type)), folder.image_shard(shard)
        )
    return folder
