"""Verdicts: by hand on small scenes, and on drawn scenes whose captions are true, or were made to lie."""

from collections import Counter
from dataclasses import replace
from typing import Any

import pytest

from audits.evidence import Evidence, Observation, Scope
from audits.evidence.annotations import annotated
from audits.extraction import claims as extract
from audits.grounding.verdicts import Grounding, ground
from audits.lexicon import load_lexicon
from recapdata.dataset.audit_files import EXTENTS
from recapdata.records import Claim, Hedge
from recapdata.scenes import SHAPES, SIDE, draw_scene, human_long, human_short, scene_objects

DRAWN = Scope(classes=frozenset({*SHAPES, "word"}), attributes=frozenset({"color", "size", "text"}))
BARE = Scope(classes=frozenset({"person", "dog", "cat", "car"}), attributes=frozenset())


def box(
    category: str, x: float, y: float, side: float = 10, color: str | None = None, **known: Any
) -> Observation:
    return Observation(bbox=(x, y, side, side), category=category, colors=(color,) if color else (), **known)


def evidence(
    *objects: Observation, scope: Scope = DRAWN, uncounted: frozenset[str] = frozenset()
) -> Evidence:
    return Evidence(source="truth", scope=scope, objects=objects, width=100, height=100, uncounted=uncounted)


def verdict(claim: Claim, seen: Evidence, *others: Claim) -> str | None:
    return ground([*others, claim], [seen]).claims[-1].verdict


def object_(noun: str, span: tuple[int, int] = (0, 5)) -> Claim:
    return Claim(kind="object", span=span, object=noun)


def count(noun: str, number: int) -> Claim:
    return Claim(kind="count", span=(0, 5), object=noun, count=number)


def color(noun: str, word: str, span: tuple[int, int] = (0, 5)) -> Claim:
    return Claim(kind="color", span=span, object=noun, color=word)


def position(
    subject: str, relation: str | None, other: str | None = None, region: str | None = None
) -> Claim:
    return Claim(
        kind="position", span=(0, 30), subject=subject, relation=relation, object=other, region=region
    )


# --- objects -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("noun", "expected"),
    [("dog", "supported"), ("woman", "contradicted"), ("cat", "contradicted"), ("animal", "supported"), ("sky", "unknown"),
     ("vehicle", "unknown")],
)  # fmt: skip
def test_objects(noun: str, expected: str) -> None:
    # An "animal" is borne out by the dog; that no car is there does not say that there is no vehicle.
    assert verdict(object_(noun), evidence(box("dog", 0, 0), scope=BARE)) == expected


def test_a_noun_of_two_classes() -> None:
    scope = Scope(classes=frozenset({"dog", "hot dog", "mouse"}))
    assert verdict(object_("dog"), evidence(box("hot dog", 0, 0), scope=scope)) == "supported"
    assert verdict(object_("dog"), evidence(scope=scope)) == "contradicted"
    assert (
        verdict(object_("mouse"), evidence(scope=scope)) == "unknown"
    )  # it may be the animal, which nobody looked for


# --- counts --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("noun", "number", "expected"),
    [
        ("dog", 2, "supported"),
        ("dog", 3, "contradicted"),
        ("cat", 1, "contradicted"),
        ("people", 3, "supported"),
        ("people", 2, "contradicted"),
        ("woman", 2, "unknown"),  # of three persons, two may well be women …
        ("woman", 4, "contradicted"),  # … but not four
        ("tree", 2, "unknown"),
        ("crowd", 1, "unknown"),
    ],
)
def test_counts(noun: str, number: int, expected: str) -> None:
    seen = evidence(
        box("dog", 0, 0), box("dog", 20, 0), *(box("person", x, 50) for x in (0, 20, 40)), scope=BARE
    )
    assert verdict(count(noun, number), seen) == expected


def test_a_crowd_is_any_number_of_several() -> None:
    seen = evidence(box("person", 0, 0), scope=BARE, uncounted=frozenset({"person"}))
    assert verdict(object_("people"), seen) == "supported"
    assert [verdict(count("people", number), seen) for number in (1, 2, 7)] == [
        "unknown",
        "supported",
        "supported",
    ]


