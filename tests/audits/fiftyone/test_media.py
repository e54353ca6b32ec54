"""Pictures on disk: under their keys only, and which paths are of one."""

import os
from pathlib import Path

import pytest

from audits.fiftyone.media import Media
from recapdata.errors import DatasetDamaged
from recapdata.records import image_key
from tests.builders import png

KEY = image_key(png(0))


@pytest.mark.parametrize(
    "key",
    [
        "../../x",
        "/etc/x",
        "ab/../../../x",
        "",
        KEY.upper(),
        KEY[:63],
        KEY + "0",
        f"{KEY[:60]}/../",
        f"{KEY}\n",
    ],
)
def test_what_is_no_key_names_no_file(tmp_path: Path, key: str) -> None:
    media = Media(tmp_path / "media")
    for act in (lambda: media.write(key, png(0)), lambda: media.path(key), lambda: media.missing([key])):
        with pytest.raises(DatasetDamaged, match="is no SHA-256"):
            act()
    assert list(tmp_path.rglob("*")) == []


def test_only_pictures_of_the_folder_are_its_own(tmp_path: Path) -> None:
    media = Media(tmp_path / "media")
    path = media.write(KEY, png(0))
    assert media.holds(str(path))
    other = image_key(png(1))
    (tmp_path / "media" / other[:2]).mkdir(exist_ok=True)
    link = tmp_path / "media" / other[:2] / f"{other}.png"
    (tmp_path / "secret").write_text("x")
    link.symlink_to(tmp_path / "secret")
    (path.parent / "notes.txt").write_text("x")
    (path.parent / f"{KEY}.txt").write_text("x")
    (tmp_path / path.name).write_bytes(png(0))
    (tmp_path / "media" / path.name).write_bytes(png(0))
    for wrong in (
        "/etc/passwd",
        "",
        ".",
        str(tmp_path / "secret"),
        str(link),
        str(path.parent),
        str(path.parent / "notes.txt"),
        str(path.parent / f"{KEY}.txt"),
        str(tmp_path / path.name),
        str(tmp_path / "media" / path.name),
        f"{path.parent}/../{KEY[:2]}/{path.name}",
        f"file://{path}",
        path.name,
        os.path.relpath(path),
        f"{path}\n",
    ):
        assert not media.holds(wrong), wrong
