"""Captions that many images share, counted without holding them all."""

from audits.text.duplicates import find_repeats, fingerprint

CAPTIONS = [
    *["Home page"] * 5,
    *["a dog"] * 4,
    *["home  PAGE"] * 2,
    *(f"picture {number}" for number in range(50)),
]


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
    assert found.identity([["a"]]) == find_repeats(["a", "b"]).identity([["b"], ["c"]])


def test_the_identity_changes_where_a_caption_of_the_shard_becomes_common() -> None:
    rare, common = find_repeats(CAPTIONS), find_repeats([*CAPTIONS, "a dog"])
    assert rare.identity([["a dog"], ["a cat"]]) != common.identity([["a dog"], ["a cat"]])
    assert rare.identity([["a bird", None]]) == common.identity([["a bird", None]])
    assert rare.identity([["a", "b"], ["home page"]]) == rare.identity([["a"], ["b", "home page"]])
