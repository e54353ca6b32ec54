"""The class names of an ONNX detector: in the model's metadata, or in a file beside it."""

import ast
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from audits.evidence.detections import class_name
from recapdata.errors import ModelNotSupported

SUFFIXES = (".names", ".txt", ".json", ".yaml", ".yml")
"""Of files beside `model.onnx` that hold names, as `model.names` or `model.onnx.names`, in the order in which they are looked for."""

_NUMBERED = re.compile(r"(\d+)\s*[:=,\t ]\s*(.*\S)")


def read_names(path: Path, metadata: Mapping[str, str]) -> tuple[str, ...]:
    """Class names in lower case by their number; empty where a number has no name.

    Args:
        path: the ONNX file.
        metadata: its custom metadata; Ultralytics writes `names` there, as a Python dictionary.

    Raises:
        ModelNotSupported: there are no names, or they cannot be read.
    """
    if metadata.get("names", "").strip():
        return _listed(_literal(metadata["names"]), f"the metadata `names` of {path}")
    for suffix in SUFFIXES:
        for beside in (path.with_suffix(suffix), path.with_name(path.name + suffix)):
            if beside.is_file():
                return _listed(_content(beside), str(beside))
    stem = path.with_suffix("")
    raise ModelNotSupported(
        f"{path} has no names for its classes; write them into {stem}.names, one a line in the order of the model's classes "
        f"(or {stem}.json or {stem}.yaml with a list `names`), or export it with `names` in its metadata, as Ultralytics does"
    )


def _literal(text: str) -> Any:
    """A list or dictionary as Python or JSON writes it; None where the text is neither."""
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        try:
            return json.loads(text)
        except ValueError:
            return None


def _content(path: Path) -> Any:
    """The names in a file as it holds them; None where it cannot be read."""
    try:
        text = path.read_text(encoding="utf-8-sig")
        if path.suffix == ".json":
            return json.loads(text)
        if path.suffix in (".yaml", ".yml"):
            return yaml.safe_load(text)
    except (OSError, ValueError, yaml.YAMLError):
        return None
    lines = [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("#")]
    numbered = [_NUMBERED.fullmatch(line) for line in lines]
    if lines and [int(each[1]) for each in numbered if each] == list(range(len(lines))):
        return [each[2] for each in numbered if each]
    return lines


def _listed(names: Any, where: str) -> tuple[str, ...]:
    """Names as a list, or by number in a dictionary, with or without `names` around them."""
    for key in ("names", "id2label", "classes"):
        if isinstance(names, Mapping) and key in names:
            names = names[key]
    if isinstance(names, Mapping) and names and all(isinstance(each, int) for each in names.values()):
        names = {number: name for name, number in names.items()}
    if isinstance(names, Mapping):
        try:
            numbers = {int(number): str(name) for number, name in names.items()}
        except (TypeError, ValueError):
            numbers = {}
        count = max(numbers, default=-1) + 1
        names = [numbers.get(number, "") for number in range(count)] if min(numbers, default=-1) >= 0 else []
    if isinstance(names, list | tuple):
        found = tuple(class_name(each) if isinstance(each, str) else "" for each in names)
        if any(found):
            return found
    raise ModelNotSupported(
        f"{where} cannot be read as names of classes; give a list, one name a line, or a dictionary from number to name"
    )
