"""Lazy loading by name: `module:attribute`, as the tables of the packages have it, and as a user gives it for code of their own."""

import re
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

from recapdata.errors import OptionError

DOTTED = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*:[A-Za-z_]\w*")
"""What a path to code looks like: `package.module:attribute`."""


def load_attribute(path: str) -> Any:
    """The attribute at a path `module:attribute`, its module imported when it is first asked for."""
    module, _, attribute = path.partition(":")
    return getattr(import_module(module), attribute)


def load_own(path: str) -> Any:
    """The attribute at a path `package.module:attribute` that a user gave; modules in the working directory are found as well.

    The working directory is searched last, and stays searched, since code may import more of itself when it runs.

    Raises:
        OptionError: no such module or attribute, or the module cannot be imported.
    """
    module, _, attribute = path.partition(":")
    here = str(Path.cwd())
    if here not in sys.path and "" not in sys.path:
        sys.path.append(here)
    try:
        import_module(module)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{module}.".startswith(f"{error.name}."):
            raise OptionError(f"{path}: {module} imports {error.name}, which is not installed") from error
        raise OptionError(
            f"{path}: there is no module {error.name}; install its package, run the command in the folder that holds it, "
            "or name that folder in PYTHONPATH"
        ) from error
    except Exception as error:
        raise OptionError(f"{path}: {module} cannot be imported: {type(error).__name__}: {error}") from error
    try:
        return load_attribute(path)
    except AttributeError as error:
        raise OptionError(f"{path}: {module} has no {attribute}") from error
