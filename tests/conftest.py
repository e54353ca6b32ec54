"""Shared fixtures: nothing leaves the machine, caches go to a temporary folder, seeds are fixed."""

import os
import tempfile

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ["HF_HUB_DISABLE_XET"] = "1"
os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
os.environ["FIFTYONE_DO_NOT_TRACK"] = "1"
os.environ["HF_HOME"] = tempfile.mkdtemp(prefix="recapdata-tests-")

pytest_plugins = ["tests.fixtures.fiftyone", "tests.fixtures.hub"]
