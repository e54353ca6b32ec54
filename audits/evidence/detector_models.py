"""Detection models of transformers by name: those with classes of their own, and those that are asked for any (zero-shot).

Both answer with everything above a low score; what is believed of it is decided in `detections`. Zero-shot models are asked some
classes at a time. Of the classes of one question a box gets the likeliest; a noun that is asked for beside them gets
what it scores by itself, so that a caption's words never change what is found of the classes.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from PIL import Image

from audits.evidence import Seen
from audits.evidence.detections import class_name, suppress
from recapdata.captioners.pretrained import device_and_dtype, loading
from recapdata.errors import ModelNotSupported
from recapdata.models.sources import ModelSource

QUESTION = {"owlvit": 64, "owlv2": 64, "grounding-dino": 32, "mm-grounding-dino": 32}
"""Zero-shot models by their type, and how many classes they are asked for at once (GroundingDINO reads 256 tokens)."""
PROMPT = {"owlvit": "a photo of a {}", "owlv2": "a photo of a {}"}

ONE_NAME = 0.9
"""IoU from which on two boxes of a zero-shot model are one thing, which has one name: the likeliest."""

Boxes = list[tuple[float, float, float, float]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Detector:
    """A model ready to look; made by `load_detector`.

    Attributes:
        labels: its own classes in lower case by their number, None where it is asked for any.
    """

    model_type: str
    model: Any
    processor: Any
    device: str
    dtype: str
    labels: tuple[str, ...] | None

    def look(
        self,
        pictures: Sequence[Image.Image],
        classes: Sequence[str],
        nouns: Sequence[Sequence[str]],
        least: float,
    ) -> list[list[Seen]]:
        """What it finds in each picture from a score on.

        Args:
            classes: what a zero-shot model is asked for in every picture.
            nouns: what it is asked for in each picture besides, apart from them.
        """
        if self.labels is not None:
            return self._own_classes(pictures, least)
        found: list[list[Seen]] = [[] for _ in pictures]
        size = QUESTION[self.model_type]
        for start in range(0, len(classes), size):
            asked = [list(classes[start : start + size])] * len(pictures)
            for mine, each in zip(found, self._asked(pictures, asked, least, alone=False), strict=True):
                mine += each
        found = [suppress(each, ONE_NAME, across_classes=True) for each in found]
        for start in range(0, max(map(len, nouns), default=0), size):
            rows = [row for row, each in enumerate(nouns) if len(each) > start]
            asked = [list(nouns[row][start : start + size]) for row in rows]
            answers = self._asked([pictures[row] for row in rows], asked, least, alone=True)
            for row, each in zip(rows, answers, strict=True):
                found[row] += each
        return found

    def _own_classes(self, pictures: Sequence[Image.Image], least: float) -> list[list[Seen]]:
        assert self.labels is not None
        inputs = self.processor(images=list(pictures), return_tensors="pt")
        answers = self.processor.post_process_object_detection(
            self._run(inputs), threshold=least, target_sizes=[(each.height, each.width) for each in pictures]
        )
        return [
            [
                _seen(box, self.labels[label], score)
                for box, label, score in zip(
                    each["boxes"].tolist(), each["labels"].tolist(), each["scores"].tolist(), strict=True
                )
                if label < len(self.labels) and self.labels[label] and box[2] > box[0] and box[3] > box[1]
            ]
            for each in answers
        ]

    def _asked(
        self, pictures: Sequence[Image.Image], asked: Sequence[list[str]], least: float, *, alone: bool
    ) -> list[list[Seen]]:
        """What is found of the classes asked for in each picture; `alone` scores each class by itself."""
        prompt = PROMPT.get(self.model_type)
        # To GroundingDINO a full stop ends a class.
        texts = [[prompt.format(each) if prompt else each.replace(".", " ") for each in one] for one in asked]
        padding = "max_length" if prompt else True
        inputs = self.processor(
            images=list(pictures), text=texts, return_tensors="pt", padding=padding, truncation=True
        )
        outputs = self._run(inputs)
        scores = outputs.logits.sigmoid()
        if not prompt:
            scores = _by_phrase(scores, inputs["input_ids"], self.processor.tokenizer, max(map(len, asked)))
        found = []
        for picture, names, own, boxes in zip(pictures, asked, scores, outputs.pred_boxes, strict=True):
            corners = _corners(boxes.tolist(), picture, square=self.model_type == "owlv2")
            found.append(list(_answers(names, own[:, : len(names)], corners, least, alone=alone)))
        return found

    def _run(self, inputs: Any) -> Any:
        """The model's outputs on a batch, logits and boxes in full precision on the CPU."""
        import torch

        tensors = {
            name: each.to(self.device, getattr(torch, self.dtype) if each.is_floating_point() else None)
            for name, each in inputs.items()
        }
        with torch.inference_mode():
            outputs = self.model(**tensors)
        outputs.logits = outputs.logits.float().cpu()
        outputs.pred_boxes = outputs.pred_boxes.float().cpu()
        return outputs


