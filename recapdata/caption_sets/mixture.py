"""Caption mixtures: which caption of an image a training step sees, drawn when it is sampled and never stored.

A mixture gives weights to caption sets: RECAP's 50/50 of short and long (Segalis et al. 2023), DALL·E 3's blend of
synthetic captions with a few of the web's (Betker et al. 2023), or any other. A draw is a function of (seed, epoch, key)
alone, so that it is the same on every machine, in every process and order.

    mixture = Mixture.parse("recap-short=0.5,recap-long=0.5")
    rows = load_dataset(…).with_transform(mixture.transform(seed=0, epoch=3))   # adds `caption` and `caption_set`
    torch.utils.data.DataLoader(rows, …)
"""

import hashlib
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

from recapdata.errors import CaptionSetNotFound, OptionError
from recapdata.records import SET_NAME
from recapdata.sentences import sentences
from recapdata.suggestions import did_you_mean

OverLength = Literal["drop", "truncate", "sentences", "chunks"]
Length = Literal["full", "random"]
CountTokens = Callable[[str], int]

BLENDS = {
    "recap-mix": "recap-short=0.5,recap-long=0.5",
    "dalle3": "recap-long=0.95,alt=0.05",
}
"""Mixtures with a name. RECAP Mix; DALL·E 3 as its product used it, 95 % descriptive synthetic captions."""

CLIP_TOKENS = 77
"""What a CLIP text encoder reads, its start and end tokens included."""

