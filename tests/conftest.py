"""Shared fixtures: nothing leaves the machine, caches go to a temporary folder, seeds are fixed."""

import os
import shutil
import tempfile
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ["HF_HUB_DISABLE_XET"] = "1"
os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
# A Hub on a busy machine may take its time: only one that hangs is given up.
os.environ["HF_HUB_ETAG_TIMEOUT"] = os.environ["HF_HUB_DOWNLOAD_TIMEOUT"] = "900"
os.environ["FIFTYONE_DO_NOT_TRACK"] = "1"

CACHE = "recapdata-tests-"


def _remove_left_caches() -> None:
    """Take away the caches of runs that were killed, which could not do it themselves."""
    for folder in Path(tempfile.gettempdir()).glob(f"{CACHE}*-*"):
        process = folder.name.removeprefix(CACHE).partition("-")[0]
        if process.isdecimal() and not _runs(int(process)):
            shutil.rmtree(folder, ignore_errors=True)


def _runs(process: int) -> bool:
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True
    return True


_remove_left_caches()
os.environ["HF_HOME"] = _cache = tempfile.mkdtemp(prefix=f"{CACHE}{os.getpid()}-")
os.environ["RECAPDATA_CACHE"] = f"{_cache}/recapdata"

pytest_plugins = ["tests.fixtures.fiftyone", "tests.fixtures.hub"]


def pytest_unconfigure() -> None:
    """Take the cache away when this process, which may be one of several workers, has run its tests."""
    shutil.rmtree(_cache, ignore_errors=True)
