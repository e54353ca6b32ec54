"""Pictures of fixed prompts and seeds while a model learns, as one labelled grid a validation."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PIL import Image, ImageDraw, ImageFont

from recapdata.atomic import replacing
from recapdata.errors import InputError

if TYPE_CHECKING:
    import torch
    from accelerate import Accelerator

SAMPLES = "samples"
"""The folder of the grids, in that of the run."""
SHOWN = 16
"""Pictures of a grid at the most."""
GUIDANCE = 7.5
LABEL, LINES, MARGIN, LEAST = 13, 3, 4, 128
"""Height of a line of a label, most lines, space around a picture, and its least width, in pixels."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Samples:
    """What is drawn: the same prompts from the same noise each time.

    Attributes:
        size: width and height of a picture.
        steps: of the denoising.
        folder: where `step-000500.png` and the like are written.
    """

    accelerator: "Accelerator"
    pipeline: Any
    prompts: Sequence[str]
    size: tuple[int, int]
    seed: int
    steps: int
    folder: Path

    def draw(self) -> list[Image.Image]:
        """A picture of every prompt with the weights as they are."""
        return [self._picture(number, prompt) for number, prompt in enumerate(self.prompts)]

    def write(self, step: int, images: Sequence[Image.Image]) -> Path:
        """Write the grid of the pictures of a step, of the first `SHOWN` of them."""
        path = self.folder / f"step-{step:06d}.png"
        with replacing(path) as partial:
            grid(images[:SHOWN], self.prompts[:SHOWN], title=f"step {step:,}").save(partial, "PNG")
        return path

    def _picture(self, number: int, prompt: str) -> Image.Image:
        import copy

        import torch

        pipeline, device = self.pipeline, self.accelerator.device
        checker, scheduler = getattr(pipeline, "safety_checker", None), pipeline.scheduler
        modules = [each for each in pipeline.components.values() if isinstance(each, torch.nn.Module)]
        training = [each for each in modules if each.training]
        for each in training:
            each.eval()
        pipeline.set_progress_bar_config(disable=True)
        pipeline.vae.to(device)
        pipeline.scheduler = copy.deepcopy(scheduler)  # setting its time steps changes it
        if checker is not None:
            pipeline.safety_checker = None  # what a model in training draws is looked at, whatever it is
        plain = pipeline.vae.decode
        pipeline.vae.decode = _in_full(plain, device)
        try:
            with torch.no_grad(), self.accelerator.autocast():
                image: Image.Image = pipeline(
                    prompt,
                    width=self.size[0],
                    height=self.size[1],
                    num_inference_steps=self.steps,
                    guidance_scale=GUIDANCE,
                    generator=torch.Generator("cpu").manual_seed(self.seed + number),
                ).images[0]
        finally:
            pipeline.scheduler, pipeline.vae.decode = scheduler, plain
            pipeline.vae.to("cpu")
            if checker is not None:
                pipeline.safety_checker = checker
            for each in training:
                each.train()
        return image


def sample_steps(run: Path) -> dict[int, Path]:
    """The grids in the folder of a run, by the step that they are of."""
    return {int(path.stem.removeprefix("step-")): path for path in (run / SAMPLES).glob("step-*.png")}


def _in_full(decode: Any, device: "torch.device") -> Any:
    """An autoencoder's `decode` in float32: SDXL's overflows in half precision, and black pictures say nothing of the UNet."""
    import torch

    def call(latents: "torch.Tensor", *arguments: Any, **options: Any) -> Any:
        with torch.autocast(device.type, enabled=False):
            return decode(latents.float(), *arguments, **options)

    return call


def read_prompts(path: Path) -> list[str]:
    """The prompts of a text file, one a line.

    Raises:
        InputError: it cannot be read or has none.
    """
    try:
        prompts = [line.strip() for line in path.read_text(encoding="utf8").splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"--sample-prompts {path}: it cannot be read ({error})") from error
    if not prompts:
        raise InputError(f"--sample-prompts {path}: it has no prompt; write one a line")
    return prompts


def grid(images: Sequence[Image.Image], labels: Sequence[str], *, title: str) -> Image.Image:
    """Pictures side by side in rows of up to four, each above its label, under a title."""
    columns = min(4, len(images))
    width = max(LEAST, *(image.width for image in images)) + 2 * MARGIN
    height = max(image.height for image in images) + LINES * LABEL + 3 * MARGIN
    rows = -(-len(images) // columns)
    sheet = Image.new("RGB", (columns * width, LABEL + 2 * MARGIN + rows * height), "white")
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(size=10)
    pen.text((MARGIN, MARGIN), title, fill="black", font=font)
    for number, (image, label) in enumerate(zip(images, labels, strict=True)):
        row, column = divmod(number, columns)
        left, top = column * width + MARGIN, LABEL + 2 * MARGIN + row * height
        sheet.paste(image, (left, top))
        for line, text in enumerate(_wrapped(label, width - 2 * MARGIN, font)):
            pen.text((left, top + image.height + MARGIN + line * LABEL), text, fill="black", font=font)
    return sheet


def _wrapped(text: str, width: int, font: Any) -> list[str]:
    """A text in lines that fit a width; what does not fit into `LINES` ends in an ellipsis."""
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        if lines[-1] and font.getlength(longer) > width:
            lines.append(word)
        else:
            lines[-1] = longer
    return lines if len(lines) <= LINES else [*lines[: LINES - 1], f"{lines[LINES - 1]}…"]
