"""The examples in the docstrings of the Python API run as they stand, each on a copy of the same small datasets."""

import doctest
import inspect
import os
import shutil
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import audits
import recapdata

PACKAGES = (recapdata, audits)
PUBLIC = [(package, name) for package in PACKAGES for name in package.__all__]
FUNCTIONS = [
    pytest.param(getattr(package, name), id=f"{package.__name__}.{name}")
    for package, name in PUBLIC
    if inspect.isfunction(getattr(package, name))
]


@pytest.fixture(scope="module")
def datasets(tmp_path_factory: pytest.TempPathFactory, hub: Any) -> Path:
    """A folder with the audited dataset folder `drawn`, on the Hub as `me/drawn` v1.0.0 and v1.1.0."""
    folder = tmp_path_factory.mktemp("examples")
    drawn = folder / "drawn"
    recapdata.ingest("scenes:24,seed=1,human=24", drawn)
    recapdata.import_captions(drawn, "alt", "alt_text")
    recapdata.publish(drawn, "me/drawn", version="1.0.0", license="cc0-1.0", yes=True)
    recapdata.import_captions(drawn, "human", "human_long")
    recapdata.publish(drawn, "me/drawn", version="1.1.0", yes=True)
    audits.run(drawn, evidence=["annotations"])
    return folder


@pytest.fixture
def here(datasets: Path, tmp_path: Path) -> Iterator[Path]:
    """A copy of the datasets as the working directory."""
    before = Path.cwd()
    shutil.copytree(datasets, tmp_path / "work")
    os.chdir(tmp_path / "work")
    yield tmp_path / "work"
    os.chdir(before)


@pytest.mark.parametrize("function", FUNCTIONS)
def test_the_example_runs(function: Callable[..., Any], here: Path, request: pytest.FixtureRequest) -> None:
    if function is audits.view:
        request.getfixturevalue("fo")
    documentation = textwrap.dedent(f"        {function.__doc__}")
    _, heading, example = documentation.partition("\nExample:\n")
    assert heading, f"{function.__name__} has no example"
    test = doctest.DocTestParser().get_doctest(example, {}, function.__name__, None, 0)
    assert len(test.examples) > 1
    said: list[str] = []
    flags = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS
    result = doctest.DocTestRunner(optionflags=flags).run(test, out=said.append)
    assert not result.failed, "".join(said)


@pytest.mark.parametrize("function", FUNCTIONS)
def test_every_argument_is_written_out_and_explained(function: Callable[..., Any]) -> None:
    signature = inspect.signature(function)
    assert function.__doc__
    assert function.__doc__.splitlines()[0].endswith((".", "it."))
    assert signature.return_annotation is not inspect.Signature.empty
    for parameter in signature.parameters.values():
        assert parameter.kind not in (parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL), parameter
        assert parameter.annotation is not parameter.empty, parameter
        assert f"        {parameter.name}: " in function.__doc__, f"{function.__name__}: {parameter.name}"


@pytest.mark.parametrize("package", PACKAGES)
def test_the_public_names_are_there_without_being_imported(package: Any) -> None:
    assert set(package.__all__) <= set(dir(package))
    with pytest.raises(AttributeError, match=rf"module '{package.__name__}' has no attribute 'nope'"):
        package.nope  # noqa: B018
