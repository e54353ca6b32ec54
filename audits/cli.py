"""The `audits` command line: options in, one call, a summary out. Heavy modules are imported inside the commands."""

from pathlib import Path
from typing import Annotated

import typer

from recapdata.console import Debug, Json, application, finish, run

app = application("Audit how good the captions of a dataset are.")


@app.callback()
def audits() -> None:
    """Audit how good the captions of a dataset are."""


@app.command()
def claims(
    source: Annotated[Path, typer.Argument(metavar="IN.jsonl", help='One {"id", "caption"} per line.')],
    target: Annotated[Path, typer.Argument(metavar="OUT.jsonl", help='One {"id", "claims"} per line.')],
    pipeline: Annotated[
        str | None, typer.Option(help="A spaCy pipeline by name or path; the project's own if not given.")
    ] = None,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Extract the checkable claims of captions."""
    from audits.claims import annotate_jsonl

    summary = annotate_jsonl(source, target, pipeline=pipeline)
    finish(summary, summary.text(), as_json=json, complete=not summary.failures)


def main() -> None:
    """Entry point of the console command."""
    run(app)
