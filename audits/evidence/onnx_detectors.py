"""Detectors of the YOLO family in the ONNX format, run by onnxruntime (the `onnx` extra).

Three layouts of the output are read, for N boxes and C classes, in pixels of the model's input:

    [batch, N, 5 + C]   center, size, objectness, a score per class                 (YOLOv5 to YOLOv7)
    [batch, 4 + C, N]   center, size, a score per class                             (YOLOv8 to YOLOv12)
    [batch, N, 6]       corners, score, number of the class; suppressed already     (YOLOv10, YOLO26, exports with NMS)

RT-DETR's exports are read as well: the second with boxes before values, or the third, with centers and sizes in shares of the input.
Segmentation models give their boxes. A picture is scaled to fit the input and padded with gray at both sides, as Ultralytics does.
"""

import ast
import hashlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from audits.evidence import Seen
from audits.evidence.onnx_names import read_names
from recapdata.errors import CaptionerNotFound, MissingExtra, ModelNotSupported, OptionError

SIDE = 640
"""Height and width of the input where the model takes any and its metadata name none."""
GRAY = 114
NMS = 0.7
"""IoU of two boxes of a class from which on only the likelier one is kept: Ultralytics' own, since these exports suppress nothing."""
SHARES = 1.5
"""Boxes whose coordinates all lie below this are shares of the input's sides and no pixels."""
DTYPES = {"tensor(float)": np.float32, "tensor(float16)": np.float16, "tensor(uint8)": np.uint8}
TASKS = ("detect", "segment")

Layout = Literal["objectness", "classes", "end-to-end"]


@dataclass(frozen=True, slots=True, kw_only=True)
class OnnxSource:
    """An ONNX detector found and read.

    Attributes:
        name: the file as the user named it.
        revision: `sha256:` and a hash of the model's bytes, with weights beside it, and its class names.
        labels: class names by number; empty where a number has none.
    """

    name: str
    path: str
    revision: str
    labels: tuple[str, ...]

    def load(self) -> "OnnxDetector":
        """The model, ready to look.

        Raises:
            ModelNotSupported: it is no detection model that can be read, or has changed since it was found.
        """
        detector, revision = _read(self.name, Path(self.path))
        if revision != self.revision:
            raise ModelNotSupported(
                f"detector:{self.name}: the file has changed since the run began; run it again"
            )
        return detector


