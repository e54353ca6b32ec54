"""What a stranger's pipeline may name: hostile model folders load nothing but what is listed, and end in one line."""

import json
import pickle
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from recapdata.errors import ModelNotSupported
from recapdata.models.sources import ModelSource
from recaptrain.diffusion.adapter_files import METADATA, check_adapter_file
from recaptrain.diffusion.components import COMPONENTS, load_scheduler
from recaptrain.diffusion.lora import RECORD, WEIGHTS, open_pipeline
from tests.recaptrain.pipelines import build_pipeline


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return build_pipeline(tmp_path_factory.mktemp("base") / "tiny")


@pytest.fixture
def model(base, tmp_path, monkeypatch):
    """A copy, which is the working directory, too, with a module in every place; a module that runs leaves the file `ran`."""
    copy = tmp_path / "model"
    shutil.copytree(base, copy)
    code = f"open({str(tmp_path / 'ran')!r}, 'w')\nclass X: pass\n"
    for name in ("mine.py", "pipeline.py", "unet/mine.py", "scheduler/mine.py", "text_encoder/mine.py", "tokenizer/mine.py"):  # fmt: skip
        (copy / name).write_text(code, encoding="utf8")
    monkeypatch.chdir(copy)
    monkeypatch.syspath_prepend(str(copy))
    yield copy
    assert not (tmp_path / "ran").exists()


class Ran:
    def __reduce__(self):
        return Path.touch, (Path("../ran"),)


def source(model):
    return ModelSource(name="it", location=str(model), revision="sha256:1")


def change(path, **values):
    path.write_text(json.dumps({**json.loads(path.read_text(encoding="utf8")), **values}), encoding="utf8")


@pytest.mark.parametrize(
    "values",
    [
        {"unet": ["mine", "X"]},
        {"scheduler": ["mine", "X"]},
        {"unet": ["os", "system"]},
        {"scheduler": ["subprocess", "Popen"]},
        {"scheduler": ["diffusers", "DiffusionPipeline"]},
        {"scheduler": ["diffusers", "utils.SchedulerMixin"]},
        {"scheduler": ["diffusers", "AysScheduler"]},
        {"text_encoder": ["transformers", "pipeline"]},
        {"text_encoder": ["transformers", "AutoModel"]},
        {"tokenizer": ["transformers", "AutoTokenizer"]},
        {"unet": ["diffusers.utils", "UNet2DConditionModel"]},
        {"unet": ["diffusers", "FlashPackUNet2DConditionModel"]},
        {"unet": "mine.X"},
        {"unet": None},
        {"unet": [["diffusers"], "UNet2DConditionModel"]},
        {"unet": ["diffusers", "UNet2DConditionModel", "more"]},
        {"../unet": ["diffusers", "UNet2DConditionModel"]},
        {"extra": ["mine", "X"]},
        {"_class_name": ["pipeline", "X"]},
        {"_class_name": "mine"},
        {"_class_name": {"a": 1}},
    ],
)
def test_a_pipeline_of_anything_else_is_refused_before_it_is_loaded(model, values):
    change(model / "model_index.json", **values)
    with pytest.raises(
        ModelNotSupported, match=r"(which is not loaded|it is a .+); expected a StableDiff"
    ) as refusal:
        open_pipeline(source(model))
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("content", ["[]", "[" * 100_000, "\x00", '{"a": ', "3"])
def test_an_index_that_is_no_object_is_said(model, content):
    (model / "model_index.json").write_text(content, encoding="utf8")
    with pytest.raises(ModelNotSupported, match=r"its model_index.json (cannot be read|is no JSON object)"):
        open_pipeline(source(model))


@pytest.mark.parametrize(
    ("file", "values"),
    [
        ("unet/config.json", {"layers_per_block": 10**7}),
        ("unet/config.json", {"layers_per_block": [1, 10**7]}),
        ("unet/config.json", {"transformer_layers_per_block": float("inf")}),
        ("unet/config.json", {"transformer_layers_per_block": float("nan")}),
        ("vae/config.json", {"layers_per_block": 10**9}),
        ("text_encoder/config.json", {"num_hidden_layers": 10**8}),
        ("text_encoder/config.json", {"num_labels": 10**9}),
        ("scheduler/scheduler_config.json", {"num_train_timesteps": 10**12}),
    ],
)
def test_sizes_that_would_exhaust_the_machine_are_refused(model, file, values):
    change(model / file, **values)
    with pytest.raises(ModelNotSupported, match=rf"its {file} says .+, more than .+, which no model has"):
        open_pipeline(source(model))


