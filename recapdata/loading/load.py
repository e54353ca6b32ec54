"""`recapdata.load`: a version, or a local folder, as one dataset of the library `datasets`, images with their captions.

Images and captions are loaded apart and put side by side. The images of a shard are taken from whichever version of it has
been downloaded before, as long as it holds the same pictures; only the small caption files are fetched anew. Nothing is held
in memory: what `datasets` loads is memory-mapped.
"""

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal, overload

import pyarrow as pa
import pyarrow.compute as pc

from recapdata.caption_sets.mixture import Mixture
from recapdata.dataset.decoding import let_pillow_decode
from recapdata.dataset.folder import DatasetFolder
from recapdata.dataset.image_columns import image_columns, named_images
from recapdata.dataset.shards import ShardFile, fields_of
from recapdata.dataset.target import Target, open_dataset
from recapdata.endpoint import hub_api, hub_errors
from recapdata.errors import DatasetDamaged, DatasetEmpty, HubError, NotADataset
from recapdata.extras import naming_extras
from recapdata.loading.streaming import parts_of, stream
from recapdata.publishing.published import data_path, features
from recapdata.records import RECORD_SCHEMA
from recapdata.versions.contents import Contents, published_contents

if TYPE_CHECKING:
    from datasets import Dataset, IterableDataset


@overload
def load(
    target: str | Path,
    *,
    revision: str | None = None,
    sets: str | Sequence[str] | None = None,
    split: str = "train",
    mixture: str | Mapping[str, float] | Mixture | None = None,
    seed: int = 0,
    epoch: int = 0,
    streaming: Literal[False] = False,
) -> "Dataset": ...
@overload
def load(
    target: str | Path,
    *,
    revision: str | None = None,
    sets: str | Sequence[str] | None = None,
    split: str = "train",
    mixture: str | Mapping[str, float] | Mixture | None = None,
    seed: int = 0,
    epoch: int = 0,
    streaming: Literal[True],
) -> "IterableDataset": ...
@naming_extras()
def load(
    target: str | Path,
    *,
    revision: str | None = None,
    sets: str | Sequence[str] | None = None,
    split: str = "train",
    mixture: str | Mapping[str, float] | Mixture | None = None,
    seed: int = 0,
    epoch: int = 0,
    streaming: bool = False,
) -> "Dataset | IterableDataset":
    """Load images and captions of a version or a folder.

    Args:
        target: `user/name`, or a local dataset folder.
        revision: tag, branch or commit; the latest where omitted. It is resolved to its commit once, which stands in
            the dataset's `info.description`.
        sets: the caption sets wanted, a column each; one's name may stand alone; all of them where omitted.
        split: `train`, or a slice of it as `datasets` writes one: `train[:100]`, `train[50%:]`.
        mixture: weights over caption sets, such as `recap-short=0.5,recap-long=0.5` or `{"recap-short": 1, "recap-long": 1}`;
            every row then has the columns `caption` and `caption_set` as drawn for `seed` and `epoch`.
        seed: seed of the draws.
        epoch: number of the pass over the data, from 0; each draws anew.
        streaming: read rows while they are iterated over, and download nothing whole. A shard is the smallest part that
            `split_dataset_by_node` or a DataLoader's worker takes for itself.

    Pictures are decoded by `datasets`, with Pillow: where the dataset's pictures came in under a higher limit (`ingest --max-pixels`),
    and for large texts in PNGs, Pillow's own limits are raised for the process.

    Returns:
        A dataset with the columns key, image, width, height, source, license, objects, those that came along, and one
        string column per caption set (null where it failed).

    Raises:
        SourceNotFound, NotADataset, HubError: there is no such dataset or revision, or the Hub cannot be reached.
        DatasetEmpty: it holds no records.
        CaptionSetNotFound: no such caption set, or it is not finished (local folders).
        OptionError: a revision for a folder, another split than train, or a mixture that cannot be read.

    Example:
        >>> import recapdata
        >>> rows = recapdata.load("me/drawn", revision="v1.1.0", split="train[:4]")
        >>> rows[0]["image"].size, rows.column_names[-2:], len(rows)
        ((64, 64), ['alt', 'human'], 4)
        >>> rows = recapdata.load("me/drawn", mixture="alt=0.5,human=0.5", epoch=3, streaming=True)
        >>> next(iter(rows))["caption_set"] in ("alt", "human")
        True
    """
    opened = open_dataset(target, revision)
    let_pillow_decode(opened.max_pixels)
    if not any(opened.rows(shard) for shard in opened.shards()):
        raise DatasetEmpty(f"{opened.name} holds no records; finish its ingest, or load another version")
    parts = parts_of(opened, split)
    blend = Mixture.of(mixture) if mixture is not None else None
    wanted = opened.set_names() if sets is None else [sets] if isinstance(sets, str) else list(sets)
    wanted += [name for name in (blend.sets if blend else ()) if name not in wanted]
    for name in wanted:
        opened.check_set(name)
    draw = blend.transform(seed=seed, epoch=epoch) if blend else None
    if streaming:
        rows = stream(opened, parts, [*_image_columns(opened), *wanted], draw)
        rows.info.description = opened.resolved
        return rows
    rows = _rows(opened, wanted, split)
    rows.info.description = opened.resolved
    return rows.with_transform(draw) if draw else rows


