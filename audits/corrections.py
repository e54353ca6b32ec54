"""A person's word on single verdicts of the audit, and how far the audit agrees with people.

Corrections lie in `audits/corrections.jsonl` of a dataset folder and travel with the version that is published next. A later
line on the same claim replaces the earlier, so that a person may think better of it. An audit that nobody has calibrated is not
one to gate on: the agreement is counted on claims of a random sample only, since those that people went looking for are the
ones where something was wrong.
"""

import fcntl
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from math import sqrt
from pathlib import Path
from typing import Any

from recapdata.dataset.bounded import read_lines
from recapdata.dataset.folder import CORRECTIONS, DatasetFolder
from recapdata.dataset.target import Target
from recapdata.errors import DatasetDamaged
from recapdata.records import CLAIM_FIELDS, CLAIM_KINDS, VERDICTS, ClaimKind, Verdict

LINE_BYTES = 2**20
"""The most of a line of corrections."""
DECIDED: tuple[Verdict, ...] = ("supported", "contradicted")
"""The verdicts that a person can agree or disagree with; `unknown` claims nothing."""
Z = 1.959964
"""Normal quantile of a 95 % interval."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Correction:
    """Whether a person finds one verdict right.

    Attributes:
        set_name: the caption set that makes the claim.
        span: code points of the caption, end exclusive.
        claim: the fields of the claim's kind (`CLAIM_FIELDS`), None where it has none.
        verdict: what the audit said when the person looked.
        right: whether the person agrees.
        sample: the caption was one of the random hundred to calibrate on, not one that was sought out.
        date: ISO 8601 in UTC.
    """

    key: str
    set_name: str
    kind: ClaimKind
    span: tuple[int, int]
    claim: Mapping[str, Any]
    verdict: Verdict
    right: bool
    sample: bool = False
    date: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"))

    @property
    def subject(self) -> tuple[str, str, str, tuple[int, int], str]:
        """What it speaks of; a later correction of the same subject replaces an earlier one."""
        return (self.key, self.set_name, self.kind, self.span, json.dumps(self.claim, sort_keys=True))

    def to_json(self) -> str:
        """Its line in the file."""
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        named = {"key": values.pop("key"), "set": values.pop("set_name"), **values, "claim": dict(self.claim)}
        return json.dumps(named, ensure_ascii=False)

    @classmethod
    def from_json(cls, line: str | bytes) -> "Correction":
        """The correction of a line; ValueError, KeyError or TypeError where it is none."""
        values = json.loads(line)
        start, end = values.pop("span")
        correction = cls(set_name=values.pop("set"), span=(int(start), int(end)), **values)
        if correction.kind not in CLAIM_KINDS or correction.verdict not in VERDICTS:
            raise ValueError("its kind or its verdict is none")
        for value, kind in (
            (correction.key, str),
            (correction.set_name, str),
            (correction.claim, Mapping),
            (correction.right, bool),
            (correction.sample, bool),
            (correction.date, str),
        ):
            if not isinstance(value, kind):
                raise TypeError(f"{str(value)[:80]!r} in place of {kind.__name__}")
        return correction


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """How far the audit agrees with people.

    Attributes:
        right: verdicts that people found right, of the `judged` ones of the random sample.
        share: right / judged; None where nothing was judged.
        low, high: Wilson's 95 % interval of the share (Wilson 1927).
    """

    right: int
    judged: int
    share: float | None
    low: float | None
    high: float | None

    def text(self) -> str:
        """One line: `92.0 % (84.9–95.9) of 100 verdicts`."""
        if self.share is None or self.low is None or self.high is None:
            return "nobody has looked at any verdict of the random sample"
        return f"{100 * self.share:.1f} % ({100 * self.low:.1f}–{100 * self.high:.1f}) of {self.judged:,} verdicts"


def claim_fields(kind: ClaimKind, values: Mapping[str, Any]) -> dict[str, Any]:
    """The fields that a claim of this kind has, from any mapping that holds them."""
    return {name: values.get(name) for name in CLAIM_FIELDS[kind]}


def agreement(corrections: Iterable[Correction]) -> Agreement:
    """The share of decided verdicts of the random sample that people found right."""
    judged = [each.right for each in corrections if each.sample and each.verdict in DECIDED]
    right, n = sum(judged), len(judged)
    if not n:
        return Agreement(right=0, judged=0, share=None, low=None, high=None)
    share = right / n
    center = (share + Z * Z / (2 * n)) / (1 + Z * Z / n)
    half = Z * sqrt(share * (1 - share) / n + Z * Z / (4 * n * n)) / (1 + Z * Z / n)
    return Agreement(
        right=right, judged=n, share=share, low=max(center - half, 0.0), high=min(center + half, 1.0)
    )


def read_corrections(folder: str | Path) -> list[Correction]:
    """The corrections of a dataset folder that hold, in the order in which they were first made.

    Raises:
        DatasetDamaged: a line is no correction.
    """
    return _read(Path(folder) / CORRECTIONS)


def corrections_of(target: Target) -> list[Correction]:
    """The corrections of a folder or of a published version.

    Raises:
        DatasetDamaged: a line is no correction.
        HubError: the Hub cannot be reached.
    """
    path = target.file(CORRECTIONS)
    return _read(path) if path is not None else []


def add_correction(folder: str | Path, correction: Correction) -> None:
    """Add one to a dataset folder; it is on disk when this returns, also while a recaptioning holds the folder.

    Raises:
        NotADataset: there is no dataset folder.
        DatasetDamaged: the file of corrections ends in something else.
    """
    path = DatasetFolder.open(folder).path / CORRECTIONS
    path.parent.mkdir(exist_ok=True)
    line = correction.to_json().encode() + b"\n"
    # Unbuffered: what a full disk refuses must not be waiting in a buffer when the file is closed.
    with open(path, "a+b", buffering=0) as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        length = file.seek(0, os.SEEK_END)
        file.seek(max(0, length - LINE_BYTES))
        tail = file.read(LINE_BYTES)
        if length > LINE_BYTES and b"\n" not in tail:
            raise DatasetDamaged(f"{path}: its last line is no correction; take the line out")
        file.truncate(length - len(tail) + tail.rfind(b"\n") + 1)  # without what a crash left of a last line
        while line:
            line = line[file.write(line) :]
        os.fsync(file.fileno())


def _read(path: Path) -> list[Correction]:
    """Those of a file, none where there is no file; a later one takes the place of an earlier one."""
    return list({each.subject: each for each in _lines(path)}.values()) if path.is_file() else []


def _lines(path: Path) -> Iterator[Correction]:
    number = 0
    try:
        for line in read_lines(path, LINE_BYTES):
            number += 1
            if not line.endswith(b"\n"):
                return  # torn by a crash
            yield Correction.from_json(line)
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        raise DatasetDamaged(
            f"{path}: line {number} is no correction ({error}); take the line out"
        ) from error
