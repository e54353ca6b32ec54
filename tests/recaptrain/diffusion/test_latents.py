"""Encoded pictures: how they are made square, what the cache is keyed by, and how latents are drawn."""

import numpy as np
import pytest
import torch
from PIL import Image

from recapdata.dataset.target import open_dataset
from recaptrain.diffusion import latents as module
from recaptrain.diffusion.latents import Encoder, Latents, encode_dataset, fit_picture
from recaptrain.embedded.autoencoder import Autoencoder, build, to_unit
from tests.builders import build_dataset, noise_jpeg, png
from tests.recaptrain.pipelines import build_scenes


@pytest.fixture(scope="module")
def vae():
    return build(Autoencoder(channels=(8, 8, 8)), 0).eval()


def encode(target, vae, root, *, side=64, advance=lambda count: None):
    return encode_dataset(target, Encoder(vae=vae, side=side, batch_size=3), root, advance=advance)


def flag():
    """4×2: black, red, green, white columns."""
    picture = Image.new("RGB", (4, 2))
    for x, color in enumerate(((0, 0, 0), (255, 0, 0), (0, 255, 0), (255, 255, 255))):
        for y in range(2):
            picture.putpixel((x, y), color)
    return picture


def test_crop_keeps_the_middle():
    assert np.asarray(fit_picture(flag(), 2, "crop"))[0].tolist() == [[255, 0, 0], [0, 255, 0]]


def test_pad_adds_white_bars_and_stretch_none():
    padded = np.asarray(fit_picture(flag(), 4, "pad"))
    assert padded[0].tolist() == [[255] * 3] * 4
    assert padded[1, 1].tolist() == [255, 0, 0]
    assert np.asarray(fit_picture(flag(), 4, "stretch"))[0, 0].tolist() == [0, 0, 0]


def test_latents_are_those_of_the_pictures_row_by_row(tmp_path, vae):
    target = open_dataset(build_scenes(tmp_path / "ds", rows=7, shard_rows=4).path)
    made = encode(target, vae, tmp_path / "cache")
    assert made.starts.tolist() == [0, 4, 7]
    pictures = [
        batch.column("image").to_pylist() for shard in (0, 1) for batch in target.read(shard, ["image"])
    ]
    sixth = [image for part in pictures for image in part][5]["bytes"]
    image = torch.from_numpy(to_unit(np.asarray(module.decode_image(sixth))[None]))
    with torch.no_grad():
        posterior = vae.encode(image).latent_dist
    noise = torch.ones(1, 4, 16, 16)
    assert torch.allclose(made.sample(np.array([5]), noise), posterior.mean + posterior.std, atol=5e-3)


def test_a_second_run_encodes_nothing(tmp_path, vae, monkeypatch):
    target = open_dataset(build_scenes(tmp_path / "ds", rows=4).path)
    first = encode(target, vae, tmp_path / "cache")
    monkeypatch.setattr(vae, "encode", lambda *args: pytest.fail("encoded again"))
    counted = []
    second = encode(target, vae, tmp_path / "cache", advance=counted.append)
    assert np.array_equal(first.shards[0], second.shards[0])
    assert sum(counted) == 4


def test_the_cache_knows_autoencoder_resolution_and_fit(tmp_path, vae):
    other = build(Autoencoder(channels=(8, 8, 8)), 1)
    folders = [
        Encoder(vae=vae, side=64).folder(tmp_path),
        Encoder(vae=other, side=64).folder(tmp_path),
        Encoder(vae=vae, side=32).folder(tmp_path),
        Encoder(vae=vae, side=64, fit="pad").folder(tmp_path),
    ]
    assert len(set(folders)) == 4
    same = build(Autoencoder(channels=(8, 8, 8)), 0)
    assert Encoder(vae=same, side=64, batch_size=1).folder(tmp_path) == folders[0]


def test_an_undecodable_picture_is_marked(tmp_path, vae):
    images = [png(0), noise_jpeg(1)[:700], png(2)]
    target = open_dataset(build_dataset(tmp_path / "ds", rows=3, images=images).path)
    assert encode(target, vae, tmp_path / "cache", side=16).unreadable().tolist() == [1]


def test_disk_is_two_bytes_for_mean_and_spread_of_every_latent(vae):
    assert Encoder(vae=vae, side=64).bytes_per_picture == 2 * 2 * 4 * 16 * 16


def test_sampling_is_mean_plus_spread_times_noise():
    moments = np.zeros((2, 2, 1, 1, 1), np.float16)
    moments[1, 0], moments[1, 1] = 3.0, 0.5
    latents = Latents(shards=(moments,), starts=np.array([0, 2]))
    assert latents.sample(np.array([1, 0]), torch.full((2, 1, 1, 1), 2.0)).flatten().tolist() == [4.0, 0.0]
