"""What the three command lines share: errors of one line, `--json`, progress bars, exit codes.

Exit codes: 0 all was done; 1 something was not (an error, or rows that failed); 2 a usage error or a plan that waits for
`--yes`; 130 interrupted.
"""

import dataclasses
import errno
import functools
import importlib.metadata
import inspect
import json
import os
import re
import shutil
import sqlite3
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Annotated, Any, Protocol

import typer

from recapdata.display import Screen, finite, one_line, printable, printable_json
from recapdata.errors import RecapdataError
from recapdata.extras import naming_extras
from recapdata.options import is_options, typer_parameters

FULL_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
INTERRUPTED = 130
"""Exit code after Ctrl-C, as typer ends with."""

PROGRESS = "RECAPDATA_PROGRESS"
"""Environment variable: with `lines` in it, progress is said in lines where there is no terminal for a bar."""
SECONDS_A_LINE = 2.0

Json = Annotated[
    bool, typer.Option("--json", help="Print one machine-readable summary object on standard output.")
]
Debug = Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")]


def _say_version(context: typer.Context, wanted: bool) -> None:
    if wanted:
        sys.stdout.write(f"{context.info_name} {importlib.metadata.version('recapdata')}\n")
        raise typer.Exit()


def application(help_text: str) -> typer.Typer:
    """A typer application in the house style, of several commands, with `--version`.

    Options may be written as diffusers' and transformers' scripts write them, `--lr_scheduler` for `--lr-scheduler`.
    """
    app = typer.Typer(
        help=help_text,
        no_args_is_help=True,
        add_completion=False,
        rich_markup_mode="rich",
        pretty_exceptions_enable=False,
        context_settings={
            "help_option_names": ["-h", "--help"],
            "token_normalize_func": lambda name: name.replace("_", "-"),
        },
    )

    @app.callback()
    def root(
        version: Annotated[
            bool,
            typer.Option("--version", callback=_say_version, is_eager=True, help="Say the version and end."),
        ] = False,
    ) -> None:
        del version

    return app


class Summary(Protocol):
    """The outcome of a command: a dataclass, or with `to_dict`; not all was done where its `complete` is false."""

    def text(self) -> str:
        """The summary for a terminal."""


def command(
    app: typer.Typer, *examples: str, name: str | None = None
) -> Callable[[Callable[..., Summary | None]], Callable[..., Summary | None]]:
    """Make a function a command: it takes arguments and options dataclasses, and returns the summary to print.

    Each options dataclass becomes one option for each of its fields; `--json` and `--debug` come last. A function that has a
    parameter `json` itself is told of `--json`.

    Args:
        examples: whole command lines that a reader can copy, the most useful first; one that is too long for 80 columns has
            line breaks where the shell may have them.
        name: of the command; the function's where omitted.
    """

    def decorate(body: Callable[..., Summary | None]) -> Callable[..., Summary | None]:
        own = inspect.signature(body).parameters
        grouped = {
            each.name: list(typer_parameters(each.annotation))
            for each in own.values()
            if is_options(each.annotation)
        }

        @functools.wraps(body)
        def call(*, json: bool, debug: bool, **given: Any) -> None:
            del debug  # `run` looks for it among the words
            for group, parameters in grouped.items():
                given[group] = own[group].annotation(
                    **{each.name: given.pop(each.name) for each in parameters}
                )
            summary = body(**given, json=json) if "json" in own else body(**given)
            if summary is not None:
                finish(summary, as_json=json)

        flat = [
            each.replace(kind=each.KEYWORD_ONLY)
            for parameter in own.values()
            if parameter.name != "json"
            for each in grouped.get(parameter.name, [parameter])
        ]
        for flag, annotation in (("json", Json), ("debug", Debug)):
            flat.append(
                inspect.Parameter(flag, inspect.Parameter.KEYWORD_ONLY, default=False, annotation=annotation)
            )
        call.__signature__ = inspect.Signature(flat)  # type: ignore[attr-defined]
        call.__annotations__ = {}  # typer resolves them too, though they stand in the signature
        app.command(name, epilog=_epilog(examples))(call)
        return body

    return decorate


def _epilog(commands: tuple[str, ...]) -> str:
    lines = [command.replace("\n", " \\\n      ") for command in commands]
    text = "\n".join(["", "Examples:", *(f"  {line}" for line in lines)])  # the empty line keeps the indent
    return re.sub(r"\[(?=[a-z#/@])", r"\[", text)  # else rich takes it for markup


