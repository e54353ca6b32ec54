"""The audit run on a folder and on a published version: rows, figures, and what is computed again when something changes."""

import json
import sys
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from audits.runner.run import run
from recapdata.dataset.audit_files import AUDIT_SCHEMA, read_identity
from recapdata.dataset.folder import DatasetFolder
from recapdata.dataset.target import open_dataset
from recapdata.errors import CaptionSetNotFound, ModelNotSupported, OptionError
from recapdata.records import Claim, Object, image_key
from tests.audits.models import save_small_clip
from tests.builders import build_dataset, png, write_captions
from tests.calls import AVAILABLE
from tests.console import run_command
from tests.forked import KILLED, Forks

AUDITS = Path(sys.executable).with_name("audits")
ALT = ["a dog", "two dogs", None, "a red car", "a cat on a table", "dog."]
LONG = ["A brown dog. It sits.", "Three dogs.", "A cat.", "A car.", "A cat.", "Nothing here."]
DOG = Object(bbox=(0, 0, 4, 4), category="dog")
CAR = Object(bbox=(0, 0, 4, 4), category="car")
OBJECTS = [[DOG], [DOG, DOG], [DOG], [CAR], [CAR], [DOG]]


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_small_clip(tmp_path_factory.mktemp("models") / "small")


@pytest.fixture
def folder(tmp_path: Path) -> DatasetFolder:
    """Six records in shards of four and two."""
    return build_dataset(tmp_path / "ds", sets={"alt": ALT, "long": LONG}, objects=OBJECTS)


def rows(folder: DatasetFolder, set_name: str) -> list[dict]:
    tables = [pq.read_table(folder.audit_shard(set_name, shard)) for shard in folder.shards()]
    return [row for table in tables for row in table.to_pylist()]


def stamps(folder: DatasetFolder) -> dict[str, int]:
    found = sorted((folder.path / "audits").glob("*/*.parquet"))
    return {f"{path.parent.name}/{int(path.stem[6:])}": path.stat().st_mtime_ns for path in found}


def rewritten(folder: DatasetFolder, before: dict[str, int]) -> set[str]:
    return {name for name, stamp in stamps(folder).items() if before.get(name) != stamp}


def test_rows_follow_the_captions(folder: DatasetFolder) -> None:
    run(folder.path, captions=["alt"])
    table = pq.read_table(folder.audit_shard("alt", 0))
    assert table.schema.remove_metadata() == AUDIT_SCHEMA
    found = rows(folder, "alt")
    assert [row["key"] for row in found] == [image_key(png(index)) for index in range(6)]
    assert {row["set"] for row in found} == {"alt"}
    # The third caption is missing: it keeps its row and is neither read nor scored.
    assert (found[2]["claims"], found[2]["scores"]) == (None, None)
    assert Claim.from_struct(found[0]["claims"][0]) == Claim(kind="object", span=(2, 5), object="dog")
    assert found[3]["scores"]["words"] == 3
    assert found[0]["scores"]["clip_score"] is None


def test_summary_counts_by_hand(folder: DatasetFolder) -> None:
    summary = run(folder.path, evidence=["annotations"])
    written = json.loads((folder.path / "audits" / "summary.json").read_text())
    assert written == open_dataset(folder.path).summary()
    assert written["sets"] == summary.sets
    assert (written["records"], written["evidence"], written["clip"]) == (6, ["annotations"], None)
    alt = written["sets"]["alt"]
    assert (alt["captions"], alt["missing"]) == (5, 1)
    figures = {name: figure["value"] for name, figure in alt["figures"].items()}
    assert figures["count coverage"] == pytest.approx(1 / 5)
    # dog, dogs, car, cat, dog can be judged ("table" may be any): only the cat is not there.
    assert figures["object precision"] == pytest.approx(4 / 5)
    assert figures["object recall"] == pytest.approx(4 / 5)
    assert figures["count precision"] == 1.0
    assert written["sets"]["long"]["figures"]["count precision"]["value"] == 0.0  # "Three dogs" of two
    assert alt["habits"]["final_stop"] == pytest.approx(1 / 5)
    assert "object precision" in summary.text()
    assert "no claim was judged" not in summary.text()
    assert summary.complete


