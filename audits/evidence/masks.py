"""Masks of objects in COCO's compressed run lengths."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from audits.evidence import Observation


def mask_area(run_lengths: Mapping[str, Any]) -> float:
    """Pixels under a mask."""
    from pycocotools import mask

    return float(mask.area({"size": list(run_lengths["size"]), "counts": run_lengths["counts"].encode()}))


def decode_mask(observation: Observation, height: int, width: int) -> NDArray[np.bool_] | None:
    """An object's mask [height, width]; None where it has none, or one of another image's size."""
    run_lengths = observation.mask
    if run_lengths is None or list(run_lengths["size"]) != [height, width]:
        return None
    from pycocotools import mask

    try:
        decoded = mask.decode({"size": [height, width], "counts": run_lengths["counts"].encode()})
    except (
        ValueError
    ):  # runs beyond the picture, in a folder from before masks were checked when they came in
        return None
    return np.asarray(decoded, bool)
