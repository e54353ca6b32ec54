"""Figures side by side, and which changes lie beyond their confidence intervals."""

from recapdata.versions.figures import FigureValue, compare_figures, incomparable, not_compared, read_figures


def summary(low: float, high: float, better: str | None = "higher", **rest) -> dict:
    figure = {"value": (low + high) / 2, "low": low, "high": high, "unit": "share", "better": better, "n": 30}
    return {
        "format": 1,
        "sets": {"alt": {"captions": 10, "missing": 0, "figures": {"object coverage": figure}}},
        **rest,
    }


def verdict(before: dict, after: dict) -> str:
    (change,) = compare_figures(before, after)
    return change.verdict


def test_verdicts_need_intervals_apart():
    assert verdict(summary(0.1, 0.2), summary(0.3, 0.4)) == "better"
    assert verdict(summary(0.3, 0.4), summary(0.1, 0.2)) == "worse"
    assert verdict(summary(0.1, 0.2), summary(0.2, 0.3)) == ""
    assert verdict(summary(0.1, 0.2, "lower"), summary(0.3, 0.4, "lower")) == "worse"
    assert verdict(summary(0.1, 0.2, None), summary(0.3, 0.4, None)) == "changed"


def test_text_is_readable():
    (change,) = compare_figures(summary(0.1, 0.2), summary(0.3, 0.4))
    assert change.text() == "alt: object coverage 15.0 % (10.0–20.0) → 35.0 % (30.0–40.0)"
    assert FigureValue(value=12.346).text() == "12.35"
    assert FigureValue(value=7.0, n=3).text() == "7, n = 3"
    assert FigureValue(value=4.0, low=3.5, high=4.5).text() == "4.00 (3.50–4.50)"
    assert FigureValue(value=0.01234, low=0.01, high=0.02).text() == "0.012 (0.01–0.02)"
    assert FigureValue(value=1234.6).text() == "1,235"
    assert FigureValue(value=-2.62, low=-3.9, high=-1.23).text() == "−2.62 (−3.90 to −1.23)"


def test_sets_of_one_side_only_are_listed():
    (change,) = compare_figures(None, summary(0.1, 0.2))
    assert (change.before, change.verdict) == (None, "")
    assert read_figures(None) == {}
    assert read_figures({"sets": {"alt": {"figures": {"x": {"value": None}}}}}) == {"alt": {}}


def measured(claims: str | None, rests_on: tuple[str, ...] = ("claims",)) -> dict:
    """A summary of one figure whose claims were made by these rules; None for one that says nothing of them."""
    found = summary(0.1, 0.2)
    found["sets"]["alt"]["figures"]["object coverage"]["rests_on"] = list(rests_on)
    if claims is not None:
        found["sets"]["alt"]["made_by"] = {"claims": [claims], "coverage": ["coverage:1"]}
    return found


def unlike(before: dict, after: dict) -> list[str]:
    changes = compare_figures(before, after)
    found = incomparable(changes, (before, after), ("me/ds@v1.0.0", "ds"), published=(True, False))
    return not_compared(found)


def test_figures_by_other_rules_are_not_compared():
    assert unlike(measured("en@1 claims:1"), measured("en@1 claims:1")) == []
    (found,) = unlike(measured("en@1 claims:1"), measured("en@1 claims:2"))
    assert found == (
        "alt: object coverage cannot be compared, because claims were read by claims rules 1 in me/ds@v1.0.0 and by claims "
        "rules 2 in ds; run: audits run me/ds@v1.0.0 --captions alt --pipeline en --out ds-v1.0.0-audit && audits run ds "
        "--captions alt --pipeline en && audits compare me/ds@v1.0.0 ds --set alt --audit ds-v1.0.0-audit --audit ds/audits"
    )


def test_figures_that_rest_on_other_parts_are_compared():
    lengths = ("coverage",)
    assert unlike(measured("en@1 claims:1", lengths), measured("en@1 claims:2", lengths)) == []


def test_a_summary_without_versions_is_compared_with_nothing():
    old, new = measured(None), measured("en@1 claims:1")
    assert "because me/ds@v1.0.0 was audited by earlier rules; run: " in unlike(old, new)[0]
    assert "because ds was audited by earlier rules; run: " in unlike(new, old)[0]
    assert "because me/ds@v1.0.0 and ds were audited by earlier rules; run: " in unlike(old, old)[0]
