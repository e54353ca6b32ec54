"""Pictures decoded ahead: in order, and no more of them in memory than the limit, whatever their sizes."""

import gc
from types import SimpleNamespace

import pytest
from PIL import Image

from recapdata.dataset.decoding import ImageUnreadable
from recaptrain.evaluation import ahead
from recaptrain.evaluation.ahead import decoded_groups


class Drawn(Image.Image):
    """An image that counts how many of its kind there are."""

    alive = 0
    most = 0

    def __init__(self, side: int) -> None:
        super().__init__()
        self.side = side
        Drawn.alive += 1
        Drawn.most = max(Drawn.most, Drawn.alive)

    width = height = property(lambda self: self.side)

    def __del__(self) -> None:
        Drawn.alive -= 1


def picture(side: int | None):
    def load():
        if side is None:
            raise ImageUnreadable("no image")
        return Drawn(side)

    return SimpleNamespace(load=load)


def sides(images) -> list[int | None]:
    return [None if isinstance(image, ImageUnreadable) else image.side for image in images]


def test_small_pictures_are_one_group_a_chunk() -> None:
    chunks = [[picture(2), picture(None), picture(3)], [picture(4)]]
    found = [(number, first, sides(images)) for number, first, images in decoded_groups(chunks)]
    assert found == [(0, 0, [2, None, 3]), (1, 0, [4])]


def test_large_ones_are_few_at_a_time(monkeypatch) -> None:
    """Room for 1,000 pixels, pictures of 400: a group of two has 800, more than half; nothing but it, two more that fit, and one a thread."""
    monkeypatch.setattr(ahead, "PIXELS", 1000)
    gc.collect()
    Drawn.alive = Drawn.most = 0
    found = []
    for number, first, images in decoded_groups([[picture(20)] * 7, [picture(20)] * 2]):
        found.append((number, first, len(images)))
        del images
    assert found == [(0, 0, 2), (0, 2, 2), (0, 4, 2), (0, 6, 1), (1, 0, 2)]
    assert Drawn.most <= 2 + 2 + ahead.THREADS + 1


@pytest.mark.parametrize("order", [[1, 40, 1, 40, 1], [40, 40, 40], [1] * 30 + [40] + [1] * 30])
def test_one_larger_than_all_room_passes_in_its_turn(monkeypatch, order) -> None:
    monkeypatch.setattr(ahead, "PIXELS", 1000)
    found = [sides(images) for _, _, images in decoded_groups([[picture(side) for side in order]])]
    assert [side for group in found for side in group] == order


def test_who_stops_early_waits_for_nobody(monkeypatch) -> None:
    monkeypatch.setattr(ahead, "PIXELS", 1000)
    groups = decoded_groups([[picture(30)] * 50])
    next(groups)
    groups.close()


def test_an_error_of_another_kind_is_not_swallowed() -> None:
    def load():
        raise OSError("the disk is gone")

    with pytest.raises(OSError, match="gone"):
        list(decoded_groups([[picture(2), SimpleNamespace(load=load)]]))
