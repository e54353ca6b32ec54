"""The console: options reach the run, one JSON object comes out, mistakes are one line."""

import json

import pytest
from typer.testing import CliRunner

from recapdata.errors import OptionError
from recaptrain.cli import app
from tests.recaptrain.pipelines import build_pipeline, build_scenes


def invoke(*words):
    return CliRunner().invoke(app, [str(word) for word in words])


def identity(out):
    """What a run noted to be continued by, without what depends on data, weights and machine."""
    noted = json.loads((out / "training" / "settings.json").read_text(encoding="utf8"))
    return {name: value for name, value in noted.items() if name not in ("captions", "base", "precision")}


DIFFUSION = {
    "dataset": "folder", "mixture": "short=0.5,long=0.5;dropout=0.2", "train": ["text_encoder", "unet"], "batch_size": 2,
    "accumulate": 1, "learning_rate": 1e-05, "course": "constant", "warmup": 0, "weight_decay": 0.01, "max_norm": 1.0,
    "ema_decay": 0.9999, "seed": 5, "snr_gamma": 5.0, "resolution": 64, "fit": "crop", "processes": 1,
}  # fmt: skip
"""As earlier versions wrote it: a run that one of them began is continued."""


def test_train_then_generate(tmp_path):
    base, scenes = build_pipeline(tmp_path / "base"), build_scenes(tmp_path / "ds").path
    options = (
        "--dataset",
        scenes,
        "--mixture",
        "short=0.5,long=0.5",
        "--base",
        base,
        "--steps",
        2,
        "--batch-size",
        2,
    )
    done = invoke("diffusion", *options, "--caption-dropout", 0.2, "--seed", 5, tmp_path / "model", "--json")
    assert done.exit_code == 0, done.exception
    summary = json.loads(done.stdout)
    assert (summary["steps"], summary["examples"], summary["commit"]) == (2, 8, None)
    assert summary["mixture"] == "short=0.5,long=0.5;dropout=0.2"
    card = (tmp_path / "model" / "README.md").read_text(encoding="utf8")
    assert "| seed | 5 |" in card
    assert identity(tmp_path / "model").items() >= DIFFUSION.items()
    noted = tmp_path / "model" / "training" / "settings.json"
    whole = json.loads(noted.read_text(encoding="utf8"))
    earlier = {name: whole[name] for name in (*DIFFUSION, "captions", "base", "precision")}
    noted.write_text(json.dumps(earlier), encoding="utf8")
    again = (*options, "--caption-dropout", 0.2, "--seed", 5, tmp_path / "model", "--resume", "--json")
    assert "lora: None there, 4 now" in str(invoke("diffusion", *again, "--lora", 4, "--lr", 1e-5).exception)
    assert invoke("diffusion", *again).exit_code == 0
    assert "| caption length | full |" in card
    assert (
        f"recaptrain diffusion OUT --dataset {scenes.name} --mixture short=0.5,long=0.5 --base {base.name} --steps 2"
        in card
    )
    assert "| trained | unet, text_encoder |" in card

    (tmp_path / "prompts.txt").write_text("a red circle\na blue star\n", encoding="utf8")
    done = invoke(
        "generate",
        tmp_path / "model",
        tmp_path / "prompts.txt",
        tmp_path / "pictures",
        "--steps",
        2,
        "--json",
    )
    assert done.exit_code == 0, done.exception
    assert json.loads(done.stdout)["made"] == 2
    assert (tmp_path / "pictures" / "00001.png").is_file()


def test_a_mixture_that_cannot_be_read_stops_before_anything_is_loaded(tmp_path):
    words = ("diffusion", "--dataset", "ds", "--mixture", "a=b", "--base", "embedded", tmp_path / "out")
    with pytest.raises(OptionError, match="'b' is not a number"):
        CliRunner().invoke(app, [str(word) for word in words], catch_exceptions=False)
    assert not (tmp_path / "out").exists()


def test_ctrl_c_names_the_command_that_continues(tmp_path, monkeypatch):
    def interrupted(settings, out, **more):
        raise KeyboardInterrupt

    monkeypatch.setattr("recaptrain.diffusion.run.train_diffusion", interrupted)
    out = tmp_path / "my model"
    done = invoke("diffusion", "--dataset", "ds", "--mixture", "a", "--base", "embedded", "--steps", 7, out)
    assert done.exit_code == 130
    line = f"recaptrain diffusion '{out}' --dataset ds --mixture a --base embedded --steps 7 --resume"
    assert f"go on from the last checkpoint with: {line}\n" in done.stderr
