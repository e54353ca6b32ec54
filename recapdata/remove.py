"""Taking records out of every part of a dataset folder, and of all later ingests (opt-out, takedown)."""

from recapdata.store import DatasetFolder


def finish_removal(folder: DatasetFolder) -> None:
    """Complete a removal that was interrupted."""
