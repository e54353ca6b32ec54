"""Captions of a dataset as they are wanted of rewritten prompts: few-shot examples, their lengths, and a sample to compare with."""

import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from audits.clip.skew import sampler
from audits.text.coverage import count_words
from recapdata.dataset.target import Target, open_dataset
from recapdata.errors import CaptionSetNotFound, InputError, OptionError

LOW, HIGH = 0.1, 0.9
"""Quantiles of the captions' lengths between which a rewritten prompt is to be."""
LONGEST_PROMPT = 60
"""Words of what a person types, of examples as prompt and caption."""
_MEANINGFUL = re.compile(r"[<>\[\]{}|\x00-\x1f\x7f-\x9f\ud800-\udfff]")
"""What a chat template may take for a mark of its own; captions with it are not shown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """A caption, and what a person might have typed for it; None where that is not known."""

    caption: str
    prompt: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Examples:
    """Captions of one set.

    Attributes:
        source: the dataset at its commit, a folder by its name, and the set.
        place: the dataset's folder, or its name on a Hub.
        shown: examples for the language model, the same for every prompt.
        shortest, longest: words that most captions have.
        sample: captions of the set, of a large one some, which rewritten prompts are compared with.
        dataset: to ask for what else it holds.
    """

    source: str
    place: str
    shown: Sequence[Example]
    shortest: int
    longest: int
    sample: Sequence[str]
    dataset: Target


def read_examples(source: str, *, shots: int, prompts: str | None = None, seed: int = 0) -> Examples:
    """Read the captions of `DATASET[@revision]:SET` and choose examples among those of usual length.

    Args:
        shots: how many; drawn by the records' keys, so that they are the same on every machine.
        prompts: caption set or text column with what people type.

    Raises:
        OptionError: no `:SET`.
        CaptionSetNotFound, ColumnNotFound: no such set or column.
        InputError: no captions in it that could be shown.
    """
    target, colon, set_name = source.rpartition(":")
    if not colon or not target or not set_name:
        raise OptionError(
            f"--examples {source}: give a dataset and one of its caption sets, user/name@v1.0.0:SET"
        )
    dataset = open_dataset(target)
    if set_name not in dataset.set_names():
        raise CaptionSetNotFound(
            f"--examples {source}: {dataset.name} has no caption set {set_name!r}; it has {', '.join(dataset.set_names()) or 'none'}"
        )
    wanted = sampler(sum(dataset.rows(shard) for shard in dataset.shards()))
    rows = [row for row in _rows(dataset, set_name, prompts) if wanted(row[0])]
    captions = [caption for _, caption, _ in rows]
    if not captions:
        raise InputError(f"--examples {source}: there are no captions in it")
    shortest, longest = (
        round(float(each)) for each in np.quantile([count_words(each) for each in captions], [LOW, HIGH])
    )
    usable: dict[str, tuple[str, Example]] = {}
    for key, caption, prompt in rows:
        usual = shortest <= count_words(caption) <= longest and not _MEANINGFUL.search(caption)
        if usual and (prompts is None or _short(prompt)):
            usable.setdefault(caption, (key, Example(caption=caption, prompt=prompt)))
    if not usable:
        raise InputError(
            f"--examples {source}: none of its {len(captions):,} captions can be shown"
            + (f" with a prompt of column {prompts}, up to {LONGEST_PROMPT} words" if prompts else "")
        )
    chosen = sorted(usable.values(), key=lambda each: hashlib.sha256(f"{seed}/{each[0]}".encode()).digest())
    return Examples(
        source=f"{dataset.name}@{dataset.commit}:{set_name}"
        if dataset.published
        else f"{Path(dataset.name).name}:{set_name}",
        place=dataset.name if dataset.published else str(Path(dataset.name).absolute()),
        shown=[example for _, example in chosen[:shots]],
        shortest=max(shortest, 1),
        longest=max(longest, 1),
        sample=captions,
        dataset=dataset,
    )


def _rows(dataset: Target, set_name: str, prompts: str | None) -> Iterator[tuple[str, str, str | None]]:
    """Key, caption and prompt of each record that has a caption."""
    columns = ["key", set_name, *([prompts] if prompts else [])]
    for shard in dataset.shards():
        for batch in dataset.read(shard, columns):
            for key, caption, *more in zip(*(column.to_pylist() for column in batch), strict=True):
                if isinstance(caption, str) and (text := " ".join(caption.split())):
                    prompt = more[0] if more else None
                    yield key, text, " ".join(prompt.split()) if isinstance(prompt, str) else None


def _short(prompt: str | None) -> bool:
    return bool(prompt) and count_words(str(prompt)) <= LONGEST_PROMPT