def test_small_ones_in_the_back_need_not_be_counted() -> None:
    # Two people of 40×40 in front, five of 10×10 (1/16 of the area) behind: "two people" and "seven people" are both true.
    seen = evidence(
        *(box("person", x, 0, 40) for x in (0, 50)),
        *(box("person", x, 60) for x in (0, 20, 40, 60, 80)),
        scope=BARE,
    )
    assert [verdict(count("people", number), seen) for number in (2, 7, 3)] == [
        "supported",
        "supported",
        "contradicted",
    ]


def test_a_count_is_of_those_described() -> None:
    seen = evidence(
        box("circle", 0, 0, color="red"),
        box("circle", 20, 0, color="red"),
        box("circle", 40, 0, color="blue"),
    )
    red = color("circle", "red")
    assert verdict(count("circle", 2), seen, red) == "supported"
    assert verdict(count("circle", 3), seen, red) == "contradicted"
    assert verdict(count("circle", 3), seen) == "supported"


def sides(*areas: float, category: str = "person", score: float | None = None) -> list[Observation]:
    """Objects of these areas, without overlap."""
    return [
        Observation(bbox=(200.0 * place, 0, area, 1), category=category, score=score)
        for place, area in enumerate(areas)
    ]


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        (2, "supported"),  # 100 and 90 stand out from 20: a step to less than a quarter
        (3, "unknown"),  # from 20 to 12 is a step to 0.6: nobody can tell
        (4, "supported"),
        (1, "contradicted"),  # 90 is as prominent as 100
        (5, "contradicted"),
    ],
)
def test_honest_counts(number: int, expected: str) -> None:
    # 0.3 % of 1,500 pixels is 5: none of them is small enough to be passed over.
    seen = Evidence(source="truth", scope=BARE, objects=tuple(sides(100, 90, 20, 12)), width=1500, height=1)
    assert verdict(count("people", number), seen) == expected


def test_small_ones_may_be_passed_over_by_people_and_annotators() -> None:
    # 2 of 1,000 pixels is less than 32² of 640×480.
    seen = Evidence(source="truth", scope=BARE, objects=tuple(sides(2, 2, 2, 2)), width=1000, height=1)
    assert [verdict(count("people", number), seen) for number in (2, 4, 6, 12)] == [
        "unknown", "supported", "unknown", "contradicted",
    ]  # fmt: skip


