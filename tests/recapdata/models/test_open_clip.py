"""Models of open_clip by name: each pinned to what the name meant, shown pictures as open_clip itself would show them."""

import json

import numpy as np
import open_clip
import pytest
import torch
from PIL import Image

from recapdata.errors import HubError, ModelNotSupported, OptionError
from recapdata.models.open_clip import OpenClipSource, find_model
from recapdata.weights import content_revision
from tests.audits.models import MODEL, save_small_clip

COCA = "coca_ViT-B-32:mscoco_finetuned_laion2b_s13b_b90k"
REPOSITORY = "laion/mscoco_finetuned_CoCa-ViT-B-32-laion2B-s13B-b90k"
PICTURE = Image.fromarray(np.random.default_rng(1).integers(0, 256, (50, 90, 3), np.uint8))


def test_the_weights_of_a_tag_are_pinned_to_their_commit(hub):
    from huggingface_hub import HfApi

    api = HfApi()
    api.create_repo(REPOSITORY)
    with pytest.raises(
        ModelNotSupported, match=r"holds no weights \(open_clip_model.safetensors or open_clip_py"
    ):
        find_model(COCA)
    first = api.upload_file(
        repo_id=REPOSITORY, path_in_repo="open_clip_pytorch_model.bin", path_or_fileobj=b"one"
    ).oid
    second = api.upload_file(
        repo_id=REPOSITORY, path_in_repo="open_clip_model.safetensors", path_or_fileobj=b"two"
    ).oid
    newest, oldest = find_model(COCA), find_model(COCA, first)
    assert (newest.name, newest.revision, oldest.revision) == (COCA, second, first)
    for source, weights in ((newest, b"two"), (oldest, b"one")):
        with open(str(source.weights), "rb") as file:
            assert file.read() == weights
    assert "multimodal_cfg" in newest.model_config()
    with pytest.raises(HubError, match=f"{REPOSITORY} at v9: no such revision"):
        find_model(COCA, "v9")


def test_a_folder_has_no_revision_but_its_content(tmp_path):
    folder = save_small_clip(tmp_path / "small")
    content = content_revision(folder)
    assert find_model(str(folder)).revision == find_model(str(folder), content).revision == content
    with pytest.raises(OptionError, match=f"hash of its files, {content}"):
        find_model(str(folder), "main")


def test_pictures_are_shown_as_open_clip_shows_them(tmp_path):
    folder = save_small_clip(tmp_path / "small")
    _, expected = open_clip.create_model_from_pretrained(f"local-dir:{folder}")
    assert repr(find_model(str(folder)).preprocessing()) == repr(expected)
    tag = {"mean": (0.5, 0.5, 0.5), "std": (0.25, 0.25, 0.25), "resize_mode": "squash", "url": "nowhere"}
    source = OpenClipSource(name="it", revision="1", architecture="ViT-S-32-alt", weights="file", tag=tag)
    shown = source.preprocessing()(PICTURE)
    assert shown.shape == (3, 224, 224)
    plain = np.asarray(PICTURE.resize((224, 224), Image.Resampling.BICUBIC), np.float32) / 255
    assert np.allclose(shown.permute(1, 2, 0).numpy(), (plain - 0.5) / 0.25, atol=1e-5)


def test_weights_that_take_quick_gelu_get_it(tmp_path):
    (tmp_path / "ViT-tiny.json").write_text(json.dumps(MODEL))
    open_clip.add_model_config(tmp_path / "ViT-tiny.json")
    torch.save(open_clip.create_model("ViT-tiny").state_dict(), tmp_path / "weights.pt")
    for quick in (False, True):
        source = OpenClipSource(
            name="it",
            revision="1",
            architecture="ViT-tiny",
            weights=str(tmp_path / "weights.pt"),
            tag={"quick_gelu": quick},
        )
        kinds = {type(module).__name__ for module in source.load_model().modules()}
        assert ("QuickGELU" in kinds) == quick


@pytest.mark.parametrize("weights", ["open_clip_model.safetensors", "open_clip_pytorch_model.bin"])
def test_damaged_weights_are_said_to_be_so(tmp_path, weights):
    folder = save_small_clip(tmp_path / "small")
    (folder / "open_clip_model.safetensors").unlink()
    (folder / weights).write_bytes(b"nothing of the kind")
    with pytest.raises(ModelNotSupported, match="open_clip cannot load 'small': "):
        find_model(str(folder)).load_model()


def test_a_repository_is_not_taken_for_a_folder_of_its_name(tmp_path, monkeypatch, hub, repo_id):
    from huggingface_hub import HfApi

    monkeypatch.chdir(tmp_path)
    save_small_clip(tmp_path / repo_id)
    api = HfApi()
    api.create_repo(repo_id)
    commit = api.upload_folder(repo_id=repo_id, folder_path=save_small_clip(tmp_path / "small")).oid
    assert find_model(f"hf-hub:{repo_id}").revision == commit
    assert find_model(repo_id).revision == content_revision(tmp_path / repo_id)
