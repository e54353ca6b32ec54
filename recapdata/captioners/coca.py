"""Captions by open_clip's CoCa, DALL·E 3's kind of captioner: a language model on CLIP image embeddings, trained with both losses.

Any by name: an architecture with its weights (coca_ViT-L-14:mscoco_finetuned_laion2b_s13b_b90k), a repository on the Hub in open_clip's
format at a pinned commit, or a folder. A CoCa takes no instruction. A folder that was trained to write several kinds of captions says
in its `recapdata.json` with which text each kind begins; that text is not part of the caption. A style of a user's own words is.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from PIL.Image import Image

from recapdata.captioners import STYLES, CaptionerOptions, CaptioningFailed
from recapdata.captioners.coca_steps import EXAMPLE, Steps, check_config, check_model
from recapdata.captioners.prompts import OWN_STYLES, Family, max_tokens, own_styles, prompt_text
from recapdata.captioners.text_generation import (
    Guard,
    draws,
    model_provenance,
    sampling_settings,
    versions,
    write_captions,
    written_caption,
)
from recapdata.captioners.vlm import REDUCING_GAP
from recapdata.errors import ModelNotSupported, OptionError
from recapdata.models.open_clip import FORMS, OpenClipSource, find_model
from recapdata.models.opening import one_line
from recapdata.models.transformers import REFUSALS, device_and_dtype, leave_a_core
from recapdata.records import Caption, Provenance

LIBRARIES = ("torch", "torchvision", "open_clip_torch", "transformers", "pillow")
FAMILY = Family(kind="plain", prompts={"short": "", "long": ""})
"""Without a word from its folder, short and long differ in nothing but the most tokens of a caption."""
_BEFORE_MARKS = re.compile(r" +(?=[.,;:!?%)\]}]|'(?:s|t|re|ve|m|ll|d)\b)")
"""CLIP's tokenizer takes every mark for a word of its own and does not keep where spaces were."""


def open_coca(options: CaptionerOptions) -> "Coca":
    """The captioner of `options.model`, see `recapdata.models.open_clip` for the names."""
    if not options.model:
        raise OptionError(
            f"the captioner coca needs a model: --captioner coca:MODEL, where MODEL is {FORMS} such as {EXAMPLE}"
        )
    source = find_model(options.model, options.revision)
    config = source.model_config()
    check_config(config, options.model)
    own = own_styles(source.folder / OWN_STYLES, source.name) if source.folder is not None else {}
    prompt = prompt_text(options.style, FAMILY, own, options.model)
    words = open_words(source)
    start = words.start(prompt)
    provenance = model_provenance(
        options,
        captioner="coca",
        model=options.model if Path(options.model).is_dir() else source.name,
        revision=source.revision,
        prompt=prompt,
        sampling=sampling_settings(options, _most_tokens(options, config, len(start))),
        dtype=device_and_dtype()[1],
        libraries=versions(LIBRARIES),
    )
    said = start[1:] if options.style not in STYLES else []
    detail = REDUCING_GAP * int(np.max(source.side()))
    return Coca(
        source, CocaPreparer(source.preprocessing(), detail), words, (start, said), provenance, options
    )


@dataclass(frozen=True, slots=True)
class CocaPreparer:
    """Pictures → (pictures, 3, height, width) float32, by open_clip's transform for inference; `detail` as `Preparer` says."""

    pixels: Any
    detail: int

    def __call__(self, images: Sequence[Image]) -> np.ndarray:
        try:
            return np.stack([np.asarray(self.pixels(image)) for image in images])
        except REFUSALS as error:
            raise CaptioningFailed(one_line(error)) from error


class Words(Protocol):
    """A tokenizer; `end` is the token that ends a text."""

    @property
    def end(self) -> int: ...

    def start(self, text: str) -> list[int]:
        """The begin token and the tokens of a text."""

    def text(self, tokens: Sequence[int]) -> str:
        """The text of tokens, without special ones."""


@dataclass(frozen=True, slots=True)
class ClipWords:
    """CLIP's byte pairs (`SimpleTokenizer`): lower case, every word followed by a space."""

    tokenizer: Any
    end: int

    def start(self, text: str) -> list[int]:
        return [self.tokenizer.sot_token_id, *self.tokenizer.encode(text)]

    def text(self, tokens: Sequence[int]) -> str:
        special = set(self.tokenizer.all_special_ids)
        said = self.tokenizer.decode([token for token in tokens if token not in special])
        return _BEFORE_MARKS.sub("", said).strip()


@dataclass(frozen=True, slots=True)
class FolderWords:
    """A tokenizer of transformers, with the token that it begins a text with."""

    tokenizer: Any
    begin: int
    end: int

    def start(self, text: str) -> list[int]:
        return [self.begin, *self.tokenizer(text, add_special_tokens=False)["input_ids"]]

    def text(self, tokens: Sequence[int]) -> str:
        return str(self.tokenizer.decode(list(tokens), skip_special_tokens=True)).strip()


