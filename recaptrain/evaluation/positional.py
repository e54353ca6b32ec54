"""Positional alignment, PA (Dinh et al. 2022, TISE): does CLIP prefer a prompt to the one that states the opposite position?

For each position word of a prompt, CLIP's softmax over {prompt, prompt with that word replaced by its opposite}; right where the
prompt's probability is above 0.6. PA is the plain mean over position words of the share that is right. The logits are 100·cos, or
whatever factor the model was trained with.

Deviations. TISE has a file of captions with hand-made opposites; here prompts of any kind are taken, positions are read by the audit's claims, and
the opposite is the audit's counterfactual caption (`audits.clip.counterfactuals`: left/right, above/below, on/under, in
front of/behind, …), one word at a time. A pair that the model cannot read to the end is left out, since it would not see the change.

`pa-preferred` is the share of pairs with a probability above 0.5, which is a half where the model cannot tell; PA itself is far below
a half then, since a model that cannot tell is not sure.

What it cannot see: positions, where CLIP does not. Most models read them poorly, so that a low figure may be the model's and not the pictures':
hold it against that of real pictures, and of shuffled ones.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import exp
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from PIL import Image

from audits.clip.counterfactuals import counterfactuals, counterfactuals_identity
from audits.grounding.context import Context
from recaptrain.evaluation.metrics import Statistic
from recaptrain.evaluation.seen import SeenEmbeddings, open_embeddings
from recaptrain.evaluation.stated import read_prompts, reading_identity
from recaptrain.evaluation.sums import flat, mean, mean_of_groups

if TYPE_CHECKING:
    from recaptrain.evaluation.pictures import Picture, Pictures
    from recaptrain.evaluation.settings import EvaluateSettings

VERSION = 2
RIGHT = 0.6
SCHEMA = pa.schema(
    [
        ("words", pa.list_(pa.string())),
        ("opposites", pa.list_(pa.string())),
        ("probabilities", pa.list_(pa.float64())),
    ]
)
"""Of a picture the position words of its prompt, the prompt with each reversed, and the probability of the prompt against it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PositionalAlignment:
    """PA; made by `open_pa`."""

    embeddings: SeenEmbeddings
    identity: Mapping[str, Any]
    name: str = "pa"
    schema: pa.Schema = SCHEMA
    batch_size: int = 32

    def measure(
        self, pictures: "Sequence[Picture]", images: Sequence[Image.Image]
    ) -> list[Mapping[str, Any] | None]:
        """A row for each picture whose prompt has a position with an opposite."""
        clip = self.embeddings.clip
        rows: list[Mapping[str, Any] | None] = [None] * len(pictures)
        pairs: dict[int, list[tuple[str, str]]] = {}
        for place, context in enumerate(read_prompts([picture.prompt for picture in pictures])):
            found = [
                (word, text)
                for word, text in opposites(context)
                if not clip.overflows(context.caption) and not clip.overflows(text)
            ]
            if found:
                pairs[place] = found
        if not pairs:
            return rows
        embedded = self.embeddings.encode([images[place] for place in pairs])
        texts = list(
            dict.fromkeys(
                text
                for place, found in pairs.items()
                for text in (pictures[place].prompt, *(opposite for _, opposite in found))
            )
        )
        encoded = dict(zip(texts, clip.encode_texts(texts).cpu(), strict=True))
        for image, (place, found) in zip(embedded, pairs.items(), strict=True):
            own = float(image @ encoded[pictures[place].prompt])
            factor = logit_factor(clip.model)
            rows[place] = {
                "words": [word for word, _ in found],
                "opposites": [text for _, text in found],
                "probabilities": [
                    preference(factor * own, factor * float(image @ encoded[text])) for _, text in found
                ],
            }
        return rows

    def figures(self, rows: pa.Table) -> list[Statistic]:
        """PA, and the share of pairs of which the prompt is preferred at all."""
        places, (words, probabilities) = flat(rows, "words", "probabilities")
        right = [each > RIGHT for each in probabilities]
        by_word = mean_of_groups(right, words, places, scale=100)
        preferred = mean([each > 0.5 for each in probabilities], places, scale=100)
        counts = ", ".join(f"{word} {words.count(word)}" for word in sorted(set(words)))
        return [
            Statistic(name="pa", better="higher", unit="%", n=rows.num_rows, value=by_word, note=f"{counts}"),
            Statistic(name="pa-preferred", better="higher", unit="%", n=rows.num_rows, value=preferred),
        ]


def opposites(context: Context) -> list[tuple[str, str]]:
    """The position words of a prompt that have an opposite, each with the prompt that states it."""
    found = []
    for claim in context.claims:
        if claim.kind == "position":
            for changed in counterfactuals("", context.caption, [claim]):
                found.append((claim.relation or claim.region or "", changed.text(context.caption)))
    return list(dict.fromkeys(found))


def preference(own: float, other: float) -> float:
    """The softmax probability of the first of two logits."""
    return 1 / (1 + exp(min(other - own, 700.0)))


def logit_factor(model: Any) -> float:
    """What a CLIP model multiplies cosines by: e to its `logit_scale`, or 100 where it has none."""
    scale = getattr(model, "logit_scale", None)
    return 100.0 if scale is None else float(scale.detach().exp())


def open_pa(settings: "EvaluateSettings", pictures: "Pictures") -> PositionalAlignment:
    """Load the CLIP model.

    Raises:
        ModelNotSupported: no such model.
    """
    embeddings = open_embeddings(settings)
    identity = {
        "rules": VERSION,
        "clip": embeddings.clip.identity,
        "claims": reading_identity(),
        "opposites": counterfactuals_identity(),
        "right above": RIGHT,
    }
    return PositionalAlignment(embeddings=embeddings, identity=identity, batch_size=settings.batch_size)
