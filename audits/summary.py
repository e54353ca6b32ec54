"""The summary of an audit: figures of each caption set with bootstrap confidence intervals, read from its audit shards.

Every figure but the median is a ratio of two sums over captions, so one pass that keeps sums is enough. The confidence
intervals come from the Poisson bootstrap (Hanley & MacGibbon 2006; Chamandy et al. 2012): each caption counts in each of
`REPLICATES` repetitions Poisson(1) times. The draws depend only on seed and row, so memory stays flat, and two sets of the same
records are resampled alike, which makes their differences paired.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from audits.clip.counterfactuals import KINDS as LIES
from audits.text.hygiene import Habits
from recapdata.dataset.audit_files import EXTENTS, SCORES_TYPE
from recapdata.records import CLAIM_KINDS, VERDICTS
from recapdata.versions.comparable import clip_option
from recapdata.versions.figures import Better, Figure

FORMAT = 1
REPLICATES = 400
CONFIDENCE = 0.95
CLIP_CONTEXT = 77
LONGEST = 2048
"""Captions of this many words and more share the last bin of the histogram that the median is read from."""
CHUNK = 2048

_POISSON = np.searchsorted(
    np.cumsum([math.exp(-1) / math.factorial(k) for k in range(12)]), (np.arange(2**16) + 0.5) / 2**16
).astype(np.uint8)
"""Poisson(1) by inversion, for a random number of 16 bits."""


@dataclass(frozen=True, slots=True)
class Ratio:
    """A figure that is `scale` × sum of a column / sum of another; `better` is `higher`, `lower`, or None for neither."""

    name: str
    numerator: str
    denominator: str
    unit: str = "share"
    better: Better | None = "higher"
    scale: float = 1.0

    @property
    def rests_on(self) -> tuple[str, ...]:
        """The parts of the audit that it depends on, names of `recapdata.versions.comparable.PARTS`."""
        sums = (self.numerator, self.denominator)
        for begins, parts in _RESTS_ON.items():
            if any(name.startswith(begins) for name in sums):
                return parts
        judged = any(word in name for name in sums for word in _JUDGED)
        return ("claims", "evidence") if judged else ("claims",)


_RESTS_ON: Mapping[str | tuple[str, ...], tuple[str, ...]] = {
    "on many images": ("copies",),
    "flagged": ("hygiene",),
    "over context": ("coverage",),
    "words": ("claims", "coverage"),
    "entities_": ("names",),
    ("low ", "lied ", "clip_margin", "has clip_margin"): ("claims", "margin"),
    ("clip_", "has clip_"): ("clip",),
}
"""What ratios rest on by the beginning of the name of one of their sums; the first that fits."""
_JUDGED = ("supported", "judge", "hallucinates", "_present", "_said", "grounded")
"""Parts of the names of sums that rest on evidence."""

MEDIAN = "words (median)"
RATIOS: tuple[Ratio | str, ...] = (
    *(Ratio(f"{kind} coverage", f"says {kind}", "captions") for kind in CLAIM_KINDS),
    Ratio("claims per caption", "claims", "captions", "claims"),
    Ratio("claims per 100 words", "claims", "words", "claims", None, 100.0),
    MEDIAN,
    Ratio(f"over {CLIP_CONTEXT} CLIP tokens", "over context", "captions", better="lower"),
    Ratio("hygiene flags", "flagged", "captions", better="lower"),
    Ratio("captions on many images", "on many images", "captions", better=None),
    Ratio("named entities kept from alt text", "entities_kept", "entities_present"),
    Ratio("CLIP score", "clip_score", "has clip_score", "points"),
    Ratio("CLIP score (Hessel)", "clip_score_hessel", "has clip_score_hessel", "points"),
    Ratio("CLIP score, mean of sentences", "clip_sentence_mean", "has clip_sentence_mean", "points"),
    Ratio("CLIP score, worst sentence", "clip_sentence_min", "has clip_sentence_min", "points"),
    Ratio(
        "captions longer than the scorer reads", "clip_over_context", "has clip_over_context", better="lower"
    ),
    # A caption that says more can be lied about in more ways, so these two are no better or worse by themselves; by kind they are.
    Ratio("CLIP margin over the nearest lie", "clip_margin", "has clip_margin", "points", None),
    Ratio("captions no better than their lie", "low margin", "has clip_margin", better=None),
    *(Ratio(f"no better than a lie: {kind}", f"low {kind}", f"lied {kind}", better="lower") for kind in LIES),
    *(Ratio(f"{kind} precision", f"supported {kind}", f"judged {kind}") for kind in CLAIM_KINDS),
    Ratio("object recall", "objects_said", "objects_present"),
    *(
        Ratio(f"object recall ({size})", f"objects_said_{size}", f"objects_present_{size}")
        for size in EXTENTS
    ),
    Ratio("count recall", "counts_said", "counts_present"),
    Ratio("color recall", "colors_said", "colors_present"),
    Ratio("text recall", "texts_said", "texts_present"),
    # CHAIR_s and CHAIR_i (Rohrbach et al. 2018), over the captions and the mentions that the evidence can judge.
    Ratio("hallucination rate", "hallucinates", "judges objects", better="lower"),
    Ratio("hallucinated mentions", "hallucinates mentions", "judged object", better="lower"),
    Ratio("claims judged", "judged", "claims if grounded", better=None),
)
"""The figures in reading order. A figure whose denominator is nought (nothing grounded, no CLIP) is left out."""

RECALL = tuple(
    name
    for name in SCORES_TYPE.names
    if name.split("_")[1:2] in (["present"], ["said"]) and name != "entities_present"
)
"""The scores that recall is made of."""
CLIP_SCORES = (
    "clip_score",
    "clip_score_hessel",
    "clip_sentence_mean",
    "clip_sentence_min",
    "clip_over_context",
    "clip_margin",
)

ALIASES: Mapping[str, str] = {"hallucination rate": "CHAIR_s", "hallucinated mentions": "CHAIR_i"}
"""What the literature calls a figure, shown beside its name."""

FIGURES = tuple(each if isinstance(each, str) else each.name for each in RATIOS)
"""Names of all figures in reading order."""


def title(figure: str) -> str:
    """The name of a figure as tables show it, with what the literature calls it."""
    return f"{figure} ({ALIASES[figure]})" if figure in ALIASES else figure


class SetSummary:
    """Sums over one caption set, fed batch by batch in row order; `figures` may be asked once all are in."""

    def __init__(self, seed: int = 0) -> None:
        self.captions = 0
        self.missing = 0
        self._random = np.random.default_rng(seed)
        self._sums: dict[str, np.ndarray] = {}
        self._rows: dict[str, int] = {}
        self._lengths = np.zeros((LONGEST + 1, REPLICATES + 1))

    def add(self, batch: pa.RecordBatch, weigh: Callable[[pa.RecordBatch], np.ndarray] | None = None) -> None:
        """Add rows of `AUDIT_SCHEMA`; a row without claims is a missing caption.

        Args:
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
            columns = _columns(part.filter(pa.array(there)))
            weights = weights[there]
            for name, values in columns.items():
                self._sums[name] = self._sums.get(name, 0) + values @ weights
                self._rows[name] = self._rows.get(name, 0) + int(np.count_nonzero(values))
            np.add.at(self._lengths, np.minimum(columns["words"].astype(int), LONGEST), weights)

    def figures(self) -> dict[str, Figure]:
        """The figures by name, in reading order, without those that rest on nothing."""
        found: dict[str, Figure] = {}
        values = self.replicates()
        for ratio in RATIOS:
            if isinstance(ratio, str):
                if ratio in values:
                    found[ratio] = _figure(values[ratio], "words", None, self.captions, ("coverage",))
            elif ratio.name in values:
                n = self._rows[ratio.denominator]
                found[ratio.name] = _figure(values[ratio.name], ratio.unit, ratio.better, n, ratio.rests_on)
        return found

    def replicates(self) -> dict[str, np.ndarray]:
        """By figure [1 + REPLICATES]: its value, then its value in each repetition (nan where that one has no such row)."""
        found: dict[str, np.ndarray] = {}
        for ratio in RATIOS:
            if isinstance(ratio, str):
                if self.captions:
                    found[ratio] = _medians(self._lengths)
            elif self._rows.get(ratio.denominator):
                with np.errstate(invalid="ignore", divide="ignore"):
                    found[ratio.name] = (
                        ratio.scale * self._sums[ratio.numerator] / self._sums[ratio.denominator]
                    )
        return found


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
                "figures": {figure: _rounded(asdict(values)) for figure, values in each.figures().items()},
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


