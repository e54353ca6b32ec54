"""Options of `recaptrain judge`."""

from dataclasses import dataclass

from recapdata.options import at_least, option
from recaptrain.chat import ChatOptions


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgeSettings(ChatOptions):
    """Who judges, by which protocol."""

    protocol: str = option(
        "drawbench",
        help="What the judge is asked: drawbench (reasons first, then Correct or Incorrect), yes-no, rating (1 to 5), or a dotted path.",
        metavar="NAME",
    )
    shuffled: int = option(
        100,
        help="So many pictures are judged against the prompt of another as well: how often the judge agrees to what is not there; "
        "0 for none.",
        check=at_least(0),
    )
    seed: int = option(0, help="Of the sampling, the shuffling and the bootstrap.", check=at_least(0))
    out: str = option(
        "verdicts",
        help="Folder for answers and verdicts; a picture that was judged there is not judged again.",
        outcome=False,
    )
