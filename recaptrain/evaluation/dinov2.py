"""DINOv2 as a feature extractor: the class token after the last layer norm (Stein et al. 2023, "Exposing flaws of generative model evaluation
metrics", who use ViT-L/14 at 224 × 224).

Weights: `facebook/dinov2-large` from the Hub, or another model of its kind by name or folder (`dinov2:MODEL`), through transformers; torch-fidelity's
extractor runs code of an unpinned repository, which this project does not.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from recapdata.errors import ModelNotSupported
from recapdata.models.sources import resolve_model
from recaptrain.evaluation.preprocessing import preprocessed

if TYPE_CHECKING:
    from recapdata.models.sources import ModelSource

MODEL = "facebook/dinov2-large"
SIDE = 224
RESIZE = "bicubic to 224 × 224 with antialiasing (Pillow)"
MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Of ImageNet, per channel."""
KINDS = ("dinov2", "dinov2_with_registers")


@dataclass(frozen=True, slots=True, eq=False)
class Dinov2:
    """An `Extractor`."""

    model: Any
    device: str
    name: str
    revision: str
    dimensions: int
    resize: str = RESIZE

    def encode(self, images: Sequence[Image.Image]) -> NDArray[np.float32]:
        import torch

        pixels = np.stack(preprocessed(images, _pixels))
        with torch.inference_mode():
            batch = torch.from_numpy(pixels).permute(0, 3, 1, 2).to(self.device)
            found: NDArray[np.float32] = self.model(pixel_values=batch).pooler_output.float().cpu().numpy()
        return found


def _pixels(image: Image.Image) -> NDArray[np.float32]:
    """The normalized pixels [224, 224, 3] of a picture."""
    values = np.asarray(image.resize((SIDE, SIDE), Image.Resampling.BICUBIC), np.float32) / 255
    mean, deviation = np.array(MEAN, np.float32), np.array(DEVIATION, np.float32)
    return np.asarray((values - mean) / deviation, np.float32)


def open_dinov2(model: str | None) -> Dinov2:
    """A DINOv2 by name or folder.

    Raises:
        CaptionerNotFound: no such folder or repository.
        HubError: the Hub cannot be reached.
        ModelNotSupported: it is no DINOv2.
    """
    return _loaded(resolve_model(model or MODEL, kind="dinov2"))


@lru_cache(maxsize=1)
def _loaded(source: "ModelSource") -> Dinov2:
    import torch
    from transformers import AutoConfig, AutoModel

    from recapdata.models.transformers import load_pretrained

    config = load_pretrained(AutoConfig, source)
    if config.model_type not in KINDS:
        raise ModelNotSupported(f"{source.name} is a {config.model_type} model, and no DINOv2")
    device = "cuda" if torch.cuda.is_available() else "cpu"
    model = load_pretrained(AutoModel, source, use_safetensors=True).eval().to(device)
    return Dinov2(model, device, source.name, source.revision, int(config.hidden_size))
