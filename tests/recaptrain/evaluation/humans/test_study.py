"""Questions of a study: pictures paired by prompt, sides balanced, and what cannot be compared."""

from collections import Counter
from pathlib import Path

import pytest

from recapdata.errors import InputError, OptionError
from recaptrain.evaluation.humans.settings import HumansSettings
from recaptrain.evaluation.humans.study import plan_study
from tests.recaptrain.evaluation.humans.folders import write_folder

PROMPTS = [f"a picture of {number} stars" for number in range(10)]


def test_every_two_folders_are_paired_by_the_text_of_the_prompt(tmp_path: Path) -> None:
    a = write_folder(tmp_path / "a", PROMPTS, images=2)
    b = write_folder(tmp_path / "b", PROMPTS[::-1], images=2)  # other numbers, the same texts
    c = write_folder(tmp_path / "c", [*PROMPTS, "only here"], images=2)
    study = plan_study([str(a), str(b), str(c)], HumansSettings())
    assert (study.models, study.prompts, study.left_out) == (["a", "b", "c"], PROMPTS, 1)
    assert len(study.questions) == 10 * 2 * 3
    for (_, prompt, _), picture in study.pictures.items():
        assert picture.prompt == PROMPTS[prompt]
    assert sorted(each.position for each in study.questions) == list(range(60))


@pytest.mark.parametrize("ratings", [1, 2, 3])
def test_each_side_is_as_often_on_the_left(tmp_path: Path, ratings: int) -> None:
    """20 questions of each pair of models: of every rating 10 are flipped, and within a question the sides differ by at most one."""
    folders = [str(write_folder(tmp_path / name, PROMPTS, images=2)) for name in "abc"]
    study = plan_study(folders, HumansSettings())
    left = Counter(
        (each.a, each.b, each.left_is_b(rating)) for each in study.questions for rating in range(ratings)
    )
    assert left == {(a, b, side): 10 * ratings for a, b in ((0, 1), (0, 2), (1, 2)) for side in (True, False)}
    for each in study.questions:
        sides = [each.left_is_b(rating) for rating in range(ratings)]
        assert abs(sides.count(True) - sides.count(False)) <= 1


def test_pictures_by_themselves_have_no_sides(tmp_path: Path) -> None:
    study = plan_study([str(write_folder(tmp_path / "a", PROMPTS))], HumansSettings(protocol="success"))
    assert len(study.questions) == 10
    assert not any(each.left_is_b(rating) for each in study.questions for rating in range(3))


@pytest.mark.parametrize(
    ("folders", "error", "said"),
    [
        (["a"], OptionError, "compares pictures of two folders or more, and one was given"),
        (["a", "x/a"], OptionError, "two of the folders are called a"),
        (["a", "other"], InputError, "no prompt is in all folders: .*a has 10 .*other has 1"),
        (
            ["a", "twice"],
            InputError,
            r"unequal numbers of pictures of 'a picture of 0 stars' \(a 1, twice 2\)",
        ),
        (["a", "nothing"], InputError, "nothing: no pictures of recaptrain generate"),
    ],
)
def test_what_cannot_be_compared_is_said(
    tmp_path: Path, folders: list[str], error: type[Exception], said: str
) -> None:
    write_folder(tmp_path / "a", PROMPTS)
    write_folder(tmp_path / "x" / "a", PROMPTS)
    write_folder(tmp_path / "other", ["something else"])
    write_folder(tmp_path / "twice", PROMPTS, images=2)
    (tmp_path / "nothing").mkdir()
    with pytest.raises(error, match=said):
        plan_study([str(tmp_path / each) for each in folders], HumansSettings())


def test_of_unequal_numbers_the_first_pictures_can_be_taken(tmp_path: Path) -> None:
    folders = [write_folder(tmp_path / "a", PROMPTS), write_folder(tmp_path / "b", PROMPTS, images=2)]
    study = plan_study([str(each) for each in folders], HumansSettings(images_per_prompt=1))
    assert len(study.questions) == 10
