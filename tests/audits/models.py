"""CLIP models to test with: a small random one in open_clip's own format, and one whose embeddings are known."""

import json
from pathlib import Path

import torch
from PIL import Image

from audits.clip.scorer import PARTS, Clip

MODEL = {
    "embed_dim": 16,
    "vision_cfg": {"image_size": 32, "layers": 1, "width": 32, "head_width": 16, "patch_size": 16},
    "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 16, "heads": 2, "layers": 1},
}


def save_small_clip(folder: Path, seed: int = 0, context: int = 77) -> Path:
    """A random open_clip model of 0.8 M weights, saved as `local-dir:` and `hf-hub:` read it."""
    import open_clip
    from safetensors.torch import save_file

    torch.manual_seed(seed)
    config = {**MODEL, "text_cfg": {**MODEL["text_cfg"], "context_length": context}}
    model = open_clip.CLIP(**config)
    folder.mkdir(parents=True, exist_ok=True)
    save_file(
        {name: each.contiguous() for name, each in model.state_dict().items()},
        folder / "open_clip_model.safetensors",
    )
    shown = {"mean": [0.5, 0.5, 0.5], "std": [0.5, 0.5, 0.5]}
    (folder / "open_clip_config.json").write_text(json.dumps({"model_cfg": config, "preprocess_cfg": shown}))
    return folder


COLORS = {"red": (1.0, 0.0, 0.0), "green": (0.0, 1.0, 0.0), "blue": (0.0, 0.0, 1.0)}


class KnownModel(torch.nn.Module):
    """An image's embedding is its mean RGB, a text's is the color it names: cosines can be done by hand."""

    def __init__(self) -> None:
        super().__init__()
        self.texts: list[str] = []

    def encode_image(self, pixels: torch.Tensor, normalize: bool) -> torch.Tensor:
        return torch.nn.functional.normalize(pixels.mean((2, 3)), dim=-1)

    def encode_text(self, tokens: torch.Tensor, normalize: bool) -> torch.Tensor:
        return torch.nn.functional.normalize(tokens, dim=-1)

    def tokenize(self, texts: list[str]) -> torch.Tensor:
        self.texts += texts
        rows = [
            [sum((COLORS[word][axis] for word in COLORS if word in text), 0.0) for axis in range(3)]
            for text in texts
        ]
        return torch.tensor(rows)

    @staticmethod
    def pixels(image: Image.Image) -> torch.Tensor:
        values = torch.tensor(list(image.convert("RGB").getdata()), dtype=torch.float32)
        return values.T.reshape(3, image.height, image.width) / 255


def known_clip(parts: tuple[str, ...] = PARTS) -> Clip:
    """A `Clip` around `KnownModel`."""
    model = KnownModel()
    return Clip(
        name="known",
        revision="1",
        model=model,
        pixels=model.pixels,
        tokenize=model.tokenize,
        device="cpu",
        parts=parts,
    )
