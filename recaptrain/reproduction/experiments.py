"""The experiments: which arms each has, and which caption sets its arms are trained on."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from recapdata.caption_sets.mixture import Mixture
from recapdata.errors import OptionError
from recapdata.suggestions import did_you_mean
from recaptrain.reproduction.planting import KINDS

BASE = "base"
PLANTER = "recaptrain.reproduction.planting:open_planter"
LIES = tuple(kind for kind in KINDS if kind != "vague")
SHARES = (0.1, 0.2, 0.3)
BOTH = ("unet", "text_encoder")


@dataclass(frozen=True, slots=True, kw_only=True)
class CaptionSet:
    """A caption set of the pictures that are trained on.

    Attributes:
        captioner: who writes it; None for the pictures' own alt text.
    """

    name: str
    captioner: str | None
    style: str = "long"


@dataclass(frozen=True, slots=True, kw_only=True)
class Arm:
    """One way to train; `mixture` is None for the base as it is.

    Attributes:
        dataset: what it is trained on, a folder or a pinned revision; empty for the pictures that the experiment draws.
        main: whether it is run where no arms are named.
        kind: what it has in common with other arms, which are drawn in one color; empty for nothing.
    """

    name: str
    mixture: str | None
    about: str
    train: tuple[str, ...] = BOTH
    dataset: str = ""
    main: bool = True
    kind: str = ""

    @property
    def folder(self) -> str:
        """Its name as part of a file's."""
        return self.name.replace("/", "-")


ALT = CaptionSet(name="alt", captioner=None)
SHORT = CaptionSet(name="recap-short", captioner="embedded", style="short")
LONG = CaptionSet(name="recap-long", captioner="embedded")


def _recap() -> list[Arm]:
    """RECAP's arms (Segalis et al. 2023): captions by which weights are trained on them."""
    captions = {
        "alttext": ("alt", "the control: as long on the web's alt text"),
        "short": ("recap-short", "short recaptions"),
        "long": ("recap-long", "long recaptions"),
        "mix": ("recap-mix", "half short, half long (RECAP Mix)"),
    }
    weights = {"": BOTH, "/unet": ("unet",), "/text_encoder": ("text_encoder",)}
    return [
        Arm(
            name=f"{name}{suffix}",
            mixture=mixture,
            about=about if not suffix else f"{about}; {parts[0]} alone",
            train=parts,
            main=not suffix or name == "mix",
        )
        for suffix, parts in weights.items()
        for name, (mixture, about) in captions.items()
    ]


def _blends() -> list[Arm]:
    """DALL·E 3's shares of descriptive synthetic captions among alt text (Betker et al. 2023)."""
    arms = []
    for share in (0, 65, 80, 90, 95, 100):
        parts = {"recap-long": share, "alt": 100 - share}
        mixture = ",".join(f"{name}={weight}" for name, weight in parts.items() if weight)
        arms.append(Arm(name=f"synthetic-{share}", mixture=mixture, about=f"{share} % synthetic captions"))
    return arms


def _lies() -> list[Arm]:
    """Long recaptions with errors planted (precision falls, coverage stays) or things left unsaid (coverage falls, precision stays)."""
    arms = [Arm(name="true", mixture="recap-long", about="long recaptions as they are")]
    for kind, shares in {**dict.fromkeys(LIES, SHARES), "vague": (0.25, 0.5, 0.75)}.items():
        for share in shares:
            name = f"{kind}-{100 * share:.0f}"
            done = "left unsaid" if kind == "vague" else "wrong"
            what = "things" if kind == "vague" else f"{kind}s"
            arms.append(Arm(name=name, mixture=name, about=f"{share:.0%} of the {what} {done}", kind=kind))
    return arms


BASE_ARM = Arm(name=BASE, mixture=None, about="the base as it is")
EXPERIMENTS: Mapping[str, Sequence[Arm]] = {
    "recap": [BASE_ARM, *_recap()],
    "blends": [BASE_ARM, *_blends()],
    "lies": [BASE_ARM, *_lies()],
}
"""Arms by experiment, the base first."""


def choose_arms(experiment: str, names: Sequence[str]) -> list[Arm]:
    """The arms of an experiment that were named, in the experiment's order; the main ones where none is, each for `all`.

    Raises:
        OptionError: it has no such arm.
    """
    arms = EXPERIMENTS[experiment]
    if not names:
        return [arm for arm in arms if arm.main]
    if tuple(names) == ("all",):
        return list(arms)
    known = [arm.name for arm in arms]
    for name in names:
        if name not in known:
            raise OptionError(
                f"--arms {name}: {experiment} has no such arm{did_you_mean(name, known)}; there are {', '.join(known)}"
            )
    return [arm for arm in arms if arm.name in names]


def sets_of(arms: Sequence[Arm], dataset: str) -> list[CaptionSet]:
    """The caption sets that arms draw from, in the order in which they can be written.

    Args:
        dataset: whose sets they are.
    """
    drawn = [name for arm in arms if arm.mixture for name in Mixture.parse(arm.mixture).sets]
    known = {each.name: each for each in (ALT, SHORT, LONG)}
    if any(name not in known for name in drawn):
        drawn.insert(0, LONG.name)
    return [known.get(name) or _planted_set(name, dataset) for name in dict.fromkeys(drawn)]


def _planted_set(name: str, dataset: str) -> CaptionSet:
    kind, _, percent = name.rpartition("-")
    return CaptionSet(
        name=name, captioner=f"{PLANTER}:{kind}={int(percent) / 100:g},of={dataset}:{LONG.name}"
    )
