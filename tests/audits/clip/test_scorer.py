"""CLIP scores: cosines done by hand, sentences, unreadable images, and real open_clip models by every form of name."""

import io
import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from PIL import Image

from audits.clip.counterfactuals import Counterfactual
from audits.clip.scorer import encode_ahead, load_clip
from audits.clip.scores import HESSEL_PREFIX, Cosines, Margin, margins, score
from recapdata.errors import HubError, ModelNotSupported
from recapdata.models.dual_encoders import find_clip
from tests.audits.models import KnownModel, known_clip, save_small_clip
from tests.builders import png


def picture(color: tuple[int, int, int]) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (4, 4), color).save(buffer, "PNG")
    return buffer.getvalue()


RED, YELLOW = picture((255, 0, 0)), picture((255, 255, 0))


def encoded(clip, images):
    return next(encode_ahead(clip, [("step", images)], workers=2))[1]


def test_a_picture_that_is_not_wanted_has_neither_row_nor_error() -> None:
    images = encoded(known_clip(), [None, YELLOW, b"damaged", None, RED])
    assert images.rows == [None, 0, None, None, 1]
    assert [error is not None for error in images.errors] == [False, False, True, False, False]


def test_scores_are_the_cosines_by_both_conventions() -> None:
    clip = known_clip()
    images = encoded(clip, [RED, YELLOW])
    # Yellow is halfway between red and green: cos = 1/√2 with either, 1 with both named, 0 with blue.
    captions = ["a red thing", "a red thing", "red and green", "blue"]
    found = score(Cosines(clip, images.images), captions, [0, 1, 1, 1])
    assert [each.clip_score for each in found] == pytest.approx([100, 100 / math.sqrt(2), 100, 0], abs=1e-4)
    assert [each.clip_score_hessel for each in found] == pytest.approx(
        [2.5, 2.5 / math.sqrt(2), 2.5, 0], abs=1e-4
    )


def test_sentences_are_scored_one_by_one() -> None:
    clip = known_clip()
    images = encoded(clip, [RED])
    (one,) = score(Cosines(clip, images.images), ["It is red. It is blue. It is red."], [0])
    assert one.clip_sentence_mean == pytest.approx(100 * 2 / 3, abs=1e-4)
    assert one.clip_sentence_min == pytest.approx(0, abs=1e-4)


def test_a_text_is_encoded_once_however_often_it_is_needed() -> None:
    clip = known_clip()
    images = encoded(clip, [RED, YELLOW])
    score(Cosines(clip, images.images), ["red", "red", "red"], [0, 1, 1])
    # One sentence is the caption itself; what is left is the caption and the caption with the prefix.
    assert clip.model.texts == ["red", f"{HESSEL_PREFIX}red"]


def test_only_the_parts_asked_for() -> None:
    clip = known_clip(parts=("caption",))
    (one,) = score(Cosines(clip, encoded(clip, [RED]).images), ["red"], [0])
    assert one.clip_score == pytest.approx(100, abs=1e-4)
    assert (one.clip_score_hessel, one.clip_sentence_mean) == (None, None)
    assert clip.model.texts == ["red"]


