"""Folders as `recaptrain generate` writes them, of pictures in one color each, and studies of them."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from PIL import Image, ImageCms
from PIL.PngImagePlugin import PngInfo

from recaptrain.evaluation.humans.assignments import assign, vote
from recaptrain.evaluation.humans.database import Database
from recaptrain.evaluation.humans.ratings import enter, rater_of
from recaptrain.evaluation.humans.settings import HumansSettings
from recaptrain.evaluation.humans.study import Study, plan_study

HOSTILE = "<script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\"> & \u202e"
ARABIC = "قطة سوداء تجلس بجانب كرتين حمراوين على طاولة خشبية"
LONG = "a very long caption of a red star " * 150
"""5,100 characters."""
MODELS = ("model-baseline", "model-recap", "model-third")
"""Names of folders, which no page for raters may show."""
COLORS = ("red", "blue", "green")


def write_folder(
    folder: Path,
    prompts: Sequence[str],
    *,
    images: int = 1,
    color: str = "red",
    size: tuple[int, int] = (48, 48),
) -> Path:
    """A folder with `images` pictures of each prompt; the model's name and a color profile are in each file."""
    folder.mkdir(parents=True)
    text = PngInfo()
    text.add_text("model", folder.name)
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    lines = []
    for number, prompt in enumerate(prompts):
        for image in range(images):
            name = f"{number:04d}-{image}"
            row = {"file_name": f"{name}.png", "id": name, "prompt_id": f"{number:04d}", "prompt": prompt}
            lines.append(json.dumps({**row, "original": prompt, "read": f"{prompt}, in detail"}) + "\n")
            Image.new("RGB", size, color).save(folder / f"{name}.png", pnginfo=text, icc_profile=profile)
    (folder / "metadata.jsonl").write_text("".join(lines), encoding="utf8")
    return folder


def write_study(
    path: Path, texts: Sequence[str], *, models: int = 2, images: int = 1, **settings: Any
) -> Study:
    """A study of some models, each with pictures in its color."""
    folders = [
        write_folder(path / name, texts, images=images, color=color)
        for name, color in zip(MODELS[:models], COLORS, strict=False)
    ]
    return plan_study([str(folder) for folder in folders], HumansSettings(**settings))


def come(database: Database, name: str) -> int:
    """The number of a rater who enters."""
    rater = rater_of(database, enter(database, name))
    assert rater is not None
    assert rater[1] == name
    return rater[0]


def answer(database: Database, rater: int, answer: str = "a") -> int | None:
    """Answer what is on a rater's screen: which question; None where there is none."""
    held = assign(database, rater).held
    if not held:
        return None
    vote(database, rater, held[0].question.id, held[0].rating, answer)
    return held[0].question.id
