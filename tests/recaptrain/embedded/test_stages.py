"""Stages and recipes: what an interrupted stage ends as, and which recipes are read."""

import pytest
import torch
import typer

from recapdata.errors import InputError, OptionError
from recaptrain.embedded import stages
from recaptrain.embedded.captioner import CaptionerRecipe
from recaptrain.embedded.cli import app
from recaptrain.embedded.clip import ClipRecipe
from recaptrain.embedded.recipe import RECIPES, read_recipe
from recaptrain.embedded.stages import Stage, train
from recaptrain.training.run_folder import RunFolder

STAGE = Stage(steps=12, batch=4, rate=0.1, warmup=2)


class Interrupted(Exception):
    pass


def _run(work, *, stop_at=None, **changes):
    """Fit a line; step and seed alone decide what is seen."""
    torch.manual_seed(0)
    model = torch.nn.Linear(3, 1)

    def loss_of(step):
        if step == stop_at:
            raise Interrupted
        inputs = torch.randn(4, 3, generator=torch.Generator().manual_seed(step))
        loss = (model(inputs) - inputs.sum(1, keepdim=True)).pow(2).mean()
        return loss, {"half": loss / 2}

    train("line", STAGE, model, loss_of, work, **changes)
    return model


@pytest.mark.parametrize("averaging", [None, 0.9])
def test_an_interrupted_stage_ends_like_an_uninterrupted_one(tmp_path, monkeypatch, averaging):
    monkeypatch.setattr(stages, "CHECKPOINT_EVERY", 2)
    whole = _run(tmp_path / "whole", averaging=averaging)
    with pytest.raises(Interrupted):
        _run(tmp_path / "parts", stop_at=7, averaging=averaging)
    assert RunFolder(tmp_path / "parts" / "line").steps() == [6]
    resumed = _run(tmp_path / "parts", averaging=averaging)
    assert torch.equal(whole.weight, resumed.weight)
    assert torch.equal(whole.bias, resumed.bias)


def test_a_finished_stage_is_not_run_again(tmp_path):
    first = _run(tmp_path)
    again = _run(tmp_path, stop_at=0)
    assert torch.equal(first.weight, again.weight)
    rows = RunFolder(tmp_path / "line").rows()
    assert [row["step"] for row in rows] == list(range(1, 13))
    assert all(row["half"] == pytest.approx(row["loss"] / 2) for row in rows)


def test_a_stage_is_not_continued_with_other_settings(tmp_path):
    _run(tmp_path)
    with pytest.raises(OptionError, match=r"averaging: None there, 0\.5 now"):
        _run(tmp_path, averaging=0.5)


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


def test_every_shipped_recipe_has_the_command_that_it_names():
    """Each recipe's heading says `Command   python -m recaptrain.embedded NAME OUT`."""
    commands = typer.main.get_command(app).commands
    recipes = sorted(RECIPES.glob("embedded-*.yaml"))
    assert recipes
    for path in recipes:
        words = next(line for line in path.read_text().splitlines() if line.startswith("# Command")).split()
        assert words[2:5] == ["python", "-m", "recaptrain.embedded"]
        assert words[5] in commands, path.name
