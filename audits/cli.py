"""The `audits` command line: options in, one call, a summary out. Heavy modules are imported inside the commands."""

from pathlib import Path
from typing import Annotated

import typer

from audits.options import AuditOptions, ReportOptions, ViewOptions, WrongOptions
from recapdata.console import Summary, application, command, finish
from recapdata.console import run as run_application
from recapdata.options import values

app = application("Audit how good the captions of a dataset are.")


@command(
    app,
    "audits claims captions.jsonl claims.jsonl",
    "audits claims captions.jsonl claims.jsonl --pipeline en_core_web_sm\n--processes 4",
)
def claims(
    source: Annotated[Path, typer.Argument(metavar="IN.jsonl", help='One {"id", "caption"} per line.')],
    target: Annotated[Path, typer.Argument(metavar="OUT.jsonl", help='One {"id", "claims"} per line.')],
    pipeline: Annotated[
        str | None, typer.Option(help="A spaCy pipeline by name or path; the project's own if not given.")
    ] = None,
    processes: Annotated[int, typer.Option(min=1, help="Processes that read captions.")] = 1,
) -> Summary:
    """Extract the checkable claims of captions."""
    from audits.extraction import annotate_jsonl

    return annotate_jsonl(source, target, pipeline=pipeline, processes=processes)


@command(
    app,
    "audits run my-dataset --evidence annotations,colors,ocr",
    "audits run my-dataset --captions recap-long\n--clip ViT-B-32:laion2b_s34b_b79k",
    "audits run my-dataset --workers 8\n--evidence annotations,detector:facebook/detr-resnet-50,colors,ocr",
    "audits run me/my-dataset@v1.0.0 --out audit\n--clip embedded --prompts users.txt",
)
def run(
    target: Annotated[str, typer.Argument(metavar="TARGET", help="A dataset folder, or user/name@revision.")],
    options: AuditOptions,
) -> Summary:
    """Audit caption sets: claims, coverage, hygiene, CLIP scores, and whether the claims are true.

    A finished shard is computed again only where its captions, or what it was
    computed with, have changed.
    """
    from audits.runner.run import run as audit

    return audit(target, **values(options))


@command(
    app,
    "audits compare my-dataset recap-short recap-long",
    "audits compare me/my-dataset@v1.0.0 me/my-dataset@v1.1.0 --set recap-short",
    "audits compare me/my-dataset@v1.0.0 my-dataset --audit old-audit\n--audit my-dataset/audits",
)
def compare(
    what: Annotated[
        list[str],
        typer.Argument(
            metavar="TARGET SET_A SET_B | A B",
            help="Two caption sets of a dataset, or two versions or folders.",
        ),
    ],
    only: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="SET",
            help="Of two versions compare only this caption set; may be given again. All that both have if not given.",
        ),
    ] = None,
    audit: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="DIR",
            help="Where `audits run --out` put the audit; given twice, that of A and of B. The target's own if not given.",
        ),
    ] = None,
    rows: Annotated[
        int,
        typer.Option(min=0, help="Rows that changed most: so many for the worse, so many for the better."),
    ] = 20,
) -> Summary:
    """Compare two audited caption sets, or two versions, record by record.

    Gives every figure of the audit with its paired difference and a 95 %
    interval, and the rows that changed most.
    """
    from audits.comparison.command import compare_arguments

    return compare_arguments(what, sets=only or (), audits=audit or (), rows=rows)


@command(
    app,
    "audits report my-dataset report.html",
    "audits report me/my-dataset@v1.0.0 report.html --audit audit --worst 20",
)
def report(
    target: Annotated[str, typer.Argument(metavar="TARGET", help="A dataset folder, or user/name@revision.")],
    out: Annotated[Path, typer.Argument(metavar="OUT.html", help="The page to write.")],
    options: ReportOptions,
) -> Summary:
    """Write an audit as one HTML page: figures, plots, and pictures with their captions marked by verdict.

    The page is one file of at most about 15 MB that needs nothing beside it:
    to open, mail or print.
    """
    from audits.reporting import write_report

    return write_report(
        target, out, audits=options.audit, worst=options.worst, random=options.random, seed=options.seed
    )


@command(
    app,
    "audits wrong my-dataset wrong.csv",
    "audits wrong me/my-dataset@v1.0.0 wrong.csv --captions recap-long\n--audit audit",
)
def wrong(
    target: Annotated[str, typer.Argument(metavar="TARGET", help="A dataset folder, or user/name@revision.")],
    out: Annotated[Path, typer.Argument(metavar="OUT.csv", help="The table to write.")],
    options: WrongOptions,
) -> Summary:
    """Write the captions with a contradicted claim as a CSV table, with the file's name and what is wrong.

    Columns: key, source, set, caption, contradicted, wrong, left_out, flags. A
    cell that a spreadsheet would take for a formula has an apostrophe before
    it.
    """
    from audits.contradicted import write_wrong

    return write_wrong(target, out, sets=options.captions, audits=options.audit)


@command(
    app,
    "audits view my-dataset",
    "audits view me/my-dataset@v1.0.0 --port 5152",
    "audits view my-dataset --no-app --name birds",
)
def view(
    target: Annotated[str, typer.Argument(metavar="TARGET", help="A dataset folder, or user/name@revision.")],
    options: ViewOptions,
    json: bool,
) -> None:
    """Look at a dataset in FiftyOne: pictures, captions, annotations, claims and scores.

    The FiftyOne dataset is kept, and brought up to date when this is run again.
    """
    from audits.fiftyone.app import check_port, open_app
    from audits.fiftyone.dataset import build

    if not options.no_app:
        check_port(options.port)
    summary = build(target, name=options.name, audits=options.audit, media=options.media, clip=options.clip)
    finish(summary, as_json=json)
    if not options.no_app:
        open_app(summary.name, port=options.port, media=summary.media, exports=options.exports)


def main() -> None:
    """Entry point of the console command."""
    run_application(app)
