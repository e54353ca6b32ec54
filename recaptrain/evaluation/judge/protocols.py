"""Protocols of judging: what the judge is told, what it is asked about a picture, and how its verdict is read.

A verdict is a word at a fixed place of the answer: its last sentence, or its first word. Whatever else the answer holds is kept and counts
nothing; an answer without a verdict at its place ("the color is correct", "not correct", "correct or incorrect") has none, and is never
taken for a no.

A protocol from outside is a function without arguments that returns a `JudgingProtocol`, named by a dotted path or by an entry point of
the group `recaptrain.protocols`.
"""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

from recapdata.captioners.template import quoted
from recapdata.errors import OptionError
from recapdata.registry import Registry

PROTOCOLS = {
    "drawbench": "recaptrain.evaluation.judge.protocols:drawbench",
    "rating": "recaptrain.evaluation.judge.protocols:rating",
    "yes-no": "recaptrain.evaluation.judge.protocols:yes_no",
}
"""Name → function that gives the protocol."""
REGISTRY = Registry(kind="judging protocol", table=PROTOCOLS, group="recaptrain.protocols")

PLACE = "{prompt}"
LONGEST_PROMPT = 10_000
"""Characters of a prompt that the judge is shown."""
_MARKS = r"[\s*_\"'“‘`(\[{<>#~$-]*"
"""What may stand around a verdict: blanks, and marks of Markdown, quotation and LaTeX."""
_ALONE = re.compile(
    r"(?:\A|[.!?:;\n)\]\"”’…—–=]|\\boxed\{|\\text\{"
    r"|\b(?:verdict|answer|rating|score|judge?ment|conclusion)\s+(?:is|of|would\s+be)(?:\s+therefore)?"
    rf"|(?:\A|[.!?\n])\s*(?:therefore|thus|so|hence|overall|finally|in\s+conclusion),?){_MARKS}\Z",
    re.IGNORECASE,
)
"""What stands before a verdict that is a sentence of its own, or follows a word that announces it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgingProtocol:
    """How a judge is asked, and what its answers mean.

    Attributes:
        purpose: a line for people.
        system: what the judge is told once.
        question: what it is asked beside the picture; `{prompt}` stands for the prompt, which comes as a JSON string.
        verdicts: value of each verdict in `unit`, by its word in lower case.
        at: where the verdict stands: `end`, the last word of the answer, or `start`, its first.
        suffix: regular expression of what may follow a verdict at the end, such as "/5".
        max_tokens: of an answer.
        unit: of the mean value: `%` or nothing.
    """

    name: str
    purpose: str
    system: str
    question: str
    verdicts: Mapping[str, float]
    at: Literal["start", "end"] = "end"
    suffix: str = ""
    max_tokens: int = 256
    unit: str = ""

    def __post_init__(self) -> None:
        if (
            PLACE not in self.question
            or len(self.verdicts) < 2
            or any(word != word.lower() for word in self.verdicts)
        ):
            raise OptionError(
                f"the judging protocol {self.name!r} must ask about {PLACE} and know two verdicts, in lower case, or more"
            )

    @property
    def identity(self) -> dict[str, Any]:
        """Its name, and a hash of what the judge is told and asked."""
        text = f"{self.system}\n\n{self.question}"
        return {"name": self.name, "text": hashlib.sha256(text.encode()).hexdigest()[:12]}

    def ask(self, prompt: str) -> str:
        """The question about a picture of a prompt.

        The prompt is data of a stranger: it is put in as one JSON string from which no mark of a chat template leads out.
        """
        return self.question.replace(PLACE, quoted(prompt, longest=LONGEST_PROMPT))

    def read(self, answer: str) -> str | None:
        """The verdict of an answer; None where it has none."""
        found = _pattern(tuple(self.verdicts), self.at, self.suffix).search(answer)
        if found is None or (self.at == "end" and not _ALONE.search(answer[: found.start()])):
            return None
        return found["verdict"].lower()


@cache
def _pattern(words: tuple[str, ...], at: str, suffix: str) -> re.Pattern[str]:
    either = "|".join(map(re.escape, sorted(words, key=len, reverse=True)))
    if at == "start":  # not "No doubt, …", not "Yes and no"
        return re.compile(
            rf"\A[\s\W_]*(?P<verdict>{either})(?=[\s*_\"'”’]*(?:[.,:;!—–-]|\Z|\n))", re.IGNORECASE
        )
    return re.compile(rf"(?<![\w'’-])(?<!\d[.,])(?P<verdict>{either})(?:{suffix})?[\s\W_]*\Z", re.IGNORECASE)


def open_protocol(name: str) -> JudgingProtocol:
    """The protocol of a name or a dotted path.

    Raises:
        OptionError: there is none of that name, or code from outside returns something else.
    """
    protocol: JudgingProtocol = REGISTRY.open(name, protocol=JudgingProtocol)
    return protocol


def drawbench() -> JudgingProtocol:
    """DALL·E 3's protocol for DrawBench (Betker et al. 2023, Appendix D), in words of our own.

    It is after one verdict a picture with a reason before it: the judge first weighs the picture against the prompt in under 50
    words, which makes its verdicts better and lets people check them, then ends with one of two words. It is told what DrawBench's prompts test, so that it
    reads misspelled, conflicting and rare ones as a person would, and to be lenient with what nobody asked about. Published verdicts under it: 70.4 %
    (DALL·E 3), 49.0 % (DALL·E 2), 46.9 % (SDXL) of four pictures a prompt. The authors found its judge no better than chance at counting.
    """
    return JudgingProtocol(
        name="drawbench",
        purpose="DALL·E 3's protocol for DrawBench: reasons first, then Correct or Incorrect",
        system=(
            "You check whether pictures that a computer program made show what was asked for. You see one picture and the request that "
            "it was made for. The requests are hard on purpose. They may\n"
            "- be misspelled or scrambled: the picture should show what was most likely meant;\n"
            "- give things colors: each thing must have its own color and not that of another;\n"
            "- ask for a number of things: there must be exactly so many;\n"
            "- say where things are: they must be there;\n"
            "- put things together that do not go together: they must be shown as they were asked for;\n"
            "- describe a thing instead of naming it: the thing that most people would think of should be shown;\n"
            "- be one rare word: something that has to do with it is enough;\n"
            "- ask for words in the picture: they must be there and be legible.\n\n"
            "First name, in fewer than 50 words, what speaks for the picture and what against it. Then end your answer with one word alone: "
            "Correct if the picture shows what was asked for, or Incorrect if it does not.\n\n"
            "Do not be petty. Things that nobody asked for do not matter. A thing that is somewhat misshapen counts as long as a person "
            "would know it. Answer Incorrect only where something definite in the request is not met, such as another thing, color, number, position or word."
        ),
        question=f"The picture was made for this request: {PLACE}",
        verdicts={"correct": 100.0, "incorrect": 0.0},
        unit="%",
    )


def yes_no() -> JudgingProtocol:
    """A bare question with one word for an answer: what VQAScore (Lin et al. 2024) asks, as a sampled word instead of a probability.

    It is for judges that are too small to reason, and for what reasons add: `recaptrain evaluate --metrics dsg` reads probabilities.
    """
    return JudgingProtocol(
        name="yes-no",
        purpose="a bare question, answered by yes or no",
        system="",
        question=f"Does this picture show {PLACE}? Answer with one word, yes or no.",
        verdicts={"yes": 100.0, "no": 0.0},
        at="start",
        max_tokens=16,
        unit="%",
    )


def rating() -> JudgingProtocol:
    """A rating of consistency from 1 to 5, as people gave it in TIFA's and DSG's studies (Hu et al. 2023; Cho et al. 2024), reasons first.

    It is after degrees: a picture with nine of ten things right and one with none differ here, and do not under `drawbench`.
    """
    return JudgingProtocol(
        name="rating",
        purpose="reasons first, then a rating from 1 to 5",
        system=(
            "You rate how well pictures that a computer program made agree with what was asked for. You see one picture and the request that "
            "it was made for. Consider every thing in the request, its attributes, number and position, and any words that the picture should hold. "
            "Things that nobody asked for do not matter, nor does beauty.\n\n"
            "5: everything is as it was asked for. 4: one detail is missing or wrong. 3: about half of it is there. 2: little of it is there. "
            "1: the picture has nothing to do with the request.\n\n"
            "First say, in fewer than 50 words, what agrees and what does not. Then end your answer with the rating alone, a whole number from 1 to 5."
        ),
        question=f"The picture was made for this request: {PLACE}",
        verdicts={str(number): float(number) for number in range(1, 6)},
        suffix=r"\s*(?:/|out\s+of)\s*5",
    )
