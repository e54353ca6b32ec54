"""The options of `recaptrain generate`."""

from dataclasses import dataclass

from recapdata.options import at_least, check_options, option


@dataclass(frozen=True, slots=True, kw_only=True)
class GenerateSettings:
    """How pictures are made; with model and prompts it decides them."""

    revision: str | None = option(
        None, help="Tag, branch or commit of the model.", shown="main", identity=False
    )
    seed: int = option(0, help="Each picture's seed is made of it and the prompt's id.")
    steps: int = option(30, help="Denoising steps.", check=at_least(1))
    guidance: float = option(7.5, help="Classifier-free guidance; 1: none.")
    batch_size: int = option(
        8,
        help="Pictures at once; for speed, it moves a picture by rounding at most.",
        check=at_least(1),
        outcome=False,
    )

    def __post_init__(self) -> None:
        check_options(self)
