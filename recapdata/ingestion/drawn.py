"""The source `scenes:N[,…]`: N pictures of the drawn world, with their truth and their web-like alt text.

`seed`: of the world. `human`: how many of the pictures have human captions. `objects` (the most shapes of a scene, 1–5), `words` (yes or no) and `sizes` (small, large or both) make a smaller world of it.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import pyarrow as pa

from recapdata.errors import OptionError
from recapdata.ingestion.source import IngestOptions, arguments_of
from recapdata.records import Item, Object
from recapdata.scenes import (
    SIZES,
    World,
    alt_text,
    draw_scene,
    encode_png,
    human_long,
    human_short,
    scene_objects,
)

LICENSE = "CC0-1.0"


class Scenes:
    """Scenes 0 … N-1 of a seed; the first M also carry what a hurried and a careful person would write."""

    def __init__(self, total: int, seed: int, human: int, world: World) -> None:
        self.total: int | None = total
        self.seed = seed
        self.human = min(human, total)
        self.world = world
        self._limits = _limits(world)
        self.name = f"scenes:{total},seed={seed}" + (f",human={human}" if human else "") + self._limits
        self.stamp = ""
        self.columns: Mapping[str, pa.DataType] = {"alt_text": pa.string()}
        if human:
            self.columns |= {"human_short": pa.string(), "human_long": pa.string()}
        self.labels = False
        self.captions = frozenset(self.columns)

    def items(self, start: int) -> Iterator[Item]:
        """Scenes from `start` on; each is drawn by itself, so starting late costs nothing."""
        for index in range(start, self.total or 0):
            scene = draw_scene(self.seed, index, self.world)
            columns: dict[str, Any] = {"alt_text": alt_text(scene)}
            if index < self.human:
                columns |= {"human_short": human_short(scene), "human_long": human_long(scene)}
            yield Item(
                source=f"scenes:seed={self.seed}{self._limits}#{index}",
                image=encode_png(scene),
                license=LICENSE,
                objects=tuple(Object(**each) for each in scene_objects(scene)),
                columns=columns,
            )

    def notes(self) -> list[str]:
        """Nothing: a drawn picture has no surprises."""
        return []


def _limits(world: World) -> str:
    """What makes the world smaller than the whole one, as it is typed."""
    whole = World()
    limits = f",objects={world.objects}" if world.objects != whole.objects else ""
    limits += "" if world.words else ",words=no"
    return limits + (f",sizes={world.sizes[0]}" if world.sizes != whole.sizes else "")


def open_scenes(argument: str, options: IngestOptions) -> Scenes:
    """The source of `N[,seed=S][,human=M][,objects=K][,words=no][,sizes=large]`.

    Raises:
        OptionError: a value that is no number, out of its range, or none of those there are.
    """
    first, named = arguments_of(argument, "scenes", ("seed", "human", "objects", "words", "sizes"))
    numbers = {"N": first, "seed": "0", "human": "0", "objects": str(World().objects)} | {
        name: value for name, value in named.items() if name not in ("words", "sizes")
    }
    for name, value in numbers.items():
        if not value.isascii() or not value.isdecimal() or (name in ("N", "objects") and int(value) == 0):
            least = "a whole number above 0" if name in ("N", "objects") else "a whole number from 0 on"
            raise OptionError(f"scenes:{argument}: {name} must be {least}, not {value!r}")
    if int(numbers["objects"]) > World().objects:
        raise OptionError(
            f"scenes:{argument}: objects must be {World().objects} at most, not {numbers['objects']}"
        )
    sizes = {"both": SIZES} | {size: (size,) for size in SIZES}
    choices = {"words": ("yes", "no"), "sizes": tuple(sizes)}
    for name, known in choices.items():
        if named.get(name, known[0]) not in known:
            raise OptionError(f"scenes:{argument}: {name} must be {' or '.join(known)}, not {named[name]!r}")
    world = World(
        objects=int(numbers["objects"]),
        words=named.get("words", "yes") == "yes",
        sizes=sizes[named.get("sizes", "both")],
    )
    return Scenes(int(numbers["N"]), int(numbers["seed"]), int(numbers["human"]), world)
