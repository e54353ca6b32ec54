"""The embedded CLIP: an open_clip model of the drawn world, for CLIP scores and for retrieval.

Its picture tower starts from the captioner's vision tower (the same blocks under other names), its text tower from nothing. It learns which true
text belongs to which picture of a batch, and that a text with one thing changed does not (Yuksekgonul et al. 2023, "NegCLIP"); then, of each picture, its
text from the same with one position reversed. As one more wrong text among those of a batch it weighs too little to be learned soon.
The folder that comes out loads with open_clip's `local-dir:` schema.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from recapdata.scenes import SIDE, Scene, alt_text, draw_scene, human_long, human_short, render
from recapdata.scenes.world import Dice
from recaptrain.embedded.hard_negatives import POSITION, hard_negative, reversed_position
from recaptrain.embedded.stages import Loss, Stage, train
from recaptrain.embedded.tokenizers import BOS, EOS, build_tokenizer
from recaptrain.embedded.vision import Tower, pixel_values, scenes_of
from recaptrain.training.accelerator import autocast

if TYPE_CHECKING:
    from torch import Tensor, nn
    from transformers import PreTrainedTokenizerFast

HALF = {"mean": (0.5, 0.5, 0.5), "std": (0.5, 0.5, 0.5)}


@dataclass(frozen=True, slots=True, kw_only=True)
class ClipRecipe:
    """The settings of `recipes/embedded-clip.yaml`; the picture tower's sizes must be those of the captioner's.

    Attributes:
        matching: pictures and texts, each with the text of a scene that differs in one thing.
        placing: the same, and each picture's text against itself with one position reversed.
    """

    matching: Stage
    placing: Stage
    seed: int = 1
    device: str = "cpu"
    tower: Tower = field(default_factory=Tower)
    text_layers: int = 2
    context: int = 77

    def config(self, tokenizer: "PreTrainedTokenizerFast") -> dict[str, Any]:
        """open_clip's `model_cfg`."""
        tower = self.tower
        return {
            "embed_dim": tower.width,
            "custom_text": True,
            "vision_cfg": vision_config(tower),
            "text_cfg": {
                "context_length": self.context,
                "vocab_size": len(tokenizer),
                "hf_tokenizer_name": "local",
                "width": tower.width,
                "heads": tower.heads,
                "layers": self.text_layers,
                "mlp_ratio": tower.inner / tower.width,
                "pool_type": "eos",
                "eos_id": tokenizer.eos_token_id,
                "pad_id": tokenizer.pad_token_id,
            },
        }


def vision_config(tower: Tower) -> dict[str, Any]:
    """open_clip's `vision_cfg` of a ViT with the blocks of a captioner's tower."""
    return {
        "image_size": SIDE,
        "patch_size": tower.patch,
        "width": tower.width,
        "head_width": tower.width // tower.heads,
        "layers": tower.layers,
        "mlp_ratio": tower.inner / tower.width,
        "no_ln_pre": True,
        "pool_type": "avg",
    }


def clip_tokenizer(seed: int) -> "PreTrainedTokenizerFast":
    """The captioner's tokenizer as CLIP uses it: begin and end of text, padding on the right."""
    from tokenizers.processors import TemplateProcessing

    tokenizer = build_tokenizer(seed)
    tokenizer.backend_tokenizer.post_processor = TemplateProcessing(
        single=f"{BOS} $A {EOS}",
        special_tokens=[(BOS, tokenizer.bos_token_id), (EOS, tokenizer.eos_token_id)],
    )
    tokenizer.padding_side = "right"
    return tokenizer


def train_clip(recipe: ClipRecipe, captioner: Path, work: Path, out: Path) -> None:
    """Train from the vision tower of the captioner's folder and write the model to `out`."""
    import torch
    from open_clip.model import CustomTextCLIP

    work.mkdir(parents=True, exist_ok=True)
    tokenizer = clip_tokenizer(recipe.seed)
    config = recipe.config(tokenizer)
    torch.manual_seed(recipe.seed)
    settings = {name: value for name, value in config.items() if name != "custom_text"}
    model = CustomTextCLIP(**settings).to(recipe.device)
    plant_tower(model.visual, captioner)

    def loss_of(step: int, *, seed: int, stage: Stage, placing: bool) -> Loss:
        scenes = scenes_of(seed, step, stage.batch)
        pixels = pixel_values(np.stack([render(scene) for scene in scenes])).to(recipe.device)
        texts = [text_of(scene, step) for scene in (*scenes, *map(hard_negative, scenes))]
        with autocast(recipe.device):
            pictures = _embedded(model.visual, pixels)
            loss, figures = _matching_loss(model, pictures, encode(texts))
            if placing:
                placed = [placed_sentence(scene) for scene in scenes] if step % 2 else texts[: len(scenes)]
                turned = [reversed_position(text, Dice(seed, step, text)) for text in placed]
                one, more = _placing_loss(model, pictures, encode([*placed, *turned]))
                loss, figures = loss + one, {**figures, **more}
        return loss, figures

    def encode(texts: Sequence[str]) -> "Tensor":
        return _tokens(tokenizer, texts, recipe.context).to(recipe.device)

    first = partial(loss_of, seed=recipe.seed * 1000 + 4, stage=recipe.matching, placing=False)
    train("matching", recipe.matching, model, first, work)
    then = partial(loss_of, seed=recipe.seed * 1000 + 6, stage=recipe.placing, placing=True)
    train("placing", recipe.placing, model, then, work)
    save(model, tokenizer, config, out)


