"""Finds and renders the Jinja templates of `cards/`, in a checkout and in an installed wheel alike."""

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import jinja2


def cards_folder() -> Path:
    """Where the templates lie: `recapdata/cards` in a wheel, `cards` beside the packages in a checkout."""
    package = Path(__file__).parent
    installed = package / "cards"
    return installed if installed.is_dir() else package.parent / "cards"


@cache
def _environment(autoescape: bool) -> "jinja2.Environment":
    import jinja2

    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(cards_folder()),
        autoescape=autoescape,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )


def render(template: str, **values: Any) -> str:
    """Render a template by name; HTML templates (`*.html.j2`) escape every value, Markdown ones leave it to the template.

    Raises:
        jinja2.UndefinedError: the template uses a value that was not given.
    """
    return _environment(template.endswith(".html.j2")).get_template(template).render(**values)
