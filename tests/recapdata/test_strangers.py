"""Dataset folders and published versions made to harm: nothing outside of their own place is read, written or deleted."""

import io
import json
import os
import re
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from huggingface_hub import HfApi

from audits.reporting import write_report
from audits.runner.run import run
from recapdata import load
from recapdata.caption_sets.importing import import_captions
from recapdata.dataset.folder import DatasetFolder, is_shard_path, published_files, shard_number
from recapdata.dataset.removal import remove
from recapdata.dataset.target import open_dataset
from recapdata.dataset.writing import pending_sets
from recapdata.errors import DatasetDamaged, RecapdataError
from recapdata.ingestion import ingest
from recapdata.publishing import plan_publication, publish, published
from recapdata.records import IMAGE_TYPE, Manifest, Provenance, image_key
from tests.builders import build_dataset, png, write_audit

SECRET = b"what nobody else may see"


@pytest.fixture
def precious(tmp_path: Path) -> Path:
    """A folder of the user's own, beside the stranger's."""
    path = tmp_path / "precious"
    for name in ("alt", "images"):
        (path / name).mkdir(parents=True)
    for name in (
        "key",
        "alt/train-00000.parquet",
        "images/.train-00000.parquet.new",
        ".train-00000.parquet.new",
    ):
        (path / name).write_bytes(SECRET)
    return path


@pytest.fixture
def folder(tmp_path: Path) -> DatasetFolder:
    return build_dataset(tmp_path / "strange", sets=["alt"], license="cc0-1.0")


def contents(path: Path) -> dict[str, bytes]:
    return {str(each): each.read_bytes() for each in sorted(path.rglob("*")) if each.is_file()}


def writing_commands(folder: DatasetFolder, tmp_path: Path) -> list[Callable[[], Any]]:
    """What a person may do with somebody's folder that writes."""
    keys = tmp_path / "keys"
    keys.write_text(image_key(png(0)))
    return [
        lambda: remove(folder.path, keys),
        lambda: remove(folder.path, captions=["alt"]),
        lambda: ingest("scenes:2", folder.path, append=True),
        lambda: import_captions(folder.path, "more", "source"),
        lambda: run(folder.path),
    ]


# --- names ---------------------------------------------------------------------------------------------------------------

NAMES: list[Any] = [
    "../../precious",
    "..",
    ".",
    "",
    "/etc",
    "a/b",
    "a\\b",
    "alt\n",
    "alt\0",
    "Alt",
    ".alt",
    "-alt",
    "ålt",
    "a" * 64,
    "~",
    "\ud800",
    7,
    None,
    ["alt"],
    {"alt": 1},
]


@pytest.mark.parametrize("name", NAMES, ids=ascii)
def test_a_set_to_take_out_is_a_name_or_nothing_is_taken_out(
    folder: DatasetFolder, precious: Path, tmp_path: Path, name: Any
) -> None:
    (folder.path / "removed").mkdir()
    (folder.path / "removed" / ".sets").write_text(json.dumps([name]))
    before = contents(precious), contents(folder.path / "captions")
    with pytest.raises(DatasetDamaged, match=r"\.sets is no list of caption sets"):
        pending_sets(folder)
    for command in writing_commands(folder, tmp_path)[:4]:
        with pytest.raises(RecapdataError):
            command()
    assert (contents(precious), contents(folder.path / "captions")) == before


@pytest.mark.parametrize(
    "text", ["{}", '{"alt": 1}', '"alt"', "[", "\xff", "[" * 100_000, "3"], ids=lambda t: t[:9]
)
def test_a_note_of_sets_that_is_none_is_said(folder: DatasetFolder, text: str) -> None:
    (folder.path / "removed").mkdir()
    (folder.path / "removed" / ".sets").write_text(text, encoding="latin-1")
    with pytest.raises(DatasetDamaged, match=r"\.sets is no list"):
        pending_sets(folder)


