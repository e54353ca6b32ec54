"""The objective, held against its equations on numbers that can be worked out by hand."""

from contextlib import nullcontext
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from diffusers import DDIMScheduler, DDPMScheduler

from recapdata.caption_sets.mixture import Drawn
from recapdata.errors import ModelNotSupported
from recaptrain.diffusion.base import load_base, prediction_type
from recaptrain.diffusion.conditioning import tokenize
from recaptrain.diffusion.loss import (
    Denoising,
    MicroBatch,
    denoising_loss,
    min_snr_weights,
    offset_noise,
    signal_to_noise,
    target,
)
from recaptrain.diffusion.schedule import training_schedule
from tests.recaptrain.pipelines import build_xl_pipeline


def scheduler(kind, kept=(0.8, 0.5, 0.2)):
    """A schedule whose ᾱ are `kept`."""
    made = DDIMScheduler(num_train_timesteps=len(kept), prediction_type=kind)
    made.alphas_cumprod = torch.tensor(kept)
    return made


def test_signal_to_noise_is_kept_over_lost():
    assert signal_to_noise(scheduler("epsilon"), torch.tensor([0, 1, 2])).tolist() == pytest.approx(
        [4.0, 1.0, 0.25]
    )


def test_targets():
    clean, noise = torch.full((1, 1, 1, 1), 2.0), torch.full((1, 1, 1, 1), 3.0)
    times = torch.tensor([0])
    assert target(scheduler("epsilon"), clean, noise, times).item() == 3.0
    assert target(scheduler("sample"), clean, noise, times).item() == 2.0
    # v = √0.8·3 − √0.2·2
    assert target(scheduler("v_prediction"), clean, noise, times).item() == pytest.approx(1.78885438)


@pytest.mark.parametrize(
    ("kind", "weights"),
    [
        ("epsilon", [0.5, 1.0, 1.0, 1.0]),  # min(SNR, 5)/SNR of 10, 4, 0.25 and, in the limit, 0
        ("v_prediction", [5 / 11, 1.0, 1.0, 1.0]),  # min(SNR+1, 5)/(SNR+1)
        ("sample", [5.0, 4.0, 0.25, 0.0]),  # min(SNR, 5)
    ],
)
def test_min_snr_weights(kind, weights):
    snr = torch.tensor([10.0, 4.0, 0.25, 0.0])
    assert min_snr_weights(snr, kind, 5.0).tolist() == pytest.approx(weights)
    assert min_snr_weights(snr, kind, None).tolist() == [1.0] * 4


def test_loss_weighs_examples():
    prediction, wanted = torch.zeros(2, 1, 2, 2), torch.tensor([1.0, 2.0]).view(2, 1, 1, 1).expand(2, 1, 2, 2)
    # (0.5·1 + 1·4) / 2
    assert denoising_loss(prediction, wanted, torch.tensor([0.5, 1.0])).item() == 2.25


def test_an_unknown_prediction_is_refused():
    with pytest.raises(ModelNotSupported, match="'flow_prediction'"):
        prediction_type(scheduler("flow_prediction"))


def test_offset_noise_is_constant_over_each_channel():
    made = offset_noise(torch.zeros(2, 3, 4, 4), 0.5, torch.Generator().manual_seed(0))
    assert torch.equal(made, made[:, :, :1, :1].expand_as(made))
    drawn = torch.randn((2, 3, 1, 1), generator=torch.Generator().manual_seed(0))
    assert torch.allclose(made[:, :, :1, :1], 0.5 * drawn)


@torch.no_grad()
def test_the_loss_of_sdxl_is_that_of_diffusers_own_parts(tmp_path):
    """The pipeline's `encode_prompt` and `_get_add_time_ids`, DDPM's noise, and a mean squared error: as its scripts train."""
    base = load_base(str(build_xl_pipeline(tmp_path / "xl")))
    pipeline, captions, rows = base.pipeline, ["a red circle", "two blue stars"], np.arange(2)
    moments = np.random.default_rng(0).normal(size=(2, 2, 4, 16, 16)).astype(np.float32)
    task = Denoising(
        training=SimpleNamespace(
            model=lambda compute: compute({}),
            accelerator=SimpleNamespace(device=torch.device("cpu"), autocast=nullcontext),
        ),
        base=base,
        schedule=training_schedule(pipeline.scheduler),
        examples=SimpleNamespace(mixture=SimpleNamespace(sets=())),
        batches=None,
        latents=None,
        snr_gamma=None,
    )
    corners, originals = np.array([[4, 0], [0, 0]]), np.array([[80, 48], [64, 64]])
    inputs = MicroBatch(
        rows,
        tokenize(pipeline, captions),
        moments,
        corners,
        originals,
        [Drawn(set_name=None, caption=each) for each in captions],
        np.ones(2, np.float32),
    )
    loss, _ = task.loss(inputs, draw=3)

    generator = torch.Generator().manual_seed(3)
    mean, spread = torch.from_numpy(moments).unbind(1)
    clean = mean + spread * torch.randn((2, 4, 16, 16), generator=generator)
    noise = torch.randn((2, 4, 16, 16), generator=generator)
    times = torch.randint(0, 1000, (2,), generator=generator)
    states, _, pooled, _ = pipeline.encode_prompt(captions, do_classifier_free_guidance=False)
    sizes = [
        pipeline._get_add_time_ids(
            tuple(original), tuple(corner), (64, 64), torch.float32, text_encoder_projection_dim=12
        )
        for original, corner in zip(originals.tolist(), corners.tolist(), strict=True)
    ]
    added = {"text_embeds": pooled, "time_ids": torch.cat(sizes)}
    schedule = DDPMScheduler.from_pretrained(tmp_path / "xl", subfolder="scheduler")
    noised = schedule.add_noise(clean, noise, times)
    answer = pipeline.unet(noised, times, states, added_cond_kwargs=added).sample
    assert loss.item() == pytest.approx(torch.nn.functional.mse_loss(answer, noise).item(), rel=1e-6)
