"""Options of `recaptrain humans`."""

from dataclasses import dataclass

from recapdata.errors import OptionError
from recapdata.options import at_least, at_most, check_options, flag, option
from recaptrain.evaluation.humans.protocols import ProtocolName
from recaptrain.evaluation.settings import PromptKind


@dataclass(frozen=True, slots=True, kw_only=True)
class HumansSettings:
    """What raters are asked, of which pictures, and where their votes are kept."""

    protocol: ProtocolName = option(
        "prompt-following",
        help="What raters are asked: which picture follows the caption better (prompt-following); which they prefer (style) or which is "
        "more coherent (coherence), without the caption; or of each picture by itself whether it shows what the caption says (success).",
    )
    prompts: PromptKind = option(
        "original",
        help="The caption that is shown: original, what a person asked for, or read, what the model was given (as DALL·E 3's raters saw it).",
    )
    images_per_prompt: int | None = option(
        None, help="Only the first so many pictures of each prompt.", check=at_least(1), shown="all"
    )
    ratings: int = option(
        3, help="Ratings of each question, by different raters.", check=at_least(1), identity=False
    )
    out: str = option(
        "ratings", help="Folder for the votes; the same command goes on with them.", outcome=False
    )
    results: bool = option(False, help="Print the results instead of serving.", outcome=False)
    export: str | None = option(
        None, help="Write the votes as JSON lines instead of serving.", metavar="FILE", outcome=False
    )
    import_: str | None = option(
        None,
        help="Take in votes that --export wrote, each once, instead of serving.",
        metavar="FILE",
        outcome=False,
    )
    seed: int = option(
        0, help="Of the order of questions, and of the bootstrap.", check=at_least(0), identity=False
    )
    host: str = option(
        "127.0.0.1",
        help="Address to listen on. Loopback: this machine only; another lets the network in.",
        outcome=False,
    )
    port: int = option(
        8760,
        help="Port to listen on; 0 takes any free one.",
        minimum=0,
        check=at_most(65535),
        outcome=False,
    )

    def __post_init__(self) -> None:
        check_options(self)
        instead = [name for name in ("results", "export", "import_") if getattr(self, name)]
        if len(instead) > 1:
            raise OptionError(f"{' and '.join(map(flag, instead))} do different things; run them one by one")
