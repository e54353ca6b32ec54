"""The source `wds:GLOB`: WebDataset tars. The image comes with its `.txt` (column txt), `.cls` (cls) and `.json` (a column a key).

The tars are gone through once beforehand, headers and small members only, so that the columns are known, and so is where to go
on. A second image of a sample and members of other kinds are left aside, and counted.

A sample is neighboring members of one base name, `0001.jpg` `0001.txt` `0001.json`: what stands before the first dot of the file's
name, or with `last_dot` before the last. A text of several lines is as many captions. Nothing is unpacked to disk. A member that
points outside, a link or a device spoils its sample; a tar that breaks off spoils the sample it breaks in, and says so, since
Python's `tarfile` takes garbage in the middle for the end.
"""

import bz2
import glob
import gzip
import lzma
import tarfile
import unicodedata
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import pyarrow as pa

from recapdata.dataset.paths import inside
from recapdata.errors import SourceNotFound
from recapdata.ingestion.columns import Columns, plan_columns
from recapdata.ingestion.files import captions_of
from recapdata.ingestion.images import EXTENSIONS
from recapdata.ingestion.jsonstream import parse_json
from recapdata.ingestion.source import IngestOptions, failed, stamp_of
from recapdata.ingestion.tables import BATCH_ROWS, MOST_MEMBERS, fit, json_object, merge_types, plain_type
from recapdata.records import Item

TEXTS = ("txt", "text", "caption")
"""Extensions of captions; the first that a sample has is its column txt."""
TEXT = "txt"
"""The column of captions."""
OWN = (TEXT, "cls")
"""Columns that are no keys of the JSON; such a key comes along as `json_<key>`."""

MOST_HEADER = 2**20
"""Bytes of a header that stands before a member's own: its long name, or what PAX says of it."""
_HEADERS = (
    tarfile.XHDTYPE,
    tarfile.XGLTYPE,
    tarfile.SOLARIS_XHDTYPE,
    tarfile.GNUTYPE_LONGNAME,
    tarfile.GNUTYPE_LONGLINK,
)
_BROKEN = (tarfile.TarError, EOFError, OSError, zlib.error, lzma.LZMAError, ValueError)
_NO_END = "its end mark is missing"
_OPENERS: dict[bytes, Callable[[str], IO[bytes]]] = {
    b"\x1f\x8b": gzip.open,  # type: ignore[dict-item]
    b"BZh": bz2.open,  # type: ignore[dict-item]
    b"\xfd7zXZ": lzma.open,  # type: ignore[dict-item]
}

FIRST_DOT = (
    "a key ends at the first dot of a file's name (WebDataset's rule); with --last-dot it ends at the last"
)


@dataclass(slots=True)
class Sample:
    """The members of one base name.

    Attributes:
        name: path inside the tar up to the extension.
        members: content by extension (what follows the key's dot), in the tar's order; None when it was not asked for.
        error: a type and a message when the sample cannot be used.
    """

    name: str
    members: dict[str, bytes | None] = field(default_factory=dict)
    error: tuple[str, str] | None = None


