"""What a diffusion model drew, read and held against its prompt."""

from recapdata.scenes import World, draw_scene, render
from recaptrain.embedded.following import measure_following, prompts_of

RED, BLUE = ("red", "circle"), ("blue", "star")


def picture(*kinds):
    """The first scene of two shapes at most that has exactly these kinds."""
    world = World(objects=2, words=False)
    scenes = (draw_scene(0, index, world) for index in range(100_000))
    return render(
        next(scene for scene in scenes if {(o.color, o.shape) for o in scene.objects} == set(kinds))
    )


def test_a_prompt_is_followed_when_all_it_names_is_drawn():
    pictures = [picture(RED), picture(RED), picture(BLUE), picture(RED, BLUE)]
    prompts = [frozenset(kinds) for kinds in ([RED], [RED, BLUE], [("red", "star")], [RED, BLUE])]
    measured = measure_following(prompts, pictures)
    assert (measured.pictures, measured.recognized, measured.clean) == (4, 1.0, 1.0)
    assert (measured.followed_one, measured.followed_two, measured.followed) == (0.5, 0.5, 0.5)
    assert measured.kinds == 4 / 6  # red; red of red and blue; none of a red star; both
    assert measured.shapes == 5 / 6  # the red star has its shape, in blue
    assert measured.invented == 1 / 5  # the blue star, of five drawn


def test_a_piece_that_is_no_shape_is_not_clean():
    torn = picture(RED).copy()
    torn[3:5, 3:60] = torn[3:60, 3:5] = (246, 220, 36)  # a thin yellow corner
    measured = measure_following([frozenset([RED])], [torn])
    assert (measured.recognized, measured.clean, measured.followed) == (1.0, 0.0, 1.0)


def test_an_empty_picture_shows_nothing():
    blank = render(draw_scene(0, 0)) * 0 + 248
    measured = measure_following([frozenset([RED])], [blank])
    assert (measured.recognized, measured.followed, measured.invented) == (0.0, 0.0, 0.0)


def test_prompts_name_one_or_two_kinds_as_tags_and_as_phrases():
    prompts = prompts_of(1, 100)
    assert {len(kinds) for _, kinds in prompts} == {1, 2}
    for index, (text, kinds) in enumerate(prompts):
        names = text.replace(" and ", ", ").split(", ")
        assert {tuple(name.split()[-2:]) for name in names} == kinds
        assert text.startswith(("a ", "an ")) == bool(index % 2)
