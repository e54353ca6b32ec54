"""How things look in the panels: text in the color of a verdict, tables, messages; captions are only ever text."""

from collections.abc import Sequence
from typing import Any, Literal
from unicodedata import bidirectional

import fiftyone.operators.types as types

from audits.spans import Mark, Piece

COLORS: dict[Mark, str] = {
    "supported": "46, 160, 91",
    "contradicted": "229, 72, 77",
    "unknown": "140, 140, 150",
    "claim": "77, 143, 214",
}
"""Red, green and blue of each verdict's mark; text keeps the App's own color, so that it can be read on either theme."""
STAYS = {
    "position": "sticky",
    "left": 0,
    "zIndex": 1,
    "minWidth": "6.5rem",
    "backgroundColor": "var(--fo-palette-background-level2)",
}
"""The first column where the others are scrolled to."""
INLINE = {"sx": {"display": "inline", "width": "auto"}}
ICON = "fact_check"


MARKED = 400
"""Pieces of a caption with marks of their own: each is an element of the page, which thousands bring to a halt."""
ARROW = "56px"
"""Room for the arrow to the next sample, which FiftyOne puts over the edge of the last panel; it takes the clicks there."""


def column(*, beside_arrow: bool = False) -> Any:
    """A panel's layout: one thing under the other, each as wide as the panel.

    Args:
        beside_arrow: whether the arrow of an open sample lies over the panel's right edge.
    """
    room: dict[str, Any] = {"p": 2, "pb": 6, **({"pr": ARROW} if beside_arrow else {})}
    grid = {"sx": {"gridTemplateColumns": "minmax(0, 1fr)"}}
    return types.GridView(
        orientation="vertical",
        gap=1,
        align_x="stretch",
        componentsProps={"container": {"sx": room}, "grid": grid},
    )


def text(panel: types.Object, name: str, words: str, **style: Any) -> None:
    """A line of plain text."""
    sx = {"whiteSpace": "pre-wrap", "overflowWrap": "anywhere", **style}
    view = types.TextView(
        title=words,
        padding="0",
        color="text.primary",
        font_size="0.9rem",
        componentsProps={"text": {"sx": sx}},
    )
    panel.view(name, view)


def direction(text: str) -> Literal["ltr", "rtl"]:
    """Which way a caption runs: as its first letter does (the first strong character of Unicode's rule P2)."""
    strong = next((found for found in map(bidirectional, text) if found in ("L", "R", "AL")), "L")
    return "ltr" if strong == "L" else "rtl"


def flowing(panel: types.Object, name: str, found: Sequence[Piece], *, height: str = "16rem") -> None:
    """A caption as running text, each piece in the color of its verdict; a long one scrolls."""
    sx = {
        "display": "block",
        "maxHeight": height,
        "overflowY": "auto",
        "direction": direction("".join(piece.text for piece in found)),
        "textAlign": "start",
        "lineHeight": 1.7,
        "p": 1,
        "borderRadius": "4px",
        "backgroundColor": "var(--fo-palette-background-level1)",
    }
    view = types.GridView(orientation="horizontal", gap=0, componentsProps={"grid": {"sx": sx}})
    grid = types.Object()
    rest = "".join(piece.text for piece in found[MARKED:])
    for place, piece in enumerate([*found[:MARKED], Piece(rest)] if rest else found):
        grid.view(f"p{place}", _piece(piece))
    panel.define_property(name, grid, view=view)


def legend(panel: types.Object, name: str) -> None:
    """What the colors mean."""
    words: dict[Mark, str] = {
        "supported": "supported",
        "contradicted": "contradicted",
        "unknown": "the evidence cannot tell",
        "claim": "not judged",
    }
    parts = [part for verdict, label in words.items() for part in (Piece(label, verdict), Piece("   "))]
    view = types.GridView(
        orientation="horizontal", gap=0, componentsProps={"grid": {"sx": {"display": "block"}}}
    )
    grid = types.Object()
    for place, piece in enumerate(parts):
        grid.view(f"p{place}", _piece(piece, size="0.8rem"))
    panel.define_property(name, grid, view=view)


def _piece(piece: Piece, *, size: str = "0.95rem") -> Any:
    sx: dict[str, Any] = {"display": "inline", "whiteSpace": "pre-wrap", "overflowWrap": "anywhere"}
    if piece.mark:
        color = COLORS[piece.mark]
        sx |= {
            "backgroundColor": f"rgba({color}, 0.28)",
            "borderBottom": f"2px solid rgb({color})",
            "borderRadius": "3px",
            "boxDecorationBreak": "clone",
            "WebkitBoxDecorationBreak": "clone",
        }
    return types.TextView(
        title=piece.text,
        padding="0",
        display_mode="inline",
        color="text.primary",
        font_size=size,
        line_height="inherit",
        componentsProps={
            "item": INLINE,
            "container": {**INLINE, "component": "span"},
            "text": {
                "sx": sx,
                "component": "span",
                "title": piece.title,
                "data-verdict": piece.mark or "none",
            },
        },
    )


def table(
    columns: Sequence[tuple[str, str]],
    tooltips: dict[tuple[int, int], str] | None = None,
    *,
    numbers: bool = False,
    **options: Any,
) -> Any:
    """A table that is no wider than the panel: texts are broken, and numbers are scrolled to beside their names.

    Args:
        columns: key and label of each.
        tooltips: by row and column.
        numbers: whether all columns but the first hold numbers, which are never broken.
    """
    cell: dict[str, Any] = {"fontSize": "0.85rem", "py": 0.5, "px": 1, "overflowWrap": "anywhere"}
    if "on_click_cell" in options:
        cell["cursor"] = "pointer"
    head = {"fontWeight": 600, "overflowWrap": "normal"}  # a column is no narrower than a word of its head
    # By the table, since a cell's own style marks which one was clicked.
    styles: dict[str, Any] = {"minWidth": 0, "& .MuiTableCell-root": cell, "& .MuiTableCell-head": head}
    if numbers:
        styles["& .MuiTableCell-root:not(:first-of-type)"] = {
            "whiteSpace": "nowrap",
            "overflowWrap": "normal",
        }
        styles["& .MuiTableCell-root:first-of-type"] = STAYS
    view = types.TableView(componentsProps={"table": {"sx": styles}}, **options)
    for key, label in columns:
        view.add_column(key, label=label)
    for (row, column), words in (tooltips or {}).items():
        view.add_tooltip(row, column, words)
    return view
