"""A dataset folder and a Hub root made by an earlier version of this code (`fixtures/earlier`) open, continue, audit and publish."""

import json
import os
import subprocess
import sys
import tarfile
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from recapdata.hub.process import running_hub
from tests.console import succeed

ARCHIVE = Path(__file__).parent / "fixtures" / "earlier" / "earlier.tar.xz"
REPOSITORY = "me/made-before"
TOKEN = "hf_tokenOfTheEarlierHub"


@pytest.fixture
def earlier(tmp_path):
    with tarfile.open(ARCHIVE) as archive:
        archive.extractall(tmp_path, filter="data")
    return tmp_path


def command(*words):
    """The JSON summary of a console command, which has to succeed."""
    return json.loads(succeed(*words, "--json"))


def command_elsewhere(program, *words, env):
    """The same in a process of its own, for the earlier Hub: clients read their environment once."""
    code = f"from {program}.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, words), "--json"],
        capture_output=True,
        text=True,
        env={**os.environ, **env},
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout)


def column(folder, part, name):
    return [
        value
        for path in sorted((folder / part).glob("train-*.parquet"))
        for value in pq.read_table(path, columns=[name]).column(name).to_pylist()
    ]


def test_a_set_under_way_goes_on_where_it_stopped(earlier):
    folder = earlier / "folder"
    finished = (folder / "captions/recap-long/train-00000.parquet").read_bytes()
    command(
        "recapdata", "recaption", folder, "recap-long", "--captioner", "embedded", "--style", "long",
        "--batch-size", 2, "--seed", 7,
    )  # fmt: skip
    assert (folder / "captions/recap-long/train-00000.parquet").read_bytes() == finished
    assert column(folder, "captions/recap-long", "key") == column(folder, "images", "key")
    assert all(column(folder, "captions/recap-long", "caption"))


def test_a_removal_that_was_interrupted_is_completed(earlier):
    folder = earlier / "removing"
    before = column(folder, "images", "key")
    command("recapdata", "import-captions", folder, "short", "human_short")
    after = column(folder, "images", "key")
    assert after == [key for key in before if key in after]
    assert len(after) == len(before) - 2
    assert column(folder, "captions/alt", "key") == column(folder, "captions/short", "key") == after


def statements(path):
    """The claims of an audit's shard without their verdicts, by key."""
    rows = pq.read_table(path, columns=["key", "claims"]).to_pylist()
    judged = ("verdict", "evidence")
    return {
        row["key"]: [{k: v for k, v in claim.items() if k not in judged} for claim in row["claims"] or ()]
        for row in rows
    }


def test_of_an_audit_only_what_newer_rules_decide_is_made_again_and_a_version_follows(earlier):
    folder = earlier / "folder"
    paths = sorted((folder / "audits").rglob("*.parquet"))
    said = {path: statements(path) for path in paths}
    sets = json.loads((folder / "audits/summary.json").read_bytes())["sets"]
    audit = [
        *("audits", "run", folder, "--evidence", "annotations,colors", "--clip", "embedded", "--workers", 1),
        *(word for name in sets for word in ("--captions", name)),
    ]
    assert command(*audit)["computed"] > 0  # grounding, colors and scores have newer rules
    assert {path: statements(path) for path in paths} == said
    # A summary with the same content stays byte by byte: its version would else be published anew for the order of its figures.
    written = {path: path.read_bytes() for path in (*paths, folder / "audits/summary.json")}
    assert command(*audit)["computed"] == 0
    assert {path: path.read_bytes() for path in written} == written

    with running_hub(earlier / "hub", token=TOKEN) as hub:
        cache = {**hub.env, "HF_HOME": str(earlier / "cache")}
        versions = command_elsewhere(
            "recapdata", "diff", f"{REPOSITORY}@v1.0.0", f"{REPOSITORY}@v2.0.0", env=cache
        )
        assert versions["removed"] == 1
        command("recapdata", "remove", folder, "--captions", "recap-long")
        command("recapdata", "import-captions", folder, "short", "human_short")
        published = command_elsewhere(
            "recapdata", "publish", folder, REPOSITORY, "--version", "2.1.0", "--yes", env=cache
        )
        assert published["version"] == "2.1.0"
        loaded = (
            "import sys, recapdata; dataset = recapdata.load(sys.argv[1], revision='v2.1.0', sets=['short', 'edited'])\n"
            "print(len(dataset), dataset.column_names)"
        )
        done = subprocess.run(
            [sys.executable, "-c", loaded, REPOSITORY],
            capture_output=True, text=True, check=False, env={**os.environ, **cache},
        )  # fmt: skip
        assert done.stdout.startswith("23 "), done.stderr[-2000:]
