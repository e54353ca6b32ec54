"""What audits say they were made by: versions and models, not source files; and audits that say it in an earlier way."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from audits.audited import made_by, notices, open_audit, outdated
from audits.comparison import compare, compare_versions
from audits.language.pipeline import content_hash, identity, load_pipeline
from audits.reporting import write_report
from audits.rules import VERSIONS
from audits.runner.run import run
from audits.runner.text_part import reading_identity
from recapdata.dataset.audit_files import AUDIT_SCHEMA, Identity, read_identity
from recapdata.dataset.folder import DatasetFolder
from recapdata.dataset.target import open_dataset
from recapdata.errors import PublishRefused
from recapdata.publishing.survey import look_at_folder
from recapdata.records import Object
from recapdata.versions.figures import FigureValue
from tests.builders import build_dataset
from tests.console import run_command, succeed

RECAPDATA = Path(sys.executable).with_name("recapdata")
OBJECTS = [[Object(bbox=(0, 0, 4, 4), category="star")]] * 6
SHORT, LONG = ["a star"] * 6, ["a red star on a hill"] * 6
EARLIER = Identity(
    captions="",
    claims="en_recapdata@1.0.0+sha256:0123456789ab rules:ba9876543210",
    clip="clip@sha256:00 caption+hessel+sentences",
    margin="clip@sha256:00 lies:0123456789ab",
    names="names:tagger en_recapdata@1.0.0+sha256:0123456789ab rules:ba9876543210 alt:00",
    copies="copies:5+none",
    evidence="grounding:0123456789ab+ba9876543210 annotations+0123456789abcdef ocr:rapidocr-3.1+0123456789ab",
)
"""What a footer said when identities were hashes of source files."""


@pytest.fixture
def folder(tmp_path: Path) -> DatasetFolder:
    found = build_dataset(tmp_path / "ds", sets={"short": SHORT, "long": LONG}, objects=OBJECTS)
    run(found.path, evidence=["annotations"])
    return found


def rewrite(folder: DatasetFolder, set_name: str, change: object = None, *, hedge: bool = False) -> None:
    """Give a set's audit shards another identity, by a function of theirs, and take the field `hedge` out of its claims."""
    for shard in folder.shards():
        path = folder.audit_shard(set_name, shard)
        found = read_identity(path)
        assert found is not None
        table = pq.read_table(path)
        if not hedge:
            table = table.cast(_without_hedge(table.schema))
        made = change(found) if callable(change) else found
        pq.write_table(table.replace_schema_metadata(made.to_footer()), path)


def _without_hedge(schema: pa.Schema) -> pa.Schema:
    claims = schema.field("claims")
    fields = [each for each in claims.type.value_type if each.name != "hedge"]
    place = schema.get_field_index("claims")
    return schema.set(place, pa.field("claims", pa.list_(pa.struct(fields))))


def to_earlier(found: Identity) -> Identity:
    return Identity(
        **{
            **{name: getattr(EARLIER, name) for name in Identity.__slots__},
            "captions": found.captions,
            "clip": None,
            "margin": None,
        }
    )


def to_version(version: int):
    return lambda found: Identity(
        **{name: getattr(found, name) for name in Identity.__slots__}
        | {"claims": re.sub(r"\bclaims:\d+", f"claims:{version}", found.claims)}
    )


# --- what an identity says -----------------------------------------------------------------------------------------------


def test_identities_hold_versions_and_models_alone(folder: DatasetFolder) -> None:
    found = read_identity(folder.audit_shard("short", 0))
    assert found is not None
    pipeline = identity(load_pipeline())
    assert re.fullmatch(r"en_recapdata@[\d.]+\+sha256:[0-9a-f]{12}", pipeline)
    v = VERSIONS
    text = f"claims:{v['claims']} form:{v['form']} coverage:{v['coverage']} hygiene:{v['hygiene']}"
    assert found.claims == f"{pipeline} {text}"
    judged, source = str(found.evidence).split(" ")
    assert judged == f"grounding:{v['grounding']}"
    assert re.fullmatch(rf"annotations\+v{v['annotations']}-[0-9a-f]{{16}}", source)
    assert found.parts() == {
        "claims": f"{pipeline} claims:{v['claims']} form:{v['form']}",
        "coverage": f"coverage:{v['coverage']}",
        "hygiene": f"hygiene:{v['hygiene']} form:{v['form']}",
        "copies": f"copies:{v['copies']}",
        "evidence": f"grounding:{v['grounding']} annotations+v{v['annotations']}",
    }


