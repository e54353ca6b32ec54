"""What the Hub checks of a README.md's head before it takes a commit: as strict as the public one.

A rule is a function of a field's value that yields its mistakes, worded as the public Hub words them.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

from recapdata.hub.cards import HeadError, as_list, find_head, load_head
from recapdata.publishing.licenses import LICENSES

Mistakes = Iterator[str]
MISTAKES_MAX = 100
"""Mistakes of a head that are said; each may name all licenses."""
EMPTY = "empty or missing yaml metadata in repo card"

_LANGUAGE = re.compile(r"[a-z]{2,3}(-[A-Za-z0-9]+)*|multilingual|code")
_REPOSITORY = re.compile(r"[\w.-]+(/[\w.-]+)?(@[\w.-]+)?", re.ASCII)
_TEXTS = (
    *("pretty_name", "pipeline_tag", "library_name", "license_name", "license_link", "extra_gated_prompt"),
    *("extra_gated_heading", "extra_gated_button_content", "paperswithcode_id", "base_model_relation"),
)
_LISTS = (
    *("tags", "task_categories", "task_ids", "size_categories", "annotations_creators", "metrics"),
    *("language_creators", "multilinguality", "source_datasets", "datasets", "base_model", "new_version"),
)


def problems(readme: str) -> tuple[list[str], list[str]]:
    """What is wrong with a README's head (errors) and what could be better (warnings)."""
    head = find_head(readme)
    if head is None:
        return [], [EMPTY]
    try:
        card = load_head(head)
    except HeadError as error:
        return [str(error)], []
    if card is None:
        return [], [EMPTY]
    if not isinstance(card, dict):
        return ["The YAML head has to be a mapping of fields to values."], []
    found = (
        mistake
        for name, rule in RULES.items()
        if card.get(name) is not None
        for mistake in rule(f'"{name}"', card[name])
    )
    errors = list(islice(found, MISTAKES_MAX))
    if card.get("license") == "other" and not card.get("license_name"):
        return errors, ['"license_name" is recommended where "license" is "other"']
    return errors, []


def _text(name: str, value: object) -> Mistakes:
    if not isinstance(value, str):
        yield f"{name} must be a string"


def _texts(name: str, value: object) -> Mistakes:
    for place, each in enumerate(as_list(value)):
        if not isinstance(each, str) or not each.strip():
            yield f"{_at(name, place, value)} must be a non-empty string"


def _flag(name: str, value: object) -> Mistakes:
    if not isinstance(value, bool):
        yield f"{name} must be a boolean"


def _mapping(name: str, value: object) -> Mistakes:
    if not isinstance(value, dict):
        yield f"{name} must be of type object"


def _license(name: str, value: object) -> Mistakes:
    for place, each in enumerate(as_list(value)):
        if not isinstance(each, str) or each not in LICENSES:
            yield f"{_at(name, place, value)} must be one of [{', '.join(sorted(LICENSES))}]; got {each!r}"


def _language(name: str, value: object) -> Mistakes:
    for place, each in enumerate(as_list(value)):
        if each is False:
            yield f'{_at(name, place, value)} is a boolean: put quotes around "no", the code of Norwegian'
        elif not isinstance(each, str) or not _LANGUAGE.fullmatch(each):
            yield (
                f"{_at(name, place, value)} with value {each!r} is not valid: it must be an ISO 639-1, 639-2 or 639-3 code "
                '(two or three letters), "code" or "multilingual"'
            )


def _repositories(name: str, value: object) -> Mistakes:
    for place, each in enumerate(as_list(value)):
        if not isinstance(each, str) or not _REPOSITORY.fullmatch(each):
            yield f"{_at(name, place, value)} with value {each!r} is not valid: use the name of a repository, user/name"


def _configs(name: str, value: object) -> Mistakes:
    if not isinstance(value, list):
        yield f"{name} must be an array"
        return
    for place, config in enumerate(value):
        at = _at(name, place, value)
        if not isinstance(config, dict):
            yield f"{at} must be of type object"
            continue
        yield from _need(at, config, {"config_name": _text})
        if config.get("data_files") is not None:
            yield from _data_files(_below(at, "data_files"), config["data_files"])
    yield from _twice(name, value)


