"""The similarity index by the audit's own CLIP model: text finds pictures, offline, and only new pictures are embedded."""

import io
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from PIL import Image

from audits.fiftyone.dataset import build
from recapdata.dataset.removal import remove
from recapdata.dataset.target import open_dataset
from recapdata.errors import ModelNotSupported
from recapdata.ingestion import ingest


def test_text_finds_pictures_with_the_audit_s_model(
    fo: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Not above: these import FiftyOne, whose settings the fixture makes.
    from audits.clip.scorer import Clip, load_clip
    from audits.fiftyone import similarity
    from recapdata.models.dual_encoders import find_clip

    folder = tmp_path / "scenes"
    ingest("scenes:12", folder)
    summary = build(folder, clip="embedded")
    assert summary.searched_with is not None
    assert summary.searched_with.startswith("embedded@sha256:")
    dataset = fo.load_dataset(summary.name)
    index = dataset.load_brain_results(similarity.KEY)
    assert (index.total_index_size, index.config.supports_prompts) == (12, True)

    # The order by text is that of the cosines, computed here with the model itself.
    query = "A red circle."
    clip = load_clip(find_clip("embedded"))
    text = clip.encode_texts([query]).numpy()[0]
    pixels = {}
    for batch in open_dataset(folder).read(0, ["key", "image"]):
        for row in batch.to_pylist():
            picture = clip.pixels(Image.open(io.BytesIO(row["image"]["bytes"])))
            pixels[row["key"]] = clip.encode_images(torch.stack([picture])).numpy()[0]
    expected = sorted(pixels, key=lambda key: -float(np.dot(pixels[key], text)))
    assert dataset.sort_by_similarity(query, brain_key=similarity.KEY, k=5).values("key") == expected[:5]

    def unwanted(*_: object) -> None:
        pytest.fail("what is in the index is embedded again")

    with monkeypatch.context() as patch:
        patch.setattr(Clip, "encode_images", unwanted)
        assert build(folder, clip="embedded").searched_with == summary.searched_with
    (tmp_path / "keys.txt").write_text(f"{expected[0]}\n")
    remove(folder, tmp_path / "keys.txt")
    build(folder, clip="embedded")
    dataset.clear_cache()
    assert dataset.load_brain_results(similarity.KEY).total_index_size == 11


def test_no_model_no_index(fo: ModuleType, tmp_path: Path) -> None:
    ingest("scenes:3", tmp_path / "scenes")
    summary = build(tmp_path / "scenes")
    assert summary.searched_with is None
    assert not fo.load_dataset(summary.name).has_brain_run("clip")
    with pytest.raises(ModelNotSupported):
        build(tmp_path / "scenes", clip="no-such-model")
