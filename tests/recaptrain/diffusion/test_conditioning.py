"""What a UNet is conditioned on, held against what diffusers' own pipelines make of the same captions."""

import pytest
import torch

from recapdata.models.sources import resolve_model
from recaptrain.diffusion.base import load_base
from recaptrain.diffusion.conditioning import encode, time_ids, tokenize
from recaptrain.diffusion.lora import open_pipeline
from recaptrain.diffusion.windows import MOST
from tests.recaptrain.pipelines import build_pipeline, build_xl_pipeline

SHORT, LONG = "a red circle", "a red circle left of a blue star " * 20


@pytest.fixture(scope="module")
def paths(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bases")
    return {"sd": build_pipeline(folder / "sd", epsilon=True), "xl": build_xl_pipeline(folder / "xl")}


@pytest.fixture(scope="module")
def pipelines(paths):
    return {name: open_pipeline(resolve_model(str(path), kind="diffusion")) for name, path in paths.items()}


@torch.no_grad()
@pytest.mark.parametrize("kind", ["sd", "xl"])
def test_captions_are_read_as_the_pipeline_reads_them(pipelines, kind):
    pipeline = pipelines[kind]
    made = encode(pipeline, tokenize(pipeline, [SHORT, LONG, ""]))
    own = pipeline.encode_prompt(
        [SHORT, LONG], device="cpu", num_images_per_prompt=1, do_classifier_free_guidance=True
    )
    assert torch.equal(made.states[:2], own[0])
    assert torch.equal(made.states[2], own[1][0])  # what guidance leads away from; zeros of SDXL
    assert made.mask is None
    if kind == "xl":
        assert torch.equal(made.pooled[:2], own[2])
        assert torch.equal(made.pooled[2], own[3][0])
        assert not made.states[2].any()


@torch.no_grad()
def test_windows_of_a_batch_do_not_depend_on_the_batch(pipelines):
    """The UNet answers for a caption of one window beside one of three as it does for each alone."""
    pipeline = pipelines["xl"]
    unet, noised = (
        pipeline.unet.eval(),
        torch.randn((2, 4, 16, 16), generator=torch.Generator().manual_seed(0)),
    )

    def answer(captions, latents):
        condition = encode(pipeline, tokenize(pipeline, captions, most=MOST))
        sizes = time_ids([(64, 64)] * len(captions), [(0, 0)] * len(captions), (64, 64))
        return unet(latents, torch.tensor([10] * len(captions)), **condition.arguments(sizes)).sample

    both = answer([SHORT, LONG], noised)
    assert torch.allclose(both[:1], answer([SHORT], noised[:1]), atol=1e-5)
    assert torch.allclose(both[1:], answer([LONG], noised[1:]), atol=1e-5)


@torch.no_grad()
def test_the_first_window_of_a_long_caption_is_the_cut_caption(pipelines):
    pipeline = pipelines["xl"]
    cut = encode(pipeline, tokenize(pipeline, [LONG]))
    whole = encode(pipeline, tokenize(pipeline, [LONG], most=MOST))
    assert whole.states.shape[1] == 3 * 77
    assert torch.allclose(whole.states[:, :77], cut.states, atol=1e-6)
    assert torch.allclose(whole.pooled, cut.pooled, atol=1e-6)


def test_the_mask_covers_a_captions_own_windows(pipelines):
    tokens = tokenize(pipelines["xl"], [SHORT, LONG], most=MOST)
    assert tokens.layout.counts.tolist() == [1, 3]
    assert tokens.layout.places.tolist() == [[0, 4, 4], [1, 2, 3]]  # window 4 is the empty one
    mask = encode(pipelines["xl"], tokens).mask
    assert mask.sum(1).tolist() == [77, 3 * 77]
    assert mask[0, :77].all()


def test_sizes_are_those_of_the_pipeline(pipelines):
    own = pipelines["xl"]._get_add_time_ids(
        (48, 80), (4, 0), (64, 64), torch.float32, text_encoder_projection_dim=12
    )
    assert torch.equal(time_ids([(48, 80)], [(4, 0)], (64, 64)), own)


def test_parts_and_limits(paths):
    base = load_base(str(paths["xl"]))
    assert list(base.parts(["text_encoder"])) == ["text_encoder", "text_encoder_2"]
    assert (base.readable("truncate"), base.readable("chunks")) == (77, 3 * 75 + 2)
    assert base.stored_in_half(["unet", "text_encoder"]) == {}
    base = load_base(str(paths["sd"]))
    assert list(base.parts(["unet", "text_encoder"])) == ["unet", "text_encoder"]
