"""Precision is what the machine computes in by itself."""

from types import SimpleNamespace

import pytest
import torch

from recapdata.errors import OptionError
from recaptrain.training.accelerator import autocast, frozen_dtype, native_precision, open_accelerator


@pytest.mark.parametrize(
    ("flag", "precision", "dtype"), [(True, "bf16", torch.bfloat16), (False, "no", torch.float32)]
)
def test_bf16_only_where_the_processor_has_it(monkeypatch, flag, precision, dtype):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": flag})
    assert native_precision("cpu") == precision
    with autocast("cpu"):
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == dtype


def test_another_precision_in_one_process_is_refused_in_one_line():
    open_accelerator("no")
    open_accelerator("no")
    with pytest.raises(OptionError, match=r"--mixed-precision bf16: this process has trained in 'no'"):
        open_accelerator("bf16")


@pytest.mark.parametrize(
    ("variable", "name"), [("ACCELERATE_USE_FSDP", "FSDP"), ("ACCELERATE_USE_DEEPSPEED", "DeepSpeed")]
)
def test_what_spreads_weights_over_processes_is_refused_in_one_line(monkeypatch, variable, name):
    monkeypatch.setenv(variable, "true")
    with pytest.raises(OptionError, match=f"launched with {name}.*: launch without {name}"):
        open_accelerator("no")
    monkeypatch.setenv(variable, "false")
    open_accelerator("no")


def test_frozen_weights_may_be_in_half_precision_on_a_gpu_alone():
    def dtype(device, precision):
        return frozen_dtype(SimpleNamespace(device=torch.device(device), mixed_precision=precision))

    assert dtype("cuda", "bf16") == torch.bfloat16
    assert dtype("cuda", "fp16") == torch.float16
    assert dtype("cuda", "no") is None
    assert dtype("cpu", "bf16") is None
