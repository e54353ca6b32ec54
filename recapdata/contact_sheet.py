"""A self-contained HTML page of pictures with their captions, set beside set, under the audit's table."""

import base64
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from recapdata.atomic import write_atomic
from recapdata.dataset.target import Target
from recapdata.templates import render

SHOWN = {
    "claims per caption": "{:.2f}",
    "words (median)": "{:.0f}",
    "object coverage": "{:.1%}",
    "count coverage": "{:.1%}",
    "color coverage": "{:.1%}",
    "position coverage": "{:.1%}",
    "text coverage": "{:.1%}",
    "object precision": "{:.1%}",
    "count precision": "{:.1%}",
    "color precision": "{:.1%}",
    "position precision": "{:.1%}",
    "text precision": "{:.1%}",
    "object recall": "{:.1%}",
    "CLIP score": "{:.2f}",
}
"""The figures a newcomer can read, each with its format; a figure that the audit does not have is left out."""
QUALITY = 90
"""Of pictures that are encoded anew because browsers would not show them, or not upright."""


@dataclass(frozen=True, slots=True)
class Card:
    """One picture of the page: `image` is a data URL, `captions` one text (or None) per set."""

    image: str
    key: str
    captions: dict[str, str | None]


def write_contact_sheet(target: Target, path: Path, *, before: str, pictures: int = 24) -> None:
    """Write the page for the first `pictures` records of a target.

    Args:
        before: the set to compare against; it stands first.
    """
    sets = sorted(target.set_names(), key=lambda name: name != before)
    page = render(
        "contact-sheet.html.j2",
        name=target.repo_id or target.name,
        revision=target.revision,
        commit=target.commit,
        sets=sets,
        provenance=target.manifest.sets,
        figures=_figures(target, sets),
        cards=_cards(target, sets, pictures),
    )
    write_atomic(path, page.encode())


def _cards(target: Target, sets: list[str], pictures: int) -> list[Card]:
    cards: list[Card] = []
    for shard in target.shards():
        for batch in target.read(shard, ["key", "image", *sets], batch_rows=pictures):
            for row in batch.to_pylist():
                if len(cards) == pictures:
                    return cards
                captions = {name: row[name] for name in sets}
                cards.append(Card(image=_data_url(row["image"]["bytes"]), key=row["key"], captions=captions))
    return cards


def _data_url(image: bytes | None) -> str:
    """A picture as browsers show it; empty where it cannot be decoded."""
    import io

    from recapdata.dataset.decoding import ImageUnreadable, browser_type, decode_image

    try:
        decoded = decode_image(image)
        media_type = browser_type(image) if image else None
    except ImageUnreadable:
        return "data:,"
    if media_type is None:
        buffer = io.BytesIO()
        decoded.save(buffer, "WEBP", quality=QUALITY)
        media_type, image = "image/webp", buffer.getvalue()
    return f"data:{media_type};base64,{base64.b64encode(image or b'').decode()}"


def _figures(target: Target, sets: list[str]) -> list[tuple[str, list[str]]]:
    """Rows of the table: the figure's name and its text for each set."""
    summary: dict[str, Any] = target.summary() or {"sets": {}}
    audited = [summary["sets"].get(name, {}).get("figures", {}) for name in sets]
    return [
        (name, [form.format(figures[name]["value"]) if name in figures else "–" for figures in audited])
        for name, form in SHOWN.items()
        if any(name in figures for figures in audited)
    ]
