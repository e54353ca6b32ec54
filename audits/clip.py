"""CLIP scores through open_clip: how near a caption lies to its image, whole and sentence by sentence.

Two conventions, both by name: 100·cos(image, caption), as DALL·E 3 reports it (Betker et al. 2023), and
2.5·max(cos, 0) with the prefix "A photo depicts" (CLIPScore, Hessel et al. 2021). A text longer than the model's context is
cut by its tokenizer, which is why the sentences are scored as well.
"""

import io
import re
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from PIL import Image, UnidentifiedImageError

from audits.clip_models import ClipSource, resolve

if TYPE_CHECKING:
    import torch

Step = TypeVar("Step")

HESSEL_PREFIX = "A photo depicts "
HESSEL_WEIGHT = 2.5
PARTS = ("caption", "hessel", "sentences")
AHEAD = 2
"""Batches whose images are decoded while the model works on an earlier one."""
TEXTS = 256
"""Texts encoded at once."""

_SENTENCE_END = re.compile(r"(?<=[.!?])[\"'”’)]*\s+(?=[\"'“‘(]*[A-Z0-9])")


@dataclass(frozen=True, slots=True, kw_only=True)
class ClipScores:
    """CLIP scores of one caption; None where they were not asked for, or the caption or its image is missing."""

    clip_score: float | None = None
    clip_score_hessel: float | None = None
    clip_sentence_mean: float | None = None
    clip_sentence_min: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Clip:
    """An open_clip model ready to score; make one with `load_clip`.

    Attributes:
        name: the model as it was asked for; `revision` is the commit or content hash it resolved to.
        pixels: decoded image → float tensor [3, height, width], the model's own preprocessing.
        parts: those of `PARTS` that are scored.
    """

    name: str
    revision: str
    model: Any
    pixels: Callable[[Image.Image], "torch.Tensor"]
    tokenize: Callable[[list[str]], "torch.Tensor"]
    device: str
    parts: tuple[str, ...] = PARTS

    @property
    def identity(self) -> str:
        """The model with its resolved revision, as audits name it."""
        return f"{self.name}@{self.revision}"

    def encode_images(self, pixels: "torch.Tensor") -> "torch.Tensor":
        """Unit image embeddings [n, d] of preprocessed pixels [n, 3, height, width]."""
        import torch

        with torch.inference_mode():
            return self.model.encode_image(pixels.to(self.device), normalize=True).float()

    def encode_texts(self, texts: Sequence[str]) -> "torch.Tensor":
        """Unit text embeddings [n, d]; encoded in parts, so that many sentences need no more memory than few."""
        import torch

        parts = [list(texts[start : start + TEXTS]) for start in range(0, len(texts), TEXTS)]
        with torch.inference_mode():
            return torch.cat(
                [
                    self.model.encode_text(self.tokenize(part).to(self.device), normalize=True).float()
                    for part in parts
                ]
            )

    def score(
        self, images: "torch.Tensor", captions: Sequence[str | None], rows: Sequence[int | None]
    ) -> list[ClipScores]:
        """Scores of captions against the image embedding of their row; a None in either gives empty scores.

        Args:
            images: unit image embeddings [m, d].
            rows: for every caption the row of `images` it belongs to, None where its image could not be read.
        """
        wanted = [
            (place, row, caption)
            for place, (caption, row) in enumerate(zip(captions, rows, strict=True))
            if caption is not None and row is not None
        ]
        scores = [ClipScores()] * len(captions)
        if not wanted:
            return scores
        texts: dict[str, int] = {}
        asked = [self._texts(caption, texts) for _, _, caption in wanted]
        # One encoding per distinct text: a caption of one sentence is its own sentence, and sets share captions.
        embedded = self.encode_texts(list(texts))
        flat = [(row, text) for (_, row, _), each in zip(wanted, asked, strict=True) for text in each]
        cosines = (images[[row for row, _ in flat]] * embedded[[text for _, text in flat]]).sum(-1).tolist()
        start = 0
        for (place, _, _), each in zip(wanted, asked, strict=True):
            scores[place] = self._scores(cosines[start : start + len(each)])
            start += len(each)
        return scores

    def _texts(self, caption: str, texts: dict[str, int]) -> list[int]:
        """Places in `texts` of what one caption needs encoded: itself, with the prefix, its sentences."""
        needed = ["caption" in self.parts and caption, "hessel" in self.parts and HESSEL_PREFIX + caption]
        needed += sentences(caption) if "sentences" in self.parts else []
        return [texts.setdefault(text, len(texts)) for text in needed if text is not False]

    def _scores(self, cosines: list[float]) -> ClipScores:
        left = iter(cosines)
        whole = 100 * next(left) if "caption" in self.parts else None
        hessel = HESSEL_WEIGHT * max(next(left), 0.0) if "hessel" in self.parts else None
        each = [100 * cosine for cosine in left]
        return ClipScores(
            clip_score=whole,
            clip_score_hessel=hessel,
            clip_sentence_mean=sum(each) / len(each) if each else None,
            clip_sentence_min=min(each, default=None),
        )


