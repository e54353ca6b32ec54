"""Each command is run once, whatever killed the process in between."""

import json

import pytest

from recaptrain.reproduction import commands
from recaptrain.reproduction.commands import Commands


@pytest.fixture
def ran(monkeypatch):
    """What was run, in the place of running it; a command named `bad` fails."""
    calls = []

    def run(words, log, *, env):
        calls.append(words)
        if "bad" in words:
            raise commands.CommandFailed("no")
        return {"number": len(calls)}

    monkeypatch.setattr(commands, "run_command", run)
    return calls


def test_what_ended_well_is_not_run_again(tmp_path, ran) -> None:
    first = Commands(tmp_path, {})
    assert first.run("recapdata", "a") == {"number": 1}
    with pytest.raises(commands.CommandFailed):
        first.run("recapdata", "bad")
    again = Commands(tmp_path, {})
    assert again.run("recapdata", "a") == {"number": 1}
    assert again.run("recapdata", "b") == {"number": 3}
    assert [each["command"] for each in again.done.values()] == [["recapdata", "a"], ["recapdata", "b"]]


def test_resumed_or_not_is_the_same_command(tmp_path, ran) -> None:
    Commands(tmp_path, {}).run("recaptrain", "diffusion", "--resume", "out")
    Commands(tmp_path, {}).run("recaptrain", "diffusion", "out")
    assert len(ran) == 1


@pytest.mark.parametrize(
    "end",
    [
        b'{"command": ["recapdata", "b"], "sec',
        b"\xff\xfe",
        b"[]\n",
        b'{"command": 3}\n',
        b"[" * 100_000 + b"\n",
        b'{"command": ["recapdata", 1], "seconds": 1, "summary": {}}\n',
        b'{"command": ["rm", "-r", "x"], "seconds": 1, "summary": {}}\n',
        b'{"command": ["recapdata", "b"], "seconds": NaN, "summary": {}}\n',
        b'{"command": [], "seconds": 1, "summary": {}}\n',
        b'{"command": ["recapdata", "b"], "seconds": 1, "summary": []}\n',
        b'{"command": ["recapdata", "b"], "summary": {}}\n',
    ],
)
def test_a_line_that_is_no_command_loses_itself_alone(tmp_path, ran, end) -> None:
    Commands(tmp_path, {}).run("recapdata", "a")
    path = tmp_path / commands.COMMANDS
    path.write_bytes(path.read_bytes() + end)
    second = Commands(tmp_path, {})
    second.run("recapdata", "b")
    assert [words[1] for words in Commands(tmp_path, {}).done] == ["a", "b"]
    assert json.loads(path.read_bytes().splitlines()[-1])["command"] == ["recapdata", "b"]
