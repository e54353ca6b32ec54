"""Killed at any system call, every writing command leaves a folder on which every other command works, and it itself.

The quick suite draws some of the states; `-m slow` takes up to `STATES` of them, evenly, with one command after each; with
RECAPDATA_TEST_STORM=all it is every command after every state, those included that differ only in what nobody reads.
"""

import random
from collections.abc import Iterator

import pytest

from tests.calls import AVAILABLE
from tests.forked import Forks
from tests.recapdata.ingestion.sources import leftovers
from tests.storm import AFTER, ALL, WRITING, Scene, evenly, sampled

pytestmark = pytest.mark.skipif(not AVAILABLE, reason="follows system calls of Linux on x86-64")
STATES = 10
"""How many states of a command the slow tests take, evenly."""
PACKETS = 20
"""How many moments of a publication the slow tests take, evenly."""


@pytest.fixture(scope="module")
def scene(hub, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    with Forks(("recapdata", "audits")) as forks:
        yield Scene(tmp_path_factory.mktemp("scene"), forks)


@pytest.mark.parametrize("name", WRITING)
def test_some_kills(scene: Scene, name: str) -> None:
    for state, then in sampled(scene, name, 3):
        scene.trial(name, state, then)


@pytest.mark.parametrize("name", WRITING)
def test_a_real_kill(scene: Scene, name: str) -> None:
    scene.killed(name, random.Random(f"killed {name}").choice(AFTER))


def test_orphan_ledgers_go_before_records_are_taken_out(scene: Scene) -> None:
    """Killed between a ledger's rename and its image shard's, then `remove`: the folder once refused both for ever."""
    found = 0
    for state in scene.states("append"):
        if len(list((state / "duplicates").glob("train-*"))) > len(list((state / "images").glob("train-*"))):
            found += 1
            scene.trial("append", state, "remove")
    assert found


@pytest.mark.parametrize("name", WRITING)
@pytest.mark.slow
@pytest.mark.timeout(7200 if ALL else 600)
def test_every_kill(scene: Scene, name: str) -> None:
    wrong = []
    for number, state in enumerate(evenly(scene.states(name, whole=ALL), STATES)):
        for then in AFTER if ALL else [AFTER[(5 * WRITING.index(name) + number) % len(AFTER)]]:
            try:
                scene.trial(name, state, then)
            except Exception as error:  # noqa: BLE001 - every kind of it is looked for
                wrong.append(f"{name} killed before change {state.name}, then {then}: {error}")
    assert wrong == []


@pytest.mark.parametrize("name", WRITING)
@pytest.mark.slow
@pytest.mark.timeout(7200 if ALL else 600)
def test_given_again_it_ends_with_the_same_files(scene: Scene, name: str) -> None:
    whole = scene.undisturbed(name)
    for state in evenly(scene.states(name), STATES):
        scene.start(name, state)
        outcome = scene.run(name)
        assert outcome.code == 0, f"killed before change {state.name}: {outcome.errors}"
        again = scene.contents()
        assert [each for each in whole.keys() | again.keys() if whole.get(each) != again.get(each)] == [], (
            state
        )
        assert leftovers(scene.directory) == []


def test_some_killed_publications(scene: Scene, repo_id: str) -> None:
    dice = random.Random(1)
    changes = scene.publication(f"{repo_id}-0").changes
    assert changes > 20
    for at in dice.sample(range(2, changes), 3):
        scene.publication_trial(f"{repo_id}-{at}", at, dice.choice(AFTER))


@pytest.mark.slow
@pytest.mark.timeout(7200 if ALL else 900)
def test_every_killed_publication(scene: Scene, repo_id: str) -> None:
    wrong = []
    for at in evenly(range(1, scene.publication(f"{repo_id}-0").changes + 1), PACKETS):
        then = AFTER[at % len(AFTER)]
        try:
            scene.publication_trial(f"{repo_id}-{at}", at, then)
        except Exception as error:  # noqa: BLE001 - every kind of it is looked for
            wrong.append(f"killed before change {at}, then {then}: {error}")
    assert wrong == []
