"""The captioner's vision tower: a SigLIP-class transformer, taught first what each patch of a scene shows.

For a patch with a shape in it: the shape, its color and size, where it is, the group of alike shapes that it belongs to (in the
captions' canonical order), how many they are and on which side of the next group. For a patch of a word: which letter,
and its place in the word. A captioner on such a tower has only to learn to say what the tower knows.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from recapdata.scenes import BACKGROUNDS, COLORS, SHAPES, SIDE, SIZES, Scene, draw_scene, font, render, shapes
from recapdata.scenes.captions import groups_of, relation_between
from recaptrain.embedded.stages import Loss, Stage, train
from recaptrain.training.accelerator import autocast

if TYPE_CHECKING:
    from torch import Tensor

NOTHING = -100
"""The value that torch's cross entropy leaves out."""
FEWEST_PIXELS = 3
"""A patch with fewer pixels of a shape does not show it."""
RELATION_NAMES = ("none", "left", "right", "above", "below")


@dataclass(frozen=True, slots=True)
class Head:
    """One question about a patch with `classes` answers, and its weight in the loss: what is hard to see weighs most."""

    name: str
    classes: int
    weight: float


HEADS = (
    Head("shape", len(SHAPES) + 1, 3.0),
    Head("color", len(COLORS), 0.5),
    Head("size", len(SIZES), 0.5),
    Head("column", 3, 0.2),
    Head("row", 3, 0.2),
    Head("group", 5, 1.0),
    Head("count", 5, 1.0),
    Head("relation", len(RELATION_NAMES), 1.0),
    Head("letter", len(font.LETTERS) + 1, 2.0),
    Head("place", 5, 0.4),
    Head("background", len(BACKGROUNDS), 0.1),
)
_COLOR_NAMES, _BACKGROUND_NAMES = tuple(COLORS), tuple(BACKGROUNDS)
_AT = {head.name: place for place, head in enumerate(HEADS)}


@dataclass(frozen=True, slots=True)
class Dense:
    """Targets of a scene, patches in the order of a ViT (row by row).

    labels: (patches, heads) int64. ink: (patches, pixels of a patch) float32, 1 where a pixel is not background. boxes: (patches, 4) float32, how far
    left, top, right and bottom edge of the shape or letter lie from the patch's center, in units of 16 pixels; NaN where there is none.
    """

    labels: NDArray[np.int64]
    ink: NDArray[np.float32]
    boxes: NDArray[np.float32]


BOX_UNIT = 16.0


def dense_targets(scene: Scene, patch: int) -> Dense:
    """All targets of a scene."""
    side = SIDE // patch
    ink = (render(scene) != scene.background_rgb).any(-1)
    patches = ink.reshape(side, patch, side, patch).transpose(0, 2, 1, 3).reshape(side * side, -1)
    labels, things = _labels(scene, patch)
    centers = (np.arange(side) + 0.5) * patch
    x, y = np.meshgrid(centers, centers)
    edges = np.stack([x, y, x, y], -1).reshape(-1, 4)
    return Dense(labels, patches.astype(np.float32), ((things - edges) / BOX_UNIT).astype(np.float32))


def _labels(scene: Scene, patch: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Labels, and for every patch the edges (left, top, right, bottom) of what it shows."""
    side = SIDE // patch
    things = np.full((side * side, 4), np.nan)
    labels = np.full((side * side, len(HEADS)), NOTHING, np.int64)
    labels[:, _AT["shape"]] = len(SHAPES)
    labels[:, _AT["letter"]] = len(font.LETTERS)
    labels[:, _AT["background"]] = _BACKGROUND_NAMES.index(scene.background)
    most = np.full(side * side, FEWEST_PIXELS - 1)
    groups = groups_of(scene)
    for place, group in enumerate(groups):
        follower = groups[place + 1] if place + 1 < len(groups) else None
        relation = (relation_between(group, follower) or "none") if follower else "none"
        for drawn in group.members:
            x, y, width, height = drawn.box
            page = np.zeros((SIDE, SIDE), np.int64)
            page[y : y + height, x : x + width] = shapes.mask(drawn.shape, drawn.diameter)
            pixels = page.reshape(side, patch, side, patch).sum((1, 3)).ravel()
            shown = pixels > most
            most = np.maximum(most, pixels)
            things[shown] = (x, y, x + width, y + height)
            labels[shown, : _AT["relation"] + 1] = (
                SHAPES.index(drawn.shape),
                _COLOR_NAMES.index(drawn.color),
                SIZES.index(drawn.size),
                *drawn.cell,
                place,
                len(group.members) - 1,
                RELATION_NAMES.index(relation),
            )
    if scene.word:
        _label_letters(labels.reshape(side, side, len(HEADS)), things.reshape(side, side, 4), scene, patch)
    return labels, things


def _label_letters(labels: NDArray[np.int64], things: NDArray[np.float64], scene: Scene, patch: int) -> None:
    """Give every patch that a word's rows cross the letter that most of its columns belong to."""
    assert scene.word is not None
    x, y, _, height = scene.word.box
    starts = x - font.left_margin(scene.word.text[0]) + np.arange(len(scene.word.text)) * font.ADVANCE
    edges = np.arange(labels.shape[1]) * patch
    overlap = np.minimum(edges[:, None] + patch, starts + font.WIDTH) - np.maximum(edges[:, None], starts)
    best = overlap.argmax(1)
    rows = slice((y + 2) // patch, (y + height - 3) // patch + 1)
    for column in np.flatnonzero(overlap.max(1) >= patch // 2):
        letter = font.LETTERS.index(scene.word.text[best[column]])
        labels[rows, column, _AT["letter"]] = letter
        labels[rows, column, _AT["place"]] = best[column]
        left = starts[best[column]]
        free = labels[rows, column, _AT["shape"]] == len(SHAPES)
        things[rows, column][free] = (left, y, left + font.WIDTH, y + height)


# --- the tower --------------------------------------------------------------------------------

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


class SupervisedTower:
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


def train_tower(seeing: SupervisedTower, stage: Stage, folder: Path, *, seed: int) -> None:
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
