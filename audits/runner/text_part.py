"""The text part of an audit: captions to claims, lengths and hygiene flags, as one stream in row order."""

from collections import deque
from collections.abc import Generator, Iterator, Sequence
from typing import TYPE_CHECKING, Any, cast

import pyarrow as pa

from audits.extraction import LONGEST, claims
from audits.language.pipeline import identity
from audits.rules import rules
from audits.text.coverage import caption_figures
from audits.text.hygiene import flags
from recapdata.dataset.target import Target
from recapdata.records import CLAIM_TYPE, Claim

if TYPE_CHECKING:
    from spacy.language import Language

READING_TYPE = pa.struct(
    [
        ("claims", pa.list_(CLAIM_TYPE)),
        ("words", pa.int32()),
        ("clip_tokens", pa.int32()),
        ("flags", pa.list_(pa.string())),
        ("error", pa.string()),
    ]
)
"""What the text alone tells of a caption; null where the caption is missing."""

RULES = ("claims", "form", "coverage", "hygiene")
"""The rule sets (`audits.rules`) that read a caption."""


def reading_identity(nlp: "Language") -> str:
    """What readings depend on: the pipeline, and the versions of the rules."""
    return f"{identity(nlp)} {rules(*RULES)}"


def reading_of(set_name: str) -> str:
    """The column of a set's readings; no caption set can be named so."""
    return f"{set_name}/reading"


class Readings:
    """The captions of several shards as one stream through the pipeline, so that its processes are started once.

    Its shards must be taken in the order in which they were given, each to its end. Whoever takes them needs the captions too,
    so they come along and are read once.
    """

    def __init__(
        self,
        target: Target,
        tasks: Sequence[tuple[int, Sequence[str]]],
        pipeline: "Language | str | None",
        *,
        processes: int,
        batch_rows: int,
    ) -> None:
        """Prepare to read the named caption sets of each shard; nothing is read before it is asked for.

        Args:
            pipeline: a loaded pipeline, or where several processes are to load it, its name.
        """
        self._target = target
        self._tasks = tuple(tasks)
        self._batch_rows = batch_rows
        self._ahead: deque[tuple[pa.RecordBatch, Sequence[str]] | None] = deque()
        found = claims(self._texts(), pipeline=pipeline, processes=processes)
        self._found = cast("Generator[list[Claim], None, None]", found)

    def shard(self) -> Iterator[pa.RecordBatch]:
        """The next shard: batches of `key`, the caption sets, and by `reading_of` of each a column of `READING_TYPE`."""
        for first in self._found:
            waiting = self._ahead.popleft()
            if waiting is None:
                return
            batch, sets = waiting
            columns, pending = list(batch.columns), first
            for name in sets:
                rows: list[dict[str, Any] | None] = []
                for caption in batch.column(name).to_pylist():
                    if caption is None:
                        rows.append(None)
                        continue
                    rows.append(_reading(caption, pending))
                    pending = next(self._found)
                columns.append(pa.array(rows, READING_TYPE))
            yield pa.RecordBatch.from_arrays(columns, names=["key", *sets, *map(reading_of, sets)])

    def close(self) -> None:
        """Stop the pipeline's processes."""
        self._found.close()

    def _texts(self) -> Iterator[str]:
        for shard, sets in self._tasks:
            for batch in self._target.read(shard, ["key", *sets], batch_rows=self._batch_rows):
                self._ahead.append((batch, sets))
                for name in sets:
                    yield from (text[:LONGEST] for text in batch.column(name).to_pylist() if text is not None)
                yield ""  # ends a batch, also one in which every caption is missing
            self._ahead.append(None)
            yield ""  # ends a shard


def _reading(caption: str, found: list[Claim]) -> dict[str, Any]:
    figures = caption_figures(caption, found)
    return {
        "claims": [claim.to_struct() for claim in found],
        "words": figures.words,
        "clip_tokens": figures.clip_tokens,
        "flags": list(flags(caption)),
        "error": f"LongCaption: {len(caption):,} characters, claims of the first {LONGEST:,}"
        if len(caption) > LONGEST
        else None,
    }
