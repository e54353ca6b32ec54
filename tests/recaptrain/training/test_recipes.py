"""Recipes: those that are shipped are whole, the command line wins, and what is wrong with one is said."""

import json
from pathlib import Path

import pytest

from recapdata.errors import InputError
from recaptrain.cli import DIFFUSION_RECIPES, app
from recaptrain.diffusion.settings import DiffusionSettings
from recaptrain.training.run_folder import RunFolder
from tests.recaptrain.pipelines import build_pipeline, build_scenes


@pytest.mark.parametrize("name", DIFFUSION_RECIPES.names())
def test_a_shipped_recipe_sets_options_and_says_what_it_is(name):
    settings = DiffusionSettings(**{"dataset": "ds", **_typed(DIFFUSION_RECIPES.read(name))})
    assert settings.caption_mixture.sets
    head = DIFFUSION_RECIPES.path(name).read_text(encoding="utf8").split("\n\n")[0]
    for word in ("# Purpose   ", "# Command   ", "# Hardware  ", "# Cost      "):
        assert word in head
    assert f"--recipe {name} " in head
    assert len(DIFFUSION_RECIPES.purpose(name)) > 30


def _typed(options):
    """As the command line reads them: the numbers of a recipe that YAML takes for texts would fail here."""
    assert not [
        value for value in options.values() if isinstance(value, str) and value.replace(".", "").isdigit()
    ]
    return options


def run(*words):
    from typer.testing import CliRunner

    return CliRunner().invoke(app, [str(word) for word in words], catch_exceptions=True)


def test_the_drawn_world_recipe_trains_and_the_command_line_wins(tmp_path):
    base = build_pipeline(tmp_path / "tiny")
    scenes = build_scenes(tmp_path / "ds", rows=16).path
    words = ["diffusion", "--recipe", "drawn-world", "--dataset", scenes, "--base", base]
    outcome = run(*words, "--steps", 3, "--batch-size", 2, "--sample-steps", 1, "--json", tmp_path / "out")
    assert outcome.exit_code == 0, outcome.output
    summary = json.loads(outcome.stdout.splitlines()[-1])
    assert summary["mixture"] == "short=0.5,long=0.45,alt=0.05;dropout=0.1"  # the recipe's
    assert summary["steps"] == 3
    arguments = RunFolder(tmp_path / "out" / "training").starts()[0]["arguments"]
    assert (arguments["steps"], arguments["validate_every"], arguments["lr"]) == (3, 50, 1e-4)


def test_the_command_line_switches_off_what_a_recipe_switches_on(tmp_path, monkeypatch):
    from recaptrain.diffusion import run as diffusion

    given = []
    monkeypatch.setattr(diffusion, "train_diffusion", lambda settings, *rest, **more: given.append(settings))
    recipe = tmp_path / "mine.yaml"
    recipe.write_text("buckets: true\nflip: true\nlora: 8\ngradient_checkpointing: true", encoding="utf8")
    words = [
        "diffusion",
        "--recipe",
        recipe,
        "--dataset",
        "ds",
        "--base",
        "b",
        "--mixture",
        "a",
        tmp_path / "out",
    ]
    assert run(*words).exit_code == 0
    off = ["--no-buckets", "--no-flip", "--no-gradient-checkpointing", "--lora", 0]
    assert run(*words, *off).exit_code == 0
    on = [(each.buckets, each.flip, each.gradient_checkpointing, each.lora) for each in given]
    assert on == [(True, True, True, 8), (False, False, False, None)]


def test_recipes_are_listed_and_shown():
    listed = run("recipes").stdout
    assert all(f"{name}\n  " in listed for name in DIFFUSION_RECIPES.names())
    assert run("recipes", "recap-sd14").stdout.startswith("# Purpose   RECAP")


def test_what_is_wrong_with_a_recipe_is_said(tmp_path: Path):
    recipe = tmp_path / "mine.yaml"
    for text, message in (
        ("stepps: 3", r"no option 'stepps' \(did you mean steps"),
        ("steps: 3\nlearning: 1", "no option 'learning'"),
        ("accumulate: 2\ngradient-accumulation-steps: 3", "gradient_accumulation_steps is set twice"),
        ("- steps", "expected options by name"),
        ("steps: [", "it cannot be read"),
    ):
        recipe.write_text(text, encoding="utf8")
        with pytest.raises(InputError, match=message):
            DIFFUSION_RECIPES.read(str(recipe))
    with pytest.raises(InputError, match=r"no recipe of that name \(did you mean recap-sd14\?\)"):
        DIFFUSION_RECIPES.read("recap-sd15")
    recipe.write_text("train: [unet]\nmixture: {a: 0.5, b: 0.5}\nema-decay: 0\nseed:", encoding="utf8")
    assert DIFFUSION_RECIPES.read(str(recipe)) == {"train": "unet", "mixture": "a=0.5,b=0.5", "ema_decay": 0}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"a: &a [x, x]\nb: &b [*a, *a]\nmixture: [*b, *b]\n", "no option 'a'"),
        (b"mixture: [&a [x, x], [*a, *a]]\n", "holds lists within lists"),
        (b"mixture: &a [*a]\n", "holds lists within lists"),
        (b"mixture: {a: {b: 1}}\n", "holds lists within lists"),
        (b"mixture: " + b"[" * 5000, "cannot be read"),
        (b"? [a]\n: 1\n", "cannot be read"),
        (b"steps: \xff\n", "cannot be read"),
        (b"steps: !!python/object/apply:os.system ['touch ran']\n", "cannot be read"),
        (b"steps: " + b"9" * 5000, "cannot be read"),
        (b"#" * 2**19, "cannot be read"),
        (b"- steps\n", "expected options by name"),
        (b"push_to_hub: evil/model\n", "give it on the command line"),
        (b"public: true\n", "give it on the command line"),
        (b"latent-cache: /\n", "give it on the command line"),
    ],
)  # fmt: skip
def test_a_stranger_s_recipe_is_data(tmp_path, content, said):
    (tmp_path / "mine.yaml").write_bytes(content)
    with pytest.raises(InputError, match=said) as refusal:
        DIFFUSION_RECIPES.read(str(tmp_path / "mine.yaml"))
    assert "\n" not in str(refusal.value)
    assert len(str(refusal.value)) < 1000
