"""Detection models of transformers by name: with classes of their own, or zero-shot, prompted with any.

Both return everything above a low score; `detections` decides what is evidence. Zero-shot models are prompted with some classes at
once, of which a box gets the likeliest; a caption's noun beside them is scored by itself, so that a caption's words never change the
boxes of the classes.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from PIL import Image

from audits.evidence import Observation
from audits.evidence.detections import class_name, suppress
from recapdata.errors import ModelNotSupported
from recapdata.models.sources import ModelSource
from recapdata.models.transformers import device_and_dtype, load_pretrained

PROMPTED_AT_ONCE = {"owlvit": 64, "owlv2": 64, "grounding-dino": 32, "mm-grounding-dino": 32}
"""Zero-shot models by type, with the number of classes of one prompt (GroundingDINO takes 256 tokens)."""
PROMPT = {"owlvit": "a photo of a {}", "owlv2": "a photo of a {}"}

ONE_NAME = 0.9
"""IoU above which two boxes of a zero-shot model are one object, which gets the likeliest name."""

Boxes = list[tuple[float, float, float, float]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Detector:
    """A model of transformers with its weights; made by `load_detector`.

    Attributes:
        labels: its own classes in lower case by their number; None for a zero-shot model.
        classes: what a zero-shot model is prompted with for every image.
    """

    model_type: str
    model: Any
    processor: Any
    device: str
    dtype: str
    labels: tuple[str, ...] | None
    classes: tuple[str, ...]

    def detect(
        self, pictures: Sequence[Image.Image], nouns: Sequence[Sequence[str]], lowest: float
    ) -> list[list[Observation]]:
        """Its boxes in each image from a score on: of its classes, and of the nouns that a zero-shot model is prompted with."""
        if self.labels is not None:
            return self._detect_own(self.labels, pictures, lowest)
        detections: list[list[Observation]] = [[] for _ in pictures]
        size = PROMPTED_AT_ONCE[self.model_type]
        for start in range(0, len(self.classes), size):
            names = [list(self.classes[start : start + size])] * len(pictures)
            answers = self._detect_prompted(pictures, names, lowest, alone=False)
            for boxes, more in zip(detections, answers, strict=True):
                boxes += more
        detections = [suppress(boxes, ONE_NAME, across_classes=True) for boxes in detections]
        for start in range(0, max(map(len, nouns), default=0), size):
            rows = [row for row, mine in enumerate(nouns) if len(mine) > start]
            names = [list(nouns[row][start : start + size]) for row in rows]
            answers = self._detect_prompted([pictures[row] for row in rows], names, lowest, alone=True)
            for row, more in zip(rows, answers, strict=True):
                detections[row] += more
        return detections

    def _detect_own(
        self, labels: Sequence[str], pictures: Sequence[Image.Image], lowest: float
    ) -> list[list[Observation]]:
        inputs = self.processor(images=list(pictures), return_tensors="pt")
        answers = self.processor.post_process_object_detection(
            self._run(inputs), threshold=lowest, target_sizes=[(each.height, each.width) for each in pictures]
        )
        return [
            [
                _observation(box, labels[label], score)
                for box, label, score in zip(
                    each["boxes"].tolist(), each["labels"].tolist(), each["scores"].tolist(), strict=True
                )
                if label < len(labels) and labels[label] and box[2] > box[0] and box[3] > box[1]
            ]
            for each in answers
        ]

    def _detect_prompted(
        self, pictures: Sequence[Image.Image], names: Sequence[list[str]], lowest: float, *, alone: bool
    ) -> list[list[Observation]]:
        """The boxes of the names prompted for each image; `alone` scores each name by itself."""
        prompt = PROMPT.get(self.model_type)
        # To GroundingDINO a full stop ends a class.
        texts = [
            [prompt.format(name) if prompt else name.replace(".", " ") for name in mine] for mine in names
        ]
        padding = "max_length" if prompt else True
        inputs = self.processor(
            images=list(pictures), text=texts, return_tensors="pt", padding=padding, truncation=True
        )
        outputs = self._run(inputs)
        scores = outputs.logits.sigmoid()
        if not prompt:
            scores = _by_phrase(scores, inputs["input_ids"], self.processor.tokenizer, max(map(len, names)))
        detections = []
        for picture, mine, own, boxes in zip(pictures, names, scores, outputs.pred_boxes, strict=True):
            corners = _corners(boxes.tolist(), picture, square=self.model_type == "owlv2")
            detections.append(list(_observations(mine, own[:, : len(mine)], corners, lowest, alone=alone)))
        return detections

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

    config = load_pretrained(AutoConfig, source)
    if config.model_type in PROMPTED_AT_ONCE:
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


def load_detector(source: ModelSource, classes: Sequence[str]) -> Detector:
    """The model with its weights, on the accelerator if there is one.

    Args:
        classes: what a zero-shot model is prompted with for every image.

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
    device, dtype = device_and_dtype()
    models: Any = AutoModelForZeroShotObjectDetection if labels is None else AutoModelForObjectDetection
    processor = load_pretrained(AutoProcessor if labels is None else AutoImageProcessor, source)
    model = load_pretrained(models, source, dtype=getattr(torch, dtype))
    return Detector(
        model_type=model_type,
        model=model.to(device).eval(),
        processor=processor,
        device=device,
        dtype=dtype,
        labels=labels,
        classes=tuple(classes),
    )


# --- answers -------------------------------------------------------------------------------------------------------------


def _observations(
    names: Sequence[str], scores: Any, boxes: Boxes, lowest: float, *, alone: bool
) -> Iterator[Observation]:
    """The boxes [n] that score enough in `scores` [n, names], with the likeliest name of each, or with every name (`alone`)."""
    best = scores.argmax(1).tolist()
    for box, likeliest, row in zip(boxes, best, scores.tolist(), strict=True):
        for number, score in enumerate(row):
            covers = box[2] > 0 and box[3] > 0
            if covers and score >= lowest and (alone or number == likeliest):
                yield Observation(bbox=box, category=names[number], score=score, area=box[2] * box[3])


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


def _observation(corners: Sequence[float], label: str, score: float) -> Observation:
    left, top, right, bottom = corners
    size = (max(right - left, 0.0), max(bottom - top, 0.0))
    return Observation(bbox=(left, top, *size), category=label, score=score, area=size[0] * size[1])
