"""What models saw of pictures, kept by their pixels."""

import gc

import numpy as np
from PIL import Image

from recaptrain.evaluation import seen
from recaptrain.evaluation.seen import Store, pixels_key
from tests.recaptrain.evaluation.scripted_models import box, detector, embeddings, image


def test_a_key_is_of_the_pixels():
    assert pixels_key(image(3)) == pixels_key(image(3))
    assert pixels_key(image(3)) != pixels_key(image(4))
    # 2×8 and 8×2 pixels of one color have the same bytes
    assert pixels_key(Image.new("RGB", (2, 8))) != pixels_key(Image.new("RGB", (8, 2)))


def test_keys_of_images_that_are_gone_are_forgotten():
    gc.collect()  # those of earlier tests
    before = len(seen._KEYS)
    pictures = [image(number) for number in range(10)]
    keys = [pixels_key(each) for each in pictures]
    assert [pixels_key(each) for each in pictures] == keys
    assert len(seen._KEYS) == before + 10
    del pictures
    gc.collect()
    assert len(seen._KEYS) == before


def test_a_batch_is_encoded_once_and_kept_to_the_last_digit(tmp_path):
    """One that is known in part is encoded whole, so that its digits do not depend on what was known."""
    pictures = [image(number) for number in range(3)]
    known = [[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]
    first = embeddings(known, lambda _: [1.0, 0.0], root=tmp_path)
    found = first.encode(pictures[:2])
    assert np.allclose(found[1], [0.6, 0.8])
    assert first.encode(pictures).tolist()[:2] == found.tolist()
    assert first.clip.model.encoded == [0, 1, 0, 1, 2]
    first._store.save()
    again = embeddings(known, lambda _: [1.0, 0.0], root=tmp_path)
    assert again.encode(pictures).tolist()[:2] == found.tolist()
    assert not hasattr(again.clip.model, "encoded")


def test_without_a_folder_nothing_is_kept():
    made = embeddings([[1.0, 0.0]], lambda _: [1.0, 0.0])
    made.encode([image(0)])
    made.encode([image(0)])
    assert made.clip.model.encoded == [0, 0]


def test_what_is_new_is_written_now_and_then(tmp_path, monkeypatch):
    monkeypatch.setattr(seen, "HELD", 4)
    made, script = detector([[box("dog")]] * 5, root=tmp_path)
    for number in range(5):
        made.look([image(number)], [frozenset()])
    # Four of them are on disk, unless all fell into one file with the fifth.
    again, script = detector([[box("dog")]] * 5, root=tmp_path)
    again.look([image(number) for number in range(5)], [frozenset()] * 5)
    assert script.asked == [4]


def test_a_damaged_file_is_made_again(tmp_path):
    made, _ = detector([[box("dog")]], root=tmp_path)
    first = made.look([image(0)], [frozenset()])
    made.seen.store.save()
    (path,) = tmp_path.glob("*/*.parquet")
    path.write_bytes(b"PAR1 no more")
    again, script = detector([[box("dog")]], root=tmp_path)
    assert again.look([image(0)], [frozenset()]) == first
    assert script.asked == [0]


def test_a_picture_that_does_not_apply_is_not_looked_at():
    made, script = detector([[box("dog")], []])
    found = made.look([image(0), image(1)], [None, frozenset()])
    assert found[0] is None
    assert found[1].objects == ()
    assert script.asked == [1]


def test_one_store_for_one_folder(tmp_path):
    from recaptrain.evaluation.settings import EvaluateSettings

    one, two = (EvaluateSettings(out=tmp_path, seed=seed) for seed in (0, 1))
    assert seen.open_store(one) is seen.open_store(two)
    assert isinstance(seen.open_store(one), Store)
