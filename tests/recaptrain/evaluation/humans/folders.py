"""Folders as `recaptrain generate` writes them, of pictures in one color each."""

import json
from collections.abc import Sequence
from pathlib import Path

from PIL import Image

HOSTILE = "<script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\"> & \u202e"
ARABIC = "قطة سوداء تجلس بجانب كرتين حمراوين على طاولة خشبية"
LONG = "a very long caption of a red star " * 150
"""5,100 characters."""


def write_folder(
    folder: Path,
    prompts: Sequence[str],
    *,
    images: int = 1,
    color: str = "red",
    size: tuple[int, int] = (48, 48),
) -> Path:
    """A folder with `images` pictures of each prompt; a model's name is written into each file."""
    folder.mkdir(parents=True)
    lines = []
    for number, prompt in enumerate(prompts):
        for image in range(images):
            name = f"{number:04d}-{image}"
            row = {"file_name": f"{name}.png", "id": name, "prompt_id": f"{number:04d}", "prompt": prompt}
            lines.append(json.dumps({**row, "original": prompt, "read": prompt}) + "\n")
            Image.new("RGB", size, color).save(folder / f"{name}.png")
    (folder / "metadata.jsonl").write_text("".join(lines), encoding="utf8")
    return folder
