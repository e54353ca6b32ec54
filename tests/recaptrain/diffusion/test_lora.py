"""Adapters: trained, kept in checkpoints alone, and loaded in both forms by stock diffusers and by `generate`."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch
from diffusers import StableDiffusionPipeline, StableDiffusionXLPipeline
from safetensors.torch import load_file

from recapdata.errors import ModelNotSupported, OptionError
from recapdata.models.sources import resolve_model
from recaptrain.diffusion.lora import KOHYA, WEIGHTS, kohya_names, open_pipeline
from recaptrain.diffusion.run import train_diffusion
from recaptrain.diffusion.settings import DiffusionSettings
from recaptrain.generation.generate import generate
from recaptrain.generation.settings import GenerateSettings
from recaptrain.training.run_folder import RunFolder
from tests.recaptrain.pipelines import build_pipeline, build_scenes, build_xl_pipeline

PIPELINES = {"sd": StableDiffusionPipeline, "xl": StableDiffusionXLPipeline}


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """A LoRA run of each kind of base, by kind: settings and folder."""
    folder = tmp_path_factory.mktemp("lora")
    scenes = build_scenes(folder / "ds").path
    made = {}
    for kind, build in (("sd", build_pipeline), ("xl", build_xl_pipeline)):
        settings = DiffusionSettings(
            dataset=str(scenes),
            base=str(build(folder / kind)),
            mixture="long;dropout=0.1;over-length=chunks",
            lora=4,
            lora_alpha=8,
            lora_targets="transformer",
            steps=2,
            batch_size=4,
            lr=3e-2,
            ema_decay=0,
            gradient_checkpointing=True,
        )
        train_diffusion(settings, folder / f"{kind}-lora")
        made[kind] = settings, folder / f"{kind}-lora"
    return made


def picture(pipeline):
    pipeline.set_progress_bar_config(disable=True)
    generator = torch.Generator().manual_seed(0)
    image = pipeline(
        "a red circle", num_inference_steps=2, generator=generator, guidance_scale=2.0, output_type="np"
    )
    return image.images[0]


@pytest.mark.parametrize("kind", PIPELINES)
def test_stock_diffusers_loads_both_forms_and_they_change_the_picture(runs, kind):
    settings, out = runs[kind]
    pictures = {"base": picture(PIPELINES[kind].from_pretrained(settings.base))}
    for name in (WEIGHTS, KOHYA):
        pipeline = PIPELINES[kind].from_pretrained(settings.base)
        pipeline.load_lora_weights(out, weight_name=name)
        pictures[name] = picture(pipeline)
        layers = {name: each for name, each in pipeline.unet.named_modules() if hasattr(each, "scaling")}
        assert {each.scaling[next(iter(each.scaling))] for each in layers.values()} == {
            2.0
        }  # α / rank = 8 / 4
    assert np.abs(pictures[WEIGHTS] - pictures["base"]).max() > 1e-3
    assert np.abs(pictures[KOHYA] - pictures[WEIGHTS]).max() < 1e-5
    pipeline = PIPELINES[kind].from_pretrained(settings.base)
    pipeline.load_lora_weights(out)
    assert np.abs(picture(pipeline) - pictures[WEIGHTS]).max() < 1e-5


@pytest.mark.parametrize("kind", PIPELINES)
def test_diffusers_reads_every_kohya_name(runs, kind):
    _, out = runs[kind]
    weights, alphas = PIPELINES[kind].lora_state_dict(out, weight_name=KOHYA)
    given = load_file(out / KOHYA)
    assert len(weights) == sum(not name.endswith(".alpha") for name in given)
    assert set(alphas.values()) == {8.0}
    assert len(alphas) == len(weights) / 2
    trained = {name.split(".")[0] for name in weights}
    assert trained == {"unet", "text_encoder"} | ({"text_encoder_2"} if kind == "xl" else set())


def test_kohya_names_by_hand():
    down, up = torch.zeros(2, 3), torch.zeros(5, 2)
    layer = "down_blocks.0.attentions.1.transformer_blocks.0.attn1.to_out.0"
    made = kohya_names(
        "unet", {f"{layer}.lora_A.weight": down, f"{layer}.lora_B.weight": up}, alpha=4.0, two=True
    )
    name = "lora_unet_down_blocks_0_attentions_1_transformer_blocks_0_attn1_to_out_0"
    assert list(made) == [f"{name}.lora_down.weight", f"{name}.alpha", f"{name}.lora_up.weight"]
    assert made[f"{name}.alpha"].item() == 4.0
    assert made[f"{name}.lora_up.weight"] is up
    flat = {"encoder.layers.0.self_attn.q_proj.lora_A.weight": down}
    ends = "_text_model_encoder_layers_0_self_attn_q_proj"
    for part, two, prefix in (
        ("text_encoder", False, "lora_te"), ("text_encoder", True, "lora_te1"), ("text_encoder_2", True, "lora_te2"),
    ):  # fmt: skip
        assert f"{prefix}{ends}.lora_down.weight" in kohya_names(part, flat, alpha=1.0, two=two)


def test_on_a_gpu_frozen_weights_are_in_half_precision_and_adapters_are_not(runs, tmp_path, monkeypatch):
    """As on a GPU with bf16: the losses are those of float32 but for rounding, 2⁻⁸ of each number, and so are the adapters' shapes."""
    from recaptrain.diffusion import run

    prepared = []

    def prepare(accelerator, model, optimization):
        prepared.append(model)
        return run_prepare(accelerator, model, optimization)

    settings, out = runs["sd"]
    run_prepare = run.prepare
    monkeypatch.setattr(run, "prepare", prepare)
    monkeypatch.setattr(run, "frozen_dtype", lambda accelerator: torch.bfloat16)
    train_diffusion(replace(settings, mixed_precision="bf16"), tmp_path / "half")
    for name, weight in prepared[0].named_parameters():
        whole = any(part in name for part in (".lora_", "norm", "pool.positional_embedding"))
        assert weight.dtype == (torch.float32 if whole else torch.bfloat16), name
        assert weight.requires_grad == (".lora_" in name)
    half, whole = (RunFolder(each / "training").losses() for each in (tmp_path / "half", out))
    assert half == pytest.approx(whole, rel=0.05)
    saved, before = load_file(tmp_path / "half" / WEIGHTS), load_file(out / WEIGHTS)
    assert {name: each.shape for name, each in saved.items()} == {
        name: each.shape for name, each in before.items()
    }
    assert {each.dtype for each in saved.values()} == {torch.float32}


