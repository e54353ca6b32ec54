"""What an App that was stopped leaves in the queue: nothing that is still running, and nothing of another App's."""

import fcntl
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from audits.fiftyone.app import install
from audits.fiftyone.dataset import build
from audits.fiftyone.locks import lock_file
from audits.fiftyone.worker import let_go_of_queue
from tests.audits.fiftyone.test_operators import execute
from tests.builders import build_dataset


@pytest.fixture
def dataset(fo: ModuleType, tmp_path: Path) -> Any:
    """A dataset with a recaptioning that runs and one that waits."""
    from fiftyone.operators.delegated import DelegatedOperationService

    install()
    found = fo.load_dataset(build(build_dataset(tmp_path / "pets", sets={"alt": ["a dog"] * 6}).path).name)
    service = DelegatedOperationService()
    for name in ("one", "two"):
        params = {"set": name, "captioner": "embedded", "style": "short"}
        execute("recaption_selection", found, request_delegation=True, params=params)
    first = min(service.list_operations(dataset_name=found.name), key=lambda each: each.queued_at)
    service.set_running(first.id)
    return found


def said(dataset: Any) -> list[str]:
    from audits.fiftyone.plugin.runs import latest_runs

    return [run.words for run in latest_runs(dataset)]


def test_what_ran_when_the_app_was_stopped_has_failed_and_goes_when_cleared(dataset: Any) -> None:
    from audits.fiftyone.plugin.runs import clear_runs

    assert said(dataset) == ["recaption two: waiting", "recaption one: waiting"]
    let_go_of_queue(dataset.name)
    two, one = said(dataset)
    assert two == "recaption two: waiting"
    assert one.startswith("recaption one failed: stopped with the App; the same, asked for again, goes on")
    clear_runs(dataset)
    assert said(dataset) == [two]


def test_what_another_app_runs_is_left_alone(dataset: Any) -> None:
    before = said(dataset)
    with open(lock_file(f"queue of {dataset.name}"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        let_go_of_queue(dataset.name)
    assert said(dataset) == before


def test_of_a_set_only_the_latest_run_is_shown(dataset: Any) -> None:
    let_go_of_queue(dataset.name)
    params = {"set": "one", "captioner": "embedded", "style": "short"}
    execute("recaption_selection", dataset, request_delegation=True, params=params)
    assert said(dataset) == ["recaption one: waiting", "recaption two: waiting"]
