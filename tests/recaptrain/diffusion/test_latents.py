"""Encoded pictures: how they come to their size, what the cache knows, and how latents are drawn."""

import copy
import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch

from recapdata.dataset.target import open_dataset
from recapdata.errors import OptionError
from recaptrain.caches import list_caches, tidy_caches
from recaptrain.diffusion import latents as module
from recaptrain.diffusion.fitting import Fitting
from recaptrain.diffusion.latents import Encoder, Latents, encode_dataset, sample
from recaptrain.embedded.autoencoder import Autoencoder, build, to_unit
from tests.builders import build_dataset, noise_jpeg, png
from tests.recaptrain.pipelines import build_scenes
from tests.waiting import HANGS

SQUARE = (64, 64)


@pytest.fixture(scope="module")
def vae():
    return build(Autoencoder(channels=(8, 8, 8)), 0).eval()


def encode(target, vae, root, *, sizes=None, ways=None, advance=lambda count: None):
    rows = sum(target.rows(shard) for shard in target.shards())
    encoder = Encoder(vae=vae, model="tiny", batch_pixels=3 * 64 * 64)
    return encode_dataset(
        target, encoder, root, sizes or [SQUARE] * rows, ways or (Fitting(),), advance=advance
    )


def read(latents, row, way=0):
    return latents.read(np.array([row]), [way])


def test_an_autoencoder_that_must_is_run_in_full(vae):
    """SDXL's says `force_upcast`: under bf16 its latents are those of float32 bit for bit, and others' are not."""
    pictures = np.random.default_rng(0).integers(0, 256, (2, 64, 64, 3), np.uint8)
    half = partial(torch.autocast, "cpu", torch.bfloat16)
    in_full = Encoder(vae=vae).moments(pictures)
    for upcast in (True, False):
        own = copy.deepcopy(vae)
        own.register_to_config(force_upcast=upcast)
        encoder = Encoder(vae=own, autocast=half, precision="bf16")
        assert encoder.in_full == upcast
        assert np.array_equal(encoder.moments(pictures), in_full) == upcast


def test_latents_are_those_of_the_pictures_row_by_row(tmp_path, vae):
    target = open_dataset(build_scenes(tmp_path / "ds", rows=7, shard_rows=4).path)
    made = encode(target, vae, tmp_path / "cache")
    pictures = [
        batch.column("image").to_pylist() for shard in (0, 1) for batch in target.read(shard, ["image"])
    ]
    sixth = [image for part in pictures for image in part][5]["bytes"]
    image = torch.from_numpy(to_unit(np.asarray(module.decode_image(sixth))[None]))
    with torch.no_grad():
        posterior = vae.encode(image).latent_dist
    moments, corners = read(made, 5)
    drawn = sample(torch.from_numpy(moments), torch.ones(1, 4, 16, 16))
    assert torch.allclose(drawn, posterior.mean + posterior.std, atol=5e-3)
    assert corners.tolist() == [[0, 0]]


def test_pictures_of_several_sizes(tmp_path, vae):
    target = open_dataset(build_scenes(tmp_path / "ds", rows=4).path)
    sizes = [SQUARE, (96, 32), None, SQUARE]
    made = encode(target, vae, tmp_path / "cache", sizes=sizes)
    assert made.missing().tolist() == [2]
    assert read(made, 1)[0].shape == (1, 2, 4, 8, 24)
    assert made.read(np.array([0, 3]), [0, 0])[0].shape == (2, 2, 4, 16, 16)


def test_a_second_run_encodes_nothing(tmp_path, vae, monkeypatch):
    target = open_dataset(build_scenes(tmp_path / "ds", rows=4).path)
    first = encode(target, vae, tmp_path / "cache")
    monkeypatch.setattr(vae, "encode", lambda *args: pytest.fail("encoded again"))
    counted = []
    second = encode(target, vae, tmp_path / "cache", advance=counted.append)
    for row in range(4):
        assert np.array_equal(read(first, row)[0], read(second, row)[0])
    assert sum(counted) == 4


