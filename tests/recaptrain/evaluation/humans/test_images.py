"""Pictures as they are shown: addresses that cannot be guessed, memory that stays bounded."""

from pathlib import Path

import pytest

from recapdata.dataset.decoding import ImageUnreadable
from recaptrain.evaluation.humans import images as module
from recaptrain.evaluation.humans.images import ShownImages
from tests.recaptrain.evaluation.humans.folders import write_study


def test_addresses_belong_to_the_study_and_to_one_picture(tmp_path: Path) -> None:
    pictures = write_study(tmp_path, ["one", "two"]).pictures
    images, again, other = (ShownImages(pictures, secret) for secret in ("s", "s", "t"))
    tokens = [images.token(key) for key in pictures]
    assert len(set(tokens)) == 4
    assert tokens == [again.token(key) for key in pictures]
    assert not set(tokens) & {other.token(key) for key in pictures}
    assert images.by_token(tokens[0]) == images.content(next(iter(pictures)))
    assert images.by_token("0" * 32) is None


def test_encoded_pictures_are_kept_up_to_a_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pictures = write_study(tmp_path, [str(number) for number in range(6)]).pictures
    images = ShownImages(pictures, "s")
    keys = list(pictures)
    size = len(images.content(keys[0]))
    monkeypatch.setattr(module, "KEPT_BYTES", 3 * size + 20)
    for key in keys[:6]:
        images.content(key)
    assert list(images._kept) == keys[3:6]
    assert images._size == sum(map(len, images._kept.values()))
    images.content(keys[3])  # used again, so it stays longest
    images.content(keys[0])
    assert list(images._kept) == [keys[5], keys[3], keys[0]]


def test_a_missing_picture_is_unreadable(tmp_path: Path) -> None:
    pictures = write_study(tmp_path, ["one"]).pictures
    images = ShownImages(pictures, "s")
    (tmp_path / "model-baseline" / "0000-0.png").unlink()
    with pytest.raises(ImageUnreadable, match="No such file"):
        images.content((0, 0, 0))
