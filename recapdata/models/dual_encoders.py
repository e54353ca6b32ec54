"""Dual encoders, which give texts and images embeddings of one kind: CLIP, SigLIP, AltCLIP and their kin, found by name.

`embedded` is the project's own small model of the drawn world; any other is a model of open_clip or one of transformers, in a folder
or on the Hub. A long-text model such as Long-CLIP is a CLIP with more positions (248 for 77): its configuration says how many, and that is how much
of a text is read. No code of a model's repository is run, and only safetensors are loaded.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from recapdata.errors import ModelNotSupported
from recapdata.models.open_clip import HUB_PREFIX, find_model, in_folder
from recapdata.models.opening import TRIED, opening
from recapdata.models.sources import EMBEDDED, ModelSource, resolve_model
from recapdata.models.transformers import load_pretrained
from recapdata.weights import embedded_path

if TYPE_CHECKING:
    import torch

_REPOSITORY = re.compile(r"([\w.-]+/[\w.-]+)(?:@([\w./-]+))?")
ENCODERS = ("get_text_features", "get_image_features")
OFFSET = {"roberta": 2, "xlm-roberta": 2, "altclip_text_model": 2, "xmod": 2}
"""Text models whose first positions are not for tokens."""


class ClipSource(Protocol):
    """A model found and pinned; it can be sent to other processes."""

    @property
    def name(self) -> str:
        """As audits name it."""
        ...

    @property
    def revision(self) -> str:
        """The commit on the Hub, or a hash of the model's files."""
        ...

    def load(self) -> tuple[Any, Callable[..., Any], Callable[..., Any]]:
        """Model, preprocessing of an image for inference, and tokenizer.

        Raises:
            ModelNotSupported: no model can be made of its files.
        """
        ...


def find_clip(name: str) -> ClipSource:
    """Find a model by name (`embedded`, or a form of `recapdata.models.open_clip`) and pin it; downloads what is not here yet.

    Raises:
        ModelNotSupported: the name has none of the forms, or what it names is neither an open_clip model nor a dual encoder.
        HubError: no such repository or revision, or the Hub cannot be reached.
    """
    if name == EMBEDDED:
        return in_folder(embedded_path("clip"), EMBEDDED)
    try:
        return find_model(name)
    except ModelNotSupported as error:
        place = _REPOSITORY.fullmatch(name.removeprefix(HUB_PREFIX))
        path, revision = (name, None) if Path(name).is_dir() else place.groups() if place else (None, None)
        found = _in_transformers(path, revision) if path is not None else None
        if found is not None:
            return found
        raise ModelNotSupported(
            f"no CLIP model {name!r}: {error}; `embedded` is the one of the drawn world"
        ) from error


# --- models of transformers ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class DualEncoderSource:
    """A `ClipSource` of transformers."""

    source: ModelSource

    @property
    def name(self) -> str:
        """The folder's name, or the repository's id."""
        return Path(self.source.name).resolve().name if self.source.commit is None else self.source.name

    @property
    def revision(self) -> str:
        """The commit on the Hub, or a hash of the folder's content."""
        return self.source.revision

    def load(self) -> tuple["DualEncoder", Callable[..., Any], "TextInput"]:
        """Model, preprocessing of an image, and tokenizer.

        Raises:
            ModelNotSupported: files are missing or do not fit, or the model wants its pictures in another form.
        """
        from transformers import AutoImageProcessor, AutoModel, AutoTokenizer

        tokenizer = load_pretrained(AutoTokenizer, self.source)
        processor = load_pretrained(AutoImageProcessor, self.source)
        model = load_pretrained(AutoModel, self.source, use_safetensors=True)
        tokenize = TextInput(tokenizer, _context(model.config, tokenizer))
        pixels = ImageInput(processor)
        encoder = DualEncoder(model.eval(), tokenize.context_length)
        _check(self.name, encoder, pixels, tokenize)
        return encoder, pixels, tokenize


