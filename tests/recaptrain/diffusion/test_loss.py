"""The objective, held against its equations on numbers that can be worked out by hand."""

import pytest
import torch
from diffusers import DDIMScheduler

from recapdata.errors import ModelNotSupported
from recaptrain.diffusion.base import prediction_type
from recaptrain.diffusion.loss import (
    denoising_loss,
    min_snr_weights,
    signal_to_noise,
    target,
)


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
