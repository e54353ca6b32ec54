"""The pipeline that travels with the project, and what is said when another cannot be used."""

import shutil
from importlib.resources import files
from pathlib import Path

import pytest
import spacy

from audits.language.pipeline import content_hash, identity, load_pipeline, pipeline_scheme
from recapdata.errors import ModelNotSupported, PipelineNotFound

SHIPPED = Path(str(files("recapdata").joinpath("weights/language")))


def test_the_projects_pipeline_names_its_sources_and_fits():
    nlp = load_pipeline()
    assert pipeline_scheme(nlp) == "ud"
    assert nlp.meta["name"] == "recapdata"
    assert "CC BY-SA 4.0" in nlp.meta["license"]
    assert any(
        "UD English EWT" in source["name"].replace("Universal Dependencies", "UD")
        for source in nlp.meta["sources"]
    )
    assert nlp.meta["performance"]["dep_las"] > 0.75
    assert sum(path.stat().st_size for path in SHIPPED.rglob("*") if path.is_file()) < 25_000_000


def test_identity_changes_with_the_files(tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(SHIPPED, copy)
    before = identity(load_pipeline(str(copy)))
    assert before == identity(load_pipeline())
    assert before.startswith("en_recapdata@")
    assert "+sha256:" in before
    (copy / "vocab" / "strings.json").write_bytes((copy / "vocab" / "strings.json").read_bytes() + b"\n")
    assert content_hash(copy) != content_hash(SHIPPED)
    assert identity(load_pipeline(str(copy))) != before


def test_a_missing_pipeline_is_one_readable_line():
    with pytest.raises(PipelineNotFound, match="'en_core_web_nothing'") as caught:
        load_pipeline("en_core_web_nothing")
    assert "\n" not in str(caught.value)
    assert "spacy download" in str(caught.value)


def test_a_pipeline_without_parser_is_refused(tmp_path):
    spacy.blank("en").to_disk(tmp_path / "blank")
    with pytest.raises(ModelNotSupported, match="no dependencies"):
        load_pipeline(str(tmp_path / "blank"))


def test_a_folder_without_pipeline_is_not_found(tmp_path):
    with pytest.raises(PipelineNotFound, match="neither an installed package nor a folder"):
        load_pipeline(str(tmp_path))
