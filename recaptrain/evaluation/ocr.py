"""OCR accuracy: is the text that a prompt asks for written in its picture?

    ocr            share of the asked-for texts that are read exactly, case, blanks, punctuation and accents apart
    ocr-similarity mean over texts of 1 − edit distance / length of the longer, to the nearest run of words that were read (1 − NED)
    ocr-words      share of the words of the texts that are read exactly, each reading used once

Texts are those of the audit's text claims ('a sign that says "STOP"'). Words are read by the audit's OCR evidence (RapidOCR), or by the
source that `--reader` names; readings below a confidence of 0.5 are not believed. AnyText (Tuo et al. 2023) measures accuracy and NED in
the same way per line; here a text is looked for among runs of words in reading order, since lines are not known.

What it cannot see: text that the reader cannot read, which costs the generator; in small pictures, handwriting and curved lettering that is most of
it. Whether other words are there as well, and where the text is, does not count.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
from PIL import Image

from audits.evidence import Evidence
from audits.grounding.quoted_text import READ, edit_distance, letters, runs
from recaptrain.evaluation.detected import score_of
from recaptrain.evaluation.metrics import Statistic
from recaptrain.evaluation.seen import SeenEvidence, open_reader
from recaptrain.evaluation.stated import nouns, read_prompts, reading_identity
from recaptrain.evaluation.sums import flat, mean

if TYPE_CHECKING:
    from recaptrain.evaluation.pictures import Picture, Pictures
    from recaptrain.evaluation.settings import EvaluateSettings

VERSION = 1
SCHEMA = pa.schema(
    [
        ("texts", pa.list_(pa.string())),
        ("exact", pa.list_(pa.bool_())),
        ("similarity", pa.list_(pa.float64())),
        ("words", pa.list_(pa.int32())),
        ("words_read", pa.list_(pa.int32())),
        ("readings", pa.list_(pa.string())),
    ]
)
"""Of a picture the texts asked for, how each is read, the number of its words and of those read, and all that was read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OcrAccuracy:
    """OCR accuracy; made by `open_ocr_accuracy`."""

    reader: SeenEvidence
    identity: Mapping[str, Any]
    name: str = "ocr"
    schema: pa.Schema = SCHEMA
    batch_size: int = 32

    def measure(
        self, pictures: "Sequence[Picture]", images: Sequence[Image.Image]
    ) -> list[Mapping[str, Any] | None]:
        """A row for each picture whose prompt asks for a text."""
        contexts = read_prompts([picture.prompt for picture in pictures])
        texts = [
            list(
                dict.fromkeys(
                    claim.text
                    for claim in context.claims
                    if claim.kind == "text" and claim.text and letters(claim.text)
                )
            )
            for context in contexts
        ]
        wanted = [place for place, own in enumerate(texts) if own]
        evidence = self.reader.collect(
            [images[place] for place in wanted], [nouns(contexts[place]) for place in wanted]
        )
        rows: list[Mapping[str, Any] | None] = [None] * len(pictures)
        for place, seen in zip(wanted, evidence, strict=True):
            read = readings(seen)
            compared = [compare(text, read) for text in texts[place]]
            rows[place] = {
                "texts": texts[place],
                "exact": [each.exact for each in compared],
                "similarity": [each.similarity for each in compared],
                "words": [each.words for each in compared],
                "words_read": [each.words_read for each in compared],
                "readings": read,
            }
        return rows

    def figures(self, rows: pa.Table) -> list[Statistic]:
        """Exact texts, similarity and words."""
        places, (exact, similarity, words, read) = flat(rows, "exact", "similarity", "words", "words_read")
        by_word = [
            (place, number < seen)
            for place, count, seen in zip(places, words, read, strict=True)
            for number in range(count)
        ]
        n = rows.num_rows
        found = mean(
            [seen for _, seen in by_word], np.array([place for place, _ in by_word], np.intp), scale=100
        )
        return [
            Statistic(name="ocr", better="higher", unit="%", n=n, value=mean(exact, places, scale=100)),
            Statistic(
                name="ocr-similarity",
                better="higher",
                unit="%",
                n=n,
                value=mean(similarity, places, scale=100),
            ),
            Statistic(name="ocr-words", better="higher", unit="%", n=n, value=found),
        ]


@dataclass(frozen=True, slots=True)
class Compared:
    """How a text is read in a picture."""

    exact: bool
    similarity: float
    words: int
    words_read: int


def compare(text: str, read: Sequence[str]) -> Compared:
    """Hold a text against the words that were read, in reading order."""
    wanted = letters(text)
    joined = [letters(word) for word in read]
    near = [run for run in runs([word for word in joined if word], 2 * len(wanted)) if run]
    similarity = max(
        (1 - edit_distance(wanted, run) / max(len(wanted), len(run)) for run in near), default=0.0
    )
    words = [word for word in map(letters, text.split()) if word]
    common = Counter(words) & Counter(joined)
    exact = similarity == 1.0
    return Compared(exact, similarity, len(words), len(words) if exact else common.total())


def readings(evidence: Sequence[Evidence]) -> list[str]:
    """The words that were read with some confidence, in reading order."""
    return [seen.text for each in evidence for seen in each.objects if seen.text and score_of(seen) >= READ]


def open_ocr_accuracy(settings: "EvaluateSettings", pictures: "Pictures") -> OcrAccuracy:
    """Open the reader.

    Raises:
        OptionError: no such reader.
        MissingExtra: RapidOCR is not installed.
    """
    reader = open_reader(settings)
    identity = {"rules": VERSION, "reader": reader.identity, "claims": reading_identity(), "believed": READ}
    return OcrAccuracy(reader=reader, identity=identity, batch_size=settings.batch_size)
