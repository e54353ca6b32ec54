"""The Python API: written-out signatures with the defaults of the command line, examples that run, results that show themselves."""

import ast
import doctest
import inspect
import os
import re
import shutil
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

import audits
import recapdata
import recaptrain
from recapdata.display import html_table
from recapdata.errors import CaptionSetNotFound, OptionError

PACKAGES = (recapdata, audits, recaptrain)
PUBLIC = [(package, name) for package in PACKAGES for name in package.__all__]
FUNCTIONS = [
    pytest.param(getattr(package, name), id=f"{package.__name__}.{name}")
    for package, name in PUBLIC
    if inspect.isfunction(getattr(package, name))
]


OTHER_NAMES = {
    ("audits.compare", "set"): "sets",
    ("audits.compare", "audit"): "audits",
    ("recaptrain.humans", "import"): "import_",
}
"""Options of the command line whose parameter is named in the plural, since a function takes them all at once."""
WITHOUT_COMMAND = ("recapdata.load", "recapdata.open_dataset")


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


@pytest.mark.parametrize("function", FUNCTIONS)
def test_the_defaults_are_those_of_the_command_line(
    function: Callable[..., Any], request: pytest.FixtureRequest
) -> None:
    name = request.node.callspec.id
    if name in WITHOUT_COMMAND:
        pytest.skip("no command of that name")
    package, _, command = name.partition(".")
    app = __import__(f"{package}.cli", fromlist=["app"]).app
    command = command.removeprefix("train_")
    options = {
        next(opt for opt in parameter.opts if opt.startswith("--"))
        .removeprefix("--")
        .replace("-", "_"): parameter
        for parameter in typer.main.get_command(app).commands[command.replace("_", "-")].params
        if parameter.param_type_name == "option"
    }
    for plain in ("json", "debug", "help", "recipe"):  # of the command line alone
        options.pop(plain, None)
    expected = {OTHER_NAMES.get((name, key), key): _default(option) for key, option in options.items()}
    parameters = inspect.signature(function).parameters.values()
    given = {each.name: each.default for each in parameters if each.kind is each.KEYWORD_ONLY}
    assert given == {key: _as(value, given.get(key)) for key, value in expected.items()}


def _default(option: Any) -> Any:
    return inspect.Parameter.empty if option.required else option.default


def _as(value: Any, example: Any) -> Any:
    """A default of the command line as Python writes it: a list is a tuple, and None for it is the empty one."""
    if not isinstance(example, tuple):
        return value
    if example == (None, None):
        return value or example  # one for each side
    return tuple(value.split(",")) if isinstance(value, str) else tuple(value or ())


def test_results_are_shown_as_their_text_and_as_tables(datasets: Path) -> None:
    drawn = str(datasets / "drawn")
    audit, difference = audits.run(drawn, evidence=["annotations"]), audits.compare(drawn, "alt", "human")
    changes = recapdata.diff("me/drawn@v1.0.0", drawn)
    for result, text in (
        (audit, audit.summary.brief()),
        (audit.summary, audit.summary.brief()),
        (difference, difference.comparison.brief()),
        (difference.comparison, difference.comparison.brief()),
        (changes, changes.text()),
        (plan := recapdata.publish(drawn, "me/other", version="1.0.0"), plan.text()),
        (imported := recapdata.import_captions(drawn, "alt", "alt_text"), imported.text()),
        (report := audits.report(drawn, datasets / "page.html"), report.text()),
    ):
        assert repr(result) == text
    assert "<th>figure</th><th>alt</th><th>human</th>" in audit._repr_html_()
    assert "<tr><td>object precision</td>" in audit._repr_html_()
    assert "<th>a: alt</th><th>b: human</th><th>b − a</th>" in difference._repr_html_()
    assert f"me/drawn@v1.0.0 → {drawn} (MINOR): caption set human added" in changes._repr_html_()


