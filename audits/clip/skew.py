"""Train–inference skew: how far the captions of a set lie from the prompts that a model trained on them will be given.

RECAP (Segalis et al. 2023) gives this skew as one of two reasons why models trained on alt text do badly (the other is how much
a caption says), and argues it from what becomes of the models; it defines no distance. The one here is the Fréchet distance
of two Gaussians (Dowson & Landau 1982, as in FID, Heusel et al. 2017), |μ₁−μ₂|² + tr(Σ₁ + Σ₂ − 2(Σ₁Σ₂)^½), fitted to the unit
CLIP text embeddings of captions and prompts, times 100; 0 is none. It depends on the model, so compare only with the same one.
"""

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from audits.clip.scorer import TEXTS, Clip, load_clip
from audits.rules import rules
from audits.text.coverage import count_words
from recapdata.errors import OptionError
from recapdata.models.dual_encoders import ClipSource
from recapdata.prompt_files import read_prompt_file

MOST = 50_000
"""Captions of a set that are embedded, drawn by their keys; more do not change the distance much."""
ENOUGH = 2
"""Texts for each dimension of the embedding below which the distance is mostly the noise of a small sample."""
SCALE = 100.0


@dataclass(frozen=True, slots=True)
class Skew:
    """The distance between the captions of a set and prompts.

    Attributes:
        distance: 100 × the Fréchet distance of their CLIP text embeddings.
        prompts: what they were compared with; `clip` the model with its revision.
        captions_used, prompts_used: how many texts of each it rests on.
        caption_words, prompt_words: their mean lengths.
        enough: whether there were `ENOUGH` of both for the embedding's dimensions; the distance is too large where not.
        identity: hash of the captions, hash of the prompts, the model, and the version of the rules.
    """

    distance: float
    prompts: str
    clip: str
    captions_used: int
    prompts_used: int
    caption_words: float
    prompt_words: float
    dimensions: int
    enough: bool
    identity: str

    def text(self) -> str:
        """One line for the summary."""
        line = f"{self.distance:.2f} ({self.captions_used:,} captions of {self.caption_words:.0f} words on average, "
        line += f"{self.prompts_used:,} prompts of {self.prompt_words:.0f})"
        small = f"; too few for {self.dimensions} dimensions, so the distance is too large"
        return line if self.enough else line + small


class Cloud:
    """Mean and covariance of embeddings, added batch by batch; memory is that of one matrix, whatever their number."""

    def __init__(self) -> None:
        self.count = 0
        self.words = 0
        self._sum: np.ndarray | float = 0.0
        self._squares: np.ndarray | float = 0.0

    def add(self, embeddings: np.ndarray) -> None:
        """Add embeddings [n, d]."""
        values = embeddings.astype(np.float64)
        self.count += len(values)
        self._sum = self._sum + values.sum(axis=0)
        self._squares = self._squares + values.T @ values

    @property
    def mean(self) -> np.ndarray:
        """[d]."""
        return np.asarray(self._sum) / self.count

    @property
    def covariance(self) -> np.ndarray:
        """[d, d], unbiased."""
        centered = np.asarray(self._squares) - self.count * np.outer(self.mean, self.mean)
        return centered / max(self.count - 1, 1)


def frechet(one: Cloud, other: Cloud) -> float:
    """The Fréchet distance (squared, as FID has it) of the Gaussians fitted to two clouds."""
    values, vectors = np.linalg.eigh(one.covariance)
    root = (vectors * np.sqrt(values.clip(min=0))) @ vectors.T
    # tr((Σ₁Σ₂)^½) = tr((Σ₁^½ Σ₂ Σ₁^½)^½), and that matrix is symmetric.
    crossed = np.sqrt(np.linalg.eigvalsh(root @ other.covariance @ root).clip(min=0)).sum()
    offset = one.mean - other.mean
    return float(offset @ offset + np.trace(one.covariance) + np.trace(other.covariance) - 2 * crossed)


def embed(clip: Clip, texts: Iterable[str]) -> Cloud:
    """The cloud of the embeddings of texts."""
    cloud, rest = Cloud(), iter(texts)
    while part := list(islice(rest, TEXTS)):
        cloud.add(clip.encode_texts(part).cpu().numpy())
        cloud.words += sum(map(count_words, part))
    return cloud


