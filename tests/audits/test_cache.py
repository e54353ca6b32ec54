"""What was seen of a picture is seen once: for all sets, revisions and audits, and never of another picture or by another reader."""

import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from huggingface_hub import HfApi
from PIL import Image

import recapdata
from audits.cache import FOOTER, MAKERS, ShardCache, maker_folder, prune
from audits.clip.cache import EMBEDDING_SCHEMA, encode_cached
from audits.evidence import Observation, ocr
from audits.evidence.cache import EVIDENCE_SCHEMA
from audits.runner.run import run
from recapdata.dataset.audit_files import source_of
from recapdata.dataset.folder import DatasetFolder, published_files
from recapdata.dataset.removal import remove
from recapdata.errors import DatasetDamaged, OptionError
from recapdata.records import Object, image_key
from tests.audits.models import known_clip
from tests.builders import build_dataset, png
from tests.same_figures import compare_audits

PICTURES = [png(index, (40, 30)) for index in range(6)]
KEYS = [image_key(each) for each in PICTURES]
SETS = {
    "alt": ['a sign that says "STOP"'] * 6,
    "long": ['A red car beside a sign "GO".', None, *["A blue car."] * 4],
}
OBJECTS = [[Object(bbox=(4, 4, 30, 20), category="car")]] * 6
EVIDENCE = ("annotations", "colors", "ocr")


class Readings(list[int]):
    """The pictures that were read, by their number."""


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> Readings:
    """Stands in for the reader: each picture says STOP; its first pixel tells which it is."""
    found = Readings()

    def reading(picture: Image.Image) -> list[Observation]:
        found.append(picture.getpixel((0, 0))[2])  # type: ignore[index]
        return [Observation(text="STOP", score=0.97, bbox=(1.5, 2.0, 3.25, 4.0))]

    monkeypatch.setattr(ocr, "read", reading)
    return found


@pytest.fixture
def folder(tmp_path: Path) -> DatasetFolder:
    return build_dataset(tmp_path / "ds", sets=SETS, objects=OBJECTS, images=PICTURES, license="cc0-1.0")


def cached(folder: Path) -> list[Path]:
    return sorted((folder / "evidence").glob("*/*.parquet"))


def rows(folder: Path, maker: str) -> list[dict[str, Any]]:
    return [
        row
        for path in cached(folder)
        if path.parent.name.startswith(maker)
        for row in pq.read_table(path).to_pylist()
    ]


def test_the_second_set_reads_no_picture_again_and_has_the_same_rows(
    folder: DatasetFolder, read: Readings, tmp_path: Path
) -> None:
    fresh = Path(shutil.copytree(folder.path, tmp_path / "fresh"))
    run(folder.path, captions=["alt"], evidence=EVIDENCE)
    assert sorted(read) == [0, 1, 2, 3, 4, 5]
    run(folder.path, captions=["long"], evidence=EVIDENCE)
    assert len(read) == 6
    run(fresh, captions=["alt"], evidence=EVIDENCE)
    shutil.rmtree(fresh / "evidence")
    run(fresh, captions=["long"], evidence=EVIDENCE)
    assert len(read) == 6 + 6 + 5  # one picture has no caption in `long`
    assert compare_audits(folder.path, fresh) == []


def test_other_captions_and_another_audit_folder_use_it_too(
    folder: DatasetFolder, read: Readings, tmp_path: Path
) -> None:
    run(folder.path, captions=["alt"], evidence=EVIDENCE)
    summary = run(folder.path, captions=["alt"], evidence=("ocr",), out=tmp_path / "other")
    assert (len(read), summary.computed) == (6, 2)
    assert not list((tmp_path / "other").glob("evidence"))


def test_a_picture_of_which_all_is_known_is_not_even_decoded(
    folder: DatasetFolder, read: Readings, monkeypatch: pytest.MonkeyPatch
) -> None:
    from audits.evidence import collect

    run(folder.path, captions=["alt"], evidence=EVIDENCE)
    monkeypatch.setattr(collect, "decode_image", lambda image: pytest.fail("decoded"))
    run(folder.path, captions=["long"], evidence=EVIDENCE)


