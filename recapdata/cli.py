"""The `recapdata` command line: options in, one call, a summary out. Heavy modules are imported inside the commands."""

from pathlib import Path
from typing import Annotated

import typer

from recapdata.captioners import CaptionerOptions
from recapdata.console import Summary, application, command, finish, say
from recapdata.console import run as run_application
from recapdata.ingestion.options import IngestOptions
from recapdata.publishing.options import PublishOptions
from recapdata.recaptioning.options import RunOptions

app = application("Make versioned, recaptioned image–text datasets and publish them to a Hugging Face Hub.")

Directory = Annotated[Path, typer.Argument(metavar="DIR", help="The dataset folder.")]


@command(
    app,
    "recapdata ingest my-photos my-dataset",
    "recapdata ingest hf:me/birds@v1.0.0 my-dataset",
    "recapdata ingest 'wds:tars/*.tar' my-dataset --append",
    "recapdata ingest scenes:1000,seed=1,human=100 drawn",
)
def ingest(
    source: Annotated[
        str,
        typer.Argument(
            metavar="SOURCE",
            help=r"A folder, hf:user/name\[@rev], wds:GLOB, coco:DIR, urls:FILE.parquet, scenes:N\[,seed=S]\[,human=M]\[,objects=K]\[,words=no]\[,sizes=large], "
            r"or code of your own: package.module:function\[:ARG].",
        ),
    ],
    directory: Directory,
    *,
    append: Annotated[bool, typer.Option("--append", help="Add to a dataset that is already there.")] = False,
    options: IngestOptions,
) -> Summary:
    """Bring images and what came with them into a dataset folder.

    Every item becomes a record, a duplicate, a failure (its reason is in
    failures/), or is left out because it was removed on request.
    Failures are counted at the end; the exit code is 0 if anything came in.
    After an interruption the same command goes on.

    A folder: metadata.csv or .jsonl with file_name and any other columns,
    or a .txt beside each image, which becomes the column caption.
    hf: any image dataset; ,config=NAME and ,split=NAME choose a part.
    wds: tars; the members of one base name belong together.
    coco: annotations/*captions*.json and *instances*.json; images anywhere.
    urls: a column of image bytes or of URLs; the others come along.
    """
    from recapdata.ingestion import ingest as run_ingest

    return run_ingest(source, directory, append=append, options=options)


@command(
    app,
    "recapdata remove my-dataset --keys opted-out.txt",
    "recapdata remove my-dataset --captions pilot",
    "recapdata remove my-dataset --captions edited --captions recap-long",
)
def remove(
    directory: Directory,
    keys: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Text file with the keys of the records to take out, one a line."),
    ] = None,
    captions: Annotated[
        list[str] | None,
        typer.Option(metavar="SET", help="A whole caption set to take out; may be given again."),
    ] = None,
) -> Summary:
    """Take records, or whole caption sets, out of a dataset folder.

    Records leave every part of the folder, and no later ingest brings them
    back. A caption set leaves with its journal and its audit; the records
    stay. Stopped at any moment, the same command goes on.
    """
    from recapdata.dataset.removal import remove as run_remove

    return run_remove(directory, keys, captions=captions or ())


@command(
    app,
    "recapdata import-captions my-dataset alt alt_text",
    "recapdata import-captions my-dataset human 'captions[0]'",
    "recapdata import-captions my-dataset gpt gpt_caption --writer import",
    name="import-captions",
)
def import_captions(
    directory: Directory,
    set_name: Annotated[str, typer.Argument(metavar="SET", help="Name of the caption set, such as alt.")],
    column: Annotated[
        str,
        typer.Argument(
            metavar="COLUMN", help="A column that came along; of a column of lists, one place: captions[0]."
        ),
    ],
    writer: Annotated[
        str | None,
        typer.Option(
            metavar="human|web|import",
            help="Who wrote it; by itself guessed from the names: alt… is the web's, human… people's.",
        ),
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace the set where it was made otherwise.")
    ] = False,
) -> Summary:
    """Make a caption set of a column that came along; run it again after an append to complete it."""
    from recapdata.caption_sets.importing import import_captions as run_import

    return run_import(directory, set_name, column, writer=writer, overwrite=overwrite)


@command(
    app,
    "recapdata recaption my-dataset recap-long --style long\n--captioner google/paligemma2-3b-pt-448",
    "recapdata recaption my-dataset recap-long --style long --limit 1000\n--captioner tuned",
    "recapdata recaption my-dataset grounded --captioner tuned\n"
    "--style 'Describe it. Its alt text, which may be wrong: {alt_text}'",
    "recapdata recaption my-dataset fixed --captioner tuned\n"
    '--where \'alt: "refusal" in flags or words < 3 or "watermark" in caption\'',
)
def recaption(
    directory: Directory,
    set_name: Annotated[
        str, typer.Argument(metavar="SET", help="Name of the caption set, such as recap-short.")
    ],
    captioner: Annotated[
        str,
        typer.Option(
            metavar="NAME_OR_MODEL",
            help="embedded; the id or folder of any image-text-to-text model of transformers; coca:MODEL, a CoCa of open_clip "
            "(coca_ViT-L-14:mscoco_finetuned_laion2b_s13b_b90k, hf-hub:user/name, or a folder); the address of an "
            "OpenAI-compatible server, http://HOST/v1#MODEL; or code of your own, package.module:function.",
        ),
    ],
    options: CaptionerOptions,
    run: RunOptions,
) -> Summary:
    """Caption every image with a model, into a caption set of its own.

    Stopped at any moment, the same command goes on from the last finished
    batch. Images that fail keep their error, and the exit code is then 1.

    A prompt may name columns and caption sets in braces. What they hold of
    each picture is put in as quoted data, and the model is told that it is
    no instruction.

    --where chooses by what `audits run` found of each caption: words,
    clip_score and other scores; claims, flags, missed (how many);
    supported, contradicted, unknown, also by kind (contradicted_color);
    caption (the text). It knows and, or, not, in, comparisons, + - * /.
    "SET:" in front says whose audit. Of records that are not chosen the
    captions of that set are taken over (--fill), so that the set is whole.
    """
    from recapdata.recaptioning import recaption as run_recaption

    return run_recaption(directory, set_name, captioner=captioner, options=options, run=run)


