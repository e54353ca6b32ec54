"""The text encoder of the embedded diffusion model, taught to carry a caption's words before any picture is seen.

A UNet reads 77 states, and behind a short caption seventy of them stand for padding. An untrained encoder makes those
all alike, and a UNet that starts with attention spread evenly then hears nearly nothing of the words: trained together
from nothing, the two learned the background's color and no other word in 5,000 steps. So every state from the end token
on learns to tell which words, and which neighboring pairs of words, came before it.
"""

import itertools
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from recapdata.scenes import alt_text, draw_scene, human_long, human_short
from recapdata.scenes.world import Dice
from recaptrain.embedded.curriculum import list_kinds
from recaptrain.embedded.stages import Loss, Stage, train
from recaptrain.training.accelerator import autocast

if TYPE_CHECKING:
    import torch
    from transformers import CLIPTextModel, CLIPTokenizer

PAIRS = 512
"""Buckets that pairs of neighboring tokens are hashed into."""
STATES = 6
"""How many of the states behind a caption are asked at each step, the end token's always among them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TextEncoder:
    """Sizes of the text encoder."""

    width: int = 128
    layers: int = 2


def build_text_encoder(settings: TextEncoder, tokenizer: "CLIPTokenizer", seed: int) -> "CLIPTextModel":
    """A CLIP text encoder that reads as many tokens as Stable Diffusion's: 77."""
    import torch
    from transformers import CLIPTextConfig, CLIPTextModel

    torch.manual_seed(seed)
    encoder = CLIPTextModel(
        CLIPTextConfig(
            vocab_size=len(tokenizer),
            hidden_size=settings.width,
            intermediate_size=4 * settings.width,
            num_hidden_layers=settings.layers,
            num_attention_heads=4,
            max_position_embeddings=tokenizer.model_max_length,
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
        )
    )
    encoder.set_attn_implementation("eager")
    return encoder


def train_text_encoder(
    encoder: "CLIPTextModel",
    stage: Stage,
    tokenizer: "CLIPTokenizer",
    work: Path,
    *,
    seed: int,
    device: str,
) -> None:
    """Train the encoder in place on texts alone, of every kind that the world has."""
    import torch

    torch.manual_seed(seed)
    outputs = len(tokenizer) + PAIRS
    model = torch.nn.ModuleDict(
        {"encoder": encoder, "head": torch.nn.Linear(encoder.config.hidden_size, outputs)}
    ).to(device)

    def loss_of(step: int) -> Loss:
        texts = [text_of(seed, step * stage.batch + place) for place in range(stage.batch)]
        return _loss(model, tokenizer, texts, seed=step), {}

    train("reading", stage, model, loss_of, work)


def text_of(seed: int, index: int) -> str:
    """The caption number `index`: alt text, a list of kinds, a short and a long human caption take turns."""
    scene = draw_scene(seed, index)
    if index % 4 == 3:
        return list_kinds(scene, Dice(seed, index, "list"), everything=True)
    return (alt_text, human_short, human_long)[index % 4](scene)


def bag_of_tokens(tokens: list[int], vocabulary: int) -> NDArray[np.float32]:
    """Which tokens and which neighboring pairs a caption has, as zeros and ones (vocabulary + PAIRS)."""
    found = np.zeros(vocabulary + PAIRS, np.float32)
    found[tokens] = 1.0
    for pair in itertools.pairwise(tokens):
        found[vocabulary + zlib.crc32(repr(pair).encode()) % PAIRS] = 1.0
    return found


def _loss(
    model: "torch.nn.ModuleDict", tokenizer: "CLIPTokenizer", texts: list[str], *, seed: int
) -> "torch.Tensor":
    """Binary cross-entropy of what was said, summed over tokens and pairs, at some states behind the caption."""
    import torch

    encoder: Any = model["encoder"]
    device: torch.device = encoder.device
    read = tokenizer(texts, padding="max_length", truncation=True, return_tensors="pt")
    ends = read.attention_mask.sum(1) - 1
    words = [ids[1:end].tolist() for ids, end in zip(read.input_ids, ends.tolist(), strict=True)]
    wanted = torch.from_numpy(np.stack([bag_of_tokens(tokens, len(tokenizer)) for tokens in words])).to(
        device
    )
    chance = np.random.default_rng(seed)
    last = read.input_ids.shape[1] - 1
    asked = [[end, *chance.integers(end, last + 1, STATES - 1)] for end in ends.tolist()]
    with autocast(device):
        states = encoder(read.input_ids.to(device))[0]
        places = torch.tensor(np.array(asked), device=device)[..., None].expand(-1, -1, states.shape[-1])
        answers = model["head"](states.gather(1, places))
    wanted = wanted[:, None].expand_as(answers)
    entropy = torch.nn.functional.binary_cross_entropy_with_logits(answers.float(), wanted, reduction="none")
    return entropy.sum(-1).mean()