def _rows(target: Target, sets: Sequence[str], split: str) -> "Dataset":
    """Images beside the captions of the sets."""
    from datasets import concatenate_datasets

    rows = _images(target, split)
    for name in sets:
        captions = _captions(target, name, split)
        if not _column(captions, "key").equals(_column(rows, "key")):
            raise DatasetDamaged(f"{target.name}: captions of {name} are not of the rows of the images")
        rows = concatenate_datasets([rows, captions.remove_columns("key")], axis=1)
    return rows


def _image_columns(target: Target) -> list[str]:
    """Every column but the captions."""
    return [name for name in target.columns() if name not in target.manifest.sets]


def _column(rows: "Dataset", name: str) -> pa.ChunkedArray:
    return rows.with_format("arrow")[:][name] if rows._indices is not None else rows.data.column(name)


def _images(target: Target, split: str) -> "Dataset":
    """Everything but the captions."""
    columns = _image_columns(target)
    if target.folder is not None:
        folder = DatasetFolder(target.folder)
        files = [str(folder.image_shard(shard)) for shard in target.shards()]
        schema = folder.schema()
        images = image_columns([folder.image_shard(shard) for shard in target.shards()], schema)
    else:
        files = [str(path) for path in _data_files(target)]
        schema, images = _published_schema(Path(files[0])) if files else (RECORD_SCHEMA, frozenset())
    rows = _parquet(files, fields_of(schema, columns, target.name), split, images)
    for name in ("image", *sorted(images)):
        _check_images(rows, name, target)
    return rows


def _published_schema(path: Path) -> tuple[pa.Schema, frozenset[str]]:
    """The columns of a data shard, and those beside `image` that hold images."""
    with ShardFile(path) as file:
        return file.schema_arrow.remove_metadata(), named_images(file.schema_arrow)


def _check_images(rows: "Dataset", name: str, target: Target) -> None:
    """Refuse images that are paths: `datasets` would open them, on this machine or elsewhere, when a row is read.

    Only the columns' validity is looked at, no image.

    Raises:
        DatasetDamaged: a row has a path and no bytes.
    """
    for images in rows.data.column(name).chunks:
        images = images.flatten() if pa.types.is_list(images.type) else images
        content, path = (pc.struct_field(images, name) for name in ("bytes", "path"))
        if content.null_count and pc.any(pc.and_(content.is_null(), path.is_valid())).as_py():
            raise DatasetDamaged(
                f"{target.name}: an image names a file instead of holding its bytes; ingest it again, from its source"
            )