class WebDataset:
    """The samples of some tars, in the order of the tars' names."""

    def __init__(self, name: str, paths: list[Path], options: IngestOptions) -> None:
        self._paths = paths
        self._max_bytes = options.max_bytes
        self._last_dot = options.last_dot
        self._several_lines = 0
        self._aside: Counter[str] = Counter()
        self._samples: list[int] = []
        self.name = f"wds:{name}"
        self.labels = True
        self._types = self._survey()
        self._columns: Columns = plan_columns(self._types)
        self.columns = self._columns.types
        self.captions = self._columns.captions
        self.total: int | None = sum(self._samples)
        names = [f"{path.name}:{path.stat().st_size}" for path in paths]
        self.stamp = stamp_of([*names, "last dot"] if options.last_dot else names)

    def items(self, start: int) -> Iterator[Item]:
        """Samples from number `start` on; tars before it are not opened."""
        position = 0
        for path, count in zip(self._paths, self._samples, strict=True):
            if position + count > start:
                skip = max(0, start - position)
                for number, sample in enumerate(self._read(path, _is_wanted)):
                    if number >= skip:
                        yield self._item(path, sample)
            position += count

    def notes(self) -> list[str]:
        """Which members were left aside, and which texts are several captions."""
        notes = []
        if self._aside:
            kinds = ", ".join(f"{count:,} .{extension}" for extension, count in self._aside.most_common(8))
            dotted = [extension for extension in self._aside if _is_dotted_image(extension)]
            rule = f"; {FIRST_DOT}" if dotted and not self._last_dot else ""
            notes.append(f"members of other kinds, and second images, were left aside ({kinds}){rule}")
        if self._several_lines:
            notes.append(
                f"{self._several_lines:,} texts have several lines: column 'txt' is a list with a caption a line"
            )
        return notes

    def _read(self, path: Path, wanted: "Wanted") -> "Iterator[Sample]":
        return read_samples(path, wanted, self._max_bytes, last_dot=self._last_dot)

    def _survey(self) -> dict[str, pa.DataType]:
        """Count samples and what is left aside, and find the columns with their types."""
        types: dict[str, pa.DataType] = {}
        batch: list[Mapping[str, Any]] = []
        for path in self._paths:
            count = 0
            for sample in self._read(path, _is_small):
                count += 1
                self._aside.update(_left_aside(sample))
                if sample.error is None:
                    values = _values(sample)[0]
                    self._several_lines += len(captions_of(values.get(TEXT) or "")) > 1
                    batch.append(values)
                if len(batch) >= BATCH_ROWS:
                    merge_types(types, batch)
                    batch = []
            self._samples.append(count)
        merge_types(types, batch)
        if self._several_lines:
            types[TEXT] = pa.list_(pa.string())
        return {name: plain_type(kind) for name, kind in types.items()}

    def _item(self, path: Path, sample: Sample) -> Item:
        image = _image_of(sample)
        source = "/".join(part for part in (path.name, sample.name) if part) + (f".{image}" if image else "")
        if sample.error is not None:
            return failed(source, *sample.error)
        if image is None:
            members = ", ".join(f".{extension}" for extension in sample.members)
            dotted = not self._last_dot and any(map(_is_dotted_image, sample.members))
            rule = f"; {FIRST_DOT}" if dotted else ""
            return failed(source, "NoImage", f"the sample has only {members}{rule}")
        values, problem = _values(sample)
        if problem is not None:
            return failed(source, "BadMetadata", problem)
        if self._several_lines and TEXT in values:
            values[TEXT] = captions_of(values[TEXT])
        values = {name: fit(value, self._types[name]) for name, value in values.items()}
        return self._columns.item(source, sample.members[image], values)


def open_webdataset(argument: str, options: IngestOptions) -> WebDataset:
    """The source of a pattern of tar files.

    Raises:
        SourceNotFound: no file matches.
    """
    pattern = str(Path(argument).expanduser())
    paths = sorted(Path(each) for each in glob.glob(pattern, recursive=True))
    paths = [path for path in paths if path.is_file()]  # no FIFO, and no link that leads nowhere
    if not paths:
        raise SourceNotFound(
            f"wds:{argument}: no file matches; give the tars by a pattern in quotes, such as 'wds:data/*.tar'"
        )
    return WebDataset("/".join(Path(pattern).parts[-2:]), paths, options)


def _is_small(extension: str) -> bool:
    return extension in ("json", "cls", *TEXTS)


def _is_dotted_image(extension: str) -> bool:
    """Whether an extension is that of an image by the last dot, and not by the first."""
    first, dot, last = extension.rpartition(".")
    return bool(dot and first) and f".{last}" in EXTENSIONS


def _is_wanted(extension: str) -> bool:
    return f".{extension}" in EXTENSIONS or extension in ("json", "cls", *TEXTS)


def _image_of(sample: Sample) -> str | None:
    """The extension of a sample's image."""
    return next((each for each in sample.members if f".{each}" in EXTENSIONS), None)


def _left_aside(sample: Sample) -> Iterator[str]:
    """Extensions of the members that nothing is made of."""
    taken = {_image_of(sample), _text_of(sample), "json", "cls"}
    return (extension for extension in sample.members if extension not in taken)


def _text_of(sample: Sample) -> str | None:
    return next((each for each in TEXTS if each in sample.members), None)


def _values(sample: Sample) -> tuple[dict[str, Any], str | None]:
    """What came with an image, by column; and what is wrong with its JSON."""
    values: dict[str, Any] = {}
    text, number, json_text = (sample.members.get(each) for each in (_text_of(sample) or "", "cls", "json"))
    if _text_of(sample) is not None:
        values[TEXT] = (text or b"").decode("utf-8-sig", "surrogateescape").strip()
    if number is not None:
        label = number.decode("utf8", "surrogateescape").strip()
        values["cls"] = int(label) if label.isascii() and label.isdecimal() and len(label) < 19 else label
    if json_text is not None:
        try:
            text_of_json = json_text.decode("utf-8-sig", "surrogateescape")
            members = parse_json(text_of_json, object_pairs_hook=json_object)
        except ValueError as error:
            return values, f"its .json is no JSON: {error}"
        if not isinstance(members, dict):
            return values, "its .json is no object"
        if len(members) > MOST_MEMBERS:
            return values, f"its .json has {len(members):,} members; at most {MOST_MEMBERS:,} come along"
        values |= {f"json_{name}" if name in OWN else name: value for name, value in members.items()}
    return values, None


