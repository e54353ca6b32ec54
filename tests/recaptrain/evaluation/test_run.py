"""The frame of `recaptrain evaluate`: rows kept and resumed, figures with intervals, runs compared prompt by prompt."""

import json
import math
from collections.abc import Callable, Mapping
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

import recapdata
from recapdata.errors import InputError, OptionError
from recapdata.scenes import SIDE
from recaptrain.evaluation import measuring
from recaptrain.evaluation.evaluations import EvaluateSummary, Evaluation, Figure, notes
from recaptrain.evaluation.run import evaluate
from recaptrain.evaluation.settings import EvaluateSettings
from tests.recaptrain.evaluation import brightness

BRIGHTNESS = "tests.recaptrain.evaluation.brightness:open_brightness"
ANOTHER = "tests.recaptrain.evaluation.brightness:open_another"


@pytest.fixture(autouse=True)
def _nothing_measured() -> None:
    brightness.measured.clear()


def generated(folder: Path, grays: Mapping[str, int | None], prompt: str = "a bright thing") -> Path:
    """A folder as `recaptrain generate` leaves it, with pictures of one gray each; None is no image. `a-1` is the second picture of `a`."""
    folder.mkdir()
    rows = []
    for name, gray in grays.items():
        path = folder / f"{name}.png"
        if gray is None:
            path.write_bytes(b"no image")
        else:
            Image.new("RGB", (8, 8), (gray,) * 3).save(path)
        row = {
            "file_name": path.name,
            "id": name,
            "prompt_id": name.partition("-")[0],
            "prompt": f"{prompt} {name[0]}",
        }
        rows.append(json.dumps({**row, "original": row["prompt"], "read": row["prompt"], "seed": 1}) + "\n")
    (folder / "metadata.jsonl").write_text("".join(rows), encoding="utf8")
    (folder / "generation.json").write_text(json.dumps({"model": "m", "revision": "r"}), encoding="utf8")
    return folder


def run(*sources: object, out: Path, metric: str = BRIGHTNESS, **options: object) -> EvaluateSummary:
    return evaluate(
        [str(each) for each in sources], EvaluateSettings(metrics=(metric,), out=str(out), **options)
    )


def test_figures_come_with_what_they_rest_on(tmp_path: Path) -> None:
    """Means of 10, 20 and 60 are 30; of one prompt's two pictures and another's one the bootstrap draws prompts: (10+20)/2, 30 or 60."""
    folder = generated(tmp_path / "p", {"a": 10, "a-1": 20, "b": 60, "c": None})
    found = run(folder, out=tmp_path / "out")
    (evaluation,), (figure,) = found.evaluations, found.evaluations[0].figures
    assert (figure.value, figure.n, figure.unreadable, figure.not_applicable) == (30.0, 3, 1, 0)
    assert (figure.low, figure.high) == (15.0, 60.0)
    assert (evaluation.pictures, evaluation.prompts, evaluation.unreadable) == (4, 3, 1)
    assert evaluation.made_with == {"model": "m", "revision": "r"}
    (written,) = (tmp_path / "out").glob("*/evaluation.json")
    assert json.loads(written.read_text(encoding="utf8"))["figures"][0]["value"] == 30.0
    assert found.table.iloc[0].figure == "brightness"
    assert "1 cannot be decoded" in found.text()


def test_a_prompt_of_which_a_metric_has_nothing_to_say_is_counted(tmp_path: Path) -> None:
    folder = generated(tmp_path / "p", {"a": 10, "b": 20}, prompt="a dark thing")
    found = run(folder, out=tmp_path / "out")
    assert found.evaluations[0].figures == []
    assert found.evaluations[0].without_figures == {
        "brightness": "it has nothing to say of any of the 2 pictures"
    }
    assert "brightness, p: it has nothing to say of any of the 2 pictures" in found.text()
    assert brightness.measured == ["a", "b"]


def test_a_figure_without_a_value_is_null_and_says_why(tmp_path: Path) -> None:
    """A black picture's log-brightness is −∞, which JSON has no word for; a run of none is compared with nothing."""
    dark, gray = generated(tmp_path / "dark", {"a": 0}), generated(tmp_path / "gray", {"a": 9})
    metric = "tests.recaptrain.evaluation.brightness:open_logarithm"
    found = run(dark, gray, out=tmp_path / "out", metric=metric)
    (figure,), (other,) = (each.figures for each in found.evaluations)
    assert (figure.value, figure.low, figure.why) == (None, None, "black has no logarithm")
    assert other.value == pytest.approx(math.log(9))
    assert [(each.value, each.why) for each in found.differences] == [(None, "dark has no value")]
    assert "logarithm has no value for dark: black has no logarithm" in found.text()
    (written,) = (tmp_path / "out").glob("dark-*/evaluation.json")
    content = json.loads(written.read_text(encoding="utf8"), parse_constant=pytest.fail)
    assert content["figures"][0]["value"] is None
    assert found.table.value.isna().tolist() == [True, False]


