"""The `recapdata` command line: options in, one call, a summary out. Heavy modules are imported inside the commands."""

from pathlib import Path
from typing import Annotated

import typer

from recapdata.console import Debug, Json, application, finish, run, say

app = application("Make versioned, recaptioned image–text datasets and publish them to a Hugging Face Hub.")

Directory = Annotated[Path, typer.Argument(metavar="DIR", help="The dataset folder.")]


@app.command()
def ingest(
    source: Annotated[
        str,
        typer.Argument(
            metavar="SOURCE",
            help="A folder, hf:user/name[@rev], wds:GLOB, coco:DIR, urls:FILE.parquet or scenes:N[,seed=S][,human=M].",
        ),
    ],
    directory: Directory,
    append: Annotated[bool, typer.Option("--append", help="Add to a dataset that is already there.")] = False,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Bring images and what came with them into a dataset folder."""
    from recapdata.ingest import ingest as run_ingest

    summary = run_ingest(source, directory, append=append)
    finish(summary, summary.text(), as_json=json, complete=True)


@app.command()
def hub(
    root: Annotated[Path, typer.Option(help="Folder that holds the Hub's repositories.")] = Path("hub"),
    port: Annotated[int, typer.Option(help="Port on loopback.")] = 8750,
    debug: Debug = False,
) -> None:
    """Serve a Hub of your own on loopback; the stock clients speak to it once the printed lines are exported."""
    from recapdata.hub import serve

    serve(root, port=port)


def main() -> None:
    """Entry point of the console command."""
    run(app)


__all__ = ["app", "main", "say"]
