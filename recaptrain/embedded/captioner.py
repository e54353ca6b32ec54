"""The embedded captioner: a PaliGemma-class model of the drawn world, made as RECAP made its own.

Three stages, each a checkpoint in the work folder: the tower learns what patches show (`vision`), then the language model
learns the pretraining tasks (`tasks`: alt text, reading, detection, questions; no descriptive captions) while the tower goes on learning, then
human captions, short and long together under their prompts. The folder that comes out loads with AutoProcessor and AutoModelForImageTextToText.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from recapdata.scenes import SIDE, Scene, draw_scene, render
from recaptrain.embedded.stages import Loss, Stage, train
from recaptrain.embedded.tasks import STYLES, Task, caption_task, pretraining_task
from recaptrain.embedded.tokenizers import build_processor
from recaptrain.embedded.vision import SupervisedTower, Tower, pixel_values, scenes_of, train_tower
from recaptrain.training.accelerator import autocast

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PaliGemmaForConditionalGeneration, PaliGemmaProcessor

IGNORED = -100


@dataclass(frozen=True, slots=True, kw_only=True)
class Language:
    """Sizes of the language model (Gemma class); `spread` is the standard deviation of its first weights."""

    width: int = 128
    layers: int = 3
    heads: int = 4
    inner: int = 256
    spread: float = 0.08


@dataclass(frozen=True, slots=True, kw_only=True)
class CaptionerRecipe:
    """The settings of `recipes/embedded-captioner.yaml`; `captions` bounds how many scenes have human captions."""

    seed: int = 1
    device: str = "cpu"
    captions: int | None = None
    tower: Tower = field(default_factory=Tower)
    language: Language = field(default_factory=Language)
    seeing: Stage
    pretraining: Stage
    tuning: Stage


def build_model(
    recipe: CaptionerRecipe, processor: "PaliGemmaProcessor"
) -> "PaliGemmaForConditionalGeneration":
    """The model with its first, random weights."""
    import torch
    from transformers import (
        GemmaConfig,
        PaliGemmaConfig,
        PaliGemmaForConditionalGeneration,
        SiglipVisionConfig,
    )

    tokens, language = processor.tokenizer, recipe.language
    text = GemmaConfig(
        vocab_size=len(tokens),
        hidden_size=language.width,
        intermediate_size=language.inner,
        num_hidden_layers=language.layers,
        num_attention_heads=language.heads,
        num_key_value_heads=1,
        head_dim=language.width // language.heads,
        max_position_embeddings=512,
        initializer_range=language.spread,
        pad_token_id=tokens.pad_token_id,
        eos_token_id=tokens.eos_token_id,
        bos_token_id=tokens.bos_token_id,
    )
    config = PaliGemmaConfig(
        vision_config=SiglipVisionConfig(**recipe.tower.config()),
        text_config=text,
        projection_dim=language.width,
        hidden_size=language.width,
        vocab_size=len(tokens),
        image_token_index=processor.image_token_id,
    )
    torch.manual_seed(recipe.seed)
    model: Any = PaliGemmaForConditionalGeneration(config)  # decorators hide its class from type checkers
    torch.nn.init.normal_(model.model.multi_modal_projector.linear.weight, std=language.spread)
    model.set_attn_implementation("eager")  # with bf16 autocast twice as fast on a CPU as the fused attention
    model.generation_config.max_new_tokens = 160
    model.generation_config.pad_token_id = tokens.pad_token_id
    model.generation_config.eos_token_id = tokens.eos_token_id
    model.generation_config.bos_token_id = tokens.bos_token_id
    return model


def train_captioner(recipe: CaptionerRecipe, work: Path, out: Path) -> None:
    """Run the recipe's three stages (those that `work` holds finished are skipped) and write the model to `out`.

    What pretraining made, which has seen no descriptive caption, is written beside it as `<out>-base`: what to tune on captions of one's own.
    """
    from torch import nn

    work.mkdir(parents=True, exist_ok=True)
    processor = build_processor(recipe.seed, recipe.tower.patch)
    model: Any = build_model(recipe, processor)
    model.to(recipe.device)
    seeing = SupervisedTower(model.model.vision_tower, recipe.tower, seed=recipe.seed, device=recipe.device)
    train_tower(seeing, recipe.seeing, work, seed=recipe.seed)

    def pretraining(step: int) -> Loss:
        scenes = scenes_of(recipe.seed * 1000 + 2, step, recipe.pretraining.batch)
        loss, figures, features = seeing.loss(scenes)
        tasks = [pretraining_task(scene) for scene in scenes]
        spoken, right = language_loss(model, batch_of(processor, scenes, tasks), features.detach())
        return loss + spoken, {**figures, **right}

    def tuning(step: int) -> Loss:
        scenes = _captioned(recipe, step)
        style = ("short", "long")[step % 2]
        return language_loss(
            model, batch_of(processor, scenes, [caption_task(scene, style) for scene in scenes])
        )

    train("pretraining", recipe.pretraining, nn.ModuleList([model, seeing.heads]), pretraining, work)
    save(model, processor, out.with_name(f"{out.name}-base"))
    model.to(recipe.device).model.vision_tower.requires_grad_(False)
    train("tuning", recipe.tuning, model, tuning, work)
    save(model, processor, out)


def _captioned(recipe: CaptionerRecipe, step: int) -> list[Scene]:
    """The scenes of a step of tuning: new ones, or drawn again and again from the first `captions`."""
    seed, batch = recipe.seed * 1000 + 3, recipe.tuning.batch
    if recipe.captions is None:
        return scenes_of(seed, step, batch)
    chosen = np.random.default_rng((seed, step)).integers(0, recipe.captions, batch)
    return [draw_scene(seed, int(index)) for index in chosen]


def language_loss(model: Any, inputs: "dict[str, Tensor]", features: "Tensor | None" = None) -> Loss:
    """Cross entropy of the answers, and the share of their tokens that the model would have chosen.

    The same as the model's own loss, but the vocabulary is only looked at where there is something to predict.

    Args:
        features: what the tower makes of the pictures, where it is known already.
    """
    from torch.nn.functional import cross_entropy
    from transformers.modeling_outputs import BaseModelOutputWithPooling

    given: dict[str, Any] = {name: value.to(model.device) for name, value in inputs.items()}
    labels = given.pop("labels")[:, 1:]
    with autocast(model.device):
        if features is not None:
            del given["pixel_values"]
            seen = BaseModelOutputWithPooling(pooler_output=model.model.multi_modal_projector(features))
            given["mm_encoder_outputs"] = {"image": seen}
        hidden = model.model(**given, use_cache=False).last_hidden_state[:, :-1]
        asked = labels != IGNORED
        logits, truth = model.lm_head(hidden[asked]).float(), labels[asked]
    return cross_entropy(logits, truth), {"right": (logits.argmax(1) == truth).float().mean()}


def batch_of(
    processor: "PaliGemmaProcessor", scenes: Sequence[Scene], tasks: Sequence[Task]
) -> dict[str, "Tensor"]:
    """Inputs as the processor makes them for generation, with the answers behind and as labels."""
    import torch

    tokens = processor.tokenizer
    prompts = [prompt_tokens(processor, prompt) for prompt, _ in tasks]
    answers = [
        tokens(answer, add_special_tokens=False)["input_ids"] + [tokens.eos_token_id] for _, answer in tasks
    ]
    longest = max(len(prompt) + len(answer) for prompt, answer in zip(prompts, answers, strict=True))
    ids = np.full((len(tasks), longest), tokens.pad_token_id)
    labels = np.full((len(tasks), longest), IGNORED)
    types = np.ones((len(tasks), longest), np.int64)
    for row, (prompt, answer) in enumerate(zip(prompts, answers, strict=True)):
        middle, end = len(prompt), len(prompt) + len(answer)
        ids[row, :middle], ids[row, middle:end] = prompt, answer
        labels[row, middle:end] = answer
        types[row, :middle] = 0
    return {
        "pixel_values": pixel_values(np.stack([render(scene) for scene in scenes])),
        "input_ids": torch.from_numpy(ids),
        "attention_mask": torch.from_numpy((ids != tokens.pad_token_id).astype(np.int64)),
        "token_type_ids": torch.from_numpy(types),
        "labels": torch.from_numpy(labels),
    }


def prompt_tokens(processor: "PaliGemmaProcessor", prompt: str) -> list[int]:
    """Image tokens, begin of sequence, the prompt, a newline: what the processor makes of `<image>` + prompt."""
    tokens = processor.tokenizer
    text = tokens(f"{prompt}\n", add_special_tokens=False)["input_ids"]
    return [processor.image_token_id] * processor.image_seq_length + [tokens.bos_token_id, *text]


def save(model: Any, processor: "PaliGemmaProcessor", out: Path) -> None:
    """Write model, processor and the prompts of the two styles."""
    out.mkdir(parents=True, exist_ok=True)
    model.to("cpu").eval().save_pretrained(out)
    (out / "model.safetensors").chmod(0o644)  # safetensors writes for the owner alone
    processor.save_pretrained(out)
    styles = {"styles": STYLES, "size": [SIDE, SIDE]}
    (out / "recapdata.json").write_text(json.dumps(styles, indent=2) + "\n", encoding="utf-8")
