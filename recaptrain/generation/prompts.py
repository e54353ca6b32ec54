"""What is to be drawn: prompts of a file, a benchmark or a dataset's captions, with their pictures' names and seeds."""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from recapdata.dataset.target import open_dataset
from recapdata.errors import InputError
from recapdata.prompt_files import PromptRow, read_prompt_file

LONGEST = 200
"""Bytes of a prompt's name; file systems take 255, with what is put before and behind it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompt:
    """One picture to make.

    Attributes:
        id: names the picture: the prompt's name, or its number, and behind the first picture of a prompt the picture's number.
        prompt_id: the prompt's name, which its pictures share.
        prompt: what the model is given, before the policy for long prompts.
        original: what a person asked for, where a model rewrote it; otherwise the same.
        category: of the benchmark; None where there is none.
        fields: whatever else the file says of the prompt: GenEval's objects, GenEval 2's questions, …
    """

    id: str
    prompt_id: str
    prompt: str
    seed: int
    original: str
    category: str | None = None
    fields: Mapping[str, Any] = field(default_factory=dict)


def read_prompts(
    source: str | Path, seed: int, *, images_per_prompt: int = 1, limit: int | None = None
) -> list[Prompt]:
    """Read prompts from a file or folder (see `recapdata.prompt_files`), or the captions of `DATASET:SET`.

    A field `original` is the prompt before it was rewritten, `seed` its first picture's seed. A picture without a seed gets one
    from the run's seed and its own name, so that no two share their noise, and more pictures per prompt leave the first as they were.

    Args:
        source: a path, or `user/name[@revision]:SET` or `DIR:SET`, whose prompts are named by their records' keys.
        limit: that many of the prompts, drawn by their names; all where None.

    Raises:
        InputError: no such file, not UTF-8, no prompts, a row without a prompt, a name that comes twice or can name no file.
        SourceNotFound, NotADataset, CaptionSetNotFound: no such dataset or set.
    """
    named = read_named_rows(source, limit)
    prompts = [_prompt(name, row, seed, number) for name, row in named for number in range(images_per_prompt)]
    _check_once(source, (prompt.id for prompt in prompts))
    return prompts


def read_named_rows(source: str | Path, limit: int | None = None) -> list[tuple[str, PromptRow]]:
    """The rows of prompts with their names, by which pictures, seeds and rewritten prompts belong together; see `read_prompts`."""
    named = [(_name(row, number), row) for number, row in enumerate(_rows(source))]
    if not named:
        raise InputError(f"{source} holds no prompts; write one per line")
    if limit is not None and limit < len(named):
        chosen = set(sorted((name for name, _ in named), key=lambda name: derived_seed(0, name))[:limit])
        named = [(name, row) for name, row in named if name in chosen]
    _check_once(source, (name for name, _ in named))
    return named


def _check_once(source: str | Path, names: Iterable[str]) -> None:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise InputError(f"{source}: id {name!r} comes twice; ids name the pictures")
        seen.add(name)


def derived_seed(seed: int, name: str) -> int:
    """The seed of one picture: 63 bits that are a function of the run's seed and the picture's name."""
    digest = hashlib.blake2b(f"{seed}:{name}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1


def _rows(source: str | Path) -> Iterator[PromptRow]:
    target, colon, set_name = str(source).rpartition(":")
    if not colon or Path(source).exists():
        return read_prompt_file(Path(source))
    return _captions(target, set_name)


def _captions(target: str, set_name: str) -> Iterator[PromptRow]:
    """The captions of a set, named by their keys; a record without one has no prompt."""
    dataset = open_dataset(target)
    for shard in dataset.shards():
        for batch in dataset.read(shard, ["key", set_name]):
            for key, caption in zip(*(column.to_pylist() for column in batch), strict=True):
                if caption:
                    yield PromptRow(
                        caption, f"{dataset.name}, record {key}", {"key": key, "set": set_name}, name=key
                    )


def _name(row: PromptRow, number: int) -> str:
    name = f"{number:05d}" if row.name is None else row.name
    if not name or "/" in name or "\\" in name or "\0" in name or name.startswith("."):
        raise InputError(f"{row.where}: id {name[:100]!a} cannot name a file")
    try:
        length = len(name.encode())
    except UnicodeEncodeError as error:
        raise InputError(f"{row.where}: id {name[:100]!a} cannot name a file, since it is no text") from error
    if length > LONGEST:
        raise InputError(
            f"{row.where}: id {name[:100]!a} is too long to name a file; {LONGEST} bytes are the most"
        )
    return name


def _prompt(name: str, row: PromptRow, seed: int, number: int) -> Prompt:
    fields = dict(row.row)
    own, original = fields.pop("seed", None), fields.pop("original", None)
    if own is not None and (not isinstance(own, int) or isinstance(own, bool) or not 0 <= own < 2**63):
        raise InputError(f"{row.where}: seed {own!r} is not a whole number from 0 to 2^63 - 1")
    for known in ("id", "category"):
        fields.pop(known, None)
    picture = name if number == 0 else f"{name}-{number}"
    return Prompt(
        id=picture,
        prompt_id=name,
        prompt=row.prompt,
        seed=derived_seed(seed, picture) if own is None else (own + number) % 2**63,
        original=original if isinstance(original, str) else row.prompt,
        category=row.category,
        fields=fields,
    )