def _captions(target: Target, name: str, split: str) -> "Dataset":
    files = [str(target.caption_shard(name, shard)) for shard in target.shards()]
    fields = [pa.field("key", pa.string()), pa.field("caption", pa.string())]
    return _parquet(files, fields, split).rename_column("caption", name)


def _parquet(
    files: list[str], fields: list[pa.Field], split: str, images: Collection[str] = frozenset()
) -> "Dataset":
    from datasets import load_dataset
    from datasets.exceptions import DatasetGenerationError

    columns = [field.name for field in fields]
    try:
        return load_dataset(
            "parquet",
            data_files={"train": files},
            columns=columns,
            features=features(fields, image=True, images=images),
            split=split,
        )
    except (DatasetGenerationError, pa.ArrowException, OSError) as error:
        for file in files:  # says which one is damaged, if any is
            with ShardFile(file) as shard:
                for _ in shard.iter_batches(1024):
                    pass
        cause = error.__cause__ or error
        if isinstance(cause, OSError) and cause.errno is not None:
            raise  # of the disk, or the network
        raise DatasetDamaged(
            f"{files[0]} and what belongs with it cannot be read as {', '.join(columns)} of one type each: "
            + " ".join(str(cause).split())[:300]
        ) from error


# --- what was downloaded before ------------------------------------------------------------------------------------------


def _data_files(target: Target) -> list[Path]:
    """Local paths of the data shards, each of a version that was downloaded before, or downloaded now."""
    mine = published_contents(target)
    others = _downloaded(target) if mine is not None else []
    found = []
    for shard in target.shards():
        path = _cached(target, str(target.commit), data_path(shard))
        for commit, contents in others:
            if path is not None:
                break
            if mine is not None and _same_images(mine, contents, shard):
                path = _cached(target, commit, data_path(shard))
        path = path or target.file(data_path(shard))
        if path is None:
            raise DatasetDamaged(f"{target.name} lacks {data_path(shard)}; publish it again")
        found.append(path)
    return found


def _same_images(mine: Contents, other: Contents, shard: int) -> bool:
    return (
        list(mine.columns.items()) == list(other.columns.items())
        and shard < len(mine.shards)
        and shard < len(other.shards)
        and mine.shards[shard].same_images(other.shards[shard])
    )


def _downloaded(target: Target) -> list[tuple[str, Contents]]:
    """Other versions of the same repository of which data shards lie in the client's cache, with what they say that they hold.

    Nobody but who may write the repository makes a tag or a branch; a proposed change (`refs/pr/…`) is anybody's and may say what it likes.
    """
    from huggingface_hub import constants
    from huggingface_hub.file_download import repo_folder_name

    folder = repo_folder_name(repo_id=str(target.repo_id), repo_type="dataset")
    snapshots = Path(constants.HF_HUB_CACHE) / folder / "snapshots"
    there = [
        snapshot
        for snapshot in sorted(snapshots.glob("*"), key=lambda path: path.name)
        if snapshot.name != target.commit and any(snapshot.glob("data/train-*.parquet"))
    ]
    if not there:
        return []
    with hub_errors(target.name):
        refs = hub_api().list_repo_refs(str(target.repo_id), repo_type="dataset")
    written = {ref.target_commit for ref in (*refs.tags, *refs.branches)}
    found = []
    for snapshot in there:
        if snapshot.name not in written:
            continue
        try:
            contents = published_contents(open_dataset(f"{target.repo_id}@{snapshot.name}"))
        except (HubError, DatasetDamaged, NotADataset):
            continue  # a commit that this Hub does not serve any more, or one of which nothing can be taken
        if contents is not None:
            found.append((snapshot.name, contents))
    return found


def _cached(target: Target, commit: str, path: str) -> Path | None:
    from huggingface_hub import try_to_load_from_cache

    cached = try_to_load_from_cache(str(target.repo_id), path, repo_type="dataset", revision=commit)
    return Path(cached) if isinstance(cached, str) else None
