"""Lazy loading by name: `module:attribute`, as the tables of the packages have it, and as a user gives it for code of their own."""

import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

from recapdata.errors import OptionError

DOTTED = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*:[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*")
"""What a path to code looks like: `package.module:attribute`."""


def load_attribute(path: str) -> Any:
    """The attribute at a path `module:attribute` of a table, its module imported when it is first asked for."""
    module, _, attributes = path.partition(":")
    value = import_module(module)
    for name in attributes.split("."):
        value = getattr(value, name)
    return value


def load_own(path: str) -> Any:
    """The attribute at a path `package.module:attribute` that a user gave; modules in the working directory are found as well.

    Raises:
        OptionError: no such module or attribute.
    """
    module, _, attributes = path.partition(":")
    with _working_directory_on_path():
        try:
            return load_attribute(path)
        except ModuleNotFoundError as error:
            if error.name is None or not f"{module}.".startswith(f"{error.name}."):
                raise OptionError(f"{path}: {module} imports {error.name}, which is not installed") from error
            raise OptionError(
                f"{path}: there is no module {error.name}; install its package, run the command in the folder that holds it, "
                "or name that folder in PYTHONPATH"
            ) from error
        except AttributeError as error:
            if error.obj is not sys.modules.get(module) and "." not in attributes:
                raise
            raise OptionError(f"{path}: {module} has no {attributes}") from error


@contextmanager
def _working_directory_on_path() -> Iterator[None]:
    """Let modules of the working directory be imported, after all others, as `python -m` does and console commands do not."""
    here = str(Path.cwd())
    if here in sys.path or "" in sys.path:
        yield
        return
    sys.path.append(here)
    try:
        yield
    finally:
        sys.path.remove(here)
