"""Evidence is what is known of an image: one protocol, one table, and the data type that all sources give.

A new source is one module and one line in `SOURCES`. What a source cannot see is its `Scope`'s to say, so that a claim about
it stays unknown and is never called wrong.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Protocol

from recapdata.errors import OptionError
from recapdata.records import Object
from recapdata.targets import Target

SOURCES: Mapping[str, str] = {
    "annotations": "audits.evidence.annotations:open_annotations",
}
"""Evidence sources by name; each opens a target: `open(target) -> EvidenceSource`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """What a source can see at all, over the whole dataset.

    Attributes:
        classes: classes whose absence from an image means that they are not there.
        attributes: those of `color`, `size` and `text` that are known for what it sees.
    """

    classes: frozenset[str] = frozenset()
    attributes: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What one source saw in one image of `width` × `height` pixels.

    Attributes:
        uncounted: classes of which it saw more than it lists, a crowd say.
    """

    source: str
    scope: Scope
    objects: tuple[Object, ...]
    width: int
    height: int
    uncounted: frozenset[str] = frozenset()


class EvidenceSource(Protocol):
    """One way to know what an image shows.

    Attributes:
        name: its name in `SOURCES`.
        columns: the columns of the target that `collect` needs in its rows.
        scope: what it can see.
    """

    name: str
    columns: tuple[str, ...]
    scope: Scope

    def identity(self, shard: int) -> str:
        """What the evidence of a shard depends on: parameters, scope, and the content it is read from."""
        ...

    def collect(self, rows: Sequence[Mapping[str, Any]]) -> list[Evidence | None]:
        """The evidence of each row, None where the source knows nothing of it."""
        ...


def open_evidence(name: str, target: Target) -> EvidenceSource:
    """The source of that name, opened on a target.

    Raises:
        OptionError: no source of that name.
    """
    if name not in SOURCES:
        raise OptionError(f"no evidence source {name!r}; there are: {', '.join(SOURCES)}")
    module, attribute = SOURCES[name].split(":")
    source: EvidenceSource = getattr(import_module(module), attribute)(target)
    return source