def skews(
    captions: Mapping[str, tuple[str, Sequence[str]]],
    prompts: "Prompts | None",
    model: ClipSource | None,
    before: Mapping[str, Mapping[str, Any]],
) -> dict[str, dict[str, Any]]:
    """The skew of each set, as `summary.json` has it.

    Args:
        captions: by set a hash of all its captions, and a sample of them (see `sampler`).
        prompts: what to compare with; None keeps what an earlier summary says, where the captions are still the same.
        before: the entries of the earlier summary; one of the same captions, prompts and model is not computed again.
    """
    made_by = rules("skew")
    asked = f"{prompts.identity()} {model.name}@{model.revision} {made_by}" if prompts and model else None
    found: dict[str, dict[str, Any]] = {}
    stale = []
    for name, (content, _) in captions.items():
        old = before.get(name)
        if old is not None and old["identity"] in (
            f"{content} {asked}",
            asked is None and str(old["identity"]).endswith(made_by) and f"{content} {_rest(old)}",
        ):
            found[name] = dict(old)
        elif asked is not None and not (prompts and prompts.path is None and prompts.name == name):
            stale.append(name)
    if stale and prompts is not None and model is not None:
        clip = load_clip(model)
        cloud = embed(clip, prompts.texts())
        for name in stale:
            content, sample = captions[name]
            mine = embed(clip, sample)
            if mine.count:
                found[name] = asdict(skew_of(mine, cloud, prompts.name, clip, f"{content} {asked}"))
    return found


def skew_of(captions: Cloud, prompts: Cloud, name: str, clip: Clip, identity: str = "") -> Skew:
    """The skew of captions and prompts whose embeddings are there, at least one of each.

    Args:
        name: what the prompts are called.
    """
    dimensions = len(captions.mean)
    return Skew(
        distance=float(f"{SCALE * max(frechet(captions, prompts), 0.0):.6g}"),
        prompts=name,
        clip=clip.identity,
        captions_used=captions.count,
        prompts_used=prompts.count,
        caption_words=round(captions.words / captions.count, 2),
        prompt_words=round(prompts.words / prompts.count, 2),
        dimensions=dimensions,
        enough=min(captions.count, prompts.count) >= ENOUGH * dimensions,
        identity=identity,
    )


def content_hash(parts: Iterable[str]) -> str:
    """A short hash of texts in order."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(f"{len(part)}:{part}".encode("utf8", "replace"))
    return digest.hexdigest()[:12]


def _rest(old: Mapping[str, Any]) -> str:
    return str(old["identity"]).partition(" ")[2]


# --- where the texts come from -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Prompts:
    """Prompts by name: a caption set of the dataset, or a file or folder (see `recapdata.prompt_files`).

    Attributes:
        sample: captions of the set, of a large one some; empty for a file.
        path: the file; None for a caption set.
    """

    name: str
    sample: Sequence[str] = ()
    path: Path | None = None

    def texts(self) -> Iterable[str]:
        """The prompts."""
        if self.path is None:
            return self.sample
        return filter(None, (row.prompt.strip() for row in read_prompt_file(self.path)))

    def identity(self) -> str:
        """A hash of the prompts."""
        return content_hash(self.texts())


def open_prompts(name: str, sets: Sequence[str], sample: Callable[[str], Sequence[str]]) -> Prompts:
    """The prompts of a name; a caption set wins over a file.

    Args:
        sets: the caption sets of the dataset; `sample` gives captions of one of them.

    Raises:
        OptionError: there is neither, or no prompts in it.
        InputError: a line of the file cannot be read.
    """
    if name in sets:
        found = Prompts(name, sample=sample(name))
    elif Path(name).exists():
        found = Prompts(Path(name).name, path=Path(name))
    else:
        raise OptionError(f"--prompts {name}: neither a caption set ({', '.join(sets)}) nor a file or folder")
    if next(iter(found.texts()), None) is None:
        raise OptionError(f"--prompts {name}: there are no prompts in it")
    return found


def sampler(rows: int, most: int = MOST) -> Callable[[str], bool]:
    """Whether the record of a key is one of about `most` of so many that are looked at.

    Keys are hashes, so that any share of their range is a fair sample, and the same one every time.
    """
    below = f"{min(int(2**32 * most / max(rows, 1)), 2**32 - 1):08x}"
    return lambda key: key[:8] <= below
