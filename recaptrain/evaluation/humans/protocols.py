"""Protocols: what raters are asked, whether they read the caption, and what they may answer."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

ProtocolName = Literal["prompt-following", "style", "coherence", "success"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Protocol:
    """One way to ask.

    Attributes:
        question: as raters read it.
        advice: what to look at, and what not.
        caption: whether raters read the caption.
        pairwise: whether two pictures stand side by side; else each is judged by itself.
    """

    question: str
    advice: str
    caption: bool
    pairwise: bool = True

    @property
    def answers(self) -> Sequence[str]:
        """What a vote may say: which model won, or whether the picture is a success."""
        return ("a", "b", "tie") if self.pairwise else ("yes", "no")

    @property
    def choices(self) -> Mapping[str, str]:
        """Labels of what a rater may choose, from left to right; the rater knows sides, not models."""
        if self.pairwise:
            return {"left": "Left", "tie": "About the same", "right": "Right"}
        return {"no": "No", "yes": "Yes"}


PROTOCOLS: Mapping[str, Protocol] = {
    "prompt-following": Protocol(
        question="Which picture shows better what the caption says?",
        advice="Look at what is there, how many, in which colors, and where. Which one is prettier does not matter.",
        caption=True,
    ),
    "style": Protocol(
        question="Which picture do you like better?",
        advice="As if you had asked for a picture and could keep one of the two.",
        caption=False,
    ),
    "coherence": Protocol(
        question="In which picture do things make more sense?",
        advice="Could everything in it exist as it is shown? Look at bodies, hands and faces, at how things hold together, at words.",
        caption=False,
    ),
    "success": Protocol(
        question="Does the picture show what the caption says?",
        advice="Yes, if everything that the caption names is there, as it says. Which style it has does not matter.",
        caption=True,
        pairwise=False,
    ),
}
"""The first three are DALL·E 3's (Betker et al. 2023, §4.2); `success` is what RECAP counts (Segalis et al. 2023, human evaluation)."""