def _columns(rows: pa.RecordBatch) -> dict[str, np.ndarray]:
    """Per-caption numbers by the names that `RATIOS` uses."""
    scores = rows.column("scores")
    columns = dict(_claim_columns(rows.column("claims")))
    columns["captions"] = np.ones(rows.num_rows)
    columns["words"] = _numbers(scores, "words")
    columns["over context"] = (_numbers(scores, "clip_tokens") > CLIP_CONTEXT).astype(float)
    many = _valid(pc.struct_field(scores, "copies"))
    columns["on many images"] = many
    # That many share a caption grows with the set, so it is a figure of its own and no worse hygiene.
    columns["flagged"] = (_lengths(pc.struct_field(scores, "flags")) - many).clip(0, 1)
    columns["low margin"] = _lengths(pc.struct_field(scores, "low_margin")).clip(max=1)
    for kind in LIES:
        columns[f"lied {kind}"] = _names(scores, "lied_about", kind)
        columns[f"low {kind}"] = _names(scores, "low_margin", kind)
    for name in CLIP_SCORES:
        columns[name] = _numbers(scores, name)
        columns[f"has {name}"] = _valid(pc.struct_field(scores, name))
    for name in ("entities_present", "entities_kept", *RECALL):
        columns[name] = _numbers(scores, name)
    return columns


