"""From the name of a model to its pinned revision."""

import hashlib

import pytest

from recapdata.dataset.target import open_dataset
from recapdata.errors import CaptionerNotFound, OptionError
from recapdata.ingestion import ingest
from recapdata.models.sources import caution, resolve_model
from recapdata.weights import content_revision, embedded_path
from tests.builders import build_dataset, png


@pytest.fixture
def folder(tmp_path):
    model = tmp_path / "model"
    (model / "part").mkdir(parents=True)
    (model / "config.json").write_bytes(b"{}")
    (model / "part" / "w.safetensors").write_bytes(b"weights")
    return model


def test_revision_of_a_folder_is_the_hash_of_its_files(folder):
    lines = "".join(
        f"{name}\0{hashlib.sha256(content).hexdigest()}\n"
        for name, content in (("config.json", b"{}"), ("part/w.safetensors", b"weights"))
    )
    assert content_revision(folder) == "sha256:" + hashlib.sha256(lines.encode()).hexdigest()


def test_documentation_hidden_files_and_the_run_that_made_it_change_nothing(folder):
    before = content_revision(folder)
    (folder / "README.md").write_text("hello")
    (folder / ".cache").mkdir()
    (folder / ".cache" / "x").write_text("hello")
    (folder / "training" / "step-2").mkdir(parents=True)
    (folder / "training" / "step-2" / "model.safetensors").write_bytes(b"weights")
    assert content_revision(folder) == before
    (folder / "config.json").write_bytes(b"{ }")
    assert content_revision(folder) != before


def test_a_folder_is_its_own_place(folder):
    source = resolve_model(str(folder), kind="captioner")
    assert (source.location, source.commit, source.revision) == (str(folder), None, content_revision(folder))
    assert resolve_model(str(folder), kind="captioner", revision=source.revision) == source
    with pytest.raises(OptionError, match="hash of its files"):
        resolve_model(str(folder), kind="captioner", revision="v1")


def test_embedded_models_travel_with_the_package():
    source = resolve_model("embedded", kind="captioner")
    assert source.name == "embedded"
    assert source.location == str(embedded_path("captioner"))
    with pytest.raises(CaptionerNotFound, match="there are captioner, captioner-base, clip"):
        embedded_path("detector")


def test_a_model_that_is_nowhere_is_named(hub):
    with pytest.raises(
        CaptionerNotFound, match=r"me/nothing: no such folder, and no such model on http://127"
    ):
        resolve_model("me/nothing", kind="captioner")
    with pytest.raises(CaptionerNotFound, match="no such folder"):
        resolve_model("./not/there", kind="captioner")


def test_the_embedded_models_warn_before_photographs_and_not_before_scenes(tmp_path):
    ingest("scenes:3", tmp_path / "scenes")
    photographs = build_dataset(tmp_path / "photographs", images=[png(row, (640, 480)) for row in range(3)])
    assert caution("embedded", open_dataset(tmp_path / "scenes")) is None
    assert caution("google/paligemma2-3b-pt-448", open_dataset(photographs.path)) is None
    assert "knows drawn scenes only, and 3 of the first 3 pictures" in caution(
        "embedded", open_dataset(photographs.path)
    )
