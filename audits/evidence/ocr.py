"""Words read in the picture as evidence: RapidOCR, whose models come with its package, so that nothing is downloaded.

A reader overlooks words and misreads them. What it is trusted with is said in `audits.grounding.quoted_text`: it bears a quoted text out where it
reads it, with the mistakes that readers make, and contradicts one only where it is sure of what it read and left nothing unread.
"""

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from typing import Any

import numpy as np
from PIL import Image

from audits.evidence import Evidence, Observation, Record, Scope
from audits.rules import source_rules
from recapdata.dataset.target import Target
from recapdata.errors import OptionError
from recapdata.extras import require

SURE = 0.9
"""The confidence from which on a reading is held against a caption: that it says something else, or leaves the word out."""
SCOPE = Scope(attributes=frozenset({"text"}), kinds=frozenset({"text"}), complete=False)


@dataclass(frozen=True, slots=True)
class Reader:
    """RapidOCR as an evidence source; made by `open_ocr`."""

    name: str = "ocr"
    columns: tuple[str, ...] = ("image", "width", "height")

    def identity(self, shard: int) -> str:
        """The reader's version, which its models come with, and these rules; the pictures are the records' own."""
        return f"ocr:rapidocr-{version('rapidocr')}+{source_rules('ocr')}"

    @staticmethod
    def rests_on(record: Record) -> None:
        """The reading rests on the picture alone."""

    def collect(self, records: Sequence[Record]) -> list[Evidence | None]:
        """The words of each picture, line by line; None where it cannot be decoded."""
        return [None if record.picture is None else self._evidence(record.picture) for record in records]

    def _evidence(self, picture: Image.Image) -> Evidence:
        return Evidence(
            source=self.name,
            scope=SCOPE,
            objects=tuple(read(picture)),
            width=picture.width,
            height=picture.height,
            counting=SURE,
        )


def open_ocr(target: Target | None, argument: str | None = None) -> Reader:
    """The reader.

    Raises:
        OptionError: an argument, of which it takes none.
        MissingExtra: RapidOCR is not installed.
    """
    if argument is not None:
        raise OptionError(f"ocr:{argument}: there is one reader, RapidOCR; leave out what follows")
    require("rapidocr", "onnxruntime", extra="ocr")
    return Reader()


def read(picture: Image.Image) -> Iterable[Observation]:
    """The words of a picture in reading order, each with its box and confidence, the doubtful among them."""
    pixels = np.asarray(picture)[:, :, ::-1]  # the engine wants blue first
    found = _engine()(np.ascontiguousarray(pixels))
    if not found.txts:
        return
    for line, text, score in zip(found.word_results, found.txts, found.scores, strict=True):
        # A line that is not split (one in Chinese, say) is a word.
        words = [word for word in line if word[2] is not None and word[0].strip()]
        for word, sure, corners in words or [(text, score, None)]:
            if word.strip():
                yield Observation(text=word.strip(), score=float(sure), bbox=_box(corners))


def _box(corners: Sequence[Sequence[float]] | None) -> tuple[float, float, float, float] | None:
    """[x, y, width, height] around the four corners of a word."""
    if corners is None:
        return None
    across, down = zip(*corners, strict=True)
    left, top = float(min(across)), float(min(down))
    return left, top, float(max(across)) - left, float(max(down)) - top


@cache
def _engine() -> Any:
    """The reader, loaded once in a process. It keeps every reading, since one that it doubts says that something is there."""
    from rapidocr import RapidOCR

    return RapidOCR(
        params={
            "Global.log_level": "critical",
            "Global.text_score": 0.0,
            "Global.return_word_box": True,
            "EngineConfig.onnxruntime.intra_op_num_threads": int(os.environ.get("OMP_NUM_THREADS") or -1),
        }
    )
