"""Opening the App on a dataset, on loopback only, until the person closes it."""

from audits.fiftyone import require
from recapdata.console import say

ADDRESS = "127.0.0.1"


def open_app(name: str, *, port: int | None = None) -> None:
    """Serve the App for a dataset and wait until it is closed or interrupted.

    Args:
        port: 5151 where None.
    """
    fo = require()
    session = fo.launch_app(fo.load_dataset(name), port=port, address=ADDRESS)
    say(f"the App is at {session.url} ; stop it with Ctrl-C")
    session.wait(-1)
