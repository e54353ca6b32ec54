"""Keys: read from a user's file, and an index on disk of those that a dataset folder holds or has removed.

The index is a SQLite table beside the shards, derived from them alone. It can be deleted at any time: what is missing or no longer agrees with the shards is made again from their key columns.
Memory stays flat however many keys there are.
"""

import sqlite3
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import NoReturn

from recapdata.dataset.folder import DatasetFolder
from recapdata.dataset.shards import ShardFile, restore
from recapdata.errors import DatasetDamaged, InputError
from recapdata.records import KEY

INDEX = ".keys.sqlite"
CACHE_KIB = 16 * 1024
_FORMAT = 2
_ASK = 500
"""Keys per query, well under SQLite's limit of bound values."""

_MERGE = 1_000_000
"""Keys that gather in `recent` before they go into `keys`: entering a shard rewrites most pages of whatever table it goes to."""

_TABLES = """
CREATE TABLE IF NOT EXISTS keys (key BLOB PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS recent (key BLOB PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS removed (key BLOB PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS parts (name TEXT PRIMARY KEY, size INTEGER NOT NULL, changed INTEGER NOT NULL);
"""


def removed_keys(folder: DatasetFolder) -> Path:
    """The file of all keys that were taken out on request, one `key` column, sorted; absent when there are none."""
    return folder.path / "removed" / "keys.parquet"


def read_keys_file(path: Path) -> set[str]:
    """The keys of a text file, one a line; blank lines and a byte-order mark are passed by.

    Raises:
        InputError: the file cannot be read, holds none, or a line is no key.
    """
    keys: set[str] = set()
    try:
        with open(path, encoding="utf-8-sig") as file:
            for number, line in enumerate(file, 1):
                key = line.strip()
                if key and not KEY.fullmatch(key):
                    raise InputError(
                        f"{path}: line {number} is no key: {key[:80]!r}; a key is the 64 lowercase hexadecimal digits of an "
                        "image's SHA-256"
                    )
                keys.add(key)
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} cannot be read as a list of keys: {error}") from error
    keys.discard("")
    if not keys:
        raise InputError(f"{path} holds no keys; write one a line")
    return keys


