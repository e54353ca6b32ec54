"""Folders of pictures as `recaptrain generate` leaves them, and a server that judges them."""

import json
import re
from collections.abc import Iterable
from pathlib import Path

from PIL import Image

from recapdata.captioners.chat_api import Patience
from tests.chat_servers import StumblingServer, red_of_request, text_of
from tests.waiting import HANGS

QUICK = Patience(attempts=2, first_pause=0.01, longest_pause=0.05, timeout=HANGS)


def generated(folder: Path, reds: Iterable[int], per_prompt: int = 1, **fields: object) -> Path:
    """Pictures of one red each, made of a longer prompt than a person asked for; prompts are called by their first picture's red."""
    folder.mkdir(parents=True)
    rows = []
    for number, red in enumerate(reds):
        name = f"{number:05d}"
        Image.new("RGB", (8, 8), (red, 0, 0)).save(folder / f"{name}.png")
        asked = f"red {red - number % per_prompt}"
        rows.append(
            {
                "file_name": f"{name}.png",
                "id": name,
                "prompt_id": f"p{number // per_prompt}",
                "prompt": f"a very {asked} picture",
                "original": asked,
                "read": f"a very {asked}",
                "seed": number,
                "category": "even" if red % 2 == 0 else "odd",
                **fields,
            }
        )
    lines = [json.dumps(row) for row in rows]
    (folder / "metadata.jsonl").write_text("\n".join([*lines, ""]), encoding="utf8")
    (folder / "generation.json").write_text('{"model": "m", "revision": "r"}', encoding="utf8")
    return folder


def asked_red(request: dict) -> int:
    """Of which red the prompt of a request speaks."""
    found = re.search(r'"red (\d+)"', text_of(request))
    assert found, text_of(request)  # the prompt as a person typed it, in quotation marks
    return int(found[1])


def strict(request: dict) -> str:
    """Correct where the picture is of the red that was asked for."""
    red, asked = red_of_request(request), asked_red(request)
    return f"It is red {red} for {asked}.\n\n{'Correct' if red == asked else 'Incorrect'}"


def about(request: dict) -> tuple[int, int]:
    """Red of the picture, red that was asked for."""
    return red_of_request(request), asked_red(request)


def judging_server(answer=strict) -> StumblingServer:
    return StumblingServer(about=about, answer=answer)
