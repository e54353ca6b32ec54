"""CLIP score: how near a picture is to its prompt, in both conventions.

`clipscore`        100·cos(image, text), as DALL·E 3 reports it (Betker et al. 2023), by `--clip`
`clipscore-hessel` 2.5·max(cos, 0), the text behind "A photo depicts" (CLIPScore, Hessel et al. 2021)
`clipscore-sd`     standard deviation of the first over pictures: recaptioned evaluation shows it to be lower (Betker et al. 2023)
`clipscore-read`   the first against what the model was given, where that is not the prompt
`over-context`     share of prompts that the CLIP model reads only the beginning of

It cannot judge counts or positions, and a CLIP of 77 tokens cannot judge long prompts.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from PIL import Image

from audits.clip.scores import HESSEL_PREFIX, HESSEL_WEIGHT, Cosines
from recaptrain.evaluation.intervals import weighted_mean
from recaptrain.evaluation.metrics import Statistic
from recaptrain.evaluation.pictures import Picture, Pictures
from recaptrain.evaluation.seen import SeenEmbeddings, open_embeddings

if TYPE_CHECKING:
    from recaptrain.evaluation.settings import EvaluateSettings

VERSION = 1


@dataclass(frozen=True, slots=True)
class ClipScore:
    """A `Metric`."""

    embeddings: SeenEmbeddings
    batch_size: int
    name: str = "clipscore"
    schema = pa.schema(
        [
            ("cosine", pa.float64()),
            ("hessel", pa.float64()),
            ("cosine_read", pa.float64()),
            ("over_context", pa.bool_()),
        ]
    )

    @property
    def identity(self) -> Mapping[str, Any]:
        return {"version": VERSION, "clip": self.embeddings.clip.identity}

    def measure(self, pictures: Sequence[Picture], images: Sequence[Image.Image]) -> list[Mapping[str, Any]]:
        clip = self.embeddings.clip
        cosines = Cosines(clip, self.embeddings.encode(images).to(clip.device))
        places = range(len(pictures))
        plain = cosines([(place, pictures[place].prompt) for place in places])
        hessel = cosines([(place, HESSEL_PREFIX + pictures[place].prompt) for place in places])
        other = [place for place in places if pictures[place].read != pictures[place].prompt]
        read = dict(zip(other, cosines([(place, pictures[place].read) for place in other]), strict=True))
        return [
            {
                "cosine": plain[place],
                "hessel": HESSEL_WEIGHT * max(hessel[place], 0.0),
                "cosine_read": read.get(place),
                "over_context": clip.overflows(pictures[place].prompt),
            }
            for place in places
        ]

    def figures(self, rows: pa.Table) -> list[Statistic]:
        cosine, hessel, read, over = (
            rows.column(name).cast(pa.float64()).to_numpy(zero_copy_only=False)
            for name in ("cosine", "hessel", "cosine_read", "over_context")
        )
        n = rows.num_rows
        found = [
            Statistic(name="clipscore", n=n, value=weighted_mean(100 * cosine)),
            Statistic(name="clipscore-hessel", n=n, value=weighted_mean(hessel)),
            Statistic(name="clipscore-sd", n=n, value=_Deviation(100 * cosine), better="lower"),
        ]
        if given := int(np.isfinite(read).sum()):
            found.append(Statistic(name="clipscore-read", n=given, value=weighted_mean(100 * read)))
        if np.nansum(over):
            found.append(
                Statistic(
                    name="over-context",
                    n=int(np.isfinite(over).sum()),
                    value=weighted_mean(100 * over),
                    unit="%",
                    better=None,
                    note=f"of these prompts {self.embeddings.clip.name} reads only the beginning",
                )
            )
        return found


@dataclass(frozen=True, slots=True)
class _Deviation:
    """Weights → standard deviation of the population."""

    values: NDArray[np.float64]

    def __call__(self, weights: NDArray[np.int64]) -> float:
        total = weights.sum()
        mean = weights @ self.values / total
        return float(np.sqrt(weights @ (self.values - mean) ** 2 / total))


def open_clip_score(settings: "EvaluateSettings", pictures: Pictures) -> ClipScore:
    """CLIP score by the model of `--clip`."""
    return ClipScore(open_embeddings(settings), settings.batch_size)
