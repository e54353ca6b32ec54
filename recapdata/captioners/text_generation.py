"""What captioners share: a seed per caption, sampling that depends on nothing else, the choice among candidates, out of memory.

transformers draws noise for a whole batch from one generator, so the same image gets other words in another batch or after an
interruption. Here every token is drawn by inverting the distribution at one uniform number, which is a hash of the caption's
seed and the step: no state, no order, no batch.
"""

import gc
import hashlib
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, TypeVar

from recapdata.captioners import STYLES, CaptionerOptions, CaptioningFailed, OutOfMemory
from recapdata.captioners.reasoning import without_reasoning
from recapdata.captioners.template import Template
from recapdata.models.opening import one_line
from recapdata.models.transformers import REFUSALS, is_memory
from recapdata.records import Caption, Provenance

if TYPE_CHECKING:
    from torch import Tensor

CHOICE = "most agreed"
_WORD = re.compile(r"\w+")
_Result = TypeVar("_Result")


def model_provenance(
    options: CaptionerOptions,
    *,
    captioner: str,
    model: str,
    revision: str | None,
    prompt: str,
    template: Template | None = None,
    sampling: Mapping[str, Any],
    dtype: str,
    libraries: Mapping[str, str],
) -> Provenance:
    """The provenance of captions that a model writes under a prompt, or under a template in its place."""
    text = template.text if template else prompt
    return Provenance(
        writer="model",
        captioner=captioner,
        model=model,
        revision=revision,
        style="template" if template else options.style if options.style in STYLES else "free",
        prompt=text,
        prompt_hash=hashlib.sha256(text.encode()).hexdigest(),
        sampling=sampling,
        seed=options.seed if options.temperature else None,
        dtype=dtype,
        libraries=libraries,
    )


def versions(libraries: Sequence[str]) -> dict[str, str]:
    """Installed versions of what decides the words."""
    return {library: version(library) for library in libraries}


def write_captions(
    options: CaptionerOptions,
    keys: Sequence[str],
    write: Callable[[Sequence[int] | None], list[Caption]],
) -> list[Caption]:
    """One caption per key: what `write` gives without a seed, or the most agreed of what it gives for each candidate's seeds."""
    if not options.temperature:
        return write(None)
    rounds = [
        write([caption_seed(options.seed, key, number) for key in keys])
        for number in range(options.candidates)
    ]
    return [most_agreed(candidates) for candidates in zip(*rounds, strict=True)]


def written_caption(text: str, *, seed: int | None, ended: bool, tokens: int) -> Caption:
    """The caption of a model's text, without its reasoning; an error where there is none."""
    answer, reasoned, cut = without_reasoning(text)
    if answer and (ended or not cut):
        return Caption(caption=answer, seed=seed, finish_reason="stop" if ended else "length", tokens=tokens)
    error = "EmptyCaption: the model ended without a word"
    if not ended:
        error = f"TokenLimit: all {tokens:,} tokens were spent{' on reasoning' if reasoned else ''}; raise --max-tokens"
    elif reasoned:
        error = "EmptyCaption: the model reasoned and wrote no caption; raise --max-tokens"
    return Caption(caption=None, seed=seed, tokens=tokens, error=error)


class Guard:
    """Runs a model, and turns what it raises into the errors of the protocol `Captioner`."""

    def __init__(self) -> None:
        self._short_of_memory = False

    def run(self, generate: Callable[[], _Result]) -> _Result:
        """What `generate` returns, without gradients.

        Raises:
            OutOfMemory: the batch is too large.
            CaptioningFailed: the model refuses it.
        """
        import torch

        if self._short_of_memory:  # what the failed attempt held hangs in its traceback until now
            gc.collect()
            torch.cuda.empty_cache()
            self._short_of_memory = False
        try:
            with torch.inference_mode():
                return generate()
        except (torch.OutOfMemoryError, MemoryError, *REFUSALS) as error:
            if not is_memory(error):
                raise CaptioningFailed(one_line(error)) from error
            self._short_of_memory = True
            raise OutOfMemory(one_line(error)) from error


def draws(options: CaptionerOptions, seeds: Sequence[int] | None) -> list[Any]:
    """Logits processors that turn scores into one drawn token per caption: temperature, top-p, the draw; none without seeds."""
    from transformers import TemperatureLogitsWarper, TopPLogitsWarper

    if seeds is None:
        return []
    top_p = [TopPLogitsWarper(options.top_p)] if options.top_p < 1 else []
    return [TemperatureLogitsWarper(options.temperature), *top_p, KeyedDraw(seeds)]


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


def most_agreed(candidates: Sequence[Caption]) -> Caption:
    """The candidate with the highest mean word F1 against the others; of equals the first, of failures the first failure.

    What most samples say is more often in the picture than what one of them says, so the consensus makes fewer things up (the
    consensus caption of Devlin et al. 2015, arXiv:1505.04467; minimum Bayes risk decoding with word overlap as the gain).
    """
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
