"""Strangers' models of transformers and open_clip: no code of theirs runs, nothing is exhausted, and an error is one line."""

import json
import shutil

import pytest

from recapdata.errors import ModelNotSupported, OptionError
from recapdata.models.open_clip import find_model
from recapdata.models.opening import MOST_JSON, check_sizes, opening, read_json
from recapdata.models.processors import check_processor
from recapdata.models.sources import ModelSource
from recapdata.models.transformers import load_pretrained
from recapdata.weights import content_revision, embedded_path


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "model"


def source(folder, **config):
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(config), encoding="utf8")
    return ModelSource(name="it", location=str(folder), revision="sha256:1")


@pytest.mark.parametrize(
    "config",
    [
        {"num_hidden_layers": 10**9},
        {"text_config": {"num_layers": 1001}},
        {"vision_config": {"depths": [2, 2, 10**6]}},
        {"num_labels": 10**9},
        {"num_experts": 1e300},
        {"n_layer": float("nan")},
    ],
)
def test_more_parts_than_any_model_has_are_refused(folder, config):
    with pytest.raises(
        ModelNotSupported, match=r"it: its config.json says .+ more than .+, which no model has"
    ):
        check_sizes(source(folder, **config), "config.json")


def test_sizes_that_models_have_are_taken(folder):
    """Of classes that are called as a part of a model is, too."""
    config = {
        "num_hidden_layers": 96, "layer_norm_eps": 1e-5, "vision_feature_layer": -2, "vocab_size": 262_144, "rope_theta": 10**10,
        "max_position_embeddings": 10**7, "label2id": {"layer cake": 2000}, "num_labels": 21_843, "tie": True,
    }  # fmt: skip
    check_sizes(source(folder, **config), "config.json")
    check_sizes(source(folder.with_name("other")), "no.json")


def test_a_configuration_is_no_bomb(folder):
    it = source(folder)
    for content, said in ((b"[" * 10**5, "Recursion"), (b"\xff", "UnicodeDecode"), (b"[]", "no JSON object"), (b" " * (MOST_JSON + 1), "too large")):  # fmt: skip
        (folder / "config.json").write_bytes(content)
        with pytest.raises(ModelNotSupported, match=said):
            read_json(it, "config.json")


def test_an_adapter_stands_for_no_other_model(folder):
    from transformers import AutoModel

    it = source(folder, model_type="clip")
    (folder / "adapter_config.json").write_text('{"base_model_name_or_path": "/etc"}', encoding="utf8")
    with pytest.raises(ModelNotSupported, match="give a model with its adapter merged"):
        load_pretrained(AutoModel, it)


@pytest.mark.parametrize(
    "loader", ["AutoConfig", "AutoModel", "AutoTokenizer", "AutoProcessor", "AutoImageProcessor"]
)
def test_no_code_of_a_folder_runs(folder, loader, monkeypatch):
    import transformers

    it = source(folder, model_type="mine", auto_map={loader: "mine.X", "AutoConfig": "mine.X"})
    for name in ("tokenizer_config.json", "processor_config.json", "preprocessor_config.json"):
        shutil.copy(folder / "config.json", folder / name)
    (folder / "mine.py").write_text(f"open({str(folder / 'ran')!r}, 'w')\nclass X: pass\n", encoding="utf8")
    monkeypatch.chdir(folder)
    with pytest.raises(ModelNotSupported, match="it cannot be loaded by transformers: ") as refusal:
        load_pretrained(getattr(transformers, loader), it)
    assert "\n" not in str(refusal.value)
    assert not (folder / "ran").exists()


@pytest.mark.parametrize(
    ("kind", "config"),
    [
        ("CLIPImageProcessor", {"size": {"height": 100_000, "width": 100_000}}),
        ("CLIPImageProcessor", {"size": {"shortest_edge": 5_000}}),
        ("CLIPImageProcessor", {"crop_size": {"height": 2**40, "width": 1}}),
        ("ViTImageProcessor", {"size": 10**6}),
        ("Idefics3ImageProcessor", {"size": {"longest_edge": 50_000}}),
        ("Idefics3ImageProcessor", {"max_image_size": {"longest_edge": 10**9}}),
        ("Qwen2VLImageProcessor", {"size": {"shortest_edge": 2**30, "longest_edge": 2**31}}),
        ("Qwen2VLImageProcessor", {"min_pixels": 2**40}),
        ("Siglip2ImageProcessor", {"max_num_patches": 10**9}),
        ("LlavaNextImageProcessor", {"image_grid_pinpoints": [[336, 672], [336, 10**7]]}),
        ("DetrImageProcessor", {"size": {"shortest_edge": 800, "longest_edge": 10**6}}),
    ],
)
def test_a_processor_makes_no_more_of_a_picture_than_a_model_sees(folder, kind, config):
    import transformers

    it = source(folder, model_type="clip")
    content = {"image_processor_type": kind, **config}
    (folder / "preprocessor_config.json").write_text(json.dumps(content), encoding="utf8")
    with pytest.raises(
        ModelNotSupported, match=r"it: its processor of pictures says .+, which no model sees"
    ):
        load_pretrained(transformers.AutoImageProcessor, it)