def test_the_embedded_clip_on_other_pictures_than_drawn_scenes_is_cautioned(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = generated(tmp_path / "p", {"a": 10, "b": 20})
    found = evaluate([str(folder)], EvaluateSettings(metrics=("clipscore",), out=str(tmp_path / "out")))
    (caution,) = found.evaluations[0].cautions
    assert caution in capsys.readouterr().err
    assert "`embedded` knows drawn scenes only, and 2 of the first 2 pictures of p are none" in caution
    for name in "ab":
        Image.new("RGB", (SIDE, SIDE)).save(folder / f"{name}.png")
    found = evaluate([str(folder)], EvaluateSettings(metrics=("clipscore",), out=str(tmp_path / "out")))
    assert not found.evaluations[0].cautions
    assert not run(folder, out=tmp_path / "out").evaluations[0].cautions


def test_nothing_is_measured_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measuring, "CHUNK", 2)
    folder = generated(tmp_path / "p", {name: 10 * number for number, name in enumerate("abcde")})
    first = run(folder, out=tmp_path / "out")
    assert brightness.measured == list("abcde")
    parts = sorted((tmp_path / "out").glob("*/brightness/*.parquet"))
    assert len(parts) == 3
    parts[1].unlink()  # as after a kill
    parts[2].write_bytes(parts[2].read_bytes()[:100])
    assert run(folder, out=tmp_path / "out").evaluations == first.evaluations
    assert brightness.measured == list("abcdecde")
    Image.new("RGB", (8, 8), (99,) * 3).save(folder / "a.png", compress_level=0)
    changed = run(folder, out=tmp_path / "out")
    assert brightness.measured == list("abcdecdeab")
    assert changed.evaluations[0].figures[0].value == (99 + 10 + 20 + 30 + 40) / 5
    run(folder, out=tmp_path / "out", metric=ANOTHER)
    assert brightness.measured[10:] == list("abcde")


def test_a_note_says_of_which_runs_it_is_where_it_is_not_of_all() -> None:
    def noted(name: str, **figures: str) -> Evaluation:
        own = [
            Figure(
                name=figure, metric="m", value=1.0, low=None, high=None, n=1, not_applicable=0, unreadable=0, unit="", better=None, note=note,
                identity={},
            )
            for figure, note in figures.items()
        ]  # fmt: skip
        return Evaluation(
            name=name, source="", pictures=1, prompts=1, prompts_digest="", unreadable=0, not_applicable={}, made_with={}, figures=own,
            without_figures={},
        )  # fmt: skip

    runs = [noted("a", x="few", y="all"), noted("b", x="few", y="all"), noted("c", x="fewer")]
    assert notes(runs) == ["x, a, b: few", "y: all", "x, c: fewer"]


def test_two_runs_are_compared_prompt_by_prompt(tmp_path: Path) -> None:
    """Every picture is 7 brighter: so is the difference in every repetition, though the pictures differ by more."""
    grays = {name: 10 + 20 * number for number, name in enumerate("abcdefgh")}
    a = generated(tmp_path / "a", grays)
    b = generated(tmp_path / "b", {name: gray + 7 for name, gray in reversed(grays.items())})
    found = run(f"one={a}", f"two={b}", out=tmp_path / "out")
    (difference,) = found.differences
    assert difference.value == difference.low == difference.high == 7.0
    assert difference.verdict() == "two is better"
    assert "two − one +7 [+7, +7], two is better" in found.text()


def test_other_prompts_and_other_measurements_are_not_compared(tmp_path: Path) -> None:
    a = generated(tmp_path / "a", {"a": 10, "b": 20})
    b = generated(tmp_path / "b", {"a": 10, "c": 20})
    (difference,) = run(a, b, out=tmp_path / "out").differences
    assert difference.value is None
    assert "other prompts" in difference.verdict()
    c = generated(tmp_path / "c", {"a": 10, "a-1": 20, "b": 20})
    (difference,) = run(a, c, out=tmp_path / "out").differences
    assert "numbers of pictures" in difference.why