def test_a_missing_caption_and_an_unreadable_image_have_no_score() -> None:
    clip = known_clip()
    images = encoded(clip, [b"not a picture", RED, RED[: len(RED) // 2]])
    assert images.rows == [None, 0, None]
    assert images.errors[1] is None
    assert all(str(images.errors[place]).startswith("UnreadableImage") for place in (0, 2))
    found = score(Cosines(clip, images.images), ["red", None, "red"], images.rows)
    assert {each.clip_score for each in found} == {None}


def test_steps_come_back_in_order() -> None:
    clip = known_clip()
    steps = [(number, [picture((number * 20 + 1, 0, 100))]) for number in range(9)]
    found = [(number, images.images) for number, images in encode_ahead(clip, steps, workers=3)]
    assert [number for number, _ in found] == list(range(9))
    for number, images in found:
        red, blue = number * 20 + 1, 100
        assert images[0, 0].item() == pytest.approx(red / math.hypot(red, blue), abs=1e-5)


# --- models by name ------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_small_clip(tmp_path_factory.mktemp("clip") / "small")


def test_a_folder_scores_as_open_clip_does(folder: Path) -> None:
    import open_clip

    clip = load_clip(find_clip(str(folder)))
    assert clip.name == "small"
    model, _, preprocess = open_clip.create_model_and_transforms(f"local-dir:{folder}")
    tokens = open_clip.get_tokenizer(f"local-dir:{folder}")(["a red circle"])
    image = preprocess(Image.open(io.BytesIO(png(5, (48, 40)))))[None]
    with torch.inference_mode():
        # Written out from the definition, without the library's own normalization.
        one, other = model.eval().encode_image(image)[0], model.encode_text(tokens)[0]
        cosine = (one @ other / (one.norm() * other.norm())).item()
    images = encoded(clip, [png(5, (48, 40))])
    (one,) = score(Cosines(clip, images.images), ["a red circle"], images.rows)
    assert one.clip_score == pytest.approx(100 * cosine, abs=1e-3)


def test_other_weights_are_another_revision(folder: Path, tmp_path: Path) -> None:
    revisions = {
        find_clip(str(each)).revision for each in (folder, save_small_clip(tmp_path / "small", seed=1))
    }
    assert len(revisions) == 2
    assert find_clip(str(save_small_clip(tmp_path / "again"))).revision in revisions


def test_an_architecture_with_a_file_of_weights(tmp_path: Path) -> None:
    import open_clip

    model = open_clip.create_model("ViT-S-32-alt")
    weights = tmp_path / "weights.pt"
    torch.save(model.state_dict(), weights)
    source = find_clip(f"ViT-S-32-alt:{weights}")
    assert source.revision.startswith("sha256:")
    clip = load_clip(source)
    with torch.inference_mode():
        pixels = torch.zeros(1, 3, 224, 224)
        expected = model.eval().encode_image(pixels, normalize=True)
        assert torch.allclose(clip.encode_images(pixels), expected, atol=1e-5)


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("no-such-thing", "no CLIP model"),
        ("ViT-B-99:openai", "no architecture"),
        ("ViT-B-32:nobodys_weights", "neither a file nor a tag"),
    ],
)
def test_a_name_that_means_nothing_is_refused_in_words(name: str, says: str) -> None:
    with pytest.raises(ModelNotSupported, match=says):
        find_clip(name)


def test_a_folder_of_something_else_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelNotSupported, match=r"open_clip_config\.json"):
        find_clip(str(tmp_path))
    (tmp_path / "open_clip_config.json").write_text('{"model_cfg": {"text_cfg": {}}}')
    with pytest.raises(ModelNotSupported, match="has no vision_cfg"):
        find_clip(str(tmp_path)).load()


def test_a_model_on_the_hub_is_pinned_to_its_commit(hub, repo_id: str, folder: Path, tmp_path: Path) -> None:
    from huggingface_hub import HfApi

    api = HfApi()
    api.create_repo(repo_id)
    first = api.upload_folder(repo_id=repo_id, folder_path=folder).oid
    api.create_tag(repo_id, tag="v1")
    second = api.upload_folder(
        repo_id=repo_id, folder_path=save_small_clip(tmp_path / "other", context=248)
    ).oid
    assert find_clip(f"hf-hub:{repo_id}@v1").revision == first
    newest = find_clip(repo_id)
    assert newest.revision == second != first
    clip = load_clip(newest)
    assert clip.identity == f"{repo_id}@{second}"
    assert (clip.context, load_clip(find_clip(f"{repo_id}@v1")).context) == (248, 77)
    assert encoded(clip, [png(1)]).images.shape == (1, 16)
    with pytest.raises(HubError, match="no such"):
        find_clip(f"{repo_id}@v9")


def test_known_model_knows_its_colors() -> None:
    assert KnownModel().tokenize(["red and blue"]).tolist() == [[1.0, 0.0, 1.0]]


# --- lies ----------------------------------------------------------------------------------------------------------------


def lie(caption: str, old: str, new: str, kind: str = "color") -> Counterfactual:
    start = caption.index(old)
    return Counterfactual(kind, (start, start + len(old)), ((start, start + len(old), new),))