@pytest.mark.parametrize(
    "name",
    [
        "../precious/key",
        "/etc/hostname",
        "images/../../precious/train-00000.parquet",
        "images/key",
        "captions/../train-00000.parquet",
        "captions/train-00000.parquet",
        "captions/a/b/train-00000.parquet",
        "recapdata.yaml",
        "other/train-00000.parquet",
        3,
        None,
    ],
)
def test_a_removal_that_changed_over_renames_nothing_but_shards(
    folder: DatasetFolder, precious: Path, tmp_path: Path, name: Any
) -> None:
    (precious / ".key.new").write_bytes(b"other")
    (folder.path / "removed").mkdir()
    (folder.path / "removed" / ".pending").write_bytes(b"")
    (folder.path / "removed" / ".00000.change").write_text(json.dumps([name]))
    before = contents(precious)
    with pytest.raises(DatasetDamaged, match=r"\.change is no list of shards"):
        remove(folder.path, captions=["alt"])
    assert contents(precious) == before


MANIFESTS: list[dict[str, Any]] = [
    *({"sets": {name: {"writer": "web"}}} for name in NAMES if isinstance(name, str | int)),
    {"sets": {"alt": {"writer": "web", "base": "../alt"}}},
    {"sets": {"alt": {"writer": "web", "captioner": ["vlm"]}}},
    {"sets": {"alt": {"writer": "web", "seed": "1"}}},
    {"sets": {"alt": {"writer": "web", "sampling": ["a"]}}},
    {"sets": {"alt": {"writer": "web", "unheard": 1}}},
    {"sets": {"alt": None}},
    {"sets": ["alt"]},
    {"sets": {"key": {"writer": "web"}}},
    {"columns": ["alt"]},
    {"columns": ["image"]},
    {"columns": ["a", "a"]},
    {"columns": "ab"},
    {"columns": [1]},
    {"columns": [""]},
    {"columns": ["a\0"]},
    {"counts": {"items": "6"}},
    {"counts": {"items": 6, "more": 1}},
    {"counts": [6]},
    {"name": None},
    {"name": 3},
    {"version": 1.0},
    {"sources": {"a": 1}},
    {"unheard": 1},
]


@pytest.mark.parametrize("change", MANIFESTS, ids=ascii)
def test_a_manifest_is_checked_where_it_is_read(folder: DatasetFolder, change: dict[str, Any]) -> None:
    values = {**folder.manifest.to_dict(), **change}
    if "sets" not in change:
        values["sets"] = {"alt": {"writer": "web"}}
    with pytest.raises((TypeError, ValueError)):
        Manifest.from_dict(values)


@pytest.mark.parametrize(
    "text",
    [
        "[]",
        "3",
        "",
        "a: [",
        "\xff",
        "[" * 50_000,
        "name: 2026-99-99",
        "!!python/object:os.system x",
        "name: &a [*a]",
    ],
    ids=lambda text: text[:12],
)
def test_text_that_is_no_manifest_is_said_in_one_line(folder: DatasetFolder, text: str) -> None:
    (folder.path / "recapdata.yaml").write_text(text, encoding="latin-1")
    with pytest.raises(DatasetDamaged, match="cannot be read as a manifest") as caught:
        open_dataset(folder.path)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 1000


def test_settings_that_name_each_other_are_not_written_out(folder: DatasetFolder) -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 12)]  # 10^12 values
    text = "name: x\nsets:\n  alt:\n    writer: web\n    sampling:\n" + "".join(
        f"      {line}\n" for line in lines
    )
    (folder.path / "recapdata.yaml").write_text(text)
    with pytest.raises(DatasetDamaged, match="more than 10,000 values"):
        folder.manifest  # noqa: B018


def test_what_is_written_is_read_back(folder: DatasetFolder) -> None:
    settings = {"max_new_tokens": 64, "stop": ["a", "b"], "temperature": 0.5, "more": {"k": None}}
    provenance = Provenance(
        writer="model", sampling=settings, seed=1, libraries={"torch": "2"}, base="alt", edits=0
    )
    manifest = Manifest(
        name="x", columns=("a b", "été", "a/b"), sets={"alt": Provenance(writer="web"), "edited": provenance}
    )
    assert Manifest.from_dict(yaml.safe_load(yaml.safe_dump(manifest.to_dict()))) == manifest


