"""Texts longer than a CLIP text encoder reads: windows that are encoded apart and joined.

The encoder's positions are few (77), the UNet's attention to its states knows no limit. So a text is cut into windows of 75 tokens,
each between a start and an end token of its own, and the states of all windows stand one behind the other, as ComfyUI and A1111
join them; sd-scripts leaves out the start and end states between windows.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from transformers import CLIPTokenizer

MOST = 3
"""Windows that a caption is trained on in: 225 tokens, as sd-scripts' longest."""


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
