"""Validation of a diffusion run: held-out records, fixed noise, the best weights, early stop, pictures, captions, trackers."""

import hashlib
from dataclasses import replace

import pytest
from PIL import Image
from safetensors.torch import load_file

from recapdata.errors import InputError, OptionError
from recaptrain.diffusion.run import train_diffusion
from recaptrain.diffusion.samples import grid
from recaptrain.training.run_folder import RunFolder
from tests.recaptrain.diffusion.test_run import equal, losses, settings, weights
from tests.recaptrain.pipelines import build_pipeline, build_scenes


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return build_pipeline(tmp_path_factory.mktemp("base") / "tiny")


@pytest.fixture(scope="module")
def scenes(tmp_path_factory):
    return build_scenes(tmp_path_factory.mktemp("scenes") / "ds")


def keys_of(scenes):
    return [key for shard in (0, 1) for key in scenes.read_captions("long", shard).column("key").to_pylist()]


def test_held_out_records_are_validated_with_and_never_trained_on(tmp_path, scenes, base):
    """Three keys of eight; the captions of every step are logged, and the noise is the same each time."""
    held_out = keys_of(scenes)[2:5]
    (tmp_path / "keys").write_text("\n".join([*held_out, "f" * 64]), encoding="utf8")
    chosen = settings(
        scenes.path, base, steps=6, validation_keys=tmp_path / "keys", validate_every=3, log_captions_every=1,
        samples=2, sample_steps=2, ema_decay=0.5, log_with="tensorboard",
    )  # fmt: skip
    summary = train_diffusion(chosen, tmp_path / "out")
    run = RunFolder(tmp_path / "out" / "training")
    rows = run.rows("validation")
    assert [row["step"] for row in rows] == [0, 3, 6]
    assert all(row["loss"] == pytest.approx((row["loss/short"] + row["loss/long"]) / 2) for row in rows)
    assert (summary.examples, summary.held_out, summary.left_out) == (5, 3, 0)
    assert summary.validation_before == rows[0]["loss"]
    seen = run.rows("captions")
    assert len(seen) == 12
    assert {row["key"] for row in seen} <= set(keys_of(scenes)) - set(held_out)
    shares = {name: sum(row["set"] == name for row in seen) / 12 for name in ("short", "long")}
    assert summary.drawn == pytest.approx(shares)
    for step in (0, 3, 6):
        with Image.open(run.path / "samples" / f"step-{step:06d}.png") as image:
            assert image.width > 2 * 128
    assert list(run.path.rglob("events.out.tfevents*"))
    # The same noise, and weights at which nothing has been learned: the same loss to the last digit.
    still = replace(chosen, steps=1, lr=1e-30, validate_every=1, samples=0, log_with=(), ema_decay=None)
    train_diffusion(still, tmp_path / "still")
    first, second = RunFolder(tmp_path / "still" / "training").rows("validation")
    assert first["loss"] == pytest.approx(second["loss"], abs=1e-7)
    assert first["loss"] == pytest.approx(rows[0]["loss"], abs=1e-7)
    assert losses(tmp_path / "still")[0] == losses(tmp_path / "out")[0]


def test_validation_changes_nothing_of_what_is_learned(tmp_path, scenes, base):
    keys = tmp_path / "keys"
    keys.write_text(keys_of(scenes)[0], encoding="utf8")
    chosen = settings(scenes.path, base, validation_keys=keys, samples=1, sample_steps=1, ema_decay=0.5)
    train_diffusion(replace(chosen, validate_every=1), tmp_path / "often")
    train_diffusion(replace(chosen, validate_every=4, samples=0), tmp_path / "once")
    assert losses(tmp_path / "often") == losses(tmp_path / "once")
    assert equal(weights(tmp_path / "often"), weights(tmp_path / "once"))


def test_a_run_without_progress_ends_and_saves_the_best(tmp_path, scenes, base, monkeypatch):
    """Losses by validation: 5 before, then 3, 2, 4, 6: of patience 2 the run ends at step 4, and step 2's weights are saved."""
    from recaptrain.diffusion.validation import Validation

    given = iter([5.0, 3.0, 2.0, 4.0, 6.0])
    monkeypatch.setattr(Validation, "_loss_by_set", lambda self: {"short": next(given)})
    keys = tmp_path / "keys"
    keys.write_text(keys_of(scenes)[0], encoding="utf8")
    chosen = settings(
        scenes.path,
        base,
        steps=9,
        validation_keys=keys,
        validate_every=1,
        patience=2,
        samples=0,
        checkpoint_every=1,
    )
    summary = train_diffusion(chosen, tmp_path / "out")
    assert (summary.steps, summary.best_step, summary.saved_step) == (4, 2, 2)
    kept = load_file(tmp_path / "out" / "training" / "best-2.safetensors")
    saved = weights(tmp_path / "out")
    assert equal({name.removeprefix("unet."): each for name, each in kept.items()}, saved)
    # It was over: going on makes no step.
    assert train_diffusion(replace(chosen, resume=True), tmp_path / "out").steps == 4
    with pytest.raises(StopIteration):
        next(given)


