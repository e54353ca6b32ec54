"""The FiftyOne plugin: the panel *Caption audit* and the operators that go with it.

    panel        the figures of the caption sets in the current view; a click on one filters the grid
    sample       the captions of the open sample, in the colors of their verdicts
    comparing    two caption sets, or two revisions
    changing     verdicts marked right or wrong, captions edited
    runs         how far what was sent is
    sending      keys exported, the selection recaptioned

FiftyOne imports this file under a name of its own, from the folder that `audits view` links into its plugins folder.
"""

from importlib import import_module
from typing import Any

MODULES = ("panel", "sample", "comparing", "changing", "sending")
PLUGIN = "@recapdata/caption-audit"


def register(plugin: Any) -> None:
    """Hand the panels and operators to FiftyOne."""
    for module in MODULES:
        for each in import_module(f"audits.fiftyone.plugin.{module}").REGISTERED:
            plugin.register(each)
