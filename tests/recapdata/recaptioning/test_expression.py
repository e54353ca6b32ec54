"""The language of `--where`: what it says of five rows that can be read off, and what it refuses."""

import pyarrow as pa
import pytest

from recapdata.errors import OptionError
from recapdata.recaptioning.expression import parse

COLUMNS = {
    "contradicted": pa.array([0, 1, 2, None, 0]),
    "clip_score": pa.array([25.0, 10.5, None, 30.0, 19.0], pa.float32()),
    "words": pa.array([3, 4, 5, 6, 7], pa.int32()),
    "flags": pa.array([[], ["refusal"], ["refusal", "markup"], None, ["markup"]], pa.list_(pa.string())),
    "caption": pa.array(["A dog", "a Watermark here", "cat", None, "dogs"]),
    "over": pa.array([True, False, None, True, False]),
}


def chosen(text: str) -> list[int]:
    mask = parse(text).choose(COLUMNS)
    assert mask.null_count == 0
    return [row for row, each in enumerate(mask.to_pylist()) if each]


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ("contradicted > 0", [1, 2]),
        ("contradicted > 0 and clip_score < 20", [1]),
        ("contradicted > 0 or clip_score < 20", [1, 2, 4]),
        ("not contradicted > 0", [0, 4]),  # nothing is known of row 3, so nothing is said of it
        ("clip_score != 30", [0, 1, 4]),
        ("3 < words <= 5", [1, 2]),
        ("words + contradicted == 7", [2, 4]),
        ("words / 2 >= 3.5", [4]),
        ("-contradicted == -2", [2]),
        ("words in (3, 7)", [0, 4]),
        ("words not in [3, 7]", [1, 2, 3]),
        ("contradicted not in (1, 2)", [0, 4]),
        ("flags", None),
        ("flags > 0", [1, 2, 4]),
        ("'refusal' in flags", [1, 2]),
        ("'refusal' not in flags", [0, 4]),
        ('"watermark" in caption', [1]),
        ("'dog' not in caption", [1, 2]),
        ("caption == 'cat'", [2]),
        ("caption in ('cat', 'dogs')", [2, 4]),
        ("over", [0, 3]),
        ("over and words > 3", [3]),
    ],
)
def test_rows_it_chooses(text, rows):
    if rows is None:
        with pytest.raises(OptionError, match=r"flags is not yes or no.*flags > 0"):
            chosen(text)
    else:
        assert chosen(text) == rows


@pytest.mark.parametrize("text", ["words + 1", "words", "not words", "words and over", "caption"])
def test_what_is_no_yes_or_no_is_said(text):
    with pytest.raises(OptionError, match="is not yes or no; compare it"):
        chosen(text)


@pytest.mark.parametrize(
    "text",
    [
        "words.real > 0",
        "__import__('os').system('touch pwned')",
        "@words > 0",
        "open('/etc/passwd') == words",
        "words[0] > 1",
        "[w for w in words]",
        "(lambda: words)() > 0",
        "words ** 99999999",
        "words % 2 == 0",
        "words & contradicted",
        "words := 3",
        "f'{words}' == 'x'",
        "words is None",
        "words in contradicted, 1",
        "words == (1, 2)",
        "words in ()",
        "words in (1, (2, 3))",
        "words > b'x'",
        "words > None",
        "",
        "words >",
        "1 > 0",
        "not " * 5000 + "over",
        "words in (None,)",
        "(" * 500 + "words" + ")" * 500,
    ],
)
def test_anything_else_is_refused_before_it_is_looked_up(text):
    with pytest.raises(OptionError, match="--where"):
        parse(text)


@pytest.mark.parametrize(
    "text",
    [
        "caption > 3",
        "words == 'three'",
        "words in ('a', 'b')",
        "3 in caption",
        "'a' in words",
        f"words > {10**40}",
    ],
)
def test_what_cannot_be_compared_is_one_line(text):
    with pytest.raises(OptionError, match="--where") as said:
        chosen(text)
    assert "\n" not in str(said.value)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1 if n > 1 else 0.25", [0.25, 1.0, None]),
        ("n > 1 ? 1 : 0.25", [0.25, 1.0, None]),
        ("n > 1 ? 1 : n > 0 ? 0.5 : 0", [0.5, 1.0, None]),
        ('"a ? b : c" in t ? 2 : 1', [2.0, 1.0, 1.0]),
        ("n / 4", [0.25, 0.5, None]),
        ("(1 if n > 1 else 2) * 3", [6.0, 3.0, None]),
        ("1 if n > 1 or t == 'x' else 0", [0.0, 1.0, 1.0]),
    ],
)
def test_numbers_of_rows(text, expected):
    columns = {"n": pa.array([1, 2, None]), "t": pa.array(["a ? b : c", "y", "x"])}
    assert parse(text, "--weigh").numbers(columns).to_pylist() == expected


@pytest.mark.parametrize("text", ["n > 1", "t", "1 if n else 2", "t if n > 1 else t"])
def test_what_is_no_number(text):
    columns = {"n": pa.array([1, 2]), "t": pa.array(["x", "y"])}
    with pytest.raises(OptionError, match="--weigh"):
        parse(text, "--weigh").numbers(columns)


@pytest.mark.parametrize("text", ["? 1 : 2", "n > 1 ? 1", "n ? 1 : 2 : 3", "1"])
def test_what_cannot_be_read_as_a_number(text):
    with pytest.raises(OptionError, match=r"^--weigh "):
        parse(text, "--weigh")
