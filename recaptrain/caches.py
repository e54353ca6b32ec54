"""Caches shared between runs and versions: what was computed of pictures and captions by models that stay as they are.

    ROOT/<kind>/<id>/about.json      the model that it is of, with its revision and settings
    ROOT/<kind>/<id>/used.json       which datasets used it, and when
    ROOT/<kind>/<id>/*.arrow         entries, many to a file; a file is whole or not there
    ROOT/<kind>/<id>/answers.jsonl   answers of a chat model, a line each (`recaptrain.chat.journal`)

A cache is of one model and one set of settings, of which its id is a hash; entries are named by what they are of, a picture by its key. So
runs that differ in captions share it, and so do versions of a dataset. Several processes may fill one at once. All of it may be deleted at any time.
"""

import hashlib
import json
import os
import re
import secrets
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from recapdata.atomic import replacing, write_atomic
from recapdata.dataset.bounded import read_small
from recapdata.display import one_line, shown_as_text
from recapdata.errors import OptionError
from recaptrain.arrow_files import read_mapped

if TYPE_CHECKING:
    import pyarrow as pa

VARIABLE = "RECAPDATA_CACHE"
"""Environment variable: the folder of all caches."""
PLACE = ("dtype", "torch_dtype", "transformers_version")
"""What a model's configuration says of where it was loaded."""
ABOUT, USED = "about.json", "used.json"
_ID = re.compile("[0-9a-f]{16}")
_FILE = re.compile(r"about\.json|used\.json|[\w-]+\.(arrow|jsonl)|\..+\.tmp|\.lock")


def caches_root() -> Path:
    """Where caches lie unless an option says otherwise: `RECAPDATA_CACHE`, else `recapdata` in the user's cache folder."""
    own = os.environ.get(VARIABLE)
    if own:
        return Path(own)
    home = os.environ.get("XDG_CACHE_HOME")
    return (Path(home) if home else Path.home() / ".cache") / "recapdata"


@dataclass(frozen=True, slots=True)
class Cache:
    """The cache of one model and one set of settings; make one with `open_cache`."""

    path: Path

    def tables(self) -> "Iterator[pa.Table]":
        """Its files, each memory-mapped, in the order of their names; one that is damaged is deleted, since it can be made again."""
        import pyarrow as pa

        for path in sorted(self.path.glob("*.arrow")):
            try:
                table = read_mapped(path)
            except (OSError, ValueError, LookupError, pa.ArrowException):
                path.unlink(missing_ok=True)
                continue
            yield table

    def add(self, table: "pa.Table") -> None:
        """Write entries as a file of their own."""
        import pyarrow as pa

        name = f"{time.time_ns():020d}-{secrets.token_hex(4)}.arrow"
        with (
            replacing(self.path / name, shared=True) as temporary,
            pa.OSFile(str(temporary), "wb") as file,
            pa.ipc.new_file(file, table.schema) as writer,
        ):
            writer.write_table(table.combine_chunks())

    def note_use(self, dataset: str) -> None:
        """Remember that a dataset, a folder or a repository, uses it, and when."""
        dataset = os.path.abspath(dataset) if os.path.isdir(dataset) else dataset
        used = _json(self.path / USED)
        write_atomic(
            self.path / USED,
            json.dumps({**used, dataset: datetime.now(UTC).isoformat(timespec="seconds")}).encode(),
        )


def model_digest(model: Any) -> str:
    """A hash over a model's configuration and weights, as diffusers or transformers would load them anywhere."""
    raw = model.config
    values = raw.to_dict() if hasattr(raw, "to_dict") else dict(raw)
    config = {name: value for name, value in values.items() if not name.startswith("_") and name not in PLACE}
    total = hashlib.sha256(json.dumps(config, sort_keys=True, default=str).encode())
    for name, weight in sorted(model.state_dict().items()):
        total.update(name.encode())
        total.update(weight.detach().cpu().float().contiguous().numpy().data)
    return total.hexdigest()


def open_cache(root: Path, kind: str, about: Mapping[str, Any]) -> Cache:
    """The cache of a kind for a model and settings, made where there is none.

    Args:
        about: JSON; what the entries depend on, beside what they are of. What starts with an underscore is for people and not part of the id.

    Raises:
        OptionError: its folder is a symbolic link, or lies behind one.
    """
    decided = {name: value for name, value in about.items() if not name.startswith("_")}
    name = hashlib.sha256(json.dumps(decided, sort_keys=True).encode()).hexdigest()[:16]
    path = root / kind / name
    if not _is_own(path):
        raise OptionError(
            f"{path} is a symbolic link, or lies behind one: a cache holds files of its own only; take it out"
        )
    if not (path / ABOUT).is_file():
        write_atomic(path / ABOUT, json.dumps(dict(about), indent=2).encode())
    return Cache(path)


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheEntry:
    """A cache as it is listed.

    Attributes:
        model: of whom it is.
        size: bytes.
        used: when it was used last, UTC; empty where that is not known.
        orphan: whether nothing that still exists uses it: the folders of its datasets are gone. A dataset on a Hub counts as there.
    """

    kind: str
    id: str
    path: str
    model: str
    files: int
    size: int
    used: str
    datasets: tuple[str, ...]
    orphan: bool