def text_of(scene: Scene, step: int) -> str:
    """A text of the scene: long, short, one sentence of the long one, seldom alt text.

    A step's texts are of one kind, so that none is told by its length.
    """
    roll = Dice(0, step, "kind of text").below(100)
    if roll < 40:
        return human_long(scene)
    if roll < 75:
        return human_short(scene)
    if roll < 95:
        sentences = human_long(scene).split(". ")
        return f"{Dice(scene.seed, scene.index, 'sentence').pick(sentences).rstrip('.')}."
    return alt_text(scene)


def placed_sentence(scene: Scene) -> str:
    """One sentence of the scene's long text that states a position; the whole text where none does."""
    caption = human_long(scene)
    sentences = [f"{sentence.rstrip('.')}." for sentence in caption.split(". ") if POSITION.search(sentence)]
    return Dice(scene.seed, scene.index, "placed").pick(sentences) if sentences else caption


def _tokens(tokenizer: "PreTrainedTokenizerFast", texts: Sequence[str], context: int) -> "Tensor":
    """(texts, longest text), not padded to the whole context, which would cost half of the time."""
    return tokenizer(list(texts), padding=True, truncation=True, max_length=context, return_tensors="pt")[
        "input_ids"
    ]


def _embedded(tower: "nn.Module", inputs: "Tensor") -> "Tensor":
    """(inputs, width) of length 1, float32."""
    from torch.nn.functional import normalize

    return normalize(tower(inputs).float(), dim=-1)


def _embedded_texts(model: Any, tokens: "Tensor") -> "Tensor":
    """Texts that are not padded to the whole context."""
    whole, length = model.text.attn_mask, tokens.shape[1]
    model.text.attn_mask = whole[:length, :length]
    texts = _embedded(model.text, tokens)
    model.text.attn_mask = whole
    return texts


def _scale(model: Any) -> "Tensor":
    return model.logit_scale.exp().clamp(max=100)  # type: ignore[no-any-return]


def _matching_loss(model: Any, pictures: "Tensor", tokens: "Tensor") -> Loss:
    """CLIP's loss with the hard negatives as further wrong texts of every picture.

    One that says what the truth says (a sentence that the change does not touch) is left out.

    Args:
        pictures: (batch, width) embeddings.
        tokens: (2 · batch, length): the pictures' texts, then those of the changed scenes.
    """
    import torch
    from torch.nn.functional import cross_entropy

    batch = len(pictures)
    logits = _scale(model) * pictures @ _embedded_texts(model, tokens).T
    mine = torch.arange(batch, device=pictures.device)
    same = (tokens[None] == tokens[:batch, None]).all(-1)
    same[mine, mine] = False
    by_picture = logits.masked_fill(same, float("-inf"))
    by_text = logits[:, :batch].T.masked_fill(same[:, :batch], float("-inf"))
    loss = (cross_entropy(by_picture, mine) + cross_entropy(by_text, mine)) / 2
    false = ~same[mine, mine + batch]
    beats = logits[mine, mine] > logits[mine, mine + batch]
    return loss, {
        "first of batch": (by_text.argmax(1) == mine).float().mean(),
        "above its negative": beats[false].float().mean(),
    }


def _placing_loss(model: Any, pictures: "Tensor", tokens: "Tensor") -> Loss:
    """The logistic loss of each picture's text against the reversed one; where they are the same there is nothing to tell.

    Args:
        pictures: (batch, width) embeddings.
        tokens: (2 · batch, length): the pictures' texts, then the reversed ones.
    """
    from torch.nn.functional import logsigmoid

    batch = len(pictures)
    told = (tokens[:batch] != tokens[batch:]).any(1)
    texts = _embedded_texts(model, tokens)
    margins = _scale(model) * (pictures * (texts[:batch] - texts[batch:])).sum(1)
    loss = -(logsigmoid(margins) * told).sum() / told.sum().clamp(min=1)
    return loss, {"above its reverse": (margins[told] > 0).float().mean()}


