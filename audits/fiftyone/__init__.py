"""Captions in FiftyOne: a persistent dataset of one target, to be looked through, filtered and compared.

    database, waiting    its MongoDB, started or shared, and waited for
    locks          what one process at a time does to a dataset
    naming         which FiftyOne dataset belongs to which target
    media          the pictures on disk, once, under the hash of their bytes
    schema         the fields, declared
    fields         audit rows and annotations as the values of fields
    views          the saved views
    similarity     pictures near a picture or a text, by CLIP
    dataset        the build: new rows in, changed ones in place, removed ones out
    shards         one shard of it
    figures, distributions   what the plugin shows of a view
    source, changes                 what a person may change, and how it is kept
    plugin/        panels and operators, linked to where FiftyOne looks for them by `app`
    app            opening the App, served by a process of its own (`server`), with what it delegates run by another (`worker`)

Everything else works without FiftyOne; these modules ask for it by `require`.
"""

import os
from pathlib import Path
from types import ModuleType

from recapdata import extras

MODELS = str(Path(__file__).with_name("models.json"))
"""The audit's CLIP model, as FiftyOne's model zoo lists it."""


def require() -> ModuleType:
    """The fiftyone module, with its telemetry off, connected to its database where it was configured to be.

    Raises:
        MissingExtra: FiftyOne is not installed.
        DatabaseFailed: its MongoDB does not start.
    """
    os.environ["FIFTYONE_DO_NOT_TRACK"] = "1"
    if not os.environ.get("FIFTYONE_DATABASE_URI"):
        # The mongod that comes with FiftyOne's own wheels is the oldest it supports, and it says so at every start.
        os.environ.setdefault("FIFTYONE_DATABASE_VALIDATION", "false")
    extras.require("fiftyone", extra="view")
    import fiftyone

    from audits.fiftyone.database import connect

    connect()
    if MODELS not in (paths := fiftyone.config.model_zoo_manifest_paths or []):
        fiftyone.config.model_zoo_manifest_paths = [*paths, MODELS]
    return fiftyone
