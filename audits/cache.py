"""The cache of what was seen of pictures: by key, by what saw it, for all caption sets, revisions and audits of a dataset.

    evidence/<maker>/train-00000.parquet     rows by `key`, of the pictures of that image shard

A maker is a source of evidence or a CLIP model, with its revision, parameters and rules. The cache of a dataset folder lies in it and
is never published; a takedown takes the pictures' rows out. That of a published version lies beside the files downloaded of it
(`HF_HOME`), one for all revisions; that of an audit with `--out` lies in the folder named there. All of it may be deleted at any time.

A folder may come from anybody: a file that is of another form than this module writes, or too large, is not used and made again.
"""

import json
import os
import shutil
import stat
import time
from collections.abc import Collection, Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from recapdata.atomic import replacing
from recapdata.console import say
from recapdata.dataset.folder import EVIDENCE, shard_name
from recapdata.dataset.shards import ShardFile, read_note
from recapdata.dataset.target import Target
from recapdata.errors import DatasetDamaged

FORMAT = 1
"""Raise it where the same maker sees other pixels: `recapdata.dataset.decoding` has changed."""
FOOTER = "recapdata.evidence"
MAKERS = 8
"""Makers whose rows are kept; of more, those go that were not used for the longest time."""
MOST_BYTES = 2**31
"""Uncompressed size of a file that is read."""
SAVED_EVERY = 60.0
"""Seconds of work that a killed audit does again at most."""
_FORGOTTEN = 24 * 3600.0
"""Age in seconds of a temporary file that no process can be writing any more."""


def cache_roots(target: Target, out: Path | None = None) -> tuple[Path, ...]:
    """Where the cache of a target is: the folder that is written to, then those that are read beside it.

    Args:
        out: the folder that the audit is written to; the target's own where None.
    """
    if target.folder is None:
        from huggingface_hub import constants

        name = str(target.repo_id).replace("/", "--")
        endpoint = sha256(constants.ENDPOINT.encode()).hexdigest()[:8]
        return (Path(constants.HF_HOME) / "recapdata" / EVIDENCE / f"{name}-{endpoint}",)
    own = target.folder / EVIDENCE
    return (own,) if out in (None, target.folder / "audits") else (out / f".{EVIDENCE}", own)


def maker_folder(maker: str) -> str:
    """The folder of a maker: the word that it begins with, and a hash that tells it from others."""
    word = "".join(letter for letter in maker.split(":")[0].split("+")[0].lower() if letter.isalnum())
    return f"{word[:16] or 'own'}-{sha256(maker.encode()).hexdigest()[:16]}"


def prune(root: Path, makers: Sequence[str], *, held: bool) -> None:
    """Note that these makers are used now, and delete what was not used for the longest time, and what killed runs left.

    Args:
        held: whether no other process writes there (see `recapdata.dataset.folder.hold`).
    """
    if not root.is_dir() or root.is_symlink():
        return
    for maker in makers:
        if (root / maker_folder(maker)).is_dir():
            os.utime(root / maker_folder(maker))
    with os.scandir(root) as entries:
        ages = {Path(entry.path): entry.stat().st_mtime for entry in entries if _is_folder(entry)}
    for path in sorted(ages, key=lambda path: -ages[path])[MAKERS:]:
        shutil.rmtree(path, ignore_errors=True)
    for path in root.glob("*/.*.tmp"):
        if held or time.time() - path.lstat().st_mtime > _FORGOTTEN:
            path.unlink(missing_ok=True)


def _is_folder(entry: "os.DirEntry[str]") -> bool:
    return entry.is_dir(follow_symlinks=False)


class ShardCache:
    """What one maker saw of the pictures of one image shard, by key; read when it is first asked."""

    def __init__(self, roots: Sequence[Path], maker: str, shard: int, schema: pa.Schema) -> None:
        """Prepare; nothing is read yet.

        Args:
            roots: as `cache_roots` gives them.
            schema: the columns of a row, `key` first.
        """
        self._paths = [root / maker_folder(maker) / shard_name(shard) for root in roots]
        self._note = {FOOTER: json.dumps({"format": FORMAT, "maker": maker})}
        self._maker = maker
        self._schema = schema
        self._tables: list[pa.Table] | None = None
        self._places: dict[str, tuple[int, int]] = {}
        self._new: dict[str, dict[str, Any]] = {}
        self._saved = time.monotonic()

    def row(self, key: str) -> Mapping[str, Any] | None:
        """The row of a picture, not checked beyond its types; None where there is none."""
        if key in self._new:
            return self._new[key]
        if self._tables is None:
            self._read()
        assert self._tables is not None
        if key not in self._places:
            return None
        table, place = self._places[key]
        rows: list[dict[str, Any]] = self._tables[table].slice(place, 1).to_pylist()
        return rows[0]

    def put(self, row: dict[str, Any]) -> None:
        """Keep a row; on disk within `SAVED_EVERY` seconds, or by `close`."""
        self._new[row["key"]] = row
        if time.monotonic() - self._saved > SAVED_EVERY:
            self._save(None)

    def close(self, keys: Collection[str] | None = None) -> None:
        """Save what is new.

        Args:
            keys: of the shard, so that rows of pictures that are gone go too; None where not all of them are known.
        """
        if self._new:
            self._save(keys)
            self._new, self._tables = {}, None

    def _rows(self, keys: Collection[str] | None) -> pa.Table:
        """The rows on disk that still hold, and the new ones."""
        if self._tables is None:
            self._read()
        assert self._tables is not None
        parts = []
        for number, table in enumerate(self._tables):
            kept = [
                place
                for key, (where, place) in self._places.items()
                if where == number and key not in self._new and (keys is None or key in keys)
            ]
            parts.append(table.take(pa.array(sorted(kept), pa.int64())))
        parts.append(pa.Table.from_pylist(list(self._new.values()), schema=self._schema))
        return pa.concat_tables(parts)

    def _save(self, keys: Collection[str] | None) -> None:
        """Write the file anew; an audit goes on without its cache where that cannot be."""
        rows = self._rows(keys).replace_schema_metadata(self._note)
        try:
            with replacing(self._paths[0], shared=True) as temporary:
                pq.write_table(rows, temporary, compression="zstd")
        except OSError as error:
            say(f"what was seen of the pictures is not kept for the next audit: {error}")
        self._saved = time.monotonic()

    def _read(self) -> None:
        self._tables = []
        for path in self._paths:
            table = self._table(path)
            if table is not None:
                number = len(self._tables)
                self._tables.append(table)
                keys = table.column("key").to_pylist()
                self._places = {key: (number, place) for place, key in enumerate(keys)} | self._places

    def _table(self, path: Path) -> pa.Table | None:
        """The rows of a file; None where there is none of this maker and form."""
        try:
            if not stat.S_ISREG(path.lstat().st_mode):
                return None
        except OSError:
            return None
        try:
            note = read_note(path, FOOTER.encode())
            if note != {"format": FORMAT, "maker": self._maker}:
                return None
            with ShardFile(path) as file:
                groups = (file.metadata.row_group(group) for group in range(file.metadata.num_row_groups))
                if sum(group.total_byte_size for group in groups) > MOST_BYTES:
                    raise DatasetDamaged(f"it holds more than {MOST_BYTES:,} bytes")
                if not file.schema_arrow.remove_metadata().equals(self._schema):
                    raise DatasetDamaged("its columns are others")
                return file.read(use_threads=False).replace_schema_metadata(None)
        except DatasetDamaged as error:
            say(f"{path} is not used, and what it should hold is made again: {error}")
            return None