def plant_tower(visual: "nn.Module", captioner: Path) -> None:
    """Copy the weights of the captioner's SigLIP tower into open_clip's ViT, whose blocks are the same.

    The ViT has no bias on its patches (the position embeddings take it up) and one more token, the class token, which nothing reads.
    """
    import torch
    from safetensors.torch import load_file

    weights = load_file(captioner / "model.safetensors")
    start = "vision_tower."
    tower = {name.split(start)[1]: value for name, value in weights.items() if start in name}
    positions = tower["embeddings.position_embedding.weight"] + tower["embeddings.patch_embedding.bias"]
    planted = {
        "conv1.weight": tower["embeddings.patch_embedding.weight"],
        "positional_embedding": torch.cat([torch.zeros_like(positions[:1]), positions]),
        "class_embedding": torch.zeros_like(positions[0]),
        "ln_post.weight": tower["post_layernorm.weight"],
        "ln_post.bias": tower["post_layernorm.bias"],
    }
    layers = {name.split(".")[2] for name in tower if name.startswith("encoder.layers.")}
    for layer in layers:
        planted |= _block(tower, f"encoder.layers.{layer}.", f"transformer.resblocks.{layer}.")
    missing, unexpected = visual.load_state_dict(planted, strict=False)
    assert set(missing) == {"proj"}, missing
    assert not unexpected, unexpected


def _block(tower: "Mapping[str, Tensor]", here: str, there: str) -> "dict[str, Tensor]":
    import torch

    names = {"layer_norm1": "ln_1", "layer_norm2": "ln_2", "self_attn.out_proj": "attn.out_proj"}
    names |= {"mlp.fc1": "mlp.c_fc", "mlp.fc2": "mlp.c_proj"}
    block = {}
    for part in ("weight", "bias"):
        for old, new in names.items():
            block[f"{there}{new}.{part}"] = tower[f"{here}{old}.{part}"]
        joined = [tower[f"{here}self_attn.{letter}_proj.{part}"] for letter in "qkv"]
        block[f"{there}attn.in_proj_{part}"] = torch.cat(joined)
    return block


def save(
    model: "nn.Module", tokenizer: "PreTrainedTokenizerFast", config: Mapping[str, Any], out: Path
) -> None:
    """Write what `local-dir:` wants: weights, configuration, tokenizer."""
    from safetensors.torch import save_file

    out.mkdir(parents=True, exist_ok=True)
    weights = {name: value.contiguous() for name, value in model.to("cpu").state_dict().items()}
    save_file(weights, out / "open_clip_model.safetensors")
    (out / "open_clip_model.safetensors").chmod(0o644)  # safetensors writes for the owner alone
    preprocess = {**HALF, "size": SIDE, "resize_mode": "squash", "interpolation": "bicubic"}
    page = json.dumps({"model_cfg": dict(config), "preprocess_cfg": preprocess}, indent=2)
    (out / "open_clip_config.json").write_text(page + "\n", encoding="utf-8")
    tokenizer.save_pretrained(out)


@dataclass(frozen=True, slots=True)
class Retrieval:
    """Shares in 0 … 1: how often the true caption comes first (R@1) or in the first five (R@5) among `count`, and beats its near miss.

    Attributes:
        above_lie: short captions above those of a scene that differs in one thing.
        above_reverse: long captions above themselves with one position reversed.
    """

    count: int
    long_first: float
    long_five: float
    short_first: float
    short_five: float
    above_lie: float
    above_reverse: float

    def table(self) -> str:
        """One line per figure."""
        return "\n".join(f"{name:12} {value:.3f}" for name, value in asdict(self).items())


def evaluate_clip(folder: Path, *, count: int, seed: int) -> Retrieval:
    """Retrieval of captions by picture among `count` new scenes, through open_clip's own loading."""
    import open_clip
    import torch
    from PIL import Image

    model, prepare = open_clip.create_model_from_pretrained(f"local-dir:{folder}")
    tokenize = open_clip.get_tokenizer(f"local-dir:{folder}")
    scenes = [draw_scene(seed, index) for index in range(count)]
    model.eval()
    with torch.inference_mode():
        pictures = model.encode_image(
            torch.stack([prepare(Image.fromarray(render(scene))) for scene in scenes]), normalize=True
        )
        long = model.encode_text(tokenize([human_long(scene) for scene in scenes]), normalize=True)
        short = model.encode_text(tokenize([human_short(scene) for scene in scenes]), normalize=True)
        false = model.encode_text(
            tokenize([human_short(hard_negative(scene)) for scene in scenes]), normalize=True
        )
        turned = [
            reversed_position(human_long(scene), Dice(seed, scene.index, "reverse")) for scene in scenes
        ]
        reverse = model.encode_text(tokenize(turned), normalize=True)
    # A position behind the last token that the model reads is not reversed for it.
    placed = (tokenize(turned) != tokenize([human_long(scene) for scene in scenes])).any(1)
    differ = torch.tensor([human_short(hard_negative(scene)) != human_short(scene) for scene in scenes])
    wins = (pictures * short).sum(1) > (pictures * false).sum(1)
    knows = (pictures * long).sum(1) > (pictures * reverse).sum(1)
    return Retrieval(
        count,
        *_ranks(pictures, long),
        *_ranks(pictures, short),
        wins[differ].float().mean().item(),
        knows[placed].float().mean().item(),
    )


def _ranks(pictures: "Tensor", texts: "Tensor") -> tuple[float, float]:
    scores = pictures @ texts.T
    better = (scores > scores.diagonal()[:, None]).sum(1)
    return (better < 1).float().mean().item(), (better < 5).float().mean().item()
