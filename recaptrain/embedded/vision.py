"""The captioner's vision tower: a SigLIP-class transformer, taught first what each patch of a scene shows."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from recapdata.scenes import SIDE, Scene, draw_scene, render
from recaptrain.embedded.dense import BOX_UNIT, HEADS, NOTHING, dense_targets
from recaptrain.embedded.training import Loss, Stage, train
from recaptrain.training.accelerator import autocast

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


class Seeing:
    """A tower with the heads that ask it for the targets of `dense`; they are left behind when it has learned to see."""

    def __init__(self, tower: Any, sizes: Tower, *, seed: int, device: str) -> None:
        import torch
        from torch import nn

        torch.manual_seed(seed)
        place_patches(tower, sizes)
        outputs = {"labels": sum(head.classes for head in HEADS), "ink": sizes.patch**2, "boxes": 4}
        self._asked = [
            (name, layer) for name, layers in ASKED_AFTER.items() for layer in layers if layer <= sizes.layers
        ]
        heads = {f"{name}{layer}": nn.Linear(sizes.width, outputs[name]) for name, layer in self._asked}
        self._tower, self._sizes, self._device = tower, sizes, device
        self.heads = nn.ModuleDict(heads).to(device)
        self.both = nn.ModuleDict({"tower": tower, "heads": self.heads})

    def loss(self, scenes: Sequence[Scene]) -> "tuple[Tensor, dict[str, Tensor], Tensor]":
        """Loss of all targets, the share right of each, and the patches' features (scenes, patches, width)."""
        import torch

        pixels = pixel_values(np.stack([render(scene) for scene in scenes])).to(self._device)
        targets = [dense_targets(scene, self._sizes.patch) for scene in scenes]
        truth = {
            part: torch.from_numpy(np.concatenate([getattr(target, part) for target in targets])).to(
                self._device
            )
            for part in ("labels", "ink", "boxes")
        }
        with autocast(self._device):
            *early, last = self._tower(pixels, output_hidden_states=True).hidden_states
            features = self._tower.post_layernorm(last)
            states = [state.flatten(0, 1) for state in (*early, features)]
            answers = [
                (name, self.heads[f"{name}{layer}"](states[layer]).float()) for name, layer in self._asked
            ]
        loss = torch.zeros((), device=self._device)
        figures: dict[str, Tensor] = {}
        for name, answer in answers:
            part, figure = _LOSSES[name](answer, truth[name])
            loss = loss + part
            figures |= figure
        return loss, figures, features


def train_tower(seeing: Seeing, stage: Stage, folder: Path, *, seed: int) -> None:
    """Teach a tower to see: the stage `tower` of a recipe."""

    def loss_of(step: int) -> Loss:
        return seeing.loss(scenes_of(seed, step, stage.batch))[:2]

    train("tower", stage, seeing.both, loss_of, folder)


def _ink_loss(answer: "Tensor", ink: "Tensor") -> tuple["Tensor", "dict[str, Tensor]"]:
    from torch.nn.functional import binary_cross_entropy_with_logits

    loss = binary_cross_entropy_with_logits(answer, ink)
    return 2 * loss, {"ink": loss}


def _box_loss(answer: "Tensor", boxes: "Tensor") -> tuple["Tensor", "dict[str, Tensor]"]:
    loss = (answer - boxes)[~boxes.isnan().any(1)].abs().mean()
    return 4 * loss, {"pixels off": loss * BOX_UNIT}


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


_LOSSES = {"labels": _label_loss, "ink": _ink_loss, "boxes": _box_loss}
