"""Detectors of the YOLO family in the ONNX format, run by onnxruntime (the `onnx` extra).

Three layouts of the output are supported, for N boxes and C classes, in pixels of the model's input:

    [batch, N, 5 + C]   center, size, objectness, a score per class                 (YOLOv5 to YOLOv7)
    [batch, 4 + C, N]   center, size, a score per class                             (YOLOv8 to YOLOv12)
    [batch, N, 6]       corners, score, class number, after non-maximum suppression (YOLOv10, YOLO26, exports with NMS)

So are RT-DETR's exports: the second with boxes before values, or the third, with centers and sizes as shares of the input. Of
segmentation models only the boxes are used. An image is scaled to fit the input and padded with gray on both sides, as Ultralytics does.
"""

import ast
import hashlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from audits.evidence import Observation
from audits.evidence.onnx_names import read_names
from recapdata.errors import CaptionerNotFound, ModelNotSupported
from recapdata.extras import require

SIDE = 640
"""Height and width of the input where neither the model nor its metadata fixes them."""
GRAY = 114
NMS = 0.7
"""IoU above which the less likely of two boxes of a class is left out: Ultralytics' default, since these exports suppress nothing."""
SHARES = 1.5
"""Boxes whose coordinates are all below this are shares of the input's sides and not pixels."""
DTYPES = {"tensor(float)": np.float32, "tensor(float16)": np.float16, "tensor(uint8)": np.uint8}
TASKS = ("detect", "segment")

Layout = Literal["objectness", "classes", "end-to-end"]
Array = NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class OnnxDetector:
    """An ONNX detector; made by `read_onnx`.

    Attributes:
        name: the file as the user named it.
        revision: `sha256:` and a hash of the model's bytes, of weights beside it, and of its class names.
        labels: class names by number; empty where a number has none.
        size: height and width of its input in pixels.
        batch: images per call; None for any number.
        masks: values per box that belong to masks and not to classes.
    """

    name: str
    revision: str
    session: Any
    labels: tuple[str, ...]
    size: tuple[int, int]
    batch: int | None
    masks: int

    @property
    def classes(self) -> tuple[str, ...]:
        """Its class names, once each."""
        return tuple(dict.fromkeys(filter(None, self.labels)))

    def detect(
        self, pictures: Sequence[Image.Image], nouns: Sequence[Sequence[str]], lowest: float
    ) -> list[list[Observation]]:
        """Its boxes in each image from a score on, not suppressed; `nouns` is ignored.

        Raises:
            ModelNotSupported: its output has none of the layouts.
        """
        detections: list[list[Observation]] = []
        size = self.batch or len(pictures)
        for start in range(0, len(pictures), size):
            fitted = [letterbox(picture, self.size) for picture in pictures[start : start + size]]
            pixels = np.zeros((size, 3, *self.size), np.float32)  # a fixed batch is filled up with zeros
            pixels[: len(fitted)] = [each.pixels for each in fitted]
            outputs = self._run(pixels)
            detections += [self._boxes(*pair, lowest) for pair in zip(outputs, fitted, strict=False)]
        return detections

    def layout(self, output: Array) -> tuple[Layout, Array]:
        """The layout of one image's output, and the output with one row per box and without masks.

        Raises:
            ModelNotSupported: it has none of the layouts.
        """
        count, masks = len(self.labels), self.masks
        rows, columns = output.shape
        if columns == 6 + masks and _is_suppressed(output, count):
            return "end-to-end", output[:, :6]
        if columns == 5 + count + masks:
            return "objectness", output[:, : 5 + count]
        if rows == 4 + count + masks:
            return "classes", output[: 4 + count].T
        # Only the shares distinguish this layout from one with objectness and a name too many.
        if columns == 4 + count and _in_shares(output):
            return "classes", output
        raise ModelNotSupported(
            f"detector:{self.name}: an output of {rows} × {columns} for one picture and {count} class names; a detector of the YOLO "
            f"family gives {5 + count} values a box (with objectness), {4 + count} (without), or 6 (with NMS). Export the model for "
            "detection, with as many names as it has classes"
        )

    def check(self) -> None:
        """Run the model on an empty image, so that an unsupported one is noticed before a run.

        Raises:
            ModelNotSupported: it fails, or its output has none of the layouts.
        """
        from onnxruntime.capi import onnxruntime_pybind11_state as state

        empty = np.full((self.batch or 1, 3, *self.size), GRAY / 255, np.float32)
        try:
            output = self._run(empty)[0]
        except (state.Fail, state.InvalidArgument, state.RuntimeException) as error:
            raise ModelNotSupported(
                f"detector:{self.name} cannot look at a picture of {self.size[1]} × {self.size[0]} pixels: {error}"
            ) from error
        kind, table = self.layout(output)
        if kind != "end-to-end" and (table[:, 2:4] < 0).any():
            raise ModelNotSupported(
                f"detector:{self.name} gives boxes in units of its grids, as YOLOX does; export it with their decoding "
                "(--decode_in_inference)"
            )

    def _run(self, pixels: Array) -> Array:
        """The output [batch, rows, columns] for images [batch, 3, height, width] from 0 to 1."""
        given, returned = self.session.get_inputs()[0], self.session.get_outputs()[0]
        kind = DTYPES[given.type]
        values = np.rint(pixels * 255) if kind is np.uint8 else pixels
        (output,) = self.session.run([returned.name], {given.name: values.astype(kind)})
        boxes = np.asarray(output, np.float32)
        if boxes.ndim == 2 and len(pixels) == 1:
            boxes = boxes[None]
        if boxes.ndim != 3 or len(boxes) != len(pixels):
            raise ModelNotSupported(
                f"detector:{self.name}: an output of the shape {list(boxes.shape)} for {len(pixels)} pictures; a detector of the "
                "YOLO family gives one table of boxes a picture"
            )
        return boxes

    def _boxes(self, output: Array, fitted: "Letterboxed", lowest: float) -> list[Observation]:
        """The boxes of one image in its own pixels, with the likeliest class of each."""
        kind, table = self.layout(output)
        shares = _in_shares(table)
        if kind == "end-to-end":
            scores, numbers = table[:, 4], table[:, 5].astype(int)
        else:
            likely = table[:, 4:] if kind == "classes" else table[:, 5:] * table[:, 4:5]
            scores, numbers = likely.max(1), likely.argmax(1)
        # RT-DETR gives 300 centers and sizes in shares, of which some row is never ordered as corners are.
        if kind == "end-to-end" and not (shares and not _ordered(table).all()):
            corners = table[:, :4].copy()
        else:
            half = table[:, 2:4] / 2
            corners = np.hstack([table[:, :2] - half, table[:, :2] + half])
        if shares:
            corners *= np.array([self.size[1], self.size[0]] * 2, np.float32)
        # Rows without any score fill the table up; what is not finite is kept, to be counted as invalid.
        wanted = np.flatnonzero((scores >= lowest) & (scores > 0) | ~np.isfinite(scores))
        boxes = []
        for (left, top, right, bottom), score, number in zip(
            fitted.to_image(corners[wanted]).tolist(),
            scores[wanted].tolist(),
            numbers[wanted].tolist(),
            strict=True,
        ):
            if not 0 <= number < len(self.labels):
                raise ModelNotSupported(
                    f"detector:{self.name}: it found its class {number}, and there are {len(self.labels)} names; give a name for each "
                    "of its classes"
                )
            if self.labels[number]:
                box = (left, top, right - left, bottom - top)
                boxes.append(Observation(bbox=box, category=self.labels[number], score=score))
        return boxes


