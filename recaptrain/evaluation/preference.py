"""Preference score: how near a picture is to its prompt for a CLIP that was tuned on people's choices between pictures.

    preference    100·cos(image, text), by `--preference`

Such models are PickScore (Kirstain et al. 2023, `yuvalkirstain/PickScore_v1`, tuned on choices in Pick-a-Pic) and HPS v2 (Wu et al. 2023, weights of
open_clip's ViT-H-14, `ViT-H-14:FILE`). HPS v2's tables have 100·cos; PickScore multiplies by its own logit scale, which
training holds at 100 at most.

Deviations. The factor is 100 for any model. A model is named, there is no default: no CLIP that people's choices did not tune, the embedded one first
of all, says anything of preference, and none that is named is checked for it.

What it cannot see: why. It takes beauty and fit together, in the taste of those who were asked, and reads 77 tokens of the prompt at most.
Scores of different models are different figures.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from PIL import Image

from audits.clip.scores import Cosines
from recapdata.errors import OptionError
from recapdata.models.sources import EMBEDDED
from recaptrain.evaluation.metrics import Statistic
from recaptrain.evaluation.seen import SeenEmbeddings, open_embeddings
from recaptrain.evaluation.sums import mean

if TYPE_CHECKING:
    from recaptrain.evaluation.pictures import Picture, Pictures
    from recaptrain.evaluation.settings import EvaluateSettings

VERSION = 1
EXAMPLE = "yuvalkirstain/PickScore_v1"


@dataclass(frozen=True, slots=True)
class Preference:
    """A `Metric`; made by `open_preference`."""

    embeddings: SeenEmbeddings
    batch_size: int
    name: str = "preference"
    schema = pa.schema([("cosine", pa.float64()), ("over_context", pa.bool_())])
    """Of a picture and its prompt; and whether the model reads only the prompt's beginning."""

    @property
    def identity(self) -> Mapping[str, Any]:
        return {"version": VERSION, "preference": self.embeddings.clip.identity}

    def measure(
        self, pictures: "Sequence[Picture]", images: Sequence[Image.Image]
    ) -> list[Mapping[str, Any]]:
        """A row for each picture."""
        clip = self.embeddings.clip
        cosines = Cosines(clip, self.embeddings.encode(images).to(clip.device))
        found = cosines([(place, picture.prompt) for place, picture in enumerate(pictures)])
        return [
            {"cosine": cosine, "over_context": clip.overflows(picture.prompt)}
            for picture, cosine in zip(pictures, found, strict=True)
        ]

    def figures(self, rows: pa.Table) -> list[Statistic]:
        """The mean score."""
        over = sum(bool(each) for each in rows.column("over_context").to_pylist())
        notes = [f"by {self.embeddings.clip.name}: compares with figures of the same model alone"]
        if over:
            notes.append(f"of {over:,} prompts it reads only the beginning")
        value = mean(rows.column("cosine").to_pylist(), scale=100)
        return [Statistic(name="preference", n=rows.num_rows, value=value, note="; ".join(notes))]


def open_preference(settings: "EvaluateSettings", pictures: "Pictures") -> Preference:
    """Load the model of `--preference`.

    Raises:
        OptionError: none is named, or the embedded CLIP, which nobody's choices tuned.
        ModelNotSupported: no such model.
    """
    model = settings.preference
    if model is None or model == EMBEDDED:
        raise OptionError(
            f"preference needs a CLIP tuned on people's choices: give --preference, such as {EXAMPLE}"
            + (f"; {EMBEDDED} is tuned on none" if model else "")
        )
    return Preference(open_embeddings(settings, model), settings.batch_size)
