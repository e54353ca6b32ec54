"""What panels are made of: captions that stay whole, and numbers that stay in one piece."""

from types import ModuleType
from typing import Any


def texts(grid: dict[str, Any]) -> list[str]:
    return [each["view"]["title"] for each in grid["type"]["properties"].values()]


def test_a_long_caption_is_whole_in_few_elements(fo: ModuleType) -> None:
    import fiftyone.operators.types as types

    from audits.fiftyone.plugin import looks
    from audits.spans import Piece

    panel = types.Object()
    parts = [piece for _ in range(2857) for piece in (Piece("A "), Piece("dog", "supported"), Piece(". "))]
    looks.flowing(panel, "long", parts)
    looks.flowing(panel, "short", parts[:3])
    found = panel.to_json()["properties"]
    assert "".join(texts(found["long"])) == "A dog. " * 2857
    assert len(texts(found["long"])) == looks.MARKED + 1
    assert texts(found["short"]) == ["A ", "dog", ". "]


def test_numbers_are_never_broken(fo: ModuleType) -> None:
    from audits.fiftyone.plugin import looks

    columns = [("name", "Figure"), ("a", "recap-short")]
    styles = [
        looks.table(columns, numbers=numbers).to_json()["componentsProps"]["table"]["sx"]
        for numbers in (True, False)
    ]
    cells = "& .MuiTableCell-root:not(:first-of-type)"
    assert styles[0][cells]["whiteSpace"] == "nowrap"
    assert styles[0][cells]["overflowWrap"] == "normal"
    assert cells not in styles[1]  # texts are broken, so that the table is no wider than the panel