@dataclass(frozen=True, slots=True, kw_only=True)
class Letterboxed:
    """An image fitted into a model's input.

    Attributes:
        pixels: [3, height, width] from 0 to 1.
        scale: pixels of the input per pixel of the image, horizontally and vertically.
        left, top: width and height of the gray padding before it.
    """

    pixels: Array
    scale: tuple[float, float]
    left: int
    top: int

    def to_image(self, corners: Array) -> Array:
        """Corners [n, 4] in pixels of the input → in pixels of the image."""
        shifted = corners - np.array([self.left, self.top] * 2, np.float32)
        return np.asarray(shifted / np.array(self.scale * 2, np.float32), np.float32)


def letterbox(picture: Image.Image, size: tuple[int, int]) -> Letterboxed:
    """Scale an image to fit into `size` (height, width) and center it in a gray field.

    Bilinear without antialiasing, as OpenCV does it, by which these models are trained.
    """
    import torch

    height, width = size
    share = min(height / picture.height, width / picture.width)
    inner = (max(round(picture.height * share), 1), max(round(picture.width * share), 1))
    pixels = torch.from_numpy(np.asarray(picture, np.float32).transpose(2, 0, 1) / 255)
    scaled = torch.nn.functional.interpolate(pixels[None], inner, mode="bilinear", align_corners=False)[0]
    top, left = (height - inner[0]) // 2, (width - inner[1]) // 2
    field = np.full((3, height, width), GRAY / 255, np.float32)
    field[:, top : top + inner[0], left : left + inner[1]] = scaled.numpy()
    scale = (inner[1] / picture.width, inner[0] / picture.height)
    return Letterboxed(pixels=field, scale=scale, left=left, top=top)


