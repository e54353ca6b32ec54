"""The saved views that every build makes: each a question a curator asks, the worst samples first.

A sample is in a view where the caption of at least one set is; which set it was, the panel's table tells. The names are what
the App lists, and the descriptions say what is in them and what the audit needs for it.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from audits.fiftyone import require
from audits.fiftyone.fields import DISAGREEMENT, audit_field
from audits.text.coverage import CLIP_CONTEXT

HUNDRED = 100
SAMPLE_VIEW = "Random hundred"
"""The view to calibrate the audit on."""
WORKSPACE = "caption-audit"
"""The layout that the App opens with."""


@dataclass(frozen=True, slots=True)
class View:
    """A saved view of the samples for which `badness` of any audit is more than nought, the largest sum first.

    Attributes:
        badness: name of a number of the audit, or of a list whose entries count.
        minus: another number that is taken off it; both null count as nought.
        over: what it has to exceed.
        color: of its mark in the App's list.
    """

    name: str
    description: str
    badness: str
    minus: str | None = None
    over: int = 0
    lists: bool = False
    color: str = "red"


VIEWS: Sequence[View] = (
    View(
        "Invented objects",
        "A caption speaks of an object that the evidence does not show",
        "contradicted_object",
    ),
    View("Wrong counts", "A caption gives a number that the evidence contradicts", "contradicted_count"),
    View("Wrong colors", "A caption gives a color that the evidence contradicts", "contradicted_color"),
    View("Wrong positions", "A caption places something where it is not", "contradicted_position"),
    View(
        "Text not read",
        "There are words in the picture that a caption does not quote",
        "texts_present",
        minus="texts_said",
        color="orange",
    ),
    View(
        "Low CLIP margin",
        "A lie with one fact exchanged scores as high as the caption (audits run --clip)",
        "low_margin",
        lists=True,
        color="orange",
    ),
    View(
        f"Over {CLIP_CONTEXT} tokens",
        f"A caption is longer than the {CLIP_CONTEXT} tokens that CLIP reads",
        "clip_tokens",
        over=CLIP_CONTEXT,
        color="yellow",
    ),
    View(
        "Hygiene flags",
        "A caption is flagged by its text alone: refusals, loops, markup, cut ends and the like",
        "flags",
        lists=True,
        color="yellow",
    ),
)
DISAGREEING = "Sets that disagree most"


def save_views(dataset: Any, fields: Mapping[str, str]) -> list[str]:
    """Make the saved views of a dataset anew, and those of no audited set go; their names.

    Args:
        fields: field by caption set, of the sets that are audited.
    """
    views = dict(_views(dataset, list(fields.values()))) if fields else {}
    known = set(dataset.list_saved_views())
    for name in (*(view.name for view in VIEWS), DISAGREEING, SAMPLE_VIEW):
        if name not in views and name in known:
            dataset.delete_saved_view(name)
    for name, (view, description, color) in views.items():
        dataset.save_view(name, view, description=description, color=color, overwrite=True)
    return list(views)


def save_workspace(dataset: Any) -> None:
    """Save the layout that the App opens with: the grid, and the panel *Caption audit* beside it.

    One that a person has saved under its name stays.
    """
    fo = require()
    from fiftyone.core.utils import to_slug

    if WORKSPACE in map(to_slug, dataset.list_workspaces()):
        return
    panels = [fo.Panel(type="Samples", pinned=True), fo.Panel(type="caption_audit")]
    sides = [fo.Space(children=[each], active_child=each.component_id) for each in panels]
    layout = fo.Space(children=sides, orientation="horizontal", sizes=[0.55, 0.45])
    dataset.save_workspace(WORKSPACE, layout, description="The pictures, and the figures of their captions")


def sampled(dataset: Any, sample_id: str) -> bool:
    """Whether a sample is one of the random hundred."""
    if not dataset.has_saved_view(SAMPLE_VIEW):
        return False
    return sample_id in set(dataset.load_saved_view(SAMPLE_VIEW).values("id"))


def _views(dataset: Any, fields: Sequence[str]) -> Iterable[tuple[str, tuple[Any, str, str]]]:
    field = require().ViewField
    for view in VIEWS:
        paths = [f"{audit_field(each)}.{view.badness}" for each in fields]
        if view.lists:
            bad = [field(path).length() for path in paths]
        elif view.minus:
            less = [f"{audit_field(each)}.{view.minus}" for each in fields]
            bad = [_number(path) - _number(other) for path, other in zip(paths, less, strict=True)]
        else:
            bad = [_number(path) for path in paths]
        # What a caption has beyond the limit; one that keeps within it takes nothing off another's excess.
        excess = [(each > view.over).if_else(each - view.over, 0) for each in bad]
        total = sum(excess[1:], excess[0])
        found = dataset.match(total > 0).sort_by(total, reverse=True)
        yield view.name, (found, view.description, view.color)
    differing = dataset.match(field(DISAGREEMENT) > 0).sort_by(DISAGREEMENT, reverse=True).limit(HUNDRED)
    yield (
        DISAGREEING,
        (
            differing,
            f"The {HUNDRED} pictures of which the caption sets claim the most different things",
            "blue",
        ),
    )
    judged = [
        _number(f"{audit_field(each)}.{verdict}")
        for each in fields
        for verdict in ("supported", "contradicted")
    ]
    # A key is a hash of the picture, so the first by key are a random draw, and the same one at every build.
    sample = dataset.match(sum(judged[1:], judged[0]) > 0).sort_by("key").limit(HUNDRED)
    yield (
        SAMPLE_VIEW,
        (
            sample,
            "Drawn at random to calibrate on: mark the audit's verdicts right or wrong, all of a caption",
            "green",
        ),
    )


def _number(path: str) -> Any:
    """A number of the audit, nought where there is none."""
    fo = require()
    return (fo.ViewField(path) != None).if_else(fo.ViewField(path), 0)  # noqa: E711  (an expression)
