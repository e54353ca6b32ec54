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


def test_where_shards_are_possible_only_fsdp_2_on_gpus_is(monkeypatch):
    """On one process of a CPU Accelerate would leave FSDP away without a word."""
    monkeypatch.setenv("ACCELERATE_USE_FSDP", "true")
    with pytest.raises(OptionError, match=r"launched with FSDP 1, .*: set fsdp_version: 2"):
        open_accelerator("no", shards=True)
    monkeypatch.setenv("FSDP_VERSION", "2")
    with pytest.raises(OptionError, match="spreads weights over GPUs alone, not on cpu with 1 process: "):
        open_accelerator("no", shards=True, cpu=True)
    monkeypatch.setenv("ACCELERATE_USE_FSDP", "false")
    monkeypatch.setenv("ACCELERATE_USE_DEEPSPEED", "true")
    with pytest.raises(
        OptionError, match=r"launched with DeepSpeed, which is not supported: use FSDP \(fsdp_version: 2"
    ):
        open_accelerator("no", shards=True)


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
