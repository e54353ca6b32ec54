"""Precision is what the machine computes in by itself, and what is missing is said."""

import pytest
import torch

from recapdata.errors import MissingExtra
from recaptrain.training.accelerator import autocast, native_precision, require_libraries


@pytest.mark.parametrize(
    ("flag", "precision", "dtype"), [(True, "bf16", torch.bfloat16), (False, "no", torch.float32)]
)
def test_bf16_only_where_the_processor_has_it(monkeypatch, flag, precision, dtype):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": flag})
    assert native_precision("cpu") == precision
    with autocast("cpu"):
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == dtype


def test_a_missing_library_names_the_extra():
    require_libraries("torch")
    with pytest.raises(
        MissingExtra, match=r"needs no_such_library; install with: pip install 'recapdata\[train\]'"
    ):
        require_libraries("torch", "no_such_library")
