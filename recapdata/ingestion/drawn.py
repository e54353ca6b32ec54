"""The source `scenes:N[,seed=S][,human=M]`: N pictures of the drawn world, with their truth and their web-like alt text."""

from collections.abc import Iterator, Mapping
from typing import Any

import pyarrow as pa

from recapdata.errors import OptionError
from recapdata.ingestion.source import IngestOptions, arguments_of
from recapdata.records import Item, Object
from recapdata.scenes import alt_text, draw_scene, encode_png, human_long, human_short, scene_objects

LICENSE = "CC0-1.0"


class Scenes:
    """Scenes 0 … N-1 of a seed; the first M also carry what a hurried and a careful person would write."""

    def __init__(self, total: int, seed: int, human: int) -> None:
        self.total: int | None = total
        self.seed = seed
        self.human = min(human, total)
        self.name = f"scenes:{total},seed={seed}" + (f",human={human}" if human else "")
        self.stamp = ""
        self.columns: Mapping[str, pa.DataType] = {"alt_text": pa.string()}
        if human:
            self.columns |= {"human_short": pa.string(), "human_long": pa.string()}
        self.labels = False
        self.captions = frozenset(self.columns)

    def items(self, start: int) -> Iterator[Item]:
        """Scenes from `start` on; each is drawn by itself, so starting late costs nothing."""
        for index in range(start, self.total or 0):
            scene = draw_scene(self.seed, index)
            columns: dict[str, Any] = {"alt_text": alt_text(scene)}
            if index < self.human:
                columns |= {"human_short": human_short(scene), "human_long": human_long(scene)}
            yield Item(
                source=f"scenes:seed={self.seed}#{index}",
                image=encode_png(scene),
                license=LICENSE,
                objects=tuple(Object(**each) for each in scene_objects(scene)),
                columns=columns,
            )

    def notes(self) -> list[str]:
        """Nothing: a drawn picture has no surprises."""
        return []


def open_scenes(argument: str, options: IngestOptions) -> Scenes:
    """The source of `N[,seed=S][,human=M]`.

    Raises:
        OptionError: a value that is no number, or below zero.
    """
    first, named = arguments_of(argument, "scenes", ("seed", "human"))
    values = {"N": first, "seed": "0", "human": "0", **named}
    for name, value in values.items():
        if not value.isascii() or not value.isdecimal() or (name == "N" and int(value) == 0):
            least = "a whole number above 0" if name == "N" else "a whole number from 0 on"
            raise OptionError(f"scenes:{argument}: {name} must be {least}, not {value!r}")
    return Scenes(int(values["N"]), int(values["seed"]), int(values["human"]))