@dataclass(frozen=True, slots=True)
class ImageInput:
    """PIL image → tensor [3, height, width], by the model's own processor."""

    processor: Any

    def __call__(self, image: Any) -> "torch.Tensor":
        """The pixels as the model wants them."""
        pixels: torch.Tensor = self.processor(images=image.convert("RGB"), return_tensors="pt")[
            "pixel_values"
        ][0]
        return pixels


@dataclass(frozen=True, slots=True)
class TextInput:
    """Texts → the model's inputs, cut to `context_length` and padded to it, as these models were trained."""

    tokenizer: Any
    context_length: int

    def __call__(self, texts: Sequence[str]) -> Any:
        """The tokens of texts, with an attention mask where the tokenizer gives one."""
        return self.tokenizer(
            list(texts),
            padding="max_length",
            truncation=True,
            max_length=self.context_length,
            return_tensors="pt",
        )


class DualEncoder:
    """A model of transformers behind the two methods that open_clip's models have."""

    def __init__(self, model: Any, context_length: int) -> None:
        self.context_length = context_length
        self.logit_scale = getattr(model, "logit_scale", None)
        self._model = model

    def eval(self) -> "DualEncoder":
        """The model is loaded for inference."""
        return self

    def to(self, device: str) -> "DualEncoder":
        """Move the weights."""
        self._model.to(device)
        return self

    def encode_image(self, pixels: "torch.Tensor", normalize: bool) -> "torch.Tensor":
        """Embeddings [n, d] of pixels [n, 3, height, width]."""
        return _pooled(self._model.get_image_features(pixel_values=pixels), normalize)

    def encode_text(self, tokens: Any, normalize: bool) -> "torch.Tensor":
        """Embeddings [n, d] of tokenized texts."""
        return _pooled(self._model.get_text_features(**tokens), normalize)


def _in_transformers(name: str, revision: str | None) -> DualEncoderSource | None:
    """The dual encoder of a folder or repository; None where that holds none of transformers' models.

    Raises:
        ModelNotSupported: it holds one that does not encode both texts and images.
        HubError: the Hub cannot be reached.
    """
    from transformers import AutoConfig
    from transformers.models.auto.modeling_auto import MODEL_MAPPING

    if Path(name).is_dir() and not (Path(name) / "config.json").is_file():
        return None
    source = resolve_model(name, kind="clip", revision=revision)
    config = load_pretrained(AutoConfig, source)
    model = MODEL_MAPPING.get(type(config), None)
    if model is None or not all(hasattr(model, each) for each in ENCODERS):
        raise ModelNotSupported(
            f"{name} is a {config.model_type} model, which does not give texts and images embeddings of one kind"
        )
    return DualEncoderSource(source=source)


def _context(config: Any, tokenizer: Any) -> int:
    """Tokens of a text that the model reads: its positions, whatever shorter length a copied tokenizer names."""
    text = config.get_text_config()
    positions = getattr(text, "max_position_embeddings", None)
    if positions is None:
        return min(int(tokenizer.model_max_length), 512)
    return int(positions) - OFFSET.get(text.model_type, 0)


def _pooled(found: Any, normalize: bool) -> "torch.Tensor":
    import torch

    values: torch.Tensor = found if isinstance(found, torch.Tensor) else found.pooler_output
    return torch.nn.functional.normalize(values, dim=-1) if normalize else values


def _check(name: str, encoder: DualEncoder, pixels: ImageInput, tokenize: TextInput) -> None:
    """Score one blank picture, so that a model that wants other inputs says so before the run begins."""
    import torch
    from PIL import Image

    with opening(name, f"{name} takes texts or pictures in another form"), torch.inference_mode():
        image = encoder.encode_image(pixels(Image.new("RGB", (64, 64)))[None], True)
        text = encoder.encode_text(tokenize([TRIED]), True)
    if image.shape != text.shape:
        raise ModelNotSupported(f"{name} gives texts and pictures embeddings of different sizes")
