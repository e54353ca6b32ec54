"""CLIP scores: how near a caption is to its image, whole and sentence by sentence, and how much nearer than its counterfactuals.

Two conventions, both by name: 100·cos(image, caption), as DALL·E 3 reports it (Betker et al. 2023), and
2.5·max(cos, 0) with the prefix "A photo depicts" (CLIPScore, Hessel et al. 2021). Of a caption longer than the model's context
only the beginning is read, which is why the sentences are scored as well, and why its counterfactuals are made of the sentence they change.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from audits.clip.counterfactuals import Counterfactual
from audits.clip.scorer import Clip
from recapdata.sentences import sentence_spans, sentences

if TYPE_CHECKING:
    import torch

HESSEL_PREFIX = "A photo depicts "
HESSEL_WEIGHT = 2.5


@dataclass(frozen=True, slots=True, kw_only=True)
class ClipScores:
    """CLIP scores of one caption; None where they were not asked for, or the caption or its image is missing."""

    clip_score: float | None = None
    clip_score_hessel: float | None = None
    clip_sentence_mean: float | None = None
    clip_sentence_min: float | None = None
    clip_over_context: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Margin:
    """How much nearer a caption is to its image than its nearest counterfactual; None where there is no counterfactual, or none was scored.

    Attributes:
        clip_margin: 100·(cos(image, caption) − cos(image, counterfactual)) for the counterfactual that comes nearest.
        clip_margin_kind, clip_lie: the kind of claim that counterfactual changes, and the counterfactual itself.
        lied_about: the kinds of which a counterfactual was scored, `low_margin` those whose counterfactual scores no lower than the caption; None
            where `clip_margin` is.
    """

    clip_margin: float | None = None
    clip_margin_kind: str | None = None
    clip_lie: str | None = None
    lied_about: list[str] | None = None
    low_margin: list[str] | None = None


class Cosines:
    """Cosines between texts and the images of one batch; a text is encoded once, however many scores need it."""

    def __init__(self, clip: Clip, images: "torch.Tensor") -> None:
        """Hold the unit embeddings [m, d] of the batch's images."""
        self.clip = clip
        self._images = images
        self._rows: dict[str, int] = {}
        self._texts: torch.Tensor | None = None

    def __call__(self, pairs: Sequence[tuple[int, str]]) -> list[float]:
        """The cosine of each pair of an image's row and a text."""
        import torch

        if not pairs:
            return []
        new = [text for text in dict.fromkeys(text for _, text in pairs) if text not in self._rows]
        if new:
            self._rows |= {text: len(self._rows) + place for place, text in enumerate(new)}
            embedded = self.clip.encode_texts(new)
            self._texts = embedded if self._texts is None else torch.cat([self._texts, embedded])
        assert self._texts is not None
        texts = self._texts[[self._rows[text] for _, text in pairs]]
        found: list[float] = (self._images[[row for row, _ in pairs]] * texts).sum(-1).tolist()
        return found


def score(cosines: Cosines, captions: Sequence[str | None], rows: Sequence[int | None]) -> list[ClipScores]:
    """The scores of captions that the model was asked for; empty ones where caption or image is missing.

    Args:
        rows: for every caption the row of the image it belongs to, None where that could not be read.
    """
    clip = cosines.clip
    scores = [ClipScores()] * len(captions)
    wanted = list(_there(captions, rows))
    asked = [_texts(caption, clip.parts) for _, _, caption in wanted]
    found = iter(
        cosines([(row, text) for (_, row, _), texts in zip(wanted, asked, strict=True) for text in texts])
    )
    for (place, _, caption), texts in zip(wanted, asked, strict=True):
        scores[place] = _scores([next(found) for _ in texts], clip, caption)
    return scores


def margins(
    cosines: Cosines,
    captions: Sequence[str | None],
    rows: Sequence[int | None],
    counterfactuals: Sequence[Sequence[Counterfactual]],
) -> list[Margin]:
    """The margin of captions over their counterfactuals; see `score` for the arguments."""
    margins = [Margin()] * len(captions)
    wanted = list(_there(captions, rows))
    asked = [_sides(cosines.clip, caption, counterfactuals[place]) for place, _, caption in wanted]
    pairs = [
        (row, text)
        for (_, row, _), sides in zip(wanted, asked, strict=True)
        for side in sides
        for text in side[1:]
    ]
    found = iter(cosines(pairs))
    for (place, _, caption), sides in zip(wanted, asked, strict=True):
        each = {
            counterfactual.kind: (100 * (next(found) - next(found)), counterfactual)
            for counterfactual, _, _ in sides
        }
        if each:
            kind, (margin, counterfactual) = min(each.items(), key=lambda item: item[1][0])
            low: list[str] = [name for name, (points, _) in each.items() if points <= 0]
            margins[place] = Margin(
                clip_margin=margin,
                clip_margin_kind=kind,
                clip_lie=counterfactual.text(caption),
                lied_about=list(each),
                low_margin=low,
            )
    return margins


def _there(captions: Sequence[str | None], rows: Sequence[int | None]) -> Iterator[tuple[int, int, str]]:
    """Place, image row and text of the captions that can be scored."""
    for place, (caption, row) in enumerate(zip(captions, rows, strict=True)):
        if caption is not None and row is not None:
            yield place, row, caption


def _texts(caption: str, parts: Sequence[str]) -> list[str]:
    """What has to be encoded of a caption: itself, with the prefix, its sentences."""
    whole = [caption] if "caption" in parts else []
    whole += [HESSEL_PREFIX + caption] if "hessel" in parts else []
    return whole + (sentences(caption) or [caption] if "sentences" in parts else [])


def _scores(cosines: list[float], clip: Clip, caption: str) -> ClipScores:
    left = iter(cosines)
    whole = 100 * next(left) if "caption" in clip.parts else None
    hessel = HESSEL_WEIGHT * max(next(left), 0.0) if "hessel" in clip.parts else None
    each = [100 * cosine for cosine in left]
    return ClipScores(
        clip_score=whole,
        clip_score_hessel=hessel,
        clip_sentence_mean=sum(each) / len(each) if each else None,
        clip_sentence_min=min(each, default=None),
        clip_over_context=clip.overflows(caption),
    )


def _sides(
    clip: Clip, caption: str, counterfactuals: Sequence[Counterfactual]
) -> list[tuple[Counterfactual, str, str]]:
    """Each counterfactual with what is held against what: the captions whole where they fit the model's context, else the sentence."""
    spans = sentence_spans(caption) if counterfactuals and clip.overflows(caption) else []
    sides = []
    for counterfactual in counterfactuals:
        start, end = _around(spans, counterfactual.span) if spans else (0, len(caption))
        own, other = caption[start:end], counterfactual.text(caption, start, end)
        if not spans or not (clip.overflows(own) or clip.overflows(other)):
            sides.append((counterfactual, own, other))
    return sides


def _around(spans: Sequence[tuple[int, int]], span: tuple[int, int]) -> tuple[int, int]:
    """The sentences that a claim stands in, as one span."""
    inside = [(start, end) for start, end in spans if start < span[1] and span[0] < end]
    return (inside[0][0], inside[-1][1]) if inside else (spans[0][0], spans[-1][1])
