"""Captions cut into sentences, by eye."""

import pytest

from recapdata.sentences import sentence_spans, sentences


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("A cat. A dog.", ["A cat.", "A dog."]),
        ("A dog. It runs! 3 cats?", ["A dog.", "It runs!", "3 cats?"]),
        ('It says "STOP." A car waits.', ['It says "STOP."', "A car waits."]),
        ('He waves (hello!). "Bye" is on a sign.', ["He waves (hello!).", '"Bye" is on a sign.']),
        ("A 2.5 m wall, e.g. of brick", ["A 2.5 m wall, e.g. of brick"]),
        ("approx. five cm wide", ["approx. five cm wide"]),
        ("approx. 20 cm wide. a ruler", ["approx. 20 cm wide. a ruler"]),
        ("Dr. Smith holds a cat. Mrs. Lee laughs.", ["Dr. Smith holds a cat.", "Mrs. Lee laughs."]),
        ("Bus No. 5 stops. No. It goes.", ["Bus No. 5 stops.", "No.", "It goes."]),
        (
            "A portrait of Dr. Jane Goodall beside a chimp. It is sunny.",
            ["A portrait of Dr. Jane Goodall beside a chimp.", "It is sunny."],
        ),
        (
            "The U.S. Navy ship docks in St. Petersburg. Fog lies on the water.",
            ["The U.S. Navy ship docks in St. Petersburg.", "Fog lies on the water."],
        ),
        ("J. R. R. Tolkien and George W. Bush. Trees.", ["J. R. R. Tolkien and George W. Bush.", "Trees."]),
        (
            "A flag of the U.S. It waves. On Main St. The sun shines.",
            ["A flag of the U.S.", "It waves.", "On Main St.", "The sun shines."],
        ),
        (
            "Acme Co. Building. Tea, cake, etc. Dogs wait.",
            ["Acme Co. Building.", "Tea, cake, etc.", "Dogs wait."],
        ),
        ("Lt. Col. Smith vs. Sgt. Pepper. Rain.", ["Lt. Col. Smith vs. Sgt. Pepper.", "Rain."]),
        (
            "Open at 9 a.m. A door. Jan. 5 on Rte. 66. Snow.",
            ["Open at 9 a.m.", "A door.", "Jan. 5 on Rte. 66.", "Snow."],
        ),
        ("Plan B. 3 dogs. A. B. C.", ["Plan B.", "3 dogs.", "A.", "B.", "C."]),
        ("A road.\n- **Sky:** blue", ["A road.", "- **Sky:** blue"]),
        ("Élan. Été.", ["Élan.", "Été."]),
        ("一只猫。一只狗。", ["一只猫。", "一只狗。"]),
        ("no end", ["no end"]),
        ("  ", []),
        ("", []),
    ],
)
def test_sentences(text, parts):
    assert sentences(text) == parts


def test_spans_leave_out_the_blanks():
    assert sentence_spans("  A cat.  A dog. ") == [(2, 8), (10, 16)]
