"""Names, options and prompts of captioners."""

import importlib

import pytest

from recapdata.captioners import CAPTIONERS, CaptionerOptions, check_style, open_captioner, parse_captioner
from recapdata.captioners.prompts import CHAT, FAMILIES, max_tokens, prompt_text
from recapdata.errors import CaptionerNotFound, OptionError


def test_table_resolves():
    for place in CAPTIONERS.values():
        module, _, name = place.partition(":")
        assert callable(getattr(importlib.import_module(module), name))


@pytest.mark.parametrize(
    ("text", "parsed"),
    [
        ("embedded", ("embedded", None)),
        ("google/paligemma2-3b-pt-448", ("vlm", "google/paligemma2-3b-pt-448")),
        ("vlm:me/model", ("vlm", "me/model")),
        ("vlm", ("vlm", None)),
        ("gpt2", ("vlm", "gpt2")),
    ],
)
def test_what_the_user_typed(text, parsed):
    assert parse_captioner(text) == parsed


def test_a_folder_is_a_model_whatever_its_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("embedded", "a:b"):
        (tmp_path / name).mkdir()
        assert parse_captioner(name) == ("vlm", name)


def test_unknown_name_lists_the_known():
    with pytest.raises(CaptionerNotFound, match=r"no captioner 'blip'; there are .*embedded"):
        parse_captioner("blip:me/model")
    with pytest.raises(CaptionerNotFound, match="embedded, server, vlm"):
        open_captioner("blip", CaptionerOptions())


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"style": " "}, "--style"),
        ({"temperature": -1.0}, "--temperature"),
        ({"top_p": 0.0, "temperature": 1.0}, "--top-p"),
        ({"top_p": 0.9}, "--temperature"),
        ({"max_tokens": 0}, "--max-tokens"),
        ({"candidates": 0, "temperature": 1.0}, "--candidates"),
        ({"candidates": 2}, "--temperature"),
    ],
)
def test_options_that_mean_nothing_are_refused(options, named):
    with pytest.raises(OptionError, match=named):
        CaptionerOptions(**options)


def test_each_captioner_says_what_it_needs():
    with pytest.raises(OptionError, match="vlm:user/name"):
        open_captioner("vlm", CaptionerOptions())
    with pytest.raises(OptionError, match="brings its own model"):
        open_captioner("embedded", CaptionerOptions(model="me/model"))


def test_prompts_by_style():
    paligemma = FAMILIES["paligemma"]
    assert prompt_text("short", paligemma, {}, "m") == "caption en"
    assert prompt_text("long", paligemma, {"long": "caption long"}, "m") == "caption long"
    assert prompt_text("What is odd here?", CHAT, {}, "m") == "What is odd here?"
    assert (max_tokens("short"), max_tokens("long"), max_tokens("Say it")) == (64, 256, 256)


def test_a_plain_model_has_no_long_style():
    assert prompt_text("short", FAMILIES["blip"], {}, "m") == ""
    with pytest.raises(OptionError, match="takes no instruction"):
        prompt_text("long", FAMILIES["blip"], {}, "m")


@pytest.mark.parametrize(
    ("typed", "meant"),
    [("embeded", "embedded"), ("Embedded", "embedded"), ("serverr", "server"), ("cap.make", "cap:make")],
)
def test_a_mistyped_captioner_is_no_model_of_the_hub(typed, meant):
    with pytest.raises(CaptionerNotFound, match=rf"did you mean {meant}\?"):
        parse_captioner(typed)


@pytest.mark.parametrize("style", ["Long", "shrot", "detailed"])
def test_one_word_that_is_no_style_is_no_prompt(style):
    with pytest.raises(OptionError, match="there are short, long"):
        check_style(style)


@pytest.mark.parametrize("style", ["short", "long", "A photo of", "{alt}", "caption:"])
def test_prompts_and_styles(style):
    check_style(style)
