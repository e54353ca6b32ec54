"""`recapdata diff` over folders and versions, through the console command."""

import json

from recapdata.publishing import plan_publication, publish
from recapdata.versions.difference import diff
from tests.builders import add_set, build_dataset, write_audit, write_captions
from tests.console import succeed


def test_two_folders(tmp_path):
    before = build_dataset(tmp_path / "a", sets=["alt", "old"])
    after = build_dataset(
        tmp_path / "b", rows=7, sets={"alt": ["alt 0", "new\nline", *(f"alt {i}" for i in range(2, 7))]}
    )
    write_audit(before, ["alt"], {"object coverage": (0.2, 0.1, 0.3)})
    write_audit(after, ["alt"], {"object coverage": (0.6, 0.5, 0.7)})
    text = diff(str(before.path), str(after.path)).text()
    for words in (
        "Rows        6 → 7  (+1 −0)",
        "Set         − old",
        "Captions    alt: 1 caption changed",
        "− alt 1",
        "+ new line",
        "is a MAJOR one",
        "better",
    ):
        assert words in text


def test_the_same_twice(tmp_path):
    folder = build_dataset(tmp_path / "a")
    summary = diff(str(folder.path), str(folder.path))
    assert summary.fingerprints[0] == summary.fingerprints[1]
    assert "Rows, columns and captions are the same." in summary.text()
    assert "neither was audited" in summary.text()


def test_two_versions_by_the_command(hub, repo_id, tmp_path):
    folder = build_dataset(tmp_path / "a", license="mit")
    first = publish(plan_publication(folder.path, repo_id, version="1.0.0"))
    write_captions(folder, "alt", 0, folder.read_keys(0), ["alt 0", None, "alt 2", "alt 3"])
    add_set(folder, "new", ["x"] * 6)
    write_audit(folder, ["new"])
    publish(plan_publication(folder.path, repo_id, version="1.1.0"))
    command = ["recapdata", "diff", f"{repo_id}@v1.0.0", f"{repo_id}@v1.1.0"]
    values = json.loads(succeed(*command, "--json"))
    assert values["before"] == f"{repo_id}@{first.commit}"
    assert (values["level"], values["sets_added"]) == ("minor", ["new"])
    assert values["captions"]["alt"]["changed"] == 1
    assert values["captions"]["alt"]["examples"][0]["after"] is None
    assert f"of {repo_id}@v1.1.0 only" in succeed(*command)


def test_figures_that_are_the_same_are_counted_and_not_listed(tmp_path):
    same = {f"figure {number}": (0.5, 0.4, 0.6) for number in range(50)}
    folders = [build_dataset(tmp_path / name, sets=["alt"]) for name in "ab"]
    for folder, value in zip(folders, (0.2, 0.6), strict=True):
        write_audit(folder, ["alt"], {**same, "object coverage": (value, value - 0.1, value + 0.1)})
    summary = diff(str(folders[0].path), str(folders[1].path))
    text = summary.text()
    heads, row = text.split("\nAudit\n")[1].split("\n")[:2]
    assert heads.split()[0] == "alt"
    assert heads.endswith("/b")  # the figures' heads are the two targets
    assert "object coverage" in row
    assert "figure 7" not in text
    assert "50 other figures are the same" in text
    assert len(summary.to_dict()["figures"]) == 51
    html = summary._repr_html_()
    assert "figure 7" not in html
    assert "(NONE)" not in html
    assert "50 other figures are the same" in html
