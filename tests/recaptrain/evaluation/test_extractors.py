"""Feature extractors in their real libraries, of random weights."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from recapdata.errors import ModelNotSupported
from recaptrain.evaluation.extractors import open_extractor
from recaptrain.evaluation.inception import CLEAN, TENSORFLOW


def noise(width: int, height: int, seed: int) -> Image.Image:
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)
    return Image.fromarray(pixels)


def test_dinov2_of_a_folder(tmp_path: Path) -> None:
    """The class token behind the last norm, of a picture in any size, and of ImageNet's mean gray as of all-zero pixels."""
    import torch
    from transformers import CLIPVisionConfig, CLIPVisionModel, Dinov2Config, Dinov2Model

    torch.manual_seed(0)
    config = Dinov2Config(hidden_size=16, num_hidden_layers=1, num_attention_heads=2, image_size=28)
    model = Dinov2Model(config).eval()
    model.save_pretrained(tmp_path / "m")
    extractor = open_extractor(f"dinov2:{tmp_path / 'm'}")
    assert extractor.dimensions == 16
    assert extractor.revision.startswith("sha256:")
    found = extractor.encode([noise(64, 64, 0), noise(100, 40, 1)])
    alone = extractor.encode([noise(64, 64, 0)])
    assert found.shape == (2, 16)
    assert found[:1] == pytest.approx(alone, abs=1e-5)
    mean = (124, 116, 104)  # 255 times ImageNet's means, rounded: up to 0.01 of a deviation from nought
    with torch.inference_mode():
        expected = model(pixel_values=torch.zeros(1, 3, 224, 224)).last_hidden_state[:, 0]
    given = extractor.encode([Image.new("RGB", (50, 50), mean)])
    assert given == pytest.approx(expected.numpy(), abs=0.05)
    small = {"hidden_size": 8, "intermediate_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1}
    CLIPVisionModel(CLIPVisionConfig(**small, image_size=32)).save_pretrained(tmp_path / "clip")
    with pytest.raises(ModelNotSupported, match="no DINOv2"):
        open_extractor(f"dinov2:{tmp_path / 'clip'}")


@pytest.mark.slow
def test_inception_of_a_file(tmp_path: Path) -> None:
    """Features as torch-fidelity makes them, pictures of several sizes at once, and another resize another revision of the figure."""
    import torch
    from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

    class Random(FeatureExtractorInceptionV3):
        def load_state_dict(self, state, strict=True):
            return None

    torch.manual_seed(0)
    torch.save({}, tmp_path / "none.pth")
    theirs = Random(
        "inception-v3-compat", ["2048"], feature_extractor_weights_path=str(tmp_path / "none.pth")
    )
    torch.save(theirs.state_dict(), tmp_path / "w.pth")
    pictures = [noise(32, 32, 0), noise(48, 32, 1), noise(32, 32, 2)]
    own = open_extractor(f"inception:{tmp_path / 'w.pth'}")
    found = own.encode(pictures)
    scale = found.max()  # random weights give tiny features
    for picture, features in zip(pictures, found, strict=True):
        pixels = torch.from_numpy(np.array(picture)).permute(2, 0, 1)[None]
        with torch.inference_mode():
            (expected,) = theirs(pixels)
        assert features / scale == pytest.approx(expected[0].numpy() / scale, abs=1e-3)
    clean = open_extractor(f"inception-clean:{tmp_path / 'w.pth'}")
    assert (own.resize, clean.resize) == (TENSORFLOW, CLEAN)
    assert own.revision == clean.revision
    assert np.abs(clean.encode(pictures[:1]) - found[:1]).max() / scale > 0.01


def test_a_file_of_no_weights_is_refused(tmp_path: Path) -> None:
    """Neither a file of something else, nor a pickle that would run code."""
    import pickle

    (tmp_path / "text.pth").write_text("no weights")
    (tmp_path / "code.pth").write_bytes(pickle.dumps(print))
    for name in ("text", "code"):
        with pytest.raises(ModelNotSupported, match="no weights of torch-fidelity's Inception"):
            open_extractor(f"inception:{tmp_path / name}.pth")
