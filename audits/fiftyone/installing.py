"""The plugin where FiftyOne looks for plugins: a link to the one of this installation, so that the two never differ."""

import os
import shutil
from pathlib import Path

from audits.fiftyone import require
from recapdata.console import say

FOLDER = Path(__file__).parent / "plugin"
LINK = "recapdata-caption-audit"


def install() -> Path:
    """Link the plugin into FiftyOne's plugins folder, unless it was put there by FiftyOne's own command; where it is.

    A folder that cannot hold links gets a copy.
    """
    fo = require()
    from fiftyone.plugins import list_plugins

    from audits.fiftyone.plugin import PLUGIN

    place = Path(fo.config.plugins_dir) / LINK
    for known in list_plugins(enabled="all"):
        if known.name == PLUGIN and not (place.is_symlink() or Path(known.directory) == place):
            return Path(known.directory)
    if PLUGIN in {known.name for known in list_plugins(enabled=False)}:
        say(f"the plugin {PLUGIN} is disabled; enable it with: fiftyone plugins enable {PLUGIN}")
    if place.is_symlink():
        if place.resolve() == FOLDER.resolve():
            return place
        place.unlink()
    elif place.is_dir():
        shutil.rmtree(place)  # a copy, perhaps of an earlier version
    place.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.symlink(FOLDER, place, target_is_directory=True)
    except OSError:
        shutil.copytree(FOLDER, place)
    return place
