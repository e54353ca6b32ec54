"""The house rules: import direction, light commands, tables that resolve, a README whose commands exist."""

import ast
import graphlib
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

ROOT = Path(__file__).parent.parent
PACKAGES = ("recapdata", "audits", "recaptrain")
IN_DATASETS = {"audits/corrections.jsonl", "audits/summary.json"}
"""Files of a dataset folder that documents name, in a folder named as a package is."""
HEAVY = ("torch", "transformers", "datasets", "spacy", "fiftyone", "open_clip", "pandas", "diffusers")


def _modules(package):
    return sorted((ROOT / package).rglob("*.py"))


def _imports(path):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module


def test_imports_go_one_way():
    for place, package in enumerate(PACKAGES):
        forbidden = set(PACKAGES[place + 1 :])
        for path in _modules(package):
            wrong = forbidden & {name.split(".")[0] for name in _imports(path)}
            assert not wrong, f"{path.relative_to(ROOT)} imports {wrong}"


def _import_graph(root):
    """Module → modules it imports, anywhere in its text: inside functions and for type checkers too."""
    files = {}
    for package in PACKAGES:
        for path in sorted((root / package).rglob("*.py")):
            parts = path.relative_to(root).with_suffix("").parts
            files[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    graph = {}
    for module, path in files.items():
        imported = set(_imports(path))
        for node in ast.walk(ast.parse(path.read_text(encoding="utf8"))):
            if isinstance(node, ast.ImportFrom) and node.module and not node.level:
                submodules = {f"{node.module}.{alias.name}" for alias in node.names} & files.keys()
                imported |= submodules
                if len(submodules) == len(node.names):
                    imported.discard(node.module)
        graph[module] = imported & files.keys()
    return graph


def _circle(root):
    """One circle of imports as module names, the first again at the end; None where there is none."""
    try:
        graphlib.TopologicalSorter(_import_graph(root)).prepare()
    except graphlib.CycleError as error:
        return error.args[1]
    return None


def test_no_import_circle_not_even_inside_a_function():
    assert _circle(ROOT) is None


@pytest.mark.parametrize("inner", ["import audits.b", "from audits import b", "from audits.b import name"])
def test_a_circle_through_a_function_is_noticed(tmp_path, inner):
    (tmp_path / "audits").mkdir()
    (tmp_path / "audits" / "__init__.py").write_text("")
    (tmp_path / "audits" / "a.py").write_text(f"def later():\n    {inner}\n")
    (tmp_path / "audits" / "b.py").write_text("import os\n")
    assert _circle(tmp_path) is None
    (tmp_path / "audits" / "b.py").write_text(
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from audits.a import later\n"
    )
    assert set(_circle(tmp_path)) == {"audits.a", "audits.b"}


def test_every_module_says_its_role():
    for package in PACKAGES:
        for path in _modules(package):
            assert ast.get_docstring(ast.parse(path.read_text(encoding="utf8"))), path.relative_to(ROOT)


def test_no_catch_all_modules():
    names = {path.stem for package in PACKAGES for path in _modules(package)}
    assert not names & {"utils", "util", "helpers", "misc", "common"}


@pytest.mark.parametrize("command", PACKAGES)
def test_help_loads_nothing_heavy(command):
    probe = (
        f"import sys, {command}, {command}.cli; print([name for name in {HEAVY!r} if name in sys.modules])"
    )
    loaded = subprocess.run(
        [sys.executable, "-c", probe], capture_output=True, text=True, check=True
    ).stdout.strip()
    assert loaded == "[]"


def _commands(package):
    module = __import__(f"{package}.cli", fromlist=["app"])
    return typer.main.get_command(module.app).commands


@pytest.mark.parametrize("package", PACKAGES)
def test_every_command_explains_itself(package):
    for name, command in _commands(package).items():
        assert command.help, f"{package} {name} has no help"
        options = {option for parameter in command.params for option in parameter.opts}
        assert "--debug" in options, f"{package} {name} lacks --debug"


def _shown_examples(package, name):
    """The lines under "Examples:" as a terminal of 80 columns shows them."""
    app = __import__(f"{package}.cli", fromlist=["app"]).app
    shown = CliRunner().invoke(
        app, [name, "--help"], env={"COLUMNS": "80", "NO_COLOR": "1"}, prog_name=package
    )
    heading, _, block = shown.output.rpartition("\n Examples:")
    assert heading, f"{package} {name} --help shows no examples"
    return [line.rstrip() for line in block.splitlines() if line.strip()]


@pytest.mark.parametrize("package", PACKAGES)
def test_every_command_shows_examples_that_it_understands(package):
    for name, command in _commands(package).items():
        lines = _shown_examples(package, name)
        joined = "\n".join(line.strip() for line in lines).replace("\\\n", "")
        for line in joined.splitlines():
            program, used, *words = shlex.split(line)
            assert (program, used) == (package, name), f"a line that is no example, or one that wraps: {line}"
            command.make_context(
                name, words
            )  # raises for an option that is not there, and where one is missing
        assert 2 <= len(joined.splitlines()) <= 4, f"{package} {name}"
        assert all(line.startswith("   ") and len(line) < 80 for line in lines), lines


def test_readme_names_only_commands_and_options_that_exist():
    known = {package: _commands(package) for package in PACKAGES}
    text = (ROOT / "README.md").read_text(encoding="utf8").replace("\\\n", " ")
    blocks = re.findall(r"```(?:sh|bash|console)\n(.*?)```", text, re.DOTALL)
    lines = [line.split("#")[0].strip().removeprefix("$ ") for block in blocks for line in block.splitlines()]
    uses = [line.split() for line in lines if line.split()[:1] and line.split()[0] in PACKAGES]
    assert uses
    for package, name, *rest in uses:
        assert name in known[package], f"README: {package} {name}"
        options = {option for parameter in known[package][name].params for option in parameter.opts}
        for word in rest:
            if word.startswith("--"):
                assert word.split("=")[0] in options, f"README: {package} {name} {word}"


def test_console_commands_are_declared():
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf8"))["project"]["scripts"]
    assert scripts == {package: f"{package}.cli:main" for package in PACKAGES}


def test_constraints_pin_versions_without_addresses():
    for line in (ROOT / ".ci" / "constraints.txt").read_text(encoding="utf8").splitlines():
        assert re.fullmatch(r"[A-Za-z0-9_.\-]+==[^\s/@]+", line), line


def test_weights_are_safe_and_small():
    """safetensors only; spaCy's own format, which holds no pickles either, in the language folder."""
    files = [path for path in (ROOT / "recapdata" / "weights").rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) < 60e6
    pickled = (".pt", ".pth", ".bin", ".pkl", ".pickle", ".ckpt")
    assert not [path for path in files if path.suffix in pickled and "language" not in path.parts]


@pytest.mark.parametrize("name", ["CONTRIBUTING.md", "README.md", "recapdata/__init__.py"])
def test_documents_name_files_that_exist(name):
    text = (ROOT / name).read_text(encoding="utf8")
    named = set(
        re.findall(r"(?<![\w/.])(?:recapdata|audits|recaptrain|tests|cards)/[\w/.*-]*\w(?:/|\.\w+)", text)
    )
    assert named
    for path in named - IN_DATASETS:
        assert list(ROOT.glob(path)), f"{name} names {path}"


def test_folders_of_a_package_import_one_way():
    """No two folders, or a folder and a module beside it, import each other, so that the tree is the diagram."""
    arrows = set()
    for module, imported in _import_graph(ROOT).items():
        for name in imported:
            tail, head = (".".join(each.split(".")[:2]) for each in (module, name))
            if tail != head and "." in tail and "." in head:
                arrows.add((tail, head))
    assert arrows
    assert not {arrow for arrow in arrows if arrow[::-1] in arrows}
