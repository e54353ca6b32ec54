"""Sampling that depends on nothing but the seed, the key and the step: no state, no order, no batch.

transformers draws noise for a whole batch from one generator, so the same image gets other words in another batch or after an
interruption. Here every token is drawn by inverting the distribution at one uniform number, which is a hash of the caption's
seed and the step.
"""

import hashlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from recapdata.captioners import CaptionerOptions
from recapdata.captioners.choice import CHOICE

if TYPE_CHECKING:
    from torch import Tensor


def caption_seed(seed: int, key: str, candidate: int = 0) -> int:
    """The seed of one caption: 63 bits of a hash over the run's seed, the record's key and the candidate's number."""
    return int.from_bytes(hashlib.sha256(f"{seed}/{key}/{candidate}".encode()).digest()[:8]) >> 1


def uniform(seed: int, step: int) -> float:
    """A number in [0, 1), the same for the same seed and step on every machine."""
    return (int.from_bytes(hashlib.sha256(f"{seed}/{step}".encode()).digest()[:8]) >> 11) / 2**53


def sampling_settings(options: CaptionerOptions, most_tokens: int) -> dict[str, Any]:
    """How captions are decoded, as their provenance says it."""
    tokens = {"max_new_tokens": most_tokens}
    if not options.temperature:
        return {"do_sample": False, **tokens}
    sampling: dict[str, Any] = {
        "do_sample": True,
        "temperature": options.temperature,
        "top_p": options.top_p,
        **tokens,
    }
    if options.candidates > 1:
        sampling |= {"candidates": options.candidates, "choice": CHOICE}
    return sampling


class Start:
    """A logits processor that changes nothing and notes where in the sequence generation begins.

    Families differ in whether the prompt is part of what `generate` returns; the first scores tell for all of them.
    """

    def __init__(self) -> None:
        self.position: int | None = None

    def __call__(self, input_ids: "Tensor", scores: "Tensor") -> "Tensor":
        if self.position is None:
            self.position = input_ids.shape[1]
        return scores


class KeyedDraw:
    """A logits processor that draws each row's token by its own seed and leaves `generate` no other choice.

    Comes after the processors that shape the distribution (temperature, top-p).
    """

    def __init__(self, seeds: Sequence[int]) -> None:
        self._seeds = list(seeds)
        self._step = 0

    def __call__(self, input_ids: "Tensor", scores: "Tensor") -> "Tensor":
        """Scores of shape [batch, vocabulary] → zero at the drawn token of each row, minus infinity elsewhere."""
        import torch

        # Half of the mass of a large vocabulary is lost to rounding in bfloat16, and float32 still shows it.
        exact = torch.float32 if scores.device.type == "mps" else torch.float64
        mass = scores.to(exact).softmax(dim=-1).cumsum(dim=-1)
        at = torch.tensor(
            [[uniform(seed, self._step)] for seed in self._seeds], dtype=exact, device=scores.device
        )
        self._step += 1
        drawn = torch.searchsorted(mass, at * mass[:, -1:], right=True).clamp(max=scores.shape[-1] - 1)
        return torch.full_like(scores, float("-inf")).scatter(1, drawn, 0.0)
