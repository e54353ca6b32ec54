"""DSG and Soft-TIFA: a prompt's questions, answered by a vision-language model.

    dsg             mean of yes over the questions of a prompt, a question below a no counting as no (Cho et al. 2024)
    dsg-plain       the same without dependencies
    soft-tifa-am    arithmetic mean of p(yes) over the questions (GenEval 2, 2025)
    soft-tifa-gm    geometric mean: near 0 where anything is surely wrong
    dsg-KIND        share of yes by kind of question, dependencies counted
    dsg-answered    probability that the model answers yes or no at all

each the mean over pictures. Yes is a p(yes) above a half, read from the tokens of the answer (`recaptrain.evaluation.answers`), and not a sampled
text. Questions are the audit's claims (`recaptrain.evaluation.questions`), or DPG-Bench's own, whose score `dsg` then is,
or GenEval 2's own, whose scores `soft-tifa-am` and `soft-tifa-gm` then are. From mPLUG's answers to DSG's own questions on TIFA-160 the
scores here give DSG's published Spearman correlation with people's ratings, 0.463, and 0.464 without dependencies
(`tests/recaptrain/evaluation/test_dsg.py`).

Deviations. DSG's questions are written by a language model and answered by mPLUG or PaLI; these come from rules, so that the same prompt always
has the same questions, and what the audit makes no claim of (actions, materials, style) is not asked. Soft-TIFA takes the probability of the
right answer, of "three" to "How many cows?"; here every question is put so that yes is right. Figures compare only under one model that
answers.

What it cannot see: whatever the model cannot. Such models say yes too often and count poorly: `--shuffle` gives the yes-rate on
pictures of other prompts, the floor.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import exp, log
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from PIL import Image

from recaptrain.evaluation import questions
from recaptrain.evaluation.answers import Answerer, open_answerer
from recaptrain.evaluation.metrics import Statistic
from recaptrain.evaluation.questions import Question, questions_of
from recaptrain.evaluation.stated import read_prompts, reading_identity
from recaptrain.evaluation.sums import flat, mean

if TYPE_CHECKING:
    from recaptrain.evaluation.pictures import Picture, Pictures
    from recaptrain.evaluation.settings import EvaluateSettings

VERSION = 1
LEAST = 1e-6
"""Below it a probability counts as this much in the geometric mean, which one rounded to nothing would decide alone."""
SCHEMA = pa.schema(
    [
        ("questions", pa.list_(pa.string())),
        ("kinds", pa.list_(pa.string())),
        ("yes", pa.list_(pa.float64())),
        ("valid", pa.list_(pa.bool_())),
        ("answered", pa.list_(pa.float64())),
        ("dsg", pa.float64()),
        ("plain", pa.float64()),
        ("soft_am", pa.float64()),
        ("soft_gm", pa.float64()),
    ]
)
"""Of a picture its questions, the probability of yes to each, whether all that it depends on is there, and the scores."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Dsg:
    """DSG and Soft-TIFA; made by `open_dsg`."""

    answerer: Answerer
    identity: Mapping[str, Any]
    name: str = "dsg"
    schema: pa.Schema = SCHEMA
    batch_size: int = 32

    def measure(
        self, pictures: "Sequence[Picture]", images: Sequence[Image.Image]
    ) -> list[Mapping[str, Any] | None]:
        """A row for each picture of whose prompt anything can be asked."""
        contexts = read_prompts([picture.prompt for picture in pictures])
        asked = [questions_of(context, each.fields) for context, each in zip(contexts, pictures, strict=True)]
        pairs = [(place, question.text) for place, own in enumerate(asked) for question in own]
        answers = []
        for start in range(0, len(pairs), self.batch_size):
            part = pairs[start : start + self.batch_size]
            answers += self.answerer.ask([images[place] for place, _ in part], [text for _, text in part])
        coming = iter(answers)
        rows: list[Mapping[str, Any] | None] = []
        for own in asked:
            found = [next(coming) for _ in own]
            row = scores(own, [each.yes for each in found]) | {"answered": [each.answered for each in found]}
            rows.append(row if own else None)
        return rows

    def figures(self, rows: pa.Table) -> list[Statistic]:
        """The four scores, the share of yes by kind, and how sure an answer was to come."""
        places, (kinds, yes, valid, answered) = flat(rows, "kinds", "yes", "valid", "answered")
        names = {"dsg": "dsg", "dsg-plain": "plain", "soft-tifa-am": "soft_am", "soft-tifa-gm": "soft_gm"}
        n = rows.num_rows
        figures = [
            Statistic(name=name, n=n, unit="%", value=mean(rows.column(column).to_pylist(), scale=100))
            for name, column in names.items()
        ]
        right = [share > 0.5 and there for share, there in zip(yes, valid, strict=True)]
        for kind in dict.fromkeys(kinds):
            own = [each if other == kind else None for each, other in zip(right, kinds, strict=True)]
            of = len({place for place, each in zip(places.tolist(), own, strict=True) if each is not None})
            figures.append(Statistic(name=f"dsg-{kind}", n=of, unit="%", value=mean(own, places, scale=100)))
        note = "probability that the model answers yes or no at all; where it is low, the others mean little"
        value = mean(answered, places, scale=100)
        return [*figures, Statistic(name="dsg-answered", n=n, unit="%", better=None, value=value, note=note)]


def scores(asked: Sequence[Question], yes: Sequence[float]) -> dict[str, Any]:
    """The scores of one picture.

    Args:
        yes: the probability of yes to each question.
    """
    right = [share > 0.5 for share in yes]
    valid = [all(right[parent] for parent in question.parents) for question in asked]
    number = max(len(asked), 1)
    return {
        "questions": [question.text for question in asked],
        "kinds": [question.kind for question in asked],
        "yes": list(yes),
        "valid": valid,
        "dsg": sum(own and there for own, there in zip(right, valid, strict=True)) / number,
        "plain": sum(right) / number,
        "soft_am": sum(yes) / number,
        "soft_gm": exp(sum(log(max(share, LEAST)) for share in yes) / number),
    }


def open_dsg(settings: "EvaluateSettings", pictures: "Pictures") -> Dsg:
    """Find the model; its weights are loaded by the first question.

    Raises:
        OptionError: no model is named.
        CaptionerNotFound, ModelNotSupported: no such model, or one that takes no questions.
    """
    answerer = open_answerer(settings, "dsg")
    identity = {
        "rules": f"{VERSION} questions:{questions.VERSION}",
        "vlm": answerer.identity,
        "claims": reading_identity(),
    }
    return Dsg(answerer=answerer, identity=identity, batch_size=settings.batch_size)
