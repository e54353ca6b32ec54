"""Captions → what a UNet is conditioned on: states of one text encoder or two and, of SDXL, pooled states and picture sizes.

A caption is read in windows of the encoder's length (see `windows.py`). Captions of one batch may have different numbers of
windows: the shorter ones are filled up with empty windows, which the UNet's attention is masked from.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from recaptrain.diffusion.windows import windows

if TYPE_CHECKING:
    import torch
    from diffusers.pipelines.stable_diffusion import StableDiffusionPipeline
    from diffusers.pipelines.stable_diffusion_xl import StableDiffusionXLPipeline

    Pipeline: TypeAlias = StableDiffusionPipeline | StableDiffusionXLPipeline

TEXT_ENCODERS = ("text_encoder", "text_encoder_2")


@dataclass(frozen=True, slots=True)
class Layout:
    """Where the windows of some captions stand.

    Attributes:
        places: (captions, windows): which of the windows of all captions stand where; those behind a caption's own are empty ones.
        counts: (captions,): each caption's own windows.
        empty: (captions,): whether the caption is empty.
    """

    places: "torch.Tensor"
    counts: "torch.Tensor"
    empty: "torch.Tensor"

    @classmethod
    def of(cls, counts: Sequence[int], captions: Sequence[str]) -> "Layout":
        """The layout of captions with so many windows each, which stand behind one another; an empty one ends the list."""
        import torch

        empty = torch.tensor([not each for each in captions])
        return cls(_places(counts), torch.tensor(counts), empty)


@dataclass(frozen=True, slots=True)
class Tokens:
    """Captions as token ids.

    Attributes:
        ids: by text encoder, (windows of all captions, tokens), behind one another.
        masks: by text encoder, of the same shape, where the encoder wants to know which tokens are padding; None elsewhere.
    """

    ids: "Mapping[str, torch.Tensor]"
    masks: "Mapping[str, torch.Tensor | None]"
    layout: Layout


@dataclass(frozen=True, slots=True)
class Encoded:
    """Captions as the text encoders' states.

    Attributes:
        states: (windows of all captions, tokens, width): of all encoders side by side.
        pooled: (windows, width) of SDXL; None of Stable Diffusion 1 and 2.
    """

    states: "torch.Tensor"
    pooled: "torch.Tensor | None"
    layout: Layout

    def to(self, device: "torch.device") -> "Encoded":
        """The same on a device."""
        pooled = None if self.pooled is None else self.pooled.to(device)
        return Encoded(self.states.to(device), pooled, self.layout)


@dataclass(frozen=True, slots=True)
class Condition:
    """What the UNet is told of captions.

    Attributes:
        states: (captions, tokens, width): the encoders' states side by side.
        pooled: (captions, width) of SDXL; None of Stable Diffusion 1 and 2.
        mask: (captions, tokens), False where the UNet may not look; None where it may look everywhere.
    """

    states: "torch.Tensor"
    pooled: "torch.Tensor | None" = None
    mask: "torch.Tensor | None" = None

    def arguments(self, sizes: "torch.Tensor") -> dict[str, Any]:
        """Keyword arguments of the UNet.

        Args:
            sizes: (captions, 6): see `time_ids`; not looked at where there are no pooled states.
        """
        given: dict[str, Any] = {"encoder_hidden_states": self.states}
        if self.mask is not None:
            given["encoder_attention_mask"] = self.mask
        if self.pooled is not None:
            given["added_cond_kwargs"] = {"text_embeds": self.pooled, "time_ids": sizes.to(self.states)}
        return given


def text_encoders(pipeline: "Pipeline") -> dict[str, Any]:
    """The pipeline's text encoders by name, in the order in which their states stand."""
    named = {name: getattr(pipeline, name, None) for name in TEXT_ENCODERS}
    return {name: each for name, each in named.items() if each is not None}