def test_verdicts_stand_in_the_rows(folder: DatasetFolder) -> None:
    run(folder.path, captions=["alt"], evidence=["annotations"])
    cat = next(claim for claim in rows(folder, "alt")[4]["claims"] if claim["object"] == "cat")
    assert (cat["verdict"], cat["evidence"]) == ("contradicted", "annotations: no cat")
    assert rows(folder, "alt")[4]["scores"]["missed"] == ["car"]


def test_nothing_is_computed_twice(folder: DatasetFolder, clip: Path) -> None:
    first = run(folder.path, clip=str(clip), evidence=["annotations"])
    before = stamps(folder)
    second = run(folder.path, clip=str(clip), evidence=["annotations"])
    assert (first.computed, first.kept) == (4, 0)
    assert (second.computed, second.kept) == (0, 4)
    assert rewritten(folder, before) == set()
    assert second.sets == first.sets


def test_a_changed_caption_shard_alone_is_audited_again(folder: DatasetFolder) -> None:
    run(folder.path)
    before, kept = stamps(folder), rows(folder, "long")[:4]
    write_captions(folder, "long", 1, folder.read_keys(1), ["a bird", "two birds"])
    run(folder.path)
    assert rewritten(folder, before) == {"long/1"}
    assert rows(folder, "long")[:4] == kept
    assert rows(folder, "long")[4]["claims"][0]["object"] == "bird"


def test_captions_are_held_against_the_alt_text_of_their_row(folder: DatasetFolder) -> None:
    write_captions(folder, "alt", 1, folder.read_keys(1), ["my dogs Rex and Bella play in Paris", "dog.jpg"])
    summary = run(folder.path)
    assert summary.sets["long"]["figures"]["named entities kept from alt text"]["value"] == 0
    assert "named entities kept from alt text" not in summary.sets["alt"]["figures"]
    write_captions(folder, "long", 1, folder.read_keys(1), ["Rex in paris.", "A cat."])
    before = stamps(folder)
    summary = run(folder.path)
    scores = [row["scores"] for row in rows(folder, "long")]
    assert (scores[4]["entities_present"], scores[4]["entities_kept"]) == (3, 2)
    assert (scores[4]["entities_lost"], scores[0]["entities_present"]) == (["Bella"], 0)
    assert summary.sets["long"]["figures"]["named entities kept from alt text"]["value"] == pytest.approx(
        2 / 3
    )
    assert rewritten(folder, before) == {"long/1"}
    # With other alt text other names count; the claims of the long captions stay as they are.
    write_captions(folder, "alt", 1, folder.read_keys(1), ["a photo of Rex", "dog.jpg"])
    run(folder.path)
    assert rows(folder, "long")[4]["scores"]["entities_lost"] == []
    assert rewritten(folder, before) == {"alt/1", "long/1"}


def test_a_caption_on_many_images_is_flagged_in_every_shard(tmp_path: Path) -> None:
    captions = ["Home page", "home  page", "a dog", "HOME PAGE", "Home page", "a cat"]
    folder = build_dataset(tmp_path / "ds", sets={"alt": captions})
    run(folder.path)
    assert [row["scores"]["copies"] for row in rows(folder, "alt")] == [None] * 6  # four are not many
    before = stamps(folder)
    write_captions(folder, "alt", 1, folder.read_keys(1), ["Home page", "home page"])
    summary = run(folder.path)
    found = [row["scores"] for row in rows(folder, "alt")]
    assert [scores["copies"] for scores in found] == [5, 5, None, 5, 5, 5]
    assert [scores["flags"] for scores in found] == [
        ["many_images"] if each["copies"] else [] for each in found
    ]
    assert rewritten(folder, before) == {"alt/0", "alt/1"}
    assert summary.sets["alt"]["figures"]["captions on many images"]["value"] == pytest.approx(5 / 6)
    assert summary.sets["alt"]["figures"]["hygiene flags"]["value"] == 0
    # The first shard alone changes back; nothing of its claims was lost on the way.
    write_captions(folder, "alt", 1, folder.read_keys(1), ["a bird", "two birds"])
    run(folder.path)
    assert [row["scores"]["flags"] for row in rows(folder, "alt")] == [[]] * 6
    assert rows(folder, "alt")[2]["claims"][0]["object"] == "dog"


