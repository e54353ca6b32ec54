"""The optimizers by name, and what is said of those that cannot be used here."""

from dataclasses import replace

import pytest
import torch

from recapdata.errors import MissingExtra, OptionError
from recaptrain.training import optimizers
from recaptrain.training.optimizers import build_optimizer, check_optimizer
from recaptrain.training.settings import Optimization

PLAIN = Optimization(
    steps=1, batch_size=1, accumulate=1, learning_rate=0.1, course="constant", warmup=0, weight_decay=0.5,
    ema_decay=None, seed=0, checkpoint_every=1,
)  # fmt: skip


@pytest.mark.parametrize("name", ["adamw", "adamw-fused"])
def test_the_first_step_of_adamw(name):
    """Weight decay takes lr·λ of the weight, and the first step of Adam is lr in the gradient's direction: 2·0.95 − 0.1."""
    weight = torch.nn.Parameter(torch.tensor([2.0]))
    optimizer = build_optimizer([weight], replace(PLAIN, optimizer=name), betas=(0.9, 0.999), device="cpu")
    weight.grad = torch.tensor([7.0])
    optimizer.step()
    assert weight.item() == pytest.approx(2 * 0.95 - 0.1, abs=1e-5)


def test_eight_bits_need_a_library_and_a_gpu(monkeypatch):
    monkeypatch.setattr(optimizers, "find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match="pip install bitsandbytes"):
        check_optimizer("adamw-8bit", "cuda")
    monkeypatch.setattr(optimizers, "find_spec", lambda name: object())
    with pytest.raises(OptionError, match="this run is on cpu"):
        check_optimizer("adamw-8bit", "cpu")
    check_optimizer("adamw-8bit", "cuda")
    check_optimizer("adamw-fused", "cpu")
