"""States of captions: kept once, the same as those made at every step, read whole or not at all."""

from dataclasses import replace

import pytest
import torch

from recapdata.errors import OptionError
from recapdata.models.sources import resolve_model
from recaptrain.caches import list_caches
from recaptrain.diffusion import text_states as module
from recaptrain.diffusion.base import load_base
from recaptrain.diffusion.conditioning import encode, run_encoders, tokenize
from recaptrain.diffusion.lora import open_pipeline
from recaptrain.diffusion.run import train_diffusion
from recaptrain.diffusion.text_states import TextEncoding, encode_captions
from recaptrain.diffusion.windows import MOST
from tests.recaptrain.diffusion.test_run import losses, settings
from tests.recaptrain.pipelines import build_pipeline, build_scenes, build_xl_pipeline

SHORT, LONG = "a red circle", "a red circle left of a blue star " * 20


@pytest.fixture(scope="module")
def paths(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bases")
    return {"sd": build_pipeline(folder / "sd"), "xl": build_xl_pipeline(folder / "xl")}


@pytest.fixture(scope="module")
def pipelines(paths):
    return {name: open_pipeline(resolve_model(str(path), kind="diffusion")) for name, path in paths.items()}


@torch.no_grad()
@pytest.mark.parametrize("kind", ["sd", "xl"])
def test_kept_states_are_what_the_encoders_make(tmp_path, pipelines, kind, monkeypatch):
    """An empty caption, one window and three in a batch, read from two files: states, pooled states and mask."""
    pipeline = pipelines[kind]
    encoding = TextEncoding(pipeline=pipeline, most=MOST, model="tiny")
    monkeypatch.setattr(module, "FILE", 2 * encoding.bytes_of(1))
    kept = encode_captions(encoding, [SHORT, LONG, "", SHORT], tmp_path, "ds")
    assert len(kept.tables) == 2
    captions = ["", LONG, SHORT]
    read = kept.read(captions)
    made = encode(pipeline, tokenize(pipeline, captions, most=MOST))
    again = encode(pipeline, read)
    assert torch.equal(made.mask, again.mask)
    own = made.mask[..., None]
    assert torch.allclose(made.states * own, again.states * own, atol=1e-6)
    if kind == "xl":
        assert torch.allclose(made.pooled, again.pooled, atol=1e-6)
    else:
        assert again.pooled is None
    assert kept.read([SHORT, "another"]) is None


def test_a_second_run_encodes_what_is_new_alone(tmp_path, pipelines, monkeypatch):
    encoded, counted = [], []
    plain = TextEncoding.encode
    monkeypatch.setattr(
        TextEncoding, "encode", lambda self, captions: encoded.extend(captions) or plain(self, captions)
    )
    encoding = TextEncoding(pipeline=pipelines["sd"], model="tiny")
    encode_captions(encoding, ["a", "b"], tmp_path, "ds")
    encode_captions(encoding, ["b", "c"], tmp_path, "other/ds", advance=counted.append)
    assert encoded == ["a", "b", "c"]
    assert counted == [1, 1]
    (entry,) = list_caches(tmp_path)
    assert (entry.kind, entry.model, entry.files) == ("texts", "tiny", 2)
    assert entry.datasets == ("ds", "other/ds")


def test_the_cache_knows_encoders_windows_and_type(tmp_path, pipelines, paths):
    plain = TextEncoding(pipeline=pipelines["sd"])
    other = open_pipeline(resolve_model(str(paths["sd"]), kind="diffusion"))
    assert TextEncoding(pipeline=other).cache(tmp_path) == plain.cache(tmp_path)
    with torch.no_grad():
        next(other.text_encoder.parameters()).add_(1.0)
    changed = [TextEncoding(pipeline=other), replace(plain, most=MOST), replace(plain, dtype="bfloat16")]
    folders = {each.cache(tmp_path).path for each in (plain, *changed)}
    assert len(folders) == 4


def test_a_file_that_was_cut_off_is_made_again(tmp_path, pipelines):
    encoding = TextEncoding(pipeline=pipelines["sd"])
    first = encode_captions(encoding, [SHORT], tmp_path, "ds").read([SHORT]).states.clone()
    (path,) = tmp_path.glob("texts/*/*.arrow")
    path.write_bytes(path.read_bytes()[:500])
    assert torch.equal(encode_captions(encoding, [SHORT], tmp_path, "ds").read([SHORT]).states, first)


def test_states_are_kept_in_the_type_that_is_asked_for(tmp_path, pipelines):
    encoding = TextEncoding(pipeline=pipelines["xl"], dtype="bfloat16")
    read = encode_captions(encoding, [SHORT], tmp_path, "ds").read([SHORT])
    assert read.states.dtype == read.pooled.dtype == torch.bfloat16
    assert read.states.nbytes == encoding.bytes_of(1) == 77 * (16 + 8) * 2
    with torch.no_grad():
        made = run_encoders(pipelines["xl"], tokenize(pipelines["xl"], [SHORT]))
    assert torch.equal(read.states, made.states.to(torch.bfloat16))


def test_a_run_with_kept_states_learns_what_one_without_does(tmp_path, paths, monkeypatch):
    """All that may be drawn is kept: no encoder runs while it learns. What is drawn stays the same, and so do the losses."""
    scenes = build_scenes(tmp_path / "ds").path
    chosen = settings(
        scenes, paths["sd"], mixture="short=1,long=1;length=random;dropout=0.2", mixed_precision="no",
        latent_cache=tmp_path / "cache", log_captions_every=1, samples=0,
    )  # fmt: skip
    train_diffusion(chosen, tmp_path / "plain")
    base = load_base(str(paths["sd"]))
    forwards = []
    monkeypatch.setattr(
        type(base.pipeline.text_encoder), "forward", _counted(type(base.pipeline.text_encoder), forwards)
    )
    train_diffusion(replace(chosen, text_cache=True), tmp_path / "kept")
    made = len(forwards)
    assert losses(tmp_path / "kept") == pytest.approx(losses(tmp_path / "plain"), abs=1e-6)
    train_diffusion(replace(chosen, text_cache=True, seed=5), tmp_path / "other")
    assert len(forwards) == made
    with pytest.raises(OptionError, match="--text-cache: the text encoder is trained"):
        replace(chosen, text_cache=True, train=("unet", "text_encoder"))


def _counted(kind, calls):
    plain = kind.forward

    def forward(self, *arguments, **options):
        calls.append(1)
        return plain(self, *arguments, **options)

    return forward
