"""The `recaptrain` command line: options in, one call, a summary out. Heavy modules are imported inside the commands."""

from recapdata.console import application, run

app = application("Train on any revision of a dataset.")


@app.callback()
def recaptrain() -> None:
    """Train on any revision of a dataset."""


def main() -> None:
    """Entry point of the console command."""
    run(app)
