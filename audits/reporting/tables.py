"""The audit summary as the tables of the page: figures in groups, hygiene, and the habits of each set."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from audits.figures import GROUPS, in_reading_order, registered
from audits.text.hygiene import FLAGS
from recapdata.records import Provenance
from recapdata.versions.figures import FigureValue


@dataclass(frozen=True, slots=True)
class Row:
    """A line of a table: its name, a hint, and a text per set."""

    name: str
    hint: str
    cells: Sequence[str]


@dataclass(frozen=True, slots=True)
class Group:
    """Lines that belong together."""

    title: str
    rows: Sequence[Row]


@dataclass(frozen=True, slots=True)
class SetHead:
    """A caption set on top of the page: who wrote it, and its figures at a glance."""

    name: str
    writer: str
    captions: int
    missing: int
    glance: Sequence[tuple[str, str]]


def groups(figures: Mapping[str, Mapping[str, FigureValue]]) -> list[Group]:
    """All figures that any set has, group by group; those that are registered here no more come last."""
    known = {figure.name: figure for figure in registered()}
    found: dict[str, list[Row]] = {}
    for name in in_reading_order(name for each in figures.values() for name in each):
        figure = known.get(name)
        cells = [each[name].text() if name in each else "–" for each in figures.values()]
        row = Row(figure.title if figure else name, figure.hint if figure else "", cells)
        found.setdefault(figure.group if figure else "other", []).append(row)
    return [Group(GROUPS[group].title, rows) for group, rows in found.items()]


def heads(
    sets: Mapping[str, Provenance],
    summary: Mapping[str, Any],
    figures: Mapping[str, Mapping[str, FigureValue]],
) -> list[SetHead]:
    """The audited sets with who wrote them."""
    glance = [figure for figure in registered() if figure.glance]
    return [
        SetHead(
            name=name,
            writer=_writer(sets[name]),
            captions=summary["sets"][name]["captions"],
            missing=summary["sets"][name]["missing"],
            glance=[(figure.name, each[figure.name].text()) for figure in glance if figure.name in each],
        )
        for name, each in figures.items()
    ]


def _writer(provenance: Provenance) -> str:
    if provenance.model is not None:
        revision = (provenance.revision or "").removeprefix("sha256:")[:12]
        style = f", style {provenance.style}" if provenance.style else ""
        return f"{provenance.model}{f' at {revision}' if revision else ''}{style}"
    writers = {"human": "written by people", "web": "text from the web", "import": "imported"}
    column = f", column {provenance.column}" if provenance.column else ""
    return f"{writers.get(provenance.writer, provenance.writer)}{column}"


def hygiene(flags: Mapping[str, Counter[str]], captions: Mapping[str, int]) -> list[Row]:
    """Captions by flag and set; flags that no caption carries are left out."""
    names = [*FLAGS, *sorted({name for each in flags.values() for name in each} - set(FLAGS))]
    return [
        Row(
            name.replace("_", " "),
            "",
            [_share(each[name], captions[set_name]) for set_name, each in flags.items()],
        )
        for name in names
        if any(each[name] for each in flags.values())
    ]


def _share(count: int, total: int) -> str:
    return f"{count:,} ({100 * count / total:.1f} %)" if count and total else "0"


def _times(count: int | None) -> str:
    return "–" if count is None else "once" if count == 1 else f"{count:,} times"


def habits(summary: Mapping[str, Any], names: Sequence[str]) -> list[Row]:
    """The regularities that a model would learn (DALL·E 3, appendix), a line each."""
    each = [summary["sets"][name].get("habits") or {} for name in names]
    shares = {
        "without a capital": "lower_case",
        "opens with a capital": "capitalized",
        "all capitals": "upper_case",
        "ends in a full stop": "final_stop",
        "said word for word of another image": "repeated",
    }
    rows = [
        Row(name, "", [f"{100 * habit[key]:.1f} %" if key in habit else "–" for habit in each])
        for name, key in shares.items()
    ]
    rows.append(
        Row(
            "commonest caption",
            "",
            [_times(habit.get("most_repeated")) if habit else "–" for habit in each],
        )
    )
    lengths: list[Sequence[float]] = [habit.get("words") or () for habit in each]
    rows.append(
        Row(
            "words: 5 % – median – 95 %",
            "",
            [
                f"{words[1]:.0f} – {words[3]:.0f} – {words[5]:.0f}" if len(words) > 5 else "–"
                for words in lengths
            ],
        )
    )
    opening = [
        ", ".join(f"{word} {100 * share:.0f} %" for word, share in list(habit.get("first_words") or ())[:5])
        for habit in each
    ]
    rows.append(Row("commonest first words", "", opening))
    skews = [summary["sets"][name].get("skew") for name in names]
    if any(skews):
        hint = "train–inference skew: 100 × the Fréchet distance of CLIP text embeddings; 0 is none"
        told = [f"{skew['distance']:.2f} ({skew['prompts']})" if skew else "–" for skew in skews]
        rows.append(Row("distance from the prompts", hint, told))
    return rows