def test_a_comment_and_a_moved_file_change_no_identity(tmp_path: Path) -> None:
    """The packages copied elsewhere, every module with a comment more and one of them moved, name themselves as these do."""
    root = Path(__file__).parents[2]
    for package in ("audits", "recapdata"):
        shutil.copytree(root / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__"))
    for path in [*(tmp_path / "audits").rglob("*.py"), *(tmp_path / "audits").rglob("*.yaml")]:
        path.write_text(path.read_text() + "\n# one more comment\n")
    text = tmp_path / "audits" / "text"
    (text / "duplicates.py").rename(text / "copies.py")
    (text / "duplicates.py").write_text("from audits.text.copies import *  # noqa: F403\n")
    (tmp_path / "recapdata" / "weights" / "language" / "README.md").write_text("Retold.")
    ask = (
        "from audits.clip.counterfactuals import counterfactuals_identity; from audits.grounding.verdicts import grounding_identity; "
        "from audits.language.pipeline import load_pipeline; from audits.runner.text_part import reading_identity; "
        "from audits.text.names import Names, names_identity; from audits.text.duplicates import Fingerprints; import numpy; "
        "from audits.evidence.ocr import Reader; from audits.evidence.colors import Pixels; nlp = load_pipeline(); "
        "print(reading_identity(nlp), grounding_identity(), counterfactuals_identity(), names_identity(Names(nlp), nlp), "
        "Fingerprints().repeats().identity(numpy.empty(0, numpy.uint64)), Reader().identity(0), Pixels().identity())"
    )
    here, there = (
        subprocess.run([sys.executable, "-c", ask], cwd=at, capture_output=True, text=True, check=True).stdout
        for at in (root, tmp_path)
    )
    assert here == there
    assert reading_identity(load_pipeline()) in here


def test_a_pipeline_is_known_by_what_it_reads_with(tmp_path: Path) -> None:
    (tmp_path / "parser").write_bytes(b"weights")
    before = content_hash(tmp_path)
    for name in ("README.md", "LICENSE.txt", "meta.json"):
        (tmp_path / name).write_text("of no effect")
    assert content_hash(tmp_path) == before
    (tmp_path / "parser").write_bytes(b"other weights")
    assert content_hash(tmp_path) != before


# --- other versions ------------------------------------------------------------------------------------------------------


def test_other_rules_compare_what_does_not_rest_on_them(folder: DatasetFolder) -> None:
    rewrite(folder, "short", to_version(VERSIONS["claims"] + 1), hedge=True)
    found = compare(folder.path, "short", set_b="long")
    verdicts = {figure.name: figure.verdict for figure in found.figures}
    assert verdicts["object coverage"] == verdicts["object precision"] == "not compared"
    assert verdicts["words (median)"] == "different"
    assert verdicts["hygiene flags"] == "no difference"
    (line,) = [line for line in found.text().splitlines() if line.startswith("not compared:")]
    assert line.startswith("not compared: object coverage, count coverage, color coverage and ")
    now = VERSIONS["claims"]
    assert (
        f" more figures cannot be compared, because claims were read by claims rules {now + 1} in short and by claims rules "
        f"{now} in long; run: audits run {folder.path} --captions short --captions long --evidence annotations"
    ) in line


def test_what_a_comparison_says_to_type_makes_it_comparable(folder: DatasetFolder) -> None:
    rewrite(folder, "short", to_earlier)
    (reason, *_) = next(
        each.reasons for each in compare(folder.path, "short", set_b="long").figures if each.reasons
    )
    (command,) = reason.command.replace(",ocr", "").split(" && ")
    succeed(*command.split(" "))
    assert not any(figure.reasons for figure in compare(folder.path, "short", set_b="long").figures)


def test_rules_of_one_part_do_not_make_another_stale(
    folder: DatasetFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(VERSIONS, "grounding", VERSIONS["grounding"] + 1)
    made = open_audit(open_dataset(folder.path), "short").made
    assert outdated(made) == ["evidence"]
    assert run(folder.path, evidence=["annotations"]).computed == 4
    assert outdated(open_audit(open_dataset(folder.path), "short").made) == []


# --- earlier audits ------------------------------------------------------------------------------------------------------


def test_an_earlier_identity_has_parts_by_earlier_rules() -> None:
    assert EARLIER.parts() == {
        "claims": "en_recapdata@1.0.0+sha256:0123456789ab earlier",
        "coverage": "earlier",
        "hygiene": "earlier",
        "copies": "earlier",
        "names": "names:tagger en_recapdata@1.0.0+sha256:0123456789ab earlier",
        "clip": "clip@sha256:00 earlier",
        "margin": "clip@sha256:00 earlier",
        "evidence": "earlier annotations+earlier ocr:rapidocr-3.1+earlier",
    }


def test_earlier_audits_are_read_and_compare_with_nothing(folder: DatasetFolder, tmp_path: Path) -> None:
    rewrite(folder, "short", to_earlier)
    for one, other in (("short", "long"), ("long", "short"), ("short", "short")):
        found = compare(folder.path, one, set_b=other)
        assert {figure.verdict for figure in found.figures} == {"not compared"}
        assert "cannot be compared, because short was audited by earlier rules; run: " in found.text()
        assert f"run: audits run {folder.path} --captions " in found.text()


def test_an_earlier_audit_is_stale(folder: DatasetFolder) -> None:
    rewrite(folder, "short", to_earlier)
    assert run(folder.path, captions=["short"], evidence=["annotations"]).computed == 2
    assert pq.read_schema(folder.audit_shard("short", 0)).remove_metadata() == AUDIT_SCHEMA


def test_claims_without_a_hedge_are_read_as_plain_ones(folder: DatasetFolder, tmp_path: Path) -> None:
    whole = open_audit(open_dataset(folder.path), "long")
    before = [batch.to_pylist() for _, _, batch in whole.batches(["key", "claims"])]
    rewrite(folder, "long")
    assert "hedge" not in str(pq.read_schema(folder.audit_shard("long", 0)))
    padded = open_audit(open_dataset(folder.path), "long")
    assert [batch.to_pylist() for _, _, batch in padded.batches(["key", "claims"])] == before
    assert padded.rows(0, [1])[0]["claims"] == before[0][1]["claims"]
    page = tmp_path / "page.html"
    write_report(folder.path, page)
    assert "made by earlier rules" not in page.read_text()
    assert {each.verdict for each in compare(folder.path, "short", set_b="long").figures} > {
        "not compared"
    } - {"not compared"}


def test_two_schemas_are_not_published_together(folder: DatasetFolder) -> None:
    rewrite(folder, "long")
    with pytest.raises(
        PublishRefused, match=rf"run: audits run {folder.path} --captions short --captions long"
    ):
        look_at_folder(folder)
    assert run(folder.path, evidence=["annotations"]).computed == 2  # the columns alone make them stale
    look_at_folder(folder)


def test_the_report_says_what_was_made_by_earlier_rules(folder: DatasetFolder, tmp_path: Path) -> None:
    rewrite(folder, "long", to_earlier)
    write_report(folder.path, tmp_path / "page.html")
    text = (tmp_path / "page.html").read_text()
    assert (
        "the audit of long was made by earlier rules (claims, coverage, hygiene, copies, names, evidence)"
        in text
    )
    assert f"run: audits run {folder.path} --captions long --evidence annotations,ocr" in text


def test_sets_shown_side_by_side_are_compared(folder: DatasetFolder) -> None:
    target = open_dataset(folder.path)
    short, long = (open_audit(target, name).made for name in ("short", "long"))
    figures = {"long": {"object coverage": FigureValue(value=1.0, rests_on=("claims",))}}
    assert notices([short, long], figures) == []
    rewrite(
        folder,
        "long",
        lambda found: Identity(
            **{name: getattr(found, name) for name in Identity.__slots__}
            | {"claims": found.claims.replace("en_recapdata@", "en_other@")}
        ),
    )
    (notice,) = notices([short, open_audit(target, "long").made], figures)
    assert notice.startswith("object coverage cannot be compared, because claims were read by en_recapdata@")


def test_the_summary_says_what_its_sets_were_made_by(folder: DatasetFolder) -> None:
    summary = json.loads((folder.path / "audits" / "summary.json").read_text())
    identities = [read_identity(folder.audit_shard("short", shard)) for shard in folder.shards()]
    assert summary["sets"]["short"]["made_by"] == made_by([each for each in identities if each])
    assert summary["sets"]["short"]["figures"]["object precision"]["rests_on"] == ["claims", "evidence"]


def test_a_version_before_and_one_after(hub, repo_id: str, folder: DatasetFolder) -> None:
    """Published with an earlier audit, audited again and published: `publish`, `diff` and `compare` name the same remedy."""
    summary = folder.path / "audits" / "summary.json"
    for name in ("short", "long"):
        rewrite(folder, name, to_earlier)
    found = json.loads(summary.read_text())
    for each in found["sets"].values():
        del each["made_by"]
    summary.write_text(json.dumps(found))
    publish = ["recapdata", "publish", folder.path, repo_id, "--license", "cc0-1.0"]
    succeed(*publish, "--version", "1.0.0", "--yes")
    run(folder.path, evidence=["annotations"])
    planned = run_command(*publish, "--version", "1.0.1")
    assert planned.returncode == 2, planned.stderr
    remedy = f"audits run {repo_id}@v1.0.0 --captions short "
    told = " ".join(planned.stdout.split())
    assert "cannot be compared, because" in told
    assert remedy in told
    succeed(*publish, "--version", "1.0.1", "--yes")
    values = json.loads(succeed("recapdata", "diff", f"{repo_id}@v1.0.0", f"{repo_id}@v1.0.1", "--json"))
    assert values["figures_comparable"] is False
    assert {figure["verdict"] for figure in values["figures"]} <= {"not compared", ""}
    assert len(values["not_compared"]) == 2
    text = compare_versions(f"{repo_id}@v1.0.0", f"{repo_id}@v1.0.1").text()
    assert remedy in text
