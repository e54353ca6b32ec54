"""`recaptrain humans` as a command: served, killed, continued, summed up, exported and imported."""

import json
import re
import signal
import threading
from contextlib import suppress
from pathlib import Path

import httpx
import pytest
from typer.testing import CliRunner

from recapdata.errors import InputError, OptionError
from recaptrain.cli import app
from recaptrain.evaluation.humans.database import DATABASE
from recaptrain.evaluation.humans.protocols import PROTOCOLS
from recaptrain.evaluation.humans.run import humans
from recaptrain.evaluation.humans.settings import HumansSettings
from tests.recaptrain.evaluation.humans.folders import MODELS, write_folder
from tests.recaptrain.evaluation.humans.serving import PATIENCE, Server, serving
from tests.waiting import until

PROMPTS = [f"a picture of {number} stars" for number in range(40)]


Kept = dict[tuple[int, int], str]


def rate(client: httpx.Client, votes: int, kept: Kept | None = None) -> Kept:
    """Answer some questions: what was acknowledged, by question and rating."""
    kept = {} if kept is None else kept
    state = client.get("/next").json()
    for number in range(votes):
        current = state["current"]
        choice = ("left", "tie", "right")[number % 3]
        body = {
            "question": current["question"],
            "rating": current["rating"],
            "answer": choice,
            "seconds": 2.0,
        }
        response = client.post("/vote", json=body)
        assert response.status_code == 200
        kept[current["question"], current["rating"]] = choice
        state = response.json()
    return kept


def invoke(*words: "str | Path") -> str:
    done = CliRunner().invoke(app, ["humans", *map(str, words)], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.stdout


@pytest.fixture
def folders(tmp_path: Path) -> list[Path]:
    return [write_folder(tmp_path / name, PROMPTS) for name in MODELS[:2]]


def test_nothing_acknowledged_is_lost_when_the_server_is_killed(tmp_path: Path) -> None:
    """Two raters vote without a pause, SIGKILL comes among their votes, the same command goes on, twice.

    Every vote that was acknowledged is there with its answer; of each rater one a kill may be there whose answer did not arrive.
    """
    prompts = [f"a picture of {number} stars" for number in range(300)]
    folders = [write_folder(tmp_path / name, prompts, size=(8, 8)) for name in MODELS[:2]]
    words = (*folders, "--out", tmp_path / "out", "--ratings", "2")
    kept: dict[str, Kept] = {"Ada": {}, "Bo": {}}

    def vote(server: Server, name: str) -> None:
        with suppress(httpx.TransportError), server.entered(name) as client:
            rate(client, 150, kept[name])

    for _ in range(2):
        enough = sum(map(len, kept.values())) + 12
        with serving(*words) as server:
            threads = [threading.Thread(target=vote, args=(server, name)) for name in kept]
            for thread in threads:
                thread.start()
            until(lambda enough=enough: sum(map(len, kept.values())) >= enough)  # type: ignore[misc]
            server.process.kill()
            assert server.process.wait() == -signal.SIGKILL
            for thread in threads:
                thread.join()
    invoke(*words, "--export", tmp_path / "votes.jsonl")
    rows = [json.loads(line) for line in (tmp_path / "votes.jsonl").read_text().splitlines()]
    for name, own in kept.items():
        found = {
            row["prompt"]: "tie"
            if row["winner"] is None
            else "left"
            if row["winner"] == row["left"]
            else "right"
            for row in rows
            if row["rater"] == name
        }
        acknowledged = {prompts[question]: choice for (question, _), choice in own.items()}
        assert found.items() >= acknowledged.items()
        assert len(found) <= len(acknowledged) + 2
    assert len({(row["prompt"], row["rater"]) for row in rows}) == len(rows) >= 24
    assert f"{len(rows)} of 600 ratings, on " in invoke(*words, "--results")


def test_ctrl_c_ends_it_with_a_summary(tmp_path: Path, folders: list[Path]) -> None:
    with serving(*folders, "--out", tmp_path / "out") as server:
        with server.entered("Ada") as client:
            rate(client, 3)
            assert "3 of 120 ratings" in client.get(server.results).text
        server.process.send_signal(signal.SIGINT)
        out, errors = server.process.communicate(timeout=PATIENCE)
    assert (server.process.returncode, out) == (0, "")
    assert "40 questions on 40 prompts, 3 ratings each\n" in errors
    assert f"raters: {server.raters}\nresults (not for raters): {server.results}\n" in errors
    assert errors.endswith(f"3 of 120 ratings in {tmp_path / 'out'}\n")
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+", server.raters)


def test_a_taken_port_is_one_line(tmp_path: Path, folders: list[Path]) -> None:
    with serving(*folders, "--out", tmp_path / "out") as server:
        port = server.raters.rpartition(":")[2]
        with pytest.raises(OptionError, match=f"Port {port} on 127.0.0.1 is taken"):
            invoke(*folders, "--out", tmp_path / "other", "--port", port)


def test_results_export_and_import_without_serving(tmp_path: Path, folders: list[Path]) -> None:
    with serving(*folders, "--out", tmp_path / "out") as server, server.entered("Ada") as client:
        rate(client, 4)
    words = (*folders, "--out", tmp_path / "out")
    results = json.loads(invoke(*words, "--results", "--json"))
    assert (results["ratings"], results["wanted"], results["protocol"]) == (4, 120, "prompt-following")
    assert [model["name"] for model in results["models"]] == list(MODELS[:2])
    assert sum(results["pairs"][0][each] for each in ("wins", "ties", "losses")) == 4
    assert results == json.loads(invoke(*words, "--results", "--json"))  # the same to the last digit
    text = invoke(*words, "--results")
    assert re.search(r"model-baseline +\d+ \[", text)
    assert "agreement: none to state" in text
    invoke(*words, "--export", tmp_path / "votes.jsonl")
    other = (*folders, "--out", tmp_path / "other")
    assert invoke(*other, "--import", tmp_path / "votes.jsonl").startswith(
        "4 ratings imported, 0 were there\n"
    )
    assert json.loads(invoke(*other, "--import", tmp_path / "votes.jsonl", "--json"))["imported"] == {
        "new": 0,
        "known": 4,
        "other": 0,
    }
    assert json.loads(invoke(*other, "--results", "--json")) == {**results, "out": str(tmp_path / "other")}


def test_mistakes_are_said(tmp_path: Path, folders: list[Path]) -> None:
    with pytest.raises(OptionError, match="holds no ratings yet"):
        invoke(*folders, "--out", tmp_path / "out", "--results")
    assert not (tmp_path / "out" / DATABASE).exists()
    with pytest.raises(OptionError, match="--results and --import do different things"):
        invoke(*folders, "--results", "--import", "x")
    with pytest.raises(OptionError, match="compares pictures of two folders or more, and one was given"):
        invoke(folders[0], "--out", tmp_path / "out")


def test_an_import_of_nothing_makes_no_folder(tmp_path: Path, folders: list[Path]) -> None:
    settings = HumansSettings(import_=str(tmp_path / "none.jsonl"), out=str(tmp_path / "new"))
    with pytest.raises(InputError, match=r"none\.jsonl: there is no such file"):
        humans([str(folder) for folder in folders], settings)
    assert not (tmp_path / "new").exists()


def test_the_option_and_the_table_have_the_same_protocols() -> None:
    for protocol in PROTOCOLS:
        assert HumansSettings(protocol=protocol).protocol == protocol  # type: ignore[arg-type]
    with pytest.raises(OptionError, match="prompt-following, style, coherence"):
        HumansSettings(protocol="beauty")  # type: ignore[arg-type]
