"""What an audit run tells the person who started it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from audits.clip.skew import Skew
from audits.summary import FIGURES, title
from recapdata.versions.figures import read_figures


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditSummary:
    """The outcome of `audits run`; pipeline, clip, evidence, records and sets are as in `summary.json`.

    Attributes:
        audited: the sets this run was asked for; `sets` may hold others from earlier runs.
        computed: audit shards written by this run; `kept` were fresh already.
        unreadable: images that could not be decoded, and so have no CLIP score.
        unfinished: sets under way (a pilot, say), of which the captions that are there were audited.
    """

    target: str
    out: str
    pipeline: str
    clip: str | None
    evidence: Sequence[str]
    records: int
    sets: Mapping[str, Mapping[str, Any]]
    audited: Sequence[str]
    computed: int
    kept: int
    unreadable: int
    unfinished: Sequence[str]
    seconds: float

    @property
    def complete(self) -> bool:
        """Whether every image was read; a set under way is audited as far as it is, and said to be a sample."""
        return not self.unreadable

    def text(self) -> str:
        """The table of figures, a column per set, and where the results lie."""
        return "\n".join([*self._head(), "", *self._table(), "", *self._foot()])

    def _head(self) -> list[str]:
        used = [f"pipeline {self.pipeline}"]
        used += [f"CLIP {short_model(self.clip)}"] if self.clip else []
        used += [f"evidence {', '.join(self.evidence)}"] if self.evidence else []
        return [f"Audit of {self.target}: {self.records:,} records", "; ".join(used)]

    def _table(self) -> list[str]:
        present = {figure for each in self.sets.values() for figure in each["figures"]}
        names = [name for name in FIGURES if name in present]
        rows = [("", list(self.sets))]
        rows.append(("captions", [f"{each['captions']:,}" for each in self.sets.values()]))
        missing = {name: each["missing"] for name, each in self.sets.items() if name not in self.unfinished}
        if any(missing.values()):
            rows.append(("missing", [f"{missing[name]:,}" if name in missing else "–" for name in self.sets]))
        figures = list(read_figures({"sets": self.sets}).values())
        rows += [
            (title(name), [each[name].text() if name in each else "–" for each in figures]) for name in names
        ]
        first = max(len(name) for name, _ in rows)
        widths = [max(len(cells[place]) for _, cells in rows) for place in range(len(self.sets))]
        return [
            f"{name:<{first}}"
            + "".join(f"   {cell:>{width}}" for cell, width in zip(cells, widths, strict=True))
            for name, cells in rows
        ]

    def _foot(self) -> list[str]:
        lines = ["(95 % bootstrap confidence intervals)"]
        if self.kept:
            lines.append(f"{self.kept:,} audit shards were fresh already, {self.computed:,} computed")
        if not self.evidence:
            lines.append(
                "no claim was judged: say by what, with --evidence annotations,detector:MODEL,colors,ocr"
            )
        if self.unreadable:
            lines.append(f"{self.unreadable:,} images could not be read and have no CLIP score")
        lines += [
            f"{name}: distance from the prompts of {each['skew']['prompts']} {Skew(**each['skew']).text()}"
            for name, each in self.sets.items()
            if "skew" in each
        ]
        lines += [
            f"{name} is under way: a sample, {self.sets[name]['captions']:,} captions of {self.records:,} records; after the "
            "rest has come, the same command audits that too"
            for name in self.unfinished
        ]
        return [*lines, f"→ {self.out}/summary.json", f"look at it: audits view {self.target}"]


def short_model(model: str) -> str:
    """A model's name with its hash or commit cut to what tells versions apart."""
    name, _, revision = model.rpartition("@")
    return f"{name}@{revision.removeprefix('sha256:')[:12]}"
