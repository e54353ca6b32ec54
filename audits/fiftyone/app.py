"""Opening the App on a dataset, on loopback only, until the person stops it.

The plugin is linked to where FiftyOne looks for plugins: to the one of this installation, so that the two never differ.
"""

import os
import shutil
import signal
import socket
import subprocess
import sys
import urllib.request
import webbrowser
from contextlib import suppress
from pathlib import Path
from urllib.parse import quote

from audits.fiftyone import require
from audits.fiftyone.exports import EXPORTS
from audits.fiftyone.media import media_folder
from audits.fiftyone.server import ADDRESS
from audits.fiftyone.views import WORKSPACE
from audits.fiftyone.waiting import PATIENCE, waiting
from audits.fiftyone.worker import let_go_of_queue
from recapdata.console import say
from recapdata.errors import OptionError, RecapdataError

PORT = 5151
PLUGIN_FOLDER = Path(__file__).parent / "plugin"
LINK = "recapdata-caption-audit"


class AppFailed(RecapdataError):
    """The App's server did not start."""


def check_port(port: int) -> None:
    """Find out before a long build whether the App can be served on this port.

    Raises:
        OptionError: the port is taken, or no port.
    """
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((ADDRESS, port))
        except OverflowError as error:
            raise OptionError(f"--port {port}: a port is a number from 0 to 65535") from error
        except OSError as error:
            raise OptionError(
                f"port {port} is taken (another App, perhaps); choose another with --port"
            ) from error


def open_app(
    name: str, *, port: int = PORT, media: str | Path | None = None, exports: str | Path | None = None
) -> None:
    """Serve the App for a dataset until interrupted, and show it in a browser where there is a screen.

    The plugin is there, and what it delegates is run, for as long.

    Args:
        media: the folder of the dataset's pictures; the one that is used unless told otherwise where None.
        exports: the folder that operators export to; the dataset's own where None.

    Raises:
        AppFailed: the server stopped, or did not answer in time.
    """
    require()
    from pymongo.errors import PyMongoError

    url = f"http://{ADDRESS}:{port}/datasets/{quote(name)}?workspace={WORKSPACE}"
    command = [sys.executable, "-m", "audits.fiftyone.server", "--port", str(port)]
    command += [
        f"--media={folder}"
        for folder in {Path(media or media_folder()).absolute(), media_folder().absolute()}
    ]
    install()
    environment = {**os.environ, **({EXPORTS: str(Path(exports).absolute())} if exports is not None else {})}
    server = subprocess.Popen(command, stdin=subprocess.PIPE, env=environment)
    worker = subprocess.Popen(
        [sys.executable, "-m", "audits.fiftyone.worker", name],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        start_new_session=True,  # so that all it starts can be ended with it
    )
    try:
        _wait(server, port)
        say(f"the App is at {url} ; stop it with Ctrl-C")
        if sys.platform != "linux" or os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"):
            webbrowser.open(url)
        server.wait()
    except KeyboardInterrupt:
        say("the App is stopped; the dataset is kept")
    finally:
        with suppress(ProcessLookupError):
            os.killpg(worker.pid, signal.SIGTERM)
        assert server.stdin is not None
        server.stdin.close()  # it ends by itself then, in time even where its database is gone
        server.wait()
        worker.wait()
        with suppress(PyMongoError):  # a database that is gone too; the next worker does it then
            let_go_of_queue(name)


def _wait(server: "subprocess.Popen[bytes]", port: int) -> None:
    """Return once the server answers."""
    for _ in waiting("the App's server to start"):
        if server.poll() is not None:
            raise AppFailed(
                f"the App's server stopped with exit code {server.returncode}; its messages are above"
            )
        # OSError is of a server that does not listen yet, or takes its time.
        with suppress(OSError), urllib.request.urlopen(f"http://{ADDRESS}:{port}/fiftyone", timeout=60):
            return
    raise AppFailed(
        f"the App's server did not answer on port {port} within {PATIENCE / 60:.0f} minutes; try again"
    )


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
        if place.resolve() == PLUGIN_FOLDER.resolve():
            return place
        place.unlink()
    elif place.is_dir():
        shutil.rmtree(place)  # a copy, perhaps of an earlier version
    place.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.symlink(PLUGIN_FOLDER, place, target_is_directory=True)
    except OSError:
        shutil.copytree(PLUGIN_FOLDER, place)
    return place