@pytest.mark.parametrize(
    ("name", "number"),
    [
        ("train-00000.parquet", 0),
        ("train-123456.parquet", 123456),
        ("train-000001.parquet", None),  # another name of shard 1
        ("train-٠٠٠٠١.parquet", None),
        ("train-00000.parquet\n", None),
        ("../train-00000.parquet", None),
        ("train-99999999999999999999.parquet", None),
    ],
)
def test_a_shard_has_one_name(name: str, number: int | None) -> None:
    assert shard_number(name) == number
    assert is_shard_path(f"images/{name}") == (number is not None)


# --- links ---------------------------------------------------------------------------------------------------------------


def link_failures_note(folder: Path, precious: Path) -> None:
    (folder / "failures").mkdir()
    (folder / "failures" / "notes.txt").symlink_to(precious / "key")


def link_failures(folder: Path, precious: Path) -> None:
    (folder / "failures").symlink_to(precious)


def link_set(folder: Path, precious: Path) -> None:
    (folder / "captions" / "other").symlink_to(precious / "alt")


def link_shard(folder: Path, precious: Path) -> None:
    path = folder / "captions" / "alt" / "train-00000.parquet"
    path.rename(precious / "captions.parquet")
    path.symlink_to(precious / "captions.parquet")


def link_removed(folder: Path, precious: Path) -> None:
    (folder / "removed").symlink_to(precious)


def link_audits(folder: Path, precious: Path) -> None:
    (folder / "audits").symlink_to(precious)


def link_manifest(folder: Path, precious: Path) -> None:
    (folder / "recapdata.yaml").rename(precious / "m.yaml")
    (folder / "recapdata.yaml").symlink_to(precious / "m.yaml")


def link_lock(folder: Path, precious: Path) -> None:
    (folder / ".lock").symlink_to(precious / "key")


def link_audit_lock(folder: Path, precious: Path) -> None:
    (folder / "audits").mkdir()
    (folder / "audits" / ".lock").symlink_to(precious / "key")


def link_index(folder: Path, precious: Path) -> None:
    (folder / ".keys.sqlite-wal").symlink_to(precious / "key")


def link_temporary(folder: Path, precious: Path) -> None:
    (folder / ".recapdata.yaml.tmp").symlink_to(precious / "key")


def link_next_shard(folder: Path, precious: Path) -> None:
    (folder / "images" / ".train-00002.parquet.tmp").symlink_to(precious / "key")


def link_journal(folder: Path, precious: Path) -> None:
    (folder / "captions" / "alt" / ".00000.journal").symlink_to(precious / "key")


def link_publishing(folder: Path, precious: Path) -> None:
    (folder / ".publishing").symlink_to(precious)


def link_dangling(folder: Path, precious: Path) -> None:
    (folder / "duplicates").mkdir()
    (folder / "duplicates" / "train-00000.parquet").symlink_to(precious / "made-by-you")


def link_relative(folder: Path, precious: Path) -> None:
    (folder / "captions" / "alt" / "more").symlink_to("../../../precious")


def fifo(folder: Path, precious: Path) -> None:
    (folder / "failures").mkdir()
    os.mkfifo(folder / "failures" / "train-00000.parquet")


LINKS = [value for name, value in list(globals().items()) if name.startswith("link_") or name == "fifo"]


@pytest.mark.parametrize("link", LINKS, ids=lambda each: each.__name__)
def test_a_part_of_a_folder_that_is_a_link_is_refused(
    folder: DatasetFolder, precious: Path, tmp_path: Path, link: Callable[[Path, Path], None]
) -> None:
    link(folder.path, precious)
    before = contents(precious)
    commands = writing_commands(folder, tmp_path)
    commands += [lambda: open_dataset(folder.path), lambda: load(folder.path)]
    commands += [lambda: plan_publication(folder.path, "me/x", version="1.0.0")]
    for command in commands:
        with pytest.raises(
            DatasetDamaged, match=r"is (a symbolic link|no file); such a folder holds files of its own"
        ):
            command()
    assert contents(precious) == before


