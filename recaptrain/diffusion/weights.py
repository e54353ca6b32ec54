"""A weight for each caption in the loss, from what the audit says of it: `--weigh`."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recapdata.caption_sets.mixture import Mixture
from recapdata.dataset.target import Target
from recapdata.errors import CaptionSetNotFound, OptionError
from recapdata.recaptioning.expression import parse
from recapdata.recaptioning.where import ADDRESSED, over_audit
from recapdata.suggestions import did_you_mean

OPTION = "--weigh"


@dataclass(frozen=True, slots=True, kw_only=True)
class CaptionWeights:
    """The weights of a mixture's captions; their mean over what the mixture draws, in expectation, is 1.

    Attributes:
        by_set: set → a weight per row of the dataset.
        unjudged: by set, captions of which the expression has no value, such as those without judged claims: they weigh as the mean does.
    """

    by_set: Mapping[str, NDArray[np.float64]]
    unjudged: Mapping[str, int]

    def of(self, set_name: str | None, row: int, caption: str) -> float:
        """The weight of a caption as drawn; 1 of an empty one, which is what classifier-free guidance learns from."""
        weights = self.by_set.get(set_name or "")
        return 1.0 if weights is None or not caption else float(weights[row])

    @property
    def digest(self) -> str:
        """A hash over all weights: a run under other ones is another run."""
        total = hashlib.sha256()
        for name, weights in self.by_set.items():
            total.update(name.encode() + weights.tobytes())
        return total.hexdigest()

    def lines(self) -> list[str]:
        """What the weights are, for a person."""
        found = []
        for name, weights in self.by_set.items():
            parts = [
                f"{name}: {np.nanmin(weights):.3g} to {np.nanmax(weights):.3g}, mean {np.nanmean(weights):.3g}"
            ]
            if nothing := int((weights == 0).sum()):
                parts.append(f"{nothing:,} captions weigh nothing")
            if self.unjudged[name]:
                parts.append(f"{self.unjudged[name]:,} without a value weigh 1")
            found.append("weights of " + "; ".join(parts))
        return found


def read_weights(target: Target, mixture: Mixture, text: str) -> CaptionWeights:
    """Evaluate an expression over the audits of a mixture's sets.

    Weights are divided by their mean over the captions that the mixture draws, so that the learning rate keeps its meaning.

    Args:
        text: a number in the language of `--where`, `1 if contradicted == 0 else 0.3`, of every set of the mixture, or of the one
            named before a colon, `recap-long: …`; the others weigh 1.

    Raises:
        OptionError: it is no number, is negative or infinite somewhere, or 0 everywhere.
        CaptionSetNotFound: the mixture has no such set.
        AuditNotFound, ColumnNotFound: a set is not audited, or not for what the expression names.
    """
    addressed = ADDRESSED.fullmatch(text)
    expression = parse(addressed[2] if addressed else text, OPTION)
    sets = mixture.sets if addressed is None else (addressed[1],)
    if sets[0] not in mixture.sets:
        raise CaptionSetNotFound(
            f"{OPTION} {text}: the mixture {mixture} has no caption set {sets[0]!r}{did_you_mean(sets[0], mixture.sets)}"
        )
    raw = {}
    for name in sets:
        where = over_audit(target, name, expression, asked=f"{OPTION} {text}")
        values: list[NDArray[np.float64]] = []
        for shard in target.shards():
            own = {
                key: value
                for keys, columns in where.batches(shard)
                for key, value in zip(keys.to_pylist(), expression.numbers(columns).to_pylist(), strict=True)
            }
            keys = [key for batch in target.read(shard, ["key"]) for key in batch.column("key").to_pylist()]
            values.append(np.array([own.get(key) for key in keys], float))
        raw[name] = np.concatenate(values)
        wrong = raw[name][~(np.isnan(raw[name]) | (np.isfinite(raw[name]) & (raw[name] >= 0)))]
        if len(wrong):
            raise OptionError(
                f"{OPTION} {text}: it is {wrong[0]:g} for a caption of {name}; a weight is a number from 0 on"
            )
    shares = mixture.shares
    mean = sum(shares[name] * (_mean(raw[name]) if name in raw else 1.0) for name in mixture.sets)
    if mean == 0:
        raise OptionError(f"{OPTION} {text}: every caption weighs nothing")
    return CaptionWeights(
        by_set={name: np.where(np.isnan(weights), 1.0, weights / mean) for name, weights in raw.items()},
        unjudged={name: int(np.isnan(weights).sum()) for name, weights in raw.items()},
    )


def _mean(weights: NDArray[np.float64]) -> float:
    """The mean of the weights that are known; 1 where none is."""
    return float(np.nanmean(weights)) if np.isfinite(weights).any() else 1.0
