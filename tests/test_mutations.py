"""Folders and versions that were mutated to do harm: no crash, no traceback, no hang, and nothing touched that is not theirs.

The quick suite tries a few, `-m slow` 250, with RECAPDATA_TEST_STORM=all 2,000, drawn from seeds: a mutation is found again by its number.
"""

import os
from collections.abc import Iterable, Iterator

import pytest

from tests.calls import AVAILABLE
from tests.forked import Forks
from tests.hostile import World
from tests.storm import ALL


def problems(world: World, seeds: Iterable[int], *, train: bool = False) -> list[str]:
    """What was wrong, one text for each mutation that met something wrong."""
    found = []
    for seed in seeds:
        trial = world.trial(seed, train=train)
        if trial.problem is not None:
            found.append(f"{seed}: {trial.mutation}; {trial.command}: {trial.problem}")
    return found


@pytest.fixture(scope="module")
def forks(hub) -> Iterator[Forks]:
    with Forks(("recapdata", "audits")) as process:
        yield process


@pytest.fixture(scope="module")
def folder(forks: Forks, tmp_path_factory: pytest.TempPathFactory) -> World:
    return World(tmp_path_factory.mktemp("folder"), forks)


@pytest.fixture(scope="module")
def version(forks: Forks, tmp_path_factory: pytest.TempPathFactory) -> World:
    return World(tmp_path_factory.mktemp("version"), forks, published=True)


def test_the_canary_notices(folder: World) -> None:
    folder.canary.events()
    (folder.canary.path / "key").read_bytes()
    (folder.canary.path / "alt" / "new").touch()
    assert {each.name for each in folder.canary.events() if not each.is_listing} == {"key", "new"}
    (folder.canary.path / "alt" / "new").unlink()


@pytest.mark.skipif(not AVAILABLE, reason="follows system calls of Linux on x86-64")
def test_a_listing_is_laid_to_the_command_whose_it_is(folder: World) -> None:
    """Through a link, too, as a mutated folder has them; but not what another process lists meanwhile."""
    link = folder.path / "link"
    link.symlink_to(folder.canary.path / "alt")
    look = ["python", "tests.hostile:look"]
    for path in (link, folder.canary.path, folder.path / "base" / ".." / "precious"):
        assert folder.opens_canary([*look, path])
    link.unlink()
    folder.canary.events()
    assert os.listdir(folder.canary.path / "alt")
    assert [each.is_listing for each in folder.canary.events()]
    assert not folder.opens_canary([*look, folder.path / "base"])


def test_some_folders(folder: World) -> None:
    assert problems(folder, range(24)) == []


def test_some_versions(version: World) -> None:
    assert problems(version, range(8)) == []


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("part", range(7))
def test_folders(folder: World, part: int) -> None:
    first = 1000 + 200 * part
    assert problems(folder, range(first, first + (200 if ALL else 25))) == []


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("part", range(3))
def test_versions(version: World, part: int) -> None:
    first = 3000 + 190 * part
    assert problems(version, range(first, first + (190 if ALL else 25))) == []


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_training(hub, tmp_path_factory: pytest.TempPathFactory) -> None:
    with Forks(("recapdata", "audits", "recaptrain")) as forks:
        world = World(tmp_path_factory.mktemp("train"), forks)
        assert problems(world, range(5000, 5030 if ALL else 5006), train=True) == []
