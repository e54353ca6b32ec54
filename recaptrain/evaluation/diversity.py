"""Diversity of the pictures of one prompt: the mean distance of their CLIP embeddings, pair by pair.

    diversity = mean over prompts of the mean over pairs of its pictures of 1 − cos(one, other)

0 where all pictures of a prompt are the same. Prompts with one picture have none; generate several (`--images-per-prompt`). Sadat et
al. (2024, CADS) call it mean pairwise similarity; for k unit vectors the mean cosine is (|Σx|² − k) / k(k − 1).

What it cannot see: whether the pictures are any good: noise is diverse. Read it beside an alignment metric. Between models it
compares only at the same number of seeds and the same encoder.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
from PIL import Image

from recaptrain.evaluation.metrics import Statistic
from recaptrain.evaluation.seen import SeenEmbeddings, open_embeddings
from recaptrain.evaluation.sums import Floats, mean

if TYPE_CHECKING:
    from recaptrain.evaluation.pictures import Picture, Pictures
    from recaptrain.evaluation.settings import EvaluateSettings

VERSION = 1
SCHEMA = pa.schema([("embedding", pa.list_(pa.float32()))])
"""The unit embedding of a picture."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Diversity:
    """Diversity within prompts; made by `open_diversity`."""

    embeddings: SeenEmbeddings
    several: frozenset[str]
    identity: Mapping[str, Any]
    name: str = "diversity"
    schema: pa.Schema = SCHEMA
    batch_size: int = 32

    def measure(
        self, pictures: "Sequence[Picture]", images: Sequence[Image.Image]
    ) -> list[Mapping[str, Any] | None]:
        """A row for each picture of a prompt that has several."""
        wanted = [place for place, picture in enumerate(pictures) if picture.prompt_id in self.several]
        rows: list[Mapping[str, Any] | None] = [None] * len(pictures)
        if wanted:
            embedded = self.embeddings.encode([images[place] for place in wanted]).tolist()
            for place, embedding in zip(wanted, embedded, strict=True):
                rows[place] = {"embedding": embedding}
        return rows

    def figures(self, rows: pa.Table) -> list[Statistic]:
        """The mean over prompts, each as heavy as one of its pictures."""
        distances, places, prompts = within_prompts(rows)
        return [
            Statistic(
                name="diversity", better="higher", unit="", n=rows.num_rows, value=mean(distances, places),
                note=f"{prompts:,} prompts of several pictures",
            )
        ]  # fmt: skip


def within_prompts(rows: pa.Table) -> tuple[Floats, Any, int]:
    """The mean distance within each prompt, the row of its first picture, and the number of prompts."""
    first: dict[str, int] = {}
    members: dict[str, list[int]] = {}
    for place, prompt in enumerate(rows.column("prompt_id").to_pylist()):
        first.setdefault(prompt, place)
        members.setdefault(prompt, []).append(place)
    several = [prompt for prompt, own in members.items() if len(own) > 1]
    column = rows.column("embedding").combine_chunks()
    matrix = (
        np.asarray(column.values, np.float64).reshape(rows.num_rows, -1)
        if rows.num_rows
        else np.zeros((0, 1))
    )
    distances = [mean_distance(matrix[members[prompt]]) for prompt in several]
    return np.array(distances), np.array([first[prompt] for prompt in several], np.intp), len(several)


def mean_distance(embeddings: Floats) -> float:
    """The mean of 1 − cos over the pairs of unit vectors [k, d]."""
    count = len(embeddings)
    total = embeddings.sum(0)
    squares = float((embeddings**2).sum())
    return 1 - (float(total @ total) - squares) / (count * (count - 1))


def open_diversity(settings: "EvaluateSettings", pictures: "Pictures") -> Diversity:
    """Load the CLIP model.

    Raises:
        ModelNotSupported: no such model.
    """
    embeddings = open_embeddings(settings)
    counts: dict[str, int] = {}
    for picture in pictures.items:
        counts[picture.prompt_id] = counts.get(picture.prompt_id, 0) + 1
    several = frozenset(prompt for prompt, count in counts.items() if count > 1)
    identity = {"rules": VERSION, "clip": embeddings.clip.identity}
    return Diversity(
        embeddings=embeddings, several=several, identity=identity, batch_size=settings.batch_size
    )