def list_caches(root: Path) -> list[CacheEntry]:
    """All caches below a root, by kind and id; links are not followed, and folders of other programs are left out."""
    entries = []
    for about in sorted(root.glob(f"*/*/{ABOUT}")):
        folder = about.parent
        if not (_ID.fullmatch(folder.name) and _is_own(folder)):
            continue
        used = {str(name): str(time) for name, time in _json(folder / USED).items()}
        files = [each for each in _own_files(folder) if each.suffix in (".arrow", ".jsonl")]
        entries.append(
            CacheEntry(
                kind=folder.parent.name,
                id=folder.name,
                path=str(folder),
                model=str(_json(about).get("_model", "")),
                files=len(files),
                size=sum(each.lstat().st_size for each in _own_files(folder)),
                used=max(used.values(), default=""),
                datasets=tuple(sorted(used)),
                orphan=not any(_exists(each) for each in used),
            )
        )
    return entries


@dataclass(frozen=True, slots=True, kw_only=True)
@shown_as_text
class CachesSummary:
    """The caches that are there, and those that were deleted."""

    root: str
    caches: Sequence[CacheEntry]
    cleared: Sequence[CacheEntry]

    def text(self) -> str:
        """A line per cache."""
        lines = [
            f"cleared {each.id}: {one_line(each.kind)} of {one_line(each.model)}, {_bytes(each.size)}"
            for each in self.cleared
        ]
        for each in self.caches:
            whose = f"; {one_line(', '.join(each.datasets))}" if each.datasets else ""
            orphan = " (orphan: its datasets are gone)" if each.orphan else ""
            lines.append(
                f"{each.id}  {one_line(each.kind)} of {one_line(each.model) or 'an unnamed model'}: {_bytes(each.size)} in "
                f"{each.files:,} files, last used {one_line(each.used) or 'at a time that is not known'}{whose}{orphan}"
            )
        total = sum(each.size for each in self.caches)
        lines.append(f"{len(self.caches)} caches, {_bytes(total)}, in {self.root}")
        if any(each.orphan for each in self.caches):
            lines.append("clear the orphans with: recaptrain caches --clear orphans")
        return "\n".join(lines)


def tidy_caches(root: Path | None, clear: Sequence[str]) -> CachesSummary:
    """List the caches below a root, less those that are to be cleared, which are deleted.

    Args:
        clear: ids, `orphans` or `all`.

    Raises:
        OptionError: no such cache; nothing is deleted then.
    """
    root = root or caches_root()
    entries = list_caches(root)
    known = {each.id for each in entries}
    for name in clear:
        if name not in known | {"orphans", "all"}:
            raise OptionError(
                f"--clear {name}: there is no such cache in {root}; recaptrain caches lists them"
            )
    cleared = [
        each for each in entries if each.id in clear or "all" in clear or (each.orphan and "orphans" in clear)
    ]
    for each in cleared:
        clear_cache(each)
    return CachesSummary(
        root=str(root), caches=[each for each in entries if each not in cleared], cleared=cleared
    )


def _bytes(size: int) -> str:
    """`1.5 GB`."""
    if size < 1000:
        return f"{size} bytes"
    number = float(size)
    for unit in ("kB", "MB", "GB"):
        number /= 1000
        if number < 999.95:
            return f"{number:.1f} {unit}"
    return f"{number / 1000:.1f} TB"


def clear_cache(entry: CacheEntry) -> None:
    """Delete a cache; a run that uses it keeps what it has open and encodes the rest again.

    Only what a cache writes is deleted: what somebody else has put into its folder stays, and so does the folder then.
    """
    folder = Path(entry.path)
    for path in _own_files(folder):
        path.unlink(missing_ok=True)
    for each in (folder, folder.parent):
        if any(each.iterdir()):
            return
        each.rmdir()


def _is_own(folder: Path) -> bool:
    """Whether neither a cache's folder nor that of its kind is a link, which may lead to anything."""
    return not (folder.is_symlink() or folder.parent.is_symlink())


def _own_files(folder: Path) -> list[Path]:
    """What a cache has written to its folder, and links of the same names."""
    return [
        each
        for each in folder.iterdir()
        if _FILE.fullmatch(each.name) and (each.is_symlink() or not each.is_dir())
    ]


def _exists(dataset: str) -> bool:
    """Whether a dataset that used a cache is still there: a folder is looked for, a repository is taken to be."""
    return not os.path.isabs(dataset) or os.path.isdir(dataset)


def _json(path: Path) -> dict[str, Any]:
    try:
        values = json.loads(read_small(path)) if path.is_file() and not path.is_symlink() else {}
    except (OSError, ValueError, RecursionError):
        return {}
    return values if isinstance(values, dict) else {}
