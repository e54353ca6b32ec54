"""The folder of a run that a stranger made to harm, gone on with: no code runs, nothing outside is touched, errors are one line."""

import json
import os
import pickle
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from recapdata.errors import DatasetDamaged
from recaptrain.training.best import copy_weights
from recaptrain.training.completeness import SEAL, fault, seal
from recaptrain.training.model_folder import PARTIAL, check_out, push_model, swapped_in
from recaptrain.training.run_folder import RunFolder
from recaptrain.training.saved_state import AVERAGE
from tests.recaptrain.training.test_checkpoints import run


class Ran:
    def __reduce__(self):
        return Path.touch, (Path("ran"),)


@pytest.fixture(scope="module")
def began(tmp_path_factory):
    path = tmp_path_factory.mktemp("began") / "training"
    run(path, steps=2, ema_decay=0.9)
    return path


@pytest.fixture
def training(began, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(began, tmp_path / "training")
    yield tmp_path / "training"
    assert not (tmp_path / "ran").exists()


def refused(training, message):
    with pytest.raises(DatasetDamaged, match=message) as refusal:
        run(training, steps=3, ema_decay=0.9)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("name", [AVERAGE, "custom_checkpoint_0.pkl", "optimizer.bin", "pytorch_model.bin"])
def test_no_pickle_of_a_sealed_checkpoint_runs_code(training, name):
    state = training / "step-2"
    if name == "pytorch_model.bin":
        (state / "model.safetensors").unlink()
    (state / name).write_bytes(pickle.dumps(Ran()))
    seal(state, 2)
    refused(training, "cannot be restored|holds pickled objects")


@pytest.mark.parametrize("name", [AVERAGE, "optimizer.bin", "model.safetensors"])
@pytest.mark.parametrize("content", [b"", b"x" * 100])
def test_a_sealed_checkpoint_of_anything_is_one_line(training, name, content):
    (training / "step-2" / name).write_bytes(content)
    seal(training / "step-2", 2)
    refused(training, "step-2 is whole and cannot be restored")


def test_weights_of_another_model_are_not_passed_over(training):
    """Accelerate loads what a file has of a model; a file of other names would leave the base's weights where they are."""
    save_file({"other": torch.ones(1, 1)}, training / "step-2" / "model.safetensors")
    seal(training / "step-2", 2)
    refused(training, r"cannot be restored \(ValueError: it lacks 1 of the trained weights, such as weight\)")


def test_the_average_goes_on_from_its_checkpoint(began, tmp_path):
    """As if never interrupted: 4 steps in one go, and 2 and 2."""
    shutil.copytree(began, tmp_path / "resumed")
    assert torch.equal(
        run(tmp_path / "resumed", steps=4, ema_decay=0.9), run(tmp_path / "once", steps=4, ema_decay=0.9)
    )
    ours, theirs = (
        torch.load(tmp_path / each / "step-4" / AVERAGE, weights_only=True) for each in ("resumed", "once")
    )
    assert torch.equal(ours["shadow_params"][0], theirs["shadow_params"][0])
    assert ours["optimization_step"] == 4


@pytest.mark.parametrize("name", ["../precious", "/etc/passwd", "/proc/kcore", "link", "a/../../precious"])
def test_a_seal_names_only_what_is_its_own(tmp_path, name):
    (tmp_path / "precious").write_text("x", encoding="utf8")
    state = tmp_path / "step-1"
    state.mkdir()
    if name == "link":
        (state / "link").symlink_to(tmp_path / "precious")
    (state / SEAL).write_text(json.dumps({"files": {name: {"bytes": 1, "sha256": "a"}}}), encoding="utf8")
    assert str(fault(state)).endswith("which lies elsewhere")
    (state / SEAL).write_text('{"files": {}}', encoding="utf8")
    assert fault(state) == ("link is not of it" if name == "link" else None)


@pytest.mark.parametrize("content", [b"", b"[]", b"3", b"[" * 10**5, b"\xff", b"9" * 5000])
def test_settings_that_are_none(tmp_path, content):
    (tmp_path / "settings.json").write_bytes(content)
    with pytest.raises(DatasetDamaged, match=r"settings.json is damaged"):
        RunFolder(tmp_path).begin({"a": 1}, resume=True)


@pytest.mark.parametrize(
    "content",
    [b"", b"{}", b"[3]", b"[{}]", b"[" * 10**5, b"\xff", b'[{"arguments": 3}]', b'[{"arguments": {}, "dataset": {}, "base": {}}]',
     b'[{"arguments": {}, "dataset": {"name": "x", "commit": 3}, "base": {"name": "y", "commit": null}}]'],
)  # fmt: skip
def test_starts_that_are_none(tmp_path, content):
    (tmp_path / "starts.json").write_bytes(content)
    with pytest.raises(DatasetDamaged, match=r"starts.json is damaged"):
        RunFolder(tmp_path).starts()


@pytest.mark.parametrize("name", ["log", "validation"])
@pytest.mark.parametrize("line", [b"[]", b"3", b"{}", b'{"step": "x"}', b'{"step": 1}', b"\xff", b"[" * 10**5, b'{"step": 1, "loss": "x"}', b'{"step": ' + b"9" * 5000])  # fmt: skip
def test_logs_that_are_none(tmp_path, name, line):
    (tmp_path / f"{name}.jsonl").write_bytes(line + b"\n")
    with pytest.raises(DatasetDamaged, match=f"{name}.jsonl is damaged") as refusal:
        RunFolder(tmp_path).rows(name)
    assert len(str(refusal.value)) < 1000


def test_best_weights_that_are_none(tmp_path):
    from safetensors.torch import save_file

    weight = torch.nn.Parameter(torch.ones(2))
    path = tmp_path / "best.safetensors"
    for content in ({"x": torch.ones(2)}, {"w": torch.ones(1)}):
        save_file(content, path)
        with pytest.raises(DatasetDamaged, match=r"best.safetensors is damaged"):
            copy_weights(path, [("w", weight)])
    path.write_bytes(b"x")
    with pytest.raises(DatasetDamaged, match=r"best.safetensors is damaged"):
        copy_weights(path, [("w", weight)])
    assert torch.equal(weight, torch.ones(2))


# --- where it is written -----------------------------------------------------------------------------------------------------


@pytest.fixture
def precious(tmp_path):
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious" / "key").write_text("mine", encoding="utf8")
    yield tmp_path / "precious"
    assert [(path.name, path.read_text(encoding="utf8")) for path in (tmp_path / "precious").iterdir()] == [
        ("key", "mine")
    ]


@pytest.mark.parametrize(
    "name",
    [
        "training",
        PARTIAL,
        "training/.step-1.partial",
        "training/step-1",
        "training/samples",
        "training/damaged-1",
    ],
)
def test_a_link_in_the_way_of_a_run_is_refused(tmp_path, precious, name):
    out = tmp_path / "out"
    (out / name).parent.mkdir(parents=True)
    (out / name).symlink_to(precious)
    with pytest.raises(DatasetDamaged, match="is a symbolic link"):
        check_out(out)


@pytest.mark.parametrize("name", ["training/log.jsonl", "training/.lock", "training/best-1.safetensors"])
@pytest.mark.parametrize("fifo", [True, False])
def test_so_is_a_file_that_is_none(tmp_path, precious, name, fifo):
    out = tmp_path / "out"
    (out / "training").mkdir(parents=True)
    if fifo:
        os.mkfifo(out / name)
    else:
        (out / name).symlink_to(precious / "key")
    with pytest.raises(DatasetDamaged, match="is a symbolic link" if not fifo else "is no file"):
        check_out(out)


def test_a_model_takes_the_place_of_links_and_not_of_what_they_lead_to(tmp_path, precious):
    out = tmp_path / "out"
    out.mkdir()
    for name in ("unet", PARTIAL):
        (out / name).symlink_to(precious)
    (out / "config.json").symlink_to(precious / "key")
    with swapped_in(out) as partial:
        (partial / "unet").mkdir()
        (partial / "unet" / "w").write_text("new", encoding="utf8")
        (partial / "config.json").write_text("{}", encoding="utf8")
    assert (out / "unet" / "w").read_text(encoding="utf8") == "new"
    assert not (out / "unet").is_symlink()
    assert not (out / "config.json").is_symlink()


def test_only_files_of_the_model_are_pushed(tmp_path, precious, hub, capsys):
    from huggingface_hub import HfApi

    out = tmp_path / "out"
    (out / "unet").mkdir(parents=True)
    (out / "training").mkdir()
    for name in ("README.md", "unet/w.json", "training/starts.json", ".hidden", "unet/.hidden"):
        (out / name).write_text("{}", encoding="utf8")
    (out / "notes.txt").symlink_to(precious / "key")
    (out / "unet" / "more").symlink_to(precious)
    (out / "zero").symlink_to("/dev/zero")
    os.mkfifo(out / "fifo")
    push_model(out, "me/strange-push", public=False)
    assert sorted(HfApi().list_repo_files("me/strange-push")) == [
        ".gitattributes",
        "README.md",
        "unet/w.json",
    ]
    said = capsys.readouterr().err
    for name in ("notes.txt", "unet/more", "zero"):
        assert f"not pushed: {name} is a symbolic link" in said
