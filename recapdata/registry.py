"""Extension points: what a name on the command line loads, from a table, a dotted path or an entry point.

A registry resolves, in this order,

    NAME[:ARGUMENT]                         a name of its table, `name → "module:attribute"`
    NAME[:ARGUMENT]                         an entry point of its group, which an installed package declares
    package.module:attribute[:ARGUMENT]     code of the user's own: installed, on PYTHONPATH or in the working directory

Only what a user typed is resolved: a dotted path in a dataset, a manifest or a model never is.
"""

import inspect
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any

from recapdata.errors import OptionError, RecapdataError
from recapdata.suggestions import did_you_mean

DOTTED = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*:[A-Za-z_]\w*")
"""A path to code: `package.module:attribute`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Registry:
    """One extension point.

    Attributes:
        kind: what it holds, in the singular, as messages say it.
        table: name → `module:attribute` of what this package brings.
        group: entry points of this group add names; a name of the table is never replaced.
        error: raised where a name cannot be resolved or what it names cannot be used.
    """

    kind: str
    table: Mapping[str, str]
    group: str
    error: type[RecapdataError] = OptionError

    def names(self) -> list[str]:
        """The names of the table, then those of entry points."""
        return list(dict.fromkeys([*self.table, *sorted(entry_points(group=self.group).names)]))

    def split(self, text: str) -> tuple[str, str | None]:
        """The name or dotted path of what a user typed, and its argument; None where nothing follows.

        Raises:
            RecapdataError: neither a known name nor a dotted path; the message lists the known names.
        """
        name, colon, argument = text.partition(":")
        if name not in self.table and name not in self._entry_points():
            dotted = DOTTED.match(text)
            rest = text[dotted.end() :] if dotted else ""
            if dotted is None or rest[:1] not in ("", ":"):
                raise self.error(self._unknown(name))
            name, colon, argument = dotted[0], rest[:1], rest[1:]
        return name, argument if colon else None

    def path(self, name: str) -> str:
        """The path `module:attribute` of a name, which a dotted path is itself; nothing is imported.

        Raises:
            RecapdataError: an unknown name, or one that two installed packages declare.
        """
        if name in self.table:
            return self.table[name]
        if point := self._entry_points().get(name):
            return f"{point.module}:{point.attr}"
        if DOTTED.fullmatch(name):
            return name
        raise self.error(self._unknown(name))

    def load(self, name: str) -> Any:
        """What a name stands for, its module imported only now.

        Raises:
            RecapdataError: an unknown name; no such module or attribute, or a module that cannot be imported.
        """
        path = self.path(name)
        if name in self.table:
            return load_attribute(path)
        try:
            return load_dotted(path)
        except ModuleMissing as error:
            unknown = f"{self._unknown(name.partition(':')[0])}; " if "." not in name else ""
            raise self.error(f"{unknown}{error}") from error
        except OptionError as error:
            raise self.error(str(error)) from error

    def open(self, name: str, *arguments: Any, protocol: type) -> Any:
        """What the function of a name returns for these arguments.

        Args:
            protocol: what it must be; the attributes of code from outside are looked for, since a type checker never saw it.

        Raises:
            RecapdataError: as `load`; and of code from outside: it is not callable, takes other arguments, fails, or returns
                something else.
        """
        function = self.load(name)
        if name in self.table:
            return function(*arguments)
        if not callable(function):
            raise self.error(
                f"{name} is a {type(function).__name__} and not a function that opens a {self.kind}"
            )
        try:
            inspect.signature(function).bind(*arguments)
        except TypeError as error:
            given = ", ".join(type(argument).__name__ for argument in arguments)
            raise self.error(
                f"{name}{inspect.signature(function)} cannot be called with ({given}), as what opens a {self.kind} is: {error}"
            ) from error
        try:
            opened = function(*arguments)
        except RecapdataError:
            raise
        except Exception as error:
            raise self.error(f"{name} failed: {type(error).__name__}: {error}") from error
        if lacking := [name for name in _members(protocol) if not hasattr(opened, name)]:
            raise self.error(
                f"{name} returned a {type(opened).__name__}, which is no {self.kind}: it has no {', '.join(lacking)} "
                f"(see {protocol.__module__}.{protocol.__qualname__})"
            )
        return opened

    def _entry_points(self) -> dict[str, EntryPoint]:
        found: dict[str, EntryPoint] = {}
        for point in entry_points(group=self.group):
            if (other := found.setdefault(point.name, point)).value != point.value:
                raise self.error(
                    f"two installed packages declare a {self.kind} {point.name!r}: {other.value} and {point.value}; "
                    "give one of these paths instead"
                )
        return found

    def _unknown(self, name: str) -> str:
        meant = did_you_mean(name, self.names())
        if not self.names():
            return f"no {self.kind} {name!r}; give package.module:name"
        return f"no {self.kind} {name!r}{meant}; there are {', '.join(self.names())}, or give package.module:function"


class ModuleMissing(OptionError):
    """The module of a dotted path does not exist."""


def load_attribute(path: str) -> Any:
    """The attribute at a path `module:attribute` of a table."""
    module, _, attribute = path.partition(":")
    return getattr(import_module(module), attribute)


def load_dotted(path: str) -> Any:
    """The attribute at a path `package.module:attribute` that a user typed.

    The working directory is searched last, and stays searched, since code may import more of itself when it runs.

    Raises:
        OptionError: no such module or attribute, or the module cannot be imported.
    """
    module, _, attribute = path.partition(":")
    here = str(Path.cwd())
    if here not in sys.path and "" not in sys.path:
        sys.path.append(here)
    try:
        found = import_module(module)
    except RecapdataError:
        raise
    except ModuleNotFoundError as error:
        if error.name is None or not f"{module}.".startswith(f"{error.name}."):
            raise OptionError(f"{path}: {module} imports {error.name}, which is not installed") from error
        raise ModuleMissing(
            f"{path}: there is no module {error.name}; install its package, run the command in the folder that holds it, "
            "or name that folder in PYTHONPATH"
        ) from error
    except Exception as error:
        raise OptionError(f"{path}: {module} cannot be imported: {type(error).__name__}: {error}") from error
    if not hasattr(found, attribute):
        raise OptionError(f"{path}: {module} has no {attribute}")
    return getattr(found, attribute)


def _members(protocol: type) -> list[str]:
    """The public attributes and methods of a protocol."""
    return [name for name in inspect.get_annotations(protocol) | vars(protocol) if not name.startswith("_")]
