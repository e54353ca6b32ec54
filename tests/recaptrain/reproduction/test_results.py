"""Tables and sentences of measurements whose answer is worked out by hand."""

import math
import re
from dataclasses import replace
from types import SimpleNamespace

import pytest
from markdown_it import MarkdownIt

from recapdata.errors import InputError
from recaptrain.reproduction.analysis import NORMAL
from recaptrain.reproduction.experiments import BASE_ARM, Arm, choose_arms
from recaptrain.reproduction.page import followed, plot
from recaptrain.reproduction.plan import Plan
from recaptrain.reproduction.results import (
    Row,
    again,
    alike_kinds,
    asked_of,
    compare,
    conclude,
    costs_of,
    relations,
    tabulate,
)
from recaptrain.reproduction.settings import ReproduceSettings
from recaptrain.reproduction.study import PRECISION, PRECISIONS, Study, audited


def row(
    arm, value, *, figure="soa-c", prompts="short", seed=0, step=10, n=100, half=0.0, better="higher"
) -> Row:
    return Row(
        arm=arm, seed=seed, step=step, prompts=prompts, figure=figure, value=value, low=value - half, high=value + half, n=n,
        better=better, unit="%",
    )  # fmt: skip


def study(audit) -> Study:
    arms = tuple(Arm(name=name, mixture=name, about="") for name in audit)
    return Study(
        arms=(BASE_ARM, *arms), prompts={}, real={}, metrics=(), reference="", detector=None, held_out=None, audit=audit
    )  # fmt: skip


def test_kinds_of_prompts_count_by_their_pictures() -> None:
    """(100 · 40 + 300 · 80) / 400 = 70; the errors, 1 and 1: sqrt(100² + 300²) / 400."""
    rows = [row("mix", 40, half=NORMAL), row("mix", 80, prompts="long", n=300, half=NORMAL)]
    (cell,) = tabulate(rows, 10, ("short", "long"))
    assert (cell.value, cell.error) == (70, pytest.approx(math.hypot(100, 300) / 400))


def test_prompts_of_the_same_pictures_err_together() -> None:
    """Short and long share their pictures, alt text a third of them; errors 1, 1 and 1 of 100 pictures each: (1 + 1)² + 1² over 3²."""
    ids = {"short": ["a", "b", "c"], "long": ["c", "b", "a"], "alttext": ["c", "d", "e"]}
    alike = alike_kinds(ids)
    assert alike == [frozenset({"short", "long"}), frozenset({"alttext"})]
    rows = [row("mix", 40, prompts=kind, half=NORMAL) for kind in ids]
    (cell,) = tabulate(rows, 10, tuple(ids), alike)
    assert cell.error == pytest.approx(math.sqrt(5) / 3)


def test_a_kind_that_one_training_lacks_is_no_spread_of_trainings() -> None:
    """Both trainings have 40 on short prompts; the first alone could be measured on long ones."""
    rows = [row("mix", 40), row("mix", 40, seed=1), row("mix", 80, prompts="long")]
    (cell,) = tabulate(rows, 10, ("short", "long"))
    assert (cell.value, cell.training_error) == (40, 0)


def test_what_chance_does_in_a_training_moves_all_kinds_alike() -> None:
    """Trainings of 40 and 44 on both kinds: their mean over kinds varies as either kind does, by 8, and over two of them by 4."""
    rows = [
        row("mix", 40 + 4 * seed, prompts=kind, seed=seed) for seed in (0, 1) for kind in ("short", "long")
    ]
    (cell,) = tabulate(rows, 10, ("short", "long"))
    assert (cell.value, cell.seeds, cell.error) == (42, 2, pytest.approx(2))


def test_a_figure_of_some_kinds_alone_is_of_those() -> None:
    rows = [row("mix", 40), row("mix", 80, prompts="long"), row("mix", 7, figure="pa", prompts="long", n=20)]
    found = {cell.figure: cell.value for cell in tabulate(rows, 10, ("short", "long"))}
    assert found == {"soa-c": 60, "pa": 7}