# --- opening a file ------------------------------------------------------------------------------------------------------


def read_onnx(name: str, path: Path) -> OnnxDetector:
    """Load the model of a file, and try it on an empty image.

    Raises:
        CaptionerNotFound: no such file.
        MissingExtra: onnxruntime is not installed.
        ModelNotSupported: it is no detection model of a known layout, or has no class names.
    """
    if not path.is_file():
        raise CaptionerNotFound(f"detector:{name}: there is no file {path}")
    require("onnxruntime", extra="onnx")
    session = _open_session(name, path)
    metadata: Mapping[str, str] = session.get_modelmeta().custom_metadata_map
    if metadata.get("task", "detect") not in TASKS:
        raise ModelNotSupported(
            f"detector:{name} is exported for the task {metadata['task']}; export a model for detection"
        )
    size, batch = _input_shape(name, session, metadata)
    labels = read_names(path, metadata)
    # A segmentation model also returns mask prototypes [batch, count, height, width], which each box weighs by `count` values.
    shapes = [output.shape for output in session.get_outputs()[1:]]
    detector = OnnxDetector(
        name=name,
        revision=_revision(path, labels),
        session=session,
        labels=labels,
        size=size,
        batch=batch,
        masks=next((shape[1] for shape in shapes if len(shape) == 4 and isinstance(shape[1], int)), 0),
    )
    detector.check()
    return detector


def _open_session(name: str, path: Path) -> Any:
    import onnxruntime
    from onnxruntime.capi import onnxruntime_pybind11_state as state

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = int(os.environ.get("OMP_NUM_THREADS") or 0)
    wanted = ("CUDAExecutionProvider", "CPUExecutionProvider")
    providers = [each for each in wanted if each in onnxruntime.get_available_providers()]
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=providers)
    except (
        state.Fail, state.InvalidProtobuf, state.InvalidGraph, state.InvalidArgument, state.NotImplemented, state.NoSuchFile,
        state.NoModel, state.RuntimeException,
    ) as error:  # fmt: skip
        raise ModelNotSupported(f"detector:{name}: onnxruntime cannot read it: {error}") from error


def _input_shape(name: str, session: Any, metadata: Mapping[str, str]) -> tuple[tuple[int, int], int | None]:
    """Height and width of a model's one input, and its batch size where that is fixed."""
    inputs = session.get_inputs()
    shape = inputs[0].shape
    if len(inputs) != 1 or len(shape) != 4 or inputs[0].type not in DTYPES or shape[1] not in (3, None, ""):
        given = ", ".join(f"{each.name} {each.shape} {each.type}" for each in inputs)
        raise ModelNotSupported(
            f"detector:{name} takes {given}; a detector of the YOLO family takes pictures alone, [batch, 3, height, width]"
        )
    try:
        sides = ast.literal_eval(metadata.get("imgsz", ""))
    except (ValueError, SyntaxError):
        sides = None
    sides = [sides] * 2 if isinstance(sides, int) else sides
    if not (isinstance(sides, list | tuple) and [type(side) for side in sides] == [int, int]):
        sides = [SIDE, SIDE]
    height, width = (
        fixed if isinstance(fixed, int) and fixed > 0 else side
        for fixed, side in zip(shape[2:], sides, strict=True)
    )
    return (height, width), shape[0] if isinstance(shape[0], int) else None


def _is_suppressed(output: Array, classes: int) -> bool:
    """Whether a box's six values are corners, score and class number."""
    if (output[:, 5] % 1).any():
        return False
    # Of one class or two the other layouts have six values as well; but a center and a size are rarely ordered as corners.
    return classes > 2 or not len(output) or bool(_ordered(output).mean() > 0.5)


def _ordered(table: Array) -> NDArray[np.bool_]:
    """Which rows can begin with two corners: right of left, and bottom below top."""
    return np.asarray((table[:, 2:4] >= table[:, :2]).all(1))


def _in_shares(table: Array) -> bool:
    """Whether boxes are shares of the input's sides and not pixels."""
    return bool(len(table)) and float(np.abs(table[:, :4]).max()) <= SHARES


def _revision(path: Path, labels: Sequence[str]) -> str:
    """A hash of the model's bytes, of weights beside it, and of the class names."""
    total = hashlib.sha256("\0".join(labels).encode())
    beside = [path.with_name(path.name + end) for end in (".data", "_data")]
    for file in (path, *(each for each in beside if each.is_file())):
        with open(file, "rb") as content:
            total.update(hashlib.file_digest(content, "sha256").digest())
    return f"sha256:{total.hexdigest()}"