@command(
    app,
    "recapdata merge-captions my-dataset recap-v2 fixed recap-long",
    "recapdata merge-captions my-dataset best recap-long recap-short\n--fewest-contradictions",
    name="merge-captions",
)
def merge_captions(
    directory: Directory,
    set_name: Annotated[str, typer.Argument(metavar="OUT", help="Name of the caption set to make.")],
    sets: Annotated[
        list[str],
        typer.Argument(metavar="SET [SET …]", help="Sets to take captions from, the preferred one first."),
    ],
    *,
    fewest_contradictions: Annotated[
        bool,
        typer.Option(
            "--fewest-contradictions",
            help="Of each record the caption of which the audit contradicts the fewest claims; among equals the first.",
        ),
    ] = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace the set where it was made otherwise.")
    ] = False,
) -> Summary:
    """Make one caption set of several: of each record the first caption there is.

    Every row says whose words it holds (origin). The sets need not be whole,
    and may be removed afterwards. Run it again after they have changed.
    """
    from recapdata.recaptioning.merging import merge_captions as run_merge

    return run_merge(
        directory, set_name, sets, fewest_contradictions=fewest_contradictions, overwrite=overwrite
    )


@command(
    app,
    "recapdata publish my-dataset me/my-dataset --version 1.0.0\n--license cc-by-4.0",
    "recapdata publish my-dataset me/my-dataset --version 1.0.0\n--license cc-by-4.0 --public --yes",
)
def publish(
    directory: Directory,
    repo_id: Annotated[str, typer.Argument(metavar="USER/NAME", help="The dataset repository.")],
    options: PublishOptions,
    json: bool,
) -> Summary:
    """Publish a dataset folder as a version: a commit and a tag on the Hub.

    Without --yes it shows the plan, sends nothing and exits with 2.
    """
    from recapdata.publishing import plan_publication
    from recapdata.publishing import publish as run_publish

    plan = plan_publication(
        directory,
        repo_id,
        version=options.version,
        license=options.license,
        public=options.public,
        allow_regression=options.allow_regression,
    )
    if not options.yes:
        finish(plan, as_json=json)
        say("nothing was sent; add --yes to publish")
        raise typer.Exit(2)
    say(plan.text() + "\n")
    return run_publish(plan)


@command(
    app,
    "recapdata diff me/my-dataset@v1.0.0 me/my-dataset@v1.1.0",
    "recapdata diff me/my-dataset@v1.1.0 my-dataset",
)
def diff(
    before: Annotated[str, typer.Argument(metavar="A", help="A folder, or user/name@revision.")],
    after: Annotated[str, typer.Argument(metavar="B", help="What to compare it with.")],
) -> Summary:
    """Show what changed from A to B: rows, columns, captions with examples, audit figures."""
    from recapdata.versions.difference import diff as run_diff

    return run_diff(before, after)


@command(
    app,
    "recapdata hub",
    "recapdata hub --root /data/hub --port 9000",
    "recapdata hub --host 0.0.0.0 --name hub.example.org --user team",
)
def hub(
    root: Annotated[
        Path, typer.Option(metavar="DIR", help="Folder that holds the repositories; made if missing.")
    ] = Path("hub"),
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="Port to listen on; 0 takes any free one.")
    ] = 8750,
    host: Annotated[
        str,
        typer.Option(help="Address to listen on. Loopback: this machine only; another lets the network in."),
    ] = "127.0.0.1",
    name: Annotated[
        list[str] | None,
        typer.Option(
            help="Further name of this machine by which clients reach the Hub; repeat for more. Requests under others are refused."
        ),
    ] = None,
    user: Annotated[
        str, typer.Option(help="Name of the Hub's user, owner of repositories without namespace.")
    ] = "me",
    json: bool = False,
) -> None:
    """Serve a Hugging Face Hub of your own from a folder, until Ctrl-C.

    The stock clients (huggingface_hub, datasets, transformers, diffusers)
    speak to it once the printed lines are exported.
    """
    from functools import partial

    from recapdata.hub.server import print_exports, print_ready, serve

    serve(
        root,
        host=host,
        port=port,
        user=user,
        names=name or (),
        on_ready=print_ready if json else partial(print_exports, host=host, names=name or ()),
    )
    say(f"stopped; everything is kept in {root.resolve()}")


@command(
    app,
    "recapdata demo --out demo",
    "recapdata demo --out demo --scenes 200 --steps 5",
)
def demo(
    out: Annotated[Path, typer.Option(help="Folder for everything the demo makes.")] = Path("demo"),
    scenes: Annotated[int, typer.Option(min=100, help="Pictures to draw.")] = 1000,
    steps: Annotated[int, typer.Option(min=1, help="Training steps of the diffusion model.")] = 20,
) -> Summary:
    """Run the whole way on the drawn world: draw, recaption, audit, publish, load, view, train.

    Needs no account and no network: it starts an embedded Hub.
    """
    from recapdata.demo import run_demo

    return run_demo(out, scenes=scenes, steps=steps)


def main() -> None:
    """Entry point of the console command."""
    run_application(app)
