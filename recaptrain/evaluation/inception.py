"""Inception v3 of the original FID, by torch-fidelity's port of the TensorFlow network of 2015 (its features before the last layer, 2,048).

Weights: the file behind the name (`inception:FILE`), else torch-fidelity's, downloaded once into torch's folder of checkpoints and checked
against the hash in their name. They are read as tensors only: a file that holds anything else is refused.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from pickle import UnpicklingError
from typing import Any
from urllib.error import URLError

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from recapdata.errors import ModelNotSupported, OptionError
from recapdata.models.sources import file_revision
from recaptrain.evaluation.preprocessing import preprocessed

LAYER = "2048"
SIDE = 299
TENSORFLOW = "bilinear to 299 × 299 without antialiasing (TensorFlow 1)"
CLEAN = "bicubic to 299 × 299 with antialiasing (Pillow), rounded to 8 bits"


@dataclass(frozen=True, slots=True, eq=False)
class Inception:
    """An `Extractor`."""

    model: Any
    device: str
    revision: str
    resize: str
    name: str = "inception"
    dimensions: int = int(LAYER)

    def encode(self, images: Sequence[Image.Image]) -> NDArray[np.float32]:
        import torch

        found = np.empty((len(images), self.dimensions), np.float32)
        if self.resize == CLEAN:
            images = preprocessed(images, lambda image: image.resize((SIDE, SIDE), Image.Resampling.BICUBIC))
        by_size: dict[tuple[int, int], list[int]] = {}
        for place, image in enumerate(images):
            by_size.setdefault(image.size, []).append(place)
        for places in by_size.values():
            pixels = torch.from_numpy(np.stack([np.asarray(images[place]) for place in places]))
            with torch.inference_mode():
                (features,) = self.model(pixels.permute(0, 3, 1, 2).to(self.device))
            found[places] = features.cpu().numpy()
        return found


def open_inception(file: str | None) -> Inception:
    """Inception behind TensorFlow 1's resize, which published FIDs rest on."""
    return _loaded(_weights(file), TENSORFLOW)


def open_inception_clean(file: str | None) -> Inception:
    """Inception behind an antialiased resize."""
    return _loaded(_weights(file), CLEAN)


def _weights(file: str | None) -> Path:
    """The file of weights.

    Raises:
        OptionError: there is none, and it cannot be downloaded.
    """
    if file is not None:
        if not Path(file).is_file():
            raise OptionError(f"inception:{file}: no such file")
        return Path(file)
    import torch
    from torch_fidelity.feature_extractor_inceptionv3 import URL_INCEPTION_V3

    try:
        torch.hub.load_state_dict_from_url(
            URL_INCEPTION_V3, check_hash=True, weights_only=True, progress=False, map_location="cpu"
        )
    except (URLError, OSError, RuntimeError) as error:
        raise OptionError(
            f"the weights of Inception cannot be downloaded from {URL_INCEPTION_V3} ({error}); give a copy by --features inception:FILE, "
            "or other features, such as embedded or clip:MODEL"
        ) from error
    return Path(torch.hub.get_dir()) / "checkpoints" / URL_INCEPTION_V3.rpartition("/")[2]


def _loaded(path: Path, resize: str) -> Inception:
    return Inception(*_model(path, file_revision(path)), resize)


@lru_cache(maxsize=1)
def _model(path: Path, revision: str) -> tuple[Any, str, str]:
    """The network, its device, and the revision.

    Raises:
        ModelNotSupported: the file holds no weights of it.
    """
    import torch
    from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

    device = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        # torch-fidelity opens the file with pickle: only what holds nothing but tensors gets there.
        torch.load(path, map_location="cpu", weights_only=True)
        model = FeatureExtractorInceptionV3(
            "inception-v3-compat", [LAYER], feature_extractor_weights_path=str(path)
        )
    except (RuntimeError, UnpicklingError, EOFError, TypeError, AttributeError) as error:
        raise ModelNotSupported(
            f"{path} holds no weights of torch-fidelity's Inception: {str(error).splitlines()[0]}"
        ) from error
    return model.to(device), device, revision
