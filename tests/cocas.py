"""Tiny CoCas with random weights, saved in open_clip's own format: with CLIP's tokenizer as the published ones, and with one of their own."""

import json
from pathlib import Path
from typing import Any

from tests.vlms import byte_tokenizer

PREPROCESS = {"mean": [0.5, 0.5, 0.5], "std": [0.25, 0.25, 0.25], "interpolation": "bilinear"}


def clip_words() -> tuple[dict[str, Any], None]:
    """Built like coca_ViT-B-32: pictures pooled by attention, a token for the whole text, CLIP's tokenizer."""
    text = {"context_length": 20, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 2}
    vision = {"image_size": 32, "patch_size": 8, "width": 48, "head_width": 16, "layers": 1}
    pooled = {"attentional_pool": True, "attn_pooler_queries": 6, "attn_pooler_heads": 2}
    return {
        "embed_dim": 32,
        "vision_cfg": {**vision, **pooled, "output_tokens": True},
        "text_cfg": {**text, "embed_cls": True, "output_tokens": True},
        "multimodal_cfg": text,
        "custom_text": True,
    }, None


def own_words() -> tuple[dict[str, Any], Any]:
    """Built like coca_base: the decoder looks at patches; a tokenizer in the folder, nothing for the whole text."""
    tokenizer = byte_tokenizer()
    text = {"context_length": 24, "vocab_size": len(tokenizer), "width": 32, "heads": 4, "layers": 1}
    vision = {"image_size": 32, "patch_size": 8, "width": 32, "head_width": 16, "layers": 1}
    text_only = {
        "hf_tokenizer_name": "here",
        "pool_type": "eos",
        "eos_id": tokenizer.eos_token_id,
        "output_tokens": True,
    }
    return {
        "embed_dim": 16,
        "pad_id": tokenizer.pad_token_id,
        "vision_cfg": {**vision, "pool_type": "avg", "output_tokens": True},
        "text_cfg": {**text, **text_only},
        "multimodal_cfg": {**text, "layers": 2, "ls_init_value": 0.5},
        "custom_text": True,
    }, tokenizer


KINDS = {"clip": clip_words, "own": own_words}


def build_coca(kind: str, seed: int = 0) -> Any:
    """The model, with weights drawn from `seed` and spread so that pictures and texts make a difference."""
    import torch
    from open_clip import CoCa

    config, _ = KINDS[kind]()
    torch.manual_seed(seed)
    model = CoCa(**{name: value for name, value in config.items() if name != "custom_text"})
    for weight in model.parameters():
        if weight.ndim > 1:
            torch.nn.init.normal_(weight, std=0.3)
    return model.eval()


def save_coca(kind: str, folder: Path, seed: int = 0) -> Path:
    """Save a model as `local-dir:` and `hf-hub:` read it."""
    from safetensors.torch import save_file

    config, tokenizer = KINDS[kind]()
    folder.mkdir(parents=True, exist_ok=True)
    weights = {name: value.contiguous() for name, value in build_coca(kind, seed).state_dict().items()}
    save_file(weights, folder / "open_clip_model.safetensors")
    page = json.dumps({"model_cfg": config, "preprocess_cfg": PREPROCESS})
    (folder / "open_clip_config.json").write_text(page)
    if tokenizer is not None:
        tokenizer.save_pretrained(folder)
    return folder