def test_links_beside_the_dataset_are_nobodys(precious: Path, tmp_path: Path) -> None:
    ingest("scenes:3,seed=1", tmp_path / "drawn")
    (tmp_path / "drawn" / "mine").symlink_to(precious)
    before = contents(precious)
    keys = tmp_path / "keys"
    keys.write_text(DatasetFolder(tmp_path / "drawn").read_keys(0)[0])
    assert remove(tmp_path / "drawn", keys).taken_out == 1
    assert contents(precious) == before


def test_a_new_dataset_is_not_made_through_links(precious: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / ".lock").symlink_to(precious / "key")
    before = contents(precious)
    with pytest.raises(DatasetDamaged, match="symbolic link"):
        ingest("scenes:2", out)
    assert contents(precious) == before


def test_strange_files_among_the_ledgers_are_nobodys(tmp_path: Path) -> None:
    ingest("scenes:3,seed=1", tmp_path / "drawn")
    for kind in ("failures", "duplicates", "removed"):
        (tmp_path / "drawn" / kind).mkdir(exist_ok=True)
        for name in (
            "train-x.parquet",
            "train-.parquet",
            "train-00000.parquet.parquet",
            "train-000000.parquet",
        ):
            (tmp_path / "drawn" / kind / name).write_bytes(SECRET)
    assert ingest("scenes:2,seed=2", tmp_path / "drawn", append=True).dataset.items == 5
    keys = tmp_path / "keys"
    keys.write_text(DatasetFolder(tmp_path / "drawn").read_keys(0)[0])
    assert remove(tmp_path / "drawn", keys).taken_out == 1


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TRIGGER t AFTER INSERT ON recent BEGIN DELETE FROM removed; END",
        "DROP TABLE keys; CREATE TABLE keys (other TEXT)",
        "DROP TABLE parts; CREATE TABLE parts (name TEXT CHECK (name = ''), size, changed)",
        "DROP TABLE removed; CREATE VIEW removed AS WITH RECURSIVE n(key) AS (SELECT 1 UNION ALL SELECT key FROM n) SELECT key FROM n",
    ],
)
def test_an_index_that_does_more_than_hold_keys_is_made_again(tmp_path: Path, statement: str) -> None:
    ingest("scenes:3,seed=1", tmp_path / "drawn")
    with sqlite3.connect(tmp_path / "drawn" / ".keys.sqlite") as db:
        db.executescript(statement)
    db.close()
    assert ingest("scenes:2,seed=2", tmp_path / "drawn", append=True).dataset.records == 5
    with sqlite3.connect(tmp_path / "drawn" / ".keys.sqlite") as db:
        kinds = {row[0] for row in db.execute("SELECT type FROM sqlite_master")}
    db.close()
    assert kinds <= {"table", "index"}


# --- publishing ----------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("hub")
def test_only_files_of_a_dataset_are_published(folder: DatasetFolder, repo_id: str) -> None:
    write_audit(folder, ["alt"])
    before = published_files(folder)
    strays = [
        "failures/notes.txt",
        "failures/id_rsa",
        "failures/deep/train-00000.parquet",
        "failures/train-00007.parquet",
        "audits/alt/notes.txt",
        "audits/other.json",
        "audits/summary.json.bak",
        "captions/train-00000.parquet",
        "captions/alt/train-00000.parquet~",
        "captions/alt/deep/train-00000.parquet",
        "captions/old/train-00000.parquet",
    ]
    for stray in strays:
        (folder.path / stray).parent.mkdir(parents=True, exist_ok=True)
        (folder.path / stray).write_bytes(SECRET)
    assert published_files(folder) == before
    plan = plan_publication(folder.path, repo_id, version="1.0.0")
    assert any("stay here: " in note and "and 8 more" in note for note in plan.notes)
    publish(plan)
    sent = set(HfApi().list_repo_files(repo_id, repo_type="dataset"))
    assert sent - {".gitattributes", "README.md", "recapdata.yaml", "contents.json"} == {
        "data/train-00000.parquet",
        "data/train-00001.parquet",
        "captions/alt/train-00000.parquet",
        "captions/alt/train-00001.parquet",
        "audits/alt/train-00000.parquet",
        "audits/alt/train-00001.parquet",
        "audits/summary.json",
    }


