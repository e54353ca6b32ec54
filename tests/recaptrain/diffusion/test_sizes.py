"""Runs over pictures of many shapes: buckets, random crops and flips; every picture is trained on or named."""

import io

import numpy as np
import pytest
from PIL import Image

from recapdata.errors import OptionError
from recaptrain.diffusion import loss as module
from recaptrain.diffusion.loss import Denoising
from recaptrain.diffusion.run import train_diffusion
from recaptrain.diffusion.settings import DiffusionSettings
from recaptrain.training.run_folder import RunFolder
from tests.builders import build_dataset
from tests.recaptrain.pipelines import build_pipeline

SHAPES = [(64, 64)] * 5 + [(128, 64)] * 7 + [(60, 130)] * 3 + [(300, 20)]
CAPTIONS = ["a dog on the left" if number % 2 else "a dog" for number in range(len(SHAPES))]


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return build_pipeline(tmp_path_factory.mktemp("base") / "tiny")


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """16 pictures of four shapes; the 13th cannot be decoded."""
    images = []
    for number, shape in enumerate(SHAPES):
        content = io.BytesIO()
        Image.new("RGB", shape, (10 * number, 90, 200 - 10 * number)).save(content, "PNG")
        images.append(content.getvalue())
    images[12] = images[12][:60]
    folder = tmp_path_factory.mktemp("pictures") / "ds"
    return build_dataset(folder, rows=16, shard_rows=9, sets={"alt": CAPTIONS}, images=images).path


def settings(pictures, base, **changes):
    options = {
        "mixture": "alt;dropout=0",
        "train": "unet",
        "steps": 10,
        "batch_size": 2,
        "ema_decay": 0,
        **changes,
    }
    return DiffusionSettings(dataset=str(pictures), base=str(base), **options)


@pytest.fixture
def seen(monkeypatch):
    """Rows, shape of the latents, and whether each is mirrored, of every batch that is learned from."""
    batches = []
    plain = Denoising._micro_batch

    def watch(self, number):
        batch = plain(self, number)
        epoch, _ = self.batches.batch(self.training.optimization.seed, number)
        captions = [CAPTIONS[row] for row in batch.rows]
        ways = self._fittings(batch.rows, captions, self.training.optimization.seed, epoch)
        batches.append((epoch, batch, [self.latents.fittings[way] for way in ways]))
        return batch

    monkeypatch.setattr(module.Denoising, "_micro_batch", watch)
    return batches


def test_every_picture_is_trained_on_at_its_size_or_named(tmp_path, pictures, base, seen, capsys):
    """Of 15 pictures 5 are square, 7 + 1 lie and 2 stand: 3 + 4 + 1 batches of two, one picture twice."""
    summary = train_diffusion(
        settings(pictures, base, buckets=True, bucket_step=8, steps=8), tmp_path / "out"
    )
    said = capsys.readouterr().err
    epoch = [batch for number, batch, _ in seen if number == 0]
    assert len(epoch) == 8
    assert {row for batch in epoch for row in batch.rows.tolist()} == set(range(16)) - {12}
    for batch in epoch:
        (shape,) = {SHAPES[row] for row in batch.rows.tolist()} - {(300, 20)} or {(300, 20)}
        height, width = batch.moments.shape[3:]
        assert (width > height) == (shape[0] > shape[1])
        assert batch.originals.tolist() == [[SHAPES[row][1], SHAPES[row][0]] for row in batch.rows.tolist()]
    assert summary.examples == 15
    assert summary.unreadable == 1
    assert "15 pictures in 3 sizes" in said
    assert "left out, since they cannot be decoded: 1 (" in said
    assert "1 come twice in an epoch" in said


def test_small_buckets_are_merged(tmp_path, pictures, base, seen):
    train_diffusion(settings(pictures, base, buckets=True, batch_size=5, steps=3), tmp_path / "out")
    assert len({batch.moments.shape for _, batch, _ in seen}) == 2


def test_mirrored_are_pictures_whose_captions_allow_it(tmp_path, pictures, base, seen):
    train_diffusion(settings(pictures, base, flip=True, crop="random", crops=2, steps=24), tmp_path / "out")
    ways = [
        (row, way) for _, batch, chosen in seen for row, way in zip(batch.rows.tolist(), chosen, strict=True)
    ]
    assert {way.flip for row, way in ways if row % 2} == {False}
    assert {way.flip for row, way in ways if not row % 2} == {False, True}
    assert {way.crop for _, way in ways} == {0, 1}
    long = np.array(
        [batch.corners[place] for _, batch, _ in seen for place in np.flatnonzero(batch.rows == 15)]
    )
    assert len(np.unique(long[:, 1])) >= 2  # the long picture is cut at two places


def test_an_interrupted_run_in_a_later_epoch_goes_on_alike(tmp_path, pictures, base):
    own = {
        "buckets": True,
        "flip": True,
        "gradient_accumulation_steps": 2,
        "checkpoint_every": 7,
        "steps": 12,
    }
    train_diffusion(settings(pictures, base, **own), tmp_path / "whole")
    train_diffusion(settings(pictures, base, **{**own, "steps": 7}), tmp_path / "broken")
    train_diffusion(settings(pictures, base, **own, resume=True), tmp_path / "broken")
    whole, broken = (RunFolder(tmp_path / name / "training").losses() for name in ("whole", "broken"))
    assert len(whole) == 12
    assert broken == whole


def test_a_step_that_the_base_cannot_halve(tmp_path, pictures, base):
    with pytest.raises(OptionError, match="--bucket-step 5: for this base it must be a multiple of 8"):
        train_diffusion(settings(pictures, base, buckets=True, bucket_step=5), tmp_path / "out")


def test_captions_weigh_by_their_audit(tmp_path, pictures, base, seen):
    """Of 16 captions 8 are `a dog` and weigh nothing: the others weigh twice, and what is trained differs."""
    from recapdata.dataset.folder import DatasetFolder
    from tests.builders import write_audit

    write_audit(DatasetFolder.open(pictures), ["alt"])
    own = {"steps": 8, "batch_size": 2}
    train_diffusion(settings(pictures, base, **own), tmp_path / "plain")
    seen.clear()
    train_diffusion(settings(pictures, base, **own, weigh="'left' in caption ? 1 : 0"), tmp_path / "weighed")
    for _, batch, _ in seen:
        assert batch.weights.tolist() == [2.0 if row % 2 else 0.0 for row in batch.rows.tolist()]
    plain, weighed = (RunFolder(tmp_path / name / "training").losses() for name in ("plain", "weighed"))
    assert plain != weighed
