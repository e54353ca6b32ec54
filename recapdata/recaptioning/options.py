"""The options of `recapdata recaption` beside those of the captioner."""

from dataclasses import dataclass
from pathlib import Path

from recapdata.engines import EngineOptions
from recapdata.errors import OptionError
from recapdata.options import at_least, check_options, option

NO_FILL = "none"
"""What --fill takes for gaps that are left."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOptions(EngineOptions):
    """What a user may ask of the run, apart from the captioner."""

    batch_size: int | None = option(
        None, help="Images at once; by itself 32, of a large model on a CPU 16.", check=at_least(1)
    )
    limit: int | None = option(
        None,
        help="A pilot: only so many images, a sample over all shards.",
        check=at_least(1),
        outcome=False,
    )
    keys: Path | None = option(
        None, metavar="FILE", help="Only the keys in this file, one a line.", outcome=False
    )
    where: str | None = option(
        None,
        metavar="EXPR",
        help="Only what an audit says this of, such as 'alt: contradicted > 0 and clip_score < 20'.",
        outcome=False,
    )
    fill: str | None = option(
        None,
        metavar="SET",
        help="Of what is not chosen, take the captions of this set; by itself the set that --where speaks of. none: leave gaps.",
        outcome=False,
    )
    retry_failed: bool = option(False, help="Only what failed, once more.", outcome=False)
    overwrite: bool = option(
        False, help="Replace the set where it was made with other settings.", outcome=False
    )

    def __post_init__(self) -> None:
        check_options(self)
        asked = [name for name in ("limit", "keys", "where") if getattr(self, name)]
        if self.retry_failed and asked:
            raise OptionError(
                f"--{asked[0]} and --retry-failed each choose what is captioned; give one of them"
            )
