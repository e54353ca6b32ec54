"""R-precision, RP (Xu et al. 2018; CLIP instead of DAMSM as in TISE, Dinh et al. 2022): does CLIP pick the prompt out of a hundred?

For each picture, CLIP compares the prompt with 99 others of the same run; right where it is nearer than all of them. The pictures are
shuffled into ten bins; RP is the mean of the bins' shares, `rp-sd` their standard deviation.

Deviations. The 99 and the bins are drawn by a seed, not anew each time (the draw of a picture depends on seed, its prompt and the run's
prompts alone); bins differ by one picture at most, where TISE's last takes the whole rest. The 99 are other texts than the prompt, so
that a run whose prompts repeat is not held against itself, and where TISE gives a tie to the true prompt, here it is lost. A run of fewer than a hundred different prompts has fewer others, and says so:
its figure is higher for that alone, and is not compared with others.

What it cannot see: anything that does not tell a prompt from 99 random ones. Counts, positions and colors hardly matter; a model that
CLIP was used to train does better than real pictures (RECAP: 92.8 against 83.5).
"""

import hashlib
import random
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
from PIL import Image

from recaptrain.evaluation.metrics import Statistic
from recaptrain.evaluation.seen import SeenEmbeddings, open_embeddings
from recaptrain.evaluation.sums import Floats, mean_of_groups

if TYPE_CHECKING:
    import torch

    from recaptrain.evaluation.pictures import Picture, Pictures
    from recaptrain.evaluation.settings import EvaluateSettings

VERSION = 1
OTHERS = 99
BINS = 10
SCHEMA = pa.schema([("rank", pa.int32()), ("chosen", pa.string()), ("order", pa.string())])
"""Of a picture the rank of its prompt among all (1: nearest), the nearest text, and a hash that the bins are drawn by."""


class RPrecision:
    """RP; made by `open_rp`."""

    name = "rp"
    schema = SCHEMA

    def __init__(
        self, embeddings: SeenEmbeddings, prompts: Sequence[str], seed: int, batch_size: int = 32
    ) -> None:
        """Prepare; the prompts are encoded by the first `measure`.

        Args:
            prompts: of all pictures of the run.
        """
        self._embeddings = embeddings
        self._prompts = sorted(set(prompts))
        self._places = {prompt: place for place, prompt in enumerate(self._prompts)}
        self._seed = seed
        self.batch_size = batch_size
        self._texts: torch.Tensor | None = None
        self.others = min(OTHERS, len(self._prompts) - 1)
        pool = hashlib.sha256("\0".join(self._prompts).encode()).hexdigest()[:16]
        self.identity: Mapping[str, Any] = {
            "rules": VERSION,
            "clip": embeddings.clip.identity,
            "prompts": pool,
            "others": self.others,
            "seed": seed,
        }

    def measure(
        self, pictures: "Sequence[Picture]", images: Sequence[Image.Image]
    ) -> list[Mapping[str, Any] | None]:
        """A row for each picture; none where all prompts of the run are the same."""
        if not self.others:
            return [None] * len(pictures)
        if self._texts is None:
            self._texts = self._embeddings.clip.encode_texts(self._prompts).cpu()
        rows: list[Mapping[str, Any] | None] = []
        for picture, image in zip(pictures, self._embeddings.encode(images), strict=True):
            own = self._places[picture.prompt]
            among = [own, *draw(own, len(self._prompts), self.others, f"{self._seed} {picture.prompt}")]
            near = (self._texts[among] @ image).tolist()
            order = hashlib.blake2b(f"{self._seed} {picture.id}".encode(), digest_size=8).hexdigest()
            best = max(range(len(near)), key=lambda place: near[place])
            rows.append({"rank": rank(near), "chosen": self._prompts[among[best]], "order": order})
        return rows

    def figures(self, rows: pa.Table) -> list[Statistic]:
        """RP and the standard deviation of its bins."""
        first = [each == 1 for each in rows.column("rank").to_pylist()]
        bins = bins_of(rows.column("order").to_pylist())
        few = (
            f"only {self.others} other prompts to choose from, {OTHERS} are usual: chance is {100 / (self.others + 1):.1f} %"
            if self.others < OTHERS
            else ""
        )
        n = rows.num_rows
        return [
            Statistic(
                name="rp",
                better="higher",
                unit="%",
                n=n,
                value=mean_of_groups(first, bins, scale=100),
                note=few,
            ),
            Statistic(
                name="rp-sd",
                better=None,
                unit="%",
                n=n,
                value=_spread_of_bins(first, bins),
                least=0.0,
                centered=True,
            ),
        ]


def rank(near: Sequence[float]) -> int:
    """The rank of the first of some cosines among all, 1 for the highest; what is equal to it comes before it."""
    return 1 + sum(other >= near[0] for other in near[1:])


def draw(own: int, texts: int, others: int, seed: str) -> list[int]:
    """Other texts than the own one, drawn without replacement (Floyd's algorithm, Bentley & Floyd 1987).

    Only `random.Random.random` is drawn from, whose sequence Python guarantees for a seed.
    """
    digest = hashlib.blake2b(seed.encode(), digest_size=8).digest()
    uniform = random.Random(int.from_bytes(digest, "big")).random
    drawn: dict[int, None] = {}
    for last in range(texts - 1 - others, texts - 1):
        place = int(uniform() * (last + 1))
        drawn[last if place in drawn else place] = None
    return [place + (place >= own) for place in drawn]


def bins_of(order: Sequence[str]) -> list[int]:
    """The bin of each picture: ten of equal size, to within one, in the order of hashes."""
    places = sorted(range(len(order)), key=lambda place: order[place])
    bins = [0] * len(order)
    for number, place in enumerate(places):
        bins[place] = number * BINS // len(order)
    return bins


def _spread_of_bins(first: Sequence[bool], bins: Sequence[int]) -> Any:
    """The standard deviation (of the population) of the bins' shares."""
    numbered = np.array(bins, np.intp)
    right = np.array(first, np.float64)

    def value(weights: Floats) -> float:
        total = np.bincount(numbered, weights)
        sums = np.bincount(numbered, weights * right)
        there = total > 0
        return float(100 * np.std(sums[there] / total[there])) if there.any() else float("nan")

    return value


def open_rp(settings: "EvaluateSettings", pictures: "Pictures") -> RPrecision:
    """Load the CLIP model.

    Raises:
        ModelNotSupported: no such model.
    """
    prompts = [picture.prompt for picture in pictures.items]
    return RPrecision(open_embeddings(settings), prompts, settings.seed, settings.batch_size)
