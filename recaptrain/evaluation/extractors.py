"""Feature extractors: what FID and its kind see of a picture; one protocol, and a table of those that can be named by `--features`.

    inception[:FILE]        Inception v3 of the original FID, by torch-fidelity: bilinear to 299 × 299 without antialiasing, as TensorFlow 1 did
    inception-clean[:FILE]  the same network behind an antialiased resize (bicubic, Pillow), as Parmar et al. (2022) ask for
    dinov2[:MODEL]          DINOv2's class token (Stein et al. 2023), of `facebook/dinov2-large` or another by name or folder
    clip:MODEL              the image embeddings of a CLIP model
    embedded                the image embeddings of the embedded CLIP of the drawn world

One from outside is a function of the argument behind its name (None where there is none), named by a dotted path or by an entry point of the
group `recaptrain.features`. Figures of different extractors, or of different resizes, are different figures: they are never compared.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from recapdata.errors import OptionError
from recapdata.registry import Registry
from recaptrain.evaluation.preprocessing import preprocessed

if TYPE_CHECKING:
    from audits.clip.scorer import Clip
    from recapdata.models.dual_encoders import ClipSource

EXTRACTORS = {
    "inception": "recaptrain.evaluation.inception:open_inception",
    "inception-clean": "recaptrain.evaluation.inception:open_inception_clean",
    "dinov2": "recaptrain.evaluation.dinov2:open_dinov2",
    "clip": "recaptrain.evaluation.extractors:open_clip_features",
    "embedded": "recaptrain.evaluation.extractors:open_embedded",
}
"""Extractors by name; each opens: `open(argument: str | None) -> Extractor`."""
REGISTRY = Registry(kind="feature extractor", table=EXTRACTORS, group="recaptrain.features")
OWN_RESIZE = "the model's own preprocessing"


class Extractor(Protocol):
    """Makes features of pictures.

    Attributes:
        name: as figures name it; `revision` is the commit or content hash of its weights.
        resize: how a picture is brought to the network's size.
        dimensions: of a feature.
    """

    @property
    def name(self) -> str: ...

    @property
    def revision(self) -> str: ...

    @property
    def resize(self) -> str: ...

    @property
    def dimensions(self) -> int: ...

    def encode(self, images: Sequence[Image.Image]) -> NDArray[np.float32]:
        """Features [n, dimensions] of pictures in RGB, of any sizes."""
        ...


def open_extractor(text: str) -> Extractor:
    """The extractor that `--features` names, its weights found and pinned.

    Raises:
        OptionError: no such extractor, or its weights are not here and cannot be downloaded.
        CaptionerNotFound, ModelNotSupported: of a model that it is to use.
    """
    name, argument = REGISTRY.split(text)
    extractor: Extractor = REGISTRY.open(name, argument, protocol=Extractor)
    return extractor


def extractor_identity(extractor: Extractor) -> Mapping[str, Any]:
    """What features rest on."""
    return {"features": f"{extractor.name}@{extractor.revision}", "resize": extractor.resize}


@dataclass(frozen=True, slots=True, eq=False)
class ClipFeatures:
    """The unit image embeddings of a CLIP model as an `Extractor`."""

    clip: "Clip"
    dimensions: int
    resize: str = OWN_RESIZE

    @property
    def name(self) -> str:
        return self.clip.name

    @property
    def revision(self) -> str:
        return self.clip.revision

    def encode(self, images: Sequence[Image.Image]) -> NDArray[np.float32]:
        import torch

        pixels = torch.stack(preprocessed(images, self.clip.pixels))
        found: NDArray[np.float32] = self.clip.encode_images(pixels).cpu().numpy()
        return found


def open_clip_features(model: str | None) -> ClipFeatures:
    """The image embeddings of a CLIP model by name."""
    from recapdata.models.dual_encoders import find_clip

    if not model:
        raise OptionError("clip: which model? Write clip:MODEL, such as clip:ViT-L-14-336:openai")
    return _loaded(find_clip(model))


def open_embedded(argument: str | None) -> ClipFeatures:
    """The image embeddings of the embedded CLIP.

    Raises:
        OptionError: something is written behind its name.
    """
    if argument is not None:
        raise OptionError(f"embedded:{argument}: embedded takes nothing behind its name")
    return open_clip_features("embedded")


_KEPT: dict[tuple[str, str], ClipFeatures] = {}
"""The model that was loaded last, which several metrics and runs ask for, by its name and revision."""


def _loaded(source: "ClipSource") -> ClipFeatures:
    from audits.clip.scorer import load_clip

    key = source.name, source.revision
    if key not in _KEPT:
        clip = load_clip(source)
        _KEPT.clear()
        _KEPT[key] = ClipFeatures(clip, int(clip.encode_texts([""]).shape[1]))
    return _KEPT[key]