def test_the_base_stands_at_every_step_and_others_at_their_own() -> None:
    rows = [row("base", 1, step=0), row("mix", 2, step=5), row("mix", 3)]
    assert [(cell.arm, cell.value) for cell in tabulate(rows, 5, ("short",))] == [("base", 1), ("mix", 2)]
    assert [(cell.arm, cell.value) for cell in tabulate(rows, 10, ("short",))] == [("base", 1), ("mix", 3)]


def test_arms_are_better_worse_or_not_apart() -> None:
    """Of CA, a distance, lower is better; RP 50 ± 3 and 55 ± 3 overlap."""
    rows = [
        row("mix", 80, half=2), row("alttext", 60, half=2),
        row("mix", 1.5, figure="ca", half=0.1, better="lower"), row("alttext", 1.0, figure="ca", half=0.1, better="lower"),
        row("mix", 50, figure="rp", half=3), row("alttext", 55, figure="rp", half=3),
    ]  # fmt: skip
    final = {(cell.arm, cell.figure): cell for cell in tabulate(rows, 10, ("short",))}
    found = compare(final, "mix", "alttext")
    assert found == {
        "better": ["soa-c 80 (+20)"],
        "worse": ["ca 1.5 (+0.5)"],
        "not apart": ["rp 50 (-5)"],
    }


def test_a_figure_without_an_interval_separates_from_nothing_and_is_drawn() -> None:
    unknown = replace(row("mix", 80), low=None, high=None)
    rows = [unknown, row("alttext", 10, half=1), row("short", 12, half=1)]
    final = {(cell.arm, cell.figure): cell for cell in tabulate(rows, 10, ("short",))}
    assert compare(final, "mix", "alttext")["not apart"] == ["soa-c 80 (+70)"]
    assert final["mix", "soa-c"].text() == "80"
    audit = {
        name: {"color precision": value} for name, value in (("mix", 0.9), ("alttext", 0.7), ("short", 0.5))
    }
    (found,) = relations(study(audit), final)
    drawn = plot(found, study(audit), list(final.values()))
    assert all(math.isfinite(each) for dot in drawn.dots for each in (dot.x, dot.y, dot.low, dot.high))


def test_a_share_is_no_more_than_all() -> None:
    (cell,) = tabulate([row("mix", 99, half=4)], 10, ("short",))
    assert (cell.low, cell.high) == (pytest.approx(95), 100)


def test_the_audit_orders_arms_as_training_did() -> None:
    """Precision 0.9, 0.7, 0.5 and SOA 60, 50, 40 without error: ρ = 1, slope 50 points a unit."""
    audit = {
        name: {"color precision": value} for name, value in (("true", 0.9), ("some", 0.7), ("many", 0.5))
    }
    rows = [row("true", 60), row("some", 50), row("many", 40), row("base", 1, step=0)]
    final = {(cell.arm, cell.figure): cell for cell in tabulate(rows, 10, ("short",))}
    (found,) = relations(study(audit), final)
    assert (found.audit, found.trained, found.arms, found.rank) == ("color precision", "soa-c", 3, 1)
    assert found.slope == pytest.approx(50)


def test_a_mixture_is_audited_by_its_weights() -> None:
    """3 : 1 of 0.8 and 0.4 is 0.7; what one set has no value of, the mixture has not."""
    summary = {
        "sets": {
            "a": {"figures": {"color precision": {"value": 0.8}, "object recall": {"value": 0.5}}},
            "b": {"figures": {"color precision": {"value": 0.4}, "object recall": {"value": None}}},
        }
    }
    assert audited(summary, "a=3,b=1") == {"color precision": pytest.approx(0.7)}


def test_an_audits_summary_that_is_none_is_said() -> None:
    for figures in (3, {"color precision": 1}, {"color precision": {"value": "much"}}):
        with pytest.raises(InputError, match="a summary of audits run that is none"):
            audited({"sets": {"a": {"figures": figures}}}, "a")


def test_precision_is_the_mean_of_its_four_kinds() -> None:
    """(0.9 + 0.8 + 0.7 + 0.6) / 4 = 0.75; of three kinds there is none."""
    figures = dict(zip(PRECISIONS, ({"value": value} for value in (0.9, 0.8, 0.7, 0.6)), strict=True))
    assert audited({"sets": {"a": {"figures": figures}}}, "a")[PRECISION] == pytest.approx(0.75)
    del figures[PRECISIONS[0]]
    assert PRECISION not in audited({"sets": {"a": {"figures": figures}}}, "a")


