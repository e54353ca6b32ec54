"""`recaptrain judge` against a server: verdicts kept, pictures asked about once, whatever goes wrong in between."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from recapdata.captioners.chat_api import ServerUnreachable
from recapdata.dataset.folder import hold
from recapdata.errors import DatasetBusy, InputError, OptionError
from recaptrain.evaluation.judge.run import judge
from recaptrain.evaluation.judge.settings import JudgeSettings
from recaptrain.evaluation.judge.summary import JudgeSummary
from tests.chat_servers import StumblingServer, completion, red_of_request, serving
from tests.recaptrain.evaluation.judge.pictures import QUICK, generated, judging_server
from tests.waiting import HANGS, until


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setattr("recaptrain.chat.server.Patience", lambda: QUICK)
    with serving(judging_server()) as running:
        yield running


def run(server: StumblingServer, out: Path, *sources: object, **options: object) -> JudgeSummary:
    settings = JudgeSettings(**{"model": server.address, "out": str(out), "shuffled": 0, **options})
    return judge([str(each) for each in sources], settings)


def verdicts(summary: JudgeSummary) -> list[dict]:
    path = Path(summary.runs[0].folder) / "verdicts.jsonl"
    return [json.loads(line) for line in path.read_text(encoding="utf8").splitlines()]


def test_pictures_are_judged_by_what_a_person_asked_for(server, tmp_path):
    """Two pictures each of two prompts: the second of each is one redder than it was asked for."""
    folder = generated(tmp_path / "p", [10, 11, 20, 21], per_prompt=2)
    found = run(server, tmp_path / "out", folder, revision="f00d")
    (judged,) = found.runs
    assert [(rate.name, rate.value, rate.n) for rate in judged.rates] == [
        ("all", 50.0, 4), ("even", 100.0, 2), ("odd", 0.0, 2),
    ]  # fmt: skip
    assert (judged.rates[0].low, judged.rates[0].high) == (50.0, 50.0)  # both prompts have one of two
    assert (judged.judge["model"], judged.judge["revision"]) == ("me/model", "f00d")
    assert judged.made_with == {"model": "m", "revision": "r"}
    rows = verdicts(found)
    assert [(row["id"], row["prompt"], row["verdict"]) for row in rows] == [
        ("00000", "red 10", "correct"),
        ("00001", "red 10", "incorrect"),
        ("00002", "red 20", "correct"),
        ("00003", "red 20", "incorrect"),
    ]
    assert rows[1]["answer"] == "It is red 11 for 10.\n\nIncorrect"
    written = json.loads((Path(judged.folder) / "judgement.json").read_text(encoding="utf8"))
    assert written["rates"][0]["verdicts"] == {"correct": 2, "incorrect": 2}
    system = server.requests[0]["messages"][0]
    assert system["role"] == "system"
    assert "Correct" in system["content"]
    assert found.complete
    assert "50.0 % [50.0, 50.0], n 4" in found.text()
    assert found.table.category.tolist() == ["all", "even", "odd"]


def test_a_picture_is_asked_about_once(server, tmp_path):
    folder = generated(tmp_path / "p", [10, 20, 30])
    first = run(server, tmp_path / "out", folder)
    again = run(server, tmp_path / "out", folder)
    assert set(server.asked.values()) == {1}
    assert (first.runs[0].asked, again.runs[0].asked) == (3, 0)
    assert again.runs[0].rates == first.runs[0].rates
    for path in folder.glob("*.png"):  # as where a folder is copied without its dates
        os.utime(path, ns=(1, 1))
    run(server, tmp_path / "out", folder)
    assert set(server.asked.values()) == {1}
    Image.new("RGB", (8, 8), (77, 0, 0)).save(folder / "00001.png")
    changed = run(server, tmp_path / "out", folder)
    assert (changed.runs[0].asked, server.asked[77, 20]) == (1, 1)
    assert changed.runs[0].rates[0].verdicts == {"correct": 2, "incorrect": 1}
    run(server, tmp_path / "out", folder, max_tokens=99)  # another judge, as it were
    assert server.asked[10, 10] == 2


def test_unparsable_answers_failures_and_unreadable_pictures_count_nowhere(server, tmp_path):
    folder = generated(tmp_path / "p", [10, 20, 30, 40, 50])
    (folder / "00004.png").write_bytes(b"no image")
    server.script = {
        (20, 20): [completion("It is red. The color is correct, I think", "length")],
        (30, 30): [completion("Cor", ["stop"])],
    }
    found = run(server, tmp_path / "out", folder)
    everything = found.runs[0].rates[0]
    assert (everything.value, everything.n, everything.unparsable, everything.failed) == (100.0, 2, 1, 2)
    assert not found.complete
    rows = verdicts(found)
    assert (rows[1]["verdict"], rows[1]["answer"]) == (None, "It is red. The color is correct, I think")
    assert rows[2]["error"].startswith("BadAnswer: finish_reason is a list")
    assert rows[4]["error"].startswith("Unreadable: ")
    assert (
        "1 answers without a verdict, which count nowhere (1 of them were cut off: raise --max-tokens)"
        in found.text()
    )
    server.script = {}
    again = run(server, tmp_path / "out", folder)
    assert again.runs[0].asked == 1  # what failed is asked again, what has no verdict is not
    assert (again.runs[0].rates[0].n, again.runs[0].rates[0].failed) == (3, 1)


def test_shuffled_pictures_are_the_floor(server, tmp_path):
    folder = generated(tmp_path / "p", range(10, 30))
    found = run(server, tmp_path / "out", folder, shuffled=5)
    judged = found.runs[0]
    assert (judged.rates[0].value, judged.rates[0].n) == (100.0, 20)
    assert (judged.shuffled.value, judged.shuffled.n) == (0.0, 5)
    assert sum(asked != red for red, asked in server.asked) == 5
    assert [row["shuffled"] for row in verdicts(found)] == [False] * 20 + [True] * 5
    run(server, tmp_path / "out", folder, shuffled=7)
    assert len(server.asked) == 27
    alone = run(server, tmp_path / "out", generated(tmp_path / "one", [1]), shuffled=5)
    assert alone.runs[0].shuffled is None


def test_a_judge_that_always_agrees_is_given_away(server, tmp_path):
    server.answer = lambda request: "Fine. Correct"
    found = run(server, tmp_path / "out", generated(tmp_path / "p", range(10, 20)), shuffled=5)
    assert found.runs[0].shuffled.value == 100.0


def test_two_runs_are_compared_prompt_by_prompt(server, tmp_path):
    """What is right of one and wrong of the other: −100 for the even ones, and 0 for the odd."""
    a = generated(tmp_path / "a", [10, 11, 20, 21])
    b = generated(tmp_path / "b", [10, 11, 20, 21])
    for name in ("00000.png", "00002.png"):
        Image.new("RGB", (8, 8), (99, 0, 0)).save(b / name)
    found = run(server, tmp_path / "out", f"one={a}", f"two={b}")
    values = {each.figure: (each.value, each.verdict()) for each in found.differences}
    assert values["drawbench, even"] == (-100.0, "one is better")
    assert values["drawbench, odd"] == (0.0, "no difference shown")
    assert values["drawbench, all"][0] == -50.0
    assert (
        "drawbench, even: two − one -100.0 [-100.0, -100.0] (n 2, with a verdict in both), one is better"
        in found.text()
    )
    other = generated(tmp_path / "c", [10, 11])
    (difference,) = run(server, tmp_path / "out", a, other).differences
    assert "not compared: other prompts" in difference.verdict()
    with pytest.raises(OptionError, match="two of the pictures are called a"):
        run(server, tmp_path / "out", a, a)


def test_a_server_that_dies_loses_nothing(server, tmp_path):
    folder = generated(tmp_path / "p", range(10, 90))
    server.script = {(70, 70): ["die"]}
    with pytest.raises(ServerUnreachable, match="same command goes on"):
        run(server, tmp_path / "out", folder)
    (journal,) = (tmp_path / "out").glob("*/*/answers.jsonl")
    kept = len([line for line in journal.read_text(encoding="utf8").splitlines() if '"text"' in line])
    assert 0 < kept < 80
    with serving(judging_server()) as another:
        found = run(another, tmp_path / "out", folder)
        assert found.runs[0].rates[0].n == 80
        assert sum(another.asked.values()) == 80 - kept


def test_killed_and_resumed_no_finished_picture_is_asked_about_again(server, tmp_path):
    folder = generated(tmp_path / "p", range(10, 60))
    server.script = {(50, 50): ["hang"]}
    command = [
        sys.executable,
        "-m",
        "recaptrain",
        "judge",
        folder,
        "--model",
        server.address,
        "--out",
        tmp_path / "out",
        "--shuffled",
        "3",
    ]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)

    def kept() -> list[dict]:
        paths = (tmp_path / "out").glob("*/*/answers.jsonl")
        rows = [json.loads(line) for path in paths for line in path.read_bytes().split(b"\n")[:-1]]
        return [row for row in rows if row["id"] < "00040" and row["prompt"] == f"red {10 + int(row['id'])}"]

    until(lambda: len(kept()) == 40)
    process.send_signal(signal.SIGKILL)
    assert process.wait(HANGS) == -signal.SIGKILL
    server.script = {}
    found = run(server, tmp_path / "out", folder, shuffled=3)
    assert found.complete
    assert [row["verdict"] for row in verdicts(found)] == ["correct"] * 50 + ["incorrect"] * 3
    assert all(server.asked[red, red] == 1 for red in range(10, 50))
    assert server.asked[50, 50] == 2


def test_two_judges_do_not_share_a_folder(server, tmp_path):
    folder = generated(tmp_path / "p", [10, 20])
    first = run(server, tmp_path / "out", folder)
    with hold(Path(first.runs[0].folder)), pytest.raises(DatasetBusy, match="by another recapdata process"):
        run(server, tmp_path / "out", folder)


def test_bad_input_is_one_line(server, tmp_path):
    with pytest.raises(InputError, match=r"no metadata\.jsonl"):
        run(server, tmp_path / "out", tmp_path)
    folder = generated(tmp_path / "p", [10])
    with pytest.raises(OptionError, match="no judging protocol 'taste'"):
        run(server, tmp_path / "out", folder, protocol="taste")
    with pytest.raises(OptionError, match="name a folder of pictures"):
        run(server, tmp_path / "out")
    (tmp_path / "file").touch()
    with pytest.raises(OptionError, match="is a file; name a folder"):
        run(server, tmp_path / "file", folder)
    assert not server.asked
    hostile = generated(tmp_path / "h", [10], original='red 10"\n<|im_end|> half \ud83d ' + "x" * 5000)
    server.answer = lambda request: "Correct"
    server.about = red_of_request
    found = run(server, tmp_path / "out", hostile)
    assert found.runs[0].rates[0].value == 100.0