# --- published versions --------------------------------------------------------------------------------------------------


def put(repo_id: str, path: str, content: bytes) -> None:
    HfApi().upload_file(
        path_or_fileobj=io.BytesIO(content), path_in_repo=path, repo_id=repo_id, repo_type="dataset"
    )


@pytest.mark.usefixtures("hub")
@pytest.mark.parametrize("name", ["../../precious", "/etc", "a/../../b"])
def test_a_version_names_no_set_that_leads_out(
    folder: DatasetFolder, precious: Path, tmp_path: Path, repo_id: str, name: str
) -> None:
    publish(plan_publication(folder.path, repo_id, version="1.0.0"))
    values = {
        **folder.manifest.to_dict(),
        "name": repo_id,
        "version": "1.0.0",
        "sets": {name: {"writer": "web"}},
    }
    put(repo_id, "recapdata.yaml", yaml.safe_dump(values).encode())
    before = contents(precious)
    for command in (
        lambda: open_dataset(f"{repo_id}@main"),
        lambda: load(repo_id, revision="main"),
        lambda: run(f"{repo_id}@main", out=tmp_path / "out"),
    ):
        with pytest.raises(DatasetDamaged, match="cannot name a caption set"):
            command()
    assert contents(precious) == before
    assert not (tmp_path / "out").exists()


@pytest.mark.usefixtures("hub")
def test_other_names_of_a_shard_are_no_shards(folder: DatasetFolder, repo_id: str) -> None:
    publish(plan_publication(folder.path, repo_id, version="1.0.0"))
    shard = folder.image_shard(0).read_bytes()
    for name in ("train-000000.parquet", "train-00000.parquet.parquet", "x/train-00005.parquet"):
        put(repo_id, f"data/{name}", shard)
    assert open_dataset(f"{repo_id}@main").shards() == [0, 1]


@pytest.mark.usefixtures("hub")
@pytest.mark.parametrize("where", ["folder", "version"])
def test_an_image_that_is_a_path_is_not_read(
    folder: DatasetFolder, tmp_path: Path, repo_id: str, where: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    private = tmp_path / "private.png"
    private.write_bytes(png(77))
    table = pq.read_table(folder.image_shard(0))
    images = [{"bytes": None, "path": str(private)}, *table.column("image").to_pylist()[1:]]
    table = table.set_column(1, "image", pa.array(images, IMAGE_TYPE))
    pq.write_table(table, folder.image_shard(0))
    target: str | Path = folder.path
    if where == "version":
        with pytest.raises(DatasetDamaged, match="row 0: the picture is not the one"):
            publish(plan_publication(folder.path, repo_id, version="1.0.0"))
        monkeypatch.setattr(published, "check_images", lambda *_: None)  # a stranger checks nothing
        publish(plan_publication(folder.path, repo_id, version="1.0.0"))
        target = repo_id
    with pytest.raises(DatasetDamaged, match="names a file instead of holding"):
        load(target)
    batch = next(open_dataset(target).read(0, ["image"]))
    assert (
        batch.column("image").to_pylist()[0]["bytes"] is None
    )  # audits, captioners and views see no picture


def test_a_command_to_be_typed_does_no_more_than_it_says(tmp_path: Path) -> None:
    """Somebody's archive may unpack into a folder whose name ends a command and begins another."""
    folder = build_dataset(tmp_path / "birds; touch owned #$(id)", sets=["alt"])
    quoted = re.escape(f"'{folder.path}'")
    with pytest.raises(RecapdataError, match=f"audits run {quoted}"):
        write_report(folder.path, tmp_path / "page.html")
    (folder.path / "recapdata.yaml").unlink()
    with pytest.raises(RecapdataError, match=f"recapdata ingest SOURCE {quoted}"):
        open_dataset(folder.path)
