"""Chat templates of strangers: what honest ones write is written, and no other takes more than its bounds."""

import os
from types import SimpleNamespace

import pytest

from recapdata.errors import ModelNotSupported
from recapdata.models import chat_templates
from recapdata.models.chat_templates import VERBATIM, render, rendered

HONEST = "{{ bos_token }}{% for m in messages %}<{{ m.role }}>{{ m.content }}{% endfor %}{{ '>' if add_generation_prompt }}"
DOUBLING = "{% set n = namespace(x='xx') %}{% for _ in range(64) %}{% set n.x = n.x ~ n.x %}{% endfor %}"
LOOPS = "{% for _ in range(99999) %}{% for _ in range(99999) %}{% endfor %}{% endfor %}"


def model(template):
    return SimpleNamespace(chat_template=template, special_tokens_map={"bos_token": "^"})


def said(template, text="hello", **options):
    return render(model(template), [[{"role": "user", "content": text}]], **options)


def test_a_template_is_rendered_as_transformers_does():
    assert said(HONEST) == ["^<user>hello>"]
    assert said({"default": HONEST, "tools": "no"}, add_generation_prompt=False) == ["^<user>hello"]
    assert said("{{ messages[0].content | tojson }}", "ü\n\ud800") == ['"ü\\n\ud800"']


@pytest.mark.parametrize(
    ("template", "why"),
    [
        ("{{ 'x' * 10**11 }}", "takes more than 1 GB"),
        ("{{ 'x' * (messages | length) * 10**11 }}", "takes more than 1 GB"),
        (DOUBLING, "takes more than 1 GB"),
        ("{{ 'x' * 5000000 }}", "writes more than 4,194,304 characters"),
    ],
)
def test_a_template_that_takes_memory_is_refused(template, why):
    with pytest.raises(
        ModelNotSupported, match=f"^the model's chat template {why}, which no honest one does"
    ):
        said(template)
    assert said(HONEST) == ["^<user>hello>"]


@pytest.mark.parametrize("template", [LOOPS, "{{ 10 ** (10 ** 10) }}"])
def test_a_template_without_end_is_ended(template, monkeypatch):
    said(HONEST)
    monkeypatch.setattr(chat_templates, "SECONDS", 0.5)
    with pytest.raises(ModelNotSupported, match=r"takes more than 0\.5 s"):
        said(template)
    monkeypatch.undo()
    assert said(HONEST) == ["^<user>hello>"]


@pytest.mark.parametrize(
    "template",
    [
        "{{ raise_exception('no system turn') }}", "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}", "{{ " + "(" * 10_000, "{% for",
        "{{ messages.__class__.__mro__ }}{{ nothing.of.it }}", "{% include '/etc/passwd' %}", "{{ 1 / 0 }}", None,
    ],
)  # fmt: skip
def test_a_template_that_fails_is_one_line(template):
    with pytest.raises((ValueError, ModelNotSupported)) as failure:
        said(template)
    assert "\n" not in str(failure.value)


def test_a_template_sees_no_pictures_and_a_rendered_text_stays_as_it_is():
    template = (
        "{% for part in messages[0].content %}{{ part.type }}:{{ part.text or part.image }};{% endfor %}"
    )
    picture = object()
    turns = [
        {"role": "user", "content": [{"type": "image", "image": picture}, {"type": "text", "text": "a"}]}
    ]
    assert render(model(template), [turns]) == ["image:;text:a;"]
    odd = " {{ 7 * 7 }}\n\n<|im_start|> "
    for pictures in ([], [picture]):
        assert render(model(VERBATIM), [rendered(odd, pictures)]) == [odd]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system forks no processes")
def test_a_forked_process_asks_a_child_of_its_own():
    """Its parent's would give it the answers to its parent's questions."""
    assert said(HONEST) == ["^<user>hello>"]
    process = os.fork()
    if process == 0:
        os._exit(0 if said(HONEST, "child") == ["^<user>child>"] else 1)
    assert said(HONEST, "parent") == ["^<user>parent>"]
    assert os.waitpid(process, 0)[1] == 0
