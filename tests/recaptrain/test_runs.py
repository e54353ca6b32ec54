"""Trainers' commands killed in any state end as if nothing had been, and mutated folders do no harm.

The quick suite tries a few states and mutations of those that run no model, `-m slow` more and the others, RECAPDATA_TEST_STORM=all all states
and 200 mutations of each.
"""

import random
from collections.abc import Iterable, Iterator

import pytest

from tests.calls import AVAILABLE
from tests.chat_servers import StumblingServer, serving
from tests.forked import Forks
from tests.recaptrain.runs import COMMANDS, LIGHT, Runs, answer
from tests.storm import ALL

pytestmark = pytest.mark.skipif(not AVAILABLE, reason="follows system calls of Linux on x86-64")
HEAVY = tuple(name for name in COMMANDS if name not in LIGHT)


@pytest.fixture(scope="module")
def light(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runs]:
    with serving(StumblingServer(about=str, answer=answer)) as server, Forks(("asking",)) as forks:
        yield Runs(tmp_path_factory.mktemp("light"), forks, server)


@pytest.fixture(scope="module")
def heavy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runs]:
    with Forks(("recaptrain",)) as forks:
        yield Runs(tmp_path_factory.mktemp("heavy"), forks)


def wrong(runs: Runs, name: str, states: int, seeds: Iterable[int]) -> list[str]:
    """What was wrong after kills, in some of the states that they leave, and with mutations."""
    found = []
    every = runs.made(name)[1]
    for state in every if ALL else random.Random(name).sample(every, min(states, len(every))):
        try:
            runs.killed(name, state)
        except Exception as error:  # noqa: BLE001 - every kind of it is looked for
            found.append(f"{name} killed before change {state.name}: {error}")
    for seed in seeds:
        trial = runs.strange(name, seed)
        if trial.problem is not None:
            found.append(f"{seed}: {trial.mutation}; {trial.command}: {trial.problem}")
    return found


@pytest.mark.parametrize("name", LIGHT)
def test_some(light: Runs, name: str) -> None:
    assert wrong(light, name, 2, range(3)) == []


@pytest.mark.parametrize("name", LIGHT)
def test_links_in_what_was_made_lead_nowhere(light: Runs, name: str) -> None:
    """Whoever gives away a folder may have put them there."""
    assert light.linked(name) == []


@pytest.mark.slow
@pytest.mark.timeout(7200 if ALL else 600)
@pytest.mark.parametrize("name", LIGHT)
def test_more(light: Runs, name: str) -> None:
    assert wrong(light, name, 4, range(100, 300 if ALL else 105)) == []


@pytest.mark.slow
@pytest.mark.timeout(7200 if ALL else 600)
@pytest.mark.parametrize("name", HEAVY)
def test_with_models(heavy: Runs, name: str) -> None:
    assert wrong(heavy, name, 2, range(200 if ALL else 2)) == []
