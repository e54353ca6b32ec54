"""Pictures as the base model's latents, encoded once and kept: the autoencoder is not trained, so they never change.

The cache is keyed by the autoencoder's weights, the resolution and the fit, and by the keys of a shard's pictures. So runs
that differ in captions alone share one cache, and so do versions of a dataset that have a shard's pictures in common.
"""

import hashlib
import json
import math
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from recapdata.atomic import replacing
from recapdata.dataset.decoding import ImageUnreadable, decode_image
from recapdata.dataset.target import Target
from recaptrain.diffusion.settings import Fit

if TYPE_CHECKING:
    import torch
    from diffusers.models import AutoencoderKL

FORMAT = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Latents:
    """The latents of a dataset's pictures, read from disk on demand.

    Attributes:
        shards: per image shard an array (rows, 2, channels, height, width) of float16: mean and standard deviation in the
            denoiser's scale; NaN where the picture could not be decoded.
        starts: number of each shard's first row in the dataset, and the total number of rows.
    """

    shards: tuple[NDArray[np.float16], ...]
    starts: NDArray[np.int64]

    def unreadable(self) -> NDArray[np.int64]:
        """Rows whose pictures could not be decoded."""
        places = [np.flatnonzero(np.isnan(shard[:, 0, 0, 0, 0])) for shard in self.shards]
        return np.concatenate([start + each for start, each in zip(self.starts, places, strict=False)])

    def sample(self, rows: NDArray[np.int64], noise: "torch.Tensor") -> "torch.Tensor":
        """Latents of some rows, drawn from their distributions with `noise` (N, channels, height, width)."""
        import torch

        shard = np.searchsorted(self.starts, rows, side="right") - 1
        moments = np.stack(
            [self.shards[each][row - self.starts[each]] for each, row in zip(shard, rows, strict=True)]
        )
        mean, spread = torch.from_numpy(moments.astype(np.float32)).unbind(1)
        return mean + spread * noise


def fit_picture(image: Image.Image, side: int, fit: Fit) -> Image.Image:
    """A square picture of `side` pixels: the middle cut out, the whole squeezed, or the whole with white bars."""
    if fit == "stretch":
        return image.resize((side, side), Image.Resampling.LANCZOS)
    if fit == "pad":
        return ImageOps.pad(image, (side, side), Image.Resampling.LANCZOS, color="white")
    return ImageOps.fit(image, (side, side), Image.Resampling.LANCZOS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Encoder:
    """The autoencoder and everything else that decides what a picture's latents are, or how fast they are made.

    Attributes:
        side: of the fitted pictures, in pixels.
        autocast: makes the context manager that the autoencoder runs under.
    """

    vae: "AutoencoderKL"
    side: int
    fit: Fit = "crop"
    batch_size: int = 8
    autocast: Callable[[], AbstractContextManager[Any]] = nullcontext

    @property
    def shape(self) -> tuple[int, int, int]:
        """Channels, height and width of the latents."""
        height = self.side // 2 ** (len(self.vae.config.block_out_channels) - 1)
        return int(self.vae.config.latent_channels), height, height

    @property
    def bytes_per_picture(self) -> int:
        """Disk that the latents of one picture take: mean and standard deviation, two bytes each."""
        return 2 * 2 * math.prod(self.shape)

    def folder(self, root: Path) -> Path:
        """Where the latents that this encoder makes are kept under `root`."""
        settings = {
            "format": FORMAT,
            "vae": autoencoder_digest(self.vae),
            "side": self.side,
            "fit": self.fit,
        }
        return root / hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:16]

    def moments(self, pictures: NDArray[np.uint8]) -> NDArray[np.float16]:
        """Mean and standard deviation of the latents of pictures (N, side, side, 3), in the denoiser's scale."""
        import torch

        images = torch.from_numpy(pictures.transpose(0, 3, 1, 2).astype(np.float32) / 127.5 - 1.0)
        with torch.no_grad(), self.autocast():
            posterior = self.vae.encode(images.to(self.vae.device)).latent_dist
        moments = torch.stack([posterior.mean, posterior.std], dim=1).float()
        moments[:, 0] -= self.vae.config.get("shift_factor") or 0.0
        return (moments * self.vae.config.scaling_factor).to("cpu", torch.float16).numpy()


def autoencoder_digest(vae: "AutoencoderKL") -> str:
    """A hash over the autoencoder's configuration and weights, as they would be loaded anywhere."""
    config = {name: value for name, value in vae.config.items() if not name.startswith("_")}
    total = hashlib.sha256(json.dumps(config, sort_keys=True, default=str).encode())
    for name, weight in sorted(vae.state_dict().items()):
        total.update(name.encode())
        total.update(weight.detach().cpu().float().contiguous().numpy().data)
    return total.hexdigest()


def encode_dataset(
    target: Target, encoder: Encoder, root: Path, *, advance: Callable[[int], None] = lambda count: None
) -> Latents:
    """Encode what the cache under `root` does not hold yet, shard by shard, and open it all.

    Args:
        advance: called with the number of pictures done.
    """
    folder = encoder.folder(root)
    folder.mkdir(parents=True, exist_ok=True)
    shards, starts = [], [0]
    for shard in target.shards():
        path = folder / f"{_keys_digest(target, shard)}.npy"
        if not path.is_file():
            _encode_shard(target, shard, encoder, path, advance)
        else:
            advance(target.rows(shard))
        shards.append(np.load(path, mmap_mode="r"))
        starts.append(starts[-1] + len(shards[-1]))
    return Latents(shards=tuple(shards), starts=np.array(starts))


def _keys_digest(target: Target, shard: int) -> str:
    total = hashlib.sha256()
    for batch in target.read(shard, ["key"]):
        total.update("".join(batch.column("key").to_pylist()).encode())
    return total.hexdigest()[:32]


def _encode_shard(
    target: Target, shard: int, encoder: Encoder, path: Path, advance: Callable[[int], None]
) -> None:
    """Encode one shard into a temporary file that gets its name when it is whole."""
    shape = (target.rows(shard), 2, *encoder.shape)
    with replacing(path, shared=True) as temporary:
        moments = np.lib.format.open_memmap(temporary, mode="w+", dtype=np.float16, shape=shape)
        place = 0
        for pictures in _pictures(target, shard, encoder):
            readable = [index for index, picture in enumerate(pictures) if picture is not None]
            part = np.full((len(pictures), *shape[1:]), np.nan, np.float16)
            if readable:
                part[readable] = encoder.moments(np.stack([each for each in pictures if each is not None]))
            moments[place : place + len(pictures)] = part
            place += len(pictures)
            advance(len(pictures))
        moments.flush()


def _pictures(target: Target, shard: int, encoder: Encoder) -> Iterator[list[NDArray[np.uint8] | None]]:
    """Batches of fitted pictures, (side, side, 3) each; None where one cannot be decoded."""
    for batch in target.read(shard, ["image"], batch_rows=encoder.batch_size):
        pictures: list[NDArray[np.uint8] | None] = []
        for image in batch.column("image").to_pylist():
            try:
                decoded = decode_image(image["bytes"], max_pixels=target.max_pixels)
            except ImageUnreadable:  # it keeps its row as NaN; the run counts and says how many there are
                pictures.append(None)
            else:
                pictures.append(np.asarray(fit_picture(decoded, encoder.side, encoder.fit)))
        yield pictures