_FORM = "write SET=WEIGHT,SET=WEIGHT…, with optional ;length=random ;dropout=0.1 ;over-length=drop behind it"


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawn:
    """The outcome of one draw.

    Attributes:
        set_name: whose caption was drawn; None where no set has one that may be used.
        caption: the text to train on; "" after caption dropout, None where `set_name` is None.
        over_length: whether the drawn set's caption had more tokens than the limit before the policy was applied;
            under `drop`, whether any caption was passed over for that.
    """

    set_name: str | None
    caption: str | None
    over_length: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Mixture:
    """Weights over caption sets and what is done with the caption that is drawn; make one with `Mixture.parse`.

    Attributes:
        weights: of each set, in the order given; they need not sum to 1.
        length: `random` keeps the first n sentences of a caption, n drawn evenly from 1 to all (Brack et al. 2025).
        dropout: share of captions that become empty, for classifier-free guidance.
        over_length: what becomes of a caption with more tokens than the limit. `truncate`: the text encoder cuts it;
            `sentences`: its first whole sentences that fit are kept; `chunks`: whoever encodes it reads it in several windows;
            `drop`: it is not used (RECAP), another set's is drawn in its stead, and an image without any is passed over.
    """

    weights: Mapping[str, float]
    length: Length = "full"
    dropout: float = 0.0
    over_length: OverLength = "truncate"

    def __post_init__(self) -> None:
        """Check what `parse` does not see when a mixture is built by hand."""
        if not self.weights:
            raise OptionError(f"a mixture needs at least one caption set; {_FORM}")
        for name, weight in self.weights.items():
            if not SET_NAME.fullmatch(name):
                raise OptionError(f"mixture: {name!r} is no name of a caption set; {_FORM}")
            if not (math.isfinite(weight) and weight > 0):
                raise OptionError(f"mixture: the weight of {name} is {weight:g}, it must be above 0")
        if not 0.0 <= self.dropout <= 1.0:
            raise OptionError(f"mixture: dropout is {self.dropout}, it must lie between 0 and 1")
        for what, value, known in (
            ("length", self.length, get_args(Length)),
            ("over-length", self.over_length, get_args(OverLength)),
        ):
            if value not in known:
                raise OptionError(f"mixture: {what} is {value!r}, it must be one of {', '.join(known)}")

    @classmethod
    def parse(cls, text: str, **changes: Any) -> "Mixture":
        """The mixture that a text names: `SET=WEIGHT,…`, one set's name, or a name in `BLENDS`.

        Weights need not sum to 1. Settings may follow: `recap-long=1; length=random; dropout=0.1; over-length=drop`.

        Args:
            changes: fields that win over the text's; None leaves the text's.

        Raises:
            OptionError: it cannot be read as one.
        """
        head, *settings = (part.strip() for part in text.strip().split(";"))
        weights: dict[str, float] = {}
        for part in BLENDS.get(head, head).split(","):
            name, equals, weight = (piece.strip() for piece in part.partition("="))
            if name in weights:
                raise OptionError(f"mixture {text!r} names {name} twice; {_FORM}")
            weights[name] = _number(weight, text) if equals else 1.0
        if len(weights) > 1 and "" in weights:
            raise OptionError(f"mixture {text!r} has a comma too many; {_FORM}")
        values = {"weights": weights, **_settings(settings, text)}
        return cls(**(values | {name: value for name, value in changes.items() if value is not None}))

    @classmethod
    def of(cls, mixture: "str | Mapping[str, float] | Mixture") -> "Mixture":
        """The mixture of a text, of weights by caption set, or as it is.

        Raises:
            OptionError: it cannot be read as one.
        """
        if isinstance(mixture, str):
            return cls.parse(mixture)
        return cls(weights=mixture) if isinstance(mixture, Mapping) else mixture

    def __str__(self) -> str:
        """The canonical text, which `parse` reads back."""
        parts = [",".join(f"{name}={weight:.15g}" for name, weight in self.weights.items())]
        if self.length != "full":
            parts.append(f"length={self.length}")
        if self.dropout:
            parts.append(f"dropout={self.dropout:g}")
        if self.over_length != "truncate":
            parts.append(f"over-length={self.over_length}")
        return ";".join(parts)

    def __repr__(self) -> str:
        return f"Mixture.parse({str(self)!r})"

    @property
    def sets(self) -> tuple[str, ...]:
        """Names of the sets, in the order given."""
        return tuple(self.weights)

    @property
    def shares(self) -> dict[str, float]:
        """Probability of each set; they sum to 1."""
        total = math.fsum(self.weights.values())
        return {name: weight / total for name, weight in self.weights.items()}

    def require(self, known: list[str], *, where: str) -> None:
        """Check that a dataset has every set of the mixture.

        Raises:
            CaptionSetNotFound: it lacks one; `where` names the dataset.
        """
        for name in self.sets:
            if name not in known:
                raise CaptionSetNotFound(
                    f"{where} has no caption set {name!r}{did_you_mean(name, known)}, which the mixture {self} draws from; it has "
                    f"{', '.join(known) or 'none'}"
                )

    def draw(self, seed: int, epoch: int, key: str) -> str:
        """The set that an image's caption comes from in an epoch, whether or not it has one there."""
        return self._choose(list(self.sets), chance(seed, epoch, key, "set"))

    def pick(
        self,
        captions: Mapping[str, str | None],
        *,
        seed: int,
        epoch: int,
        key: str,
        count_tokens: CountTokens | None = None,
        limit: int = CLIP_TOKENS,
    ) -> Drawn:
        """Draw one of an image's captions and apply length, over-length policy and dropout to it.

        Where the drawn set has no caption for this image, the others are drawn from by their weights.

        Args:
            captions: caption by set; a missing or null one is a failure of its captioner.
            count_tokens: how many tokens a text has for the model that will read it, special tokens included; without
                it no caption counts as over length.
        """
        count = count_tokens or (lambda text: 0)
        present = [name for name in self.sets if captions.get(name)]
        fitting = present
        if self.over_length == "drop":
            fitting = [name for name in present if count(captions[name] or "") <= limit]
        if not fitting:
            return Drawn(set_name=None, caption=None, over_length=bool(present))
        name = self._choose(fitting, chance(seed, epoch, key, "set"))
        caption = captions[name] or ""
        if self.length == "random":
            caption = first_sentences(caption, chance(seed, epoch, key, "length"))
        over = len(fitting) < len(present) or (self.over_length != "drop" and count(caption) > limit)
        if over and self.over_length == "sentences":
            caption = fitting_sentences(caption, count, limit)
        if chance(seed, epoch, key, "dropout") < self.dropout:
            caption = ""
        return Drawn(set_name=name, caption=caption, over_length=over)

    def transform(
        self,
        *,
        seed: int,
        epoch: int = 0,
        count_tokens: CountTokens | None = None,
        limit: int = CLIP_TOKENS,
    ) -> Callable[[dict[str, list[Any]]], dict[str, list[Any]]]:
        """A function for `Dataset.with_transform` (or a batched `map`): adds the columns `caption` and `caption_set`.

        The batches must have the column `key` and a string column for every set. Give each epoch a transform of its own:
        nothing is copied. A row that `drop` passes over has a null caption.
        """
        return _Transform(self, seed, epoch, count_tokens, limit)

    def _choose(self, names: list[str], at: float) -> str:
        """The name whose stretch of the shares, laid end to end over [0, 1), holds `at`."""
        total = math.fsum(self.weights[name] for name in names)
        passed = 0.0
        for name in names:
            passed += self.weights[name] / total
            if at < passed:
                return name
        return names[-1]


