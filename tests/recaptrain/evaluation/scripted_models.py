"""Measuring made-up pictures by metrics whose detector and CLIP model are scripted, so that every figure can be derived by hand."""

from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import torch
from PIL import Image

from audits.clip.scorer import Clip
from audits.evidence import Observation
from audits.evidence.detections import Thresholds
from audits.evidence.detector import Detections, OwnSource
from recaptrain.evaluation.seen import Detector, SeenEmbeddings, SeenEvidence, Store

CLASSES = ("person", "dog", "cat", "horse", "car", "chair", "bench", "apple", "hot dog", "sheep", "mouse")


def picture(prompt, number=0, **changes):
    """A picture to evaluate, told from others by the color of its one pixel."""
    given = {"read": prompt, "category": None, "fields": {}, "objects": None, "prompt_id": f"p{number}"}
    return SimpleNamespace(id=f"{number}", prompt=prompt, **{**given, **changes})


def image(number, side=100):
    """The image of a picture by its number."""
    return Image.new("RGB", (side, side), (number % 256, number // 256, 7))


def box(category, score=1.0, bbox=(10.0, 10.0, 20.0, 20.0)):
    """A detection."""
    return Observation(category=category, score=score, bbox=bbox)


class ScriptedDetector:
    """Answers by the number of an image; counts what it is asked."""

    def __init__(self, answers):
        self.answers = answers
        self.asked = []

    def detect(self, pictures, nouns, lowest):
        numbers = [each.getpixel((0, 0)) for each in pictures]
        places = [red + 256 * green for red, green, _ in numbers]
        self.asked += places
        return [list(self.answers[place]) for place in places]


def detector(answers, classes=CLASSES, root=None):
    """A detector that answers by script, as the metrics get it; and the script's own record of what it was asked."""
    from audits.evidence import detector as module

    script = ScriptedDetector(answers)
    source = OwnSource(name="scripted", location=f"scripted-{id(script)}", revision="1")
    module._DETECTORS[f"{source.location}@1"] = script
    detections = Detections(source=source, thresholds=Thresholds(), defaults=Thresholds(), classes=classes)
    return Detector(SeenEvidence((detections,), Store(root)), detections), script


class Words(torch.nn.Module):
    """An image's embedding is given by its number, a text's by a function of the text."""

    def __init__(self, images, texts, factor):
        super().__init__()
        self.images, self.texts = images, texts
        self.logit_scale = torch.nn.Parameter(torch.tensor(float(np.log(factor))))

    def encode_image(self, pixels, normalize):
        numbers = (pixels[:, 0, 0, 0] * 255 + 256 * (pixels[:, 1, 0, 0] * 255).round()).round().int()
        self.encoded = [*getattr(self, "encoded", []), *numbers.tolist()]
        found = torch.tensor([self.images[int(each)] for each in numbers], dtype=torch.float32)
        return torch.nn.functional.normalize(found, dim=-1)

    def encode_text(self, tokens, normalize):
        return torch.nn.functional.normalize(tokens, dim=-1)

    def tokenize(self, texts):
        return torch.tensor([self.texts(text) for text in texts], dtype=torch.float32)


def embeddings(images, texts, factor=100.0, root=None):
    """A CLIP model whose embeddings are known.

    Args:
        images: embedding by the number of an image.
        texts: text → embedding.
    """
    model = Words(images, texts, factor)

    def pixels(each):
        return torch.from_numpy(np.asarray(each, np.float32) / 255).permute(2, 0, 1)

    clip = Clip(name="known", revision="1", model=model, pixels=pixels, tokenize=model.tokenize, device="cpu")
    return SeenEmbeddings(clip, Store(root))


def measured(metric, pictures, images=None):
    """The rows of pictures as the run keeps them, those that do not apply left out."""
    images = [image(number) for number in range(len(pictures))] if images is None else images
    rows = metric.measure(pictures, images)
    kept = [
        {"id": each.id, "prompt_id": each.prompt_id, **row}
        for each, row in zip(pictures, rows, strict=True)
        if row is not None
    ]
    schema = pa.schema([("id", pa.string()), ("prompt_id", pa.string()), *metric.schema])
    return pa.Table.from_pylist(kept, schema=schema)


def figures(metric, rows, weights=None):
    """The value of every figure by name."""
    weights = np.ones(rows.num_rows) if weights is None else np.array(weights, np.float64)
    return {each.name: each.value(weights) for each in metric.figures(rows)}
