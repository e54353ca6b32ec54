"""Planted errors: what is changed, what stays, and that the audit finds as many of them as were planted."""

from collections.abc import Iterator

import pytest

import audits
import recapdata
from recapdata.captioners import CaptionerOptions
from recapdata.errors import OptionError
from recapdata.scenes.captions import human_long
from recapdata.scenes.world import World, draw_scene
from recaptrain.reproduction.planting import KINDS, open_planter, plant

PAIR = "There are two large blue rings and a large orange star on a gray background. The blue rings are to the left of the orange star."
WORLD = World(objects=3, words=False, sizes=("large",))


def all_of(kind: str, caption: str = PAIR) -> str:
    return plant(caption, kind, 1.0, seed=0, key="k")


def test_a_wrong_shape_is_wrong_wherever_it_is_mentioned() -> None:
    changed = all_of("object")
    assert "ring" not in changed
    assert "star" not in changed
    shape = changed.split(" blue ")[1].split()[0]  # a plural
    assert changed.count(f"blue {shape}") == 2
    assert changed.startswith("There are two large blue ")


def test_a_wrong_color_takes_its_article_along() -> None:
    changed = all_of("color", "An orange star and a large red ring.")
    first, second = changed.split(" star and a large ")
    article, color = first.lower().split()
    assert color not in ("orange", "red")
    assert article == ("an" if color[0] in "aeiou" else "a")
    assert second.split()[0] not in ("orange", "red", color)


def test_only_stated_numbers_are_miscounted() -> None:
    changed = all_of("count")
    number = changed.split()[2]
    assert number in ("three", "four", "five")
    assert changed == PAIR.replace("two", number)
    assert all_of("count", "A large red star.") == "A large red star."


def test_places_are_turned_round() -> None:
    assert all_of("position") == PAIR.replace("left", "right")
    there = "A star. The red star is in the top left corner."
    assert all_of("position", there) == "A star. The red star is in the bottom right corner."


def test_vague_captions_say_nothing_of_a_thing() -> None:
    assert all_of("vague") == (
        "There are some other things here and something else to see on a gray background. "
        "There is some more to be seen in this very picture."
    )


@pytest.fixture(scope="module")
def captions() -> list[str]:
    return [human_long(draw_scene(5, index, WORLD)) for index in range(400)]


@pytest.mark.parametrize("kind", KINDS)
def test_as_many_words_and_as_many_changes_as_asked_for(captions: list[str], kind: str) -> None:
    """Of n things each changed by chance p, np ± 4·√(np(1−p)) are; here the captions with one chance each are counted."""
    for share in (0.0, 0.3, 1.0):
        changed = [plant(text, kind, share, seed=1, key=str(number)) for number, text in enumerate(captions)]
        assert [len(text.split()) for text in changed] == [len(text.split()) for text in captions]
        if share == 0.0:
            assert changed == captions
    single = [text for text in captions if text.count(".") == 1 and " and " not in text]
    able = [text for text in single if plant(text, kind, 1.0, seed=1, key="x") != text]
    hit = sum(plant(text, kind, 0.3, seed=1, key=str(number)) != text for number, text in enumerate(able))
    n = len(able)
    assert abs(hit - 0.3 * n) <= 4 * (n * 0.3 * 0.7) ** 0.5


@pytest.mark.parametrize("kind", KINDS)
def test_more_errors_are_the_fewer_and_others(captions: list[str], kind: str) -> None:
    def changed(share: float) -> Iterator[bool]:
        for number, text in enumerate(captions):
            yield plant(text, kind, share, seed=1, key=str(number)) != text

    assert all(more for few, more in zip(changed(0.1), changed(0.4), strict=True) if few)


def test_the_audit_finds_what_was_planted(tmp_path) -> None:
    """Half of the colors wrong: of the color claims of 60 scenes at least 1 in 4 and at most 3 in 4 are found wrong, of the others' nearly none."""
    folder = tmp_path / "drawn"
    recapdata.ingest("scenes:60,seed=5,objects=3,words=no,sizes=large", folder)
    recapdata.recaption(folder, "true", captioner="embedded", style="long")
    planter = f"recaptrain.reproduction.planting:open_planter:color=0.5,of={folder}:true"
    recapdata.recaption(folder, "half", captioner=planter)
    figures = audits.run(folder, captions=["true", "half"], evidence=["annotations"]).figures
    precision = figures[figures.figure == "color precision"].set_index("set").value
    assert precision["true"] > 0.9
    assert 0.25 < precision["half"] < 0.75


@pytest.mark.parametrize(
    "argument",
    [
        None,
        "color",
        "color=0.1",
        *(f"{each},of=drawn:long" for each in ("color=", "color=2", "color=nan", "taste=0.1")),
    ],
)
def test_what_cannot_be_planted_is_said(argument: str | None) -> None:
    with pytest.raises(OptionError, match="KIND=SHARE"):
        open_planter(CaptionerOptions(model=argument))
