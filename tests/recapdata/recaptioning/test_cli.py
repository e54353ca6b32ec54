"""`recapdata recaption` as a user types it."""

import json

import pytest

from recapdata import captioners
from recapdata.cli import main
from recapdata.dataset.folder import DatasetFolder
from tests.builders import build_dataset


@pytest.fixture
def type_in(monkeypatch, capsys):
    monkeypatch.setitem(captioners.CAPTIONERS, "scripted", "tests.scripted:open_scripted")

    def run(*words: str) -> tuple[int, str, str]:
        monkeypatch.setattr("sys.argv", ["recapdata", *map(str, words)])
        with pytest.raises(SystemExit) as ended:
            main()
        out, err = capsys.readouterr()
        return int(ended.value.code or 0), out, err

    return run


@pytest.fixture
def folder(tmp_path) -> DatasetFolder:
    return build_dataset(tmp_path / "set", rows=6, shard_rows=4)


def test_a_run_says_what_it_did_and_what_to_type_next(type_in, folder):
    code, out, err = type_in(
        "recaption", folder.path, "recap-short", "--captioner", "scripted", "--workers", "0"
    )
    assert code == 0
    assert "Captioned 6 images" in out
    assert f"audits run {folder.path} --captions recap-short" in out
    assert "6 images with scripted" in err


def test_json_is_one_object_on_standard_output(type_in, folder):
    options = ("--captioner", "scripted", "--style", "Say: what?", "--limit", "2", "--workers", "0", "--json")
    code, out, _ = type_in("recaption", folder.path, "recap", *options)
    summary = json.loads(out)
    assert code == 0
    assert (summary["done"], summary["lacking"], summary["failures"]) == (2, 4, 0)
    assert summary["provenance"]["prompt"] == "Say: what?"
    assert "--style 'Say: what?'" in summary["command"]


def test_failures_give_exit_code_one_and_the_command_to_retry(type_in, folder, monkeypatch):
    monkeypatch.setenv("SCRIPTED_REFUSES", "37")
    code, out, _ = type_in("recaption", folder.path, "recap", "--captioner", "scripted", "--workers", "0")
    assert code == 1
    assert "ValueError 1" in out
    monkeypatch.delenv("SCRIPTED_REFUSES")
    (line,) = [line for line in out.splitlines() if "--retry-failed" in line]
    code, out, _ = type_in(*line.split("#")[0].split()[1:])
    assert code == 0
    assert "Captioned again 1 image of" in out


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--captioner", "nobody:x"), "error: no captioner 'nobody'; there are coca, embedded"),
        (("--captioner", "scripted", "--engine", "cloud"), "error: --engine cloud: there are local"),
        (("--captioner", "scripted", "--limit", "0"), "error: --limit 0: it must be at least 1"),
    ],
)
def test_mistakes_are_one_line(type_in, folder, options, said):
    code, out, err = type_in("recaption", folder.path, "recap", *options)
    assert code == 1
    assert out == ""
    assert said in err
    assert "Traceback" not in err