# -- reading a tar -----------------------------------------------------------------------------------------------------

Wanted = Callable[[str], bool]
"""Whether a member is read, by its extension."""


def read_samples(path: Path, wanted: Wanted, max_bytes: int, *, last_dot: bool = False) -> Iterator[Sample]:
    """The samples of a tar, plain or compressed, in order; a broken tar ends in a sample with the error `BrokenTar`.

    How many samples there are does not depend on what is wanted.
    """
    sample: Sample | None = None
    try:
        with _open(path) as raw, tarfile.open(fileobj=raw, mode="r:", tarinfo=_Member) as tar:
            while (member := tar.next()) is not None:
                tar.members = []  # type: ignore[attr-defined]  # tarfile would keep every header in memory
                if member.isdir() or _is_hidden(member.name):
                    continue
                name, extension = _split(member.name, last_dot)
                if sample is not None and sample.name != name:
                    yield sample
                    sample = None
                sample = sample or Sample(name)
                _add(sample, tar, member, extension, wanted, max_bytes)
            problem = _end_problem(raw, tar.offset)  # type: ignore[attr-defined]
    except _BROKEN as error:
        problem = f"{error}" or type(error).__name__
    if sample is not None and problem in (None, _NO_END):
        yield sample
        sample = None
    if problem is not None:
        sample = sample or Sample("")
        sample.error = ("BrokenTar", f"the tar breaks off here, and what follows is lost: {problem}")
        yield sample


def _open(path: Path) -> IO[bytes]:
    with open(path, "rb") as file:
        start = file.read(6)
    for magic, opener in _OPENERS.items():
        if start.startswith(magic):
            return opener(str(path))
    return open(path, "rb")


class _Member(tarfile.TarInfo):
    """A member of which no header is read that is longer than any name: tarfile holds each whole."""

    def _proc_member(self, tar: tarfile.TarFile) -> tarfile.TarInfo:
        if self.type in _HEADERS and self.size > MOST_HEADER:
            raise tarfile.ReadError(f"a header of {self.size:,} bytes; at most {MOST_HEADER:,} are read")
        return super()._proc_member(tar)  # type: ignore[misc, no-any-return]


def _add(
    sample: Sample,
    tar: tarfile.TarFile,
    member: tarfile.TarInfo,
    extension: str,
    wanted: Wanted,
    max_bytes: int,
) -> None:
    if not inside(member.name.replace("\\", "/")):
        sample.error = ("UnsafeMember", f"the member {member.name!a} points outside the tar")
    elif member.issym() or member.islnk():
        sample.error = ("UnsafeMember", f"the member {member.name!a} is a link to {member.linkname!a}")
    elif not member.isreg():
        sample.error = ("UnsafeMember", f"the member {member.name!a} is no file")
    elif extension in sample.members:
        sample.error = ("RepeatedMember", f"two members are called {member.name!a}")
    elif member.size > max_bytes and wanted(extension):
        sample.error = ("TooLarge", f"{member.name!a} has {member.size:,} bytes; the limit is {max_bytes:,}")
    elif sample.error is None:
        content = None
        if wanted(extension):
            file = tar.extractfile(member)
            assert file is not None
            content = file.read()
        sample.members[extension] = content


def _end_problem(raw: IO[bytes], offset: int) -> str | None:
    """What is wrong with the end of a tar: where tarfile stopped there must be a block of zeros."""
    raw.seek(offset)
    block = raw.read(tarfile.BLOCKSIZE)
    if len(block) < tarfile.BLOCKSIZE:
        return _NO_END
    if any(block):
        return f"at byte {offset:,} there is no header"
    return "more stands behind its end mark" if raw.read(2**20).strip(b"\0") else None


def _split(name: str, last_dot: bool) -> tuple[str, str]:
    """Key and extension; members that another system named with backslashes or decomposed accents are of the same key."""
    name = unicodedata.normalize("NFC", name).replace("\\", "/")
    folder, slash, file = name.rpartition("/")
    base, dot, extension = file.rpartition(".") if last_dot else file.partition(".")
    return folder + slash + (base if dot else file), extension.lower() if dot else ""


def _is_hidden(name: str) -> bool:
    file = name.rpartition("/")[2]
    return file.startswith(".") or (file.startswith("__") and file.endswith("__")) or "__MACOSX/" in name