def test_margins_depend_on_claims_and_model_and_scores_do_not(
    folder: DatasetFolder, clip: Path, monkeypatch
) -> None:
    summary = run(folder.path, captions=["alt"], clip=str(clip), clip_scores=["caption"])
    assert "CLIP margin over the nearest lie" not in summary.sets["alt"]["figures"]
    plain = rows(folder, "alt")
    summary = run(folder.path, captions=["alt"], clip=str(clip), clip_scores=["margin"])
    both = rows(folder, "alt")
    assert summary.clip is not None
    # "two dogs": another number, another animal; the score of the run before is still there.
    assert both[1]["scores"]["lied_about"] == ["object", "count"]
    assert both[1]["scores"]["clip_lie"] != "two dogs"
    assert [each["scores"] and each["scores"]["clip_score"] for each in both] == [
        each["scores"] and each["scores"]["clip_score"] for each in plain
    ]
    assert both[5]["scores"]["clip_over_context"] is False
    # Other rules for claims: the lies told of the old ones are gone until they are asked for.
    monkeypatch.setattr("audits.runner.run.reading_identity", lambda nlp: "other rules")
    run(folder.path, captions=["alt"])
    after = rows(folder, "alt")[1]["scores"]
    assert (after["clip_margin"], after["lied_about"]) == (None, None)
    assert after["clip_score"] == plain[1]["scores"]["clip_score"]
    assert read_identity(folder.audit_shard("alt", 0)).margin is None


def test_parts_are_added_and_kept(folder: DatasetFolder, clip: Path) -> None:
    run(folder.path, captions=["alt"])
    bare = rows(folder, "alt")
    run(folder.path, captions=["alt"], clip=str(clip))
    scored = rows(folder, "alt")
    assert all(row["scores"]["clip_score"] is not None for row in scored if row["scores"])
    assert [row["claims"] for row in scored] == [row["claims"] for row in bare]
    # Evidence comes to it, and the scores of the run before are still there though this one has no model.
    summary = run(folder.path, captions=["alt"], evidence=["annotations"])
    both = rows(folder, "alt")
    assert [row["scores"] and row["scores"]["clip_score"] for row in both] == [
        row["scores"] and row["scores"]["clip_score"] for row in scored
    ]
    assert both[0]["claims"][0]["verdict"] == "supported"
    assert summary.clip is not None
    assert summary.clip.startswith("small@sha256:")


def test_another_clip_model_scores_again_and_leaves_the_claims(
    folder: DatasetFolder, clip: Path, tmp_path: Path
) -> None:
    run(folder.path, captions=["alt"], clip=str(clip), evidence=["annotations"])
    before = rows(folder, "alt")
    run(folder.path, captions=["alt"], clip=str(save_small_clip(tmp_path / "other", seed=1)))
    after = rows(folder, "alt")
    assert [row["claims"] for row in after] == [row["claims"] for row in before]
    assert before[0]["scores"]["clip_score"] != after[0]["scores"]["clip_score"]


def test_changed_evidence_judges_again(folder: DatasetFolder, tmp_path: Path, clip: Path) -> None:
    run(folder.path, captions=["alt"], evidence=["annotations"], clip=str(clip))
    scored = rows(folder, "alt")
    # The same records and captions, but the fifth picture now has a cat.
    other = build_dataset(
        tmp_path / "other", sets={"alt": ALT}, objects=[*OBJECTS[:4], [Object(category="cat")], OBJECTS[5]]
    )
    for shard in folder.shards():
        other.image_shard(shard).replace(folder.image_shard(shard))
    run(folder.path, captions=["alt"], evidence=["annotations"])
    assert rows(folder, "alt")[4]["claims"][0]["verdict"] == "supported"
    assert rows(folder, "alt")[4]["scores"]["clip_score"] == scored[4]["scores"]["clip_score"]


