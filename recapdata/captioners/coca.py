"""Captions by open_clip's CoCa: DALL·E 3's kind of captioner, a language model on CLIP image embeddings, trained with both losses together.

Any by name: an architecture with its weights (coca_ViT-L-14:mscoco_finetuned_laion2b_s13b_b90k), a repository on the Hub in open_clip's
format at a pinned commit, or a folder. A CoCa takes no instruction. A folder that was trained to write several kinds of captions says
in its `recapdata.json` with which text each kind begins; that text is not part of the caption. A style of a user's own words is.
"""

import gc
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from PIL.Image import Image

from recapdata.captioners import STYLES, CaptionerOptions, CaptioningFailed, OutOfMemory
from recapdata.captioners.choice import most_agreed
from recapdata.captioners.coca_steps import EXAMPLE, Steps, check_config, check_model
from recapdata.captioners.coca_words import Words, open_words
from recapdata.captioners.prompts import Family, max_tokens, prompt_text
from recapdata.captioners.text_generation import KeyedDraw, caption_seed, sampling_settings
from recapdata.errors import OptionError
from recapdata.models.open_clip import FORMS, OpenClipSource, find_model
from recapdata.models.transformers import (
    OWN_STYLES,
    REDUCING_GAP,
    REFUSALS,
    device_and_dtype,
    is_memory,
    leave_a_core,
    one_line,
    own_styles,
)
from recapdata.records import Caption, Provenance

LIBRARIES = ("torch", "torchvision", "open_clip_torch", "transformers", "pillow")
FAMILY = Family(kind="plain", prompts={"short": "", "long": ""})
"""Without a word from its folder, short and long differ in nothing but the most tokens of a caption."""


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
    given = Path(options.model).is_dir()
    provenance = Provenance(
        writer="model",
        captioner="coca",
        model=options.model if given else source.name,
        revision=source.revision,
        style=options.style if options.style in STYLES else "free",
        prompt=prompt,
        prompt_hash=hashlib.sha256(prompt.encode()).hexdigest(),
        sampling=sampling_settings(options, _most_tokens(options, config, len(start))),
        seed=options.seed if options.temperature else None,
        dtype=device_and_dtype()[1],
        libraries={library: version(library) for library in LIBRARIES},
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
        self._short_of_memory = False

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
        if not self._options.temperature:
            return self._captions(prepared, None)
        rounds = [
            self._captions(prepared, [caption_seed(self._options.seed, key, number) for key in keys])
            for number in range(self._options.candidates)
        ]
        return [most_agreed(candidates) for candidates in zip(*rounds, strict=True)]

    def _captions(self, prepared: np.ndarray, seeds: Sequence[int] | None) -> list[Caption]:
        import torch

        if self._short_of_memory:  # what the failed attempt held hangs in its traceback until now
            gc.collect()
            torch.cuda.empty_cache()
            self._short_of_memory = False
        try:
            with torch.inference_mode():
                rows = self._generate(prepared, seeds)
            return [
                self._caption(row, seeds[place] if seeds is not None else None)
                for place, row in enumerate(rows)
            ]
        except (torch.OutOfMemoryError, MemoryError, *REFUSALS) as error:
            if not is_memory(error):
                raise CaptioningFailed(one_line(error)) from error
            self._short_of_memory = True
            raise OutOfMemory(one_line(error)) from error

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
        shape, ended, written = self._shapes(seeds), torch.zeros_like(last, dtype=torch.bool), []
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

    def _shapes(self, seeds: Sequence[int] | None) -> list[Any]:
        """What turns scores into a draw: temperature, top-p, one keyed number per caption and step; nothing where nothing is sampled."""
        from transformers import TemperatureLogitsWarper, TopPLogitsWarper

        if seeds is None:
            return []
        top_p = [TopPLogitsWarper(self._options.top_p)] if self._options.top_p < 1 else []
        return [TemperatureLogitsWarper(self._options.temperature), *top_p, KeyedDraw(seeds)]

    def _caption(self, row: Sequence[int], seed: int | None) -> Caption:
        stop = next((place for place, token in enumerate(row) if token in self._ends), len(row))
        text = self._words.text([*self._said, *row[:stop]])
        caption = Caption(
            caption=text or None,
            seed=seed,
            finish_reason="stop" if stop < len(row) else "length",
            tokens=stop,
        )
        if text:
            return caption
        return replace(caption, finish_reason=None, error="EmptyCaption: the model ended without a word")


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