def test_what_a_notebook_shows_is_short_however_many_sets(datasets: Path, tmp_path: Path) -> None:
    drawn = shutil.copytree(datasets / "drawn", tmp_path / "drawn")
    for number in range(6):
        recapdata.import_captions(drawn, f"human-{number}", "human_long" if number % 2 else "human_short")
    audit = audits.run(drawn, evidence="annotations")
    assert len(audit.text()) > 10 * len(repr(audit)) or len(audit.text().splitlines()) > 40
    difference = audits.compare(drawn, drawn)
    for result in (audit, audit.summary, difference, difference.comparison, difference.comparison.sets[0]):
        assert len(repr(result)) < 3000
    assert "object precision" in repr(audit)
    assert "and 5 more caption sets" in repr(audit)
    assert repr(audit).splitlines()[-1].startswith("all of it: print(audit.text()); tables: audit.figures")
    words = audits.compare(drawn, "alt", "human")
    assert "▲ color coverage: " in repr(words)
    assert f"; {len(words.comparison.rows)} rows that changed most" in repr(words)
    assert len(words.text()) > 5 * len(repr(words))
    assert words.text() == words.comparison.text()


def test_a_plain_string_stands_for_a_list_of_one_or_more(datasets: Path) -> None:
    drawn = str(datasets / "drawn")
    listed = audits.run(drawn, captions=["alt"], evidence=["annotations"])
    plain = audits.run(drawn, captions="alt", evidence="annotations")
    assert plain.summary.evidence == listed.summary.evidence == ["annotations"]
    assert plain.summary.audited == ["alt"]
    with pytest.raises(OptionError, match=r"no evidence source 'annotation' \(did you mean annotations\?\)"):
        audits.run(drawn, evidence="annotation")


def test_one_name_stands_for_a_list_of_one(datasets: Path, tmp_path: Path) -> None:
    drawn = str(shutil.copytree(datasets / "drawn", tmp_path / "drawn"))
    assert recapdata.load(drawn, sets="alt").column_names[-1] == "alt"
    with pytest.raises(CaptionSetNotFound, match=r"alt is a caption set of .*; name the other one too"):
        audits.compare(drawn, "alt")
    figures = audits.compare(drawn, drawn, sets="alt").figures
    assert figures.equals(audits.compare(drawn, drawn, sets=["alt"]).figures)
    recapdata.remove(drawn, captions="human")
    assert recapdata.open_dataset(drawn).set_names() == ["alt"]


def test_a_mixture_is_a_text_or_weights_or_itself(datasets: Path) -> None:
    drawn, weights = datasets / "drawn", {"alt": 1, "human": 3}
    drawn_from = [
        [row["caption_set"] for row in recapdata.load(drawn, mixture=mixture)]
        for mixture in (weights, "alt=1,human=3", recapdata.Mixture(weights=weights))
    ]
    assert drawn_from[0] == drawn_from[1] == drawn_from[2]
    assert set(drawn_from[0]) == {"alt", "human"}
    with pytest.raises(CaptionSetNotFound, match=r"no caption set 'altt' \(did you mean alt\?\)"):
        recapdata.load(drawn, mixture={"altt": 1})
    with pytest.raises(OptionError, match="the weight of alt is -1, it must be above 0"):
        recaptrain.train_diffusion("out", dataset=drawn, mixture={"alt": -1}, base="embedded")


def test_a_table_shows_any_caption_as_text() -> None:
    table = html_table(["a & b"], [["<script>", 1]], caption="x < y")
    assert "&lt;script&gt;" in table
    assert "<script>" not in table
    assert "<caption>x &lt; y</caption>" in table
    assert "<th>a &amp; b</th>" in table


@pytest.mark.parametrize("package", PACKAGES)
def test_the_public_names_are_there_without_being_imported(package: Any) -> None:
    assert set(package.__all__) <= set(dir(package))
    with pytest.raises(AttributeError, match=rf"module '{package.__name__}' has no attribute 'nope'"):
        package.nope  # noqa: B018


def test_the_readme_calls_functions_as_they_are() -> None:
    text = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf8")
    (block,) = re.findall(r"## In Python\n.*?```python\n(.*?)```", text, re.DOTALL)
    calls = [
        node
        for node in ast.walk(ast.parse(block))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
    ]
    assert len(calls) > 7
    for call in calls:
        assert isinstance(call.func, ast.Attribute)
        assert isinstance(call.func.value, ast.Name)
        function = getattr(__import__(call.func.value.id), call.func.attr)
        inspect.signature(function).bind(
            *call.args, **{word.arg: word.value for word in call.keywords if word.arg}
        )
