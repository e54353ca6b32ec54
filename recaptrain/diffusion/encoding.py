"""What a training encodes before its first step: each picture at its size, captions where they are kept, and what is said of them."""

import math
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from recapdata.console import progress, say
from recapdata.dataset.target import Target
from recapdata.errors import InputError, OptionError
from recaptrain.caches import caches_root
from recaptrain.diffusion.base import Base
from recaptrain.diffusion.buckets import Batches, Size, assign, bucket_sizes, report
from recaptrain.diffusion.conditioning import text_encoders
from recaptrain.diffusion.data import Examples
from recaptrain.diffusion.fitting import fittings
from recaptrain.diffusion.held_out import held_out_rows
from recaptrain.diffusion.latents import BATCH_PIXELS, Encoder, Latents, encode_dataset
from recaptrain.diffusion.settings import DiffusionSettings
from recaptrain.diffusion.text_states import TextEncoding, TextStates, encode_captions

if TYPE_CHECKING:
    from accelerate import Accelerator

NAMED = 5
"""Pictures that are named of those that are left out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Data:
    """What a training learns from, and is validated with.

    Attributes:
        examples: those that are trained on.
        held_out, unreadable: rows that are not: kept for validation, and with pictures that cannot be decoded.
        sizes: of each row of the dataset's table.
        batches: of the examples, each of one size.
        texts: kept states of captions; None where they are made at every step.
    """

    examples: Examples
    held_out: NDArray[np.int64]
    unreadable: NDArray[np.int64]
    sizes: Sequence[Size]
    batches: Batches
    latents: Latents
    texts: TextStates | None

    def say(self, settings: DiffusionSettings) -> None:
        """Say what becomes of the dataset's pictures, before the first step."""
        examples, unreadable = self.examples, self.unreadable
        for line in report(self.batches, examples.shapes, self.sizes, cropped=settings.fit == "crop"):
            say(line)
        keys = examples.table.column("key")
        if len(unreadable):
            named = ", ".join(keys[row].as_py()[:12] for row in unreadable[:NAMED].tolist())
            more = f" and {len(unreadable) - NAMED:,} more" if len(unreadable) > NAMED else ""
            say(f"  left out, since they cannot be decoded: {len(unreadable):,} ({named}{more})")
        if len(self.held_out):
            say(f"  held out for validation: {len(self.held_out):,}")
        used = len(examples.rows) + len(unreadable) + len(self.held_out)
        if without := examples.table.num_rows - used:
            say(f"  left out, without a caption that the mixture may use: {without:,}")


def encode_data(
    settings: DiffusionSettings, target: Target, base: Base, examples: Examples, accelerator: "Accelerator"
) -> Data:
    """Encode pictures, and captions where they are kept, and hold out what is validated with. Call on every process.

    Raises:
        InputError: no picture can be decoded.
        OptionError: see `picture_sizes`.
    """
    sizes = picture_sizes(settings, base, examples)
    latents = _encode_pictures(settings, target, base, examples, sizes, accelerator)
    unreadable = latents.missing()
    unreadable = unreadable[np.isin(unreadable, examples.rows)]
    examples = examples.without(unreadable)
    if not len(examples.rows):
        raise InputError(f"{target.name}: none of its pictures can be decoded")
    texts = _encode_texts(settings, target, base, examples, accelerator) if settings.text_cache else None
    held_out = held_out_rows(examples, settings.validation, settings.validation_keys)
    examples = examples.without(held_out)
    return Data(
        examples=examples,
        held_out=held_out,
        unreadable=unreadable,
        sizes=sizes,
        batches=Batches.of(examples.rows, sizes, settings.batch_size),
        latents=latents,
        texts=texts,
    )


def picture_side(settings: DiffusionSettings, base: Base) -> int:
    """The pictures' side in pixels.

    Raises:
        OptionError: UNet and autoencoder cannot halve it as often as they do.
    """
    side, grain = settings.resolution or base.resolution, _grain(base)
    if side < grain or side % grain:
        raise OptionError(f"--resolution {side}: for this base it must be a multiple of {grain}")
    return side


