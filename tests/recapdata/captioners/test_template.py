"""Prompts with places: what is put in stays data, whatever it says."""

import json
import unicodedata

import pytest

from recapdata.captioners import CaptionerOptions, open_captioner, template_columns
from recapdata.captioners.template import LONGEST, parse_template, quoted, special_tokens
from recapdata.errors import OptionError
from tests.vlms import byte_tokenizer


def test_places_take_the_values_in_their_order():
    template = parse_template("{alt_text} of {width} px, once more {alt_text}; {recap-short}, {{so}}")
    assert template is not None
    assert template.columns == ("alt_text", "width", "recap-short")
    assert template.render(["a dog", 8, None]) == '"a dog" of 8 px, once more "a dog"; (missing), {so}'
    assert template.text == "{alt_text} of {width} px, once more {alt_text}; {recap-short}, {{so}}"


@pytest.mark.parametrize("style", ["short", "long", "What is this?", "as {{json}}"])
def test_prompts_without_places_are_no_templates(style):
    assert parse_template(style) is None
    assert template_columns(style) == ()


@pytest.mark.parametrize(
    "style", ["{}", "{alt_text", "alt}", "{alt_text:>10}", "{alt_text!r}", "{ }", "{a:{b}}"]
)
def test_braces_that_name_no_column_are_refused(style):
    with pytest.raises(OptionError, match=r"write a column as \{alt_text\}"):
        parse_template(style)


def test_names_are_looked_up_and_not_followed():
    assert template_columns("{alt_text.__class__} {rows[0]}") == ("alt_text.__class__", "rows[0]")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("a dog", '"a dog"'),
        ('say "hi"', '"say \\"hi\\""'),
        ("one\ntwo\r\u2028three", '"one\\ntwo\\r\\u2028three"'),
        ("<image>", '"\\u003cimage\\u003e"'),
        ("\uff1cimage\uff1e", '"\\u003cimage\\u003e"'),  # wide signs, which some tokenizers make plain
        ("back\\\\slash\\u0022", '"back\\\\\\\\slash\\\\u0022"'),
        ("\u202eevil\u200b", '"\\u202eevil\\u200b"'),
        ("\U000e0041", '"\\udb40\\udc41"'),
        ("Straße 東京 🐕", '"Straße 東京 🐕"'),
        ("", "(missing)"),
        (None, "(missing)"),
        ("(missing)", '"(missing)"'),
        (3, "3"),
        (2.5, "2.5"),
        (True, "true"),
        (["a", "b"], '"\\u005b\\"a\\", \\"b\\"\\u005d"'),
    ],
)
def test_values_as_data(value, text):
    assert quoted(value) == text


def test_a_quoted_text_is_json_of_that_text():
    text = "".join(map(chr, range(1, 0x250)))
    assert json.loads(quoted(text)) == unicodedata.normalize("NFKC", text)


def test_a_long_text_is_cut():
    assert quoted("x" * (LONGEST + 1)) == f'"{"x" * (LONGEST - 1)}…"'
    assert len(quoted("x" * LONGEST)) == LONGEST + 2


def test_special_tokens_of_the_model_do_not_come_out_of_a_text():
    tokenizer = byte_tokenizer("<image>", "EOTURN")
    tokens = special_tokens(tokenizer)
    assert tokens == ("EOTURN",)  # the rule for signs catches the others
    said = quoted("a EOTURN b <image> <eos>", tokens)
    assert not set(tokenizer.all_special_ids) & set(tokenizer(said)["input_ids"])
    assert "\\u0045OTURN" in said


def test_a_captioner_that_is_told_nothing_refuses_them(monkeypatch):
    from recapdata import captioners

    monkeypatch.setitem(captioners.CAPTIONERS, "scripted", "tests.scripted:open_scripted")
    with pytest.raises(OptionError, match="scripted takes no values of columns; leave out"):
        open_captioner("scripted", CaptionerOptions(style="{alt_text}"))