def test_a_version_with_more_pictures_encodes_those_alone(tmp_path, vae, monkeypatch):
    encode(open_dataset(build_scenes(tmp_path / "ds", rows=4).path), vae, tmp_path / "cache")
    encoded = []
    plain = Encoder.moments
    monkeypatch.setattr(
        Encoder, "moments", lambda self, pictures: encoded.append(len(pictures)) or plain(self, pictures)
    )
    more = open_dataset(build_scenes(tmp_path / "more", rows=6, shard_rows=6).path)
    assert len(encode(more, vae, tmp_path / "cache").missing()) == 0
    assert sum(encoded) == 2


def test_the_cache_knows_autoencoder_size_and_fit(tmp_path, vae, monkeypatch):
    target = open_dataset(build_scenes(tmp_path / "ds", rows=1).path)
    other = build(Autoencoder(channels=(8, 8, 8)), 1).eval()
    encode(target, vae, tmp_path / "cache")
    for changed, settings in (
        (other, {}),
        (vae, {"sizes": [(32, 32)]}),
        (vae, {"ways": (Fitting("pad"),)}),
        (vae, {"ways": (Fitting(crop=0),)}),
        (vae, {"ways": (Fitting(flip=True),)}),
    ):
        with monkeypatch.context() as patch:
            patch.setattr(
                Encoder, "moments", lambda self, pictures: (_ for _ in ()).throw(KeyError("encoded"))
            )
            with pytest.raises(KeyError):
                encode(target, changed, tmp_path / "cache", **settings)
    same = build(Autoencoder(channels=(8, 8, 8)), 0).eval()
    monkeypatch.setattr(Encoder, "moments", lambda self, pictures: pytest.fail("encoded again"))
    encode(target, same, tmp_path / "cache")


def test_an_undecodable_picture_has_none(tmp_path, vae):
    images = [png(0), noise_jpeg(1)[:700], png(2)]
    target = open_dataset(build_dataset(tmp_path / "ds", rows=3, images=images).path)
    assert encode(target, vae, tmp_path / "cache", sizes=[(16, 16)] * 3).missing().tolist() == [1]


def test_a_damaged_file_is_made_again(tmp_path, vae):
    target = open_dataset(build_scenes(tmp_path / "ds", rows=2).path)
    first = read(encode(target, vae, tmp_path / "cache"), 1)[0]
    (path,) = (tmp_path / "cache").glob("latents/*/*.arrow")
    path.write_bytes(path.read_bytes()[:500])
    assert np.array_equal(read(encode(target, vae, tmp_path / "cache"), 1)[0], first)
    assert not path.exists()


def test_disk_is_two_bytes_for_mean_and_spread_of_every_latent(vae):
    assert Encoder(vae=vae).bytes_of((64, 32)) == 2 * 2 * 4 * 16 * 8


def test_sampling_is_mean_plus_spread_times_noise():
    moments = torch.tensor([3.0, 0.5]).reshape(1, 2, 1, 1, 1)
    assert sample(moments, torch.full((1, 1, 1, 1), 2.0)).flatten().tolist() == [4.0]


def test_rows_are_read_from_their_files():
    files = [np.full((2, 2, 1, 1, 1), number, np.float16) for number in (1, 2)]
    corners = [np.zeros((2, 2), np.int32), np.full((2, 2), 7, np.int32)]
    places = np.array([[[1, 0]], [[-1, -1]], [[0, 1]]])
    latents = Latents(moments=files, corners=corners, places=places, fittings=(Fitting(),))
    moments, cut = latents.read(np.array([2, 0]), [0, 0])
    assert moments.flatten().tolist() == [1, 1, 2, 2]
    assert cut.tolist() == [[0, 0], [7, 7]]
    assert latents.missing().tolist() == [1]