def _grain(base: Base) -> int:
    """What the sides of a picture must be multiples of: UNet and autoencoder halve them so often."""
    return int(base.factor * 2 ** (len(base.pipeline.unet.config.block_out_channels) - 1))


def picture_sizes(settings: DiffusionSettings, base: Base, examples: Examples) -> list[Size]:
    """The size that each picture is trained at.

    Raises:
        OptionError: --bucket-step is none of the base's.
    """
    side, grain = picture_side(settings, base), _grain(base)
    if not settings.buckets:
        return [(side, side)] * len(examples.shapes)
    step = settings.bucket_step or (math.lcm(64, grain) if side >= 512 else grain)
    if step % grain or step > side:
        raise OptionError(
            f"--bucket-step {step}: for this base it must be a multiple of {grain}, up to {side}"
        )
    own = assign(examples.shapes[examples.rows], bucket_sizes(side, step), least=settings.batch_size)
    sizes = [(side, side)] * len(examples.shapes)
    for row, size in zip(examples.rows.tolist(), own, strict=True):
        sizes[row] = size
    return sizes


def _encode_pictures(
    settings: DiffusionSettings,
    target: Target,
    base: Base,
    examples: Examples,
    sizes: Sequence[Size],
    accelerator: "Accelerator",
) -> Latents:
    """The pictures that are trained on as latents, from the cache where it has them; the main process encodes first."""
    encoder = Encoder(
        vae=base.pipeline.vae.to(accelerator.device).eval(),
        model=base.source.name,
        batch_pixels=min(
            BATCH_PIXELS, settings.batch_size * picture_side(settings, base) ** 2
        ),  # a step needs more memory
        autocast=accelerator.autocast,
        precision=accelerator.mixed_precision,
    )
    root = settings.latent_cache or caches_root()
    ways = fittings(
        settings.fit, crops=settings.crops if settings.crop == "random" else 0, flip=settings.flip
    )
    wanted: list[Size | None] = [None] * len(sizes)
    for row in examples.rows.tolist():
        wanted[row] = sizes[row]
    shown: AbstractContextManager[Callable[..., None]] = nullcontext(lambda count: None)
    if accelerator.is_main_process:
        size = len(ways) * sum(encoder.bytes_of(each) for each in wanted if each is not None) / 2**20
        times = f" {len(ways)} times" * (len(ways) > 1)
        say(f"latents: {len(examples.rows):,} pictures{times}, {size:,.1f} MiB in {root}")
        shown = progress("encoding", total=len(wanted))
    with accelerator.main_process_first(), shown as advance:
        latents = encode_dataset(target, encoder, root, wanted, ways, advance=advance)
    base.pipeline.vae.to("cpu")  # its place on the device is the UNet's now
    return latents


def _encode_texts(
    settings: DiffusionSettings, target: Target, base: Base, examples: Examples, accelerator: "Accelerator"
) -> TextStates:
    """The states of all captions that may be drawn, from the cache where it has them; the main process encodes first."""
    halves = {"bf16": "bfloat16", "fp16": "float16"}
    encoding = TextEncoding(
        pipeline=base.pipeline,
        model=base.source.name,
        most=base.windows(examples.mixture.over_length),
        dtype=halves.get(accelerator.mixed_precision, "float32"),
        autocast=accelerator.autocast,
    )
    for encoder in text_encoders(base.pipeline).values():
        encoder.to(accelerator.device).eval()
    root = settings.latent_cache or caches_root()
    captions = dict.fromkeys(examples.drawable())
    shown: AbstractContextManager[Callable[..., None]] = nullcontext(lambda count: None)
    if accelerator.is_main_process:
        size = encoding.bytes_of(len(captions)) / 2**20
        say(
            f"text states: {len(captions):,} texts, {size:,.1f} MiB{' or more' * (encoding.most > 1)} in {root}"
        )
        shown = progress("encoding captions", total=len(captions))
    with accelerator.main_process_first(), shown as advance:
        return encode_captions(encoding, captions, root, target.name, advance=advance)
