"""Which checkpoints are whole: a seal with the size and hash of every file, written last and checked before anything is loaded."""

import hashlib
import json
from pathlib import Path

from recapdata.atomic import write_atomic

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
        files = json.loads((folder / SEAL).read_text(encoding="utf8"))["files"]
        expected = {name: (int(each["bytes"]), str(each["sha256"])) for name, each in files.items()}
    except FileNotFoundError:
        return f"it lacks {SEAL}"
    except (ValueError, KeyError, TypeError, AttributeError):
        return f"its {SEAL} cannot be read"
    for name, (size, digest) in expected.items():
        path = folder / name
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
