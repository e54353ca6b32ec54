"""Captions that many images share, counted without holding them all."""

from collections.abc import Sequence

import numpy as np

from audits.text.duplicates import Fingerprints, Repeats, fingerprint

CAPTIONS = [
    *["Home page"] * 5,
    *["a dog"] * 4,
    *["home  PAGE"] * 2,
    *(f"picture {number}" for number in range(50)),
]


def find_repeats(captions: Sequence[str | None], **options: int) -> Repeats:
    with Fingerprints() as prints:
        for start in range(0, len(captions), 7):
            prints.add(captions[start : start + 7])
        return prints.repeats(**options)


def prints_of(*captions: str | None) -> np.ndarray:
    return np.array([0 if each is None else fingerprint(each) for each in captions], np.uint64)


def test_case_and_spacing_make_no_other_caption() -> None:
    assert fingerprint("Home page") == fingerprint(" home  PAGE\n") != fingerprint("homepage")


def test_only_what_is_common_is_counted() -> None:
    found = find_repeats(CAPTIONS)
    assert found.copies(["HOME page", None, "a dog", "picture 3", "never seen"]) == [
        7,
        None,
        None,
        None,
        None,
    ]
    assert find_repeats(CAPTIONS, many=4).copies(["a dog", "home page"]) == [4, 7]


def test_parts_find_the_same_as_the_whole() -> None:
    captions = [f"caption {number % 97}" for number in range(3000)]
    whole, parts = find_repeats(captions), find_repeats(captions, part=100)
    assert whole.prints.tolist() == parts.prints.tolist()
    assert len(whole.prints) == 97
    assert whole.times.tolist() == parts.times.tolist()
    assert sum(whole.times.tolist()) == 3000


def test_nothing_repeats_in_nothing() -> None:
    found = find_repeats([])
    assert found.copies(["a", None]) == [None, None]
    assert found.identity(prints_of("a")) == find_repeats(["a", None, "b", None]).identity(
        prints_of("b", None)
    )


def test_the_identity_changes_where_a_caption_of_the_shard_becomes_common() -> None:
    rare, common = find_repeats(CAPTIONS), find_repeats([*CAPTIONS, "a dog"])
    assert rare.identity(prints_of("a dog", "a cat")) != common.identity(prints_of("a dog", "a cat"))
    assert rare.identity(prints_of("a bird", None)) == common.identity(prints_of("a bird", None))


def test_missing_captions_are_no_repeated_caption() -> None:
    assert len(find_repeats([None] * 20).prints) == 0


def test_what_is_stored_is_in_row_order() -> None:
    with Fingerprints() as prints:
        prints.add(["a", None])
        assert prints.stored().tolist() == [fingerprint("a"), 0]
        prints.add(["b"])
        assert prints.stored().tolist() == [fingerprint("a"), 0, fingerprint("b")]
