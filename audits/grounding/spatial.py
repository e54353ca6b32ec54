"""Where things are: whether one object lies in a direction of another, near it, or in a region of the image.

Directions follow GenEval (Ghosh et al. 2023): the offset of the centers, less 0.1 of the summed extents on each axis, lies in a
direction where it makes up more than half of the distance. Two boxes that overlap as much as T2I-CompBench (Huang et al. 2023)
takes for one place (an IoU of 0.1) are never called wrongly placed, and "near" is its distance of centers. What boxes cannot
tell, all depth among it, stays unknown. Each answer is True, False, or None for "cannot tell".
"""

from math import hypot

from audits.evidence import Evidence, Observation

MARGIN = 0.1
DIRECTION = 0.5
DIRECTIONS = {"left of": (-1, 0), "right of": (1, 0), "above": (0, -1), "below": (0, 1)}
OVERLAP = 0.1
NEAR = ("near", "next to", "on the side of")
NEARNESS = 150 / 512
"""Centers nearer than this on either axis, as a share of the image's longer side, are near: T2I-CompBench's 150 pixels of 512.

It is content with one axis; here both are asked for. What is further apart is unknown, since large things can still touch."""
REGION_MARGIN = 0.05
"""Share of the image's side around the middle where "left" and "right" are a matter of taste."""
CENTER = (0.25, 0.4)
"""A center this near the middle (share of the side) is "in the center"; one further off than the second is not."""

Box = tuple[float, float, float, float]


def related(one: Observation, other: Observation, relation: str, evidence: Evidence) -> bool | None:
    """Whether one boxed object stands in a relation to another."""
    assert one.bbox is not None
    assert other.bbox is not None
    if relation in NEAR:
        return (
            True if _apart(one.bbox, other.bbox) < NEARNESS * max(evidence.width, evidence.height) else None
        )
    direction = DIRECTIONS.get(relation)
    if direction is None:
        return None
    found = _lies(one.bbox, other.bbox, direction)
    return None if found is False and overlap(one.bbox, other.bbox) >= OVERLAP else found


def in_region(seen: Observation, region: str, evidence: Evidence) -> bool | None:
    """Whether a boxed object lies in a region of the image; None where that is a matter of taste or of depth.

    Its center decides that it does; that it does not, only a box that is clear of the region's half of the image.
    """
    assert seen.bbox is not None
    sides = (max(evidence.width, 1), max(evidence.height, 1))
    # From −0.5 to 0.5 along each axis, 0 being the middle of the image.
    low = [seen.bbox[axis] / sides[axis] - 0.5 for axis in (0, 1)]
    high = [(seen.bbox[axis] + seen.bbox[axis + 2]) / sides[axis] - 0.5 for axis in (0, 1)]
    middle = [(low[axis] + high[axis]) / 2 for axis in (0, 1)]
    if region == "center":
        off = max(abs(each) for each in middle)
        reaches = all(low[axis] <= CENTER[0] and high[axis] >= -CENTER[0] for axis in (0, 1))
        return True if off <= CENTER[0] else False if off > CENTER[1] and not reaches else None
    found = []
    for word in region.split():
        if word not in ("left", "right", "top", "bottom"):
            return None
        axis = 0 if word in ("left", "right") else 1
        sign = 1 if word in ("right", "bottom") else -1
        farthest = max(sign * low[axis], sign * high[axis])
        along = sign * middle[axis]
        found.append(
            True
            if along > REGION_MARGIN
            else False
            if farthest < REGION_MARGIN and along < -REGION_MARGIN
            else None
        )
    return False if False in found else None if None in found else True


def overlap(one: Box, other: Box) -> float:
    """Intersection over union of two boxes [x, y, width, height]."""
    across, down = (
        max(0.0, min(one[axis] + one[axis + 2], other[axis] + other[axis + 2]) - max(one[axis], other[axis]))
        for axis in (0, 1)
    )
    union = one[2] * one[3] + other[2] * other[3] - across * down
    return across * down / union if union > 0 else 0.0


def _lies(one: Box, other: Box, direction: tuple[int, int]) -> bool | None:
    """Whether one box clearly lies in that direction of the other; None where it is neither so nor clearly otherwise."""
    offsets = []
    for axis in (0, 1):
        offset = (one[axis] + one[axis + 2] / 2) - (other[axis] + other[axis + 2] / 2)
        margin = MARGIN * (one[axis + 2] + other[axis + 2])
        offsets.append((offset, max(abs(offset) - margin, 0.0) * (1 if offset > 0 else -1)))
    distance = hypot(offsets[0][0], offsets[1][0])
    if not distance:
        return None
    along = sum(sign * cleared for sign, (_, cleared) in zip(direction, offsets, strict=True)) / distance
    if along > DIRECTION:
        return True
    return False if along <= 0 else None


def _apart(one: Box, other: Box) -> float:
    """The larger of the distances of two centers on the axes, in pixels."""
    return max(abs(one[axis] + one[axis + 2] / 2 - other[axis] - other[axis + 2] / 2) for axis in (0, 1))
