"""The strict reader that scores the embedded captioner."""

from recapdata.scenes import draw_scene, human_long, human_short
from recaptrain.embedded.accuracy import measure, read_caption

MANY = 300


def _scenes(seed):
    return [draw_scene(seed, index) for index in range(MANY)]


def test_a_caption_is_read_whole():
    reading = read_caption(
        "There are two small red circles and a large blue star on a gray background. The red circles are left of the blue star. "
        'The blue star is in the top right corner. The word "OPEN" is written at the bottom. Hello there.'
    )
    assert reading.counts == {("red", "circle"): 2, ("blue", "star"): 1}
    assert reading.sizes == {("red", "circle"): "small", ("blue", "star"): "large"}
    assert reading.relations == ((("red", "circle"), "left", ("blue", "star")),)
    assert reading.regions == ((("blue", "star"), "top right"),)
    assert reading.words == (("OPEN", "bottom"),)
    assert (reading.background, reading.unread) == ("gray", 1)


def test_true_captions_score_one():
    scenes = _scenes(41)
    for write in (human_long, human_short):
        accuracy = measure(scenes, [write(scene) for scene in scenes])
        assert accuracy.objects_recall == accuracy.objects_precision == accuracy.counts == 1.0
        assert accuracy.positions == accuracy.words == accuracy.backgrounds == 1.0
        assert accuracy.words_invented == accuracy.unread == 0.0
    assert measure(scenes, [human_long(scene) for scene in scenes]).positions_stated > 1


def test_captions_of_other_scenes_score_nearly_nothing():
    accuracy = measure(_scenes(42), [human_long(scene) for scene in _scenes(43)])
    assert max(accuracy.objects_recall, accuracy.counts, accuracy.positions, accuracy.words) < 0.1


def test_each_planted_fault_lowers_its_own_figure():
    """Every caption gets the same fault: all of that figure is lost and nothing of the others."""
    scenes = _scenes(44)
    captions = [human_long(scene) for scene in scenes]
    swapped = [
        caption.replace(" left ", " RIGHT ").replace(" right ", " left ").replace(" RIGHT ", " right ")
        .replace(" above ", " BELOW ").replace(" below ", " above ").replace(" BELOW ", " below ")
        for caption in captions
    ]  # fmt: skip
    related = measure(scenes, swapped)
    assert related.counts == related.words == 1.0
    assert related.positions < 0.5
    misread = measure(scenes, [caption.replace('word "', 'word "X') for caption in captions])
    assert misread.words == 0.0
    assert misread.positions == misread.counts == 1.0
    ground = measure(
        scenes,
        [
            caption.replace("gray back", "green back").replace("white back", "red back")
            for caption in captions
        ],
    )
    assert ground.backgrounds < 0.5
