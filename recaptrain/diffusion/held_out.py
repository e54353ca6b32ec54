"""Which records are held out of training: a share by the hashes of their keys, or the keys of a file."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from recapdata.errors import InputError
from recaptrain.diffusion.data import Examples


def held_out_rows(examples: Examples, share: float, keys: Path | None) -> NDArray[np.int64]:
    """Of the rows that can be trained on, those that are held out, ascending.

    A share is decided key by key, so that a record stays held out in every version that has it.

    Args:
        share: of the records, about.
        keys: a file with a key per line.

    Raises:
        InputError: the file cannot be read or names no record of the dataset, or nothing is left to train on.
    """
    rows: NDArray[np.int64] = examples.rows
    own: Sequence[str] = examples.table.column("key").take(rows).to_pylist()
    if keys is not None:
        named = _read_keys(keys)
        chosen = np.array([key in named for key in own], bool)
        if not chosen.any():
            raise InputError(
                f"--validation-keys {keys}: none of its {len(named):,} keys is a record that can be trained on"
            )
    else:
        chosen = np.array([_place(key) < share for key in own], bool)
    if chosen.all():
        raise InputError("all records would be held out for validation, and none trained on; hold out fewer")
    return rows[chosen]


def _place(key: str) -> float:
    """Where a key lies in [0, 1), by its hash."""
    return int.from_bytes(hashlib.sha256(f"held out/{key}".encode()).digest()[:7], "big") / 2**56


def _read_keys(path: Path) -> frozenset[str]:
    try:
        lines = path.read_text(encoding="utf8").split()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"--validation-keys {path}: it cannot be read ({error})") from error
    return frozenset(lines)