class KeyIndex:
    """The keys of a folder's records, and those that were removed. Open it while the folder is held for writing."""

    def __init__(self, folder: DatasetFolder) -> None:
        self._folder = folder
        self._path = folder.path / INDEX
        try:
            self._db = self._connect()
            self._synchronize()
        except sqlite3.DatabaseError:
            # A torn index (a power cut, a full disk) is worth nothing; the shards are the truth.
            self._start_again()
            self._synchronize()

    def records(self, keys: Collection[bytes]) -> set[bytes]:
        """Those of the keys that are records of finished shards."""
        with self._damage():
            return self._present("recent", keys) | self._present("keys", keys)

    def removed(self, keys: Collection[bytes]) -> set[bytes]:
        """Those of the keys that were removed on request."""
        with self._damage():
            return self._present("removed", keys)

    def add_shard(self, shard: int, keys: Collection[bytes]) -> None:
        """Take in the keys of an image shard that has just been finished."""
        with self._damage():
            self._db.execute("BEGIN")
            self._insert(f"shard {shard}", keys, "recent")
            self._note(self._folder.image_shard(shard))
            self._db.execute("COMMIT")
            self._merge()

    def forget(self, shard: int, keys: Collection[bytes]) -> None:
        """Take out keys of an image shard that has just been written anew without them."""
        with self._damage():
            self._db.execute("BEGIN")
            for table in ("recent", "keys"):
                self._db.executemany(f"DELETE FROM {table} WHERE key = ?", ((key,) for key in sorted(keys)))
            self._note(self._folder.image_shard(shard))
            self._db.execute("COMMIT")

    def close(self) -> None:
        """Close the database."""
        self._db.close()

    def __enter__(self) -> "KeyIndex":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @contextmanager
    def _damage(self) -> Iterator[None]:
        """Report pages that turn out to be torn only when they are read."""
        try:
            yield
        except sqlite3.DatabaseError as error:
            if getattr(error, "sqlite_errorcode", None) not in (
                sqlite3.SQLITE_CORRUPT,
                sqlite3.SQLITE_NOTADB,
            ):
                raise
            raise DatasetDamaged(
                f"{self._path} is damaged ({error}); delete it and run the same command again: it is made again from the shards"
            ) from error

    def _connect(self) -> sqlite3.Connection:
        db = sqlite3.connect(self._path, isolation_level=None)
        db.execute("PRAGMA trusted_schema=OFF")
        if db.execute(
            "SELECT 1 FROM sqlite_master WHERE type IN ('trigger', 'view') OR sql LIKE 'CREATE VIRTUAL%'"
        ).fetchone():
            raise sqlite3.DatabaseError(
                "not made here"
            )  # the index of somebody else's folder may do anything
        db.execute("PRAGMA journal_mode=WAL")
        db.execute("PRAGMA synchronous=NORMAL")
        db.execute(f"PRAGMA cache_size=-{CACHE_KIB}")
        db.executescript(_TABLES)
        made = {row[0] for row in db.execute("SELECT sql FROM sqlite_master WHERE sql IS NOT NULL")}
        if made != {
            each.strip().replace("IF NOT EXISTS ", "") for each in _TABLES.split(";") if each.strip()
        }:
            raise sqlite3.DatabaseError("other tables")
        if db.execute("PRAGMA user_version").fetchone()[0] not in (0, _FORMAT):
            raise sqlite3.DatabaseError("another format")
        db.execute(f"PRAGMA user_version={_FORMAT}")
        return db

    def _start_again(self) -> None:
        if hasattr(self, "_db"):
            self._db.close()
        for suffix in ("", "-wal", "-shm"):
            self._path.with_name(INDEX + suffix).unlink(missing_ok=True)
        self._db = self._connect()

    def _synchronize(self) -> None:
        """Make the index agree with the shards: take in new ones; a changed or vanished one means starting again."""
        shards = [self._folder.image_shard(shard) for shard in self._folder.shards()]
        identities = {self._name(path): _identity(path) for path in shards}
        noted = self._noted()
        removed = removed_keys(self._folder)
        out = self._name(removed)
        if any(identities.get(name) != identity for name, identity in noted.items() if name != out):
            self._start_again()
            noted = {}
        for path in shards:
            if self._name(path) not in noted:
                self._take_in(path, "recent")
        if removed.is_file() and noted.get(out) != _identity(removed):
            self._take_in(removed, "removed")

    def _noted(self) -> dict[str, tuple[int, int]]:
        rows = self._db.execute("SELECT name, size, changed FROM parts")
        return {name: (size, changed) for name, size, changed in rows}

    def _take_in(self, path: Path, table: str) -> None:
        self._db.execute("BEGIN")
        if table == "removed":
            self._db.execute("DELETE FROM removed")
        for keys in _read_keys(path):
            if table == "recent" and self._present("keys", keys):
                self._damaged(self._name(path))
            self._insert(self._name(path), keys, table)
        self._note(path)
        self._db.execute("COMMIT")
        self._merge()

    def _merge(self) -> None:
        """Move the recent keys to the others once there are many."""
        if self._db.execute("SELECT count(*) FROM recent").fetchone()[0] >= _MERGE:
            self._db.execute("BEGIN")
            self._db.execute("INSERT INTO keys SELECT key FROM recent ORDER BY key")
            self._db.execute("DELETE FROM recent")
            self._db.execute("COMMIT")

    def _insert(self, where: str, keys: Collection[bytes], table: str) -> None:
        try:
            self._db.executemany(f"INSERT INTO {table} VALUES (?)", ((key,) for key in sorted(keys)))
        except sqlite3.IntegrityError:
            self._damaged(where)

    def _damaged(self, where: str) -> NoReturn:
        self._db.execute("ROLLBACK")
        raise DatasetDamaged(
            f"{self._folder.path}: {where} holds a key that the dataset already holds; ingest into a new folder"
        )

    def _note(self, path: Path) -> None:
        self._db.execute(
            "INSERT OR REPLACE INTO parts VALUES (?, ?, ?)", (self._name(path), *_identity(path))
        )

    def _present(self, table: str, keys: Collection[bytes]) -> set[bytes]:
        present: set[bytes] = set()
        wanted = list(keys)
        for start in range(0, len(wanted), _ASK):
            part = wanted[start : start + _ASK]
            marks = ",".join("?" * len(part))
            rows = self._db.execute(f"SELECT key FROM {table} WHERE key IN ({marks})", part)
            present.update(row[0] for row in rows)
        return present

    def _name(self, path: Path) -> str:
        return path.relative_to(self._folder.path).as_posix()


def _identity(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_size, status.st_mtime_ns


def _read_keys(path: Path) -> Iterator[list[bytes]]:
    with ShardFile(path) as file:
        for batch in file.iter_batches(100_000, columns=["key"], use_threads=False):
            try:
                yield [bytes.fromhex(key) for key in batch.column(0).to_pylist()]
            except (ValueError, TypeError) as error:
                raise DatasetDamaged(
                    f"{path} holds a key that is none ({error}); {restore(str(path))}"
                ) from error
