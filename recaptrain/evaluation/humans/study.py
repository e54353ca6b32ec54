"""What raters are asked: pictures of several models paired by prompt, in a random order, the sides balanced."""

import hashlib
import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

from recapdata.errors import InputError, OptionError
from recapdata.options import identity
from recaptrain.evaluation.humans.protocols import PROTOCOLS, ProtocolName
from recaptrain.evaluation.humans.settings import HumansSettings
from recaptrain.evaluation.pictures import Picture, Pictures, read_pictures

SHOWN_PROMPTS = 2
"""Prompts that a message quotes of each folder."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What a rater decides: one picture against another of the same prompt, or one picture by itself.

    Attributes:
        id: number from 0, in the order of prompts.
        prompt: number of the prompt.
        image: which of the prompt's pictures.
        a, b: numbers of the models; b is None where a picture is judged by itself.
        position: in the order in which raters meet the questions.
        flipped: whether the first rating has b on the left; further ratings alternate.
    """

    id: int
    prompt: int
    image: int
    a: int
    b: int | None
    position: int
    flipped: bool

    def left_is_b(self, rating: int) -> bool:
        """Whether b is on the left for the rating of a number."""
        return self.b is not None and (rating + self.flipped) % 2 == 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Study:
    """Models, their common prompts, and the questions.

    Attributes:
        protocol: see `PROTOCOLS`.
        models: names of the folders.
        prompts: texts, in the order of the first folder.
        pictures: by number of model, prompt and image.
        left_out: prompts that not all folders have.
        identity: what votes rest on: those of another identity are not mixed with them.
    """

    protocol: ProtocolName
    models: Sequence[str]
    prompts: Sequence[str]
    pictures: Mapping[tuple[int, int, int], Picture]
    questions: Sequence[Question]
    left_out: int
    identity: Mapping[str, Any]


def plan_study(folders: Sequence[str], settings: HumansSettings) -> Study:
    """Read the folders and pair their pictures.

    A prompt is its text: pictures of two folders belong together where it is the same, whatever the files call it.

    Args:
        folders: see `read_pictures`; at least two, or one where each picture is judged by itself.

    Raises:
        OptionError: too few folders, or two of one name.
        InputError: a folder without pictures, no common prompt, or unequal numbers of pictures.
    """
    pairwise = PROTOCOLS[settings.protocol].pairwise
    if len(folders) < (2 if pairwise else 1):
        raise OptionError(
            f"--protocol {settings.protocol} compares pictures of two folders or more, and "
            f"{'one was' if folders else 'none was'} given; name another, or take --protocol success, which judges each picture by itself"
        )
    runs = [read_pictures(each, prompts=settings.prompts) for each in folders]
    names = [run.name for run in runs]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise OptionError(f"two of the folders are called {twice}; write NAME=FOLDER")
    by_text = [_by_text(run) for run in runs]
    common = [text for text in by_text[0] if all(text in own for own in by_text)]
    if not common:
        raise InputError(_nothing_common(runs, by_text))
    counts = _counts(common, runs, by_text, settings.images_per_prompt)
    pictures = {
        (model, number, image): own[text][image]
        for model, own in enumerate(by_text)
        for number, text in enumerate(common)
        for image in range(counts[number])
    }
    return Study(
        protocol=settings.protocol,
        models=names,
        prompts=common,
        pictures=pictures,
        questions=_questions(counts, len(runs), pairwise=pairwise, seed=settings.seed),
        left_out=len({text for own in by_text for text in own}) - len(common),
        identity={
            "folders": ", ".join(names),
            **identity(settings),
            "pictures": _digest(runs, common, pictures),
        },
    )


def _by_text(run: Pictures) -> dict[str, list[Picture]]:
    found: dict[str, list[Picture]] = {}
    for each in run.items:
        found.setdefault(each.prompt, []).append(each)
    return found


def _nothing_common(runs: Sequence[Pictures], by_text: Sequence[Mapping[str, Any]]) -> str:
    parts = []
    for run, own in zip(runs, by_text, strict=True):
        some = ", ".join(json.dumps(text[:60], ensure_ascii=False) for text in list(own)[:SHOWN_PROMPTS])
        parts.append(f"{run.source} has {len(own):,} ({some}{', …' if len(own) > SHOWN_PROMPTS else ''})")
    return f"no prompt is in all folders: {'; '.join(parts)}; generate pictures of the same prompts"


def _counts(
    prompts: Sequence[str],
    runs: Sequence[Pictures],
    by_text: Sequence[Mapping[str, Sequence[Picture]]],
    most: int | None,
) -> list[int]:
    """How many pictures of each prompt are asked about.

    Raises:
        InputError: not the same number in all folders.
    """
    counts = []
    for text in prompts:
        own = [min(len(found[text]), most or len(found[text])) for found in by_text]
        if len(set(own)) > 1:
            there = ", ".join(f"{run.name} {count}" for run, count in zip(runs, own, strict=True))
            raise InputError(
                f"the folders have unequal numbers of pictures of {text[:60]!r} ({there}); generate the missing ones, or take "
                f"--images-per-prompt {min(own)}"
            )
        counts.append(own[0])
    return counts


def _questions(counts: Sequence[int], models: int, *, pairwise: bool, seed: int) -> list[Question]:
    """All questions. Of each two models, half of the first ratings have the one on the left, half the other."""
    pairs = list(combinations(range(models), 2)) if pairwise else [(model, None) for model in range(models)]
    keys = [
        (prompt, image, a, b)
        for prompt, count in enumerate(counts)
        for image in range(count)
        for a, b in pairs
    ]
    random_ = random.Random(seed)
    positions = list(range(len(keys)))
    random_.shuffle(positions)
    flips: dict[tuple[int, int, int, int | None], bool] = {}
    for pair in pairs:
        own = [key for key in keys if key[2:] == pair]
        random_.shuffle(own)
        flips |= {key: number % 2 == 1 for number, key in enumerate(own)}
    return [
        Question(
            id=number, prompt=key[0], image=key[1], a=key[2], b=key[3], position=position, flipped=flips[key]
        )
        for number, (key, position) in enumerate(zip(keys, positions, strict=True))
    ]


def _digest(
    runs: Sequence[Pictures], prompts: Sequence[str], pictures: Mapping[tuple[int, int, int], Picture]
) -> str:
    """A hash over the prompts, the pictures' names, and what they were made with."""
    lines = [[run.made_with for run in runs], list(prompts)]
    lines += [[*key, each.id, each.read] for key, each in pictures.items()]
    text = json.dumps(lines, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
