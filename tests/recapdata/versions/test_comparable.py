"""What two audits were made by, held against each other; identities are written by hand."""

import pytest

from recapdata.versions.comparable import Made, affected, comparable, remedy, sentence

CLAIMS = "en_recapdata@1.0.0+sha256:0123456789ab claims:3 form:1"
EVIDENCE = "grounding:2 annotations+v1 detector:a/b@c+v1"


def made(set_name: str = "short", target: str = "ds", **parts: str) -> Made:
    known = {"claims": CLAIMS, "coverage": "coverage:1", "hygiene": "hygiene:1 form:1"} | parts
    return Made(set_name=set_name, target=target, parts={part: [text] for part, text in known.items()})


def test_the_same_rules_and_models_compare() -> None:
    assert comparable(made(evidence=EVIDENCE), made("long", evidence=EVIDENCE)) == []


def test_a_part_that_one_side_lacks_is_no_reason() -> None:
    assert comparable(made(evidence=EVIDENCE), made("long")) == []


@pytest.mark.parametrize(
    ("part", "one", "other", "why"),
    [
        (
            "claims",
            CLAIMS,
            CLAIMS.replace("claims:3", "claims:4"),
            "claims were read by claims rules 3 in short and by claims rules 4 in long",
        ),
        (
            "claims",
            CLAIMS,
            CLAIMS.replace("0123456789ab", "ba9876543210"),
            "claims were read by en_recapdata@1.0.0+sha256:0123456789ab in short and by "
            "en_recapdata@1.0.0+sha256:ba9876543210 in long",
        ),
        (
            "clip",
            "ViT-B-32@sha256:" + "0" * 64 + " scores:1",
            "ViT-L-14@" + "a" * 40 + " scores:1",
            "captions were scored by ViT-B-32@sha256:000000000000 in short and by ViT-L-14@aaaaaaaaaaaa in long",
        ),
        (
            "evidence",
            "grounding:2 annotations+v1",
            "grounding:2 annotations+v1 colors+v2",
            "claims were judged by grounding rules 2 and annotations (rules 1) in short and by grounding rules 2 and "
            "annotations (rules 1) and colors (rules 2) in long",
        ),
        (
            "evidence",
            "grounding:2 colors+v1",
            "grounding:2 colors+v2",
            "claims were judged by colors (rules 1) in short and by colors (rules 2) in long",
        ),
    ],
)
def test_a_reason_names_what_differs(part: str, one: str, other: str, why: str) -> None:
    (reason,) = comparable(made(**{part: one}), made("long", **{part: other}))
    assert (reason.part, reason.why) == (part, why)


def test_earlier_rules_compare_with_nothing() -> None:
    old = made("long", claims="en_recapdata@1.0.0+sha256:0123456789ab earlier")
    for one, other in ((made(), old), (old, made()), (old, old)):
        reasons = comparable(one, other)
        assert [reason.part for reason in reasons] == ["claims"]
        assert reasons[0].why == "long was audited by earlier rules"
    mixed = comparable(
        made(clip="m@1 earlier"), made("long", claims="earlier", clip="m@1 scores:1", hygiene="hygiene:2")
    )
    assert (
        "because long and short were audited by earlier rules and hygiene flags were raised by"
        in sentence(["x"], mixed)
    )
    both = comparable(
        made(claims="earlier", hygiene="earlier"), made("long", claims="earlier", hygiene="earlier")
    )
    assert sentence(["words"], both) == (
        "words cannot be compared, because short and long were audited by earlier rules; run: audits run ds --captions short "
        "--captions long"
    )


def test_shards_audited_differently_compare_with_nothing() -> None:
    mixed = Made(set_name="long", target="ds", parts={"hygiene": ["hygiene:1", "hygiene:2"]})
    (reason,) = comparable(mixed, mixed)
    assert reason.why == "hygiene flags were raised by hygiene rules 1 or hygiene rules 2 in long and by " + (
        "hygiene rules 1 or hygiene rules 2 in long"
    )


def test_evidence_that_changed_is_a_reason_within_one_target_alone() -> None:
    one, other = (
        Made(set_name="short", target=target, parts={"evidence": [EVIDENCE]}, evidence_hash=seen)
        for target, seen in (("ds", "a"), ("ds", "b"))
    )
    assert [reason.why for reason in comparable(one, other)] == [
        "the evidence has changed between the two audits"
    ]
    elsewhere = Made(set_name="short", target="other", parts={"evidence": [EVIDENCE]}, evidence_hash="b")
    assert comparable(one, elsewhere) == []


def test_the_command_audits_both_sides_with_the_options_of_both() -> None:
    one = made(evidence=EVIDENCE, clip="embedded@sha256:1 scores:1")
    other = made(
        "long", claims=CLAIMS.replace("claims:3", "claims:4"), evidence="grounding:2 ocr:rapidocr-3.1+v1"
    )
    assert remedy(one, other) == (
        "audits run ds --captions short --captions long --evidence annotations,detector:a/b@c,ocr --clip embedded"
    )
    elsewhere = Made(set_name="short", target="my ds", parts=other.parts, audits="out")
    assert remedy(one, elsewhere).endswith(
        "&& audits run 'my ds' --captions short --evidence annotations,detector:a/b@c,ocr --clip embedded --out out"
    )


def test_one_sentence_for_all_figures() -> None:
    reasons = comparable(
        made(), made("long", claims=CLAIMS.replace("claims:3", "claims:4"), hygiene="hygiene:2 form:1")
    )
    assert [reason.part for reason in affected(reasons, ("hygiene",))] == ["hygiene"]
    assert affected(reasons, ("coverage",)) == []
    assert affected(reasons, ()) == reasons
    assert sentence(["object coverage", "color coverage", "count coverage", "hygiene flags"], reasons) == (
        "object coverage, color coverage, count coverage and 1 more figure cannot be compared, because claims were read by "
        "claims rules 3 in short and by claims rules 4 in long and hygiene flags were raised by hygiene rules 1 in short and by "
        "hygiene rules 2 in long; run: audits run ds --captions short --captions long"
    )
