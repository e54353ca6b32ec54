"""Tiny object detection models with random weights, of four classes, saved in the real formats of transformers."""

from pathlib import Path
from typing import Any

from tests.vlms import VISION, bert_tokenizer

LABELS = {0: "N/A", 1: "person", 2: "dog", 3: "traffic light"}
NAMED: dict[str, Any] = {"id2label": LABELS, "label2id": {name: number for number, name in LABELS.items()}}


def detr() -> tuple[Any, Any]:
    """Classes of its own; a convolutional backbone."""
    from transformers import DetrConfig, DetrForObjectDetection, DetrImageProcessor, ResNetConfig

    backbone = ResNetConfig(
        embedding_size=8,
        hidden_sizes=[8, 8, 8, 16],
        depths=[1, 1, 1, 1],
        layer_type="basic",
        out_features=["stage4"],
    )
    config = DetrConfig(
        backbone_config=backbone,
        use_timm_backbone=False,
        use_pretrained_backbone=False,
        backbone=None,
        d_model=16,
        encoder_layers=1,
        decoder_layers=1,
        encoder_attention_heads=2,
        decoder_attention_heads=2,
        encoder_ffn_dim=32,
        decoder_ffn_dim=32,
        num_queries=10,
        **NAMED,
    )
    return DetrForObjectDetection(config), DetrImageProcessor(size={"shortest_edge": 64, "longest_edge": 96})


def yolos() -> tuple[Any, Any]:
    """Classes of its own; patches alone."""
    from transformers import YolosConfig, YolosForObjectDetection, YolosImageProcessor

    config = YolosConfig(
        **VISION,
        image_size=[64, 64],
        patch_size=16,
        num_detection_tokens=10,
        use_mid_position_embeddings=False,
        **NAMED,
    )
    return YolosForObjectDetection(config), YolosImageProcessor(
        size={"shortest_edge": 64, "longest_edge": 96}
    )


def owlv2() -> tuple[Any, Any]:
    """Asked for any class, each question encoded by itself."""
    from transformers import (
        CLIPTokenizer,
        Owlv2Config,
        Owlv2ForObjectDetection,
        Owlv2ImageProcessor,
        Owlv2Processor,
    )

    letters = [chr(code) for code in range(97, 123)]
    tokens = ["!", *letters, *(f"{each}</w>" for each in letters), "<|startoftext|>", "<|endoftext|>"]
    tokenizer = CLIPTokenizer(
        vocab={token: number for number, token in enumerate(tokens)},
        merges=[],
        pad_token="!",
        model_max_length=32,
    )
    text = {**VISION, "vocab_size": len(tokens), "max_position_embeddings": 32, "pad_token_id": 0}
    text |= {"bos_token_id": len(tokens) - 2, "eos_token_id": len(tokens) - 1}
    config = Owlv2Config(
        text_config=text, vision_config={**VISION, "image_size": 64, "patch_size": 16}, projection_dim=32
    )
    images = Owlv2ImageProcessor(size={"height": 64, "width": 64})
    model = Owlv2ForObjectDetection(config)
    # Untrained, the heads answer with boxes out of the picture; without them every patch answers with its own place.
    model.box_head.dense2.weight.data.zero_()
    return model, Owlv2Processor(images, tokenizer)


def grounding_dino() -> tuple[Any, Any]:
    """Asked for any class, all questions in one text."""
    from transformers import (
        BertConfig,
        GroundingDinoConfig,
        GroundingDinoForObjectDetection,
        GroundingDinoImageProcessor,
        GroundingDinoProcessor,
        SwinConfig,
    )

    tokenizer = bert_tokenizer()
    tokenizer.add_tokens(["."])
    backbone = SwinConfig(
        image_size=64,
        window_size=4,
        embed_dim=8,
        depths=[1, 1, 1, 1],
        num_heads=[1, 1, 2, 2],
        out_features=["stage2", "stage3", "stage4"],
    )
    config = GroundingDinoConfig(
        backbone_config=backbone,
        backbone=None,
        use_timm_backbone=False,
        use_pretrained_backbone=False,
        text_config=BertConfig(**_bert(tokenizer)),
        d_model=32,
        encoder_layers=1,
        decoder_layers=2,  # the heads of all layers are tied to the first one's
        encoder_attention_heads=2,
        decoder_attention_heads=2,
        encoder_ffn_dim=32,
        decoder_ffn_dim=32,
        num_queries=10,
        max_text_len=128,
    )
    images = GroundingDinoImageProcessor(size={"shortest_edge": 64, "longest_edge": 96})
    return GroundingDinoForObjectDetection(config), GroundingDinoProcessor(images, tokenizer)


def _bert(tokenizer: Any) -> dict[str, Any]:
    return {
        "vocab_size": len(tokenizer),
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "max_position_embeddings": 256,
        "pad_token_id": tokenizer.pad_token_id,
    }


FAMILIES = {each.__name__: each for each in (detr, yolos, owlv2, grounding_dino)}


def save_detector(family: str, folder: Path, seed: int = 0) -> Path:
    """A random model of a family, as `from_pretrained` reads it."""
    import torch

    torch.manual_seed(seed)
    model, processor = FAMILIES[family]()
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder
