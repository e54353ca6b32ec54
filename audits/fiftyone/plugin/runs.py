"""What the App sent to the background: how far the recaptionings and audits of a dataset are, in a line each."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from fiftyone.operators.delegated import DelegatedOperationService
from fiftyone.operators.executor import ExecutionRunState

from audits.fiftyone.plugin import PLUGIN

RECAPTION = f"{PLUGIN}/recaption_selection"
AUDIT = f"{PLUGIN}/audit_set"
DOES = {RECAPTION: "recaption", AUDIT: "audit"}
TICK = 3000
"""Milliseconds between two checks of how far they are."""
LATEST = 3
"""Runs that are shown."""


@dataclass(frozen=True, slots=True)
class Run:
    """A recaptioning or an audit.

    Attributes:
        under_way: it waits or is done at this moment.
    """

    words: str
    under_way: bool


def latest_runs(dataset: Any) -> list[Run]:
    """The latest runs of a dataset that were not cleared, the newest first; of each set only the last of a kind."""
    newest: dict[tuple[str, str], Any] = {}
    for each in _operations(dataset):
        newest.setdefault((each.operator, _set_name(each)), each)
    return [_run(each) for each in list(newest.values())[:LATEST]]


def clear_runs(dataset: Any) -> None:
    """Put away the runs that have ended, so that they are not shown any more."""
    service = DelegatedOperationService()
    for each in _operations(dataset):
        if each.run_state in ExecutionRunState.TERMINAL_STATES:
            service.archive_operation(each.id)


def latest_captioner(dataset: Any) -> str | None:
    """The captioner that the last recaptioning named; None where there was none."""
    named = (_params(each).get("captioner") for each in _operations(dataset) if each.operator == RECAPTION)
    return next((str(each) for each in named if each), None)


def _operations(dataset: Any) -> list[Any]:
    """The runs of a dataset, the newest first."""
    found = DelegatedOperationService().list_operations(dataset_name=dataset.name)
    return sorted(
        (each for each in found if each.operator in DOES), key=lambda each: each.queued_at, reverse=True
    )


def _params(operation: Any) -> dict[str, Any]:
    return operation.context.request_params.get("params", {}) or {}


def _set_name(operation: Any) -> str:
    return str(_params(operation).get("set", "?")).strip()


def _run(operation: Any) -> Run:
    name = f"{DOES[operation.operator]} {_set_name(operation)}"
    state, status = operation.run_state, operation.status
    if state == ExecutionRunState.COMPLETED:
        return Run(f"{name}: done", under_way=False)
    if state == ExecutionRunState.FAILED:
        error = getattr(operation.result, "error", None) or "it stopped"
        return Run(f"{name} failed: {_last_words(error)}", under_way=False)
    if status is None or status.progress is None:
        return Run(f"{name}: waiting", under_way=True)
    return Run(f"{name}: {100 * status.progress:.0f} %, {status.label}", under_way=True)


def _last_words(error: str) -> str:
    """What an error says, without the traceback before it."""
    lines: Iterator[str] = (line.strip() for line in reversed(error.splitlines()))
    last = next((line for line in lines if line), error)
    kind, _, words = last.partition(": ")
    return words if words and " " not in kind else last  # the name of the exception before it