def _data_files(name: str, value: object) -> Mistakes:
    """A pattern, a list of patterns, or a list of splits with their patterns."""
    rows = as_list(value)
    if not rows:
        yield f"{name} must not be empty"
    for place, row in enumerate(rows):
        at = _at(name, place, value)
        if isinstance(row, dict):
            yield from _need(at, row, {"split": _text, "path": _texts})
        elif not isinstance(row, str):
            yield f"{at} must be a string or an object with split and path"
    splits = [row.get("split") for row in rows if isinstance(row, dict)]
    if len(set(map(str, splits))) < len(splits):
        yield f"{name} names a split twice"


def _dataset_info(name: str, value: object) -> Mistakes:
    rows = as_list(value)
    for place, info in enumerate(rows):
        at = _at(name, place, value)
        if not isinstance(info, dict):
            yield f"{at} must be of type object"
            continue
        if len(rows) > 1 or "config_name" in info:
            yield from _need(at, info, {"config_name": _text})
        for part in ("features", "splits"):
            columns = info.get(part)
            if columns is None:
                continue
            if not isinstance(columns, list) or not all(isinstance(each, dict) for each in columns):
                yield f"{_below(at, part)} must be an array of objects"
                continue
            for number, each in enumerate(columns):
                yield from _need(_at(_below(at, part), number, columns), each, {"name": _text})
        for size in ("download_size", "dataset_size"):
            if info.get(size) is not None and (not isinstance(info[size], int) or info[size] < 0):
                yield f"{_below(at, size)} must be a non-negative integer"
    yield from _twice(name, rows)


def _model_index(name: str, value: object) -> Mistakes:
    if not isinstance(value, list):
        yield f"{name} must be an array"
        return
    for place, model in enumerate(value):
        at = _at(name, place, value)
        if not isinstance(model, dict):
            yield f"{at} must be of type object"
            continue
        yield from _need(at, model, {"name": _text, "results": _results})


def _results(name: str, value: object) -> Mistakes:
    if not isinstance(value, list):
        yield f"{name} must be an array"
        return
    for place, result in enumerate(value):
        at = _at(name, place, value)
        if not isinstance(result, dict):
            yield f"{at} must be of type object"
            continue
        yield from _need(at, result, {"task": _mapping, "dataset": _mapping, "metrics": _metrics})
        for part, fields in (("task", ("type",)), ("dataset", ("type", "name"))):
            if isinstance(result.get(part), dict):
                yield from _need(_below(at, part), result[part], dict.fromkeys(fields, _text))


def _metrics(name: str, value: object) -> Mistakes:
    if not isinstance(value, list) or not value:
        yield f"{name} must be an array of at least one metric"
        return
    for place, metric in enumerate(value):
        at = _at(name, place, value)
        if not isinstance(metric, dict):
            yield f"{at} must be of type object"
            continue
        yield from _need(at, metric, {"type": _text, "value": lambda name, value: iter(())})


def _need(name: str, row: Mapping[str, Any], fields: "Mapping[str, Rule]") -> Mistakes:
    """Mistakes in the fields that an object must have."""
    for field, rule in fields.items():
        if row.get(field) is None:
            yield f"{_below(name, field)} is required"
        else:
            yield from rule(_below(name, field), row[field])


def _twice(name: str, rows: Sequence[object]) -> Mistakes:
    names = Counter(
        str(row["config_name"]) for row in rows if isinstance(row, dict) and row.get("config_name")
    )
    for each in sorted(name for name, count in names.items() if count > 1):
        yield f'{name} holds two entries with the same "config_name" {each!r}'


def _at(name: str, place: int, value: object) -> str:
    """The name of an entry of a list; of a value that is none, the field's own."""
    return f'{name[:-1]}[{place}]"' if isinstance(value, list) else name


def _below(name: str, field: str) -> str:
    return f'{name[:-1]}.{field}"'


Rule = Callable[[str, Any], Mistakes]
RULES: Mapping[str, Rule] = {
    "license": _license,
    "language": _language,
    "configs": _configs,
    "dataset_info": _dataset_info,
    "model-index": _model_index,
    "viewer": _flag,
    "extra_gated_fields": _mapping,
    "widget": lambda name, value: iter(
        () if isinstance(value, list | bool) else (f"{name} must be an array",)
    ),
    **dict.fromkeys(_TEXTS, _text),
    **dict.fromkeys(_LISTS, _texts),
    "datasets": _repositories,
    "base_model": _repositories,
}