def load_clip(name: str | ClipSource, *, parts: Sequence[str] = PARTS, device: str | None = None) -> Clip:
    """Load a CLIP model by name (see `clip_models.resolve` for the forms) on the accelerator if there is one.

    Raises:
        ModelNotSupported: no model of that name, or not an open_clip model.
        HubError: the Hub cannot be reached.
    """
    import torch

    source = name if isinstance(name, ClipSource) else resolve(name)
    model, pixels, tokenize = source.load()
    device = device or ("cuda" if torch.cuda.is_available() else "cpu")
    return Clip(
        name=source.name,
        revision=source.revision,
        model=model.eval().to(device),
        pixels=pixels,
        tokenize=tokenize,
        device=device,
        parts=tuple(part for part in PARTS if part in parts),
    )


def sentences(caption: str) -> list[str]:
    """The caption's sentences, cut at closing punctuation before a capital or a digit."""
    return [part for part in _SENTENCE_END.split(caption.strip()) if part] or [caption]


@dataclass(frozen=True, slots=True)
class Encoded:
    """Image embeddings of a batch: `rows[i]` is the row of `images` for the i-th image, None where `errors[i]` says why."""

    images: "torch.Tensor"
    rows: list[int | None]
    errors: list[str | None]


def encode_ahead(
    clip: Clip, steps: Iterable[tuple[Step, list[bytes | None]]], *, workers: int
) -> Iterator[tuple[Step, Encoded]]:
    """Encode the images of each step, decoding those of the next steps on threads meanwhile.

    Args:
        steps: whatever the caller wants back beside the embeddings, with the bytes of its images, None for one that is not
            wanted: it has neither row nor error.
    """
    with ThreadPoolExecutor(workers, thread_name_prefix="decode") as pool:
        queue: deque[tuple[Step, list[Future[Any]]]] = deque()
        for step, images in steps:
            queue.append((step, [pool.submit(_pixels, clip.pixels, image) for image in images]))
            if len(queue) > AHEAD:
                done, futures = queue.popleft()
                yield done, _encoded(clip, futures)
        while queue:
            done, futures = queue.popleft()
            yield done, _encoded(clip, futures)


def _encoded(clip: Clip, futures: list[Future[Any]]) -> Encoded:
    import torch

    results = [future.result() for future in futures]
    decoded = [result for result in results if not isinstance(result, str)]
    numbers = iter(range(len(decoded)))
    rows = [None if isinstance(result, str) else next(numbers) for result in results]
    errors = [result or None if isinstance(result, str) else None for result in results]
    images = clip.encode_images(torch.stack(decoded)) if decoded else torch.empty(0, 1)
    return Encoded(images=images, rows=rows, errors=errors)


def _pixels(preprocess: Callable[[Image.Image], "torch.Tensor"], image: bytes | None) -> "torch.Tensor | str":
    """The pixels of one image, or the reason why there are none, which is empty for one that is not wanted."""
    if image is None:
        return ""
    try:
        with Image.open(io.BytesIO(image)) as picture:
            return preprocess(picture)
    except (OSError, UnidentifiedImageError, Image.DecompressionBombError, ValueError) as error:
        return f"UnreadableImage: {error}"