def test_changed_captions_lose_what_was_not_asked_for(folder: DatasetFolder, clip: Path) -> None:
    run(folder.path, captions=["alt"], clip=str(clip), evidence=["annotations"])
    write_captions(folder, "alt", 1, folder.read_keys(1), ["a bird", "two birds"])
    run(folder.path, captions=["alt"])
    late = rows(folder, "alt")[4]
    assert (late["scores"]["clip_score"], late["claims"][0]["verdict"]) == (None, None)
    identity = read_identity(folder.audit_shard("alt", 1))
    assert identity is not None
    assert (identity.clip, identity.evidence) == (None, None)


def test_sets_audited_before_stay_in_the_summary_while_they_hold(folder: DatasetFolder, capsys) -> None:
    run(folder.path, captions=["alt"])
    assert set(run(folder.path, captions=["long"]).sets) == {"alt", "long"}
    write_captions(folder, "alt", 1, folder.read_keys(1), ["a bird", "two birds"])
    assert set(run(folder.path, captions=["long"]).sets) == {"long"}
    assert "alt: its earlier audit" in capsys.readouterr().err


def test_an_unfinished_set_is_audited_in_part_and_said_to_be(folder: DatasetFolder) -> None:
    folder.caption_shard("alt", 1).unlink()
    summary = run(folder.path, captions=["alt"])
    assert summary.sets["alt"]["captions"] == 3
    assert (summary.unfinished, summary.complete) == (["alt"], True)
    assert "alt is under way: a sample, 3 captions of 6 records" in summary.text()
    assert "no claim was judged" in summary.text()


def test_an_image_that_cannot_be_read_is_counted(tmp_path: Path, clip: Path) -> None:
    folder = build_dataset(tmp_path / "ds", rows=2)
    table = pq.read_table(folder.image_shard(0))
    images = [{"bytes": png(0), "path": None}, {"bytes": b"\x89PNG broken", "path": None}]
    column = table.schema.get_field_index("image")
    pq.write_table(
        table.set_column(
            column, table.schema.field("image"), pa.array(images, table.schema.field("image").type)
        ),
        folder.image_shard(0),
    )
    summary = run(folder.path, clip=str(clip))
    assert (summary.unreadable, summary.complete) == (1, False)
    found = rows(folder, "alt")
    assert found[0]["scores"]["error"] is None
    assert found[1]["scores"]["error"].startswith("UnreadableImage")
    assert summary.sets["alt"]["figures"]["CLIP score"]["n"] == 1


def test_an_endless_caption_is_read_in_part(tmp_path: Path) -> None:
    folder = build_dataset(tmp_path / "ds", rows=1, sets={"alt": ["a dog. " + "x" * 200_000]})
    run(folder.path)
    (row,) = rows(folder, "alt")
    assert row["claims"][0]["object"] == "dog"
    assert row["scores"]["error"].startswith("LongCaption: 200,007")


@pytest.mark.parametrize("workers", [2, pytest.param(4, marks=pytest.mark.slow)])
def test_processes_find_the_same(
    folder: DatasetFolder, monkeypatch: pytest.MonkeyPatch, workers: int
) -> None:
    """Two shards: with two workers a process each, with four also two that parse for each."""
    monkeypatch.setattr("audits.runner.worker.WORTH_A_PROCESS", 1)
    run(folder.path, captions=["alt"], workers=1)
    alone = rows(folder, "alt")
    run(folder.path, captions=["alt"], out=folder.path / "elsewhere", workers=workers)
    parts = [
        pq.read_table(folder.path / "elsewhere" / "alt" / f"train-0000{shard}.parquet") for shard in (0, 1)
    ]
    assert [row for table in parts for row in table.to_pylist()] == alone


