"""datasets, transformers and diffusers against the Hub, unchanged: a user's ordinary lines."""

from pathlib import Path

import pytest
from datasets import Dataset, DatasetDict, Image, load_dataset
from datasets.exceptions import DatasetNotFoundError
from huggingface_hub import HfApi

from recapdata.hub.process import Hub


def pairs(words: str) -> Dataset:
    from PIL import Image as Picture

    rows = {
        "image": [Picture.new("RGB", (8, 8), color) for color in ("red", "green")],
        "caption": [f"{words} {i}" for i in (0, 1)],
    }
    return Dataset.from_dict(rows).cast_column("image", Image())


def test_push_to_hub_and_load_every_revision(hub: Hub, repo_id: str) -> None:
    api = HfApi()
    pairs("first").push_to_hub(repo_id, private=True)
    first = api.dataset_info(repo_id).sha
    api.create_tag(repo_id, tag="v1.0.0", repo_type="dataset", tag_message="the first")
    pairs("second").push_to_hub(repo_id)
    pairs("branch").push_to_hub(repo_id, revision="draft")
    pairs("other").push_to_hub(repo_id, config_name="other", split="test")
    assert api.dataset_info(repo_id).private
    for revision, words in (
        ("v1.0.0", "first"),
        (first, "first"),
        (None, "second"),
        ("main", "second"),
        ("draft", "branch"),
    ):
        loaded = load_dataset(repo_id, revision=revision, split="train")
        assert loaded["caption"][:] == [f"{words} 0", f"{words} 1"]
        assert loaded[0]["image"].getpixel((0, 0)) == (255, 0, 0)
    assert load_dataset(repo_id, "other")["test"]["caption"][0] == "other 0"
    streamed = load_dataset(repo_id, revision="v1.0.0", split="train", streaming=True)
    assert [row["caption"] for row in streamed] == ["first 0", "first 1"]
    with pytest.raises(DatasetNotFoundError, match="Revision 'v9' doesn't exist"):
        load_dataset(repo_id, revision="v9")


def test_push_replaces_what_the_split_had(hub: Hub, repo_id: str) -> None:
    DatasetDict(train=pairs("a"), test=pairs("b")).push_to_hub(repo_id, num_shards={"train": 2, "test": 1})
    DatasetDict(train=pairs("c"), test=pairs("d")).push_to_hub(repo_id)
    files = [
        path for path in HfApi().list_repo_files(repo_id, repo_type="dataset") if path.startswith("data/")
    ]
    assert sorted(files) == ["data/test-00000-of-00001.parquet", "data/train-00000-of-00001.parquet"]
    loaded = load_dataset(repo_id)
    assert (loaded["train"]["caption"][0], loaded["test"]["caption"][0]) == ("c 0", "d 0")


def test_a_private_dataset_is_not_loaded_without_the_token(hub: Hub, repo_id: str) -> None:
    HfApi().create_repo(repo_id, repo_type="dataset", private=True)
    with pytest.raises(DatasetNotFoundError):
        load_dataset(repo_id, token=False)


def test_transformers_by_revision(hub: Hub, repo_id: str) -> None:
    import torch
    from transformers import AutoModel, BertConfig, BertModel

    config = BertConfig(
        vocab_size=11, hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=8
    )
    torch.manual_seed(0)
    first, second = BertModel(config), BertModel(config)
    first.push_to_hub(repo_id, private=True)
    HfApi().create_tag(repo_id, tag="v1")
    second.push_to_hub(repo_id)
    name = "embeddings.word_embeddings.weight"
    for revision, model in (("v1", first), ("main", second)):
        loaded = AutoModel.from_pretrained(repo_id, revision=revision)
        assert torch.equal(loaded.state_dict()[name], model.state_dict()[name])
    assert HfApi().get_safetensors_metadata(repo_id, revision="v1").parameter_count == {
        "F32": first.num_parameters()
    }


def test_diffusers_by_revision(hub: Hub, repo_id: str, tmp_path: Path) -> None:
    import torch
    from diffusers import DDPMPipeline, DDPMScheduler, DiffusionPipeline, UNet2DModel

    torch.manual_seed(0)
    blocks = {"down_block_types": ("DownBlock2D",), "up_block_types": ("UpBlock2D",)}
    unet = UNet2DModel(
        sample_size=8, block_out_channels=(8,), norm_num_groups=4, layers_per_block=1, **blocks
    )
    DDPMPipeline(unet, DDPMScheduler()).save_pretrained(tmp_path)
    HfApi().create_repo(repo_id)
    HfApi().upload_folder(repo_id=repo_id, folder_path=tmp_path)
    HfApi().create_tag(repo_id, tag="v1")
    HfApi().delete_folder("unet", repo_id)
    loaded = DiffusionPipeline.from_pretrained(repo_id, revision="v1")
    assert torch.equal(loaded.unet.conv_in.weight, unet.conv_in.weight)
    with pytest.raises(OSError, match=r"no file named config\.json"):
        DiffusionPipeline.from_pretrained(repo_id)
