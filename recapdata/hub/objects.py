"""Large objects: which files are large, and their store of one file per content, named by its SHA-256, for all repositories.

An object is received under a temporary name, hashed while it streams to disk, flushed, and renamed only once size and hash
are what its name promises. So whatever a commit can name is whole, whenever the process was killed.
"""

import hashlib
import re
import secrets
import shutil
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeGuard

import pygit2
from pygit2.enums import AttrCheck
from starlette.concurrency import run_in_threadpool

from recapdata.atomic import rename
from recapdata.hub.refusals import Refusal, bad_request

SHA256 = re.compile(r"[0-9a-f]{64}")
PART_BYTES = 256 * 2**20  # of a multipart upload
WRITE_BYTES = 2**20  # handed to a worker thread at a time: hashing and writing never block the event loop
POINTER = re.compile(
    rb"version https://git-lfs\.github\.com/spec/v1\noid sha256:([0-9a-f]{64})\nsize (0|[1-9][0-9]{0,15})\n"
)
POINTER_MAX_BYTES = 200
SIZE_MAX_BYTES = 5 * 2**40  # of one file
REGULAR_MAX_BYTES = 10 * 2**20  # a larger file is always a large object, whatever .gitattributes says

# What the public Hub tracks in every new repository, and the images, sounds and films it adds for datasets.
_SUFFIXES = """
    7z arrow avro bin bin.* bz2 ckpt ftz gz h5 joblib lz4 mds mlmodel model msgpack npy npz onnx ot parquet pb pickle
    pkl pt pth rar safetensors tar tar.* tflite tgz wasm xz zip zst
    pcm sam raw aac flac mp3 ogg wav bmp gif png tiff jpg jpeg webp mp4 webm
"""
_PATTERNS = [f"*.{suffix}" for suffix in _SUFFIXES.split()] + ["*tfevents*", "saved_model/**/*"]
INITIAL_GITATTRIBUTES = "".join(f"{p} filter=lfs diff=lfs merge=lfs -text\n" for p in _PATTERNS).encode()


@dataclass(frozen=True, slots=True)
class Pointer:
    """What git holds in place of a large file."""

    sha256: str
    size: int

    def text(self) -> bytes:
        """The pointer file's content (git-lfs specification, version 1)."""
        return (
            f"version https://git-lfs.github.com/spec/v1\noid sha256:{self.sha256}\nsize {self.size}\n"
        ).encode()


def parse_pointer(content: bytes) -> Pointer | None:
    """The pointer that `content` is, or None if it is an ordinary file."""
    match = POINTER.fullmatch(content)
    return Pointer(match[1].decode(), int(match[2])) if match else None


def is_large(repo: pygit2.Repository, commit: pygit2.Commit, path: str, size: int) -> bool:
    """Whether a file of `size` bytes goes to the store of large objects, by the .gitattributes of `commit`."""
    if size == 0:  # an empty file is never uploaded as a large object
        return False
    if size > REGULAR_MAX_BYTES:
        return True
    flags = AttrCheck.INDEX_ONLY | AttrCheck.INCLUDE_COMMIT | AttrCheck.NO_SYSTEM
    return repo.get_attr(path, "filter", flags, commit.id) == "lfs"


def is_size(value: object) -> TypeGuard[int]:
    """Whether a value is a number of bytes that a file may have."""
    return type(value) is int and 0 <= value <= SIZE_MAX_BYTES


