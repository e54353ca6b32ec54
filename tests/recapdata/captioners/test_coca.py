"""CoCas in open_clip's format, loaded by folder, repository and architecture: what they write is what the whole model says, token by token."""

import json
import pickle
from pathlib import Path

import numpy as np
import open_clip
import pytest
import torch
from PIL import Image

from recapdata.captioners import (
    CaptionerOptions,
    CaptioningFailed,
    OutOfMemory,
    open_captioner,
    parse_captioner,
)
from recapdata.captioners.coca import ClipWords
from recapdata.captioners.coca_steps import Steps
from recapdata.captioners.text_generation import KeyedDraw, caption_seed, most_agreed
from recapdata.errors import HubError, ModelNotSupported, OptionError
from recapdata.weights import content_revision
from tests.audits.models import save_small_clip
from tests.cocas import KINDS, build_coca, clip_words, save_coca

SIZES = [(40, 30), (33, 90), (64, 64), (120, 20), (8, 8)]
KEYS = [f"{number:064x}" for number in range(len(SIZES))]


@pytest.fixture(scope="module")
def models(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("cocas")
    for kind in KINDS:
        save_coca(kind, root / kind)
    return root


def pictures() -> list[Image.Image]:
    dice = np.random.default_rng(0)
    return [Image.fromarray(dice.integers(0, 256, (height, width, 3), np.uint8)) for width, height in SIZES]


def open_coca(model: Path | str, **options):
    captioner = open_captioner("coca", CaptionerOptions(model=str(model), **{"max_tokens": 6, **options}))
    captioner.load()
    return captioner


def texts(captioner, images, keys=KEYS):
    return [caption.caption for caption in captioner.caption(captioner.prepare(images), keys)]


def whole_model(folder: Path, start: list[int], length: int, draw=None) -> list[list[int]]:
    """The reference: at every step, open_clip's own forward over pictures and the whole text so far, padded as in training."""
    model, prepare = open_clip.create_model_from_pretrained(f"local-dir:{folder}")
    pixels = torch.stack([prepare(image) for image in pictures()])
    rows = torch.zeros(len(pixels), model.text.context_length, dtype=torch.long)
    rows[:, : len(start)] = torch.tensor(start)
    with torch.inference_mode():
        for place in range(len(start), len(start) + length):
            scores = model.eval()(pixels, rows, output_labels=False)["logits"][:, place - 1]
            scores = draw(rows, scores) if draw else scores
            rows[:, place] = scores.argmax(-1)
    return rows[:, len(start) : len(start) + length].tolist()


@pytest.mark.parametrize("kind", KINDS)
def test_pictures_of_any_size_get_captions(models, kind):
    captioner = open_coca(models / kind)
    captions = captioner.caption(captioner.prepare(pictures()), KEYS)
    assert len(captions) == len(SIZES)
    for caption in captions:
        assert caption.error or caption.caption
        assert caption.finish_reason in ("stop", "length") or caption.error
        assert 0 <= caption.tokens <= 6
        assert caption.seed is None


@pytest.mark.parametrize("style", ["short", "a red"])
@pytest.mark.parametrize("kind", KINDS)
def test_every_token_is_the_one_that_the_whole_model_says(models, kind, style):
    captioner = open_coca(models / kind, style=style, max_tokens=15)
    start = captioner._words.start("" if style == "short" else style)
    captioner._ends = []  # so that no row ends before the last step
    rows = captioner._generate(captioner.prepare(pictures()), None)
    assert rows == whole_model(models / kind, start, 15)
    assert len({tuple(row) for row in rows}) > 1  # the pictures are looked at


@pytest.mark.parametrize("kind", KINDS)
def test_draws_too_are_those_of_the_whole_model(models, kind):
    captioner = open_coca(models / kind, temperature=1.0, max_tokens=12)
    captioner._ends = []
    seeds = [caption_seed(0, key) for key in KEYS]
    rows = captioner._generate(captioner.prepare(pictures()), seeds)
    assert rows == whole_model(models / kind, captioner._words.start(""), 12, KeyedDraw(seeds))


@pytest.mark.parametrize("kind", KINDS)
def test_captions_do_not_depend_on_the_batch(models, kind):
    captioner, images = open_coca(models / kind, temperature=1.5), pictures()
    together = texts(captioner, images)
    alone = [texts(captioner, [image], [key])[0] for image, key in zip(images, KEYS, strict=True)]
    turned = texts(captioner, images[::-1], KEYS[::-1])
    assert together == alone == turned[::-1]
    assert len(set(together)) > 1


def test_sampling_follows_seed_and_key(models):
    image = pictures()[0]
    captioner = open_coca(models / "clip", temperature=2.0, seed=3)
    one, other = captioner.caption(captioner.prepare([image, image]), KEYS[:2])
    assert one.caption != other.caption
    assert (one.seed, other.seed) == (caption_seed(3, KEYS[0]), caption_seed(3, KEYS[1]))
    assert texts(open_coca(models / "clip", temperature=2.0, seed=3), [image], KEYS[:1]) == [one.caption]
    assert texts(open_coca(models / "clip", temperature=2.0, seed=4), [image], KEYS[:1]) != [one.caption]


def test_the_candidate_that_others_agree_with_is_kept(models):
    captioner = open_coca(models / "own", temperature=1.0, candidates=3)
    prepared = captioner.prepare(pictures())
    rounds = [
        captioner._captions(prepared, [caption_seed(0, key, number) for key in KEYS]) for number in range(3)
    ]
    expected = [most_agreed(candidates) for candidates in zip(*rounds, strict=True)]
    assert captioner.caption(prepared, KEYS) == expected
    assert captioner.provenance.sampling["candidates"] == 3


def test_an_end_token_ends_the_caption(models):
    captioner = open_coca(models / "clip", temperature=3.0)
    prepared = captioner.prepare(pictures()[:1])
    (free,) = captioner.caption(prepared, KEYS[:1])
    assert (free.finish_reason, free.tokens) == ("length", 6)
    (written,) = captioner._generate(prepared, [free.seed])
    assert written.index(written[3]) == 3  # drawn for this seed: the fourth token did not come before
    captioner._ends = [written[3]]
    (ended,) = captioner.caption(prepared, KEYS[:1])
    assert (ended.finish_reason, ended.tokens) == ("stop", 3)
    assert free.caption.startswith(ended.caption)
    captioner._ends = [written[0]]
    (empty,) = captioner.caption(prepared, KEYS[:1])
    assert (empty.caption, empty.finish_reason, empty.tokens) == (None, None, 0)
    assert empty.error.startswith("EmptyCaption")


def test_a_free_style_begins_the_caption_and_a_folders_own_does_not(tmp_path):
    folder = save_coca("own", tmp_path / "own")
    free = open_coca(folder, style="a red")
    assert all(text.startswith("a red") for text in texts(free, pictures()))
    assert free.provenance.style == "free"
    (folder / "recapdata.json").write_text(json.dumps({"styles": {"long": "a red"}}))
    own = open_coca(folder, style="long")
    assert (own.provenance.style, own.provenance.prompt) == ("long", "a red")
    assert own._generate(own.prepare(pictures()), None) == free._generate(free.prepare(pictures()), None)
    assert ["a red" + text for text in texts(own, pictures())] == texts(free, pictures())
    assert open_coca(folder).provenance.prompt == ""
    (folder / "recapdata.json").write_text("[]")
    with pytest.raises(ModelNotSupported, match=r"recapdata\.json of own should read"):
        open_coca(folder)


def test_no_caption_is_longer_than_the_texts_it_was_trained_on(models):
    """24 tokens, one of which begins the text: 23 to write; with a prompt of its own, fewer."""
    assert open_coca(models / "own", max_tokens=None).provenance.sampling["max_new_tokens"] == 23
    captioner = open_coca(models / "own", max_tokens=23)
    captioner._ends = []
    assert {len(row) for row in captioner._generate(captioner.prepare(pictures()), None)} == {23}
    with pytest.raises(OptionError, match=r"--max-tokens 24: .* writes at most 23"):
        open_coca(models / "own", max_tokens=24)
    with pytest.raises(OptionError, match="give a shorter one"):
        open_coca(models / "own", style="one two three " * 20, max_tokens=None)


def test_provenance_says_who_wrote_it(models):
    provenance = open_coca(models / "clip", temperature=0.5, top_p=0.9, seed=8).provenance
    assert (provenance.captioner, provenance.model) == ("coca", str(models / "clip"))
    assert provenance.revision == content_revision(models / "clip")
    assert (provenance.style, provenance.prompt, provenance.seed) == ("short", "", 8)
    assert provenance.sampling == {"do_sample": True, "temperature": 0.5, "top_p": 0.9, "max_new_tokens": 6}
    assert set(provenance.libraries) == {"torch", "torchvision", "open_clip_torch", "transformers", "pillow"}
    assert open_coca(models / "clip").provenance.seed is None


def test_pictures_are_prepared_elsewhere_as_open_clip_does(models):
    captioner = open_captioner("coca", CaptionerOptions(model=str(models / "clip")))
    prepare = pickle.loads(pickle.dumps(captioner.prepare))
    _, transform = open_clip.create_model_from_pretrained(f"local-dir:{models / 'clip'}")
    expected = np.stack([transform(image).numpy() for image in pictures()])
    assert np.array_equal(prepare(pictures()), expected)
    assert prepare.detail == 64  # twice the 32 pixels that the model sees
    with pytest.raises(CaptioningFailed, match="TypeError"):
        prepare([b"no picture"])


def test_marks_stand_where_a_person_would_put_them():
    words = ClipWords(open_clip.get_tokenizer("coca_ViT-B-32"), 49407)
    for text in ("a dog, a man's hat and 3 cats (all red).", "what? no!"):
        start, *tokens = words.start(text)
        assert start == 49406
        assert words.text([start, *tokens, 49407]) == text.replace("(", "( ")


def test_models_that_write_nothing_are_refused(models, tmp_path):
    with pytest.raises(OptionError, match="needs a model: --captioner coca:MODEL"):
        open_captioner("coca", CaptionerOptions())
    with pytest.raises(ModelNotSupported, match="is a CLIP model, which compares texts and writes none"):
        open_coca(save_small_clip(tmp_path / "clip"))
    (tmp_path / "weights.pt").write_bytes(b"not looked at")
    with pytest.raises(ModelNotSupported, match=r"roberta.* reads texts in both directions"):
        open_coca(f"coca_roberta-ViT-B-32:{tmp_path / 'weights.pt'}")
    with pytest.raises(ModelNotSupported, match="no open_clip model 'nothing'"):
        open_coca("nothing")
    with pytest.raises(OptionError, match="hash of its files"):
        open_coca(models / "clip", revision="main")
    bare = save_coca("clip", tmp_path / "bare")
    (bare / "open_clip_model.safetensors").unlink()
    with pytest.raises(ModelNotSupported, match=r"open_clip cannot load 'bare': .*could not be loaded"):
        open_coca(bare)


@pytest.mark.parametrize(
    ("part", "setting", "says"),
    [
        ("text_cfg", {"no_causal_mask": True}, "reads texts in both directions"),
        ("text_cfg", {"qk_norm": True}, "CustomResidualAttentionBlock, which cannot be decoded"),
        ("vision_cfg", {"output_tokens": False}, "gives no tokens to its decoder"),
    ],
)
def test_unusual_towers_are_refused(tmp_path, part, setting, says):
    from open_clip import CoCa
    from safetensors.torch import save_file

    folder = save_coca("clip", tmp_path / "odd")
    page = json.loads((folder / "open_clip_config.json").read_text())
    page["model_cfg"][part] |= setting
    (folder / "open_clip_config.json").write_text(json.dumps(page))
    config = {name: value for name, value in page["model_cfg"].items() if name != "custom_text"}
    save_file(CoCa(**config).state_dict(), folder / "open_clip_model.safetensors")
    with pytest.raises(ModelNotSupported, match=says):
        open_coca(folder)


def test_what_the_model_raises_is_told_apart(models, monkeypatch):
    captioner = open_coca(models / "own")
    prepared = captioner.prepare(pictures())
    for error, kind in (
        (torch.OutOfMemoryError("CUDA out of memory"), OutOfMemory),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried"), OutOfMemory),
        (MemoryError(), OutOfMemory),
        (RuntimeError("shapes differ"), CaptioningFailed),
    ):

        def encode(*_, error=error):
            raise error

        monkeypatch.setattr(captioner._model, "_encode_image", encode)
        with pytest.raises(kind):
            captioner.caption(prepared, KEYS)


@pytest.mark.parametrize("kind", KINDS)
def test_half_precision_of_an_accelerator(models, monkeypatch, kind):
    """In bfloat16, on the CPU here: the scores of each step are the whole model's but for rounding."""
    monkeypatch.setattr("recapdata.captioners.coca.device_and_dtype", lambda: ("cpu", "bfloat16"))
    captioner = open_coca(models / kind, max_tokens=None)
    assert captioner.provenance.dtype == "bfloat16"
    pixels = torch.from_numpy(captioner.prepare(pictures())).to(torch.bfloat16)
    rows = torch.zeros(len(pixels), captioner._model.text.context_length, dtype=torch.long)
    rows[:, :5] = torch.tensor([captioner._words.start("a red")[0], 7, 8, 9, 10])
    with torch.inference_mode():
        steps = Steps(captioner._model, pixels, 5)
        mine = torch.stack([steps.step(rows[:, place]) for place in range(5)], 1).float()
        whole = captioner._model(pixels, rows, output_labels=False)["logits"][:, :5].float()
    assert (mine - whole).abs().max() < 0.1 * whole.std()


def test_an_architecture_with_a_file_of_weights(models, tmp_path):
    (tmp_path / "coca_tiny.json").write_text(json.dumps(clip_words()[0]))
    open_clip.add_model_config(tmp_path / "coca_tiny.json")
    torch.save(build_coca("clip").state_dict(), tmp_path / "weights.pt")
    name = f"coca_tiny:{tmp_path / 'weights.pt'}"
    assert parse_captioner(f"coca:{name}") == ("coca", name)
    captioner = open_coca(name)
    assert captioner.provenance.revision.startswith("sha256:")
    same = captioner._generate(open_coca(models / "clip").prepare(pictures()), None)
    assert same == whole_model(models / "clip", captioner._words.start(""), 6)


def test_a_folder_in_open_clips_format_is_a_coca(models):
    assert parse_captioner(str(models / "own")) == ("coca", str(models / "own"))


def test_a_model_of_the_hub_is_pinned_to_its_commit(models, hub, repo_id):
    from huggingface_hub import HfApi

    api = HfApi()
    api.create_repo(repo_id)
    first = api.upload_folder(repo_id=repo_id, folder_path=models / "own").oid
    api.create_tag(repo_id, tag="v1")
    styles = b'{"styles": {"short": "a red"}}'
    api.upload_file(repo_id=repo_id, path_in_repo="recapdata.json", path_or_fileobj=styles)
    moved, named = open_coca(repo_id), open_coca(f"hf-hub:{repo_id}@v1")
    pinned = open_coca(repo_id, revision="v1")
    for each in (pinned, named):
        assert (each.provenance.model, each.provenance.revision) == (repo_id, first)
        assert texts(each, pictures()) == texts(open_coca(models / "own"), pictures())
    assert (pinned.provenance.prompt, moved.provenance.prompt) == ("", "a red")
    assert moved.provenance.revision not in (first, "main")
    with pytest.raises(OptionError, match="names another revision"):
        open_coca(f"{repo_id}@v1", revision="main")
    with pytest.raises(HubError, match="no such revision"):
        open_coca(repo_id, revision="v9")
