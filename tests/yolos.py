"""Small ONNX detectors in the layouts of the YOLO family, made of real operators: they find red, green and blue squares.

The input is cut into cells of 16 × 16 pixels; the score of a class in a cell is its mean color less the two others. So what they
detect can be told by hand.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

CELL = 16
COLORS = ("red", "green", "blue")
METADATA = {"names": "{0: 'red', 1: 'green', 2: 'blue'}", "task": "detect"}


def save_yolo(
    path: Path,
    layout: str = "classes",
    *,
    metadata: Mapping[str, str] | None = METADATA,
    size: int = 64,
    shape: Sequence[Any] = (1, 3, 64, 64),
    half: bool = False,
    copies: int = 1,
    colors: int = 3,
    transposed: bool = False,
    unit: float = 1.0,
    masks: int = 0,
    sign: float = 1.0,
    centers: bool = False,
) -> Path:
    """Write a model.

    Args:
        layout: `classes` (YOLOv8), `objectness` (YOLOv5) or `end-to-end`.
        shape: of the input; a text is a dynamic axis.
        copies: boxes per cell, each 1 pixel further to the right.
        colors: how many of the colors are classes.
        transposed: the other of the two ways to order boxes and values.
        unit: what boxes are given in, 1/size for shares of the input.
        masks: coefficients of masks per box, with an output of prototypes.
        sign: of the boxes' sizes; -1 makes sizes that no decoded box has.
        centers: whether `end-to-end` gives center and size, as RT-DETR does, and not corners.
    """
    from onnx import TensorProto, checker, helper, numpy_helper, save

    kind = TensorProto.FLOAT16 if half else TensorProto.FLOAT
    dtype = np.float16 if half else np.float32
    cells = size // CELL
    count = cells * cells * copies
    nodes, constants = [], []

    def constant(name: str, values: Any, of: Any = dtype) -> str:
        constants.append(numpy_helper.from_array(np.asarray(values, of), name))
        return name

    def node(operator: str, inputs: Sequence[str], output: str, **attributes: Any) -> str:
        nodes.append(helper.make_node(operator, list(inputs), [output], **attributes))
        return output

    mix = (2 * np.eye(3) - 1)[:colors].reshape(colors, 3, 1, 1)
    pooled = node("AveragePool", ["images"], "pooled", kernel_shape=[CELL, CELL], strides=[CELL, CELL])
    mixed = node("Conv", [pooled, constant("mix", mix)], "mixed")
    clipped = node("Clip", [mixed, constant("zero", 0), constant("one", 1)], "clipped")
    batch = shape[0] if isinstance(shape[0], int) else -1
    flat = node("Reshape", [clipped, constant("flat", [batch, colors, cells * cells], np.int64)], "scores")
    scores = node("Concat", [flat] * copies, "copied", axis=2)

    boxes = np.array(
        [
            (column * CELL + copy, row * CELL, CELL, CELL)
            for copy in range(copies)
            for row in range(cells)
            for column in range(cells)
        ],
        float,
    )
    if layout == "end-to-end" and not centers:
        boxes[:, 2:] += boxes[:, :2]
    else:
        boxes[:, :2] += boxes[:, 2:] / 2
        boxes[:, 2:] *= sign
    # One box table for each picture: the constant is added to zeros of the batch's size.
    one = node("ReduceMax", [scores, constant("axis", [1], np.int64)], "best", keepdims=1)
    nothing = node("Mul", [one, constant("nought", 0)], "nothing")
    placed = node("Add", [nothing, constant("boxes", boxes.T[None] * unit)], "placed")
    if layout == "end-to-end":
        number = node("ArgMax", [scores], "number", axis=1, keepdims=1)
        number = node("Cast", [number], "class", to=kind)
        parts = [placed, one, number]
    elif layout == "objectness":
        parts = [placed, node("Add", [nothing, constant("sure", 0.5)], "objectness"), scores]
    else:
        parts = [placed, scores]
    if masks:
        parts.append(node("Concat", [nothing] * masks, "coefficients", axis=1))
    columns = node("Concat", parts, "columns", axis=1)
    if (layout == "classes") == transposed:
        columns = node("Transpose", [columns], "rows", perm=[0, 2, 1])
    nodes[-1].output[0] = "output0"
    width = {"classes": 4, "objectness": 5, "end-to-end": 6}[layout] + masks
    width += 0 if layout == "end-to-end" else colors
    table = [width, count] if (layout == "classes") != transposed else [count, width]
    outputs = [helper.make_tensor_value_info("output0", kind, [shape[0], *table])]
    if masks:
        constant("prototypes", np.zeros((1, masks, 4, 4)))
        node("Identity", ["prototypes"], "output1")
        outputs.append(helper.make_tensor_value_info("output1", kind, [1, masks, 4, 4]))
    graph = helper.make_graph(
        nodes, "squares", [helper.make_tensor_value_info("images", kind, list(shape))], outputs, constants
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    if metadata:
        helper.set_model_props(model, dict(metadata))
    checker.check_model(model)
    save(model, path)
    return path
