"""Options and summary of a diffusion training run."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from recapdata.caption_sets.mixture import Mixture
from recaptrain.diffusion.latents import Fit
from recaptrain.training.settings import MixedPrecision, Optimization

CAPTION_DROPOUT = 0.1
"""Share of empty captions where the mixture does not say: what Stable Diffusion itself was trained with."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DiffusionSettings:
    """What to train on, from which base, and how.

    Attributes:
        dataset: a folder, or `user/name` on the Hub; `revision` a tag, branch or commit of the latter.
        base: `embedded`, a folder, or `user/name` of a Stable Diffusion pipeline; `base_revision` as above.
        parts: which of `unet` and `text_encoder` are trained.
        snr_gamma: γ of Min-SNR-γ weighting; None weighs all noise levels alike.
        resolution: side of the pictures in pixels; the base model's own where None.
        latent_cache: where encoded pictures are kept; in OUT where None.
    """

    dataset: str
    revision: str | None = None
    mixture: Mixture
    base: str
    base_revision: str | None = None
    parts: tuple[str, ...] = ("unet",)
    optimization: Optimization
    snr_gamma: float | None = 5.0
    resolution: int | None = None
    fit: Fit = "crop"
    mixed_precision: MixedPrecision = "auto"
    gradient_checkpointing: bool = False
    latent_cache: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DiffusionSummary:
    """What a training run made.

    Attributes:
        commit: of the dataset; None for a folder. `base_revision`: commit or content hash of the base.
        examples: records trained on; `left_out`: records without a usable caption or picture, `unreadable` of them for the picture.
        over_length: expected share of drawn captions with more tokens than the text encoder reads.
        first_loss, last_loss: mean over the first and the last tenth of the steps.
        pushed: URL of the pushed commit.
    """

    out: str
    dataset: str
    commit: str | None
    mixture: str
    base: str
    base_revision: str
    steps: int
    examples: int
    left_out: int
    unreadable: int
    over_length: float
    first_loss: float
    last_loss: float
    seconds: float
    pushed: str | None = None

    def text(self) -> str:
        """The closing lines for the terminal."""
        where = f"{self.dataset} at {self.commit[:12]}" if self.commit else self.dataset
        lines = [
            f"trained {self.steps:,} steps from {self.base} on {self.examples:,} records of {where} in {self.seconds:.0f} s",
            f"mixture {self.mixture}; {self.over_length:.1%} of the captions are longer than the text encoder reads",
            f"loss {self.first_loss:.4f} over the first tenth of the steps, {self.last_loss:.4f} over the last",
        ]
        if self.left_out:
            lines.append(
                f"{self.left_out:,} records left out ({self.unreadable:,} unreadable, the others without a usable caption)"
            )
        lines.append(f"pipeline and card in {self.out}; {self.pushed or 'not pushed'}")
        lines.append(f"next: recaptrain generate {self.out} PROMPTS OUT")
        return "\n".join(lines)


def parse_mixture(text: str, *, dropout: float | None = None, **changes: Any) -> Mixture:
    """The mixture to train with: as `Mixture.parse`, with caption dropout where neither text nor option says.

    Raises:
        OptionError: it cannot be read as one.
    """
    if dropout is None and "dropout" not in text:
        dropout = CAPTION_DROPOUT
    return Mixture.parse(text, dropout=dropout, **changes)
