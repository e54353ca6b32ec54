"""Which checkpoints are whole: a seal with the size and hash of every file, written last and checked before anything is loaded."""

import hashlib
import json
from pathlib import Path

from recapdata.atomic import write_atomic
from recapdata.dataset.bounded import read_small
from recapdata.dataset.paths import inside, is_below

SEAL = "checkpoint.json"


def seal(folder: Path, step: int) -> None:
    """Write `checkpoint.json`: the step, and bytes and SHA-256 of every other file of a checkpoint that is complete."""
    files = {
        str(path.relative_to(folder)): {"bytes": path.stat().st_size, "sha256": _sha256(path)}
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != SEAL
    }
    write_atomic(folder / SEAL, json.dumps({"step": step, "files": files}, indent=2).encode())


def fault(folder: Path) -> str | None:
    """What is wrong with a checkpoint, in words; None of a whole one."""
    try:
        files = json.loads(read_small(folder / SEAL))["files"]
        expected = {name: (int(each["bytes"]), str(each["sha256"])) for name, each in files.items()}
    except FileNotFoundError:
        return f"it lacks {SEAL}"
    except (ValueError, KeyError, TypeError, AttributeError, OSError, RecursionError):
        return f"its {SEAL} cannot be read"
    own = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if not path.is_dir()}
    if extra := own - {SEAL, *expected}:
        return f"{min(extra)} is not of it"
    for name, (size, digest) in expected.items():
        path = folder / name
        if not inside(name) or not is_below(folder, path):
            return f"its {SEAL} names {name[:200]!a}, which lies elsewhere"
        if not path.is_file():
            return f"{name} is missing"
        if path.stat().st_size != size:
            return f"{name} has {path.stat().st_size:,} of {size:,} bytes"
        if _sha256(path) != digest:
            return f"{name} has other bytes than were written"
    return None


def _sha256(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