def test_the_page_plots_what_the_audit_said_of_each_arm() -> None:
    """Three arms with all four precisions: their mean is among the relations, and every relation can be drawn."""
    audit = {
        name: audited({"sets": {"a": {"figures": {kind: {"value": value} for kind in PRECISIONS}}}}, "a")
        for name, value in (("true", 0.9), ("some", 0.7), ("many", 0.5))
    }
    rows = [row("true", 60, half=1), row("some", 50, half=1), row("many", 40, half=1)]
    cells = tabulate(rows, 10, ("short",))
    found = relations(study(audit), {(cell.arm, cell.figure): cell for cell in cells})
    assert {each.audit for each in found} == {*PRECISIONS, PRECISION}
    assert [len(plot(each, study(audit), cells).dots) for each in found] == [3] * 5


def test_what_a_tenth_less_of_a_kind_did(tmp_path) -> None:
    """SOA 60, 57, 54 at color precision 1, 0.9, 0.8: 3 points a tenth. Objects, vague things and the others' precision are of other arms."""
    arms = {
        "true": ("", 1.0, 1.0, 60),
        "color-10": ("color", 0.9, 1.0, 57),
        "color-20": ("color", 0.8, 1.0, 54),
    }
    arms |= {"object-10": ("object", 1.0, 0.9, 30), "object-20": ("object", 1.0, 0.8, 10)}
    audit = {
        name: {"color precision": color, "object precision": objects}
        for name, (_, color, objects, _) in arms.items()
    }
    told = replace(
        study(audit),
        arms=tuple(Arm(name=name, mixture=name, about="", kind=each[0]) for name, each in arms.items()),
    )
    rows = [row(name, each[3]) for name, each in arms.items()]
    plan = Plan(seeds=1, checkpoints=(10,), prompts=3, kinds=("short",))
    found = conclude(
        ReproduceSettings(experiment="lies"), told, plan, rows, SimpleNamespace(done={}), tmp_path
    )
    costs = costs_of(found.relations)
    assert costs["color"]["soa-c"].change(-0.1) == (pytest.approx(-3),) * 3
    assert costs["object"]["soa-c"].change(-0.1) == (pytest.approx(-25),) * 3
    assert (costs["color"]["soa-c"].arms, costs.keys()) == (3, {"color", "object"})
    assert "| color | color precision | -3 <sub>[-3, -3]</sub> |" in (tmp_path / "results.md").read_text()


@pytest.mark.parametrize(
    ("experiment", "names", "drawn"),
    [
        ("recap", ["base", "alttext", "mix"], 3),
        (
            "lies",
            ["base", "true", *(f"{kind}-{share}" for kind in ("object", "color") for share in (10, 20, 30))],
            4,
        ),
        (
            "lies",
            ["base", *(f"{kind}-{share}" for kind in ("object", "color", "count") for share in (10, 20))],
            7,
        ),
        ("datasets", ["base", *"abcdefg"], 8),
    ],
)
def test_where_arms_outnumber_colors_those_held_against_each_other_are_followed(
    experiment, names, drawn
) -> None:
    cells = tabulate([row(name, 1) for name in names], 10, ("short",))
    arms = {cell.arm for cell in followed(SimpleNamespace(experiment=experiment, cells=cells))}
    assert len(arms) == drawn


