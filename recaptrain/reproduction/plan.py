"""How much of an experiment is run: trainings, steps and prompts, as given or as a budget allows."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from recapdata.errors import OptionError
from recaptrain.reproduction.experiments import Arm
from recaptrain.reproduction.settings import ReproduceSettings

SEEDS, STEPS, PROMPTS = 2, 600, 150
"""Where neither an option nor a budget says."""
FEWEST_STEPS, FEWEST_PROMPTS, MOST_PROMPTS = 100, 40, 300
PICTURES_SHARE = 0.4
"""Share of a budget that is spent on pictures to measure."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Speed:
    """What things cost here, in seconds, each measured with as many processes at work as there will be.

    Attributes:
        start: of a command, until its first step or picture.
        step: an optimizer step.
        picture: a picture drawn and measured.
    """

    start: float
    step: float
    picture: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How much is run.

    Attributes:
        seeds: trainings of each arm.
        checkpoints: after how many steps a training is measured, ascending; the last is its end.
        prompts: of each kind.
        kinds: kinds of prompts.
    """

    seeds: int
    checkpoints: tuple[int, ...]
    prompts: int
    kinds: tuple[str, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "checkpoints", tuple(self.checkpoints))
        object.__setattr__(self, "kinds", tuple(self.kinds))
        numbers = (self.seeds, self.prompts, *self.checkpoints)
        if not self.checkpoints or not all(type(each) is int and each > 0 for each in numbers):
            raise ValueError("a plan has trainings, prompts and checkpoints")

    @property
    def steps(self) -> int:
        """Optimizer steps of each training."""
        return self.checkpoints[-1]

    def runs(self, arms: Sequence[Arm]) -> list[tuple[Arm, int]]:
        """Arm and number of every training, the first of each arm before the second of any; the base is measured once."""
        return [(arm, seed) for seed in range(self.seeds) for arm in arms if arm.mixture or seed == 0]

    def certainty(self) -> str:
        """How sure a figure is, roughly, for a person: a share of one half, were every picture of a scene of its own."""
        pictures = self.prompts * len(self.kinds)
        half = 100 * 1.96 * math.sqrt(0.25 / pictures)
        seeds = (
            f"{self.seeds} trainings each tell how much chance moves a figure"
            if self.seeds > 1
            else "one training each: what chance does in training stays unknown"
        )
        return f"a share of {pictures} pictures is known to about ± {half:.1f} points; {seeds}"


def plan_runs(
    settings: ReproduceSettings,
    arms: Sequence[Arm],
    kinds: Sequence[str],
    *,
    speed: Speed | None,
    spent: float,
    workers: int,
) -> Plan:
    """Choose seeds, steps and prompts: those given, else what the rest of the budget allows, else the defaults.

    Of a budget, three trainings of each arm are preferred to two and two to one, as long as each has `FEWEST_STEPS`.

    Args:
        speed: None where there is no budget.
        spent: minutes of the budget that are gone.

    Raises:
        OptionError: the budget allows less than the fewest steps and prompts of one training each.
    """
    checkpoints = settings.checkpoints
    if settings.budget is None or speed is None:
        steps = settings.steps or STEPS
        return _plan(settings.seeds or SEEDS, steps, settings.prompts or PROMPTS, checkpoints, kinds)
    room = 60.0 * (settings.budget - spent) * workers
    # Training, drawing each kind, and measuring are commands of their own.
    fixed = speed.start * checkpoints * (2 + len(kinds))
    measured = checkpoints * len(kinds) * speed.picture
    for seeds in [settings.seeds] if settings.seeds else (3, 2, 1):
        runs = sum(seeds if arm.mixture else 1 for arm in arms)
        rounds = math.ceil(runs / workers)  # a training is one worker's: the last round may leave some idle
        each = room / workers / rounds
        fair = (
            each - fixed - speed.step * settings.steps if settings.steps else PICTURES_SHARE * (each - fixed)
        )
        prompts = settings.prompts or min(MOST_PROMPTS, max(FEWEST_PROMPTS, int(fair / measured)))
        steps = settings.steps or int((each - fixed - measured * prompts) / speed.step)
        if (
            steps >= (settings.steps or FEWEST_STEPS)
            and fixed + measured * prompts + speed.step * steps <= each
        ):
            return _plan(seeds, steps, prompts, checkpoints, kinds)
    prompts, steps = settings.prompts or FEWEST_PROMPTS, settings.steps or FEWEST_STEPS
    least = spent + (fixed + measured * prompts + speed.step * steps) * rounds / 60
    raise OptionError(
        f"--budget {settings.budget:g}: {len(arms)} arms take at least {math.ceil(least)} minutes here (data, captions and a trial "
        f"took {spent:.0f}): {seeds} training{'s' if seeds > 1 else ''} each of {steps:,} steps, {prompts:,} prompts of each kind; "
        "allow more, or ask for less of --arms, --checkpoints, --seeds, --steps or --prompts"
    )


def _plan(seeds: int, steps: int, prompts: int, parts: int, kinds: Sequence[str]) -> Plan:
    parts = min(parts, steps)
    checkpoints = tuple(round(steps * (part + 1) / parts) for part in range(parts))
    return Plan(seeds=seeds, checkpoints=checkpoints, prompts=prompts, kinds=tuple(kinds))
