"""A folder of the user's own that no command has any business with: whatever opens, changes or deletes something in it is noticed.

By whom is not: a process that looks for something below the folder of temporary files lists this one, too (`World.trial` tells them apart).
"""

import ctypes
import os
import struct
from dataclasses import dataclass
from pathlib import Path

SECRET = b"what nobody else may see"
_ACCESS, _MODIFY, _ATTRIB, _OPEN, _MOVED, _CREATE, _DELETE = 0x1, 0x2, 0x4, 0x20, 0xC0, 0x100, 0x200
_ALL = _ACCESS | _MODIFY | _ATTRIB | _OPEN | _MOVED | _CREATE | _DELETE
_FOLDER = 0x40000000
_HEAD = struct.Struct("iIII")
_libc = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True, slots=True)
class Touch:
    """The name of a file or folder that was touched, and how, as inotify has it."""

    name: str
    mask: int

    @property
    def is_listing(self) -> bool:
        """Whether a folder was opened or read, which changes nothing and tells no more than names."""
        return bool(self.mask & _FOLDER and self.mask & (_OPEN | _ACCESS))

    def __str__(self) -> str:
        return f"{self.name} ({self.mask:#x})"


class Canary:
    """The folder, watched by inotify: reads by other languages than Python are noticed, too."""

    def __init__(self, path: Path) -> None:
        self.path = path
        for name in ("key", "alt/train-00000.parquet", "images/train-00000.parquet", "recapdata.yaml"):
            (path / name).parent.mkdir(parents=True, exist_ok=True)
            (path / name).write_bytes(SECRET)
        self._handle = _libc.inotify_init1(os.O_NONBLOCK)
        for folder in (path, *(each for each in path.rglob("*") if each.is_dir())):
            watch = _libc.inotify_add_watch(self._handle, os.fsencode(folder), _ALL)
            if watch < 0:
                raise OSError(ctypes.get_errno(), "inotify_add_watch")

    def events(self) -> list[Touch]:
        """What was touched since the last call."""
        touches = []
        while True:
            try:
                content = os.read(self._handle, 65536)
            except BlockingIOError:
                return touches
            while content:
                _, mask, _, length = _HEAD.unpack_from(content)
                name = content[_HEAD.size : _HEAD.size + length].rstrip(b"\0").decode(errors="replace")
                touches.append(Touch(name or ".", mask))
                content = content[_HEAD.size + length :]

    def close(self) -> None:
        """Watch no longer."""
        os.close(self._handle)
