"""What a captioner learns from: human captions of one style at a time, the styles by turns, so that each counts alike however many it has."""

from collections.abc import Mapping
from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING, Any

from recaptrain.captioner.answers import IGNORED, Asking
from recaptrain.captioner.captions import HumanCaptions, Pictures, Rows, turn_rows
from recaptrain.training.loop import Training

if TYPE_CHECKING:
    import torch

Tensors = "dict[str, torch.Tensor]"


@dataclass(frozen=True, slots=True)
class Turn:
    """One micro-batch of this process.

    Attributes:
        tokens: how many tokens are learned in this turn on all processes together.
    """

    inputs: "dict[str, torch.Tensor]"
    tokens: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Lessons:
    """Records, pictures and tokens of their captions: whatever a batch is made of.

    Attributes:
        answers: by style, the tokens of each row's caption.
        lock: a tokenizer serves one thread at a time.
    """

    captions: HumanCaptions
    pictures: Pictures
    asking: Asking
    answers: Mapping[str, Mapping[int, list[int]]]
    lock: Any

    def batch(self, style: str, rows: Rows) -> "dict[str, torch.Tensor]":
        """Inputs and labels of some rows' captions."""
        images = self.pictures.decode(rows)
        with self.lock:
            arrays = self.asking.batch(style, images, [self.answers[style][int(row)] for row in rows])
        return _tensors(arrays)

    def questions(self, style: str, rows: Rows) -> "dict[str, torch.Tensor]":
        """What `generate` takes for some rows' pictures."""
        images = self.pictures.decode(rows)
        with self.lock:
            return _tensors(self.asking.preparers[style](images))

    def tokens(self, style: str, rows: Rows) -> int:
        """How many tokens some rows' captions have, their ends included."""
        return sum(len(self.answers[style][int(row)]) for row in rows)


def _tensors(arrays: Mapping[str, Any]) -> "dict[str, torch.Tensor]":
    import torch

    return {name: torch.from_numpy(values) for name, values in arrays.items()}


def make_lessons(captions: HumanCaptions, pictures: Pictures, asking: Asking) -> Lessons:
    """Tokenize every caption once."""
    answers: dict[str, dict[int, list[int]]] = {}
    for style in captions.styles:
        answers[style] = {}
        for held_out in (False, True):
            rows = captions.rows(style, held_out=held_out)
            if len(rows):
                tokens = asking.answers(style, captions.texts(style, rows))
                answers[style].update(zip(map(int, rows), tokens, strict=True))
    return Lessons(captions=captions, pictures=pictures, asking=asking, answers=answers, lock=Lock())


@dataclass(frozen=True, slots=True, kw_only=True)
class Captioning:
    """A `Task`: write the captions that people wrote.

    Attributes:
        pools: by style, the rows to learn from.
    """

    training: Training
    lessons: Lessons
    pools: Mapping[str, Rows]

    def inputs(self, step: int) -> list[Turn]:
        """The step's turns, of each the part of this process."""
        settings, accelerator = self.training.optimization, self.training.accelerator
        styles, turns = list(self.pools), []
        for turn in range(step * settings.accumulate, (step + 1) * settings.accumulate):
            style = styles[turn % len(styles)]
            size = settings.batch_size * accelerator.num_processes
            rows = turn_rows(self.pools[style], seed=settings.seed, turn=turn // len(styles), size=size)
            own = rows[accelerator.process_index * settings.batch_size :][: settings.batch_size]
            turns.append(Turn(self.lessons.batch(style, own), self.lessons.tokens(style, rows)))
        return turns

    def loss(self, inputs: Turn, draw: int) -> "torch.Tensor":
        """Mean cross entropy of the turn's tokens; Accelerate takes the mean over the processes, so they are counted together."""
        import torch

        torch.manual_seed(draw)  # for dropout layers, where a model has any
        accelerator = self.training.accelerator
        model = self.training.trained["captioner"]
        with accelerator.autocast():
            total = answer_loss(model, accelerator.unwrap_model(model), inputs.inputs)
        return total / inputs.tokens * accelerator.num_processes


def answer_loss(model: Any, plain: Any, inputs: "dict[str, torch.Tensor]") -> "torch.Tensor":
    """Sum of the cross entropy over all labels.

    The vocabulary is only looked at where there is something to learn: PaliGemma's has 257,000 words.

    Args:
        model: what is called; `plain` is the same without the wrappers of Accelerate.
    """
    import torch
    from torch.nn.functional import cross_entropy

    given = on_device(plain, inputs)
    labels = given.pop("labels")
    truth = labels.roll(-1, dims=1)
    truth[:, -1] = IGNORED
    asked = truth != IGNORED
    if _sees_text_alone(plain):
        logits = model(**given, logits_to_keep=asked).logits
    else:  # pictures stand before the text in what comes out, or all of it comes out
        logits = model(**given).logits[:, -labels.shape[1] :][asked]
    return cross_entropy(logits.to(torch.float32), truth[asked], reduction="sum")


def _sees_text_alone(plain: Any) -> bool:
    """Whether the model can be told by a mask over its input ids where its answer is wanted."""
    kind = plain.config.model_type
    return kind not in ("git", "blip-2")


def on_device(plain: Any, inputs: "dict[str, torch.Tensor]") -> "dict[str, torch.Tensor]":
    """Inputs where the model is, pictures in its dtype."""
    return {
        name: each.to(plain.device, plain.dtype) if each.is_floating_point() else each.to(plain.device)
        for name, each in inputs.items()
    }
