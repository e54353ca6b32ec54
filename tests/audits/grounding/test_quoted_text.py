"""Quoted texts against the words in the picture: by the letter where people wrote them down, tolerant where a reader made them out."""

import pytest

from audits.evidence import Evidence, Observation, Scope
from audits.grounding.quoted_text import folded, is_there, letters, quoted

WRITTEN = Scope(attributes=frozenset({"text"}))
MADE_OUT = Scope(attributes=frozenset({"text"}), complete=False)


def words(scope: Scope, *read: str | tuple[str, float]) -> Evidence:
    pairs = [(each, 1.0) if isinstance(each, str) else each for each in read]
    seen = tuple(Observation(text=text, score=None if scope.complete else score) for text, score in pairs)
    return Evidence(source="words", scope=scope, objects=seen, width=9, height=9, counting=0.9)


def test_letters_are_what_is_left_of_a_text() -> None:
    assert letters("Café — No. 7!") == "cafeno7"
    assert folded("ST0P!") == folded("stop")
    assert folded("BURN") == "bum"  # what RN and M have in common
    assert folded("15|and") == folded("island")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("stop", True),
        ("no parking", True),
        ("parking stop", True),
        ("no stop", False),
        ("st0p", False),
        ("park", False),
    ],
)
def test_written_down_words_are_taken_by_the_letter(text: str, expected: bool) -> None:
    assert is_there(text, words(WRITTEN, "NO", "PARKING", "STOP")) is expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("parking", True),
        ("PARKlNG", True),  # a small L for an I
        ("parkinq", True),  # one of seven letters, at most one in five
        ("any time no parking", True),  # a reader does not know which line comes first
        ("noparking", True),
        ("banana", False),
        ("marketing", None),  # six of its nine letters are those of "parking": a misreading, perhaps
        ("no", True),
        ("go", None),  # too short to be told from what a reader makes of specks
        ("parking lot", None),  # one of its words was read: the other may have been overlooked
    ],
)
def test_made_out_words_are_taken_with_the_mistakes_of_readers(text: str, expected: bool | None) -> None:
    assert is_there(text, words(MADE_OUT, "NO", "PARKING", "ANY", "TIME")) is expected


def test_what_could_not_be_read_might_be_it() -> None:
    assert is_there("banana", words(MADE_OUT, "PARKING")) is False
    assert is_there("banana", words(MADE_OUT, "PARKING", ("b?n", 0.3))) is None
    assert is_there("banana", words(MADE_OUT, ("PARKING", 0.7))) is None  # believed, but not sure
    assert is_there("banana", words(MADE_OUT)) is None


def test_a_word_read_is_quoted() -> None:
    assert quoted("STOP", ["the stop sign", "stop"], exact=True)
    assert not quoted("ST0P", ["stop"], exact=True)
    assert quoted("ST0P", ["please stop here"], exact=False)
    assert not quoted("GO", ["stop"], exact=False)
