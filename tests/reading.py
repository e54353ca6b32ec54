"""Counts how often the captions of each caption shard are read, by whatever method of `ShardFile`."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from recapdata.dataset.shards import ShardFile


@contextmanager
def caption_reads() -> Iterator[Callable[[], dict[str, int]]]:
    """Gives what tells, by `set/shard`, how often captions were read in this process since it was last asked."""
    counts: Counter[str] = Counter()
    inside: list[bool] = []  # one method reads by another

    def noted(
        method: Callable[..., Any], columns_of: Callable[..., Sequence[str] | None]
    ) -> Callable[..., Any]:
        def read(file: ShardFile, *arguments: Any, **options: Any) -> Any:
            path, columns = Path(file.name), columns_of(*arguments, **options)
            if (
                not inside
                and path.parts[-3:-2] == ("captions",)
                and (columns is None or "caption" in columns)
            ):
                counts[f"{path.parent.name}/{path.stem}"] += 1
            inside.append(True)
            try:
                return method(file, *arguments, **options)
            finally:
                inside.pop()

        return read

    def since() -> dict[str, int]:
        found = dict(sorted(counts.items()))
        counts.clear()
        return found

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ShardFile, "read", noted(ShardFile.read, lambda columns=None, **_: columns))
        patch.setattr(
            ShardFile, "read_row_group", noted(ShardFile.read_row_group, lambda i, columns=None, **_: columns)
        )
        patch.setattr(
            ShardFile,
            "iter_batches",
            noted(ShardFile.iter_batches, lambda batch_size=0, columns=None, **_: columns),
        )
        yield since