@pytest.mark.parametrize("key", ["image_seq_len", "num_additional_image_tokens"])
def test_a_processor_writes_no_more_tokens_than_a_model_reads(key):
    class Processor:
        image_processor = None

    processor = Processor()
    setattr(processor, key, 2**14)
    processor.image_token_id = 257_152
    check_processor(processor, "it")
    setattr(processor, key, 10**9)
    with pytest.raises(ModelNotSupported, match=f"it: its processor says {key} 1e\\+09, more than 16,384"):
        check_processor(processor, "it")


def test_sizes_that_processors_have_are_taken(folder):
    """Qwen's edges are numbers of pixels, and its longest only makes pictures smaller."""
    import transformers

    it = source(folder, model_type="clip")
    for kind in ("CLIPImageProcessor", "Qwen2VLImageProcessor", "Idefics3ImageProcessor", "DetrImageProcessor"):  # fmt: skip
        sizes = {"size": {"shortest_edge": 65_536, "longest_edge": 2**24}} if kind.startswith("Qwen") else {}
        (folder / "preprocessor_config.json").write_text(
            json.dumps({"image_processor_type": kind, **sizes}), encoding="utf8"
        )
        assert load_pretrained(transformers.AutoImageProcessor, it)


@pytest.fixture
def clip(folder):
    shutil.copytree(embedded_path("clip"), folder)
    (folder / "mine.py").write_text(f"open({str(folder / 'ran')!r}, 'w')\nclass X: pass\n", encoding="utf8")
    path = folder / "tokenizer_config.json"
    config = json.loads(path.read_text(encoding="utf8"))
    auto_map = {"AutoTokenizer": ["mine.X", "mine.X"]}
    path.write_text(json.dumps({**config, "tokenizer_class": "X", "auto_map": auto_map}), encoding="utf8")
    yield folder
    assert not (folder / "ran").exists()


@pytest.mark.parametrize("value", [{"trust_remote_code": True}, {"cache_dir": "/tmp"}, {"tokenizer_file": "x"}, ["clean"], {"token": "x"}])  # fmt: skip
def test_a_clip_passes_its_tokenizer_nothing_but_its_settings(clip, value):
    """`trust_remote_code` in open_clip's configuration would run the tokenizer's code."""
    path = clip / "open_clip_config.json"
    config = json.loads(path.read_text(encoding="utf8"))
    config["model_cfg"]["text_cfg"] |= {"hf_tokenizer_name": "x/y", "tokenizer_kwargs": value}
    path.write_text(json.dumps(config), encoding="utf8")
    with pytest.raises(ModelNotSupported, match=r"gives its tokenizer|open_clip cannot load"):
        find_model(str(clip)).load_tokenizer()


@pytest.mark.parametrize("part", ["text_cfg", "vision_cfg"])
@pytest.mark.parametrize("value", [None, [1], "x"])
def test_a_clip_of_no_parts_is_said(clip, part, value):
    path = clip / "open_clip_config.json"
    config = json.loads(path.read_text(encoding="utf8"))
    config["model_cfg"][part] = value
    path.write_text(json.dumps(config), encoding="utf8")
    with pytest.raises(
        ModelNotSupported, match=r"open_clip_config.json of 'model' has no |open_clip cannot load"
    ):
        find_model(str(clip)).load()


@pytest.mark.parametrize("side", [10**6, [224, 10**9], 0, "224", [[1]], None, 2.5, True])
def test_a_clip_s_pictures_have_a_size_that_models_have(clip, side):
    path = clip / "open_clip_config.json"
    config = json.loads(path.read_text(encoding="utf8"))
    config["model_cfg"]["vision_cfg"]["image_size"] = side
    path.write_text(json.dumps(config), encoding="utf8")
    for load in (find_model(str(clip)).load_model, find_model(str(clip)).preprocessing):
        with pytest.raises(ModelNotSupported, match=r"its pictures are of image_size .+ pixels a side"):
            load()


def test_what_a_library_raises_is_one_line():
    with pytest.raises(ModelNotSupported, match=r"^it fails: Exception: one two; expected another$"), opening("it", "it fails", "; expected another"):  # fmt: skip
        raise Exception("one\n\n two")
    with pytest.raises(OptionError, match=r"^ours$"), opening("it", "it fails"):
        raise OptionError("ours")
    with pytest.raises(OSError, match="No space left"), opening("it", "it fails"):
        raise OSError(28, "No space left on device")
    with pytest.raises(KeyboardInterrupt), opening("it", "it fails"):
        raise KeyboardInterrupt


def test_file_names_that_are_no_text_have_a_revision(tmp_path):
    (tmp_path / "a").write_bytes(b"1")
    first = content_revision(tmp_path)
    (tmp_path / "b\udcff").write_bytes(b"1")
    assert content_revision(tmp_path) != first