@dataclass(frozen=True, slots=True, kw_only=True)
class OnnxDetector:
    """An ONNX detector ready to look; made by `OnnxSource.load`.

    Attributes:
        size: height and width of its input in pixels.
        batch: pictures that it takes at once; None for any number.
        masks: values per box that belong to masks and not to classes.
    """

    name: str
    session: Any
    labels: tuple[str, ...]
    size: tuple[int, int]
    batch: int | None
    masks: int

    def look(
        self,
        pictures: Sequence[Image.Image],
        classes: Sequence[str],
        nouns: Sequence[Sequence[str]],
        lowest: float,
    ) -> list[list[Seen]]:
        """What it detects in each picture from a score on, not suppressed; it is asked for no class and no noun.

        Raises:
            ModelNotSupported: its output has none of the layouts.
        """
        found: list[list[Seen]] = []
        size = self.batch or len(pictures)
        for start in range(0, len(pictures), size):
            part = pictures[start : start + size]
            fitted = [letterbox(picture, self.size) for picture in part]
            pixels = [each.pixels for each in fitted]
            pixels += [np.zeros_like(pixels[0])] * (
                size - len(part)
            )  # a model of a fixed batch wants it full
            outputs = self._run(np.stack(pixels))
            found += [
                self._boxes(output, each, lowest) for output, each in zip(outputs, fitted, strict=False)
            ]
        return found

    def layout(self, output: NDArray[np.float32]) -> tuple[Layout, NDArray[np.float32]]:
        """The layout of the output of one picture, and the output with one row per box and without masks.

        Raises:
            ModelNotSupported: it has none of the layouts.
        """
        count, masks = len(self.labels), self.masks
        rows, columns = output.shape
        if columns == 6 + masks and _suppressed(output, count):
            return "end-to-end", output[:, :6]
        if columns == 5 + count + masks:
            return "objectness", output[:, : 5 + count]
        if rows == 4 + count + masks:
            return "classes", output[: 4 + count].T
        # Nothing but shares tells this one from objectness and a name too many.
        if columns == 4 + count and _in_shares(output):
            return "classes", output
        raise ModelNotSupported(
            f"detector:{self.name}: an output of {rows} × {columns} for one picture and {count} class names; a detector of the YOLO "
            f"family gives {5 + count} values a box (with objectness), {4 + count} (without), or 6 (with NMS). Export the model for "
            "detection, with as many names as it has classes"
        )

    def _run(self, pixels: NDArray[np.float32]) -> NDArray[np.float32]:
        """The boxes of a batch of pictures [batch, 3, height, width] from 0 to 1, [batch, rows, columns]."""
        kind = DTYPES[self.session.get_inputs()[0].type]
        values = np.rint(pixels * 255) if kind is np.uint8 else pixels
        outputs = self.session.run(
            [self.session.get_outputs()[0].name], {self.session.get_inputs()[0].name: values.astype(kind)}
        )
        boxes = np.asarray(outputs[0], np.float32)
        if boxes.ndim == 2 and len(pixels) == 1:
            boxes = boxes[None]
        if boxes.ndim != 3 or len(boxes) != len(pixels):
            raise ModelNotSupported(
                f"detector:{self.name}: an output of the shape {list(boxes.shape)} for {len(pixels)} pictures; a detector of the "
                "YOLO family gives one table of boxes a picture"
            )
        return boxes

    def _boxes(self, output: NDArray[np.float32], fitted: "Letterboxed", lowest: float) -> list[Seen]:
        """The boxes of one picture in its own pixels, each with its likeliest class."""
        kind, table = self.layout(output)
        shares = _in_shares(table)
        if kind == "end-to-end":
            scores, numbers = table[:, 4], table[:, 5].astype(int)
        else:
            likely = table[:, 4:] if kind == "classes" else table[:, 5:] * table[:, 4:5]
            scores, numbers = likely.max(1), likely.argmax(1)
        # RT-DETR gives centers and sizes in shares, 300 of them, which are never all ordered as corners are.
        if kind == "end-to-end" and not (shares and not _ordered(table).all()):
            corners = table[:, :4].copy()
        else:
            half = table[:, 2:4] / 2
            corners = np.hstack([table[:, :2] - half, table[:, :2] + half])
        if shares:
            corners *= np.array([self.size[1], self.size[0]] * 2, np.float32)
        # What has no score at all fills the table up.
        wanted = np.flatnonzero((scores >= lowest) & (scores > 0) | ~np.isfinite(scores))
        placed = fitted.placed(corners[wanted])
        found = []
        for (left, top, right, bottom), score, number in zip(
            placed.tolist(), scores[wanted].tolist(), numbers[wanted].tolist(), strict=True
        ):
            if not 0 <= number < len(self.labels):
                raise ModelNotSupported(
                    f"detector:{self.name}: it found its class {number}, and there are {len(self.labels)} names; give a name for each "
                    "of its classes"
                )
            if self.labels[number]:
                box = (left, top, right - left, bottom - top)
                found.append(Seen(bbox=box, category=self.labels[number], score=score))
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Letterboxed:
    """A picture fitted into a model's input.

    Attributes:
        pixels: [3, height, width] from 0 to 1.
        scale: pixels of the input per pixel of the picture, across and down.
        left, top: gray pixels beside and above it.
    """

    pixels: NDArray[np.float32]
    scale: tuple[float, float]
    left: int
    top: int

    def placed(self, corners: NDArray[np.float32]) -> NDArray[np.float32]:
        """Corners [n, 4] in the input → in the picture."""
        shifted = corners - np.array([self.left, self.top] * 2, np.float32)
        return np.asarray(shifted / np.array(self.scale * 2, np.float32), np.float32)


