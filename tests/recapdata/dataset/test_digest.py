"""The digest of Arrow columns: equal for equal values however they are cut, different for any other value."""

import datetime

import pyarrow as pa
import pytest

from recapdata.dataset.digest import ArrowDigest

OBJECTS = pa.array(
    [[{"bbox": [1.0, 2.0], "category": "dog"}], [], None, [{"bbox": None, "category": None}, None], []],
    pa.list_(pa.struct([("bbox", pa.list_(pa.float64())), ("category", pa.string())])),
)


def digest(*chunks: pa.Array, name: str = "c") -> str:
    hasher = ArrowDigest()
    for chunk in chunks:
        hasher.update(name, chunk)
    return hasher.hexdigest()


@pytest.mark.parametrize(
    "array",
    [
        pa.array(["a", "", None, "bé", "c"]),
        pa.array([1, None, 3, 4, 5], pa.int32()),
        pa.array([True, None, False, True, True]),
        pa.array([[1], [], None, [2, 3], [4]]),
        pa.array([b"x", None, b"", b"yy", b"z"]),
        pa.array([datetime.date(2020, 1, day) for day in range(1, 6)]),
        pa.nulls(5),
        OBJECTS,
    ],
    ids=lambda array: str(array.type)[:20],
)
def test_cuts_do_not_matter(array):
    assert digest(array) == digest(array.slice(0, 2), array.slice(2)) == digest(array.slice(0, 0), array)
    assert digest(array) == digest(pa.chunked_array([array.slice(0, 3), array.slice(3)]))
    assert digest(array) != digest(array.slice(0, 4))
    assert digest(array) != digest(array.slice(1), array.slice(0, 1)) or array.type == pa.null()


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (["ab", "c"], ["a", "bc"]),
        (["", None], [None, ""]),
        ([[1, 2], [3]], [[1], [2, 3]]),
        ([[], None], [None, []]),
        ([0, None], [None, 0]),
    ],
)
def test_what_looks_alike_differs(one, other):
    assert digest(pa.array(one)) != digest(pa.array(other))


def test_values_hidden_under_nulls_do_not_matter():
    hidden = pa.Array.from_buffers(
        pa.int32(), 2, [pa.py_buffer(b"\x01"), pa.py_buffer(b"\x05\0\0\0\x63\0\0\0")]
    )
    assert hidden.to_pylist() == [5, None]
    assert digest(hidden) == digest(pa.array([5, None], pa.int32()))


def test_dictionaries_are_their_values_and_names_belong():
    assert digest(pa.array(["a", "b", "a"]).dictionary_encode()) == digest(pa.array(["a", "b", "a"]))
    assert digest(pa.array([1]), name="x") != digest(pa.array([1]), name="y")
