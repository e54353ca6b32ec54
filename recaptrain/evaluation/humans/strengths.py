"""Bradley–Terry strengths by maximum likelihood, of many tables of wins at once."""

import numpy as np
from numpy.typing import NDArray

TOLERANCE = 1e-9
LIMIT = 10_000
"""Most rounds; a few dozen are usual."""
ELO_SCALE = 400.0
ELO_MEAN = 1000.0


def bradley_terry(wins: NDArray[np.float64]) -> NDArray[np.float64]:
    """Strengths that make the wins most likely, with a geometric mean of 1.

    A tie is half a win of either. Newman's iteration (Newman 2023, "Efficient Computation of Rankings from Pairwise Comparisons", eq. 12), the one that
    evalica has, over all tables at once: a bootstrap has a thousand. There is a maximum where every model won from every other, at least through others
    (Ford 1957); else a model that nobody won from, even through others, is infinitely strong, and the reverse.

    Args:
        wins: (tables, models, models): how often the row's model won from the column's.

    Returns:
        (tables, models): strengths; inf or 0 where the likelihood only grows, and NaN for a model that is neither or that has no votes.
    """
    strengths = np.ones(wins.shape[:-1])
    beaten = _reaches(wins)
    connected = (beaten | np.eye(wins.shape[-1], dtype=bool)).all((-2, -1))
    tables, found = wins[connected], strengths[connected]
    for _ in range(LIMIT if len(tables) else 0):
        before = found.copy()
        for model in range(wins.shape[-1]):  # one after another: all at once, the iteration swings
            sums = found[:, model, None] + found
            won = (tables[:, model] * found / sums).sum(-1)
            found[:, model] = won / (tables[:, :, model] / sums).sum(-1)
        found /= np.exp(np.log(found).mean(-1, keepdims=True))
        if np.abs(np.log(found / before)).max() < TOLERANCE:
            break
    strengths[connected] = found
    above = (beaten & ~beaten.swapaxes(-2, -1)).any(-1)
    below = (beaten & ~beaten.swapaxes(-2, -1)).any(-2)
    apart = np.where(above == below, np.nan, np.where(above, np.inf, 0.0))
    strengths[~connected] = apart[~connected]
    return strengths


def elo(strengths: NDArray[np.float64]) -> NDArray[np.float64]:
    """Strengths as Elo ratings, 400·log10 + 1000: a difference of 400 is a ratio of ten, and the mean of all models is 1000."""
    with np.errstate(divide="ignore"):
        return ELO_SCALE * np.log10(strengths) + ELO_MEAN


def _reaches(wins: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Whether the row's model won from the column's, directly or through others."""
    found = wins > 0
    for _ in range(wins.shape[-1].bit_length()):
        found = found | (found.astype(np.float32) @ found.astype(np.float32) > 0)
    return found