@pytest.mark.parametrize(
    ("options", "error", "says"),
    [
        ({"captions": ["nope"]}, CaptionSetNotFound, "alt, long"),
        ({"evidence": ["dreams"]}, OptionError, "annotations"),
        ({"clip": "nope"}, ModelNotSupported, "hf-hub"),
    ],
)
def test_mistakes_are_said_before_anything_is_done(
    folder: DatasetFolder, options: dict, error: type, says: str
) -> None:
    with pytest.raises(error, match=says):
        run(folder.path, **options)
    assert not (folder.path / "audits").exists()


def test_a_dataset_without_captions_says_what_to_do(tmp_path: Path) -> None:
    folder = build_dataset(tmp_path / "ds", sets={})
    with pytest.raises(CaptionSetNotFound, match="import-captions"):
        run(folder.path)


def test_a_damaged_summary_is_written_anew(folder: DatasetFolder, capsys) -> None:
    run(folder.path)
    path = folder.path / "audits" / "summary.json"
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    run(folder.path)
    assert path.read_bytes() == whole
    assert "was not JSON and is written anew" in capsys.readouterr().err


@pytest.mark.parametrize("content", ['{"runs": 3}', "[]", "notes"])
def test_anothers_summary_is_not_replaced(folder: DatasetFolder, tmp_path: Path, content: str) -> None:
    (there := tmp_path / "summary.json").write_text(content)
    with pytest.raises(OptionError, match="is there already and is no summary of audits run"):
        run(folder.path, out=tmp_path)
    assert there.read_text() == content
    assert [path.name for path in tmp_path.iterdir() if path.name != folder.path.name] == ["summary.json"]


def test_the_manifest_is_not_touched(folder: DatasetFolder) -> None:
    before = (folder.path / "recapdata.yaml").read_bytes()
    run(folder.path)
    assert (folder.path / "recapdata.yaml").read_bytes() == before


@pytest.mark.skipif(not AVAILABLE, reason="follows system calls of Linux on x86-64")
def test_killed_anywhere_the_same_command_finishes(folder: DatasetFolder, clip: Path, tmp_path: Path) -> None:
    whole = build_dataset(tmp_path / "whole", sets={"alt": ALT, "long": LONG}, objects=OBJECTS)
    options = ["--clip", clip, "--workers", "1"]
    with Forks(["audits"]) as forks:
        changes = forks.run(["audits", "run", whole.path, *options], whole.path).changes
        for at in (2, changes // 2):  # the second goes on where the first was killed
            killed = forks.run(["audits", "run", folder.path, *options], folder.path, kill_at=at)
            assert killed.code == KILLED
            for path in (folder.path / "audits").glob("*/train-*.parquet"):
                assert read_identity(path) is not None
        assert not (folder.path / "audits" / "summary.json").exists()
        assert forks.run(["audits", "run", folder.path, *options]).code == 0
    for name in ("alt", "long"):
        assert rows(folder, name) == rows(whole, name)
    assert not list((folder.path / "audits").glob("*/.*.tmp"))


def test_a_published_version_is_audited_into_a_folder(
    hub, repo_id: str, folder: DatasetFolder, tmp_path: Path
) -> None:
    from recapdata.publishing import plan_publication, publish

    folder.save_manifest(replace(folder.manifest, license="cc0-1.0"))
    publish(plan_publication(folder.path, repo_id, version="1.0.0"))
    target = f"{repo_id}@v1.0.0"
    with pytest.raises(OptionError, match="--out"):
        run(target)
    summary = run(target, out=tmp_path / "audit", evidence=["annotations"])
    local = run(folder.path, evidence=["annotations"])
    assert summary.sets == local.sets
    published = pq.read_table(tmp_path / "audit" / "alt" / "train-00000.parquet")
    assert published == pq.read_table(folder.audit_shard("alt", 0))
    assert summary.target.startswith(f"{repo_id}@")


def test_console(folder: DatasetFolder) -> None:
    done = run_command(
        "audits", "run", folder.path, "--captions", "alt", "--evidence", "annotations", "--json"
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["sets"]["alt"]["captions"] == 5
    wrong = run_command("audits", "run", folder.path, "--captions", "nope")
    assert wrong.returncode == 1
    assert wrong.stderr.startswith("error: ")
    assert len(wrong.stderr.splitlines()) == 1
