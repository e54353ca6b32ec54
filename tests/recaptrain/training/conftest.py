"""One process that has the libraries loaded serves all tests of trainings that are killed or run on several processes."""

from collections.abc import Iterator

import pytest

from tests.forked import Forks


@pytest.fixture(scope="package")
def forks() -> Iterator[Forks]:
    with Forks(("recaptrain", "diffusion")) as forks:
        yield forks
