"""The noise schedule: what is changed of it is what the saved pipeline samples with."""

from dataclasses import dataclass
from types import SimpleNamespace

import diffusers
import pytest
import torch
from diffusers import DDIMScheduler, EulerDiscreteScheduler, FlowMatchEulerDiscreteScheduler, PNDMScheduler

from recapdata.errors import ModelNotSupported, OptionError
from recaptrain.diffusion.schedule import reschedule, training_schedule

STABLE = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"}


@dataclass
class Base:
    pipeline: SimpleNamespace
    prediction: str
    source = SimpleNamespace(name="someone/model")


def base(scheduler):
    return Base(SimpleNamespace(scheduler=scheduler), scheduler.config.get("prediction_type", "epsilon"))


def change(scheduler, prediction=None, *, zero=False):
    changed = reschedule(base(scheduler), prediction=prediction, zero_terminal_snr=zero)
    return changed.prediction, changed.pipeline.scheduler


@pytest.mark.parametrize("kind", [PNDMScheduler, EulerDiscreteScheduler, DDIMScheduler])
def test_nothing_asked_changes_nothing(kind):
    scheduler = kind(**STABLE)
    assert change(scheduler) == ("epsilon", scheduler)
    assert change(scheduler, "epsilon")[1] is scheduler


def test_zero_terminal_snr_is_in_what_is_saved(tmp_path):
    prediction, scheduler = change(PNDMScheduler(**STABLE), "v_prediction", zero=True)
    assert prediction == "v_prediction"
    scheduler.save_pretrained(tmp_path)
    again = DDIMScheduler.from_pretrained(tmp_path)
    assert again.config.prediction_type == "v_prediction"
    assert not again.config.clip_sample
    assert again.alphas_cumprod[-1] == 0
    # Algorithm 1 leaves the first of √ᾱ as it was
    assert again.alphas_cumprod[0] == pytest.approx(
        PNDMScheduler(**STABLE).alphas_cumprod[0].item(), rel=1e-5
    )
    again.set_timesteps(4)
    assert again.timesteps.tolist() == [999, 749, 499, 249]
    assert training_schedule(again).alphas_cumprod[-1] == 0


def test_a_sampler_that_can_is_kept():
    _, scheduler = change(EulerDiscreteScheduler(**STABLE), "v_prediction", zero=True)
    assert type(scheduler) is EulerDiscreteScheduler
    assert scheduler.config.rescale_betas_zero_snr
    assert scheduler.config.prediction_type == "v_prediction"
    assert type(change(PNDMScheduler(**STABLE), "v_prediction")[1]) is PNDMScheduler
    assert type(change(PNDMScheduler(**STABLE), "sample")[1]) is DDIMScheduler


def test_predicting_noise_at_zero_snr_is_refused():
    with pytest.raises(OptionError, match="add --prediction-type v_prediction"):
        change(PNDMScheduler(**STABLE), zero=True)


def test_flow_matching_is_refused():
    with pytest.raises(ModelNotSupported, match="flow-matching"):
        change(FlowMatchEulerDiscreteScheduler())


def test_noise_is_added_as_ddpm_adds_it_whatever_the_sampler():
    """√ᾱ·x_0 + √(1−ᾱ)·ε; Euler's own form would be x_0 + σ·ε."""
    scheduler = EulerDiscreteScheduler(**STABLE)
    schedule = training_schedule(scheduler)
    kept = torch.cumprod(1 - torch.linspace(0.00085**0.5, 0.012**0.5, 1000) ** 2, 0)[500]
    clean, noise = torch.full((1, 1, 1, 1), 2.0), torch.full((1, 1, 1, 1), 3.0)
    made = schedule.add_noise(clean, noise, torch.tensor([500])).item()
    assert made == pytest.approx((kept**0.5 * 2 + (1 - kept) ** 0.5 * 3).item(), rel=1e-5)
    assert isinstance(schedule, diffusers.DDPMScheduler)