def letterbox(picture: Image.Image, size: tuple[int, int]) -> Letterboxed:
    """Scale a picture to fit into `size` (height, width) and put it in the middle of a gray field.

    It is interpolated as OpenCV does it, which these models saw in training, without smoothing what becomes smaller.
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
    return Letterboxed(
        pixels=field,
        scale=(inner[1] / picture.width, inner[0] / picture.height),
        left=left,
        top=top,
    )


def open_onnx(name: str, revision: str | None = None) -> tuple[OnnxSource, OnnxDetector]:
    """An ONNX detector by its file, found and loaded.

    Args:
        revision: the revision that it has to have; any where None.

    Raises:
        CaptionerNotFound: no such file.
        MissingExtra: onnxruntime is not installed.
        ModelNotSupported: it is no detection model that can be read, or has no class names.
        OptionError: it has another revision.
    """
    path = Path(name).resolve()
    detector, found = _read(name, path)
    if revision not in (None, found):
        raise OptionError(
            f"detector:{name}@{revision}: the file's revision is {found}; leave out what stands after the @"
        )
    return OnnxSource(name=name, path=str(path), revision=found, labels=detector.labels), detector


def _read(name: str, path: Path) -> tuple[OnnxDetector, str]:
    """The model of a file and its revision."""
    if not path.is_file():
        raise CaptionerNotFound(f"detector:{name}: there is no file {path}")
    if find_spec("onnxruntime") is None:
        raise MissingExtra(
            "detectors in the ONNX format need onnxruntime, which is not installed; install it with: pip install 'recapdata[onnx]'"
        )
    session = _session(name, path)
    metadata: Mapping[str, str] = session.get_modelmeta().custom_metadata_map
    if metadata.get("task", "detect") not in TASKS:
        raise ModelNotSupported(
            f"detector:{name} is exported for the task {metadata['task']}; export a model for detection"
        )
    taken = _input(name, session, metadata)
    labels = read_names(path, metadata)
    detector = OnnxDetector(name=name, session=session, labels=labels, **taken, masks=_masks(session))
    _try(detector)
    return detector, _revision(path, labels)


def _session(name: str, path: Path) -> Any:
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


def _input(name: str, session: Any, metadata: Mapping[str, str]) -> dict[str, Any]:
    """Height, width and batch size of a model's one input."""
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
    fits = (
        isinstance(sides, list | tuple) and len(sides) == 2 and all(isinstance(each, int) for each in sides)
    )
    height, width = (
        own if isinstance(own, int) and own > 0 else default
        for own, default in zip(shape[2:], sides if fits else [SIDE] * 2, strict=True)
    )
    return {"size": (height, width), "batch": shape[0] if isinstance(shape[0], int) else None}


def _masks(session: Any) -> int:
    """Values per box that a segmentation model weighs its mask prototypes [batch, count, height, width] with."""
    shapes = [each.shape for each in session.get_outputs()[1:]]
    return next((shape[1] for shape in shapes if len(shape) == 4 and isinstance(shape[1], int)), 0)


def _try(detector: OnnxDetector) -> None:
    """Look at an empty picture, so that a model that cannot be read is found before the run."""
    from onnxruntime.capi import onnxruntime_pybind11_state as state

    empty = letterbox(Image.new("RGB", (SIDE, SIDE), (GRAY,) * 3), detector.size)
    try:
        output = detector._run(np.stack([empty.pixels] * (detector.batch or 1)))[0]
    except (state.Fail, state.InvalidArgument, state.RuntimeException) as error:
        raise ModelNotSupported(
            f"detector:{detector.name} cannot look at a picture of {detector.size[1]} × {detector.size[0]} pixels: {error}"
        ) from error
    kind, table = detector.layout(output)
    if kind != "end-to-end" and (table[:, 2:4] < 0).any():
        raise ModelNotSupported(
            f"detector:{detector.name} gives boxes in units of its grids, as YOLOX does; export it with their decoding "
            "(--decode_in_inference)"
        )


def _suppressed(output: NDArray[np.float32], classes: int) -> bool:
    """Whether six values of a box are corners, score and number of the class."""
    if (output[:, 5] % 1).any():
        return False
    # Of one class or two the other layouts have six values as well; but a center and a size are as a rule no ordered corners.
    return classes > 2 or not len(output) or bool(_ordered(output).mean() > 0.5)


def _ordered(table: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Which rows may begin with two corners: right of left, and bottom below top."""
    return np.asarray((table[:, 2:4] >= table[:, :2]).all(1))


def _in_shares(table: NDArray[np.float32]) -> bool:
    """Whether boxes are given in shares of the input's sides and not in pixels."""
    return bool(len(table)) and float(np.abs(table[:, :4]).max()) <= SHARES


def _revision(path: Path, labels: Sequence[str]) -> str:
    """A hash of the model's bytes, of weights beside it, and of the class names."""
    total = hashlib.sha256("\0".join(labels).encode())
    beside = [path.with_name(path.name + end) for end in (".data", "_data")]
    for file in (path, *(each for each in beside if each.is_file())):
        with open(file, "rb") as content:
            total.update(hashlib.file_digest(content, "sha256").digest())
    return f"sha256:{total.hexdigest()}"