def run(app: typer.Typer) -> None:
    """Run the application; a user's mistake becomes one line on standard error and exit code 1."""
    if not sys.stderr.isatty():
        os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")  # read once, when the clients are imported
        os.environ.setdefault("HF_DATASETS_DISABLE_PROGRESS_BARS", "1")
    if not isinstance(sys.stderr, Screen):
        # Not undone at the end, where Python itself shows the traceback of a mistake of this program.
        sys.stdout, sys.stderr = Screen(sys.stdout), Screen(sys.stderr)  # type: ignore[assignment]
    try:
        with naming_extras():
            app()
    except RecapdataError as error:
        if "--debug" in sys.argv:
            raise
        say(f"error: {error}")
        sys.exit(1)
    except (OSError, sqlite3.OperationalError) as error:
        if isinstance(error, OSError) and error.errno == errno.ENAMETOOLONG and "--debug" not in sys.argv:
            say(f"error: {str(error.filename)[:60]}…: no file has so long a name")
            sys.exit(1)
        if "--debug" in sys.argv or not is_full_disk(error):
            raise
        where = f" for {error.filename}" if isinstance(error, OSError) and error.filename else ""
        say(f"error: no space left on the disk{where}; free some, and type the same command again")
        sys.exit(1)
    except SystemExit as end:
        if end.code == INTERRUPTED:
            say("interrupted; nothing finished is lost, the same command goes on from here")
        raise


def is_full_disk(error: BaseException) -> bool:
    """Whether an error is that of a disk, or a quota, without room; some libraries say so in words only."""
    if isinstance(error, OSError) and error.errno is not None:
        return error.errno in FULL_DISK
    words = str(error).lower()
    return any(os.strerror(number).lower() in words for number in FULL_DISK) or "disk is full" in words


def say(line: str) -> None:
    """One line for the person, on standard error, so that standard output stays for results."""
    sys.stderr.write(printable(line.rstrip("\n")) + "\n")
    sys.stderr.flush()


def finish(summary: Any, text: str | None = None, *, as_json: bool) -> None:
    """Print the outcome (JSON object or text) and exit with 1 unless all was done.

    Args:
        summary: a `Summary`, or with `text` a dataclass or a dict of plain values.
    """
    if as_json:
        values = summary
        if hasattr(summary, "to_dict"):
            values = summary.to_dict()
        elif dataclasses.is_dataclass(summary) and not isinstance(summary, type):
            values = dataclasses.asdict(summary)
        sys.stdout.write(printable_json(json.dumps(finite(values), ensure_ascii=False, default=str)) + "\n")
    else:
        sys.stdout.write(printable(summary.text() if text is None else text).rstrip("\n") + "\n")
    if not getattr(summary, "complete", True):
        raise typer.Exit(1)


def _lines(what: str, total: int | None, unit: str) -> Callable[..., None]:
    """An `advance` that says how far it is, the last of all included; `how_far` reads such a line."""
    done = failures = 0
    said = 0.0

    def advance(n: int = 1, failed: int = 0) -> None:
        nonlocal done, failures, said
        done, failures = done + n, failures + failed
        if done == total or time.monotonic() - said >= SECONDS_A_LINE:
            said = time.monotonic()
            lost = f", {failures} failed" if failures else ""
            say(f"{what}: {done}/{total if total is not None else '?'} {unit}{lost}")

    return advance


def how_far(line: str) -> float | None:
    """The share that is done, by a line of `RECAPDATA_PROGRESS=lines`; None of any other line."""
    found = re.fullmatch(r".+: (\d+)/([1-9]\d*) \S+(, \d+ failed)?", line)
    return int(found[1]) / int(found[2]) if found else None


@contextmanager
def progress(what: str, total: int | None = None, *, unit: str = "images") -> Iterator[Callable[..., None]]:
    """A progress bar on standard error or in a notebook's cell; yields `advance(n, failed=0)`.

    Shows done and total, rate in `unit`/s, time so far and expected, and failures once there are any. Where there is neither a
    terminal nor a notebook it is silent; with `RECAPDATA_PROGRESS=lines` a line every few seconds says how far it is, for a log
    or another program.
    """
    what, notebook = one_line(what), in_notebook()
    if not (notebook or sys.stderr.isatty()):
        yield _lines(what, total, unit) if os.environ.get(PROGRESS) == "lines" else lambda n=1, failed=0: None
        return
    from tqdm.auto import tqdm

    failures = 0
    columns, lines = (
        shutil.get_terminal_size()
    )  # 80 and 24 of a terminal that has none, where tqdm would show nothing
    size = {} if notebook else {"ncols": columns, "nrows": lines}
    with tqdm(desc=what, total=total, unit=f" {unit}", mininterval=0.25, **size) as bar:

        def advance(n: int = 1, failed: int = 0) -> None:
            nonlocal failures
            failures += failed
            if failed:
                bar.set_postfix_str(f"{failures:,} failed", refresh=False)
            bar.update(n)

        yield advance


def in_notebook() -> bool:
    """Whether this is the kernel of a notebook, where bars show though standard error is no terminal."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    return shell is not None and "IPKernelApp" in shell.config