def test_what_an_object_is_or_where_decides_about_its_color(folder: DatasetFolder, read: Readings) -> None:
    """Annotations that changed: the colors are seen anew of the records that changed, and only of these."""
    run(folder.path, captions=["alt"], evidence=("annotations", "colors"))
    before = {row["key"]: row["basis"] for row in rows(folder.path, "colors")}
    objects = [[Object(bbox=(4, 4, 8, 8), category="car")], *OBJECTS[1:]]
    build_dataset(folder.path, sets=SETS, objects=objects, images=PICTURES)
    run(folder.path, captions=["alt"], evidence=("annotations", "colors"))
    after = {row["key"]: row["basis"] for row in rows(folder.path, "colors")}
    assert [key for key in KEYS if before[key] != after[key]] == [KEYS[0]]


def test_a_reader_of_another_version_reads_again(
    folder: DatasetFolder, read: Readings, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(folder.path, captions=["alt"], evidence=("ocr",))
    monkeypatch.setattr(ocr, "version", lambda package: "99.0")
    run(folder.path, captions=["alt"], evidence=("ocr",))
    assert len(read) == 12
    assert len({path.parent for path in cached(folder.path)}) == 2


def test_makers_not_used_for_the_longest_time_go(tmp_path: Path) -> None:
    makers = [f"ocr:reader-{number}+v1" for number in range(MAKERS + 3)]
    for maker in makers:
        cache = ShardCache((tmp_path,), maker, 0, EMBEDDING_SCHEMA)
        cache.put({"key": KEYS[0], "embedding": [1.0]})
        cache.close()
    (tmp_path / maker_folder(makers[1]) / ".train-00000.parquet.0a1b.tmp").touch()
    prune(tmp_path, makers[:2], held=True)
    left = {path.name for path in tmp_path.iterdir()}
    assert len(left) == MAKERS
    assert {maker_folder(maker) for maker in makers[:2]} <= left
    assert not list(tmp_path.glob("*/.*"))


def test_a_takedown_takes_out_what_was_seen(read: Readings, tmp_path: Path) -> None:
    folder = tmp_path / "ds"
    recapdata.ingest("scenes:6,seed=1", folder)
    recapdata.import_captions(folder, "alt", "alt_text")
    run(folder, evidence=EVIDENCE)
    seen = [row["key"] for row in rows(folder, "ocr")]
    (tmp_path / "keys").write_text(f"{seen[1]}\n")
    corrupt = folder / "evidence" / "mine-0123456789abcdef" / "train-00000.parquet"
    corrupt.parent.mkdir()
    corrupt.write_bytes(b"PAR1 " + seen[1].encode())
    remove(folder, tmp_path / "keys")
    files = [path for path in (folder / "evidence").rglob("*") if path.is_file()]
    assert files
    assert not any(seen[1].encode() in path.read_bytes() for path in files)
    assert [row["key"] for row in rows(folder, "ocr")] == [seen[0], *seen[2:]]
    run(folder, evidence=EVIDENCE)
    assert len(read) == 6


def test_what_was_seen_before_an_interruption_is_kept(
    folder: DatasetFolder, read: Readings, monkeypatch: pytest.MonkeyPatch
) -> None:
    reading = ocr.read

    def interrupted(picture: Image.Image) -> Any:
        if len(read) == 3:
            raise KeyboardInterrupt
        return reading(picture)

    monkeypatch.setattr("audits.evidence.collect.IMAGES", 1)
    with monkeypatch.context() as patch:
        patch.setattr(ocr, "read", interrupted)
        with pytest.raises(KeyboardInterrupt):
            run(folder.path, captions=["alt"], evidence=("ocr",))
    assert len(read) == 3
    run(folder.path, captions=["alt"], evidence=("ocr",))
    assert sorted(read) == [0, 1, 2, 3, 4, 5]


def test_a_picture_that_is_not_what_its_key_says_is_never_kept(tmp_path: Path, read: Readings) -> None:
    folder = build_dataset(tmp_path / "ds", sets=SETS, images=PICTURES)
    path = folder.image_shard(0)
    table = pq.read_table(path)
    images = [{"bytes": png(9), "path": None}, *table.column("image").to_pylist()[1:]]
    field = table.schema.field("image")
    pq.write_table(
        table.set_column(table.schema.get_field_index("image"), field, pa.array(images, field.type)), path
    )
    run(folder.path, captions=["alt"], evidence=("ocr",))
    assert sorted(row["key"] for row in rows(folder.path, "ocr")) == sorted(KEYS[1:])


def test_it_is_not_published_and_revisions_share_one(
    hub: Any, repo_id: str, folder: DatasetFolder, read: Readings, tmp_path: Path
) -> None:
    from recapdata.publishing import plan_publication, publish

    run(folder.path, captions=["alt"], evidence=("ocr",))
    assert not any("evidence" in path for path in published_files(folder))
    publish(plan_publication(folder.path, repo_id, version="1.0.0"))
    folder.save_manifest(replace(folder.manifest, license="cc-by-4.0"))
    publish(plan_publication(folder.path, repo_id, version="1.0.1"))
    published = HfApi().list_repo_files(repo_id, repo_type="dataset", revision="v1.0.0")
    assert "audits/alt/train-00000.parquet" in published
    assert not any("evidence" in path for path in published)
    read.clear()
    run(f"{repo_id}@v1.0.0", evidence=("ocr",), out=tmp_path / "one")
    run(f"{repo_id}@v1.0.1", evidence=("ocr",), out=tmp_path / "two")
    assert sorted(read) == [0, 1, 2, 3, 4, 5]


# --- data from strangers -------------------------------------------------------------------------------------------------


def _rewrite(path: Path, change: Any, note: dict[bytes, bytes] | None = None) -> None:
    table = pq.read_table(path)
    metadata = note if note is not None else table.schema.metadata
    changed = [change(row) for row in table.to_pylist()]
    pq.write_table(
        pa.Table.from_pylist(changed, schema=EVIDENCE_SCHEMA).replace_schema_metadata(metadata), path
    )


@pytest.mark.parametrize(
    "change",
    [
        lambda row: row | {"objects": [each | {"bbox": [float("nan")] * 4} for each in row["objects"]]},
        lambda row: row | {"objects": [each | {"bbox": [1.0]} for each in row["objects"]]},
        lambda row: row | {"objects": [None]},
        lambda row: row | {"objects": None},
        lambda row: row | {"objects": [each | {"colors": None} for each in row["objects"]]},
        lambda row: row | {"objects": [each | {"score": float("inf")} for each in row["objects"]]},
        lambda row: row | {"scope": "["},
        lambda row: row | {"scope": "[" * 100_000},
        lambda row: row | {"scope": '{"classes": 3}'},
        lambda row: row | {"scope": None},
        lambda row: row | {"width": -1},
        lambda row: row | {"height": None},
        lambda row: row | {"counting": float("nan")},
        lambda row: row | {"uncounted": [None]},
        lambda row: row | {"basis": "0" * 32},
        lambda row: row | {"seen": None},
        lambda row: row | {"key": None},
        lambda row: row | {"key": "../../etc/passwd"},
    ],
)
def test_rows_that_nobody_wrote_are_read_anew(folder: DatasetFolder, read: Readings, change: Any) -> None:
    run(folder.path, captions=["alt"], evidence=EVIDENCE)
    for path in cached(folder.path):
        if path.parent.name.startswith("ocr"):
            _rewrite(path, change)
    run(folder.path, captions=["long"], evidence=EVIDENCE)
    assert len(read) == 6 + 5


@pytest.mark.parametrize(
    "harm",
    [
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(path.read_bytes()[:-200]),
        lambda path: _rewrite(path, lambda row: row, {}),
        lambda path: _rewrite(
            path, lambda row: row, {FOOTER.encode(): b'{"format": 1, "maker": "ocr:other+v1"}'}
        ),
        lambda path: _rewrite(path, lambda row: row, {FOOTER.encode(): b"["}),
        lambda path: pq.write_table(pq.read_table(path).drop_columns(["objects"]), path),
    ],
)
def test_files_of_another_form_are_made_again(folder: DatasetFolder, read: Readings, harm: Any) -> None:
    run(folder.path, captions=["alt"], evidence=EVIDENCE)
    for path in cached(folder.path):
        if path.parent.name.startswith("ocr"):
            harm(path)
    run(folder.path, captions=["long"], evidence=EVIDENCE)
    run(folder.path, captions=["alt"], evidence=("ocr",))
    assert len(read) in (6 + 5, 6 + 6)  # the file that is made again knows what the second set had read


def test_links_are_not_followed(folder: DatasetFolder, read: Readings, tmp_path: Path) -> None:
    run(folder.path, captions=["alt"], evidence=("ocr",), out=tmp_path / "out")
    for path in (tmp_path / "out").glob(".evidence/*/*.parquet"):
        path.rename(tmp_path / path.name)
        path.symlink_to(tmp_path / path.name)
    with pytest.raises(DatasetDamaged, match="parquet is a symbolic link"):
        run(folder.path, captions=["long"], evidence=("ocr",), out=tmp_path / "out")
    for name in (".evidence", ".lock", "alt", "summary.json"):
        (precious := tmp_path / f"precious{name}").write_text("precious")
        (tmp_path / f"out{name}").mkdir()
        (tmp_path / f"out{name}" / name).symlink_to(precious)
        with pytest.raises(DatasetDamaged, match="is a symbolic link"):
            run(folder.path, captions=["alt"], evidence=("ocr",), out=tmp_path / f"out{name}")
        assert precious.read_text() == "precious"
    with pytest.raises(OptionError, match="is a file; name a folder"):
        run(folder.path, captions=["alt"], evidence=("ocr",), out=precious)
    (folder.path / "evidence").symlink_to(tmp_path)
    with pytest.raises(DatasetDamaged, match="evidence is a symbolic link"):
        run(folder.path, captions=["alt"], evidence=("ocr",))


# --- image embeddings ----------------------------------------------------------------------------------------------------


def _encoded(cache: ShardCache, images: Sequence[bytes | None]) -> tuple[list[Any], int]:
    clip, seen = known_clip(), []
    clip.model.encode_image = lambda pixels, normalize: (  # type: ignore[method-assign]
        seen.append(len(pixels)),
        torch.nn.functional.normalize(pixels.mean((2, 3)), dim=-1),
    )[1]
    keys = [image_key(image) if image is not None else KEYS[0] for image in images]
    ((_, found),) = encode_cached(clip, [("step", keys, list(images))], cache, workers=1)
    rows = [None if row is None else found.images[row].tolist() for row in found.rows]
    return rows, sum(seen)


def test_an_image_is_encoded_once(tmp_path: Path) -> None:
    def cache() -> ShardCache:
        return ShardCache((tmp_path,), "clip:known@1", 0, EMBEDDING_SCHEMA)

    broken = b"no picture"
    first = cache()
    some, encoded = _encoded(first, [PICTURES[1], None, broken, PICTURES[3]])
    first.close()
    assert (encoded, some[1], some[2]) == (2, None, None)
    every, encoded = _encoded(cache(), [PICTURES[0], PICTURES[1], broken, None, PICTURES[3], PICTURES[4]])
    assert encoded == 2  # 0 and 4
    assert (every[1], every[4], every[2], every[3]) == (some[0], some[3], None, None)
    fresh, _ = _encoded(
        ShardCache((tmp_path / "none",), "clip:known@1", 0, EMBEDDING_SCHEMA), [PICTURES[0], PICTURES[4]]
    )
    assert [every[0], every[5]] == fresh


@pytest.mark.parametrize(
    "embedding", [None, [], [1.0], [float("nan"), 0.0, 0.0], [None, 1.0, 0.0], [3.0, 4.0, 0.0]]
)
def test_embeddings_of_another_form_are_made_again(tmp_path: Path, embedding: Any) -> None:
    cache = ShardCache((tmp_path,), "clip:known@1", 0, EMBEDDING_SCHEMA)
    cache.put({"key": KEYS[1], "embedding": embedding})
    cache.close()
    found, encoded = _encoded(cache, [PICTURES[1]])
    assert encoded == 1
    assert (
        found
        == _encoded(ShardCache((tmp_path / "none",), "clip:known@1", 0, EMBEDDING_SCHEMA), [PICTURES[1]])[0]
    )


def test_the_maker_is_model_revision_parameters_and_rules() -> None:
    assert (
        source_of("detector:mine@1:threshold=0.5+v3-0123456789abcdef") == "detector:mine@1:threshold=0.5+v3"
    )
    assert maker_folder("detector:mine@1+v3") != maker_folder("detector:mine@1:threshold=0.5+v3")
    assert maker_folder("../../../../etc+v1").startswith("etc-")
