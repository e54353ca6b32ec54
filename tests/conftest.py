"""Shared fixtures: nothing leaves the machine, caches go to a temporary folder, seeds are fixed."""

import os
import tempfile

import pytest

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ["HF_HUB_DISABLE_XET"] = "1"
os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
os.environ["FIFTYONE_DO_NOT_TRACK"] = "1"
os.environ["HF_HOME"] = tempfile.mkdtemp(prefix="recapdata-tests-")

pytest_plugins = ["tests.fixtures.fiftyone", "tests.fixtures.hub"]

FIRST = (
    "tests/audits/fiftyone",
    "tests/recapdata/recaptioning/test_pilot.py",
    "tests/audits/runner",
    "tests/test_earlier.py",
    "tests/recapdata/recaptioning/test_cluster.py",
    "tests/recapdata/test_killed.py",
    "tests/recaptrain/captioner",
    "tests/test_extras.py",
    "tests/test_demo.py",
)
"""What takes long begins first, so that two workers end together."""


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Order the tests; workers take whole files (`--dist loadfile`), in this order."""
    order = [
        next((n for n, path in enumerate(FIRST) if item.nodeid.startswith(path)), len(FIRST))
        for item in items
    ]
    items[:] = [items[place] for place in sorted(range(len(items)), key=order.__getitem__)]
