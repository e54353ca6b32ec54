"""The YAML head of a README.md: read within bounds, as card data and as tags to filter by."""

import math
import re
from typing import Any

import yaml

FRONT_MATTER = re.compile(
    r"\A\ufeff?(?:\s*\n)?---[ \t]*\r?\n(.*?)(?:\r?\n)?^---[ \t]*\r?$", re.DOTALL | re.MULTILINE
)
"""As on the public Hub, empty lines may come before it."""
HEAD_MAX_CHARACTERS = 2 * 2**20
VALUES_MAX = 200_000
"""Values of a head, those that aliases repeat counted each time."""
DEPTH_MAX = 40
INTEGER_MAX = 2**63 - 1
# Fields whose values become tags `field:value`, by which the clients filter lists.
_ORIGIN_FIELDS = ("annotations_creators", "language_creators", "language", "license", "multilinguality")
_TAGGED = (*_ORIGIN_FIELDS, "size_categories", "source_datasets", "task_categories", "task_ids")


class _Loader(yaml.CSafeLoader):
    """The safe loader in C, with texts for the keys of a mapping: a hundred thousand integers may be of one hash, and take minutes."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[str, Any]:  # type: ignore[override]
        if not isinstance(node, yaml.MappingNode):
            raise yaml.YAMLError(f"a mapping was expected, not {node.tag}")
        self.flatten_mapping(node)
        return {self._key(key): self.construct_object(value, deep=deep) for key, value in node.value}

    def _key(self, node: yaml.Node) -> str:
        if not isinstance(node, yaml.ScalarNode):
            raise yaml.YAMLError("a key is a list or a mapping")
        return str(_plain(self.construct_object(node, deep=True)))


_CONSTRUCTORS = (AttributeError, LookupError, OverflowError, RecursionError)
"""What PyYAML's constructors raise of values that their tags do not fit, such as `!!int ''`."""


class HeadError(ValueError):
    """A head that is no YAML, or more of it than anybody needs."""


def find_head(readme: str) -> str | None:
    """The text between the two lines of dashes; None if there is none."""
    match = FRONT_MATTER.match(readme)
    return match[1] if match else None


def load_head(text: str) -> Any:
    """The value of a head, of plain values as JSON has them (dates become texts).

    Raises:
        HeadError: it is no YAML, refers to itself, or is larger or deeper than `VALUES_MAX` and `DEPTH_MAX` allow.
    """
    try:
        _check_size(text)
        return _plain(yaml.load(text, Loader=_Loader))
    except HeadError:
        raise
    except (yaml.YAMLError, ValueError, TypeError, *_CONSTRUCTORS) as error:
        raise HeadError(f"The YAML head cannot be read: {' '.join(str(error).split())[:300]}") from error


def read_card(readme: str) -> dict[str, Any]:
    """The fields of a README's head; none if it has no head, or one that cannot be read."""
    head = find_head(readme)
    try:
        card = load_head(head) if head is not None else None
    except HeadError:
        return {}
    return card if isinstance(card, dict) else {}


def tags(card: dict[str, Any]) -> list[str]:
    """The tags of a card: its own, and one per value of the fields that lists are filtered by."""
    found = [tag for tag in as_list(card.get("tags")) if isinstance(tag, str)]
    for name in _TAGGED:
        found += [f"{name}:{value}" for value in as_list(card.get(name))]
    found += [f"dataset:{value}" for value in as_list(card.get("datasets"))]
    return list(dict.fromkeys(found))


def as_list(value: object) -> list[Any]:
    """A list, or a value that stands for a list of one; none for null."""
    if value is None:
        return []
    return value if isinstance(value, list) else [value]


def _check_size(text: str) -> None:
    """Walk through the events of a head, before anything is made of it.

    Raises:
        HeadError: it is too large or too deep, or an alias refers to what it is part of.
    """
    if len(text) > HEAD_MAX_CHARACTERS:
        raise HeadError(f"The YAML head has {len(text):,} characters; at most {HEAD_MAX_CHARACTERS:,}.")
    sizes: dict[str, int] = {}  # values below each anchor, aliases counted in full
    open_nodes: list[tuple[str | None, int]] = []  # anchor, and the count when it began
    count = 0
    for event in yaml.parse(text, Loader=yaml.CSafeLoader):
        if isinstance(event, yaml.AliasEvent):
            if event.anchor not in sizes:
                raise HeadError(f"The YAML head's alias *{event.anchor} refers to itself or to nothing.")
            count += sizes[event.anchor]
        elif isinstance(event, yaml.CollectionStartEvent):
            count += 1
            open_nodes.append((event.anchor, count))
        elif isinstance(event, yaml.CollectionEndEvent):
            anchor, before = open_nodes.pop()
            if anchor is not None:
                sizes[anchor] = count - before + 1
        elif isinstance(event, yaml.ScalarEvent):
            count += 1
            if event.anchor is not None:
                sizes[event.anchor] = 1
        if len(open_nodes) > DEPTH_MAX:
            raise HeadError(f"The YAML head is nested more than {DEPTH_MAX} levels deep.")
        if count > VALUES_MAX:
            raise HeadError(f"The YAML head has more than {VALUES_MAX:,} values, aliases included.")


def _plain(value: Any) -> Any:
    """YAML values as JSON has them."""
    if isinstance(value, dict):
        return {str(_plain(key)): _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, int):
        return value if abs(value) <= INTEGER_MAX else hex(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    return str(value).encode("utf-8", "replace").decode()
