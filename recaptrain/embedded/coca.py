"""The embedded CoCa: DALL·E 3's kind of captioner in the drawn world, small, made with open_clip's own model and loss.

One model learns at once which text belongs to which picture of a batch (contrastive) and to write the text of a picture (captioning), from
alt text and human captions, each kind behind its prefix (Yu et al. 2022, "CoCa"). Its picture tower starts from the captioner's vision tower,
since a small model that must learn to see from texts alone does so slowly. The folder that comes out loads with `local-dir:`.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from recapdata.scenes import SIDE, Scene, alt_text, human_long, human_short, render
from recapdata.scenes.world import Dice
from recaptrain.embedded.clip import clip_tokenizer, plant_tower, save, vision_config
from recaptrain.embedded.stages import Loss, Stage, train
from recaptrain.embedded.vision import Tower, pixel_values, scenes_of
from recaptrain.training.accelerator import autocast

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedTokenizerFast

CAPTIONING, CONTRASTIVE = 2.0, 1.0
"""How the two losses are weighed; the paper's weights, and open_clip's."""
STYLES = {"short": "short:", "long": "long:"}
"""Style → the text behind which its captions are learned."""
_KINDS = ((45, STYLES["long"], human_long), (35, STYLES["short"], human_short), (20, "alt:", alt_text))
"""Share of the steps in hundredths, prefix, and text of a scene."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CocaRecipe:
    """The settings of `recipes/embedded-coca.yaml`; the picture tower's sizes must be those of the captioner's.

    Attributes:
        spread: standard deviation of the first weights of text tower and decoder.
        locked: leave the picture tower as the captioner's is, but for its projection.
    """

    captioning: Stage
    seed: int = 1
    device: str = "cpu"
    tower: Tower = field(default_factory=Tower)
    text_layers: int = 2
    decoder_layers: int = 3
    mlp_ratio: int = 2
    context: int = 104
    spread: float = 0.08
    locked: bool = False

    def config(self, tokenizer: "PreTrainedTokenizerFast") -> dict[str, Any]:
        """open_clip's `model_cfg`."""
        tower = self.tower
        text = {
            "context_length": self.context,
            "vocab_size": len(tokenizer),
            "width": tower.width,
            "heads": tower.heads,
            "mlp_ratio": self.mlp_ratio,
        }
        return {
            "embed_dim": tower.width,
            "custom_text": True,
            "pad_id": tokenizer.pad_token_id,
            "vision_cfg": {**vision_config(tower), "output_tokens": True},
            "text_cfg": {
                **text,
                "hf_tokenizer_name": "local",
                "layers": self.text_layers,
                "pad_id": tokenizer.pad_token_id,
                "eos_id": tokenizer.eos_token_id,
                "embed_cls": True,
                "output_tokens": True,
            },
            "multimodal_cfg": {**text, "layers": self.decoder_layers},
        }


def build_coca(recipe: CocaRecipe, config: Mapping[str, Any]) -> Any:
    """The model with its first, random weights (open_clip leaves the decoder's last one to chance)."""
    import torch
    from open_clip import CoCa

    torch.manual_seed(recipe.seed)
    model = CoCa(**{name: value for name, value in config.items() if name != "custom_text"})
    for part in (model.text, model.text_decoder):
        for weight in part.parameters():
            if weight.ndim == 2:
                torch.nn.init.normal_(weight, std=recipe.spread)
    return model


def train_coca(recipe: CocaRecipe, captioner: Path, work: Path, out: Path) -> None:
    """Train from the vision tower of the captioner's folder and write the model to `out`."""
    work.mkdir(parents=True, exist_ok=True)
    tokenizer = clip_tokenizer(recipe.seed)
    config = recipe.config(tokenizer)
    model = build_coca(recipe, config).to(recipe.device)
    plant_tower(model.visual, captioner)
    if recipe.locked:
        for name, weight in model.visual.named_parameters():
            weight.requires_grad_(name == "proj")
    seed = recipe.seed * 1000 + 5

    def loss_of(step: int) -> Loss:
        scenes = scenes_of(seed, step, recipe.captioning.batch)
        pixels = pixel_values(np.stack([render(scene) for scene in scenes]))
        return coca_loss(model, pixels.to(recipe.device), texts_of(tokenizer, scenes, step, recipe.context))

    train("captioning", recipe.captioning, model, loss_of, work)
    save(model, tokenizer, config, out)
    page = json.dumps({"styles": STYLES, "size": [SIDE, SIDE]}, indent=2)
    (out / "recapdata.json").write_text(page + "\n", encoding="utf-8")


def texts_of(
    tokenizer: "PreTrainedTokenizerFast", scenes: Sequence[Scene], step: int, context: int
) -> "tuple[Tensor, int]":
    """(scenes, context) tokens with begin, end and padding, and how many of them stand before the text begins.

    A step's texts are of one kind, so that none is told by its length.
    """
    import torch

    prefix, text = _kind_of(step)
    start = [tokenizer.bos_token_id, *tokenizer(prefix, add_special_tokens=False)["input_ids"]]
    rows = [
        [*start, *tokenizer(text(scene), add_special_tokens=False)["input_ids"], tokenizer.eos_token_id]
        for scene in scenes
    ]
    padded = [(row + [tokenizer.pad_token_id] * context)[:context] for row in rows]
    return torch.tensor(padded), len(start)


def _kind_of(step: int) -> tuple[str, Callable[[Scene], str]]:
    roll = Dice(0, step, "kind of text").below(100)
    for share, prefix, text in _KINDS:
        if roll < share:
            return prefix, text
        roll -= share
    raise AssertionError("the shares of the kinds sum to 100")


def coca_loss(model: Any, pixels: "Tensor", texts: "tuple[Tensor, int]") -> Loss:
    """open_clip's CoCa loss, the tokens of the prefix not asked for; figures: shares of tokens and of pictures told right."""
    import torch
    from open_clip.loss import CoCaLoss
    from torch.nn.attention import SDPBackend, sdpa_kernel

    rows, start = texts
    rows = rows.to(pixels.device)
    longest = int((rows != model.pad_id).sum(1).max())
    # In bf16 on a CPU the fused attention's way back takes more than half of a step's time.
    with autocast(pixels.device), sdpa_kernel(SDPBackend.MATH):
        pictures, patches = model._encode_image(pixels)
        # The token that stands for the whole text comes behind the padding, so the text tower gets all of it; the decoder need not.
        words, tokens = model._encode_text(rows)
        logits = model.text_decoder(patches, tokens[:, : longest - 1]).float()
    labels = rows[:, 1:longest].clone()
    labels[:, : start - 1] = model.pad_id
    contrastive, captioning = CoCaLoss(CAPTIONING, CONTRASTIVE, pad_id=model.pad_id)(
        pictures.float(), words.float(), logits, labels, model.logit_scale.exp().clamp(max=100)
    )
    asked = labels != model.pad_id
    own = (words @ pictures.T).argmax(1) == torch.arange(len(rows), device=rows.device)
    return contrastive + captioning, {
        "caption": captioning / CAPTIONING,
        "right": (logits.argmax(-1) == labels)[asked].float().mean(),
        "first of batch": own.float().mean(),
    }
