"""The same prompts side by side: those that a figure tells apart most, and some by chance, so that the page does not show the exceptions alone.

A figure is a function of how often each row counts; counted alone, the rows of a prompt give the prompt's own figure. Of several runs
those prompts come first whose figures lie farthest apart, real images left out where two runs are none; of one run those with the worst. FID
and its kind, which a single prompt has none of, choose no prompts.
"""

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from audits.reporting.pictures import Picture as Thumbnail
from audits.reporting.pictures import reduce
from recapdata.dataset.decoding import ImageUnreadable
from recaptrain.evaluation.evaluations import Measured
from recaptrain.evaluation.pictures import Picture
from recaptrain.evaluation.reporting.tables import ARROWS

DIFFERENT, RANDOM = 6, 6
"""Prompts of a figure, and by chance."""
MOST = 4
"""Pictures of a prompt that are shown of a run."""
BYTES = 10_000_000
"""Of all pictures of the page."""
PICTURE_BYTES = 40_000
"""Of a picture at most."""
FOLDED, LONGEST = 400, 20_000
"""Code points of a prompt that are shown before the rest is folded away, and that the page holds at all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Text:
    """A prompt: its beginning, the rest to fold away, and how many code points are left out beyond."""

    head: str
    tail: str
    beyond: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """What a run made of a prompt.

    Attributes:
        value: the prompt's own figure.
        more: pictures that are not shown.
        read: what the model was given, where that is not the prompt.
    """

    pictures: Sequence[Thumbnail]
    value: str
    more: int
    read: Text | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptRow:
    """A prompt, and what each run made of it; None for a run that has not the prompt."""

    id: str
    category: str | None
    prompt: Text
    cells: Sequence[Shown | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Grid:
    """Prompts that were chosen for one reason."""

    title: str
    note: str
    rows: Sequence[PromptRow]


@dataclass(frozen=True, slots=True)
class _Choice:
    title: str
    note: str
    prompts: Sequence[str]
    values: Sequence[Mapping[str, float]]
    """By run the figure of each prompt."""


def grids(
    runs: Sequence[Measured], seed: int, advance: Callable[..., None] = lambda count: None
) -> list[Grid]:
    """The grids of a page.

    Args:
        seed: of the prompts that are drawn by chance.
        advance: called with numbers of pictures done.
    """
    items = [_by_prompt(run) for run in runs]
    shared = _shared(items)
    choices = list(_choices(runs, shared, seed))
    wanted = {prompt for choice in choices for prompt in choice.prompts}
    own = [
        {name: each[name] for name in each if name in wanted and _same(items[0][name], each[name])}
        for each in items
    ]
    thumbnails = _thumbnails(own, advance)
    return [
        Grid(
            title=choice.title,
            note=choice.note,
            rows=[_row(prompt, own, choice, thumbnails) for prompt in choice.prompts],
        )
        for choice in choices
        if choice.prompts
    ]


def _by_prompt(run: Measured) -> dict[str, list[Picture]]:
    found: dict[str, list[Picture]] = {}
    for each in run.pictures.items:
        found.setdefault(each.prompt_id, []).append(each)
    return found


def _shared(items: Sequence[Mapping[str, Sequence[Picture]]]) -> list[str]:
    """The prompts of the first run that another has, too, word for word; all of them where it is alone."""
    first, *others = items
    if not others:
        return list(first)
    return [
        name
        for name, own in first.items()
        if any(name in other and _same(own, other[name]) for other in others)
    ]


def _same(own: Sequence[Picture], other: Sequence[Picture]) -> bool:
    return other[0].prompt == own[0].prompt


# --- which prompts ---------------------------------------------------------------------------------------------------------


def _choices(runs: Sequence[Measured], shared: Sequence[str], seed: int) -> Iterator[_Choice]:
    """One for each metric, by its first figure that single prompts have, then one by chance; no prompt is chosen twice."""
    taken: set[str] = set()
    metrics: set[str] = set()
    models = [place for place, run in enumerate(runs) if "dataset" not in run.evaluation.made_with]
    compared = models if len(models) > 1 else range(len(runs))
    for figure in runs[0].evaluation.figures:
        if figure.metric in metrics or runs[0].replicates[figure.name].statistic.centered:
            continue
        values = [by_prompt(run, figure.name) for run in runs]
        order = _ordered(shared, [values[place] for place in compared], figure.better)
        prompts = [name for name in order if name not in taken][:DIFFERENT]
        if not prompts:
            continue
        metrics.add(figure.metric)
        taken.update(prompts)
        several = len(compared) > 1
        yield _Choice(
            title=f"Most different by {figure.name}" if several else f"Worst by {figure.name}",
            note=f"{'The largest differences first' if several else 'The worst first'}; beside each name the prompt's own "
            f"{figure.name}{f' {ARROWS[figure.better]}' if figure.better else ''}",
            prompts=prompts,
            values=values,
        )
    chance = sorted((name for name in shared if name not in taken), key=lambda name: _lot(seed, name))
    yield _Choice(
        "By chance", "Drawn from the other prompts, the same at every run", chance[:RANDOM], [{}] * len(runs)
    )


def by_prompt(run: Measured, figure: str) -> dict[str, float]:
    """A figure of each prompt alone; prompts without one are left out, all of them of a run without the figure."""
    if figure not in run.replicates:
        return {}
    made = run.replicates[figure]
    rows: dict[int, list[int]] = {}
    for row, prompt in enumerate(made.prompt_of.tolist()):
        rows.setdefault(prompt, []).append(row)
    found = {}
    weights: NDArray[np.int64] = np.zeros(len(made.prompt_of), np.int64)
    for name, number in run.pictures.prompts.items():
        if number in rows:
            weights[rows[number]] = 1
            value = float(made.statistic.value(weights))
            weights[rows[number]] = 0
            if np.isfinite(value):
                found[name] = value
    return found


def _ordered(prompts: Sequence[str], values: Sequence[Mapping[str, float]], better: str | None) -> list[str]:
    """Prompts that a figure tells something of: the farthest apart first, of one run the worst first; ties by name."""
    if len(values) > 1:
        spread = {}
        for name in prompts:
            own = [each[name] for each in values if name in each]
            if len(own) > 1 and max(own) > min(own):
                spread[name] = max(own) - min(own)
        return sorted(spread, key=lambda name: (-spread[name], name))
    (only,) = values
    sign = {"higher": 1, "lower": -1, None: 0}[better]
    if not sign or len(set(only.values())) < 2:
        return []
    return sorted((name for name in prompts if name in only), key=lambda name: (sign * only[name], name))


def _lot(seed: int, name: str) -> bytes:
    return hashlib.blake2b(f"{seed}:{name}".encode("utf8", "surrogatepass"), digest_size=8).digest()


# --- what is shown of them -------------------------------------------------------------------------------------------------


def _thumbnails(
    items: Sequence[Mapping[str, Sequence[Picture]]], advance: Callable[..., None]
) -> dict[tuple[int, str, int], Thumbnail]:
    """The pictures by run, prompt and number; read in the order of the run, in which a dataset is read fast."""
    places = [
        (run, name, number)
        for run, own in enumerate(items)
        for name, pictures in own.items()
        for number in range(min(len(pictures), MOST))
    ]
    share = min(BYTES // max(len(places), 1), PICTURE_BYTES)
    found = {}
    for run, name, number in places:
        try:
            found[run, name, number] = reduce(items[run][name][number].load(), share)
        except ImageUnreadable as error:
            found[run, name, number] = Thumbnail(url="", width=4, height=3, error=str(error))
        advance(1)
    return found


def _row(
    prompt: str,
    items: Sequence[Mapping[str, Sequence[Picture]]],
    choice: _Choice,
    thumbnails: Mapping[tuple[int, str, int], Thumbnail],
) -> PromptRow:
    first = items[0][prompt][0]
    cells: list[Shown | None] = []
    for number, (own, values) in enumerate(zip(items, choice.values, strict=True)):
        pictures = own.get(prompt)
        if pictures is None:
            cells.append(None)
            continue
        read = pictures[0].read
        cells.append(
            Shown(
                pictures=[thumbnails[number, prompt, place] for place in range(min(len(pictures), MOST))],
                value=f"{values[prompt]:.4g}" if prompt in values else "",
                more=max(len(pictures) - MOST, 0),
                read=None if read == first.prompt else folded(read),
            )
        )
    return PromptRow(id=prompt, category=first.category, prompt=folded(first.prompt), cells=cells)


def folded(text: str) -> Text:
    """A prompt, cut where the page folds it and where the page ends it."""
    kept = text[:LONGEST]
    head = kept if len(kept) <= FOLDED * 4 // 3 else kept[:FOLDED]
    return Text(head=head, tail=kept[len(head) :], beyond=len(text) - len(kept))
