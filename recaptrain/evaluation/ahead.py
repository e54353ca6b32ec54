"""Pictures decoded on threads ahead of the models, as many as fit into a limit of pixels."""

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Condition

from PIL import Image

from recapdata.dataset.decoding import ImageUnreadable
from recaptrain.evaluation.pictures import Picture
from recaptrain.evaluation.preprocessing import THREADS

PIXELS = 2**27
"""Pixels decoded and not yet measured, about: 400 MB as RGB. Pictures that are being decoded come on top, one a thread."""
AHEAD = 256
"""Pictures that are waited for at the most."""
Decoded = Image.Image | ImageUnreadable
"""An image, or why there is none."""


class _Room:
    """Room for decoded pictures. One waits until it fits, or is the next that is needed: so no order of sizes stops all."""

    def __init__(self) -> None:
        self._held, self._needed, self._changed = 0, 0, Condition()

    def enter(self, number: int, pixels: int) -> None:
        with self._changed:
            self._changed.wait_for(lambda: number <= self._needed or self._held + pixels <= PIXELS)
            self._held += pixels

    def need(self, number: int) -> None:
        with self._changed:
            self._needed = number
            self._changed.notify_all()

    def leave(self, pixels: int) -> None:
        with self._changed:
            self._held -= pixels
            self._changed.notify_all()


def decoded_groups(
    chunks: Sequence[Sequence[Picture]],
) -> Iterator[tuple[int, int, list[Decoded]]]:
    """Groups of consecutive pictures of a chunk: the chunk's number, the place of the first, and the images.

    A chunk whose pictures have less than half of `PIXELS` is one group. How pictures are grouped depends on them alone.
    """
    flat = [
        (number, place, picture) for number, chunk in enumerate(chunks) for place, picture in enumerate(chunk)
    ]
    room = _Room()

    def load(position: int) -> Decoded:
        image = decoded(flat[position][2])
        room.enter(position, _pixels(image))
        return image

    coming: deque[Future[Decoded]] = deque()
    pool = ThreadPoolExecutor(THREADS, thread_name_prefix="decode")
    try:
        group: list[Decoded] = []
        pixels = 0
        for position, (number, place, _) in enumerate(flat):
            for each in range(position + len(coming), min(position + AHEAD, len(flat))):
                coming.append(pool.submit(load, each))
            room.need(position)
            group.append(coming.popleft().result())
            pixels += _pixels(group[-1])
            if pixels >= PIXELS // 2 or place + 1 == len(chunks[number]):
                yield number, place + 1 - len(group), group
                room.leave(pixels)
                group, pixels = [], 0
    finally:
        room.need(len(flat))  # nobody waits for room any more
        pool.shutdown(cancel_futures=True)


def decoded(picture: Picture) -> Decoded:
    """The image of a picture, or why it cannot be decoded."""
    try:
        return picture.load()
    except ImageUnreadable as error:
        return error.with_traceback(None)  # whose frames would keep the picture's bytes


def _pixels(image: Decoded) -> int:
    return 0 if isinstance(image, ImageUnreadable) else image.width * image.height
