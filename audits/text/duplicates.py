"""One caption on many images: how often each caption of a set occurs in it, counted in memory that does not grow with the set.

Fingerprints of the captions (64 bits) lie in a temporary file and are sorted a part at a time; what stays are those that occur
often. Two captions count as the same where they differ only in white space and letter case.
"""

import hashlib
import tempfile
from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType

import numpy as np

from audits.rules import rules

MANY = 5
"""From this many images on a caption is too common to be of any one of them."""
FLAG = "many_images"
"""The hygiene flag of such a caption."""
PART = 2**22
"""Fingerprints sorted at once, on average: some 100 MB."""
WRITTEN = 2**16
"""Fingerprints kept in memory until they are written."""


@dataclass(frozen=True, slots=True)
class Repeats:
    """The captions of a set that occur `MANY` times and more.

    Attributes:
        prints: their fingerprints, ascending; `times` is how often each occurs.
    """

    prints: np.ndarray
    times: np.ndarray

    def copies(self, captions: Sequence[str | None]) -> list[int | None]:
        """How often each caption occurs in the set; None where that is seldom, or there is no caption."""
        return [int(times) or None for times in self._times(_fingerprints(captions))]

    def flagged(self, flags: Sequence[str], copies: int | None) -> list[str]:
        """The hygiene flags of a caption, `FLAG` among them where it occurs that often."""
        return [*(flag for flag in flags if flag != FLAG), *([FLAG] if copies is not None else [])]

    def identity(self, prints: np.ndarray) -> str:
        """What the copies of some captions depend on: the same where none of them has become more or less common.

        Args:
            prints: the fingerprints of the captions, in row order.
        """
        if not len(self.prints):
            return f"{rules('copies')} none"
        return f"{rules('copies')} {hashlib.sha256(self._times(prints).tobytes()).hexdigest()[:12]}"

    def _times(self, prints: np.ndarray) -> np.ndarray:
        """How often the caption of each fingerprint occurs, 0 where that is seldom."""
        if not len(self.prints):
            return np.zeros(len(prints), np.int64)
        places = np.searchsorted(self.prints, prints).clip(max=len(self.prints) - 1)
        return np.where(self.prints[places] == prints, self.times[places], 0).astype(np.int64)


class Fingerprints:
    """The fingerprints of a set's captions in row order, 8 bytes each in a temporary file; used as a context manager."""

    def __init__(self) -> None:
        self._file = tempfile.TemporaryFile(prefix="recapdata-repeats-")  # noqa: SIM115 - closed by __exit__
        self._buffer = array("Q")
        self._total = 0

    def add(self, captions: Sequence[str | None]) -> None:
        """Add the captions of the next rows, None where one is missing."""
        self._buffer.extend(_fingerprints(captions).tolist())
        self._total += len(captions)
        if len(self._buffer) >= WRITTEN:
            self._flush()

    def stored(self) -> np.ndarray:
        """All of them so far [rows], 0 for a missing caption; to be read while this is open."""
        self._flush()
        if not self._total:
            return np.empty(0, np.uint64)
        return np.memmap(self._file, np.uint64, "r", shape=(self._total,))  # type: ignore[call-overload,no-any-return]

    def repeats(self, *, many: int = MANY, part: int = PART) -> Repeats:
        """The captions that occur at least `many` times.

        Args:
            part: fingerprints sorted at once; the file of all of them is read once for each part.
        """
        prints, times = [np.empty(0, np.uint64)], [np.empty(0, np.int64)]
        stored = self.stored()
        parts = max(1, -(-len(stored) // part))
        for number in range(parts):
            mine = [
                chunk[(chunk != 0) & (chunk % parts == number)]
                for chunk in (stored[start : start + part] for start in range(0, len(stored), part))
            ]
            found, counts = np.unique(np.concatenate([np.empty(0, np.uint64), *mine]), return_counts=True)
            prints.append(found[counts >= many])
            times.append(counts[counts >= many])
        order = np.argsort(np.concatenate(prints), kind="stable")
        return Repeats(np.concatenate(prints)[order], np.concatenate(times)[order])

    def __enter__(self) -> "Fingerprints":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def _flush(self) -> None:
        self._buffer.tofile(self._file)
        self._file.flush()
        del self._buffer[:]


def fingerprint(caption: str) -> int:
    """64 bits, never all nought, that tell a caption from others, the same for another spacing or letter case."""
    normal = " ".join(caption.lower().split())
    digest = hashlib.blake2b(normal.encode("utf8", "replace"), digest_size=8).digest()
    return int.from_bytes(digest, "little") or 1


def _fingerprints(captions: Sequence[str | None]) -> np.ndarray:
    return np.array([0 if each is None else fingerprint(each) for each in captions], np.uint64)
