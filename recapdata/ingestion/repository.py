"""Files of one commit of a repository, by the paths that its own data name: nothing else is ever opened.

A row of somebody's dataset may name an image instead of holding it, and a card may name data files. Both may name anything:
this machine's files, other hosts, chains of `fsspec` openers. What is opened is a path inside the repository, or a member of a
zip archive there.
"""

import posixpath
import re
import unicodedata
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

import yaml

from recapdata.dataset.paths import inside
from recapdata.endpoint import endpoint, hub_api
from recapdata.errors import SourceError
from recapdata.ingestion.source import failed
from recapdata.records import Item

CARDS = ("README.md", ".huggingface.yaml")
"""Where a repository may say which of its files are data, as `datasets` looks for it."""
FIELDS = ("data_files", "data_dir")
BUILDERS = frozenset({"arrow", "csv", "imagefolder", "json", "parquet", "webdataset"})
"""Layouts of `datasets` whose files name nothing that is opened but rows' images (HDF5 has external links, for one)."""
CARD_BYTES = 4 * 2**20
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")
_BROKEN = (zipfile.BadZipFile, zlib.error, EOFError, KeyError, RuntimeError, NotImplementedError, ValueError)
"""What `zipfile` raises of a broken, encrypted or unknown archive, and `HfFileSystem` of a path that is none."""


class RepositoryFiles:
    """The files of a repository at a commit."""

    def __init__(self, repo_id: str, commit: str) -> None:
        self._root = f"datasets/{repo_id}@{commit}/"
        self._archive: tuple[str, zipfile.ZipFile] | None = None

    def locate(self, path: str) -> tuple[str, str | None] | None:
        """The file of the repository that a path means, and the member of it if it is a zip; None for any other path.

        Args:
            path: relative to the repository's root, or as `datasets` names its files: `hf://datasets/…`,
                `zip://MEMBER::hf://datasets/…`.
        """
        member, chain, file = path.rpartition("::")
        if chain and (not member.startswith("zip://") or "::" in member):
            return None
        if file.startswith(prefix := f"hf://{self._root}"):
            file = file.removeprefix(prefix)
        elif chain or _SCHEME.match(file):
            return None
        member = member.removeprefix("zip://").removeprefix("/")
        if not all(_is_plain(each) for each in ([file, member] if chain else [file])):
            return None
        return posixpath.normpath(file), member if chain else None

    def read(self, path: str, source: str, max_bytes: int) -> bytes | Item:
        """The bytes that a path means, at most `max_bytes`, or the failed item of the row that names it.

        Raises:
            huggingface_hub.errors.HfHubHTTPError, httpx2.TransportError: the Hub cannot be reached.
        """
        from huggingface_hub.errors import HfHubHTTPError

        found = list(dict.fromkeys(map(self.locate, _spellings(path))))
        if None in found:
            return failed(source, "UnsafePath", f"the path leads outside the repository: {path[:200]!a}")
        try:
            content = self._read_first(found, max_bytes + 1)
        except (FileNotFoundError, KeyError):
            return failed(source, "MissingFile", f"the repository has no {path[:200]!a}")
        except HfHubHTTPError as error:
            if error.response.status_code >= 500 or error.response.status_code in (401, 408, 429):
                raise
            return failed(
                source, "UnreadableFile", f"the Hub answered {error.response.status_code} for {path[:200]!a}"
            )
        except (*_BROKEN, OSError) as error:
            return failed(source, "UnreadableFile", f"{path[:200]!a}: {error or type(error).__name__}")
        if len(content) > max_bytes:
            return failed(source, "TooLarge", f"more than the limit of {max_bytes:,} bytes")
        return content

    def _read_first(self, places: Sequence[tuple[str, str | None] | None], size: int) -> bytes:
        """The first bytes of the first of these places that there is."""
        *others, last = [place for place in places if place is not None]
        for place in others:
            try:
                with self._open(*place) as file:
                    return file.read(size)
            except (FileNotFoundError, KeyError):
                continue
        with self._open(*last) as file:
            return file.read(size)

    def _open(self, name: str, member: str | None) -> IO[bytes]:
        if member is None:
            return self._open_file(name)
        if self._archive is None or self._archive[0] != name:
            self._archive = (name, zipfile.ZipFile(self._open_file(name)))
        return self._archive[1].open(member)

    def _open_file(self, name: str) -> IO[bytes]:
        from huggingface_hub import HfFileSystem

        return HfFileSystem(endpoint=endpoint()).open(self._root + name, "rb")


def check_card(repo_id: str, commit: str) -> None:
    """Refuse a repository whose card names data files outside of it, before anything looks for them.

    Raises:
        SourceError: it does, or the card is no YAML.
        huggingface_hub.errors.HfHubHTTPError, httpx2.TransportError: the Hub cannot be reached.
    """
    from huggingface_hub.errors import EntryNotFoundError

    files = RepositoryFiles(repo_id, commit)
    for name in CARDS:
        try:
            path = hub_api().hf_hub_download(repo_id, name, repo_type="dataset", revision=commit)
        except EntryNotFoundError:
            continue
        for pattern in _patterns(_card_values(Path(path), f"{name} of {repo_id}")):
            if files.locate(pattern) is None:
                raise SourceError(
                    f"{name} of {repo_id} names data files outside of the repository: {pattern[:200]!a}; "
                    "only what is in the repository is read"
                )


def _spellings(path: str) -> list[str]:
    """A path as it is, and as other systems write it: with slashes, with accents composed or decomposed."""
    plain = path.replace("\\", "/")
    return [path, *(unicodedata.normalize(form, plain) for form in ("NFC", "NFD"))]


def _is_plain(name: str) -> bool:
    """Whether a name is of a file inside a folder, and text."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return bool(name.strip("./")) and inside(name)


def _card_values(path: Path, what: str) -> Any:
    """What a card says, read as `datasets` reads it, so that the two never see different names."""
    from huggingface_hub import DatasetCard

    try:
        if path.stat().st_size > CARD_BYTES:
            raise ValueError(f"more than {CARD_BYTES:,} bytes")
        if path.suffix == ".md":
            return DatasetCard.load(path).data.to_dict()
        return yaml.safe_load(path.read_text(encoding="utf8"))
    except (yaml.YAMLError, ValueError, TypeError, RecursionError) as error:
        raise SourceError(f"{what} cannot be read: {' '.join(str(error).split())[:200]}") from error


def _patterns(values: Any) -> Iterator[str]:
    """Every text under the fields of a card that name data files."""
    configs = values.get("configs") if isinstance(values, Mapping) else None
    for config in configs if isinstance(configs, list) else ():
        if isinstance(config, Mapping):
            for name in FIELDS:
                yield from _texts(config.get(name), depth=4)


def _texts(value: Any, depth: int) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping) and depth:
        yield from _texts(value.get("path"), depth - 1)
    elif isinstance(value, list) and depth:
        for each in value:
            yield from _texts(each, depth - 1)
