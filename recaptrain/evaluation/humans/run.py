"""`recaptrain humans`: serve the questions of a study to raters, or give out and take in what they answered."""

import json
import sys
from collections.abc import Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from recapdata.console import say
from recapdata.display import shown_as_text
from recapdata.errors import InputError, OptionError
from recapdata.extras import require
from recaptrain.evaluation.humans.database import DATABASE, Database
from recaptrain.evaluation.humans.ratings import Added, forget_unreadable, read_progress
from recaptrain.evaluation.humans.settings import HumansSettings
from recaptrain.evaluation.humans.study import plan_study

if TYPE_CHECKING:
    from recaptrain.evaluation.humans.results import HumansResults

GOODBYE_SECONDS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
@shown_as_text
class HumansSummary:
    """What was done with a study, and how far it is.

    Attributes:
        ratings: votes that count, of `wanted`.
        imported: of each kind of `add_votes`; None where nothing was imported.
        exported: votes written to `exported_to`; None where none were.
    """

    out: str
    ratings: int
    wanted: int
    imported: "dict[Added, int] | None" = None
    exported: int | None = None
    exported_to: str | None = None

    def text(self) -> str:
        """The closing lines for the terminal."""
        lines = []
        if self.imported is not None:
            new = self.imported["new"]
            lines.append(
                f"{new:,} {'rating' if new == 1 else 'ratings'} imported, {self.imported['known']:,} were there"
            )
            if self.imported["other"]:
                lines.append(
                    f"{self.imported['other']:,} left out: their raters answered these questions here"
                )
        if self.exported is not None:
            lines.append(f"{self.exported:,} ratings in {self.exported_to}")
        lines.append(f"{self.ratings:,} of {self.wanted:,} ratings in {self.out}")
        return "\n".join(lines)


def humans(
    folders: Sequence[str], settings: HumansSettings, *, as_json: bool = False
) -> "HumansSummary | HumansResults | None":
    """Serve until interrupted; with `results`, `export` or `import_`, do that instead.

    Args:
        folders: of `recaptrain generate`, each perhaps with a name, `NAME=FOLDER`.
        as_json: say where it is served as one JSON object on standard output.

    Returns:
        The results, or what was exported or imported; None after serving.

    Raises:
        OptionError: too few folders, the ratings are those of another study, none are there, or the port is taken.
        InputError: folders that cannot be compared, a file that cannot be imported.
        MissingExtra: the extra `evaluate` is not installed.
    """
    require("evalica", "scipy", "starlette", "uvicorn", extra="evaluate")
    study = plan_study(folders, settings)
    out = Path(settings.out)
    if (settings.results or settings.export) and not (out / DATABASE).is_file():
        raise OptionError(f"{out} holds no ratings yet; start without --results and --export to collect some")
    if settings.import_ and not Path(settings.import_).is_file():
        raise InputError(
            f"--import {settings.import_}: there is no such file"
        )  # before a folder is made for its votes
    with closing(Database(out, study, ratings=settings.ratings)) as database:
        if settings.results:
            from recaptrain.evaluation.humans.tally import results_of

            return results_of(database, seed=settings.seed)
        imported = exported = None
        if settings.import_:
            from recaptrain.evaluation.humans.jsonl import import_votes

            imported = import_votes(database, Path(settings.import_))
        elif settings.export:
            from recaptrain.evaluation.humans.jsonl import export_votes

            exported = export_votes(database, Path(settings.export))
        else:
            forget_unreadable(database)
            _serve(database, settings, as_json=as_json)
        progress = read_progress(database)
        summary = HumansSummary(
            out=settings.out,
            ratings=progress.votes,
            wanted=progress.wanted,
            imported=imported,
            exported=exported,
            exported_to=settings.export,
        )
        if imported is None and exported is None:
            say(summary.text())  # standard output has the addresses
            return None
        return summary


def _serve(database: Database, settings: HumansSettings, *, as_json: bool) -> None:
    import uvicorn

    from recapdata.hub.listening import address, listening_socket, own_address
    from recapdata.hub.own_pages import LOOPBACK, WILDCARDS
    from recaptrain.evaluation.humans.app import application, results_key

    with listening_socket(settings.host, settings.port) as listening:
        port = listening.getsockname()[1]
        raters = address(settings.host, port)
        results = f"{raters}/results/{results_key(database)}"
        say(_status(database))
        if as_json:
            sys.stdout.write(json.dumps({"raters": raters, "results": results}) + "\n")
            sys.stdout.flush()
        say(f"raters: {raters}\nresults (not for raters): {results}")
        if settings.host not in LOOPBACK:
            host = own_address() if settings.host in WILDCARDS else settings.host
            say(
                f"on other machines: {address(host, port)}; whoever reaches this may rate under any name, and what they send is not encrypted"
            )
        say("Ctrl-C stops; every rating is kept, and the same command goes on")
        config = uvicorn.Config(
            application(database, host=settings.host, seed=settings.seed),  # type: ignore[arg-type]
            http="h11",
            log_level="error",
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=GOODBYE_SECONDS,
        )
        # uvicorn finishes what is under way and then raises the interrupt again.
        with suppress(KeyboardInterrupt):
            uvicorn.Server(config).run(sockets=[listening])


def _status(database: Database) -> str:
    """What is asked, and how far it is."""
    study, votes = database.study, read_progress(database).votes
    each = "1 rating" if database.ratings == 1 else f"{database.ratings} ratings"
    parts = [f"{len(study.questions):,} questions on {len(study.prompts):,} prompts, {each} each"]
    if votes:
        parts.append(f"{votes:,} ratings are there")
    if study.left_out:
        parts.append(f"{study.left_out:,} prompts are not in all folders and are left out")
    return "; ".join(parts)
