"""One caption on many images: how often each caption of a set occurs in it, counted in memory that does not grow with the set.

Fingerprints of the captions (64 bits) lie in a temporary file and are sorted a part at a time; what stays are those that occur
often. Two captions count as the same where they differ only in white space and letter case.
"""

import hashlib
import tempfile
from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from audits.rules import rules

MANY = 5
"""From this many images on a caption is too common to be of any one of them."""
FLAG = "many_images"
"""The hygiene flag of such a caption."""
PART = 2**22
"""Fingerprints sorted at once, on average: some 100 MB."""
WRITTEN = 2**16


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
        if not len(self.prints):
            return [None] * len(captions)
        asked = np.array([0 if each is None else fingerprint(each) for each in captions], np.uint64)
        places = np.searchsorted(self.prints, asked).clip(max=len(self.prints) - 1)
        found = self.prints[places] == asked
        return [
            int(self.times[place]) if there and caption is not None else None
            for caption, place, there in zip(captions, places, found, strict=True)
        ]

    def flagged(self, flags: Sequence[str], copies: int | None) -> list[str]:
        """The hygiene flags of a caption, `FLAG` among them where it occurs that often."""
        return [*(flag for flag in flags if flag != FLAG), *([FLAG] if copies is not None else [])]

    def identity(self, batches: Iterable[Sequence[str | None]]) -> str:
        """What the copies of some captions depend on: the same where none of them has become more or less common."""
        if not len(self.prints):
            return f"{rules('copies')} none"
        digest = hashlib.sha256()
        for captions in batches:
            digest.update(np.array([each or 0 for each in self.copies(captions)], np.int64).tobytes())
        return f"{rules('copies')} {digest.hexdigest()[:12]}"


def fingerprint(caption: str) -> int:
    """64 bits that tell a caption from others, the same for another spacing or letter case."""
    normal = " ".join(caption.lower().split())
    return int.from_bytes(hashlib.blake2b(normal.encode("utf8", "replace"), digest_size=8).digest(), "little")


def find_repeats(captions: Iterable[str], *, many: int = MANY, part: int = PART) -> Repeats:
    """The captions that occur at least `many` times in a stream.

    Args:
        part: fingerprints sorted at once; the file of all of them is read once for each part.
    """
    prints, times = [np.empty(0, np.uint64)], [np.empty(0, np.int64)]
    with tempfile.TemporaryFile(prefix="recapdata-repeats-") as file:
        buffer = array("Q")
        total = 0
        for caption in captions:
            buffer.append(fingerprint(caption))
            total += 1
            if len(buffer) == WRITTEN:
                buffer.tofile(file)
                del buffer[:]
        buffer.tofile(file)
        file.flush()
        parts = max(1, -(-total // part))
        stored = np.memmap(file, np.uint64, "r", shape=(total,)) if total else np.empty(0, np.uint64)
        for number in range(parts):
            mine = [
                chunk[chunk % parts == number] if parts > 1 else chunk
                for chunk in (stored[start : start + part] for start in range(0, total, part))
            ]
            found, counts = np.unique(np.concatenate([np.empty(0, np.uint64), *mine]), return_counts=True)
            prints.append(found[counts >= many])
            times.append(counts[counts >= many])
    order = np.argsort(np.concatenate(prints), kind="stable")
    return Repeats(np.concatenate(prints)[order], np.concatenate(times)[order])
