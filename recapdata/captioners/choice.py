"""Which of several candidates becomes the caption: the one that the others agree with most.

What most samples say is more often in the picture than what one of them says, so the consensus makes fewer things up (the consensus
caption of Devlin et al. 2015, arXiv:1505.04467; minimum Bayes risk decoding with word overlap as the gain).
"""

import re
from collections import Counter
from collections.abc import Sequence

from recapdata.records import Caption

CHOICE = "most agreed"
_WORD = re.compile(r"\w+")


def most_agreed(candidates: Sequence[Caption]) -> Caption:
    """The candidate with the highest mean word F1 against the others; of equals the first, of failures the first failure."""
    written = [candidate for candidate in candidates if candidate.caption is not None]
    if not written:
        return candidates[0]
    bags = [Counter(_WORD.findall(str(candidate.caption).lower())) for candidate in written]
    agreement = [
        sum(overlap(bag, other) for place, other in enumerate(bags) if place != here)
        for here, bag in enumerate(bags)
    ]
    return written[agreement.index(max(agreement))]


def overlap(one: Counter[str], other: Counter[str]) -> float:
    """F1 of two bags of words: 2 |A ∩ B| / (|A| + |B|), in [0, 1]; 0 for two empty bags."""
    total = one.total() + other.total()
    return 2 * (one & other).total() / total if total else 0.0
