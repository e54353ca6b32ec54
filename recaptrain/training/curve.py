"""The loss of a run over its steps, in a few rows for a card."""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Stretch:
    """Some steps in succession.

    Attributes:
        first, last: their numbers, from 1.
        loss: mean training loss over them.
        validation: loss of the last validation among them; None where there was none.
    """

    first: int
    last: int
    loss: float
    validation: float | None


def loss_curve(
    log: Sequence[Mapping[str, Any]], validation: Sequence[Mapping[str, Any]] = (), *, stretches: int = 10
) -> list[Stretch]:
    """The curve in so many stretches, as even as they can be; fewer of a run of fewer steps.

    Args:
        log, validation: rows with `step` and `loss`, ascending; a row without a `loss` has none to show.
    """
    count = min(stretches, len(log))
    bounds = [len(log) * number // count for number in range(count + 1)] if count else [0]
    curve = []
    for start, end in itertools.pairwise(bounds):
        rows = log[start:end]
        first, last = int(rows[0]["step"]), int(rows[-1]["step"])
        seen = [
            row["loss"] for row in validation if first <= row["step"] <= last and row.get("loss") is not None
        ]
        curve.append(
            Stretch(
                first=first,
                last=last,
                loss=sum(row["loss"] for row in rows) / len(rows),
                validation=seen[-1] if seen else None,
            )
        )
    return curve
