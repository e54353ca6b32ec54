"""Answers of a vision-language model to yes/no questions, as probabilities of its answer's first token.

    yes = p("yes") / (p("yes") + p("no"))        answered = p("yes") + p("no")

where p sums over the ways to write the word ("yes", "Yes", …, with a blank before it or not) in the model's distribution after the
question: read from the logits and not from a sampled text (VQAScore, Lin et al. 2024; Soft-TIFA, GenEval 2 2025). Where `answered` is low, the
model was about to say something else, and `yes` means little.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Protocol

from PIL.Image import Image

from recapdata.captioners import CaptioningFailed
from recapdata.errors import ModelNotSupported, OptionError

if TYPE_CHECKING:
    from recapdata.captioners.vlm import Pretrained
    from recaptrain.evaluation.settings import EvaluateSettings

VERSION = 1
CHAT = "{question} Answer yes or no."
PREFIX = "answer en {question}"
"""How models of PaliGemma's kind are asked; others have a chat template."""
YES = ("yes", "Yes", "YES")
NO = ("no", "No", "NO")


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer to a yes/no question.

    Attributes:
        yes: probability of yes among yes and no, 0 to 1.
        answered: probability of either.
    """

    yes: float
    answered: float


class Answerer(Protocol):
    """Answers questions about pictures; open one with `open_answerer`."""

    @property
    def identity(self) -> str:
        """The model with its revision, and the version of these rules."""
        ...

    def ask(self, images: Sequence[Image], questions: Sequence[str]) -> list[Answer]:
        """The answer to one question about each picture; a picture may come several times.

        Raises:
            ModelNotSupported: the model cannot be asked about these pictures.
        """
        ...


class VlmAnswerer:
    """An `Answerer` over an image-text-to-text model of transformers; its weights are loaded by the first question."""

    def __init__(self, pretrained: "Pretrained") -> None:
        """Prepare.

        Raises:
            ModelNotSupported: it takes no questions (BLIP, GIT, …), or its tokens cannot tell yes from no.
        """
        from recapdata.captioners.vlm import VlmPreparer
        from recapdata.models.transformers import device_and_dtype

        source, kind = pretrained.source, pretrained.family.kind
        if kind == "plain":
            raise ModelNotSupported(
                f"{source.name} ({pretrained.model_type}) takes no questions; give a model with a chat template, or PaliGemma"
            )
        self._source = source
        self._device, self._dtype = device_and_dtype()
        self._prompt = PREFIX if kind == "prefix" else CHAT
        self._yes, self._no = first_tokens(pretrained.processor.tokenizer, source.name)
        self._preparer: VlmPreparer = VlmPreparer(
            pretrained.processor, pretrained.family, pretrained.model_type, ""
        )
        self._model: Any = None

    @property
    def identity(self) -> str:
        """The model with its revision and precision, and the version of these rules."""
        return f"{self._source.name}@{self._source.revision} {self._dtype} answers:{VERSION}"

    def ask(self, images: Sequence[Image], questions: Sequence[str]) -> list[Answer]:
        """See `Answerer.ask`; all at once."""
        import torch

        if not images:
            return []
        if self._model is None:
            from recapdata.captioners.vlm import load_weights

            self._model = load_weights(self._source, self._dtype, self._device)
        prompts = [self._prompt.format(question=question) for question in questions]
        try:
            prepared = self._preparer.asking(images, prompts)
        except CaptioningFailed as error:
            raise ModelNotSupported(f"{self._source.name} cannot be asked: {error}") from error
        inputs = {name: self._to_device(torch.from_numpy(array)) for name, array in prepared.items()}
        with torch.inference_mode():
            # Prompts are padded on the left, so that the last position of each is where its answer begins.
            likely = self._model(**inputs).logits[:, -1].float().softmax(-1).cpu()
        yes, no = (likely[:, list(tokens)].sum(-1).tolist() for tokens in (self._yes, self._no))
        return [answer(*each) for each in zip(yes, no, strict=True)]

    def _to_device(self, tensor: Any) -> Any:
        floats = tensor.is_floating_point()
        return tensor.to(self._device, self._model.dtype) if floats else tensor.to(self._device)


def answer(yes: float, no: float) -> Answer:
    """The answer of two probabilities; of a model that gives neither any, a half."""
    return Answer(yes=yes / (yes + no) if yes + no > 0 else 0.5, answered=yes + no)


def first_tokens(tokenizer: Any, model: str) -> tuple[frozenset[int], frozenset[int]]:
    """The tokens that "yes" and "no" begin with, in all their spellings, less those that both do.

    Raises:
        ModelNotSupported: none is left.
    """
    yes, no = (frozenset(_first(tokenizer, words)) for words in (YES, NO))
    if not (yes - no and no - yes):
        raise ModelNotSupported(f"{model}: its tokenizer begins yes and no with the same tokens")
    return yes - no, no - yes


def _first(tokenizer: Any, words: Iterable[str]) -> Iterable[int]:
    """The first token of each word that is not blank, with a blank before it and without."""
    unknown = getattr(tokenizer, "unk_token_id", None)
    for word in words:
        for text in (word, f" {word}"):
            for token in tokenizer.encode(text, add_special_tokens=False):
                if token != unknown and tokenizer.decode([token]).strip():
                    yield int(token)
                    break


def open_answerer(settings: "EvaluateSettings", metric: str) -> Answerer:
    """The model that the settings name, opened once for all metrics.

    Args:
        metric: its name, for the message.

    Raises:
        OptionError: none is named.
        CaptionerNotFound, ModelNotSupported: no such model, or one that takes no questions.
    """
    if settings.vlm is None:
        raise OptionError(
            f"{metric} needs a model that answers questions: give --vlm, such as Qwen/Qwen2.5-VL-3B-Instruct, or a folder"
        )
    return _answerer(settings.vlm)


@lru_cache(maxsize=1)
def _answerer(name: str) -> VlmAnswerer:
    from recapdata.captioners.vlm import open_pretrained
    from recapdata.models.sources import resolve_model

    bare, at, revision = name.rpartition("@")
    source = resolve_model(bare if at else name, kind="captioner", revision=revision if at else None)
    return VlmAnswerer(open_pretrained(source))
