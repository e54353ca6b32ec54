"""Dual encoders: images and texts to embeddings that can be held against each other, any model by name.

How much of a text a model reads is its own matter: 77 tokens for most of CLIP's kind, hundreds for those made for long
captions. The scores themselves are made in `audits.clip.scores`.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from PIL import Image

from recapdata.dataset.decoding import DECODED_PIXELS, ImageUnreadable, decode_image
from recapdata.models.dual_encoders import ClipSource

if TYPE_CHECKING:
    import torch

Step = TypeVar("Step")

PLAIN_PARTS = ("caption", "hessel", "sentences")
MARGIN = "margin"
PARTS = (*PLAIN_PARTS, MARGIN)
SPECIAL = 3
"""Tokens that a tokenizer adds to a text at most."""
AHEAD = 2
"""Batches whose images are decoded while the model works on an earlier one."""
TEXTS = 256
"""Texts encoded at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Clip:
    """A dual encoder ready to score; make one with `load_clip`.

    Attributes:
        name: the model as it was asked for; `revision` is the commit or content hash it resolved to.
        pixels: image in RGB, as `decode_image` gives it → float tensor [3, height, width], the model's own preprocessing.
        parts: those of `PARTS` that are scored.
        context: tokens of a text that the model reads, start and end included; None where it does not say.
        count_tokens: tokens of a text before it is cut to the context.
    """

    name: str
    revision: str
    model: Any
    pixels: Callable[[Image.Image], "torch.Tensor"]
    tokenize: Callable[[list[str]], "torch.Tensor"]
    device: str
    parts: tuple[str, ...] = PARTS
    context: int | None = None
    count_tokens: Callable[[str], int] | None = None

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

    def overflows(self, text: str) -> bool | None:
        """Whether the model reads only the beginning of a text; None where it is not known how much it reads."""
        if self.context is None or self.count_tokens is None:
            return None
        # No tokenizer makes more than one token of a byte; short texts need no second look.
        return len(text.encode()) + SPECIAL > self.context and self.count_tokens(text) > self.context


def load_clip(source: ClipSource, *, parts: Sequence[str] = PARTS, device: str | None = None) -> Clip:
    """Load a model that was found by name (`recapdata.models.dual_encoders.find_clip`) on the accelerator if there is one.

    Raises:
        ModelNotSupported: no model can be made of its files.
    """
    import torch

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
        context=getattr(model, "context_length", None),
        count_tokens=_counter(tokenize),
    )


def _counter(tokenize: Any) -> Callable[[str], int] | None:
    """The number of tokens that a tokenizer of open_clip makes of a text, start and end included, before it cuts it."""
    pretrained, clean = getattr(tokenize, "tokenizer", None), getattr(tokenize, "clean_fn", str)
    if pretrained is not None:
        return lambda text: len(pretrained(clean(text), verbose=False).input_ids)
    encode = getattr(tokenize, "encode", None)
    return (lambda text: len(encode(text)) + 2) if encode is not None else None


@dataclass(frozen=True, slots=True)
class Encoded:
    """Image embeddings of a batch: `rows[i]` is the row of `images` for the i-th image, None where `errors[i]` says why."""

    images: "torch.Tensor"
    rows: list[int | None]
    errors: list[str | None]


def encode_ahead(
    clip: Clip,
    steps: Iterable[tuple[Step, list[bytes | None]]],
    *,
    workers: int,
    max_pixels: int = DECODED_PIXELS,
) -> Iterator[tuple[Step, Encoded]]:
    """Encode the images of each step, decoding those of the next steps on threads meanwhile.

    Args:
        steps: whatever the caller wants back beside the embeddings, with the bytes of its images, None for one that is not
            wanted: it has neither row nor error.
        max_pixels: the dataset's limit of pixels (`Target.max_pixels`).
    """
    with ThreadPoolExecutor(workers, thread_name_prefix="decode") as pool:
        queue: deque[tuple[Step, list[Future[Any]]]] = deque()
        for step, images in steps:
            queue.append((step, [pool.submit(_pixels, clip.pixels, image, max_pixels) for image in images]))
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


def _pixels(
    preprocess: Callable[[Image.Image], "torch.Tensor"], image: bytes | None, max_pixels: int
) -> "torch.Tensor | str":
    """The pixels of one image, or the reason why there are none, which is empty for one that is not wanted."""
    if image is None:
        return ""
    try:
        return preprocess(decode_image(image, max_pixels=max_pixels))
    except ImageUnreadable as error:
        return f"UnreadableImage: {error}"
