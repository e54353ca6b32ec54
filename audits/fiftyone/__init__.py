"""Captions in FiftyOne: a persistent dataset of one target, to be looked through, filtered and compared.

    naming     which FiftyOne dataset belongs to which target
    media      the pictures on disk, once, under the hash of their bytes
    fields     audit rows and annotations as FiftyOne fields
    dataset    the build: new rows in, changed ones in place, removed ones out
    app        opening the App

Everything else works without FiftyOne; these modules ask for it by `require`.
"""

import os
from types import ModuleType

from recapdata.errors import MissingExtra


def require() -> ModuleType:
    """The fiftyone module, with its telemetry off.

    Raises:
        MissingExtra: FiftyOne is not installed.
    """
    os.environ["FIFTYONE_DO_NOT_TRACK"] = "1"
    if not os.environ.get("FIFTYONE_DATABASE_URI"):
        # The mongod that comes with FiftyOne's own wheels is the oldest it supports, and it says so at every start.
        os.environ.setdefault("FIFTYONE_DATABASE_VALIDATION", "false")
    try:
        import fiftyone
    except ImportError as error:
        raise MissingExtra(
            "looking at captions needs FiftyOne, which is not installed; install it with: pip install 'recapdata[view]'"
        ) from error
    return fiftyone
