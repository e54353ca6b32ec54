"""Each test stands for a process of its own to Accelerate, which keeps one device and precision for a process."""

import sys

import pytest


@pytest.fixture(autouse=True)
def fresh_accelerate():
    _reset()
    yield
    _reset()


def _reset() -> None:
    """Forget the state, where anybody has imported Accelerate, which takes seconds."""
    if (state := sys.modules.get("accelerate.state")) is not None:
        state.AcceleratorState._reset_state(reset_partial_state=True)
