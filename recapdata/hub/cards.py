"""The YAML head of a README.md: card data, tags to filter by, and its errors."""

import re
from typing import Any

import yaml

FRONT_MATTER = re.compile(r"\A\ufeff?---[ \t]*\r?\n(.*?)(?:\r?\n)?^---[ \t]*\r?$", re.DOTALL | re.MULTILINE)
# Fields whose values become tags `field:value`, by which the clients filter lists.
_ORIGIN_FIELDS = ("annotations_creators", "language_creators", "language", "license", "multilinguality")
_TAGGED = (*_ORIGIN_FIELDS, "size_categories", "source_datasets", "task_categories", "task_ids")
_WORD_FIELDS = ("license", "license_name", "pretty_name", "pipeline_tag", "library_name")
_LIST_FIELDS = ("tags", "language", "task_categories", "size_categories", "annotations_creators", "datasets")


def read_card(readme: str) -> dict[str, Any] | None:
    """The YAML head of a README as plain values; None if there is none or it cannot be read."""
    match = FRONT_MATTER.match(readme)
    if not match:
        return None
    try:
        card = yaml.safe_load(match[1])
    except yaml.YAMLError:
        return None
    return _plain(card) if isinstance(card, dict) else None


def tags(card: dict[str, Any]) -> list[str]:
    """The tags of a card: its own, and one per value of the fields that lists are filtered by."""
    found = [tag for tag in _as_list(card.get("tags")) if isinstance(tag, str)]
    for name in _TAGGED:
        found += [f"{name}:{value}" for value in _as_list(card.get(name))]
    found += [f"dataset:{value}" for value in _as_list(card.get("datasets"))]
    return list(dict.fromkeys(found))


def problems(readme: str) -> tuple[list[str], list[str]]:
    """What is wrong with a README's head (errors) and what could be better (warnings), as the Hub checks before a commit."""
    match = FRONT_MATTER.match(readme)
    if not match:
        return [], ["empty or missing yaml metadata in repo card"]
    try:
        card = yaml.safe_load(match[1])
    except yaml.YAMLError as error:
        return [f"The YAML head cannot be read: {' '.join(str(error).split())}"], []
    if card is None:
        return [], ["empty or missing yaml metadata in repo card"]
    if not isinstance(card, dict):
        return ["The YAML head has to be a mapping of fields to values."], []
    errors = [
        f'"{name}" has to be one word or text' for name in _WORD_FIELDS if not _is_word(card.get(name, ""))
    ]
    errors += [
        f'"{name}" has to be a text or a list of texts'
        for name in _LIST_FIELDS
        if not all(isinstance(value, str) for value in _as_list(card.get(name)))
    ]
    return errors + _config_problems(card.get("configs")), []


def _config_problems(configs: object) -> list[str]:
    if configs is None:
        return []
    if not isinstance(configs, list) or not all(isinstance(config, dict) for config in configs):
        return ['"configs" has to be a list of mappings']
    names = [config.get("config_name") for config in configs]
    errors = [] if all(isinstance(name, str) for name in names) else ['every config needs a "config_name"']
    if len(set(map(str, names))) < len(names):
        errors.append('two "configs" have the same "config_name"')
    return errors


def _is_word(value: object) -> bool:
    return (
        value is None
        or isinstance(value, str)
        or (isinstance(value, list) and all(isinstance(v, str) for v in value))
    )


def _as_list(value: object) -> list[Any]:
    if value is None:
        return []
    return value if isinstance(value, list) else [value]


def _plain(value: Any) -> Any:
    """YAML values as JSON has them: dates become texts."""
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return value if isinstance(value, str | int | float | bool | None) else str(value)
