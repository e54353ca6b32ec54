"""Lengths in words and CLIP tokens, and claims by kind."""

import sys

import pytest

from audits.text.coverage import CLIP_CONTEXT, caption_figures, count_clip_tokens, count_words
from recapdata.records import CLAIM_KINDS, Claim


@pytest.mark.parametrize(
    ("caption", "words"),
    [
        ("", 0),
        ("a red ball", 3),
        ("It's a well-known T-shirt, 1,200 of them.", 7),
        ("…!", 0),
        ("naïve café", 2),
    ],
)
def test_words(caption, words):
    assert count_words(caption) == words


def test_claims_by_kind_with_every_kind_there():
    claims = [
        Claim(kind="object", span=(0, 1), object="cat"),
        Claim(kind="object", span=(2, 3), object="dog"),
    ]
    figures = caption_figures("a cat, a dog", claims)
    assert figures.words == 4
    assert dict(figures.claims) == {kind: 2 if kind == "object" else 0 for kind in CLAIM_KINDS}


def test_clip_tokens_count_start_and_end():
    assert count_clip_tokens("") == 2
    assert count_clip_tokens("a red ball") == 5
    seventy_five = "cat " * (CLIP_CONTEXT - 2)
    assert not caption_figures(seventy_five, []).truncated
    assert caption_figures(seventy_five + "cat", []).truncated


def test_clip_tokens_are_those_of_open_clip():
    tokenizer = pytest.importorskip("open_clip.tokenizer").SimpleTokenizer()
    captions = [
        "a diagram",
        "Don't you'll we've I'D — it’s “quoted”",
        "naïve café 日本語 🎉🎉 &amp; &lt;b&gt; 1,234.56",
        "  many\n\twhite   spaces ",
        "supercalifragilisticexpialidocious" * 3,
        "Ã©tÃ© cafÃ©",
    ]
    for caption in captions:
        assert count_clip_tokens(caption) == len(tokenizer.encode(caption)) + 2, caption


def test_counting_needs_no_torch():
    import subprocess

    code = (
        "import sys; from audits.text.coverage import count_clip_tokens; count_clip_tokens('a cat');"
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
