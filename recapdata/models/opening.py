"""What is checked of a stranger's model before a library opens it, and what the library raises about its files, in one line.

No code of a model runs, and none of its sizes may exhaust the machine: libraries build modules one by one, as many as a configuration says,
before they look whether there are weights for them.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from recapdata.console import is_full_disk
from recapdata.endpoint import hub_errors
from recapdata.errors import ModelNotSupported, RecapdataError
from recapdata.models.sources import ModelSource, pinned_file

MOST_JSON = 16 * 2**20
"""Bytes of a model's JSON file that is read whole."""
MOST = {"layer": 1_000, "depth": 1_000, "expert": 10_000, "label": 100_000, "timesteps": 1_000_000}
"""The largest number under a name of a configuration that has the word in it: so many things are made one by one."""
NUMBERED = "label2id"
"""What gives classes their numbers, by names that are anybody's."""

TRIED = "a picture"
"""What a tokenizer is tried on: some that can be loaded fail, or panic, on any text."""


def one_line(error: BaseException) -> str:
    """The type of an error and the beginning of its message."""
    return f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"


@contextmanager
def opening(name: str, message: str, hint: str = "") -> Iterator[None]:
    """Turn whatever a library raises about a model's files into one line.

    Args:
        name: the model, for errors of the Hub.
        message: what failed; the error's own words follow.
        hint: what is expected instead; it closes the message.

    Raises:
        ModelNotSupported: the library cannot make use of the files.
        HubError: the Hub cannot be reached.
    """
    try:
        with hub_errors(name):
            yield
    except RecapdataError:
        raise
    except BaseException as error:
        # Files that fit no expectation end in any exception at all; tokenizers raises a bare Exception, and panics of Rust are none.
        if not isinstance(error, Exception) and type(error).__module__ != "pyo3_runtime":
            raise
        if is_full_disk(error):
            raise
        raise ModelNotSupported(f"{message}: {one_line(error)}{hint}") from error


def read_json(source: ModelSource, name: str) -> dict[str, Any] | None:
    """The object in a JSON file of a model; None where there is no such file.

    Raises:
        ModelNotSupported: it is no JSON object, or larger than any configuration.
        HubError: the Hub cannot be reached.
    """
    path = pinned_file(source, name)
    if path is None:
        return None
    try:
        if path.stat().st_size > MOST_JSON:
            raise ModelNotSupported(f"{source.name}: its {name} is too large for a configuration")
        content = json.loads(path.read_text(encoding="utf8"))
    except (OSError, ValueError, RecursionError) as error:
        raise ModelNotSupported(f"{source.name}: its {name} cannot be read ({one_line(error)})") from error
    if not isinstance(content, dict):
        raise ModelNotSupported(f"{source.name}: its {name} is no JSON object")
    return content


def check_sizes(source: ModelSource, name: str) -> None:
    """Refuse a configuration that lets a library make more parts of a model than any has.

    Raises:
        ModelNotSupported: a number in the file is too large, or it cannot be read.
    """
    left: list[tuple[str, Any]] = [("", read_json(source, name))]
    while left:
        key, value = left.pop()
        if isinstance(value, dict):
            left += ((str(own), each) for own, each in value.items() if own != NUMBERED)
        elif isinstance(value, list):
            left += ((key, each) for each in value)
        elif isinstance(value, int | float):
            most = min((number for word, number in MOST.items() if word in key), default=None)
            if most is not None and not value <= most:
                raise ModelNotSupported(
                    f"{source.name}: its {name} says {key} {value:g}, more than {most:,}, which no model has"
                )
