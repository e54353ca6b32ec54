"""Follows the system calls of a child by ptrace, and stops it just before each that changes (or opens) files below a folder.

What a process leaves when it is killed is decided by these calls alone: between two of them nothing changes, so the moments before
each of them, and the end, are all there are, inside SQLite, Arrow and the interpreter, too. Linux on x86-64 only.
"""

import ctypes
import os
import platform
import signal
import struct
from collections.abc import Callable, Iterator, Mapping

AVAILABLE = platform.system() == "Linux" and platform.machine() == "x86_64"
_TRACEME, _SYSCALL, _SETOPTIONS, _GET_SYSCALL_INFO = 0, 24, 0x4200, 0x420E
_SYSGOOD, _CLONE, _FORK, _VFORK, _EXITKILL = 0x1, 0x8, 0x2, 0x4, 0x100000
_WALL = 0x40000000
_INFO_BYTES = 88
_ENTRY = 1
_SYSCALL_STOP = signal.SIGTRAP | 0x80
_CREATES = os.O_CREAT | os.O_TRUNC

_BY_HANDLE: Mapping[int, int] = {
    1: 0,  # write
    18: 0,  # pwrite64
    20: 0,  # writev
    40: 0,  # sendfile
    77: 0,  # ftruncate
    285: 0,  # fallocate
    296: 0,  # pwritev
    326: 2,  # copy_file_range
    328: 0,  # pwritev2
}
"""Calls that change an open file: number → which argument is its handle."""
_BY_PATH: Mapping[int, tuple[int, ...]] = {
    76: (0,),  # truncate
    82: (0, 1),  # rename
    83: (0,),  # mkdir
    84: (0,),  # rmdir
    85: (0,),  # creat
    86: (0, 1),  # link
    87: (0,),  # unlink
    88: (1,),  # symlink
    90: (0,),  # chmod
}
"""Calls that change what a path names: number → which arguments are paths."""
_BY_PATH_AT: Mapping[int, tuple[int, ...]] = {
    258: (0,),  # mkdirat
    263: (0,),  # unlinkat
    264: (0, 2),  # renameat
    265: (0, 2),  # linkat
    266: (1,),  # symlinkat
    280: (0,),  # utimensat
    316: (0, 2),  # renameat2
}
"""The same for paths that stand after the handle of a folder: which arguments are those handles."""
_OPEN, _OPENAT, _OPENAT2 = 2, 257, 437
_SENDS = {44, 46}
"""sendto, sendmsg."""
_CWD = 2**32 - 100

_libc = ctypes.CDLL(None, use_errno=True)
_libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
_libc.ptrace.restype = ctypes.c_long


def _ptrace(request: int, thread: int, address: int = 0, data: object = 0) -> int:
    result = _libc.ptrace(request, thread, address, data)
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return int(result)


def stop_here() -> None:
    """In the child: be followed from here on."""
    _ptrace(_TRACEME, 0)
    os.kill(os.getpid(), signal.SIGSTOP)


def follow(
    child: int, under: str, before: Callable[[int], bool], *, sends: bool = False, opens: bool = False
) -> tuple[int, int]:
    """Follow a child that called `stop_here` to its end.

    Args:
        under: the folder whose changes are counted.
        before: called with the number of a change, from 1, before it happens; the child is killed where it returns true.
        sends: whether what is sent over the network counts as a change.
        opens: whether opening a file or listing a folder does, through links, too.

    Returns:
        The status of the child as `os.waitpid` has it, and the number of changes.
    """
    os.waitpid(child, 0)
    _ptrace(_SETOPTIONS, child, 0, _SYSGOOD | _CLONE | _FORK | _VFORK | _EXITKILL)
    _ptrace(_SYSCALL, child)
    changes = 0
    prefix = os.fsencode(under)
    while True:
        thread, status = os.waitpid(-1, _WALL)
        if os.WIFEXITED(status) or os.WIFSIGNALED(status):
            if thread == child:
                return status, changes
            continue
        deliver = 0
        if os.WSTOPSIG(status) == _SYSCALL_STOP:
            if _changes(thread, prefix, sends=sends, opens=opens):
                changes += 1
                if before(changes):
                    os.kill(child, signal.SIGKILL)
                    continue
        elif os.WSTOPSIG(status) not in (signal.SIGTRAP, signal.SIGSTOP):
            deliver = os.WSTOPSIG(status)
        try:
            _ptrace(_SYSCALL, thread, 0, deliver)
        except ProcessLookupError:
            continue  # it is being killed


def _changes(thread: int, under: bytes, *, sends: bool, opens: bool) -> bool:
    """Whether a thread is about to make a call that changes something."""
    info = ctypes.create_string_buffer(_INFO_BYTES)
    try:
        _ptrace(_GET_SYSCALL_INFO, thread, _INFO_BYTES, info)
    except ProcessLookupError:
        return False
    if info.raw[0] != _ENTRY:
        return False
    number, *arguments = struct.unpack_from("<7Q", info.raw, 24)
    if sends and number in _SENDS:
        return True
    paths = [*_paths(thread, number, arguments)]
    if opens:
        paths += [os.path.realpath(path) for path in _opened(thread, number, arguments)]
    return any(path == under or path.startswith(under + b"/") for path in paths)


def _opened(thread: int, number: int, arguments: list[int]) -> Iterator[bytes]:
    """What a call opens or, by a link, may open, as an absolute path."""
    if number == _OPEN:
        yield _at(thread, _CWD, arguments[0])
    elif number in (_OPENAT, _OPENAT2):
        yield _at(thread, arguments[0], arguments[1])


def _paths(thread: int, number: int, arguments: list[int]) -> Iterator[bytes]:
    """What a call changes, as absolute paths; nothing for a call that changes no file."""
    if number in _BY_HANDLE:
        yield _handle(thread, arguments[_BY_HANDLE[number]])
    elif number == _OPEN and arguments[1] & _CREATES:
        yield _at(thread, _CWD, arguments[0])
    elif number == _OPENAT and arguments[2] & _CREATES:
        yield _at(thread, arguments[0], arguments[1])
    elif number in _BY_PATH:
        for place in _BY_PATH[number]:
            yield _at(thread, _CWD, arguments[place])
    elif number in _BY_PATH_AT:
        for place in _BY_PATH_AT[number]:
            yield _at(thread, arguments[place], arguments[place + 1])


def _at(thread: int, folder: int, address: int) -> bytes:
    """The path in a process's memory, which may be relative to an open folder or to the working directory."""
    if address == 0:  # utimensat of an open file
        return _handle(thread, folder)
    path = _text(thread, address)
    if path.startswith(b"/"):
        return os.path.normpath(path)
    name = "cwd" if folder & 0xFFFFFFFF == _CWD else f"fd/{folder & 0xFFFFFFFF}"
    return os.path.normpath(_link(f"/proc/{thread}/{name}") + b"/" + path)


def _handle(thread: int, handle: int) -> bytes:
    return _link(f"/proc/{thread}/fd/{handle & 0xFFFFFFFF}")


def _link(path: str) -> bytes:
    try:
        return os.fsencode(os.readlink(path))
    except OSError:
        return b""


def _text(thread: int, address: int) -> bytes:
    parts = b""
    with open(f"/proc/{thread}/mem", "rb", buffering=0) as memory:
        while b"\0" not in parts and len(parts) < 8192:
            memory.seek(address + len(parts))
            parts += memory.read(4096 - (address + len(parts)) % 4096)
    return parts.partition(b"\0")[0]
