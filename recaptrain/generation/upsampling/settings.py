"""Options of `recaptrain upsample`."""

from dataclasses import dataclass

from recapdata.options import at_least, option
from recaptrain.chat import ChatOptions

SHOTS = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class UpsampleSettings(ChatOptions):
    """Who rewrites, after which captions."""

    examples: str | None = option(
        None,
        help=r"Captions of the kind that is wanted: user/name\[@rev]:SET or DIR:SET, a caption set that the image model was trained on.",
        metavar="DATASET:SET",
    )
    example_prompts: str | None = option(
        None,
        help="Caption set or text column of that dataset that stands for what people type; with it examples are shown as prompt and caption.",
        metavar="SET",
    )
    shots: int = option(SHOTS, help="Examples that are shown.", check=at_least(1))
    temperature: float = option(
        0.7, help="Sample at this temperature; 0 does not sample.", check=at_least(0), identity=False
    )
    seed: int = option(0, help="Of the sampling and of the choice of examples.", check=at_least(0))
    max_tokens: int | None = option(
        None, help="Most tokens of a rewritten prompt.", shown="256", check=at_least(1), identity=False
    )
    limit: int | None = option(
        None, help="So many of the prompts, drawn by their names.", shown="all", check=at_least(1)
    )
    clip: str | None = option(
        None,
        help="CLIP model by which the distance from the captions is measured, before and after.",
        metavar="MODEL",
        shown="embedded, of drawn scenes",
    )
    cache: str | None = option(
        None,
        help="Folder of the caches, where rewritten prompts are kept.",
        metavar="DIR",
        shown="RECAPDATA_CACHE, else ~/.cache/recapdata",
        outcome=False,
    )