@pytest.mark.parametrize(
    ("file", "values", "said"),
    [
        ("unet/config.json", {"block_out_channels": [-4, 0]}, "negative dimension"),
        ("unet/config.json", {"block_out_channels": "ab"}, "cannot be loaded by diffusers"),
        ("unet/config.json", {"sample_size": 10**9}, "sample_size 1000000000; 1 to 1024 are expected"),
        ("unet/config.json", {"sample_size": "x"}, "sample_size 'x'"),
        ("unet/config.json", {"cross_attention_dim": 13}, "cannot be loaded by diffusers"),
        ("scheduler/scheduler_config.json", {"beta_schedule": ["x"]}, "NotImplementedError"),
        ("tokenizer/tokenizer_config.json", {"auto_map": {"AutoTokenizer": ["mine.X", None]}, "model_max_length": "x"}, "loaded"),
        ("tokenizer/tokenizer_config.json", {"model_max_length": 10**9}, "brings prompts to 1000000000 tokens, and its text encoder reads 77"),
        ("tokenizer/tokenizer_config.json", {"model_max_length": 2}, "brings prompts to 2 tokens"),
        ("text_encoder/config.json", {"auto_map": {"AutoModel": "mine.X"}, "hidden_size": -1}, "loaded"),
    ],
)  # fmt: skip
def test_other_faults_are_one_line(model, file, values, said):
    change(model / file, **values)
    with pytest.raises(ModelNotSupported, match=said) as refusal:
        open_pipeline(source(model))
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("part", ["unet/diffusion_pytorch_model", "text_encoder/model"])
def test_pickles_run_no_code(model, part):
    (model / f"{part}.safetensors").unlink()
    name = part.replace("text_encoder/model", "text_encoder/pytorch_model")
    with open(model / f"{name}.bin", "wb") as file:
        pickle.dump(Ran(), file)
    with pytest.raises(ModelNotSupported, match="cannot be loaded by diffusers"):
        open_pipeline(source(model))


def test_all_that_is_listed_exists():
    import diffusers
    import transformers
    from diffusers.pipelines import stable_diffusion

    places = {"diffusers": diffusers, "transformers": transformers, "stable_diffusion": stable_diffusion}
    for library, names in COMPONENTS.values():
        assert any(hasattr(places[library], name) for name in names)


# --- adapters --------------------------------------------------------------------------------------------------------------


@pytest.fixture
def adapters(model):
    """A folder of adapters that name the model as their base."""
    folder = model.parent / "adapters"
    shutil.copytree(model / "scheduler", folder / "scheduler")
    record = {
        "base": "../model",
        "revision": "sha256:1",
        "commit": None,
        "pipeline": "StableDiffusionPipeline",
    }
    (folder / RECORD).write_text(
        json.dumps({**record, "rank": 4, "alpha": 4.0, "targets": "attention", "parts": ["unet"]}),
        encoding="utf8",
    )
    write_weights(
        folder,
        {"unet.r": 4, "unet.lora_alpha": 8.0, "unet.target_modules": ["to_q"], "unet.peft_type": "LORA"},
    )
    return folder


def write_weights(folder, metadata):
    save_file({"unet.x": torch.zeros(1)}, folder / WEIGHTS, metadata={METADATA: json.dumps(metadata)})


@pytest.mark.parametrize(
    "metadata",
    [
        {"unet.megatron_config": {"a": 1}, "unet.megatron_core": "mine"},
        {"unet.megatron_core": "mine"},
        {"unet.auto_mapping": {"parent_library": "mine", "base_model_class": "X"}},
        {"unet.target_modules": "(a+)+$"},
        {"unet.rank_pattern": {"(a+)+$": 3}},
        {"unet.alpha_pattern": {"(a+)+$": 3}},
        {"unet.layers_pattern": "(a+)+$"},
        {"unet.exclude_modules": "(a+)+$"},
        {"unet.modules_to_save": ["conv_in"]},
        {"unet.r": "4"},
        {"unet.peft_type": "LOHA"},
        {"unet.runtime_config": {"ephemeral_gpu_offload": True}},
        ["a"],
    ],
)  # fmt: skip
def test_adapters_may_ask_for_nothing_but_low_rank_layers(adapters, metadata):
    write_weights(adapters, metadata)
    with pytest.raises(ModelNotSupported, match=r"the metadata of its pytorch_lora_weights.safetensors"):
        open_pipeline(source(adapters))


def test_adapters_as_they_are_written_are_taken(adapters):
    check_adapter_file(source(adapters), adapters / WEIGHTS)
    assert load_file(adapters / WEIGHTS)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"base": 3}, "is damaged"),
        ({"revision": None}, "is damaged"),
        ({"commit": ["x"]}, "is damaged"),
        ({"more": 1}, "is damaged"),
        ({"base": "../../.."}, "was a folder where they were trained"),
        ({"base": "/"}, "was a folder where they were trained"),
    ],
)
def test_a_record_that_harms_is_refused(adapters, values, said):
    change(adapters / RECORD, **values)
    with pytest.raises(ModelNotSupported, match=said):
        open_pipeline(source(adapters))


def test_a_base_that_is_no_pipeline_is_not_read(adapters):
    """A whole disk would be, for its hash."""
    (adapters / "training").mkdir()
    start = {"arguments": {}, "dataset": {"name": "d", "commit": None}, "base": {"name": "/", "commit": None}}
    (adapters / "training" / "starts.json").write_text(json.dumps([start]), encoding="utf8")
    with pytest.raises(ModelNotSupported, match="there is no pipeline there now"):
        open_pipeline(source(adapters))


@pytest.mark.parametrize("name", ["DiffusionPipeline", "utils", "../x", "AysScheduler", 3, None])
def test_a_scheduler_of_adapters_is_a_scheduler(adapters, name):
    change(adapters / "scheduler" / "scheduler_config.json", _class_name=name)
    with pytest.raises(ModelNotSupported, match="is no scheduler of diffusers"):
        load_scheduler(source(adapters))
