"""ONNX detectors: real small models in each layout, whose boxes and scores are derived by hand, and where their class names are."""

import io
import json
import pickle
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from audits.evidence import Evidence, Record, open_evidence
from audits.evidence.detector import Detections, open_detector
from audits.evidence.onnx_detectors import letterbox
from audits.grounding.verdicts import ground
from audits.runner.run import run
from recapdata.dataset.target import Target, open_dataset
from recapdata.errors import CaptionerNotFound, MissingExtra, ModelNotSupported, OptionError
from recapdata.records import Claim
from tests.builders import build_dataset
from tests.yolos import METADATA, save_yolo

LAYOUTS = ("classes", "objectness", "end-to-end")
SURE = {"classes": 1.0, "objectness": 0.5, "end-to-end": 1.0}
"""The score of a pure color; where there is objectness, it is 0.5."""


def picture(width: int, height: int, *squares: tuple[int, int, int, tuple[int, int, int]]) -> Image.Image:
    """A gray picture with squares: left, top, side and color."""
    image = Image.new("RGB", (width, height), (114, 114, 114))
    for left, top, side, color in squares:
        image.paste(color, (left, top, left + side, top + side))
    return image


RED, BLUE, DIM_GREEN = (255, 0, 0), (0, 0, 255), (0, 51, 0)
WIDE = picture(128, 64, (32, 0, 32, RED), (96, 32, 32, BLUE), (0, 0, 32, DIM_GREEN))
"""Fitted into 64 × 64 it is 64 × 32, with 16 rows of gray above: its squares of 32 pixels fill cells of 16."""
TALL = picture(16, 64, (0, 16, 16, RED))
"""As large as its input; 24 columns of gray at the left."""


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Target:
    root = tmp_path_factory.mktemp("target")
    build_dataset(
        root / "ds",
        images=[encoded(WIDE), encoded(picture(64, 64, (0, 0, 16, BLUE)))],
        sets={"alt": ["a red thing", "two blue things"]},
    )
    return open_dataset(root / "ds")


def encoded(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def look(source: Detections, *pictures: Image.Image) -> list[Evidence]:
    found = source.collect([Record(values={}, picture=each) for each in pictures])
    return [each for each in found if each is not None]


def boxes(evidence: Evidence) -> list[tuple[Any, ...]]:
    return [(each.category, each.bbox, pytest.approx(each.score, abs=2e-3)) for each in evidence.objects]


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"shape": ("batch", 3, "height", "width"), "metadata": {**METADATA, "imgsz": "[64, 64]"}},
        {"shape": (4, 3, 64, 64)},
        {"half": True},
        {"masks": 7, "metadata": {**METADATA, "task": "segment"}},
    ],
)
def test_each_layout_finds_squares(
    target: Target, tmp_path: Path, layout: str, options: dict[str, Any]
) -> None:
    path = save_yolo(tmp_path / "model.onnx", layout, **options)
    source = open_detector(target, f"{path}:threshold=0.25:counting=0.5")
    assert source.classes == ("red", "green", "blue")
    wide, plain, again = look(source, WIDE, picture(64, 64), WIDE)
    sure = SURE[layout]
    assert boxes(wide) == [("red", (32, 0, 32, 32), sure), ("blue", (96, 32, 32, 32), sure)]
    assert (wide.width, wide.height, wide.counting) == (128, 64, 0.5)
    # 51 of 255 is 0.2, and half of it is 0.1 where objectness is 0.5.
    doubtful = [(each.category, each.bbox, each.score) for each in wide.doubtful]
    assert doubtful == [("green", (0, 0, 32, 32), pytest.approx(0.2 * sure, abs=2e-3))][: len(doubtful)]
    assert len(doubtful) == 1 or layout == "objectness"
    assert (plain.objects, plain.doubtful, plain.invalid) == ((), (), 0)
    assert boxes(again) == boxes(wide)


def test_doubt_leaves_absence_and_count_unknown(target: Target, tmp_path: Path) -> None:
    source = open_detector(target, str(save_yolo(tmp_path / "model.onnx")))
    dim = picture(128, 64, (32, 0, 32, RED), (64, 0, 32, (51, 0, 0)), (0, 0, 32, DIM_GREEN))
    (evidence,) = look(source, dim)
    claims = [Claim(kind="object", span=(0, 1), object=each) for each in source.classes]
    claims += [Claim(kind="count", span=(0, 1), object="red", count=count) for count in (1, 2)]
    # One red for certain and one in doubt; a green one in doubt; no blue.
    assert [each.verdict for each in ground(claims, [evidence]).claims] == [
        "supported", "unknown", "contradicted", "supported", "unknown",
    ]  # fmt: skip


