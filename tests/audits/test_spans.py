"""Captions cut at the ends of their claims."""

import numpy as np

from audits.spans import Piece, cut, pieces
from recapdata.records import Claim


def claim(span: tuple[int, int], verdict: str | None, noun: str = "star") -> dict:
    return Claim(
        kind="object", span=span, object=noun, verdict=verdict, evidence="seen" if verdict else None
    ).to_struct()


def test_an_error_does_not_hide_under_what_is_right() -> None:
    #          0123456789012345
    caption = "a red star below"
    found = pieces(caption, [claim((6, 10), "supported"), claim((2, 10), "contradicted", "heart")])
    assert [(part.text, part.mark) for part in found] == [
        ("a ", ""),
        ("red star", "contradicted"),
        (" below", ""),
    ]
    assert found[1].title == "heart: contradicted (seen)"


def test_white_space_stands_outside_the_marks() -> None:
    found = pieces(
        "star is near heart",
        [claim((0, 4), "supported"), claim((0, 18), "unknown"), claim((13, 18), "supported")],
    )
    assert [(part.text, part.mark) for part in found] == [
        ("star", "supported"),
        (" ", ""),
        ("is near", "unknown"),
        (" ", ""),
        ("heart", "supported"),
    ]


def test_pieces_make_up_the_caption_whatever_the_spans() -> None:
    random = np.random.default_rng(0)
    caption = "A star  over\n two hearts, \U0001f600 and نجمة."
    for _ in range(200):
        spans = [sorted(random.integers(0, len(caption) + 1, 2).tolist()) for _ in range(4)]
        verdicts = random.choice(["supported", "contradicted", "unknown"], 4)
        found = pieces(
            caption, [claim(tuple(span), str(each)) for span, each in zip(spans, verdicts, strict=True)]
        )
        assert "".join(part.text for part in found) == caption
        head, tail = cut(found, 11)
        assert "".join(part.text for part in head) == caption[:11]
        assert "".join(part.text for part in tail) == caption[11:]


def test_claims_without_a_verdict_are_marked_as_claims() -> None:
    assert pieces("star", [claim((0, 4), None)]) == [Piece("star", "claim", "star")]


def test_claims_as_the_app_keeps_them_are_cut_at_the_end_of_the_caption() -> None:
    """Without their empty fields, and with spans of a caption that was longer."""
    caption = "A red 🐶 and <b>two</b> cats"
    claims = [
        {"kind": "color", "span": [2, 7], "object": "dog", "color": "red", "verdict": "contradicted", "evidence": "x: y"},
        {"kind": "object", "span": [6, 7], "object": "dog", "verdict": "supported", "evidence": "x: z"},
        {"kind": "count", "span": [12, 27], "object": "cat", "count": 2},
        {"kind": "object", "span": [22, 99], "object": "cat"},
        {"kind": "position", "span": [0, 27], "subject": "dog", "relation": "near", "object": "cat", "verdict": "unknown"},
    ]  # fmt: skip
    assert pieces(caption, claims) == [
        Piece("A "),
        Piece("red 🐶", "contradicted", "red dog: contradicted (x: y)"),
        Piece(" and "),
        Piece("<b>two</b> cats", "claim", "2 cat\ncat"),
    ]
    assert pieces("plain", []) == [Piece("plain")]
    assert pieces("", []) == []
