"""The summary of an audit: figures of each caption set with bootstrap confidence intervals, read from its audit shards.

Every figure (`audits.figures`) but a median is a ratio of two sums over captions, so one pass that keeps sums is enough. The confidence
intervals come from the Poisson bootstrap (Hanley & MacGibbon 2006; Chamandy et al. 2012): each caption counts in each of
`REPLICATES` repetitions Poisson(1) times. The draws depend only on seed and row, so memory stays flat, and two sets of the same
records are resampled alike, which makes their differences paired.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from audits.figures import Figure, registered
from audits.sums import PerCaption, Rows, values
from audits.text.hygiene import Habits
from recapdata.versions.comparable import clip_option
from recapdata.versions.figures import FigureValue

FORMAT = 1
REPLICATES = 400
CONFIDENCE = 0.95
LONGEST = 2048
"""Captions of this many words and more share the last bin of the histogram that a median is read from."""
CHUNK = 2048

_POISSON = np.searchsorted(
    np.cumsum([math.exp(-1) / math.factorial(k) for k in range(12)]), (np.arange(2**16) + 0.5) / 2**16
).astype(np.uint8)
"""Poisson(1) by inversion, for a random number of 16 bits."""


class SetSummary:
    """Sums over one caption set, fed batch by batch in row order; `figures` may be asked once all are in.

    Attributes:
        sums: by what a caption adds, [1 + REPLICATES] the sum over the set, then in each repetition.
    """

    def __init__(self, seed: int = 0) -> None:
        self.captions = 0
        self.missing = 0
        self.sums: dict[PerCaption, np.ndarray] = {}
        self._figures = registered()
        self._random = np.random.default_rng(seed)
        self._rows: dict[PerCaption, int] = {}
        self._histograms: dict[PerCaption, np.ndarray] = {}

    def add(self, batch: pa.RecordBatch, weigh: Callable[[pa.RecordBatch], np.ndarray] | None = None) -> None:
        """Add rows of `AUDIT_SCHEMA`; a row without claims is a missing caption.

        Args:
            batch: with a column `caption` where `audits.figures.reads_captions`.
            weigh: gives [rows, 1 + REPLICATES] how often each row counts: ones, then each repetition; drawn by the
                summary's own generator, in row order, where None.
        """
        for start in range(0, batch.num_rows, CHUNK):
            part = batch.slice(start, CHUNK)
            # Drawn for every row, missing or not, so that the same record weighs the same in every set.
            weights = _weights(self._random, part.num_rows) if weigh is None else weigh(part)
            there = pc.is_valid(part.column("claims")).to_numpy(zero_copy_only=False)
            self.captions += int(there.sum())
            self.missing += int((~there).sum())
            self._add(Rows(part.filter(pa.array(there))), weights[there])

    def _add(self, rows: Rows, weights: np.ndarray) -> None:
        added: dict[PerCaption, np.ndarray] = {}
        for figure in self._figures:
            for each in (figure.numerator, figure.denominator):
                if each not in added:
                    added[each] = values(each, rows)
        for each, found in added.items():
            self.sums[each] = self.sums.get(each, 0) + found @ weights
            self._rows[each] = self._rows.get(each, 0) + int(np.count_nonzero(found))
        for each in {figure.numerator for figure in self._figures if figure.median}:
            histogram = self._histograms.setdefault(each, np.zeros((LONGEST + 1, REPLICATES + 1)))
            np.add.at(histogram, np.minimum(added[each].astype(int), LONGEST), weights)

    def figures(self) -> dict[str, FigureValue]:
        """The figures by name, in reading order, without those that rest on nothing."""
        repeated = self.replicates()
        return {
            figure.name: self._value(figure, repeated[figure.name])
            for figure in self._figures
            if figure.name in repeated
        }

    def replicates(self) -> dict[str, np.ndarray]:
        """By figure [1 + REPLICATES]: its value, then its value in each repetition (nan where that one has no such row)."""
        found: dict[str, np.ndarray] = {}
        for figure in self._figures:
            if not self._rows.get(figure.denominator):
                continue
            if figure.median:
                found[figure.name] = _medians(self._histograms[figure.numerator])
                continue
            with np.errstate(invalid="ignore", divide="ignore"):
                found[figure.name] = (
                    figure.scale * self.sums[figure.numerator] / self.sums[figure.denominator]
                )
        return found

    def _value(self, figure: Figure, repeated: np.ndarray) -> FigureValue:
        n = self._rows[figure.denominator]
        value = float(repeated[0])
        low, high = interval(repeated)
        if figure.unit == "share" and low == high and value in (0, 1):
            # No repetition differs from all or none; the rule of three (Hanley & Lippman-Hand 1983) says how sure that is.
            low, high = (max(1 - 3 / n, 0.0), 1.0) if value == 1 else (0.0, min(3 / n, 1.0))
        return FigureValue(
            value=value,
            low=low,
            high=high,
            unit=figure.unit,
            better=figure.better,
            n=n,
            rests_on=figure.rests_on,
        )


def interval(repeated: np.ndarray) -> tuple[float, float]:
    """The percentile interval of a value and its value in each repetition [1 + REPLICATES]; the value itself where none has one."""
    finite = repeated[1:][np.isfinite(repeated[1:])]
    if not len(finite):
        return float(repeated[0]), float(repeated[0])
    tail = 100 * (1 - CONFIDENCE) / 2
    low, high = np.percentile(finite, [tail, 100 - tail])
    return float(low), float(high)


def summarize(batches: Iterable[pa.RecordBatch]) -> SetSummary:
    """The sums over all audit rows of one set, in row order."""
    summary = SetSummary()
    for batch in batches:
        summary.add(batch)
    return summary


def summary_json(
    *,
    pipeline: str,
    made_by: Mapping[str, Mapping[str, Sequence[str]]],
    clip: str | None,
    evidence: Iterable[str],
    records: int,
    sets: Mapping[str, SetSummary],
    habits: Mapping[str, Habits],
) -> dict[str, Any]:
    """The content of `audits/summary.json`.

    Args:
        made_by: of each set what the parts of its audit were made by (`recapdata.versions.comparable.Made.parts`).
        habits: the regularities of each set (case, final stop, lengths, first words), set down beside its figures.
    """
    return {
        "format": FORMAT,
        "pipeline": pipeline,
        "clip": clip,
        "evidence": list(evidence),
        "records": records,
        "sets": {
            name: {
                "captions": each.captions,
                "missing": each.missing,
                "made_by": made_by[name],
                "figures": {figure: _rounded(asdict(value)) for figure, value in each.figures().items()},
                "habits": _rounded(asdict(habits[name])),
            }
            for name, each in sets.items()
        },
    }


def _rounded(figure: dict[str, Any]) -> dict[str, Any]:
    """Six significant digits, so that the file does not differ in the last bit between machines."""
    return {key: float(f"{each:.6g}") if isinstance(each, float) else each for key, each in figure.items()}


def bootstrap_weights(numbers: np.ndarray) -> np.ndarray:
    """Random numbers of 16 bits [rows, REPLICATES] → [rows, 1 + REPLICATES]: ones, then Poisson(1) counts."""
    return np.concatenate(
        [np.ones((len(numbers), 1), np.float32), _POISSON[numbers]], axis=1, dtype=np.float32
    )


def _weights(random: np.random.Generator, rows: int) -> np.ndarray:
    """[rows, 1 + REPLICATES]: ones for the data itself, then how often each row counts in each repetition."""
    return bootstrap_weights(random.integers(0, 2**16, (rows, REPLICATES), dtype=np.uint16))


def _medians(histogram: np.ndarray) -> np.ndarray:
    """Median length of each column of a histogram [length, repetition] (the lower one of two)."""
    cumulative = histogram.cumsum(axis=0)
    return (cumulative >= cumulative[-1] / 2).argmax(axis=0).astype(float)


def named_clip(summary: Mapping[str, Any] | None) -> str | None:
    """The CLIP model of a summary as `--clip` takes it; None where there is none, or more than one."""
    named = (summary or {}).get("clip")
    if not named or "," in named:
        return None
    return clip_option(named)


def short_model(model: str) -> str:
    """A model's name with its hash or commit cut to what tells versions apart."""
    name, _, revision = model.rpartition("@")
    return f"{name}@{revision.removeprefix('sha256:')[:12]}"