@pytest.mark.parametrize("layout", LAYOUTS)
def test_boxes_in_shares_of_the_input(target: Target, tmp_path: Path, layout: str) -> None:
    plain = save_yolo(tmp_path / "plain.onnx", layout)
    others = [save_yolo(tmp_path / "shares.onnx", layout, unit=1 / 64)]
    if layout == "classes":  # as RT-DETR has them
        others.append(save_yolo(tmp_path / "turned.onnx", layout, unit=1 / 64, transposed=True))
    if layout == "end-to-end":  # as RT-DETR has them
        others.append(save_yolo(tmp_path / "centers.onnx", layout, unit=1 / 64, centers=True))
    expected = look(open_detector(target, str(plain)), WIDE)[0]
    assert len(expected.objects) == 2
    for path in others:
        assert boxes(look(open_detector(target, str(path)), WIDE)[0]) == boxes(expected)


def test_a_picture_is_fitted_in_the_middle() -> None:
    fitted = letterbox(WIDE, (64, 64))
    assert (fitted.left, fitted.top, fitted.scale) == (0, 16, (0.5, 0.5))
    rows = np.rint(fitted.pixels[:, :, 20] * 255).T.tolist()  # the column of the red square
    assert rows[15] == [114, 114, 114]
    assert rows[16:32] == [[255, 0, 0]] * 16
    assert rows[32] == [114, 114, 114]
    tall = letterbox(TALL, (64, 64))
    assert (tall.left, tall.top) == (24, 0)
    assert tall.to_image(np.array([[24, 16, 40, 32]], np.float32)).tolist() == [[0, 16, 16, 32]]
    assert letterbox(Image.new("RGB", (1, 5000)), (64, 64)).pixels.shape == (3, 64, 64)


@pytest.mark.parametrize(("option", "count"), [("", 2), (":nms=1", 4), (":nms=0.95", 4)])
def test_boxes_on_each_other_are_suppressed(target: Target, tmp_path: Path, option: str, count: int) -> None:
    # Two boxes of 16 × 16, one pixel apart: an IoU of 15 / 17 = 0.88.
    path = save_yolo(tmp_path / "model.onnx", copies=2)
    (wide,) = look(open_detector(target, f"{path}{option}"), WIDE)
    assert len(wide.objects) == count


def test_one_class_with_objectness_is_no_output_with_nms(target: Target, tmp_path: Path) -> None:
    metadata = {"names": "['red']"}
    for layout in LAYOUTS:
        path = save_yolo(tmp_path / f"{layout}.onnx", layout, colors=1, metadata=metadata)
        (wide,) = look(open_detector(target, str(path)), WIDE)
        assert boxes(wide) == [("red", (32, 0, 32, 32), SURE[layout])], layout


def test_identity_holds_weights_names_and_thresholds(target: Target, tmp_path: Path) -> None:
    one = save_yolo(tmp_path / "one.onnx", metadata=None)
    (tmp_path / "one.names").write_text("red\ngreen\nblue\n")
    source = open_detector(target, str(one))
    plain = source.identity(0)
    revision = source.source.revision
    assert plain == f"detector:{one}@{revision}+v1"
    assert revision.startswith("sha256:")
    assert (
        open_detector(target, f"{one}:nms=0.5:doubt=0.2").identity(0)
        == f"detector:{one}@{revision}:nms=0.5:doubt=0.2+v1"
    )
    assert open_detector(target, f"{one}:nms=0.7").identity(0) == plain  # the default
    assert open_detector(target, f"{one}@{revision}").identity(0) == plain
    with pytest.raises(OptionError, match="its revision is sha256:"):
        open_detector(target, f"{one}@sha256:123")
    (tmp_path / "one.names").write_text("red\ngreen\nteal\n")
    assert open_detector(target, str(one)).identity(0) != plain
    (tmp_path / "one.names").write_text("red\ngreen\nblue\n")
    save_yolo(one, metadata=None, copies=2)
    assert open_detector(target, str(one)).identity(0) != plain


def test_a_file_that_changes_during_a_run_is_noticed(target: Target, tmp_path: Path) -> None:
    path = save_yolo(tmp_path / "model.onnx")
    source = pickle.loads(pickle.dumps(open_detector(target, str(path)).source))
    assert source.load().labels == ("red", "green", "blue")
    save_yolo(path, copies=2)
    with pytest.raises(
        OptionError, match=r"its revision is sha256:\w+ here and was sha256:\w+ when the run began"
    ):
        source.load()


# --- class names ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("model.names", "red\ngreen\n\nblue\n"),
        ("model.onnx.names", "Red\nGREEN\nblue"),
        ("model.txt", "\ufeff0: red\n1: green\n2: blue\n"),
        ("model.json", '["red", "green", "blue"]'),
        ("model.json", '{"names": {"0": "red", "1": "green", "2": "blue"}}'),
        ("model.json", '{"id2label": {"2": "blue", "0": "red", "1": "green"}}'),
        ("model.json", '{"red": 0, "green": 1, "blue": 2}'),
        ("model.yaml", "path: data\nnames:\n  0: red\n  1: green\n  2: blue\n"),
        ("model.yml", "nc: 3\nnames: [red, green, blue]\n"),
    ],
)
def test_names_beside_the_file(target: Target, tmp_path: Path, name: str, content: str) -> None:
    path = save_yolo(tmp_path / "model.onnx", metadata=None)
    (tmp_path / name).write_text(content)
    assert open_detector(target, str(path)).classes == ("red", "green", "blue")


