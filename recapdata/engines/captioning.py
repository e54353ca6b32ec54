"""From a prepared batch to its captions: halved where memory does not suffice, down to the image where the model refuses."""

from collections.abc import Callable, Sequence

from recapdata.captioners import Captioner, CaptioningFailed, OutOfMemory
from recapdata.engines.preparing import Part, Prepared
from recapdata.records import Caption


class BatchCaptioner:
    """Captions prepared batches with one captioner, and remembers the largest part that fits in its memory.

    Attributes:
        fits: most images at once; None until a part did not fit.
    """

    def __init__(self, captioner: Captioner) -> None:
        self.fits: int | None = None
        self._captioner = captioner

    def __call__(
        self, prepared: Prepared, keys: Sequence[str], again: Callable[[Sequence[int], int], Prepared]
    ) -> list[Caption]:
        """One caption per key.

        Args:
            again: prepares some places of the batch once more, in parts of at most a number of images.
        """
        captions: dict[int, Caption] = {}
        errors = dict(prepared.errors)
        waiting = list(reversed(prepared.parts))
        while waiting:
            part = waiting.pop()
            smaller = self._caption(part, keys, captions, errors)
            if smaller:
                redone = again(part.places, smaller)
                # `again` counts places from the part's own start.
                errors |= {part.places[place]: text for place, text in redone.errors.items()}
                waiting += [
                    Part(tuple(part.places[place] for place in each.places), each.prepared)
                    for each in reversed(redone.parts)
                ]
        return [
            captions[place] if place in captions else Caption(caption=None, error=errors[place])
            for place in range(len(keys))
        ]

    def _caption(
        self, part: Part, keys: Sequence[str], captions: dict[int, Caption], errors: dict[int, str]
    ) -> int:
        """Caption one part; 0 when it is settled, else the size of the parts to cut it into."""
        count = len(part.places)
        if self.fits is not None and count > self.fits:
            return self.fits
        try:
            written = self._captioner.caption(part.prepared, [keys[place] for place in part.places])
        except OutOfMemory as error:
            if count > 1:
                self.fits = count // 2
                return self.fits
            errors[part.places[0]] = f"OutOfMemory: {error}"
        except CaptioningFailed as error:
            if count > 1:
                return (count + 1) // 2
            errors[part.places[0]] = str(error)
        else:
            captions.update(zip(part.places, written, strict=True))
        return 0