def tokenize(pipeline: "Pipeline", captions: Sequence[str], *, most: int = 1, at_least: int = 1) -> Tokens:
    """Captions as token ids, in at most `most` windows each; what goes beyond is cut off.

    Args:
        at_least: windows that every caption fills, with empty ones that the UNet sees: what is compared with a longer caption.
    """
    import torch

    names = list(text_encoders(pipeline))
    tokenizers = {name: getattr(pipeline, name.replace("text_encoder", "tokenizer")) for name in names}
    ids: dict[str, torch.Tensor] = {}
    masks: dict[str, torch.Tensor | None] = dict.fromkeys(names)
    counts = [1] * len(captions)
    if most == at_least == 1:
        for name, tokenizer in tokenizers.items():
            read = tokenizer(list(captions), padding="max_length", truncation=True, return_tensors="pt")
            ids[name] = read.input_ids
            if getattr(getattr(pipeline, name).config, "use_attention_mask", False):
                masks[name] = read.attention_mask
    else:
        cut = {name: [windows(each, text)[:most] for text in captions] for name, each in tokenizers.items()}
        counts = [max(at_least, *map(len, own)) for own in zip(*cut.values(), strict=True)]
        for name, tokenizer in tokenizers.items():
            (blank,) = windows(tokenizer, "")
            rows = [
                row
                for own, count in zip(cut[name], counts, strict=True)
                for row in [*own, *[blank] * (count - len(own))]
            ]
            ids[name] = torch.tensor([*rows, blank])
    return Tokens(
        ids=ids,
        masks=masks,
        layout=Layout.of(counts, captions),
    )


def _places(counts: Sequence[int]) -> "torch.Tensor":
    """Where each caption's windows stand in the list of all, (captions, windows); its end, an empty window, fills up."""
    import torch

    blank, start, rows = sum(counts), 0, []
    for count in counts:
        rows.append([*range(start, start + count)] + [blank] * (max(counts) - count))
        start += count
    return torch.tensor(rows)


def run_encoders(pipeline: "Pipeline", tokens: Tokens, encoders: Mapping[str, Any] | None = None) -> Encoded:
    """Run the text encoders. Of SDXL the states before the last are read.

    Args:
        encoders: modules to run in the place of the pipeline's, by name: those that Accelerate wraps.
    """
    import torch

    parts, pooled = [], None
    two = "text_encoder_2" in tokens.ids
    for name, module in {**text_encoders(pipeline), **(encoders or {})}.items():
        device = next(module.parameters()).device
        mask = tokens.masks[name]
        mask = None if mask is None else mask.to(device)
        read = module(tokens.ids[name].to(device), attention_mask=mask, output_hidden_states=two)
        parts.append(read.hidden_states[-2] if two else read[0])
        if two and read[0].ndim == 2:
            pooled = read[0]
    return Encoded(torch.cat(parts, dim=-1), pooled, tokens.layout)


def encode(
    pipeline: "Pipeline", text: Tokens | Encoded, encoders: Mapping[str, Any] | None = None
) -> Condition:
    """What the UNet is told of captions, exactly as the pipeline itself does when it draws.

    Of SDXL pooled states are those of a caption's first window, and an empty caption has zeros where the pipeline says so
    (`force_zeros_for_empty_prompt`): what it is guided away from.

    Args:
        text: token ids, or states that were made of them before.
        encoders: see `run_encoders`.
    """
    made = text if isinstance(text, Encoded) else run_encoders(pipeline, text, encoders)
    layout, device = made.layout, made.states.device
    places = layout.places.to(device)
    joined = made.states[places].flatten(1, 2)
    pooled = None if made.pooled is None else made.pooled[places[:, 0]]
    if len(text_encoders(pipeline)) > 1 and pipeline.config.get("force_zeros_for_empty_prompt"):
        told = (~layout.empty).to(joined)
        joined = joined * told[:, None, None]
        pooled = None if pooled is None else pooled * told[:, None]
    return Condition(joined, pooled, _mask(layout, joined))


def _mask(layout: Layout, states: "torch.Tensor") -> "torch.Tensor | None":
    """Which states belong to a caption's own windows; None where all do."""
    import torch

    most = layout.places.shape[1]
    if bool((layout.counts == most).all()):
        return None
    own = torch.arange(most)[None] < layout.counts[:, None]
    return own.repeat_interleave(states.shape[1] // most, dim=1).to(states.device)


def time_ids(
    original: Sequence[Sequence[int]], corner: Sequence[Sequence[int]], size: tuple[int, int]
) -> "torch.Tensor":
    """SDXL's size conditioning, (pictures, 6): original height and width, top and left of the crop, trained height and width.

    Podell et al. 2023, section 2.2: what a picture lost to scaling and cropping is told to the UNet and does not become its style.

    Args:
        original: height and width of each picture before it was scaled, in pixels.
        corner: top and left of what was cut out of the scaled picture, in its pixels.
        size: height and width of what was trained on.
    """
    import torch

    rows = [(*before, *at, *size) for before, at in zip(original, corner, strict=True)]
    return torch.tensor(rows, dtype=torch.float32)
