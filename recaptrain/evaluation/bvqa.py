"""T2I-CompBench's B-VQA (Huang et al. 2023): attributes by questions about each phrase of a prompt.

    score = Π over the noun phrases of a prompt of p(yes | picture, "a green bench?")

so that a picture is only as good as what it gets wrong, and attributes are asked for with the thing that they belong to. DALL·E 3
reports it for the color, shape and texture prompts (81.1, 67.5 and 80.7 %).

Deviations. Any vision-language model of transformers that takes questions (`--vlm`) for BLIP-VQA, whose p(yes) is a softmax over yes and
no as here (`recaptrain.evaluation.answers`). The phrases are those of the objects that the audit's claims find, with their article and all words
between, and not spaCy's noun chunks: words about the picture itself ("a photo of") ask nothing. The question is "Is there a green bench
in this picture?", since general models are not trained on "a green bench?".

What it cannot see: how many there are, where they are, and whatever the model says yes to anyway: read it beside the figure of
shuffled pictures (`--shuffle`). Prompts of more phrases score lower for that alone; `bvqa-phrases` is the mean over phrases.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from PIL import Image

from recaptrain.evaluation.answers import Answerer, open_answerer
from recaptrain.evaluation.metrics import Statistic
from recaptrain.evaluation.stated import noun_phrases, read_prompts, reading_identity
from recaptrain.evaluation.sums import flat, mean

if TYPE_CHECKING:
    from recaptrain.evaluation.pictures import Picture, Pictures
    from recaptrain.evaluation.settings import EvaluateSettings

VERSION = 1
QUESTION = "Is there {phrase} in this picture?"
SCHEMA = pa.schema(
    [
        ("phrases", pa.list_(pa.string())),
        ("yes", pa.list_(pa.float64())),
        ("answered", pa.list_(pa.float64())),
        ("score", pa.float64()),
    ]
)
"""Of a picture the phrases of its prompt, the probability of yes to each, how sure an answer was to come, and the product."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bvqa:
    """B-VQA; made by `open_bvqa`."""

    answerer: Answerer
    identity: Mapping[str, Any]
    name: str = "bvqa"
    schema: pa.Schema = SCHEMA
    batch_size: int = 32

    def measure(
        self, pictures: "Sequence[Picture]", images: Sequence[Image.Image]
    ) -> list[Mapping[str, Any] | None]:
        """A row for each picture whose prompt names an object."""
        phrases = [noun_phrases(each) for each in read_prompts([picture.prompt for picture in pictures])]
        asked = [(place, phrase) for place, own in enumerate(phrases) for phrase in own]
        answers = []
        for start in range(0, len(asked), self.batch_size):
            part = asked[start : start + self.batch_size]
            questions = [QUESTION.format(phrase=_inside(phrase)) for _, phrase in part]
            answers += self.answerer.ask([images[place] for place, _ in part], questions)
        coming = iter(answers)
        rows: list[Mapping[str, Any] | None] = []
        for own in phrases:
            found = [next(coming) for _ in own]
            rows.append(
                {
                    "phrases": own,
                    "yes": [each.yes for each in found],
                    "answered": [each.answered for each in found],
                    "score": prod(each.yes for each in found),
                }
                if own
                else None
            )
        return rows

    def figures(self, rows: pa.Table) -> list[Statistic]:
        """The mean product, the mean over phrases, and how sure an answer was to come."""
        places, (yes, answered) = flat(rows, "yes", "answered")
        n = rows.num_rows
        scores = rows.column("score").to_pylist()
        return [
            Statistic(name="bvqa", n=n, unit="%", value=mean(scores, scale=100)),
            Statistic(name="bvqa-phrases", n=n, unit="%", value=mean(yes, places, scale=100)),
            Statistic(
                name="bvqa-answered",
                n=n,
                unit="%",
                better=None,
                value=mean(answered, places, scale=100),
                note="probability that the model answers yes or no at all; where it is low, the others mean little",
            ),
        ]


def _inside(phrase: str) -> str:
    """A phrase as it stands inside a sentence: "A dog" → "a dog"."""
    first, blank, rest = phrase.partition(" ")
    return f"{first.lower()}{blank}{rest}" if first.istitle() and blank else phrase


def open_bvqa(settings: "EvaluateSettings", pictures: "Pictures") -> Bvqa:
    """Find the model; its weights are loaded by the first question.

    Raises:
        OptionError: no model is named.
        CaptionerNotFound, ModelNotSupported: no such model, or one that takes no questions.
    """
    answerer = open_answerer(settings, "bvqa")
    identity = {"rules": VERSION, "vlm": answerer.identity, "claims": reading_identity()}
    return Bvqa(answerer=answerer, identity=identity, batch_size=settings.batch_size)
