"""A folder of pictures that a stranger made to harm: nothing outside it is opened, nothing waited for, memory is bounded."""

import io
import json
import os
import struct
import zlib

import pytest
from PIL import Image

from recapdata.dataset.decoding import ImageUnreadable
from recapdata.errors import DatasetDamaged, InputError
from recaptrain.evaluation.pictures import open_file, read_pictures
from tests.recaptrain.evaluation.test_run import generated, run

ROW = {"file_name": "a.png", "id": "a", "prompt_id": "a", "prompt": "a bright thing"}


@pytest.mark.parametrize(
    "row",
    [
        *({**ROW, "file_name": name} for name in ("../../x", "/etc/passwd", "a/b.png", "..", ".", "", "\0", "a\\b", 3, None, ["x"])),
        *({**ROW, "prompt": prompt} for prompt in (None, 3, ["x"], {"a": 1})),
        *({**ROW, "fields": fields} for fields in ("[", "[]", "3", "[" * 10**5, 3, {"a": 1})),
        *({**ROW, "category": category} for category in (3, ["x"], "\ud800")),
        {**ROW, "id": "\ud800"}, {**ROW, "prompt_id": "\ud800"}, {**ROW, "read": 3}, {**ROW, "original": [1]}, [], 3, None, {}, "x" * 2**21,
    ],
)  # fmt: skip
def test_a_row_of_anything_is_one_line(tmp_path, row):
    (tmp_path / "metadata.jsonl").write_text(json.dumps(row) + "\n", encoding="utf8")
    with pytest.raises(
        InputError, match=r"metadata.jsonl, line 1: not a row of recaptrain generate"
    ) as refusal:
        read_pictures(str(tmp_path))
    assert "\n" not in str(refusal.value)
    assert len(str(refusal.value)) < 1000


@pytest.mark.parametrize("content", [b"\xff\n", b"[" * 10**5, b'{"id": ' + b"9" * 5000 + b"}"])
def test_so_is_what_is_no_json(tmp_path, content):
    (tmp_path / "metadata.jsonl").write_bytes(json.dumps(ROW).encode() + b"\n" + content)
    with pytest.raises(InputError, match=r"line 2: not a row"):
        read_pictures(str(tmp_path))


def test_half_a_surrogate_pair_is_no_prompt(tmp_path):
    folder = generated(tmp_path / "p", {"a": 10}, prompt="a bright \ud83d thing")
    with pytest.raises(InputError, match="the prompt of a holds half a surrogate pair"):
        run(folder, out=tmp_path / "out")


def test_a_picture_has_one_row(tmp_path):
    (tmp_path / "metadata.jsonl").write_text(f"{json.dumps(ROW)}\n" * 2, encoding="utf8")
    with pytest.raises(InputError, match=r"line 2: .*comes twice"):
        read_pictures(str(tmp_path))


def test_a_file_is_a_file_of_the_folder(tmp_path):
    folder = tmp_path / "p"
    folder.mkdir()
    Image.new("RGB", (8, 8)).save(tmp_path / "mine.png")
    os.mkfifo(folder / "fifo.png")
    (folder / "zero.png").symlink_to("/dev/zero")
    (folder / "link.png").symlink_to(tmp_path / "mine.png")
    (folder / "loop.png").symlink_to(folder / "loop.png")
    (folder / "folder.png").mkdir()
    with open(folder / "sparse.png", "wb") as file:
        file.truncate(2**36)
    for name, said in {
        "fifo": "NotAFile", "zero": "UnsafePath", "link": "UnsafePath", "loop": "UnsafePath|OSError|NotFound", "folder": "NotAFile", "sparse": "TooLarge", "no": "NotFound",
    }.items():  # fmt: skip
        with pytest.raises(ImageUnreadable, match=said):
            open_file(folder, f"{name}.png")


@pytest.mark.parametrize("place", ["", "/evidence", "/run"])
def test_nothing_is_written_through_a_link_in_the_way(tmp_path, place):
    folder = generated(tmp_path / "p", {"a": 10})
    out, precious = tmp_path / "out", tmp_path / "precious"
    precious.mkdir()
    if place == "/run":
        run(folder, out=out)
        (kept,) = (path for path in out.iterdir() if path.name.startswith("p-"))
        os.rename(kept, tmp_path / "kept")
        kept.symlink_to(precious)
    elif place:
        out.mkdir()
        (out / place[1:]).symlink_to(precious)
    else:
        run(folder, out=out)
        (inner,) = (path for path in out.glob("p-*/*") if path.is_dir())
        os.rename(inner, tmp_path / "kept")
        inner.symlink_to(precious)
    with pytest.raises(DatasetDamaged, match="is a symbolic link"):
        run(folder, out=out)
    assert list(precious.iterdir()) == []


def _png(width, height):
    """A PNG that promises so many pixels and holds none."""

    def part(name, content):
        return (
            struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))
        )

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + part(b"IHDR", header)
        + part(b"IDAT", zlib.compress(b"\0"))
        + part(b"IEND", b"")
    )


def _saved(image, kind, **options):
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def test_each_picture_that_cannot_be_decoded_says_why(tmp_path):
    """Of what can be, 16 bits, CMYK and the first frame of an animation have the gray that was saved: (80 + 200 + 60 + 20) / 4."""
    folder = generated(tmp_path / "p", dict.fromkeys("abcdefgh", 20))
    noise = Image.effect_noise((64, 64), 50)
    frames = [Image.new("L", (8, 8), gray) for gray in (60, 250)]
    for name, content in {
        "a": _png(10**5, 10**5), "b": _saved(noise, "PNG")[:999], "c": _saved(noise, "JPEG")[:999], "d": b"<svg/>",
        "e": _saved(Image.new("I;16", (8, 8), 80 * 257), "PNG"), "f": _saved(Image.new("CMYK", (8, 8), (0, 0, 0, 55)), "JPEG"),
        "g": _saved(frames[0], "PNG", save_all=True, append_images=frames[1:]),
    }.items():  # fmt: skip
        (folder / f"{name}.png").write_bytes(content)
    found = run(folder, out=tmp_path / "out")
    (evaluation,) = found.evaluations
    kinds = {name: error.partition(":")[0] for name, error in evaluation.errors.items()}
    assert kinds == {"a": "DecompressionBomb", "b": "DamagedImage", "c": "DamagedImage", "d": "NotAnImage"}
    assert evaluation.unreadable == evaluation.figures[0].unreadable == 4
    assert evaluation.figures[0].value == pytest.approx(90, abs=1)
    assert "4 cannot be decoded and count nowhere (a: DecompressionBomb: " in found.text()
    assert "and 1 more in evaluation.json" in found.text()
    assert run(folder, out=tmp_path / "out").evaluations == found.evaluations


@pytest.mark.parametrize("name", ["metadata.jsonl", "generation.json"])
def test_what_a_folder_says_of_its_pictures_is_in_the_folder(tmp_path, name):
    """A stranger's folder whose settings are the user's own file would put it on a page."""
    folder = generated(tmp_path / "p", {"a": 10})
    (tmp_path / "mine.json").write_text('{"auths": "mine"}', encoding="utf8")
    (folder / name).unlink(missing_ok=True)
    (folder / name).symlink_to(tmp_path / "mine.json")
    with pytest.raises(InputError, match="is a symbolic link out of its folder"):
        read_pictures(str(folder))