def test_figures_of_other_models_are_not_compared_and_say_why(tmp_path: Path) -> None:
    """The metric's version is the name of the run."""
    grays = {"a": 10, "b": 20}
    one, two = generated(tmp_path / "one", grays), generated(tmp_path / "two", grays)
    found = run(one, two, out=tmp_path / "out", metric="tests.recaptrain.evaluation.brightness:open_by_name")
    (difference,) = found.differences
    assert (difference.value, difference.low, difference.winner) == (None, None, None)
    assert "two and one are not compared by brightness: version: one there, two here" in found.text()


def test_the_same_command_gives_the_same_figures_to_the_last_digit(tmp_path: Path) -> None:
    """Measured anew in another folder, with a bootstrap of its own, all metrics that one CLIP serves."""
    recapdata.ingest("scenes:24,seed=3,human=24", tmp_path / "d")
    recapdata.import_captions(tmp_path / "d", "human", "human_short")
    given = {
        "metrics": ("clipscore", "rp", "fid", "kid", "cmmd", "pa"),
        "features": "embedded",
        "reference": str(tmp_path / "d"),
    }
    first, second = (
        evaluate([f"{tmp_path / 'd'}:human"], EvaluateSettings(**given, out=str(tmp_path / out)))
        for out in ("one", "two")
    )
    assert first.evaluations == second.evaluations
    assert len(first.evaluations[0].figures) >= 8


def test_shuffled_pictures_have_another_prompt_each(tmp_path: Path) -> None:
    folder = generated(tmp_path / "p", {"a": 10, "b": 20, "c": 30})
    found = run(folder, out=tmp_path / "out", shuffle=True)
    assert found.evaluations[0].made_with["shuffled"] == 0
    with pytest.raises(OptionError, match="one prompt"):
        run(generated(tmp_path / "one", {"a": 1, "a-1": 2}), out=tmp_path / "out", shuffle=True)


def test_what_is_no_pictures_is_said(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no metadata\.jsonl"):
        run(tmp_path, out=tmp_path / "out")
    folder = generated(tmp_path / "p", {"a": 10})
    (folder / "metadata.jsonl").write_text('{"id": "a"}\n', encoding="utf8")
    with pytest.raises(InputError, match=r"metadata\.jsonl, line 1: .*file_name"):
        run(folder, out=tmp_path / "out")
    (folder / "metadata.jsonl").write_text(
        '{"id": "a", "file_name": "../x.png", "prompt": "p"}\n', encoding="utf8"
    )
    with pytest.raises(InputError, match="lies elsewhere"):
        run(folder, out=tmp_path / "out")
    with pytest.raises(OptionError, match="no metric 'taste'"):
        run(generated(tmp_path / "q", {"a": 10}), out=tmp_path / "out", metric="taste")
    with pytest.raises(OptionError, match="two of the pictures are called q"):
        run(tmp_path / "q", tmp_path / "q", out=tmp_path / "out")


def _with(rows: pa.Table, name: str, values: list[object]) -> pa.Table:
    return rows.set_column(rows.schema.get_field_index(name), name, pa.array(values))


@pytest.mark.parametrize(
    "change",
    [
        lambda rows: rows.drop_columns(["prompt_id"]),
        lambda rows: rows.drop_columns(["mean"]),
        lambda rows: rows.slice(0, 2),
        lambda rows: _with(rows, "prompt_id", ["x"] * 3),
        lambda rows: _with(rows, "state", ["measured", "measured", "x"]),
        lambda rows: _with(rows, "mean", ["x"] * 3),
    ],
)
def test_rows_that_are_not_those_of_the_pictures_are_measured_again(
    tmp_path: Path, change: Callable[[pa.Table], pa.Table]
) -> None:
    """Of 10, 20 and 60 the mean is 30, whatever somebody made of the rows and left their mark on."""
    folder = generated(tmp_path / "p", {"a": 10, "b": 20, "c": 60})
    run(folder, out=tmp_path / "out")
    (path,) = (tmp_path / "out").rglob("*.parquet")
    rows = pq.read_table(path)
    pq.write_table(change(rows).replace_schema_metadata(rows.schema.metadata), path)
    assert run(folder, out=tmp_path / "out").evaluations[0].figures[0].value == 30


def test_rows_whose_values_cannot_be_read_are_said(tmp_path: Path) -> None:
    folder = generated(tmp_path / "p", {"a": 10, "b": 20, "c": 60})
    run(folder, out=tmp_path / "out")
    (path,) = (tmp_path / "out").rglob("*.parquet")
    column = pq.read_metadata(path).row_group(0).column(4)
    start = column.dictionary_page_offset or column.data_page_offset
    content = bytearray(path.read_bytes())
    content[start : start + 8] = b"\xff" * 8
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"00000\.parquet is damaged .*; delete it"):
        run(folder, out=tmp_path / "out")
