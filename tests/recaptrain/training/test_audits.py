"""What a run knows of the audit of its captions."""

from recapdata.dataset.target import open_dataset
from recaptrain.training.audits import read_audits
from tests.builders import build_dataset, write_audit, write_captions


def test_the_figures_of_the_sets_and_whether_they_are_of_these_captions(tmp_path):
    dataset = build_dataset(tmp_path / "ds", rows=4, sets={name: ["x y"] * 4 for name in ("a", "b", "c")})
    assert read_audits(open_dataset(dataset.path), ["a", "b"]) == {}
    write_audit(dataset, ["a", "b"], figures={"object precision": (0.9, 0.85, 0.95)})
    before = read_audits(open_dataset(dataset.path), ["a", "c"])
    assert list(before) == ["a"]
    assert before["a"].current
    assert before["a"].figures["object precision"].value == 0.9
    keys = dataset.read_captions("a", 0).column("key").to_pylist()
    write_captions(dataset, "a", 0, keys, ["z"] * 4)
    after = read_audits(open_dataset(dataset.path), ["a", "b"])
    assert (after["a"].current, after["b"].current) == (False, True)
    assert after["a"].digest == before["a"].digest
    write_audit(dataset, ["a"], figures={"object precision": (0.8, 0.75, 0.85)})
    again = read_audits(open_dataset(dataset.path), ["a"])["a"]
    assert again.current
    assert again.digest != before["a"].digest
