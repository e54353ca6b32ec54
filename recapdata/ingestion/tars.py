"""Samples in tars as WebDataset keeps them: neighboring members of one base name, `0001.jpg` `0001.txt` `0001.json`.

Nothing is unpacked to disk. A member that points outside, a link or a device spoils its sample; a tar that breaks off spoils the
sample it breaks in, and says so, since Python's `tarfile` takes garbage in the middle for the end.
"""

import bz2
import gzip
import lzma
import tarfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from recapdata.dataset.paths import inside

_BROKEN = (tarfile.TarError, EOFError, OSError, zlib.error, lzma.LZMAError, ValueError)
_NO_END = "its end mark is missing"
_OPENERS: dict[bytes, Callable[[str], IO[bytes]]] = {
    b"\x1f\x8b": gzip.open,  # type: ignore[dict-item]
    b"BZh": bz2.open,  # type: ignore[dict-item]
    b"\xfd7zXZ": lzma.open,  # type: ignore[dict-item]
}


@dataclass(slots=True)
class Sample:
    """The members of one base name.

    Attributes:
        name: path inside the tar up to the extension.
        members: content by extension (what follows the first dot of the file name), in the tar's order; None when it was not
            asked for.
        error: a type and a message when the sample cannot be used.
    """

    name: str
    members: dict[str, bytes | None] = field(default_factory=dict)
    error: tuple[str, str] | None = None


Wanted = Callable[[str], bool]
"""Whether a member is read, by its extension."""


def read_samples(path: Path, wanted: Wanted, max_bytes: int) -> Iterator[Sample]:
    """The samples of a tar, plain or compressed, in order; a broken tar ends in a sample with the error `BrokenTar`.

    How many samples there are does not depend on what is wanted.
    """
    sample: Sample | None = None
    try:
        with _open(path) as raw, tarfile.open(fileobj=raw, mode="r:") as tar:
            while (member := tar.next()) is not None:
                tar.members = []  # type: ignore[attr-defined]  # tarfile would keep every header in memory
                if member.isdir() or _is_hidden(member.name):
                    continue
                name, extension = _split(member.name)
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


def _add(
    sample: Sample,
    tar: tarfile.TarFile,
    member: tarfile.TarInfo,
    extension: str,
    wanted: Wanted,
    max_bytes: int,
) -> None:
    if not inside(member.name):
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


def _split(name: str) -> tuple[str, str]:
    folder, slash, file = name.rpartition("/")
    base, _, extension = file.partition(".")
    return folder + slash + base, extension.lower()


def _is_hidden(name: str) -> bool:
    file = name.rpartition("/")[2]
    return file.startswith(".") or (file.startswith("__") and file.endswith("__")) or "__MACOSX/" in name
