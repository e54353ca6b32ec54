"""Texts longer than a CLIP text encoder reads: its windows, encoded apart and joined, as sd-scripts does.

The encoder's positions are few (77), the UNet's attention to its states knows no limit. So a text is cut into windows of 75 tokens,
each between a start and an end token of its own, and the states of all windows stand one behind the other.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch
    from transformers import CLIPTextModel, CLIPTokenizer


def windows(tokenizer: "CLIPTokenizer", text: str) -> list[list[int]]:
    """The token ids of a text in windows of the encoder's length, padded; one window of an empty text."""
    room = tokenizer.model_max_length - 2
    ids = tokenizer(text, add_special_tokens=False, truncation=False, verbose=False).input_ids
    parts = [ids[start : start + room] for start in range(0, len(ids), room)] or [[]]
    padding = tokenizer.pad_token_id
    return [
        [tokenizer.bos_token_id, *part, tokenizer.eos_token_id] + [padding] * (room - len(part))
        for part in parts
    ]


def encode_windows(
    tokenizer: "CLIPTokenizer", encoder: "CLIPTextModel", texts: Sequence[str], *, count: int
) -> "torch.Tensor":
    """States of texts read in `count` windows each, (texts, count × 77, width); what a text lacks is empty windows."""
    import torch

    empty = windows(tokenizer, "")[0]
    ids = []
    for text in texts:
        own = windows(tokenizer, text)[:count]
        ids += own + [empty] * (count - len(own))
    states = encoder(torch.tensor(ids, device=encoder.device))[0]
    return states.reshape(len(texts), -1, states.shape[-1])
