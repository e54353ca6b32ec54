"""Captions cut at the ends of their claims."""

import numpy as np
import pytest

from audits.extraction.words import plural, quantity
from audits.spans import Piece, cut, phrase, pieces
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
        Piece("<b>two</b> cats", "claim", "2 cats\ncat"),
    ]
    assert pieces("plain", []) == [Piece("plain")]
    assert pieces("", []) == []


@pytest.mark.parametrize(
    ("stated", "words"),
    [
        (Claim(kind="count", span=(0, 1), object="dining table", count=6), "6 dining tables"),
        (Claim(kind="count", span=(0, 1), object="person", count=2), "2 people"),
        (Claim(kind="count", span=(0, 1), object="wine glass", count=3), "3 wine glasses"),
        (Claim(kind="count", span=(0, 1), object="pair of skis", count=2), "2 pairs of skis"),
        (Claim(kind="count", span=(0, 1), object="sheep", count=12), "12 sheep"),
        (Claim(kind="count", span=(0, 1), object="dog", count=1), "1 dog"),
        (Claim(kind="count", span=(0, 1), object="bear", count=0), "no bear"),
        (Claim(kind="color", span=(0, 1), object="orange", color="orange"), "an orange orange"),
        (Claim(kind="color", span=(0, 1), object="peach", color="peach"), "a peach peach"),
        (Claim(kind="color", span=(0, 1), object="car", color="red"), "red car"),
        (Claim(kind="size", span=(0, 1), object="car", size="small"), "small car"),
        (Claim(kind="text", span=(0, 1), text="STOP"), '"STOP"'),
        (Claim(kind="position", span=(0, 1), subject="dog", relation="on", object="bed"), "dog on bed"),
        (Claim(kind="position", span=(0, 1), subject="dog", region="left"), "dog left"),
    ],
)
def test_a_claim_in_a_few_words(stated: Claim, words: str) -> None:
    assert phrase(stated.to_struct()) == words


@pytest.mark.parametrize(
    ("noun", "expected"),
    [("bus", "buses"), ("bench", "benches"), ("city", "cities"), ("toy", "toys"), ("knife", "knives"),
     ("giraffe", "giraffes"), ("couch", "couches"), ("mouse", "mice"), ("fireman", "firemen"), ("human", "humans"),
     ("grandchild", "grandchildren"), ("hot dog", "hot dogs"), ("scissors", "scissors"), ("skis", "skis"),
     ("broccoli", "broccoli"), ("dogs", "dogs"), ("people", "people"), ("cup of tea", "cups of tea"),
     ("tomato", "tomatoes"), ("photo", "photos"), ("", "")],
)  # fmt: skip
def test_plurals(noun: str, expected: str) -> None:
    assert plural(noun) == expected


def test_quantities() -> None:
    assert [quantity(number, "car or bus") for number in (0, 1, 2)] == [
        "no car or bus",
        "1 car or bus",
        "2 cars or buses",
    ]