def test_arms_of_a_kind_are_drawn_in_one_color() -> None:
    """True captions, two shares of wrong colors, and wrong objects: three colors."""
    arms = [("true", ""), ("color-10", "color"), ("color-30", "color"), ("object-10", "object")]
    audit = {name: {"color precision": place / 10} for place, (name, _) in enumerate(arms)}
    told = replace(
        study(audit), arms=tuple(Arm(name=name, mixture=name, about="", kind=kind) for name, kind in arms)
    )
    cells = tabulate([row(name, place) for place, name in enumerate(audit)], 10, ("short",))
    found = relations(told, {(cell.arm, cell.figure): cell for cell in cells})[0]
    assert [dot.color for dot in plot(found, told, cells).dots] == [0, 1, 1, 2]


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (("base", "long"), ["long against base, better: soa-c 70 (+30)"]),
        (("alttext", "long", "mix/unet"), ["long against alttext, better: soa-c 70 (+30)"]),
        (("long",), []),
    ],
)
def test_where_arms_are_few_each_is_held_against_what_there_is(names, said, tmp_path) -> None:
    arms = tuple(replace(arm, dataset="x") for arm in choose_arms("recap", names))
    audit = {arm.name: {} for arm in arms if arm.mixture}
    rows = [row(name, 40 if place == 0 else 70, half=1) for place, name in enumerate(names)]
    plan = Plan(seeds=1, checkpoints=(10,), prompts=3, kinds=("short",))
    told = replace(study(audit), arms=arms)
    found = conclude(ReproduceSettings(), told, plan, rows, SimpleNamespace(done={}), tmp_path)
    assert list(found.findings) == said


def test_the_command_runs_as_much_again_wherever(tmp_path) -> None:
    plan = Plan(seeds=3, checkpoints=(439, 878), prompts=131, kinds=("short",))
    assert again(ReproduceSettings(arms=("base", "mix"), budget=40), plan, tmp_path / "recap") == (
        "recaptrain reproduce recap --arms base,mix --seeds 3 --steps 878 --prompts 131"
    )


def test_what_was_asked_stands_before_what_is_strong_by_chance(tmp_path) -> None:
    """SOA falls with the precision of objects, and with that of colors by chance: the first alone was asked about."""
    audit = {
        name: {"object precision": value, "color precision": value}
        for name, value in zip("abc", (0.9, 0.7, 0.5), strict=True)
    }
    rows = [row(name, value) for name, value in zip("abc", (60, 50, 40), strict=True)]
    plan = Plan(seeds=1, checkpoints=(10,), prompts=3, kinds=("short",))
    settings = ReproduceSettings(experiment="lies")
    found = conclude(settings, study(audit), plan, rows, SimpleNamespace(done={}), tmp_path)
    assert len(found.relations) == 2
    assert [(each.audit, each.trained) for each in asked_of(found.relations)] == [
        ("object precision", "soa-c")
    ]
    assert "object precision – soa-c: +1.00 [+1.00, +1.00], 3 arms" in found.text()
    tables = MarkdownIt("commonmark").enable("table").render((tmp_path / "results.md").read_text())
    assert re.findall(r"<td>(.*? precision)</td>\s*<td>(.*?)</td>", tables) == [("object precision", "soa-c")]


def test_names_of_datasets_are_text_in_the_table_for_a_readme(tmp_path) -> None:
    """Two arms, named by somebody else: as many cells in each row as in the head, and no markup but the page's own."""
    names = ["a|b <img src=x>", "`c` [d](javascript:e)\n# f \x1b[2J\u202e {{ 7 * 7 }}"]
    out = tmp_path / "out `x`\n```\n<script>"
    out.mkdir()
    settings = ReproduceSettings(datasets=tuple(names))
    plan = Plan(seeds=1, checkpoints=(10,), prompts=3, kinds=("short",))
    rows = [row(name, value) for name, value in zip(names, (40, 60), strict=True)]
    conclude(settings, study({name: {} for name in names}), plan, rows, SimpleNamespace(done={}), out)
    text = (out / "results.md").read_text(encoding="utf8")
    html = MarkdownIt("commonmark").enable("table").render(text)
    tags = set(re.findall(r"<(\w+)", html))
    assert tags <= {"h1", "p", "code", "table", "thead", "tbody", "tr", "th", "td", "sub", "ul", "li", "pre"}
    # A head, and an arm and its soa-c: of all prompts, and of their one kind.
    assert [each.count("<td>") for each in html.split("<tr>")[1:]] == [0, 2, 2] * 2
    assert "{{ 7 * 7 }}" in html
    assert all(each.isprintable() or each == "\n" for each in text)
    assert html.count("<pre>") == 1