def test_the_margin_is_that_of_the_nearest_lie() -> None:
    clip = known_clip()
    images = encoded(clip, [YELLOW])
    caption = "red and green things"
    told = [
        lie(caption, "green", "blue"),
        lie(caption, "red", "blue", "object"),
        lie(caption, "things", "green", "count"),
    ]
    (margin,) = margins(Cosines(clip, images.images), [caption], images.rows, [told])
    # The picture is red and green: cos 1 with the caption, 1/2 with red and blue or blue and green, 1 with the last.
    assert margin.clip_margin == pytest.approx(0, abs=1e-4)
    assert (margin.clip_margin_kind, margin.clip_lie) == ("count", "red and green green")
    assert margin.low_margin == ["count"]
    (margin,) = margins(Cosines(clip, images.images), [caption], images.rows, [told[:2]])
    assert margin.clip_margin == pytest.approx(50, abs=1e-4)
    assert margin.low_margin == []


def test_a_caption_worse_than_its_lie_is_flagged() -> None:
    clip = known_clip()
    (margin,) = margins(
        Cosines(clip, encoded(clip, [RED]).images), ["a blue car"], [0], [[lie("a blue car", "blue", "red")]]
    )
    assert margin.clip_margin == pytest.approx(-100, abs=1e-4)
    assert (margin.low_margin, margin.clip_lie) == (["color"], "a red car")


def test_no_lie_no_caption_no_image_no_margin() -> None:
    clip = known_clip()
    captions, rows = ["red", None, "red"], [0, 0, None]
    found = margins(
        Cosines(clip, encoded(clip, [RED]).images), captions, rows, [[], [], [lie("red", "red", "blue")]]
    )
    assert found == [Margin()] * 3


def test_lies_of_a_long_caption_are_told_of_its_sentence() -> None:
    clip = replace(known_clip(), context=8, count_tokens=lambda text: len(text.split()) + 2)
    caption = "A red car stands still. Beside it a blue wall is seen."
    assert (clip.overflows(caption), clip.overflows("A red car stands still.")) == (True, False)
    cosines = Cosines(clip, encoded(clip, [RED]).images)
    (margin,) = margins(cosines, [caption], [0], [[lie(caption, "red", "green")]])
    assert clip.model.texts == ["A red car stands still.", "A green car stands still."]
    assert margin.clip_margin == pytest.approx(100, abs=1e-4)
    assert margin.clip_lie == caption.replace("red", "green")
    # A sentence that is itself too long is not judged.
    (margin,) = margins(cosines, [caption], [0], [[lie(caption, "blue", "green")]])
    assert margin == Margin()


def test_scores_and_margins_encode_a_text_once() -> None:
    clip = known_clip(parts=("caption", "margin"))
    cosines = Cosines(clip, encoded(clip, [RED]).images)
    score(cosines, ["a red car"], [0])
    margins(cosines, ["a red car"], [0], [[lie("a red car", "red", "blue")]])
    assert clip.model.texts == ["a red car", "a blue car"]


# --- long captions -------------------------------------------------------------------------------------------------------


def test_a_model_says_how_much_it_reads(folder: Path, tmp_path: Path) -> None:
    short, long = (
        load_clip(find_clip(str(folder))),
        load_clip(find_clip(str(save_small_clip(tmp_path / "long", context=248)))),
    )
    assert (short.context, long.context) == (77, 248)
    # CLIP's tokens: start, a token a word, end.
    fits, over = " ".join(["dog"] * 75), " ".join(["dog"] * 76)
    assert (short.overflows(fits), short.overflows(over), long.overflows(over)) == (False, True, False)
    images = encoded(short, [png(1)])
    assert [
        each.clip_over_context for each in score(Cosines(short, images.images), [fits, over], [0, 0])
    ] == [False, True]
    # What follows is read by the one and not by the other.
    assert torch.equal(short.encode_texts([f"{over} cat"]), short.encode_texts([f"{over} bird"]))
    assert not torch.equal(long.encode_texts([f"{over} cat"]), long.encode_texts([f"{over} bird"]))