def test_a_figure_of_the_pictures_decides_which_weights_are_best(tmp_path, scenes, base, monkeypatch):
    """Grays of 10 before, then 20, 40, 30, 20: brighter is better, so step 2 is the best, and of patience 2 the run ends at step 4."""
    from recaptrain.diffusion.samples import Samples

    grays = iter([10, 20, 40, 30, 20])

    def draw(self):
        level = next(grays)
        return [Image.new("RGB", (8, 8), (level,) * 3) for _ in self.prompts]

    monkeypatch.setattr(Samples, "draw", draw)
    (tmp_path / "prompts").write_text("a bright circle\na dark star\n", encoding="utf8")
    chosen = settings(
        scenes.path, base, steps=9, validate_every=1, patience=2, checkpoint_every=2, sample_prompts=tmp_path / "prompts",
        validate_metrics="tests.recaptrain.evaluation.brightness:open_brightness", best_by="brightness",
    )  # fmt: skip
    summary = train_diffusion(chosen, tmp_path / "out")
    assert (summary.steps, summary.best_step, summary.saved_step) == (4, 2, 2)
    assert summary.figures_before == {"brightness": 10}
    assert summary.figures == {"brightness": 40}
    assert summary.validation_best is None
    rows = RunFolder(tmp_path / "out" / "training").rows("validation")
    assert [(row["figure/brightness"], row["score"]) for row in rows] == [
        (10, -10), (20, -20), (40, -40), (30, -30), (20, -20),
    ]  # fmt: skip
    card = (tmp_path / "out" / "README.md").read_text(encoding="utf8")
    assert "| brightness | 10 | 40 |" in card
    kept = load_file(tmp_path / "out" / "training" / "best-2.safetensors")
    assert equal({name.removeprefix("unet."): each for name, each in kept.items()}, weights(tmp_path / "out"))
    monkeypatch.setattr(Samples, "draw", lambda self: [Image.new("RGB", (8, 8))] * 2)
    with pytest.raises(
        OptionError, match=r"--best-by bright: .*\(did you mean brightness\?\); they have brightness"
    ):
        train_diffusion(replace(chosen, best_by="bright"), tmp_path / "other")


def test_a_share_is_held_out_by_hash(tmp_path, base):
    """A key is held out where the first 56 bits of SHA-256 of `held out/KEY` lie in the first half."""
    from recapdata.dataset.target import open_dataset
    from recaptrain.diffusion.base import load_base
    from recaptrain.diffusion.data import read_examples
    from recaptrain.diffusion.held_out import held_out_rows

    scenes = build_scenes(tmp_path / "ds")
    chosen = settings(scenes.path, base)
    examples = read_examples(open_dataset(scenes.path), chosen.caption_mixture, load_base(str(base)))
    expected = [
        row
        for row, key in enumerate(keys_of(scenes))
        if int(hashlib.sha256(f"held out/{key}".encode()).hexdigest()[0], 16) < 8
    ]
    assert held_out_rows(examples, 0.5, None).tolist() == expected
    assert 0 < len(expected) < 8
    assert not len(held_out_rows(examples, 0.0, None))
    (tmp_path / "keys").write_text("f" * 64, encoding="utf8")
    with pytest.raises(InputError, match="none of its 1 keys"):
        held_out_rows(examples, 0.0, tmp_path / "keys")
    (tmp_path / "keys").write_text("\n".join(keys_of(scenes)), encoding="utf8")
    with pytest.raises(InputError, match="none trained on"):
        held_out_rows(examples, 0.0, tmp_path / "keys")
    with pytest.raises(InputError, match="cannot be read"):
        held_out_rows(examples, 0.0, tmp_path / "nowhere")


def test_what_does_not_fit_together_is_said(tmp_path, scenes, base):
    with pytest.raises(OptionError, match=r"--patience 3: nothing is held out"):
        settings(scenes.path, base, patience=3)
    with pytest.raises(OptionError, match=r"--save best: nothing is held out"):
        settings(scenes.path, base, save="best")
    for given, message in (
        ({"validate_with": "clip=embedded"}, "--validate-with is of metrics"),
        ({"best_by": "fid"}, "--best-by fid: it is a figure of no metric"),
        ({"validate_metrics": "clipscore", "samples": 0}, "no picture is drawn"),
    ):
        with pytest.raises(OptionError, match=message):
            settings(scenes.path, base, **given)
    with pytest.raises(OptionError, match="nothing to draw pictures of"):
        train_diffusion(settings(scenes.path, base, validate_metrics="clipscore"), tmp_path / "out")
    with pytest.raises(OptionError, match=r"--validate-with clop: .*\(did you mean clip\?\)"):
        train_diffusion(
            settings(scenes.path, base, validation=0.5, validate_metrics="clipscore", validate_with="clop=x"),
            tmp_path / "out",
        )
    with pytest.raises(OptionError, match="give one of them"):
        settings(scenes.path, base, validation=0.1, validation_keys="keys")
    with pytest.raises(OptionError, match=r"no such tracker \(did you mean tensorboard\?\)"):
        train_diffusion(settings(scenes.path, base, log_with="tensorbord"), tmp_path / "out")
    with pytest.raises(OptionError, match="--log-with aim: it is not installed"):
        train_diffusion(settings(scenes.path, base, log_with="aim"), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_grid_has_a_cell_for_each_picture():
    """Five pictures of 150 × 100: rows of four, cells of 158 pixels, a title of 21 and rows of 100 + 3 lines and margins."""
    sheet = grid([Image.new("RGB", (150, 100), "red")] * 5, ["a " * 60] * 5, title="step 1")
    assert sheet.size == (4 * 158, 13 + 8 + 2 * (100 + 3 * 13 + 12))
    assert sheet.getpixel((4, 21)) == (255, 0, 0)
    assert sheet.getpixel((4, 21 + 151)) == (255, 0, 0)
    assert sheet.getpixel((158 + 4, 21 + 151)) == (255, 255, 255)