def test_files_of_another_form_are_left_out_and_encoded_again(tmp_path, vae):
    """A stranger's: without a shape, of another one, of nothing, of other columns, with nulls."""
    target = open_dataset(build_scenes(tmp_path / "ds", rows=2).path)
    first = encode(target, vae, tmp_path / "cache")
    (path,) = (tmp_path / "cache").rglob("*.arrow")
    table = pa.ipc.open_file(pa.memory_map(str(path))).read_all()
    nulls = pa.nulls(len(table), table.schema.field("moments").type)
    for changed in (
        table.replace_schema_metadata(None),
        table.replace_schema_metadata({"shape": "[1, 2, 4, 16, 16]"}),
        table.replace_schema_metadata({"shape": "[" * 10**5}),
        table.replace_schema_metadata({"shape": "[1e999]"}),
        table.slice(0, 0),
        table.drop_columns(["top"]),
        table.set_column(1, "moments", nulls),
    ):
        path.unlink()  # the tables before are read from it still
        with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, changed.schema) as writer:
            writer.write_table(changed)
        again = encode(target, vae, tmp_path / "cache")
        assert np.array_equal(again.read(np.arange(2), [0, 0])[0], first.read(np.arange(2), [0, 0])[0])
        for other in (tmp_path / "cache").rglob("*.arrow"):
            if other != path:
                other.unlink()


def test_caches_are_listed_and_cleared(tmp_path, vae):
    target = open_dataset(build_scenes(tmp_path / "ds", rows=2).path)
    encode(target, vae, tmp_path / "cache")
    (entry,) = list_caches(tmp_path / "cache")
    assert (entry.kind, entry.model, entry.files, entry.orphan) == ("latents", "tiny", 1, False)
    assert entry.datasets == (str(tmp_path / "ds"),)
    assert entry.size > 2 * 2 * 2 * 4 * 16 * 16
    assert tidy_caches(tmp_path / "cache", ["orphans"]).cleared == []
    os.rename(tmp_path / "ds", tmp_path / "elsewhere")
    with pytest.raises(OptionError, match="--clear x: there is no such cache"):
        tidy_caches(tmp_path / "cache", ["orphans", "x"])
    assert "orphan: its datasets are gone" in tidy_caches(tmp_path / "cache", []).text()
    assert [each.id for each in tidy_caches(tmp_path / "cache", ["orphans"]).cleared] == [entry.id]
    assert list_caches(tmp_path / "cache") == []


KILLED = """
import sys, time
from recapdata.dataset.target import open_dataset
from recaptrain.diffusion import latents
from recaptrain.embedded.autoencoder import Autoencoder, build
latents.ENTRIES = 2
plain = latents.Encoder.moments
def slow(self, pictures):
    print("encoding", flush=True)
    time.sleep(0.2)
    return plain(self, pictures)
latents.Encoder.moments = slow
encoder = latents.Encoder(vae=build(Autoencoder(channels=(8, 8, 8)), 0).eval(), model="tiny", batch_pixels=64 * 64)
latents.encode_dataset(open_dataset(sys.argv[1]), encoder, latents.Path(sys.argv[2]), [(64, 64)] * 40)
"""


def test_a_kill_leaves_whole_files_alone(tmp_path: Path, vae):
    """Killed while it encodes: every file that is there can be read, and what they hold is not encoded again."""
    folder = build_scenes(tmp_path / "ds", rows=40, shard_rows=40).path
    process = subprocess.Popen(
        [sys.executable, "-c", KILLED, str(folder), str(tmp_path / "cache")],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    for _ in range(9):
        assert process.stdout.readline() == "encoding\n"
    process.send_signal(signal.SIGKILL)
    process.wait(HANGS)
    files = list((tmp_path / "cache").glob("latents/*/*.arrow"))
    assert len(files) >= 3
    held = sum(pa.ipc.open_file(pa.memory_map(str(path))).read_all().num_rows for path in files)
    counted = []
    began = time.time_ns()
    made = encode(open_dataset(folder), vae, tmp_path / "cache", advance=counted.append)
    assert counted[0] == held
    assert len(made.missing()) == 0
    assert all(path.stat().st_mtime_ns < began for path in files)
