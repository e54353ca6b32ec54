"""Options of `recaptrain reproduce`."""

from dataclasses import dataclass
from typing import Literal

from recapdata.errors import OptionError
from recapdata.options import above, at_least, check_options, option

Experiment = Literal["recap", "blends", "lies"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReproduceSettings:
    """What is compared, from which base, and how much of it."""

    experiment: Experiment = option(
        "recap",
        help="recap: alt text against short, long and mixed recaptions; blends: DALL·E 3's shares of synthetic captions; lies: "
        "captions with planted errors, and whether the audit foretells what they do.",
    )
    datasets: tuple[str, ...] = option(
        (),
        help="In the experiment's place, two or more datasets or versions to compare: user/name, user/name@revision or a folder, each with "
        ":SET or :MIXTURE where --mixture is not meant.",
        metavar="DATASET DATASET…",
    )
    arms: tuple[str, ...] = option(
        (), help="Some of the experiment's arms, separated by commas; all: each.", shown="the main ones"
    )
    budget: float | None = option(
        None,
        help="Minutes that it may take: chooses seeds, steps and prompts that are not given.",
        metavar="MINUTES",
        check=above(0),
        identity=False,
    )
    seeds: int | None = option(
        None,
        help="Trainings of each arm.",
        shown="2, or what the budget allows",
        check=at_least(1),
        identity=False,
    )
    steps: int | None = option(
        None,
        help="Optimizer steps of each training.",
        shown="600, or what the budget allows",
        check=at_least(1),
        identity=False,
    )
    prompts: int | None = option(
        None,
        help="Unseen prompts of each kind.",
        shown="150, or what the budget allows",
        check=at_least(2),
        identity=False,
    )
    checkpoints: int = option(
        2, help="How often a training is measured, evenly over its steps.", check=at_least(1)
    )
    scenes: int = option(1500, help="Drawn pictures to train on.", check=at_least(16))
    base: str = option(
        "embedded", help="Stable Diffusion pipeline: user/name on the Hub, a folder, or embedded."
    )
    base_revision: str | None = option(None, help="Tag, branch or commit of the base.", shown="main")
    mixture: str | None = option(
        None,
        help="With --datasets: the mixture of captions, SET=WEIGHT,SET=WEIGHT… or a set.",
        shown="recap-mix",
    )
    prompts_from: str | None = option(
        None,
        help="With --datasets: prompts as of recaptrain generate, not trained on.",
        metavar="PROMPTS",
        shown="captions of records held out of all",
    )
    clip: str = option("embedded", help="CLIP model of the figures.", metavar="MODEL")
    features: str = option("embedded", help="What makes features of images, for FID.", metavar="MODEL")
    detector: str | None = option(
        None,
        help="Detector of the figures; with --datasets, none: no SOA, CA, PA and claims.",
        metavar="MODEL",
        shown="what reads the drawn world",
    )
    batch_size: int = option(16, help="Examples of a step.", check=at_least(1))
    lr: float = option(2e-4, help="Learning rate.", check=above(0))
    seed: int = option(0, help="Of pictures, prompts and, one upwards, trainings.", check=at_least(0))
    workers: int | None = option(
        None,
        help="Trainings at a time.",
        shown="one a GPU, else one a core",
        check=at_least(1),
        outcome=False,
    )

    def __post_init__(self) -> None:
        check_options(self)
        given = [name for name in ("mixture", "prompts_from") if getattr(self, name) is not None]
        if given and not self.datasets:
            raise OptionError(
                f"--{given[0].replace('_', '-')} goes with --datasets; the experiments bring their own"
            )
