"""What a stranger's configuration may have a library allocate: little more than the model's files have."""

import json
import shutil

import pytest

from recapdata.errors import ModelNotSupported
from recapdata.models.building import SLACK, TIMES, building
from recapdata.models.open_clip import find_model
from recapdata.models.sources import ModelSource
from recapdata.models.transformers import load_pretrained
from recapdata.weights import embedded_path

REFUSED = r"its configuration describes a model of more than .+ GB, and its files have 0\.\d+ GB"


def test_as_much_as_the_files_can_fill(tmp_path):
    """What is on no device takes nothing; casts, which follow what was read, are not counted. Pages of zeros are never touched."""
    import torch

    path = tmp_path / "weights"
    with open(path, "wb") as file:
        file.truncate(2**20)  # so that `TIMES` MiB more than the slack may be asked for
    most = SLACK + TIMES * 2**20
    with building("it", path):
        torch.empty(2**50, device="meta")
        torch.empty(most - 2**10, dtype=torch.uint8)
        torch.empty(2**8).half()
    for ask in (
        lambda: torch.empty(most // 4 + 1),
        lambda: torch.zeros(2**20, 2**20),
        lambda: torch.full((2**40,), 1.0),
        lambda: torch.arange(2**40),
        lambda: torch.nn.Embedding(2**30, 2**10),
        lambda: torch.empty_like(torch.empty(2**50, device="meta"), device="cpu"),
        lambda: [torch.empty(2**18) for _ in range(most // 2**20 + 1)],  # of 1 MiB each
    ):
        with pytest.raises(ModelNotSupported, match=f"it: {REFUSED}"), building("it", path):
            ask()


@pytest.mark.parametrize(
    ("part", "key", "value"),
    [
        ("text_cfg", "vocab_size", 10**8),
        ("vision_cfg", "width", 2**15),
        ("text_cfg", "context_length", 10**5),
    ],
)
def test_a_clip_is_not_built_beyond_its_weights(tmp_path, part, key, value):
    folder = shutil.copytree(embedded_path("clip"), tmp_path / "clip")
    path = folder / "open_clip_config.json"
    config = json.loads(path.read_text())
    config["model_cfg"][part][key] = value
    path.write_text(json.dumps(config))
    with pytest.raises(ModelNotSupported, match=f"clip: {REFUSED}"):
        find_model(str(folder)).load_model()


def test_weights_that_a_folder_lacks_are_not_made_up(tmp_path):
    """transformers makes them on no device, and then anew in memory, each of the size that the configuration says."""
    import transformers
    from safetensors.torch import load_file, save_file

    folder = tmp_path / "model"
    config = transformers.CLIPTextConfig(
        vocab_size=10, hidden_size=8, intermediate_size=8, num_hidden_layers=1, num_attention_heads=1
    )
    transformers.CLIPTextModel(config).save_pretrained(folder)
    weights = load_file(folder / "model.safetensors")
    name = next(each for each in weights if each.endswith("token_embedding.weight"))
    save_file(
        {key: value for key, value in weights.items() if key != name},
        folder / "model.safetensors",
        metadata={"format": "pt"},
    )
    content = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**content, "vocab_size": 10**9}))
    source = ModelSource(name="it", location=str(folder), revision="sha256:1")
    with pytest.raises(ModelNotSupported, match=f"it: {REFUSED}"):
        load_pretrained(transformers.CLIPTextModel, source)
