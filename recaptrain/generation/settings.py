"""The options of `recaptrain generate`."""

from dataclasses import dataclass
from typing import Literal

from recapdata.options import at_least, check_options, option

LongPrompts = Literal["truncate", "sentences", "chunks", "drop"]


@dataclass(frozen=True, slots=True, kw_only=True)
class GenerateSettings:
    """How pictures are made; with model and prompts it decides them."""

    revision: str | None = option(
        None, help="Tag, branch or commit of the model.", shown="main", identity=False
    )
    images_per_prompt: int = option(1, help="Pictures of each prompt.", check=at_least(1), identity=False)
    limit: int | None = option(
        None,
        help="So many of the prompts, drawn by their names.",
        shown="all",
        check=at_least(1),
        identity=False,
    )
    seed: int = option(0, help="Each picture's seed is made of it and the picture's name.", check=at_least(0))
    steps: int = option(30, help="Denoising steps.", check=at_least(1))
    guidance: float = option(7.5, help="Classifier-free guidance; 1: none.", check=at_least(1))
    long_prompts: LongPrompts = option(
        "truncate",
        help="Prompts that the text encoder cannot read whole: truncate, sentences (those that fit), chunks (windows "
        "encoded apart and joined) or drop.",
    )
    batch_size: int = option(
        8,
        help="Pictures at once; for speed, it moves a picture by rounding at most.",
        check=at_least(1),
        outcome=False,
    )

    def __post_init__(self) -> None:
        check_options(self)
