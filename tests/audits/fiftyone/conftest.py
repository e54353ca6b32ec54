"""A FiftyOne of the tests' own: its MongoDB and its pictures lie in a temporary folder, and end with this process."""

import os
from collections.abc import Iterator
from importlib.util import find_spec
from types import ModuleType

import pytest


@pytest.fixture(scope="session")
def fo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ModuleType]:
    """The fiftyone module; its settings are read when it is first imported, so they are set before."""
    if find_spec("fiftyone") is None:
        pytest.skip("FiftyOne is not installed (pip install 'recapdata[view]')")
    home = tmp_path_factory.mktemp("fo")
    os.environ["FIFTYONE_DATABASE_DIR"] = str(home / "db")
    os.environ["FIFTYONE_DEFAULT_DATASET_DIR"] = str(home / "datasets")
    os.environ["FIFTYONE_PLUGINS_DIR"] = str(home / "plugins")
    from audits.fiftyone import require

    module = require()
    assert module.config.database_dir == str(home / "db"), (
        "FiftyOne was imported before its settings were made"
    )
    yield module
    for name in module.list_datasets():
        module.delete_dataset(name)
