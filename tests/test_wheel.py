"""The built wheel carries everything the commands need, and works away from the repository."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    out = tmp_path_factory.mktemp("dist")
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(out), str(ROOT)]
    subprocess.run(build, check=True, capture_output=True)
    (path,) = out.glob("recapdata-*.whl")
    return path


def test_templates_weights_and_tables_travel(wheel):
    names = set(zipfile.ZipFile(wheel).namelist())
    for folder, inside in (
        ("cards", "recapdata/cards"),
        ("recapdata", "recapdata"),
        ("audits", "audits"),
        ("recaptrain", "recaptrain"),
    ):
        tracked = subprocess.run(
            ["git", "ls-files", folder], cwd=ROOT, capture_output=True, text=True, check=True
        ).stdout.split()
        missing = {inside + path.removeprefix(folder) for path in tracked} - names
        assert not missing
    assert not [name for name in names if name.startswith("tests/")]


def test_an_installed_wheel_runs_elsewhere(wheel, tmp_path):
    site = tmp_path / "site"
    install = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--no-deps",
        "--no-compile",
        "--target",
        str(site),
        str(wheel),
    ]
    subprocess.run(install, check=True, capture_output=True)
    env = {**os.environ, "PYTHONPATH": str(site)}

    def python(code):
        return subprocess.run(
            [sys.executable, "-c", code], cwd=tmp_path, env=env, capture_output=True, text=True, check=True
        ).stdout

    places = python(
        "import recapdata, recapdata.templates as t, recapdata.weights as w; print(recapdata.__file__, t.cards_folder(), w.embedded_path('captioner'))"
    )
    assert all(place.startswith(str(site)) for place in places.split())
    python(
        "import sys; from recapdata.cli import main; sys.argv = ['recapdata', 'ingest', 'scenes:5', 'out']; main()"
    )
    assert (tmp_path / "out" / "images" / "train-00000.parquet").is_file()
