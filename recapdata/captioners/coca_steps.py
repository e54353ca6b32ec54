"""Decoding of open_clip's CoCa with a key–value cache, so that a step costs one token.

open_clip's own loop runs both decoders over the whole text at every step, and encodes the picture anew in every layer. Both decoders are
causal, so the keys and values of earlier tokens never change, and those of the picture are the same from the first step to the last.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from recapdata.errors import ModelNotSupported

if TYPE_CHECKING:
    from torch import Tensor


EXAMPLE = "coca_ViT-B-32:mscoco_finetuned_laion2b_s13b_b90k"
_BOTH_WAYS = "reads texts in both directions, so it cannot write; give a CoCa with open_clip's own text tower"


def check_config(config: Mapping[str, Any], name: str) -> None:
    """Refuse by its configuration, before its weights are loaded, a model that cannot write.

    Raises:
        ModelNotSupported: it is no CoCa, or its text tower is a BERT.
    """
    if "multimodal_cfg" not in config:
        raise ModelNotSupported(
            f"{name} is a CLIP model, which compares texts and writes none; give a CoCa such as coca:{EXAMPLE}"
        )
    if "hf_model_name" in config["text_cfg"]:
        raise ModelNotSupported(f"{name} {_BOTH_WAYS}")


def check_model(model: Any, name: str) -> None:
    """Refuse a model that cannot be decoded here.

    Raises:
        ModelNotSupported: it is built of parts that do not write from left to right, or are unknown.
    """
    from open_clip.transformer import ResidualAttentionBlock, TextTransformer

    text, decoder = model.text, model.text_decoder
    if not isinstance(text, TextTransformer) or text.attn_mask is None:
        raise ModelNotSupported(f"{name} {_BOTH_WAYS}")
    blocks = [*text.transformer.resblocks, *decoder.resblocks, *decoder.cross_attn]
    odd = {type(block).__name__ for block in blocks if not isinstance(block, ResidualAttentionBlock)}
    if odd:
        raise ModelNotSupported(f"{name} is built of {', '.join(sorted(odd))}, which cannot be decoded here")
    if not (text.output_tokens and getattr(model.visual, "output_tokens", False)):
        raise ModelNotSupported(
            f"{name} gives no tokens to its decoder; its configuration lacks output_tokens for text or vision"
        )


class Steps:
    """The state of captions being written for a batch of pictures."""

    def __init__(self, model: Any, pixels: "Tensor", length: int) -> None:
        """Encode the pictures.

        Args:
            pixels: (batch, 3, height, width), in the model's dtype and on its device.
            length: most tokens that will be given to `step` per caption.
        """
        _, patches = model._encode_image(pixels)
        self._model, self._written = model, 0
        self._causal = [*model.text.transformer.resblocks, *model.text_decoder.resblocks]
        self._kept = [_room(block, patches, length) for block in self._causal]
        self._seen = [_seen(block, patches) for block in model.text_decoder.cross_attn]

    def step(self, tokens: "Tensor") -> "Tensor":
        """The next token of each caption, (batch,), goes in; the scores of the one after it, (batch, vocabulary), come out."""
        text, decoder = self._model.text, self._model.text_decoder
        state = text.token_embedding(tokens) + text.positional_embedding[self._written]
        number = len(text.transformer.resblocks)
        for place in range(number):
            state = self._own(place, state)
        if text.cls_emb is None:  # with a token for the whole text, open_clip hands the others on as they are
            state = text.ln_final(state)
        for place, across in enumerate(decoder.cross_attn):
            state = self._own(number + place, state)
            state = _attend(across, state, across.ln_1(state), *self._seen[place])
        self._written += 1
        state = decoder.ln_final(state)
        return state if decoder.text_projection is None else state @ decoder.text_projection

    def _own(self, place: int, state: "Tensor") -> "Tensor":
        """A causal block: the new token reads those before it and itself."""
        from torch.nn.functional import linear

        block, (keys, values) = self._causal[place], self._kept[place]
        asking, attention = block.ln_1(state), block.attn
        width = state.shape[-1]
        new = linear(asking, attention.in_proj_weight[width:], attention.in_proj_bias[width:])
        key, value = _heads(new, attention.num_heads * 2).chunk(2, dim=1)
        keys[:, :, self._written], values[:, :, self._written] = key, value
        until = self._written + 1
        return _attend(block, state, asking, keys[:, :, :until], values[:, :, :until])


def _attend(block: Any, state: "Tensor", asking: "Tensor", keys: "Tensor", values: "Tensor") -> "Tensor":
    """A `ResidualAttentionBlock` for one token, (batch, width), with its keys and values, (batch, heads, length, width of a head)."""
    from torch.nn.functional import linear, scaled_dot_product_attention

    attention, width = block.attn, state.shape[-1]
    query = linear(asking, attention.in_proj_weight[:width], attention.in_proj_bias[:width])
    found = scaled_dot_product_attention(_heads(query, attention.num_heads)[:, :, None], keys, values)
    state = state + block.ls_1(attention.out_proj(found.flatten(1)))
    return state + block.ls_2(block.mlp(block.ln_2(state)))


def _room(block: Any, like: "Tensor", length: int) -> "tuple[Tensor, Tensor]":
    heads = block.attn.num_heads
    shape = (like.shape[0], heads, length, block.attn.embed_dim // heads)
    return like.new_empty(shape), like.new_empty(shape)


def _seen(block: Any, patches: "Tensor") -> "tuple[Tensor, Tensor]":
    """Keys and values of the pictures' tokens, (batch, tokens, width), for one cross-attention block."""
    from torch.nn.functional import linear

    attention, width = block.attn, patches.shape[-1]
    both = linear(block.ln_1_kv(patches), attention.in_proj_weight[width:], attention.in_proj_bias[width:])
    key, value = both.unflatten(-1, (2, attention.num_heads, -1)).transpose(1, 3).unbind(2)
    return key, value


def _heads(row: "Tensor", heads: int) -> "Tensor":
    return row.unflatten(-1, (heads, -1))
