"""Whether a diffusion model of the drawn world draws shapes, and those that its prompt names, by `reading`."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from recapdata.scenes import World, draw_scene
from recaptrain.embedded.curriculum import phrase
from recaptrain.embedded.reading import Pixels, count_unread, read_scene

if TYPE_CHECKING:
    from diffusers import StableDiffusionPipeline

SMALL_WORLD = World(objects=2, words=False, sizes=("large",))
GUIDANCE = 4.0
STEPS = 25
Kind = tuple[str, str]
"""Color and shape."""


@dataclass(frozen=True, slots=True)
class Following:
    """Shares in 0 … 1 over generated pictures.

    recognized: pictures with a shape that can be read; clean: those of them all of whose colored pieces can be; shapes: of the kinds in the prompts, those whose shape is in the picture in
    whatever color; kinds: those drawn in their color; followed, followed_one, followed_two: pictures with every kind of their prompt, over all
    prompts, those of one kind and those of two; invented: of the kinds drawn, those that no prompt named.
    """

    pictures: int
    recognized: float
    clean: float
    shapes: float
    kinds: float
    followed: float
    followed_one: float
    followed_two: float
    invented: float

    def table(self) -> str:
        """One line per figure."""
        return "\n".join(f"{name:14} {value:.3f}" for name, value in asdict(self).items())


def prompts_of(seed: int, count: int) -> list[tuple[str, frozenset[Kind]]]:
    """Prompts for one or two kinds of shapes, and the kinds: tags and phrases in turn."""
    prompts = []
    for index in range(count):
        scene = draw_scene(seed, index, SMALL_WORLD)
        kinds = list(dict.fromkeys((drawn.color, drawn.shape) for drawn in scene.objects))
        names = [" ".join(kind) for kind in kinds]
        prompts.append((phrase(names) if index % 2 else ", ".join(names), frozenset(kinds)))
    return prompts


def measure_following(prompts: list[frozenset[Kind]], pictures: list[Pixels]) -> Following:
    """Read the pictures, each against the kinds that its prompt names."""
    drawn = [
        {(entry["color"], entry["category"]) for entry in read_scene(pixels) if entry["category"] != "word"}
        for pixels in pictures
    ]
    pairs = list(zip(prompts, drawn, strict=True))
    named = [(kind, seen) for wanted, seen in pairs for kind in wanted]
    return Following(
        pictures=len(pictures),
        recognized=_share([bool(seen) for seen in drawn]),
        clean=_share(
            [bool(seen) and not count_unread(each) for seen, each in zip(drawn, pictures, strict=True)]
        ),
        shapes=_share([kind[1] in {shape for _, shape in seen} for kind, seen in named]),
        kinds=_share([kind in seen for kind, seen in named]),
        followed=_share([wanted <= seen for wanted, seen in pairs]),
        followed_one=_share([wanted <= seen for wanted, seen in pairs if len(wanted) == 1]),
        followed_two=_share([wanted <= seen for wanted, seen in pairs if len(wanted) == 2]),
        invented=_share([kind not in wanted for wanted, seen in pairs for kind in seen]),
    )


def _share(verdicts: list[bool]) -> float:
    return sum(verdicts) / len(verdicts) if verdicts else 0.0


def evaluate_diffusion(folder: Path, *, count: int, seed: int) -> Following:
    """Following of a pipeline's folder on `count` prompts of the world `seed`."""
    from diffusers import StableDiffusionPipeline

    pipeline = StableDiffusionPipeline.from_pretrained(folder)
    pipeline.set_progress_bar_config(disable=True)
    prompts = prompts_of(seed, count)
    pictures = list(draw(pipeline, [text for text, _ in prompts], seed))
    return measure_following([kinds for _, kinds in prompts], pictures)


def draw(
    pipeline: "StableDiffusionPipeline", prompts: list[str], seed: int, batch: int = 50
) -> Iterator[Pixels]:
    """A picture of each prompt, each from noise of its own."""
    import torch

    for first in range(0, len(prompts), batch):
        part = prompts[first : first + batch]
        noise = [
            torch.Generator().manual_seed(seed * 1_000_003 + first + place) for place in range(len(part))
        ]
        drawn = pipeline(
            part, num_inference_steps=STEPS, guidance_scale=GUIDANCE, generator=noise, output_type="np"
        ).images
        yield from (np.asarray(drawn) * 255).round().astype(np.uint8)