def test_large_numbers_are_rounded() -> None:
    seen = evidence(
        *(box("person", 10 * (place % 10), 20 * (place // 10)) for place in range(12)), scope=BARE
    )
    assert [verdict(count("people", number), seen) for number in (10, 12, 20, 4)] == [
        "unknown", "supported", "unknown", "contradicted",
    ]  # fmt: skip


def test_a_pair_of_skis_is_one_box_or_two() -> None:
    scope = Scope(classes=frozenset({"skis"}))
    pair = count("skis", 2)
    assert verdict(pair, evidence(box("skis", 0, 0), scope=scope)) == "supported"
    assert verdict(pair, evidence(box("skis", 0, 0), box("skis", 50, 0), scope=scope)) == "supported"
    assert verdict(count("skis", 8), evidence(box("skis", 0, 0), scope=scope)) == "contradicted"


def test_one_box_may_hold_a_bunch() -> None:
    scope = Scope(classes=frozenset({"banana"}))
    assert verdict(count("banana", 6), evidence(box("banana", 0, 0), scope=scope)) == "unknown"
    assert verdict(count("banana", 6), evidence(scope=scope)) == "contradicted"


def test_numbers_of_one_noun_add_up() -> None:
    seen = evidence(*(box("dog", x, 0) for x in (0, 20, 40)), scope=BARE)
    two, one = count("dog", 2), Claim(kind="count", span=(10, 17), object="dog", count=1)
    assert [each.verdict for each in ground([two, one], [seen]).claims] == ["supported", "supported"]
    assert verdict(two, seen) == "contradicted"


def test_a_number_in_a_part_of_the_picture_is_of_some() -> None:
    seen = evidence(*(box("dog", x, 0) for x in (0, 20, 40)), scope=BARE)
    assert verdict(count("dog", 2), seen, position("dog", None, region="background")) == "unknown"
    assert verdict(count("dog", 4), seen, position("dog", None, region="background")) == "contradicted"


def test_boxes_on_each_other_may_be_one_object() -> None:
    # Two boxes of 20 × 20, two pixels apart: an IoU of 360 / 440.
    twice = evidence(box("dog", 0, 0, 20), box("dog", 2, 0, 20), box("dog", 60, 60, 20), scope=BARE)
    apart = evidence(box("dog", 0, 0, 20), box("dog", 30, 0, 20), box("dog", 60, 60, 20), scope=BARE)
    assert verdict(count("dog", 2), twice) == "unknown"
    assert verdict(count("dog", 2), apart) == "contradicted"


def test_objects_of_a_near_color_are_counted_with_it() -> None:
    orange = box("dog", 0, 0, color="orange")
    reddish = box("dog", 50, 0, color="red", near_colors=frozenset({"orange"}))
    red = box("dog", 50, 0, color="red")
    scope = replace(BARE, attributes=frozenset({"color"}))
    two = count("dog", 2)
    assert verdict(two, evidence(orange, reddish, scope=scope), color("dog", "orange")) == "supported"
    assert verdict(two, evidence(orange, red, scope=scope), color("dog", "orange")) == "contradicted"


# --- colors and sizes ----------------------------------------------------------------------------------------------------


def test_colors() -> None:
    seen = evidence(box("circle", 0, 0, color="red"), box("square", 20, 0, color="blue"))
    assert verdict(color("circle", "dark red"), seen) == "supported"
    assert verdict(color("circle", "blue"), seen) == "contradicted"
    assert (
        verdict(color("star", "blue"), seen) == "unknown"
    )  # no star to have a color: that is the object claim's fault
    assert verdict(color("circle", "colorful"), seen) == "unknown"
    assert verdict(color("dog", "brown"), evidence(box("dog", 0, 0), scope=BARE)) == "unknown"


def test_two_colors_of_one_thing_are_not_held_against_each_other() -> None:
    seen = evidence(box("circle", 0, 0, color="black"))
    black, white = color("circle", "black"), color("circle", "white")
    assert verdict(white, seen, black) == "unknown"
    assert verdict(white, seen, color("circle", "black", span=(40, 50))) == "contradicted"  # another circle's


def test_sizes() -> None:
    seen = evidence(box("circle", 0, 0, size="large"))
    assert verdict(Claim(kind="size", span=(0, 5), object="circle", size="big"), seen) == "supported"
    assert verdict(Claim(kind="size", span=(0, 5), object="circle", size="tiny"), seen) == "contradicted"


def test_color_and_size_are_of_one_thing() -> None:
    seen = evidence(
        box("circle", 0, 0, color="red", size="small"), box("circle", 20, 0, color="blue", size="large")
    )
    red, large = color("circle", "red"), Claim(kind="size", span=(0, 5), object="circle", size="large")
    found = ground([red, large], [seen])
    assert [claim.verdict for claim in found.claims] == ["contradicted", "contradicted"]
    assert [verdict(each, seen) for each in (red, large)] == [
        "supported",
        "supported",
    ]  # each for itself is true


# --- positions -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("relation", "expected"),
    [
        ("left of", "supported"),
        ("right of", "contradicted"),
        ("above", "contradicted"),
        ("behind", "unknown"),
        (
            "near",
            "unknown",
        ),  # 40 of 100 apart, more than 150/512: too far to say so, but large things can still touch
    ],
)
def test_relations(relation: str, expected: str) -> None:
    # Centers at (5, 5) and (45, 5): to the left, and on one line, so that above is clearly wrong.
    seen = evidence(box("circle", 0, 0), box("star", 40, 0))
    assert verdict(position("circle", relation, "star"), seen) == expected


def test_a_relation_within_the_margin_is_not_contradicted() -> None:
    # Centers 1 pixel apart on x, 10×10 each: the margin of GenEval is 0.1·(10 + 10) = 2 pixels. Nothing is clear then but on y.
    seen = evidence(box("circle", 0, 0), box("star", 1, 60))
    assert verdict(position("circle", "left of", "star"), seen) == "contradicted"
    assert verdict(position("circle", "above", "star"), seen) == "supported"
    assert (
        verdict(position("circle", "left of", "star"), evidence(box("circle", 0, 0), box("star", 0, 0)))
        == "unknown"
    )


def test_near_is_150_of_512_pixels_between_the_centers() -> None:
    near = position("circle", "next to", "star")
    assert verdict(near, evidence(box("circle", 0, 0), box("star", 29, 0))) == "supported"
    assert verdict(near, evidence(box("circle", 0, 0), box("star", 30, 0))) == "unknown"


def test_boxes_that_overlap_are_not_called_wrongly_placed() -> None:
    # 40×40 each, 20 apart: 20·40 of 2·1600 − 800 is an IoU of 1/3, above T2I-CompBench's 0.1.
    seen = evidence(box("circle", 0, 0, 40), box("star", 20, 0, 40))
    assert verdict(position("circle", "left of", "star"), seen) == "supported"
    assert verdict(position("circle", "right of", "star"), seen) == "unknown"


def test_any_pair_will_do_unless_the_mention_says_which() -> None:
    seen = evidence(
        box("circle", 0, 0, color="red"), box("circle", 80, 0, color="blue"), box("star", 40, 0, color="red")
    )
    left = position("circle", "left of", "star")
    assert verdict(left, seen) == "supported"
    assert verdict(left, seen, object_("circle"), color("circle", "blue")) == "contradicted"


@pytest.mark.parametrize(
    ("region", "expected"),
    [("top left", "supported"), ("left", "supported"), ("right", "contradicted"), ("bottom left", "contradicted"),
     ("center", "contradicted"), ("background", "unknown")],
)  # fmt: skip
def test_regions(region: str, expected: str) -> None:
    assert verdict(position("circle", None, region=region), evidence(box("circle", 0, 0))) == expected


def test_a_region_is_wrong_only_of_what_is_clear_of_it() -> None:
    # From 30 to 100 of 100 pixels: its center (65) is on the right, a part of it on the left.
    wide = evidence(box("circle", 30, 0, 70))
    assert verdict(position("circle", None, region="right"), wide) == "supported"
    assert verdict(position("circle", None, region="left"), wide) == "unknown"
    right = evidence(box("circle", 60, 0, 40))
    assert verdict(position("circle", None, region="left"), right) == "contradicted"


def test_on_top_is_no_region_of_the_picture() -> None:
    low = evidence(box("circle", 0, 90))
    top = position("circle", None, region="top")
    assert verdict(top, low) == "contradicted"
    assert ground([top], [low], "a circle on top of it all, you see").claims[0].verdict == "unknown"


def test_positions_of_what_may_be_something_else_are_not_wrong() -> None:
    # A "sign" may be another one than the stop sign.
    seen = evidence(
        box("stop sign", 80, 0), box("car", 0, 0), scope=Scope(classes=frozenset({"stop sign", "car"}))
    )
    assert verdict(position("sign", "left of", "car"), seen) == "unknown"
    assert verdict(position("stop sign", "left of", "car"), seen) == "contradicted"
    assert verdict(position("sign", "right of", "car"), seen) == "supported"


def test_what_is_not_there_has_no_place() -> None:
    assert verdict(position("circle", "left of", "star"), evidence(box("circle", 0, 0))) == "unknown"
    assert verdict(position("star", None, region="left"), evidence(box("circle", 0, 0))) == "unknown"


def test_a_hedged_thing_may_be_elsewhere_in_the_picture() -> None:
    seen = evidence(box("dog", 80, 50), box("car", 10, 50), scope=BARE)
    left = position("dog", "left of", "car")
    assert verdict(left, seen, object_("dog")) == "contradicted"
    # "a statue of a dog left of a car": the dog that is there need not be the one that is meant.
    statue = replace(object_("dog"), hedge="depicted")
    assert verdict(left, seen, statue) == "unknown"


# --- text ----------------------------------------------------------------------------------------------------------------


def test_text() -> None:
    def says(text: str) -> Claim:
        return Claim(kind="text", span=(0, 5), text=text)

    seen = evidence(box("word", 0, 0, text="STOP"))
    assert verdict(says("stop!"), seen) == "supported"
    assert verdict(says("GO"), seen) == "contradicted"
    assert verdict(says("GO"), evidence(box("circle", 0, 0))) == "contradicted"
    assert verdict(says("GO"), evidence(box("dog", 0, 0), scope=BARE)) == "unknown"


# --- several sources, and what was missed --------------------------------------------------------------------------------


def test_the_first_source_that_can_tell_decides() -> None:
    blind = evidence(scope=Scope())
    one = evidence(box("dog", 0, 0), scope=BARE)
    other = evidence(box("cat", 0, 0), scope=BARE)
    found = ground([object_("cat")], [blind, one, other]).claims[0]
    assert (found.verdict, found.evidence) == ("contradicted", "truth: no cat")


def test_what_is_there_and_was_not_said() -> None:
    seen = evidence(
        box("circle", 0, 0), box("circle", 20, 0), box("star", 40, 0), box("word", 0, 50, text="STOP")
    )
    found = ground([object_("circle")], [seen])
    assert shares(found) == {
        "objects_present": 2, "objects_said": 1,
        # 10×10 of 100×100 is 1 %: more than 32² of 640×480 (0.3 %), less than 96² (3 %).
        "objects_present_small": 0, "objects_said_small": 0,
        "objects_present_medium": 2, "objects_said_medium": 1,
        "objects_present_large": 0, "objects_said_large": 0,
        "counts_present": 1, "counts_said": 0, "colors_present": 0, "colors_said": 0,
        "texts_present": 1, "texts_said": 0,
    }  # fmt: skip
    assert found.recall.missed == ("star", "2 circles", 'the word "STOP"')


def shares(found: Grounding) -> dict[str, int | None]:
    return {name: value for name, value in found.scores().items() if name != "missed"}


def test_what_nobody_looked_for_is_not_counted() -> None:
    found = shares(ground([object_("dog")], [evidence(box("dog", 0, 0), scope=BARE)]))
    assert (found["objects_present"], found["texts_present"], found["texts_said"]) == (1, None, None)
    assert set(shares(ground([], [evidence(scope=Scope())])).values()) == {None}


def test_words_to_be_quoted() -> None:
    known = evidence(box("word", 0, 50, text="STOP"))
    reads = Scope(attributes=frozenset({"text"}), kinds=frozenset({"text"}), complete=False)
    read = evidence(Observation(text="5TQP", score=0.95), Observation(text="★", score=0.99), scope=reads)
    # Beside somebody who knows the words, what a reader makes of them is no word more.
    assert ground([], [known, read]).recall.missed == ('the word "STOP"',)
    assert ground([], [read]).recall.missed == ('the word "5TQP"',)  # and a star is no word


def test_a_class_is_as_large_as_its_largest_object() -> None:
    # Of 100×100: 40×40 is 16 % (large), 10×10 1 % (medium), 4×4 0.16 % (small); a mask says how much of a box is covered.
    seen = evidence(
        box("dog", 0, 0, 4),
        box("dog", 50, 50, 40),
        box("cat", 0, 50, 40, area=100.0),
        box("car", 90, 0, 4),
        scope=BARE,
    )
    found = shares(ground([object_("dog"), object_("car")], [seen]))
    assert [(found[f"objects_present_{size}"], found[f"objects_said_{size}"]) for size in EXTENTS] == [
        (1, 1),
        (1, 0),
        (1, 1),
    ]


def test_numbers_and_colors_that_were_said() -> None:
    seen = evidence(
        box("circle", 0, 0, color="red"), box("circle", 20, 0, color="red"), box("star", 40, 0, color="blue")
    )
    true = ground([object_("circle"), count("circle", 2), color("circle", "red")], [seen])
    found = shares(true)
    assert (found["counts_present"], found["counts_said"]) == (1, 1)
    assert (found["colors_present"], found["colors_said"]) == (2, 1)
    assert true.recall.missed == ("star",)  # of what is not mentioned at all, the color is not missed on top
    false = ground([object_("circle"), count("circle", 3), color("circle", "green")], [seen])
    assert false.recall.missed == ("star", "2 circles", "red circles")


def test_classes_that_only_a_caption_asked_for_are_not_missed() -> None:
    scope = Scope(classes=frozenset({"dog", "tree"}), prompted=frozenset({"tree"}))
    seen = evidence(box("dog", 0, 0), box("tree", 50, 0), scope=scope)
    found = ground([object_("tree"), object_("dog")], [seen])
    assert [claim.verdict for claim in found.claims] == ["supported", "supported"]
    assert (shares(found)["objects_present"], ground([], [seen]).recall.missed) == (1, ("dog",))


# --- unsure evidence -----------------------------------------------------------------------------------------------------


def test_only_sure_objects_are_counted() -> None:
    # Two dogs at 0.95, one at 0.4: two are sure, three are possible, and a fourth
    # may have been overlooked as one was nearly; one or five are wrong.
    seen = Evidence(
        source="detector",
        scope=BARE,
        objects=tuple(box("dog", x, 0, score=score) for x, score in ((0, 0.95), (20, 0.95), (40, 0.4))),
        width=100,
        height=100,
        counting=0.9,
    )
    assert [verdict(count("dog", number), seen) for number in (1, 2, 3, 4, 5)] == [
        "contradicted",
        "supported",
        "unknown",
        "unknown",
        "contradicted",
    ]
    assert ground([object_("dog")], [seen]).recall.missed == ("2 dogs",)


def test_a_color_that_a_thing_could_be_called_is_not_wrong() -> None:
    seen = evidence(box("circle", 0, 0, color="orange", near_colors=frozenset({"red"})))
    assert [verdict(color("circle", each), seen) for each in ("orange", "red", "blue")] == [
        "supported",
        "unknown",
        "contradicted",
    ]


def test_a_source_judges_its_kinds_only() -> None:
    scope = Scope(classes=BARE.classes, attributes=frozenset({"color"}), kinds=frozenset({"color"}))
    seen = evidence(box("dog", 0, 0, color="brown"), scope=scope)
    found = ground([object_("cat"), count("dog", 2), color("dog", "brown")], [seen])
    assert [claim.verdict for claim in found.claims] == ["unknown", "unknown", "supported"]
    assert (shares(found)["objects_present"], shares(found)["colors_said"]) == (None, 1)


def test_doubtful_boxes_make_up_for_what_is_missing() -> None:
    # One sure dog, one at 0.5 and two below the threshold: one to four dogs, and as many overlooked as are not sure.
    seen = Evidence(
        source="detector",
        scope=BARE,
        objects=(box("dog", 0, 0, score=0.95), box("dog", 20, 0, score=0.5)),
        width=100,
        height=100,
        counting=0.9,
        doubtful=(box("dog", 40, 0, score=0.2), box("dog", 60, 0, score=0.2), box("cat", 80, 0, score=0.2)),
    )
    assert [verdict(count("dog", number), seen) for number in (1, 2, 7, 8)] == [
        "supported", "unknown", "unknown", "contradicted",
    ]  # fmt: skip
    assert verdict(object_("cat"), seen) == "unknown"
    assert verdict(object_("car"), seen) == "contradicted"


def test_what_is_supported_is_never_counted_as_nought() -> None:
    unsure = Evidence(
        source="detector",
        scope=BARE,
        objects=(box("car", 0, 0, score=0.4),),
        width=100,
        height=100,
        counting=0.9,
    )
    found = ground([object_("car"), count("car", 3)], [unsure]).claims
    assert [(each.verdict, each.evidence) for each in found] == [
        ("supported", "detector: 1 car"),
        ("contradicted", "detector: up to 1 car, none of them sure"),
    ]


# --- what evidence cannot rule out ---------------------------------------------------------------------------------------

COCO = Scope(classes=load_lexicon().vocabularies[0])


def hedged(hedge: Hedge, **fields: Any) -> Claim:
    return Claim(**{"kind": "object", "span": (0, 5), "object": "dog", "hedge": hedge, **fields})


@pytest.mark.parametrize("hedge", ["depicted", "owner", "sought"])
def test_a_hedged_claim_is_supported_or_unknown(hedge: Hedge) -> None:
    dog, nothing = evidence(box("dog", 0, 0, color="brown"), scope=BARE), evidence(scope=BARE)
    assert (verdict(hedged(hedge), dog), verdict(hedged(hedge), nothing)) == ("supported", "unknown")
    number = hedged(hedge, kind="count", count=3)
    assert (verdict(number, dog), verdict(number, nothing)) == ("unknown", "unknown")
    shown = hedged(hedge, kind="color", color="white")
    assert verdict(shown, evidence(box("dog", 0, 0, color="brown"), scope=DRAWN)) == "unknown"


@pytest.mark.parametrize(
    ("number", "expected"), [(1, "supported"), (2, "supported"), (3, "unknown"), (5, "contradicted")]
)
def test_a_number_of_some_is_no_more_than_all(number: int, expected: str) -> None:
    # Two sure dogs and one that is not sure.
    seen = Evidence(
        source="detector",
        scope=BARE,
        objects=tuple(box("dog", x, 0, score=score) for x, score in ((0, 0.95), (20, 0.95), (40, 0.4))),
        width=100,
        height=100,
        counting=0.9,
    )
    assert verdict(hedged("partial", kind="count", count=number), seen) == expected


def told(
    caption: str, noun: str, *objects: Observation, others: tuple[str, ...] = ()
) -> tuple[str | None, str | None]:
    """Verdict and evidence of an object claim in its caption."""
    spans = {each: (caption.index(each), caption.index(each) + len(each)) for each in (noun, *others)}
    claims = [object_(each, span) for each, span in spans.items()]
    found = ground(claims, [evidence(*objects, scope=COCO)], caption).claims[0]
    return found.verdict, found.evidence


@pytest.mark.parametrize(
    ("caption", "noun", "others", "expected"),
    [
        ("a plate of chicken", "chicken", (), "no bird (chicken may be food)"),
        ("a bed of roses", "bed", (), "no bed (bed may be what flowers grow in, or a layer)"),
        ("a soup with carrot", "carrot", ("soup",), "no carrot (carrot may be a part of a dish)"),
        ("a lion and its mother", "mother", ("lion",), "no person (mother may be an animal)"),
        ("a view from a train", "train", (), "no train (train may be around the camera)"),
        ("a cage for a bird", "bird", (), "no bird (bird may be what something is for)"),
        ("a train set", "train", (), "no train (train may be a part of a name)"),
    ],
)
def test_other_readings_are_named(caption: str, noun: str, others: tuple[str, ...], expected: str) -> None:
    assert told(caption, noun, others=others) == ("unknown", f"truth: {expected}")


@pytest.mark.parametrize(
    ("caption", "noun", "others"),
    [
        ("a carrot on a table", "carrot", ("table",)),
        ("a man, a dog and its mother", "man", ("dog", "mother")),
        ("a mother and her baby", "mother", ("baby",)),
        ("a bed in a room", "bed", ("room",)),
        ("a man in front of a train", "train", ()),
        ("a photo of a dog", "dog", ()),
        ("a girl looks at a dog", "dog", ()),
    ],
)
def test_the_plain_reading_is_contradicted(caption: str, noun: str, others: tuple[str, ...]) -> None:
    assert told(caption, noun, others=others)[0] == "contradicted"


def test_what_annotators_take_for_it_is_not_called_absent() -> None:
    assert told("a couch", "couch", box("chair", 0, 0)) == ("unknown", "truth: no couch, but 1 chair")
    assert told("a couch", "couch", box("dog", 0, 0))[0] == "contradicted"


def test_the_match_that_decided() -> None:
    assert told("a sedan", "sedan", box("car", 0, 0)) == ("supported", "truth: sedan = car (1 car)")
    assert told("a dog", "dog", box("dog", 0, 0)) == ("supported", "truth: 1 dog")
    assert told("a woman", "woman") == ("contradicted", "truth: no person (woman = person)")


# --- drawn scenes --------------------------------------------------------------------------------------------------------

SCENES = [draw_scene(11, index) for index in range(120)]


def truth(scene) -> Evidence:
    objects = tuple(annotated(each | {"mask": None}) for each in scene_objects(scene))
    return Evidence(source="truth", scope=DRAWN, objects=objects, width=SIDE, height=SIDE)


def contradicted(captions: list[str | None]) -> list[Counter[str]]:
    """Contradicted claims of each kind, per scene."""
    found = extract(caption or "" for caption in captions)
    grounded = [ground(claims, [truth(scene)]) for claims, scene in zip(found, SCENES, strict=True)]
    return [
        Counter(claim.kind for claim in each.claims if claim.verdict == "contradicted") for each in grounded
    ]


@pytest.mark.parametrize("write", [human_short, human_long])
def test_true_captions_are_not_contradicted(write) -> None:
    assert sum(contradicted([write(scene) for scene in SCENES]), Counter()) == Counter()
