"""Which records both sides have a caption for, and how often each of them counts in every repetition of the bootstrap.

How often a record counts is drawn from its key, not from its place, so both sides of a pair are resampled alike also where two
versions hold their rows in another order. Nine bytes a record and side are kept in memory.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from audits.audited import AuditedSet
from audits.summary import REPLICATES, bootstrap_weights

_STEP = np.uint64(0x9E3779B97F4A7C15)
_LANES = np.arange(1, REPLICATES // 4 + 1, dtype=np.uint64) * _STEP
"""One number of 64 bits serves four repetitions."""
_DIGITS = np.zeros(256, np.uint64)
_DIGITS[list(b"0123456789abcdef")] = np.arange(16, dtype=np.uint64)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pairing:
    """The rows of both sides that make pairs.

    Attributes:
        rows: per side the numbers of the paired rows in reading order (all shards one after the other); the n-th of one side
            is of the same record as the n-th of the other, in the order of the first side.
        keys: the paired records' keys, the first 64 bits of each.
        masks: per side which of its rows are paired.
        only: per side how many records the other does not hold at all.
        without: records that both hold but for which a side has no caption, by side (both counted where both lack one).
    """

    rows: tuple[np.ndarray, np.ndarray]
    keys: np.ndarray
    masks: tuple[np.ndarray, np.ndarray]
    only: tuple[int, int]
    without: tuple[int, int]

    @property
    def pairs(self) -> int:
        """Records with a caption on either side."""
        return len(self.keys)


def pair(a: AuditedSet, b: AuditedSet) -> Pairing:
    """Find the records that both sides have a caption for; keys and one column of lengths are read."""
    (keys_a, there_a), (keys_b, there_b) = _keys(a), _keys(b)
    _, in_a, in_b = np.intersect1d(keys_a, keys_b, assume_unique=True, return_indices=True)
    both = there_a[in_a] & there_b[in_b]
    in_order = np.argsort(in_a[both])
    rows = in_a[both][in_order], in_b[both][in_order]
    masks = np.zeros(len(keys_a), bool), np.zeros(len(keys_b), bool)
    for mask, chosen in zip(masks, rows, strict=True):
        mask[chosen] = True
    return Pairing(
        rows=rows,
        keys=keys_a[rows[0]],
        masks=masks,
        only=(len(keys_a) - len(in_a), len(keys_b) - len(in_b)),
        without=(int((~there_a[in_a]).sum()), int((~there_b[in_b]).sum())),
    )


def paired_batches(
    side: AuditedSet, mask: np.ndarray, columns: list[str]
) -> Iterator[tuple[int, pa.RecordBatch]]:
    """The paired rows of a side with the named columns, and how many rows, paired or not, each batch stands for."""
    start = 0
    for _, _, batch in side.batches(columns):
        part = mask[start : start + batch.num_rows]
        start += batch.num_rows
        yield batch.num_rows, batch.filter(pa.array(part))


def weights(batch: pa.RecordBatch) -> np.ndarray:
    """[rows, 1 + REPLICATES]: ones, then how often each record counts, drawn from its key (SplitMix64, Steele et al. 2014)."""
    mixed = short_keys(batch.column("key"))[:, None] + _LANES
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed ^= mixed >> np.uint64(31)
    return bootstrap_weights(mixed.view(np.uint16))


def short_keys(keys: pa.Array) -> np.ndarray:
    """The first 16 hexadecimal digits of each key as a number."""
    text = pc.utf8_slice_codeunits(keys, 0, 16).to_pylist()
    digits = np.frombuffer("".join(text).encode("ascii"), np.uint8).reshape(len(keys), 16)
    shifts = np.arange(60, -1, -4, dtype=np.uint64)
    return (_DIGITS[digits] << shifts).sum(axis=1, dtype=np.uint64)


def _keys(side: AuditedSet) -> tuple[np.ndarray, np.ndarray]:
    """The short keys of a side in reading order, and which of them have a caption."""
    keys: list[np.ndarray] = [np.empty(0, np.uint64)]
    there: list[np.ndarray] = [np.empty(0, bool)]
    for _, _, batch in side.batches(["key", "scores.words"]):
        keys.append(short_keys(batch.column("key")))
        words = pc.struct_field(batch.column("scores"), "words")
        there.append(pc.is_valid(words).to_numpy(zero_copy_only=False))
    return np.concatenate(keys), np.concatenate(there)
