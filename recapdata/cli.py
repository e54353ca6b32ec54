"""The `recapdata` command line: options in, one call, a summary out. Heavy modules are imported inside the commands."""

from pathlib import Path
from typing import Annotated

import typer

from recapdata.console import Debug, Json, application, finish, run

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


@app.command()
def demo(
    out: Annotated[Path, typer.Option(help="Folder for everything the demo makes.")] = Path("demo"),
    scenes: Annotated[int, typer.Option(min=100, help="Pictures to draw.")] = 1000,
    steps: Annotated[int, typer.Option(min=1, help="Training steps of the diffusion model.")] = 20,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Run the whole way on the drawn world: draw, recaption, audit, publish, load, view, train.

    Needs no account and no network: it starts an embedded Hub. Example: recapdata demo --out demo
    """
    from recapdata.demo import run_demo

    summary = run_demo(out, scenes=scenes, steps=steps)
    finish(summary, summary.text(), as_json=json)


def main() -> None:
    """Entry point of the console command."""
    run(app)
