"""What a budget allows, worked out by hand."""

import pytest

from recapdata.errors import OptionError
from recaptrain.reproduction.experiments import choose_arms
from recaptrain.reproduction.plan import Plan, Speed, plan_runs
from recaptrain.reproduction.settings import ReproduceSettings

ARMS = choose_arms("recap", ("base", "alttext", "mix"))
KINDS = ("short", "long")
SPEED = Speed(start=5.0, step=0.25, picture=0.5)


def planned(speed: Speed | None = SPEED, spent: float = 2.0, workers: int = 2, **options) -> Plan:
    return plan_runs(ReproduceSettings(**options), ARMS, KINDS, speed=speed, spent=spent, workers=workers)


def test_without_a_budget_what_is_given_stands_beside_defaults() -> None:
    plan = planned(None, steps=90, checkpoints=3)
    assert (plan.seeds, plan.checkpoints, plan.prompts) == (2, (30, 60, 90), 150)
    assert planned(None, steps=1, checkpoints=4).checkpoints == (1,)


def test_a_budget_of_six_trainings_and_the_base() -> None:
    """20 minutes are left, of two workers; seven models are four rounds of two: 300 s for each model.

    Its one checkpoint costs four starts, 20 s. 40 % of the other 280 s buy 112 / (2 · 0.5) = 112 prompts of each kind, and the 168 s
    that are left 672 steps.
    """
    plan = planned(budget=22, checkpoints=1)
    assert (plan.seeds, plan.prompts, plan.steps) == (3, 112, 672)


def test_what_is_given_stays_and_the_rest_follows() -> None:
    """With 100 prompts 280 - 100 s are left: 720 steps."""
    plan = planned(budget=22, checkpoints=1, prompts=100)
    assert (plan.seeds, plan.prompts, plan.steps) == (3, 100, 720)


def test_little_time_makes_fewer_trainings_first() -> None:
    """4 minutes are left. Seven models, four rounds: 60 s each are spent with 40 prompts of each kind and no step. Five models, three
    rounds: 80 s each leave 80 steps, too few. Three models, two rounds: of 120 s each 60 are left, 240 steps.
    """
    plan = planned(budget=6, checkpoints=1)
    assert (plan.seeds, plan.prompts, plan.steps) == (1, 40, 240)


def test_too_little_time_says_how_much_would_do() -> None:
    """The least, 20 + 40 + 25 s a model, in two rounds: 170 s and the two minutes that are gone."""
    with pytest.raises(OptionError, match=r"3 arms take at least 5 minutes here"):
        planned(budget=3, checkpoints=1)


def test_a_budget_holds_for_what_is_given_as_well() -> None:
    """20 minutes, two workers. 2,000 steps, 500 s, and 20 s of starts: three rounds of 400 s for two trainings each are too little,
    two rounds of 600 s for one leave 80 s, 80 prompts of each kind.
    """
    plan = planned(budget=22, checkpoints=1, steps=2000)
    assert (plan.seeds, plan.prompts, plan.steps) == (1, 80, 2000)


@pytest.mark.parametrize(
    ("given", "least"),
    [({"steps": 5000}, 46), ({"prompts": 3000}, 104), ({"seeds": 5, "prompts": 1000, "steps": 2000}, 154)],
)
def test_what_is_given_and_does_not_fit_is_said(given, least) -> None:
    """Two rounds of 20 + 40 + 1,250 s, of 20 + 3,000 + 25 s; six of 20 + 1,000 + 500 s; and the two minutes that are gone."""
    with pytest.raises(OptionError, match=f"at least {least} minutes here"):
        planned(budget=12, checkpoints=1, **given)


def test_the_first_training_of_each_arm_comes_before_any_second() -> None:
    plan = Plan(seeds=2, checkpoints=(10,), prompts=50, kinds=KINDS)
    assert [(arm.name, seed) for arm, seed in plan.runs(ARMS)] == [
        ("base", 0), ("alttext", 0), ("mix", 0), ("alttext", 1), ("mix", 1),
    ]  # fmt: skip
    assert plan.certainty().startswith("a share of 100 pictures is known to about ± 9.8 points; 2 trainings")