@dataclass(frozen=True, slots=True)
class _Transform:
    """A picklable function over a batch of columns, so that a loader's worker processes can carry it."""

    mixture: Mixture
    seed: int
    epoch: int
    count_tokens: CountTokens | None
    limit: int

    def __call__(self, batch: dict[str, list[Any]]) -> dict[str, list[Any]]:
        missing = [name for name in ("key", *self.mixture.sets) if name not in batch]
        if missing:
            raise CaptionSetNotFound(
                f"the rows have no column {missing[0]!r}, which the mixture {self.mixture} needs; they have "
                f"{', '.join(batch)}"
            )
        drawn = [
            self.mixture.pick(
                {name: batch[name][row] for name in self.mixture.sets},
                seed=self.seed,
                epoch=self.epoch,
                key=key,
                count_tokens=self.count_tokens,
                limit=self.limit,
            )
            for row, key in enumerate(batch["key"])
        ]
        return {
            **batch,
            "caption": [each.caption for each in drawn],
            "caption_set": [each.set_name for each in drawn],
        }


def chance(seed: int, epoch: int, key: str, purpose: str) -> float:
    """A number in [0, 1) that is a function of its arguments alone, independent between purposes."""
    digest = hashlib.blake2b(f"{seed}:{epoch}:{key}:{purpose}".encode(), digest_size=8).digest()
    return (int.from_bytes(digest, "big") >> 11) / 2**53


def prefixes(caption: str) -> list[str]:
    """A caption's first sentence, its first two, … all of them."""
    parts = sentences(caption)
    return [" ".join(parts[:count]) for count in range(1, len(parts) + 1)]


def first_sentences(caption: str, at: float) -> str:
    """The first n of a caption's sentences, n spread evenly over 1 … all by `at` in [0, 1)."""
    parts = sentences(caption)
    return " ".join(parts[: 1 + int(at * len(parts))])


def fitting_sentences(caption: str, count_tokens: CountTokens, limit: int) -> str:
    """As many whole sentences from the start as fit; where not even the first does, that one alone."""
    parts = sentences(caption)
    kept = next((n for n in range(len(parts), 1, -1) if count_tokens(" ".join(parts[:n])) <= limit), 1)
    return " ".join(parts[:kept])


def _number(text: str, mixture: str) -> float:
    try:
        return float(text)
    except ValueError as error:
        raise OptionError(f"mixture {mixture!r}: {text!r} is not a number; {_FORM}") from error


def _settings(parts: list[str], text: str) -> dict[str, Any]:
    """The settings behind the shares, by field name."""
    values: dict[str, Any] = {}
    for part in parts:
        name, _, value = (piece.strip() for piece in part.partition("="))
        if name not in ("length", "dropout", "over-length"):
            raise OptionError(f"mixture {text!r}: no setting {name!r}; {_FORM}")
        values[name.replace("-", "_")] = _number(value, text) if name == "dropout" else value
    return values
