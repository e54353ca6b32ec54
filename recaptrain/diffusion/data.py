"""What a diffusion model learns from: the captions of a dataset at one revision, and which of them each epoch draws."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from recapdata.caption_sets.mixture import Drawn, Mixture, fitting_sentences, prefixes
from recapdata.dataset.target import Target
from recapdata.errors import InputError
from recaptrain.diffusion.base import Base

_SIDES = re.compile(
    r"\b(left|right|(anti|counter)?-?clockwise|east|west)(most|ern|wards?|hand)?\b|[\"“”«»]", re.IGNORECASE
)
CountAll = Callable[[Sequence[str]], list[int]]


@dataclass(frozen=True, slots=True, kw_only=True)
class OverLength:
    """How many captions of a set there are and how many of them have more tokens than the text encoder reads."""

    captions: int
    over: int

    @property
    def share(self) -> float:
        """Share of the captions that are over length; 0 of none."""
        return self.over / self.captions if self.captions else 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Examples:
    """Keys and captions of a dataset, row by row, and which rows can be trained on.

    Attributes:
        table: `key` and one column per set of the mixture, in dataset order.
        rows: places in `table` of the rows that have a caption to draw.
        shapes: (rows of `table`, 2): width and height of each picture.
        over_length: by set.
    """

    mixture: Mixture
    table: pa.Table
    rows: NDArray[np.int64]
    shapes: NDArray[np.int64]
    over_length: Mapping[str, OverLength]
    count_tokens: CountAll
    limit: int

    @property
    def over_length_share(self) -> float:
        """The share of over-length captions among those that the mixture draws, in expectation."""
        return sum(share * self.over_length[name].share for name, share in self.mixture.shares.items())

    def without(self, rows: NDArray[np.int64]) -> "Examples":
        """The same examples less some rows (pictures that cannot be decoded)."""
        return replace(self, rows=self.rows[~np.isin(self.rows, rows)])

    def drawable(self) -> Iterator[str]:
        """Every text that may be drawn of the rows, the empty one first; some more than once."""
        yield ""
        mixture = self.mixture
        for name in mixture.sets:
            for caption in self.table.column(name).take(pa.array(self.rows)).to_pylist():
                for text in prefixes(caption) if mixture.length == "random" and caption else [caption]:
                    if (
                        text
                        and mixture.over_length == "sentences"
                        and self.count_tokens([text])[0] > self.limit
                    ):
                        text = fitting_sentences(text, lambda each: self.count_tokens([each])[0], self.limit)
                    if text:
                        yield text

    def captions(self, rows: NDArray[np.int64], *, seed: int, epoch: int) -> list[Drawn]:
        """The captions of some rows, as the mixture draws them in an epoch."""
        chosen = self.table.take(pa.array(rows)).to_pylist()
        return [
            self.mixture.pick(
                {name: row[name] for name in self.mixture.sets},
                seed=seed,
                epoch=epoch,
                key=row["key"],
                count_tokens=lambda text: self.count_tokens([text])[0],
                limit=self.limit,
            )
            for row in chosen
        ]


def read_examples(target: Target, mixture: Mixture, base: Base) -> Examples:
    """Read the captions of the mixture's sets and count their tokens with the base model's tokenizer.

    Raises:
        CaptionSetNotFound: the dataset lacks a set of the mixture.
        InputError: no row has a caption that the mixture may use.
    """
    mixture.require(target.set_names(), where=target.name)
    schema = pa.schema([(name, pa.large_string()) for name in ("key", *mixture.sets)])
    limit = base.readable(mixture.over_length)
    batches, usable, shapes = [], [], []
    counts = dict.fromkeys(mixture.sets, OverLength(captions=0, over=0))
    for shard in target.shards():
        for batch in target.read(shard, [*schema.names, "width", "height"]):
            texts = [batch.column(name).cast(pa.large_string()) for name in schema.names]
            batches.append(pa.RecordBatch.from_arrays(texts, schema=schema))
            shapes.append(np.stack([batch.column(side).to_numpy() for side in ("width", "height")], 1))
            drawable = np.zeros(len(batch), bool)
            for name in mixture.sets:
                present, over = _lengths(batch.column(name), base, limit)
                before = counts[name]
                counts[name] = OverLength(
                    captions=before.captions + int(present.sum()), over=before.over + int(over.sum())
                )
                drawable |= present & ~over if mixture.over_length == "drop" else present
            usable.append(drawable)
    rows = np.flatnonzero(np.concatenate(usable)) if usable else np.empty(0, np.int64)
    if not len(rows):
        raise InputError(
            f"{target.name}: none of its {sum(map(len, batches)):,} records has a caption that the mixture {mixture} may use"
        )
    return Examples(
        mixture=mixture,
        table=pa.Table.from_batches(batches, schema),
        rows=rows,
        shapes=np.concatenate(shapes).astype(np.int64),
        over_length=counts,
        count_tokens=base.count_tokens,
        limit=limit,
    )


def speaks_of_sides(caption: str) -> bool:
    """Whether a mirrored picture may belie a caption: it says left or right, turns some way, or quotes what is written."""
    return bool(_SIDES.search(caption))


def _lengths(captions: pa.Array, base: Base, limit: int) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Which rows have a caption, and which of these is over length."""
    texts = captions.to_pylist()
    present = np.array([bool(text) for text in texts], bool)
    over = np.zeros(len(texts), bool)
    over[present] = np.array(base.count_tokens([text for text in texts if text])) > limit
    return present, over
