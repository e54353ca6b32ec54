"""Captioners, sources and evidence from outside the package, by dotted path and by entry point, as CONTRIBUTING shows them."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest

import audits
import recapdata
from audits.evidence import open_evidence
from recapdata.captioners import CaptionerOptions, open_captioner, parse_captioner
from recapdata.dataset.target import open_dataset
from recapdata.errors import (
    CaptionerNotFound,
    ModelNotSupported,
    OptionError,
    RecapdataError,
    SourceNotFound,
)
from recapdata.ingestion import IngestOptions, open_source
from recapdata.registry import Registry
from tests.builders import build_dataset

TEXT = (Path(__file__).parent.parent / "CONTRIBUTING.md").read_text(encoding="utf8")
SECTION = TEXT.partition("## From outside the package")[2]
MINE = re.findall(r"```python\n(.*?)```", SECTION, re.DOTALL)[0]
COMMANDS = re.findall(r"^    ((?:recapdata|audits) .*)$", SECTION, re.MULTILINE)


@pytest.fixture
def mine(tmp_path, monkeypatch):
    """The module of CONTRIBUTING in a folder on the path, with broken ones beside it."""
    folder = tmp_path / "on_path"
    folder.mkdir()
    (folder / "mine.py").write_text(MINE)
    (folder / "wrong.py").write_text(
        "from mine import Captioner, Plain, Source\n"
        "a_list = []\n"
        "def takes_nothing(): ...\n"
        "def fails(options): raise KeyError('weights')\n"
        "def gives_nothing(*given): ...\n"
        "class Nameless(Captioner):\n"
        "    def __init__(self, options):\n"
        "        from recapdata.records import Provenance\n"
        "        self.provenance = Provenance(writer='model')\n"
        "class Blank(Plain):\n"
        "    def identity(self, shard): return 'my evidence'\n"
        "class Strings(Captioner):\n"
        "    def caption(self, prepared, keys): return ['a dog' for _ in keys]\n"
        "class Fewer(Captioner):\n"
        "    def caption(self, prepared, keys): return super().caption(prepared, keys)[1:]\n"
        "class Bare(Plain):\n"
        "    def identity(self, shard): return 'wrong:Bare+v1'\n"
        "    def collect(self, records): return [()] * len(records)\n"
        "class Undeclared(Source):\n"
        "    columns = {}\n"
        "class Short(Bare):\n"
        "    def collect(self, records): return []\n"
    )
    monkeypatch.syspath_prepend(folder)
    monkeypatch.chdir(tmp_path)
    yield folder
    for name in ("mine", "wrong"):
        sys.modules.pop(name, None)


def test_from_the_command_line(mine, tmp_path):
    assert len(MINE.splitlines()) <= 80
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(Path(__file__).parent.parent), str(mine)]),
    }
    for command in COMMANDS * 2:  # the second time nothing is left to do
        package, *words = command.split()
        done = subprocess.run(
            [sys.executable, "-c", f"from {package}.cli import main; main()", *words, "--json"],
            capture_output=True,
            text=True,
            env=environment,
            cwd=tmp_path,
        )
        assert done.returncode == 0, done.stderr
    summary = json.loads(done.stdout)
    assert (summary["computed"], summary["kept"]) == (0, 1)
    assert summary["evidence"] == ["mine:open_evidence"]
    rows = pq.read_table(tmp_path / "gray" / "audits" / "light" / "train-00000.parquet").to_pylist()
    assert len(rows) == 6
    assert {claim["verdict"] for row in rows for claim in row["claims"] if claim["kind"] == "object"} == {
        "contradicted"
    }
    captions = pq.read_table(tmp_path / "gray" / "captions" / "light" / "train-00000.parquet")["caption"]
    words = [text.split()[1] for text in captions.to_pylist()]
    assert words == ["dark"] * 4 + ["bright"] * 2  # grays of 0, 40, … 200; bright is above 127
    provenance = open_dataset(tmp_path / "gray").manifest.sets["light"]
    assert (provenance.model, provenance.revision) == ("brightness", "1")


def test_by_entry_point(mine, tmp_path):
    info = mine / "brightness-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: brightness\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "[recapdata.captioners]\nbrightness = mine:open_captioner\nvlm = mine:never\n"
        "[recapdata.sources]\ngray = mine:open_source\n"
        "[audits.evidence]\nplain = mine:open_evidence\n"
    )
    assert parse_captioner("brightness") == ("brightness", None)
    assert parse_captioner("brightness:big") == ("brightness", "big")
    assert open_captioner("brightness", CaptionerOptions()).provenance.captioner == "brightness"
    with pytest.raises(OptionError, match="vlm:user/name"):  # a name of the table stays what it is
        open_captioner("vlm", CaptionerOptions())
    assert open_source("gray:3", IngestOptions()).total == 3
    build_dataset(tmp_path / "ds")
    assert open_evidence("plain:cat", open_dataset(tmp_path / "ds")).scope.classes == {"cat"}
    with pytest.raises(
        CaptionerNotFound,
        match=r"no captioner 'brightnes' \(did you mean brightness\?\); there are coca, .*vlm, brightness, or",
    ):
        parse_captioner("brightnes:x/y")


def test_two_packages_of_one_name(mine):
    for name in ("one", "two"):
        info = mine / f"{name}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[recapdata.captioners]\nbrightness = {name}:open\n")
    with pytest.raises(
        CaptionerNotFound, match=r"two installed packages declare .* 'brightness': (one|two):open"
    ):
        open_captioner("brightness", CaptionerOptions())


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("wrong:nothing", "wrong has no nothing$"),
        ("nowhere_at_all:open", "no captioner 'nowhere_at_all'; .* there is no module nowhere_at_all"),
        ("recapdata.nowhere:open", "^recapdata.nowhere:open: there is no module recapdata.nowhere"),
        ("wrong:a_list", "wrong:a_list is a list and not a function that opens a captioner"),
        ("wrong:takes_nothing", r"wrong:takes_nothing\(\) cannot be called with \(CaptionerOptions\)"),
        ("wrong:fails", "wrong:fails failed: KeyError: 'weights'"),
        (
            "wrong:gives_nothing",
            "returned a NoneType, which is no captioner: it has no provenance, prepare, ",
        ),
        ("wrong:Nameless", "wrong:Nameless does not say who writes"),
    ],
)
def test_what_cannot_be_used_is_one_line(mine, name, message):
    with pytest.raises(CaptionerNotFound, match=message) as raised:
        open_captioner(name, CaptionerOptions())
    assert "\n" not in str(raised.value)


def test_sources_and_evidence_that_cannot_be_used(mine, tmp_path):
    build_dataset(tmp_path / "ds")
    with pytest.raises(
        SourceNotFound, match="wrong:gives_nothing returned a NoneType, which is no kind of source"
    ):
        open_source("wrong:gives_nothing", IngestOptions())
    with pytest.raises(OptionError, match=r"wrong:Blank: its identity must name .* is 'my evidence'"):
        open_evidence("wrong:Blank", open_dataset(tmp_path / "ds"))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (
            "wrong:Strings",
            "the captioner brightness returned 6 of type str for 6 images; it has to return one ",
        ),
        (
            "wrong:Fewer",
            "the captioner brightness returned 5 of type Caption for 6 images; it has to return one ",
        ),
    ],
)
def test_captions_of_another_type_or_number(mine, name, message):
    recapdata.ingest("mine:open_source:6", "gray")
    with pytest.raises(ModelNotSupported, match=message):
        recapdata.recaption("gray", "light", captioner=name)
    assert recapdata.open_dataset("gray").set_names() == []  # so that the mended captioner begins anew


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (
            "wrong:Bare",
            "the evidence source plain returned 6 of type tuple for 6 records; it has to return one ",
        ),
        (
            "wrong:Short",
            "the evidence source plain returned 0 of type none for 6 records; it has to return one ",
        ),
    ],
)
def test_evidence_of_another_type_or_number(mine, name, message):
    recapdata.ingest("mine:open_source:6", "gray")
    recapdata.import_captions("gray", "alt", "alt_text")
    with pytest.raises(OptionError, match=message):
        audits.run("gray", evidence=[name])


def test_a_column_that_the_source_does_not_declare(mine):
    summary = recapdata.ingest("wrong:Undeclared:2", "gray")
    assert (summary.counts.records, summary.counts.failures) == (0, 2)
    assert "UndeclaredColumn" in summary.text()
    assert "column 'alt_text' is not among the columns of the source" in summary.text()


def test_a_registry_without_names(mine):
    with pytest.raises(OptionError, match=r"^no figure 'shouting'; give package.module:name$"):
        Registry(kind="figure", table={}, group="nobody.declares.this").split("shouting")


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("b", ("b", None)),
        ("b:", ("b", "")),
        ("b:c:d", ("b", "c:d")),  # a name of the table takes all that follows
        ("m.n:f", ("m.n:f", None)),
        ("m:f:x:y/z", ("m:f", "x:y/z")),
        ("m:f/z", None),
        ("m", None),
        ("s3://bucket", None),
    ],
)
def test_names_paths_and_arguments(text, parts):
    registry = Registry(kind="thing", table={"b": "x:y"}, group="nobody.declares.this")
    if parts is None:
        with pytest.raises(
            RecapdataError, match=r"no thing '(m|s3)'; there are b, or give package.module:function"
        ):
            registry.split(text)
    else:
        assert registry.split(text) == parts