@pytest.mark.parametrize(
    "names",
    [
        "{0: 'red', 1: 'green', 2: 'blue'}",
        "['red', 'green', 'blue']",
        '{"0": "red", "1": "green", "2": "blue"}',
    ],
)
def test_names_in_the_metadata_come_first(target: Target, tmp_path: Path, names: str) -> None:
    path = save_yolo(tmp_path / "model.onnx", metadata={"names": names})
    (tmp_path / "model.txt").write_text("notes on this model\n")
    assert open_detector(target, str(path)).classes == ("red", "green", "blue")


def test_classes_without_a_name_are_not_seen(target: Target, tmp_path: Path) -> None:
    path = save_yolo(tmp_path / "model.onnx", metadata={"names": "{0: 'red', 1: 'green', 2: 'N/A'}"})
    source = open_detector(target, str(path))
    assert source.classes == ("red", "green")
    (wide,) = look(source, WIDE)
    assert [each.category for each in wide.objects] == ["red"]


@pytest.mark.parametrize(
    ("options", "beside", "words"),
    [
        ({"metadata": None}, {}, r"no names for its classes; write them into .*model\.names"),
        ({"metadata": {"names": "red"}}, {}, "metadata `names` of .* cannot be read"),
        ({"metadata": None}, {"model.json": "[1, 2"}, r"model\.json cannot be read"),
        ({"metadata": None}, {"model.txt": ""}, r"model\.txt cannot be read"),
        *(
            (
                {"layout": layout, "metadata": None},
                {"model.names": names},
                f"{shape} for one picture and {count} class",
            )
            for layout, shape in (("classes", "7 × 16"), ("objectness", "16 × 8"))
            for names, count in (("red\ngreen\n", 2), ("background\nred\ngreen\nblue\n", 4))
        ),
        ({"metadata": {**METADATA, "task": "pose"}}, {}, "exported for the task pose"),
        ({"shape": (1, 64, 64, 3)}, {}, "takes pictures alone"),
        ({"layout": "objectness", "sign": -1.0}, {}, "units of its grids, as YOLOX does"),
    ],
)
def test_models_that_cannot_be_read(
    target: Target, tmp_path: Path, options: dict[str, Any], beside: dict[str, str], words: str
) -> None:
    if options.get("shape") == (1, 64, 64, 3):
        path = _channels_last(tmp_path / "model.onnx")
    else:
        path = save_yolo(tmp_path / "model.onnx", **options)
    for name, content in beside.items():
        (tmp_path / name).write_text(content)
    with pytest.raises(ModelNotSupported, match=words):
        open_detector(target, str(path))


def _channels_last(path: Path) -> Path:
    from onnx import TensorProto, helper, save

    shape = helper.make_tensor_value_info("images", TensorProto.FLOAT, [1, 64, 64, 3])
    out = helper.make_tensor_value_info("out", TensorProto.FLOAT, [1, 64, 64, 3])
    graph = helper.make_graph([helper.make_node("Identity", ["images"], ["out"])], "g", [shape], [out])
    save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9), path)
    return path


def test_numbers_beyond_the_names_end_the_run(target: Target, tmp_path: Path) -> None:
    path = save_yolo(tmp_path / "model.onnx", "end-to-end", metadata={"names": "['red', 'green']"})
    source = open_detector(target, str(path))
    with pytest.raises(ModelNotSupported, match="found its class 2, and there are 2 names"):
        look(source, WIDE)


def test_mistakes(target: Target, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(CaptionerNotFound, match="there is no file"):
        open_detector(target, str(tmp_path / "none.onnx"))
    (tmp_path / "broken.onnx").write_bytes(b"no model")
    with pytest.raises(ModelNotSupported, match="onnxruntime cannot read it"):
        open_detector(target, str(tmp_path / "broken.onnx"))
    path = save_yolo(tmp_path / "model.onnx")
    with pytest.raises(OptionError, match="a detector takes threshold, counting, nms, doubt"):
        open_detector(target, f"{path}:sure=0.5")
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(MissingExtra, match=r"pip install 'recapdata\[onnx\]'"):
        open_detector(target, str(path))


def test_an_audit_by_a_file(target: Target, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save_yolo(tmp_path / "squares.onnx")
    monkeypatch.chdir(tmp_path)
    run(target, evidence=["detector:squares.onnx:counting=0.8"], out=tmp_path / "audit")
    rows = pq.read_table(tmp_path / "audit" / "alt" / "train-00000.parquet").to_pylist()
    found = [[(each["category"], each["bbox"], each["score"]) for each in row["detections"]] for row in rows]
    assert found == [
        [("red", [32, 0, 32, 32], 1.0), ("blue", [96, 32, 32, 32], 1.0)],
        [("blue", [0, 0, 16, 16], 1.0)],
    ]
    summary = json.loads((tmp_path / "audit" / "summary.json").read_text())
    (source,) = summary["evidence"]
    assert source.startswith("detector:squares.onnx@sha256:")
    assert source.endswith(":counting=0.8")
    assert open_evidence(source, target).identity(0).startswith(source)  # it can be typed again