def _claim_columns(claims: pa.ListArray) -> Iterator[tuple[str, np.ndarray]]:
    rows = len(claims)
    parents = pc.list_parent_indices(claims).to_numpy()
    flat = pc.list_flatten(claims)
    kinds = np.array(pc.struct_field(flat, "kind").to_pylist(), dtype=object)
    verdicts = np.array(pc.struct_field(flat, "verdict").to_pylist(), dtype=object)
    judged = np.isin(verdicts, [VERDICTS[0], VERDICTS[1]])

    def count(mask: np.ndarray) -> np.ndarray:
        return np.bincount(parents[mask], minlength=rows).astype(float)

    yield "claims", count(np.ones(len(flat), bool))
    yield "judged", count(judged)
    yield "claims if grounded", count(verdicts != None)  # noqa: E711  (element-wise)
    for kind in CLAIM_KINDS:
        of_kind = kinds == kind
        yield f"says {kind}", count(of_kind).clip(max=1)
        yield f"judged {kind}", count(of_kind & judged)
        yield f"supported {kind}", count(of_kind & (verdicts == VERDICTS[0]))
    objects = kinds == "object"
    yield "judges objects", count(objects & judged).clip(max=1)
    wrong = count(objects & (verdicts == VERDICTS[1]))
    yield "hallucinates", wrong.clip(max=1)
    yield "hallucinates mentions", wrong


def _numbers(scores: pa.StructArray, name: str) -> np.ndarray:
    return pc.fill_null(pc.struct_field(scores, name).cast(pa.float64()), 0).to_numpy(zero_copy_only=False)


def _names(scores: pa.StructArray, name: str, wanted: str) -> np.ndarray:
    """1 for each row whose list of distinct strings has the wanted one."""
    lists = pc.struct_field(scores, name)
    there = pc.list_parent_indices(lists).filter(pc.equal(pc.list_flatten(lists), wanted))
    return np.bincount(there.to_numpy(), minlength=len(scores)).astype(float)


def _valid(values: pa.Array) -> np.ndarray:
    return pc.is_valid(values).to_numpy(zero_copy_only=False).astype(float)


def _lengths(lists: pa.ListArray) -> np.ndarray:
    return pc.fill_null(pc.list_value_length(lists), 0).to_numpy(zero_copy_only=False).astype(float)


def _medians(histogram: np.ndarray) -> np.ndarray:
    """Median length of each column of a histogram [length, repetition] (the lower one of two)."""
    cumulative = histogram.cumsum(axis=0)
    return (cumulative >= cumulative[-1] / 2).argmax(axis=0).astype(float)


def _figure(
    values: np.ndarray, unit: str, better: Better | None, n: int, rests_on: tuple[str, ...]
) -> Figure:
    repeated = values[1:][np.isfinite(values[1:])]
    tail = 100 * (1 - CONFIDENCE) / 2
    low, high = np.percentile(repeated, [tail, 100 - tail]) if len(repeated) else (values[0], values[0])
    if unit == "share" and low == high and values[0] in (0, 1):
        # No repetition differs from all or none; the rule of three (Hanley & Lippman-Hand 1983) says how sure that is.
        low, high = (max(1 - 3 / n, 0.0), 1.0) if values[0] == 1 else (0.0, min(3 / n, 1.0))
    return Figure(
        value=float(values[0]),
        low=float(low),
        high=float(high),
        unit=unit,
        better=better,
        n=n,
        rests_on=rests_on,
    )


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
