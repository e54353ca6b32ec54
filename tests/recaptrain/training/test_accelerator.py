"""Precision is what the machine computes in by itself."""

import pytest
import torch

from recapdata.errors import OptionError
from recaptrain.training.accelerator import autocast, native_precision, open_accelerator


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
