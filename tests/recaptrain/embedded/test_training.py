"""The training loop: what an interrupted run ends as, and how the learning rate goes."""

import json

import pytest
import torch

from recapdata.errors import InputError
from recaptrain.embedded import training
from recaptrain.embedded.captioner import CaptionerRecipe
from recaptrain.embedded.clip import ClipRecipe
from recaptrain.embedded.recipe import RECIPES, read_recipe
from recaptrain.embedded.training import Stage, train

STAGE = Stage(steps=12, batch=4, rate=0.1, warmup=2)


class Interrupted(Exception):
    pass


def _run(folder, *, stop_at=None):
    """Fit a line; step and seed alone decide what is seen."""
    torch.manual_seed(0)
    model = torch.nn.Linear(3, 1)

    def loss_of(step):
        if step == stop_at:
            raise Interrupted
        inputs = torch.randn(4, 3, generator=torch.Generator().manual_seed(step))
        return (model(inputs) - inputs.sum(1, keepdim=True)).pow(2).mean(), {}

    folder.mkdir(exist_ok=True)
    train("line", STAGE, model, loss_of, folder)
    return model


def test_an_interrupted_run_ends_like_an_uninterrupted_one(tmp_path, monkeypatch):
    monkeypatch.setattr(training, "CHECKPOINT_SECONDS", -1.0)
    whole = _run(tmp_path / "whole")
    with pytest.raises(Interrupted):
        _run(tmp_path / "parts", stop_at=7)
    resumed = _run(tmp_path / "parts")
    assert torch.equal(whole.weight, resumed.weight)
    assert torch.equal(whole.bias, resumed.bias)


def test_a_finished_stage_is_not_run_again(tmp_path):
    first = _run(tmp_path / "run")
    again = _run(tmp_path / "run", stop_at=0)
    assert torch.equal(first.weight, again.weight)
    (line,) = (tmp_path / "run" / "log.jsonl").read_text().splitlines()
    assert json.loads(line)["step"] == STAGE.steps


def test_the_rate_rises_and_falls():
    """Two steps of warm-up to 0.1, half a cosine over the ten others: 0.05 in their middle."""
    assert STAGE.rate_at(0) == pytest.approx(0.05)
    assert STAGE.rate_at(1) == STAGE.rate_at(2) == pytest.approx(0.1)
    assert STAGE.rate_at(7) == pytest.approx(0.05)
    assert STAGE.rate_at(12) == pytest.approx(0.0)


def test_shipped_recipes_are_recipes():
    captioner = read_recipe(RECIPES / "embedded-captioner.yaml", CaptionerRecipe, seed=5)
    clip = read_recipe(RECIPES / "embedded-clip.yaml", ClipRecipe, seed=None)
    assert captioner.seed == 5
    assert captioner.tower == clip.tower
    assert min(captioner.seeing.steps, captioner.pretraining.steps, captioner.tuning.steps) > 0


@pytest.mark.parametrize(
    ("text", "said"),
    [("seeds: 1", "no setting 'seeds'"), ("tower: 3", "tower"), ("- 1", "settings"), ("{", "recipe")],
)
def test_a_wrong_recipe_is_said_to_be_wrong(tmp_path, text, said):
    path = tmp_path / "recipe.yaml"
    path.write_text(text)
    with pytest.raises(InputError, match=said):
        read_recipe(path, CaptionerRecipe)
