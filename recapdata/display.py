"""Results as a person sees them in Python: their text in a terminal, tables in a notebook."""

from collections.abc import Iterable, Sequence
from html import escape
from typing import Any, Protocol, TypeVar


class HasText(Protocol):
    """A result that says itself what there is to say."""

    def text(self) -> str:
        """The lines for a terminal."""


Result = TypeVar("Result", bound=type[HasText])


def shown_as_text(result: Result) -> Result:
    """A class decorator, under `@dataclass`: `repr` is the text that a console command would print."""

    def shown(self: Any) -> str:
        return self.text()

    result.__repr__ = shown  # type: ignore[assignment,method-assign]
    return result


def html_table(header: Sequence[str], rows: Iterable[Sequence[object]], *, caption: str = "") -> str:
    """A table for `_repr_html_`; the first row of cells is a heading, everything is escaped."""
    head = "".join(f"<th>{escape(name)}</th>" for name in header)
    body = "".join(
        "<tr>" + "".join(f"<td>{escape(str(cell))}</td>" for cell in row) + "</tr>" for row in rows
    )
    title = f"<caption>{escape(caption)}</caption>" if caption else ""
    return f"<table>{title}<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
