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
from recapdata.errors import OptionError
from recapdata.extras import require
from recaptrain.evaluation.humans.ratings import DATABASE, Ratings
from recaptrain.evaluation.humans.settings import HumansSettings
from recaptrain.evaluation.humans.study import Study, plan_study

if TYPE_CHECKING:
    from recaptrain.evaluation.humans.results import HumansResults

GOODBYE_SECONDS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
@shown_as_text
class HumansSummary:
    """What was done with a study, and how far it is.

    Attributes:
        ratings: votes that count, of `wanted`.
        imported: votes that were new, and `known` those that were there; None where nothing was imported, as `exported`.
    """

    out: str
    ratings: int
    wanted: int
    imported: int | None = None
    known: int | None = None
    exported: int | None = None
    exported_to: str | None = None

    def text(self) -> str:
        """The closing lines for the terminal."""
        lines = []
        if self.imported is not None:
            lines.append(f"{self.imported:,} ratings imported, {self.known:,} were there")
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
        The results, or what was exported and imported; None after serving.

    Raises:
        OptionError: too few folders, the ratings are those of another study, or the port is taken.
        InputError: folders that cannot be compared, a file that cannot be imported, no ratings to sum up.
        MissingExtra: the extra `evaluate` is not installed.
    """
    require("evalica", "scipy", "starlette", "uvicorn", extra="evaluate")
    study = plan_study(folders, settings)
    out = Path(settings.out)
    if (settings.results or settings.export) and not settings.import_ and not (out / DATABASE).is_file():
        raise OptionError(f"{out} holds no ratings yet; start without --results and --export to collect some")
    ratings = Ratings(out, study, ratings=settings.ratings, repeats=settings.repeats)
    with closing(ratings):
        if settings.import_ or settings.export or settings.results:
            return _without_serving(study, ratings, settings)
        ratings.readable_again()
        _serve(study, ratings, settings, as_json=as_json)
        say(_summary(study, ratings).text())
        return None


def _without_serving(
    study: Study, ratings: Ratings, settings: HumansSettings
) -> "HumansSummary | HumansResults":
    from recaptrain.evaluation.humans.jsonl import export_votes, import_votes
    from recaptrain.evaluation.humans.results import results_of

    imported = known = exported = None
    if settings.import_:
        imported, known = import_votes(study, ratings, Path(settings.import_))
    if settings.export:
        exported = export_votes(study, ratings, Path(settings.export))
    if settings.results:
        return results_of(study, ratings, seed=settings.seed)
    return _summary(
        study, ratings, imported=imported, known=known, exported=exported, exported_to=settings.export
    )


def _summary(study: Study, ratings: Ratings, **done: "int | str | None") -> HumansSummary:
    asked = len(study.questions) - len(ratings.unreadable())
    return HumansSummary(
        out=str(ratings.path.parent),
        ratings=len(ratings.votes()),
        wanted=asked * ratings.each,
        **done,  # type: ignore[arg-type]
    )


def _serve(study: Study, ratings: Ratings, settings: HumansSettings, *, as_json: bool) -> None:
    import uvicorn

    from recapdata.hub.listening import address, listening_socket, own_address
    from recapdata.hub.own_pages import LOOPBACK, WILDCARDS
    from recaptrain.evaluation.humans.app import RatingApplication, guarded, results_key

    with listening_socket(settings.host, settings.port) as listening:
        port = listening.getsockname()[1]
        where = address(settings.host, port)
        results = f"{where}/results/{results_key(ratings.secret())}"
        app = guarded(RatingApplication(study, ratings, seed=settings.seed).application(), settings.host)
        config = uvicorn.Config(
            app,  # type: ignore[arg-type]
            http="h11",
            log_level="error",
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=GOODBYE_SECONDS,
        )
        done = len(ratings.votes())
        say(
            f"{len(study.questions):,} questions on {len(study.prompts):,} prompts, {ratings.each} ratings each"
            + (f"; {done:,} ratings are there" if done else "")
            + (
                f"; {study.left_out:,} prompts are not in all folders and are left out"
                if study.left_out
                else ""
            )
        )
        if as_json:
            sys.stdout.write(json.dumps({"raters": where, "results": results}) + "\n")
            sys.stdout.flush()
        say(f"raters: {where}\nresults (not for raters): {results}")
        if settings.host not in LOOPBACK:
            other = own_address() if settings.host in WILDCARDS else settings.host
            say(
                f"on other machines: http://{other}:{port} — whoever reaches this may rate under any name, and what they send is not encrypted"
            )
        say("Ctrl-C stops; every rating is kept, and the same command goes on")
        # uvicorn finishes what is under way and then raises the interrupt again.
        with suppress(KeyboardInterrupt):
            uvicorn.Server(config).run(sockets=[listening])
