"""Each test stands for a process of its own to Accelerate, which keeps one device and precision for a process."""

import pytest


@pytest.fixture(autouse=True)
def fresh_accelerate():
    from accelerate.state import AcceleratorState

    AcceleratorState._reset_state(reset_partial_state=True)
    yield
    AcceleratorState._reset_state(reset_partial_state=True)