@dataclass(frozen=True, slots=True)
class ObjectStore:
    """The folder of large objects.

    Attributes:
        folder: `ab/cd/<sha256>` below it, read-only files.
        incoming: where bytes lie until they are verified; whatever is in it at start is thrown away.
    """

    folder: Path
    incoming: Path

    def path(self, sha256: str) -> Path:
        """Where the object lies or would lie."""
        return self.folder / sha256[:2] / sha256[2:4] / sha256

    def size(self, sha256: str) -> int | None:
        """Bytes of the object; None if the store does not hold it."""
        if not SHA256.fullmatch(sha256):
            return None
        try:
            return self.path(sha256).stat().st_size
        except FileNotFoundError:
            return None

    def free_bytes(self) -> int:
        """What the disk has room for."""
        return shutil.disk_usage(self.incoming).free

    async def receive(self, chunks: AsyncIterator[bytes], pointer: Pointer) -> None:
        """Take an object in from a stream.

        Raises:
            Refusal: 400 if size or hash differ from the pointer's, 507 if the disk is full; nothing stays behind.
        """
        temporary = self.incoming / secrets.token_hex(16)
        digest = hashlib.sha256()
        try:
            with await run_in_threadpool(temporary.open, "wb") as file:

                def take(data: bytes) -> None:
                    digest.update(data)
                    file.write(data)

                await write_all(chunks, take, limit=pointer.size)
            await run_in_threadpool(self.adopt, temporary, pointer, digest.hexdigest())
        except OSError as error:
            raise disk_refusal(error) from error
        finally:
            temporary.unlink(missing_ok=True)

    def adopt(self, temporary: Path, pointer: Pointer, sha256: str) -> None:
        """Give a temporary file its name, if it is what the pointer says."""
        size = temporary.stat().st_size
        if size != pointer.size:
            raise bad_request(
                f"Object {pointer.sha256}: {size:,} bytes came, {pointer.size:,} were announced."
            )
        if sha256 != pointer.sha256:
            raise bad_request(
                f"Object {pointer.sha256}: the bytes that came have SHA-256 {sha256}; upload again."
            )
        target = self.path(pointer.sha256)
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary.chmod(0o444)
        rename(temporary, target)

    def begin_parts(self) -> str:
        """Start a multipart upload: the name of its temporary file."""
        name = f"{secrets.token_hex(16)}.parts"
        (self.incoming / name).touch(mode=0o600)
        return name

    def parts(self, name: str) -> Path:
        """The temporary file of a multipart upload.

        Raises:
            Refusal: 404 if there is none (the Hub was restarted since, or the upload is complete).
        """
        path = self.incoming / name
        if not re.fullmatch(r"[0-9a-f]{32}\.parts", name) or not path.exists():
            raise Refusal(404, "This upload is not known (any more): start it again.")
        return path

    async def receive_part(self, name: str, number: int, chunks: AsyncIterator[bytes]) -> None:
        """Write part `number` (from 1) of a multipart upload at its place."""
        path = self.parts(name)
        try:
            with await run_in_threadpool(path.open, "r+b") as file:
                file.seek((number - 1) * PART_BYTES)
                await write_all(chunks, file.write, limit=PART_BYTES)
        except OSError as error:
            raise disk_refusal(error) from error

    def complete_parts(self, name: str, pointer: Pointer) -> None:
        """Verify a multipart upload as a whole and give it its name."""
        path = self.parts(name)
        try:
            with path.open("rb") as file:
                sha256 = hashlib.file_digest(file, "sha256").hexdigest()
            self.adopt(path, pointer, sha256)
        except OSError as error:
            raise disk_refusal(error) from error
        finally:
            path.unlink(missing_ok=True)


async def write_all(chunks: AsyncIterator[bytes], write: Callable[[bytes], object], *, limit: int) -> None:
    """Pass a stream on to `write` in pieces of WRITE_BYTES, in worker threads.

    Raises:
        Refusal: 400 as soon as more than `limit` bytes have come.
    """
    pending: list[bytes] = []
    waiting = total = 0
    async for chunk in chunks:
        total += len(chunk)
        if total > limit:
            raise bad_request(f"More bytes came than the {limit:,} announced.")
        pending.append(chunk)
        waiting += len(chunk)
        if waiting >= WRITE_BYTES:
            await run_in_threadpool(write, b"".join(pending))
            pending, waiting = [], 0
    if pending:
        await run_in_threadpool(write, b"".join(pending))


def disk_refusal(error: Exception) -> Refusal:
    """The answer to a failing disk; 507 is no status that clients retry."""
    return Refusal(507, f"The Hub cannot write to its folder: {getattr(error, 'strerror', None) or error}.")
