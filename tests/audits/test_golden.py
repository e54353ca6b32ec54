"""Outputs of the rule sets are those of their declared versions; and what is said where they are not."""

import shutil
from pathlib import Path

import pytest

from audits.extraction import words
from audits.rules import VERSIONS
from tests.audits import golden
from tests.audits.golden import COMMAND, FOLDER, Golden, problems


def test_the_outputs_are_those_of_the_declared_versions() -> None:
    found = problems(Golden())
    assert not found, "\n".join(["", *found])


def test_every_caption_has_a_parse_and_most_have_evidence() -> None:
    """What the outputs rest on: no caption that is left out because its text was never parsed."""
    kept = Golden()
    assert len(kept.captions) >= 300
    assert len({row["id"] for row in kept.captions}) == len(kept.captions)
    assert all("claims" in kept.outputs[row["id"]] for row in kept.captions)
    assert sum("grounding" in row for row in kept.outputs.values()) >= 2 / 3 * len(kept.captions)
    verdicts = {
        each[0] for row in kept.outputs.values() for each in row.get("grounding", {}).get("verdicts", ())
    }
    assert verdicts == {"supported", "contradicted", "unknown"}


@pytest.fixture
def changed(monkeypatch: pytest.MonkeyPatch) -> Golden:
    """ "Three" no longer means 3."""
    monkeypatch.setitem(words.NUMBERS, "three", 30)
    return Golden()


def test_a_changed_rule_under_an_unchanged_version_is_named(changed: Golden) -> None:
    (found,) = [each for each in problems(changed) if each.startswith("claims:")]
    now = VERSIONS["claims"]
    assert f'raise "claims" to {now + 1} in audits/rules.py and run: {COMMAND}' in found
    assert '"count": 30' in found


def test_a_raised_version_asks_for_its_outputs(changed: Golden) -> None:
    raised = {**VERSIONS, "claims": VERSIONS["claims"] + 1}
    (found,) = [each for each in problems(changed, raised) if each.startswith("claims:")]
    assert found == f"claims: version {raised['claims']} has no golden outputs yet; run: {COMMAND}"


def test_versions_only_rise() -> None:
    found = problems(Golden(), {**VERSIONS, "colors": VERSIONS["colors"] - 1, "another": 1})
    assert any(each.startswith("colors: version") and "versions only rise" in each for each in found)
    assert any(each.startswith("another: ") for each in found)


def test_nothing_is_written_under_an_unchanged_version(
    changed: Golden, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(FOLDER, tmp_path / "golden")
    before = {path.name: path.read_bytes() for path in (tmp_path / "golden").iterdir()}
    monkeypatch.setattr(golden, "Golden", lambda folder=tmp_path / "golden": Golden(folder))
    assert golden.main(["--write"]) == 1
    assert "raise the versions first" in capsys.readouterr().out
    assert {path.name: path.read_bytes() for path in (tmp_path / "golden").iterdir()} == before


def test_what_is_written_is_golden(tmp_path: Path) -> None:
    shutil.copytree(FOLDER, tmp_path / "golden")
    kept = Golden(tmp_path / "golden")
    golden.write(kept, tmp_path / "golden")
    assert problems(Golden(tmp_path / "golden")) == []