class Coca:
    """A `Captioner` over one CoCa; see the protocol for what its members promise."""

    at_once = 1

    def __init__(
        self,
        source: OpenClipSource,
        preparer: CocaPreparer,
        words: Words,
        start: tuple[list[int], list[int]],
        provenance: Provenance,
        options: CaptionerOptions,
    ) -> None:
        """`start`: the tokens that each caption is begun with, and those of them that belong to the caption."""
        self.provenance = provenance
        self.prepare = preparer
        self.device, self._dtype = device_and_dtype()
        self.batch_size = 32
        self._source, self._words, self._options = source, words, options
        self._start, self._said = start
        self._model: Any = None
        self._ends: list[int] = []
        self._guard = Guard()

    def load(self) -> None:
        """Load the weights.

        Raises:
            ModelNotSupported: they are missing, do not fit, or make a model that cannot write.
        """
        import torch

        model = self._source.load_model()
        check_model(model, self._source.name)
        if self.device == "cpu":
            leave_a_core()
        self._model = model.to(self.device, getattr(torch, self._dtype)).eval()
        self._ends = sorted(
            {self._words.end, int(model.pad_id)}
        )  # no caption it was trained on holds padding

    def caption(self, prepared: np.ndarray, keys: Sequence[str]) -> list[Caption]:
        """One caption per key; see `Captioner.caption`."""
        return write_captions(self._options, keys, lambda seeds: self._captions(prepared, seeds))

    def _captions(self, prepared: np.ndarray, seeds: Sequence[int] | None) -> list[Caption]:
        return self._guard.run(
            lambda: [
                self._caption(tokens, seeds[row] if seeds is not None else None)
                for row, tokens in enumerate(self._generate(prepared, seeds))
            ]
        )

    def _generate(self, prepared: np.ndarray, seeds: Sequence[int] | None) -> list[list[int]]:
        """The tokens written for each picture, behind the start; an end token comes last where the model ended."""
        import torch

        pixels = torch.from_numpy(prepared).to(self.device, getattr(torch, self._dtype))
        most = self.provenance.sampling["max_new_tokens"]
        steps = Steps(self._model, pixels, len(self._start) + most - 1)
        for token in self._start[:-1]:
            steps.step(torch.full((len(pixels),), token, device=self.device))
        last = torch.full((len(pixels),), self._start[-1], device=self.device)
        ends = torch.tensor(self._ends, device=self.device)
        shape, ended, written = draws(self._options, seeds), torch.zeros_like(last, dtype=torch.bool), []
        for _ in range(most):
            scores = steps.step(last).float()
            for change in shape:
                scores = change(last[:, None], scores)
            last = scores.argmax(dim=-1)
            written.append(last)
            ended |= torch.isin(last, ends)
            if ended.all():
                break
        return torch.stack(written, dim=1).tolist()

    def _caption(self, row: Sequence[int], seed: int | None) -> Caption:
        stop = next((place for place, token in enumerate(row) if token in self._ends), len(row))
        text = self._words.text([*self._said, *row[:stop]])
        return written_caption(text, seed=seed, ended=stop < len(row), tokens=stop)


def open_words(source: OpenClipSource) -> Words:
    """The tokenizer of a model.

    Raises:
        ModelNotSupported: it cannot be loaded, or has no tokens to begin and end a text with.
    """
    from open_clip.tokenizer import SimpleTokenizer

    outer: Any = source.load_tokenizer()
    if isinstance(outer, SimpleTokenizer):
        return ClipWords(outer, outer.eot_token_id)
    tokenizer = getattr(outer, "tokenizer", None)
    begin = getattr(tokenizer, "bos_token_id", None)
    end = getattr(tokenizer, "eos_token_id", None)
    if begin is None:
        begin = getattr(tokenizer, "cls_token_id", None)
    if end is None:
        end = getattr(tokenizer, "sep_token_id", None)
    if begin is None or end is None:
        raise ModelNotSupported(
            f"the tokenizer of {source.name} has no tokens to begin and end a text with, so it cannot write captions"
        )
    return FolderWords(tokenizer, begin, end)


def _most_tokens(options: CaptionerOptions, config: Any, start: int) -> int:
    """Most tokens of a caption: what was asked for, within the length of text that the model was trained on.

    Raises:
        OptionError: more was asked for than there is room, or the prompt leaves none.
    """
    context = min(config[part].get("context_length", 77) for part in ("text_cfg", "multimodal_cfg"))
    room = context - start
    if room < 1:
        raise OptionError(
            f"--style: the text is {start - 1} tokens long, and {options.model} writes at most {context - 1} with it; "
            "give a shorter one"
        )
    if options.max_tokens is not None and options.max_tokens > room:
        raise OptionError(
            f"--max-tokens {options.max_tokens}: {options.model} writes at most {room}; give that or fewer, or leave it out"
        )
    return options.max_tokens or min(room, max_tokens(options.style))
