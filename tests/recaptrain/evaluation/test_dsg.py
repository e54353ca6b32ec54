"""DSG and Soft-TIFA by hand, and DSG's published correlation with people from published answers."""

import csv
import json
import os
from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import kendalltau, spearmanr

from recaptrain.evaluation.answers import Answer
from recaptrain.evaluation.dsg import Dsg, scores
from recaptrain.evaluation.questions import Question
from tests.recaptrain.evaluation.scripted_models import figures, measured, picture

SHARED = Path(os.environ.get("RECAPDATA_SHARED", Path(__file__).parents[4] / "shared"))
LIKERT = SHARED / "metric-fixtures" / "dsg" / "dsg-tifa160-likert-anns.csv"


class Scripted:
    """Answers by picture and question; no to all others."""

    identity = "scripted@1"

    def __init__(self, yes):
        self.yes = yes

    def ask(self, images, questions):
        numbers = [each.getpixel((0, 0))[0] for each in images]
        return [Answer(self.yes.get(each, 0.1), 0.8) for each in zip(numbers, questions, strict=True)]


ASKED = [
    Question("Is there a dog?", "object"),
    Question("Is there a cat?", "object"),
    Question("Is the dog brown?", "color", (0,)),
    Question("Is the dog to the left of the cat?", "position", (0, 1)),
]


def test_by_hand():
    found = scores(ASKED, [0.9, 0.4, 0.8, 0.6])
    # The cat is not there, so where the dog lies from it counts nothing: two of four. Without dependencies three.
    assert found["valid"] == [True, True, True, False]
    assert (found["dsg"], found["plain"]) == (0.5, 0.75)
    assert found["soft_am"] == pytest.approx(2.7 / 4)
    assert found["soft_gm"] == pytest.approx((0.9 * 0.4 * 0.8 * 0.6) ** 0.25)


def test_a_half_is_no_yes():
    assert scores(ASKED[:1], [0.5])["dsg"] == 0.0


def test_what_is_surely_wrong_leaves_little_of_the_geometric_mean():
    assert scores(ASKED[:2], [1.0, 0.0])["soft_gm"] == pytest.approx(1e-3)  # √(1 · 10⁻⁶)


def test_of_pictures():
    metric = Dsg(
        answerer=Scripted(
            {
                (0, "Is there a dog?"): 0.9,
                (0, "Is the dog brown?"): 0.7,
                (1, "Is the dog brown?"): 0.9,  # of a dog that is not there
            }
        ),
        identity={},
        batch_size=3,
    )
    rows = measured(metric, [picture("A brown dog.", 0), picture("A brown dog.", 1), picture("Joy!", 2)])
    assert rows.num_rows == 2
    assert figures(metric, rows) == pytest.approx(
        {
            "dsg": 50.0,
            "dsg-plain": 75.0,
            "soft-tifa-am": 100 * (0.8 + 0.5) / 2,
            "soft-tifa-gm": 100 * ((0.9 * 0.7) ** 0.5 + (0.1 * 0.9) ** 0.5) / 2,
            "dsg-object": 50.0,
            "dsg-color": 50.0,
            "dsg-answered": 80.0,
        }
    )


@pytest.mark.skipif(not LIKERT.exists(), reason=f"needs the ratings of people in {LIKERT}")
@pytest.mark.parametrize(
    ("score", "rho", "p", "tau"),
    [
        ("dsg", 0.463, 9.454980885221468e-44, 0.380),
        ("plain", 0.464, 7.181821197264219e-44, 0.378),
    ],
)
def test_published_correlation_with_people(score, rho, p, tau):
    """Figures that DSG's repository prints for mPLUG-large over 5 models × 160 prompts, to the digits of its p-values.

    The answers are those to DSG's questions. Those of ../shared are to TIFA's own, which DSG's repository scores by TIFA's answer key, not
    among them (it prints 0.352); without the key no score of them gives 0.463: share of yes 0.253, of yes and no alone 0.434, of the
    majority's answer 0.387.
    """
    with LIKERT.open() as file:
        ratings = defaultdict(list)
        for row in csv.DictReader(file):
            ratings[row["t2i_model"], row["item_id"]].append(int(row["answer"]))
    recorded = json.loads(Path(__file__).with_name("dsg_mplug_tifa160.json").read_text())
    asked = {
        f"tifa160_{item}": [
            Question("", "", tuple(int(parent) - 1 for parent in own.split(",") if parent != "0"))
            for own in parents.split()
        ]
        for item, parents in recorded["parents"].items()
    }
    found, people = [], []
    for model, negative in recorded["not_yes"].items():
        pairs = (each.split(":") for each in negative.split())
        no = {
            f"tifa160_{item}": {int(number) - 1 for number in numbers.split(",")} for item, numbers in pairs
        }
        for number in range(160):
            item = f"tifa160_{number}"
            own = asked.get(item, [])  # one prompt has no question, which counts 0 there
            answers = [float(place not in no.get(item, ())) for place in range(len(own))]
            found.append(scores(own, answers)[score])
            people.append(np.mean(ratings[model, item]))
    assert len(found) == 800
    spearman, kendall = spearmanr(found, people), kendalltau(found, people)
    assert spearman.pvalue == pytest.approx(p, rel=1e-10)
    assert (round(spearman.statistic, 3), round(kendall.statistic, 3)) == (rho, tau)
