"""What the App sent to the background: how far the recaptionings of a dataset are, in a line each."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from fiftyone.operators.delegated import DelegatedOperationService
from fiftyone.operators.executor import ExecutionRunState

from audits.fiftyone.plugin import PLUGIN

RECAPTION = f"{PLUGIN}/recaption_selection"
LATEST = 3
"""Runs that are shown."""


@dataclass(frozen=True, slots=True)
class Run:
    """One recaptioning.

    Attributes:
        under_way: it waits or is done at this moment.
    """

    words: str
    under_way: bool


def latest_runs(dataset: Any) -> list[Run]:
    """The latest recaptionings of a dataset, the newest first."""
    found = DelegatedOperationService().list_operations(operator=RECAPTION, dataset_name=dataset.name)
    newest = sorted(found, key=lambda each: each.queued_at, reverse=True)[:LATEST]
    return [_run(each) for each in newest]


def _run(operation: Any) -> Run:
    name = operation.context.request_params.get("params", {}).get("set", "recaptioning")
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
    return next((line.partition(": ")[2] or line for line in lines if line), error)