def model_kind(source: ModelSource) -> tuple[str, tuple[str, ...] | None]:
    """A model's type, and its classes in lower case by their number (None for a zero-shot one), from its configuration alone.

    Raises:
        ModelNotSupported: it is no detection model, or its classes have no names.
    """
    from transformers import AutoConfig
    from transformers.models.auto.modeling_auto import MODEL_FOR_OBJECT_DETECTION_MAPPING_NAMES

    with loading(source):
        config = AutoConfig.from_pretrained(source.location, revision=source.commit, trust_remote_code=False)
    if config.model_type in QUESTION:
        return config.model_type, None
    if config.model_type not in MODEL_FOR_OBJECT_DETECTION_MAPPING_NAMES:
        raise ModelNotSupported(
            f"{source.name} is a {config.model_type} model, which detects no objects; give a detection model (DETR, YOLOS, "
            "RT-DETR, …) or a zero-shot one (OWL-ViT, OWLv2, GroundingDINO)"
        )
    count = max(config.id2label, default=-1) + 1
    labels = tuple(class_name(config.id2label.get(number, "")) for number in range(count))
    if not any(labels):
        raise ModelNotSupported(f"{source.name} has no names for its classes (id2label in its config.json)")
    return config.model_type, labels


def load_detector(source: ModelSource) -> Detector:
    """The model with its weights, on the accelerator if there is one.

    Raises:
        ModelNotSupported: it is of another kind, or not complete.
    """
    import torch
    from transformers import (
        AutoImageProcessor,
        AutoModelForObjectDetection,
        AutoModelForZeroShotObjectDetection,
        AutoProcessor,
    )

    model_type, labels = model_kind(source)
    pinned: dict[str, Any] = {"revision": source.commit, "trust_remote_code": False}
    device, dtype = device_and_dtype()
    with loading(source):
        processors: Any = AutoProcessor if labels is None else AutoImageProcessor
        models: Any = AutoModelForZeroShotObjectDetection if labels is None else AutoModelForObjectDetection
        processor = processors.from_pretrained(source.location, **pinned)
        model = models.from_pretrained(source.location, dtype=getattr(torch, dtype), **pinned)
    return Detector(
        model_type=model_type,
        model=model.to(device).eval(),
        processor=processor,
        device=device,
        dtype=dtype,
        labels=labels,
    )


# --- answers -------------------------------------------------------------------------------------------------------------


def _answers(names: Sequence[str], scores: Any, boxes: Boxes, least: float, *, alone: bool) -> Iterator[Seen]:
    """The boxes [n] that score enough in `scores` [n, classes]; each with its likeliest class, or with every one."""
    best = scores.argmax(1).tolist()
    for row, each in enumerate(scores.tolist()):
        for place, score in enumerate(each):
            covers = boxes[row][2] > 0 and boxes[row][3] > 0
            if covers and score >= least and (alone or place == best[row]):
                yield Seen(
                    bbox=boxes[row], category=names[place], score=score, area=boxes[row][2] * boxes[row][3]
                )


def _by_phrase(scores: Any, input_ids: Any, tokenizer: Any, most: int) -> Any:
    """Scores per token [batch, boxes, tokens] → per phrase [batch, boxes, most]: the best token between two full stops."""
    import torch

    stop = tokenizer.convert_tokens_to_ids(".")
    special = set(tokenizer.all_special_ids)
    phrases = torch.zeros(*scores.shape[:2], most)
    for row, tokens in enumerate(input_ids.tolist()):
        phrase = 0
        for place, token in enumerate(tokens):
            if token == stop:
                phrase += 1
            elif token not in special and phrase < most:
                phrases[row, :, phrase] = torch.maximum(phrases[row, :, phrase], scores[row, :, place])
    return phrases


def _corners(boxes: Sequence[Sequence[float]], picture: Image.Image, *, square: bool) -> Boxes:
    """Boxes as shares (center and size) → [x, y, width, height] in pixels, inside the picture; OWLv2 pads it to a square."""
    width, height = (max(picture.size),) * 2 if square else picture.size
    found = []
    for x, y, w, h in boxes:
        left, right = (min(max(edge * width, 0.0), picture.width) for edge in (x - w / 2, x + w / 2))
        top, bottom = (min(max(edge * height, 0.0), picture.height) for edge in (y - h / 2, y + h / 2))
        found.append((left, top, right - left, bottom - top))
    return found


def _seen(corners: Sequence[float], label: str, score: float) -> Seen:
    left, top, right, bottom = corners
    size = (max(right - left, 0.0), max(bottom - top, 0.0))
    return Seen(bbox=(left, top, *size), category=label, score=score, area=size[0] * size[1])
