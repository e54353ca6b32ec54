"""The captioner's vision tower: a SigLIP-class transformer, taught first what each patch of a scene shows."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from recapdata.scenes import SIDE, Scene, draw_scene, render
from recaptrain.embedded.dense import BOX_UNIT, HEADS, NOTHING, dense_targets
from recaptrain.embedded.training import Stage, train

if TYPE_CHECKING:
    from torch import Tensor

POSITION_SCALE = 0.5
ASKED_AFTER = {"ink": (1, 2), "boxes": (2, 3, 4), "labels": (3, 4)}
"""What is asked after which layer. First which pixels of a patch are drawn: shapes are learned from outlines, not from colors; then
where the shape that a patch belongs to begins and ends; then what it is. Without these steps nothing is learned for thousands of steps."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tower:
    """Sizes of the tower."""

    width: int = 128
    layers: int = 4
    heads: int = 4
    inner: int = 384
    patch: int = 8

    def config(self) -> dict[str, Any]:
        """The keyword arguments of a `SiglipVisionConfig`."""
        return {
            "hidden_size": self.width,
            "num_hidden_layers": self.layers,
            "num_attention_heads": self.heads,
            "intermediate_size": self.inner,
            "patch_size": self.patch,
            "image_size": SIDE,
            "vision_use_head": False,
        }


def scenes_of(seed: int, step: int, batch: int) -> list[Scene]:
    """The scenes of a training step: no scene twice in a stage."""
    return [draw_scene(seed, step * batch + place) for place in range(batch)]


def pixel_values(pixels: NDArray[np.uint8]) -> "Tensor":
    """(batch, height, width, 3) bytes → (batch, 3, height, width) in −1 … 1, as SigLIP's image processor makes them."""
    import torch

    return torch.from_numpy(pixels).permute(0, 3, 1, 2).float().div_(127.5).sub_(1.0)


def place_patches(tower: Any, sizes: Tower) -> None:
    """Start the position embeddings as sines and cosines of row and column.

    They are trained like every weight, but a patch can look at its neighbors from the first step on.
    """
    import torch

    side, quarter = SIDE // sizes.patch, sizes.width // 4
    frequencies = math.pi * 2.0 ** -torch.linspace(0, math.log2(2 * side), quarter)
    angles = torch.arange(side)[:, None] * frequencies
    waves = torch.cat([angles.sin(), angles.cos()], 1)
    rows = waves[:, None].expand(side, side, -1)
    columns = waves[None].expand(side, side, -1)
    table = torch.cat([rows, columns], -1).reshape(side * side, sizes.width)
    embedding = tower.embeddings.position_embedding.weight
    embedding.data.copy_(table * POSITION_SCALE)


def train_tower(tower: Any, sizes: Tower, stage: Stage, folder: Path, *, seed: int, device: str) -> None:
    """Teach a `SiglipVisionModel` the targets of `dense`; the heads that ask for them are left behind in the checkpoint."""
    import torch
    from torch import nn
    from torch.nn.functional import binary_cross_entropy_with_logits

    torch.manual_seed(seed)
    place_patches(tower, sizes)
    outputs = {"labels": sum(head.classes for head in HEADS), "ink": sizes.patch**2, "boxes": 4}
    asked = [
        (name, layer) for name, layers in ASKED_AFTER.items() for layer in layers if layer <= sizes.layers
    ]
    heads = nn.ModuleDict(
        {f"{name}{layer}": nn.Linear(sizes.width, outputs[name]) for name, layer in asked}
    ).to(device)
    norms = [nn.Identity()] * sizes.layers + [tower.post_layernorm]
    both = nn.ModuleDict({"tower": tower, "heads": heads})

    def loss_of(step: int) -> tuple["Tensor", dict[str, float]]:
        scenes = scenes_of(seed, step, stage.batch)
        pixels = pixel_values(np.stack([render(scene) for scene in scenes])).to(device)
        targets = [dense_targets(scene, sizes.patch) for scene in scenes]
        labels, ink, boxes = (
            torch.from_numpy(np.concatenate([getattr(target, part) for target in targets])).to(device)
            for part in ("labels", "ink", "boxes")
        )
        with torch.autocast(device, torch.bfloat16):
            states = tower(pixels, output_hidden_states=True).hidden_states
            states = [norm(state).flatten(0, 1) for norm, state in zip(norms, states, strict=True)]
            answers = {
                f"{name}{layer}": heads[f"{name}{layer}"](states[layer]).float() for name, layer in asked
            }
        loss = torch.zeros((), device=device)
        figures: dict[str, Tensor] = {}
        shown = ~boxes.isnan().any(1)
        for name, layer in asked:
            answer = answers[f"{name}{layer}"]
            if name == "labels":
                part, right = _label_loss(answer, labels)
                figures |= right
            elif name == "ink":
                part = 2 * binary_cross_entropy_with_logits(answer, ink)
                figures["ink"] = part / 2
            else:
                part = 4 * (answer - boxes)[shown].abs().mean()
                figures["pixels off"] = part / 4 * BOX_UNIT
            loss = loss + part
        return loss, {name: value.item() for name, value in figures.items()}

    train("tower", stage, both, loss_of, folder)


def _label_loss(logits: "Tensor", labels: "Tensor") -> tuple["Tensor", "dict[str, Tensor]"]:
    """Sum over the heads of their cross entropy, and the share right where a patch shows anything."""
    from torch.nn.functional import cross_entropy

    total, first, figures = logits.new_zeros(()), 0, {}
    for place, head in enumerate(HEADS):
        mine, truth = logits[:, first : first + head.classes], labels[:, place]
        first += head.classes
        if (truth == NOTHING).all():
            continue
        total = total + head.weight * cross_entropy(mine, truth, ignore_index=NOTHING)
        shown = (truth != NOTHING) & (
            truth != (head.classes - 1 if head.name in ("shape", "letter") else NOTHING)
        )
        figures[head.name] = (mine.argmax(1) == truth)[shown].float().mean()
    return total, figures