def test_checkpoints_hold_adapters_alone(runs):
    _, out = runs["xl"]
    names = list(load_file(out / "training" / "step-2" / "model.safetensors"))
    assert {name.partition(".")[0] for name in names} == {"unet", "text_encoder", "text_encoder_2"}
    assert all(".lora_" in name for name in names)


def test_generate_takes_a_folder_of_adapters(runs, tmp_path):
    settings, out = runs["xl"]
    (tmp_path / "prompts.txt").write_text(
        "a red circle\n" + "a red circle left of a blue star " * 20, encoding="utf8"
    )
    quick = GenerateSettings(steps=2, guidance=2.0, long_prompts="chunks")
    made = generate(str(out), tmp_path / "prompts.txt", tmp_path / "with", quick)
    assert (made.made, made.over_length) == (2, 1)
    generate(settings.base, tmp_path / "prompts.txt", tmp_path / "without", quick)
    for name in ("00000.png", "00001.png"):
        assert (tmp_path / "with" / name).read_bytes() != (tmp_path / "without" / name).read_bytes()


def test_adapters_are_refused_on_another_base(runs, tmp_path):
    settings, out = runs["sd"]
    copy = tmp_path / "copy"
    shutil.copytree(out, copy)
    starts = json.loads((copy / "training" / "starts.json").read_text(encoding="utf8"))
    starts[-1]["base"]["name"] = runs["xl"][0].base
    (copy / "training" / "starts.json").write_text(json.dumps(starts), encoding="utf8")
    with pytest.raises(ModelNotSupported, match="put the base back as it was"):
        open_pipeline(resolve_model(str(copy), kind="diffusion"))
    shutil.rmtree(copy / "training")
    with pytest.raises(ModelNotSupported, match="was a folder where they were trained"):
        open_pipeline(resolve_model(str(copy), kind="diffusion"))
    assert settings.base not in "".join(
        path.read_text(encoding="utf8") for path in copy.rglob("*.*") if path.suffix in (".json", ".md")
    )


def test_a_lora_run_is_not_gone_on_with_in_full(runs):
    settings, out = runs["sd"]
    whole = replace(settings, lora=None, lora_alpha=None, lora_targets="attention", resume=True)
    with pytest.raises(OptionError, match="lora: 4 there, None now"):
        train_diffusion(whole, out)
    with pytest.raises(OptionError, match="add --lora RANK"):
        replace(settings, lora=None)


def test_the_card_says_how_to_load_them(runs):
    card = (runs["xl"][1] / "README.md").read_text(encoding="utf8")
    assert "StableDiffusionXLPipeline.from_pretrained" in card
    assert "load_lora_weights" in card
    assert (
        "| trained | unet, text_encoder, text_encoder_2: LoRA of rank 4, α = 8, on the transformer layers |"
        in card
    )
