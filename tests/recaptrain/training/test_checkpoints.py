"""Checkpoints: sealed, fallen back from where damaged, kept where the disk is full; one process to a folder."""

import json
import resource
import shutil
from dataclasses import replace

import pytest
import torch

from recapdata.errors import DatasetDamaged, DiskFull, OptionError
from recaptrain.training.accelerator import open_accelerator
from recaptrain.training.completeness import fault, seal
from recaptrain.training.loop import train
from recaptrain.training.preparing import prepare
from recaptrain.training.run_folder import RunFolder
from tests.recaptrain.training.test_loop import PLAIN, Weight


def run(path, *, width=1, **changes):
    """A run of `Weight`; its trained weights."""
    model = torch.nn.Linear(width, 1, bias=False)
    torch.nn.init.ones_(model.weight)
    optimization = replace(PLAIN, **{"checkpoint_every": 1, "keep": 2, **changes})
    accelerator = open_accelerator("no", accumulate=optimization.accumulate)
    training = prepare(accelerator, model, optimization)
    train(training, Weight(model), RunFolder(path))
    return model.weight.detach()


def test_a_seal_names_what_is_wrong(tmp_path):
    (tmp_path / "part").mkdir()
    for name, text in {"a": "abc", "part/b": "de"}.items():
        (tmp_path / name).write_text(text, encoding="utf8")
    assert fault(tmp_path) == "it lacks checkpoint.json"
    seal(tmp_path, 7)
    assert fault(tmp_path) is None
    assert json.loads((tmp_path / "checkpoint.json").read_text(encoding="utf8"))["step"] == 7
    (tmp_path / "part" / "b").write_text("df", encoding="utf8")
    assert fault(tmp_path) == "part/b has other bytes than were written"
    (tmp_path / "a").write_text("ab", encoding="utf8")
    assert fault(tmp_path) == "a has 2 of 3 bytes"
    (tmp_path / "a").unlink()
    assert fault(tmp_path) == "a is missing"
    (tmp_path / "checkpoint.json").write_text("[]", encoding="utf8")
    assert fault(tmp_path) == "its checkpoint.json cannot be read"


@pytest.mark.parametrize("damage", ["cut", "changed", "missing"])
def test_of_a_damaged_checkpoint_the_one_before_is_used(tmp_path, capsys, damage):
    whole = run(tmp_path / "whole", steps=6)
    run(tmp_path / "broken", steps=4)
    optimizer = tmp_path / "broken" / "step-4" / "optimizer.bin"
    content = optimizer.read_bytes()
    if damage == "cut":
        optimizer.write_bytes(content[:100])
    elif damage == "changed":
        optimizer.write_bytes(content[:50] + bytes([content[50] ^ 1]) + content[51:])
    else:
        optimizer.unlink()
    assert torch.equal(run(tmp_path / "broken", steps=6), whole)
    said = capsys.readouterr().err
    assert "step-4 is damaged (optimizer.bin" in said
    assert "going on from step-3" in said
    folder = RunFolder(tmp_path / "broken")
    assert folder.steps() == [5, 6]
    assert [row["step"] for row in folder.rows()] == [1, 2, 3, 4, 5, 6]
    assert (tmp_path / "broken" / "damaged-4").is_dir()


def test_where_all_are_damaged_the_ways_on_are_said(tmp_path):
    run(tmp_path, steps=2, keep=1)
    (tmp_path / "step-2" / "checkpoint.json").unlink()
    with pytest.raises(
        DatasetDamaged, match=r"step-2 is damaged \(it lacks .*delete it to begin again at step 0"
    ):
        run(tmp_path, steps=4)
    shutil.rmtree(tmp_path / "step-2")
    run(tmp_path, steps=4)
    assert RunFolder(tmp_path).steps() == [3, 4]


def test_a_full_disk_leaves_the_checkpoint_before(tmp_path):
    """No file may have more than 20,000 bytes, as on a disk without room: weights of 40,000 do not fit."""
    run(tmp_path, steps=2, width=10_000)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, before[1]))
    try:
        with pytest.raises(
            DiskFull, match=r"no space left for the checkpoint of step 3.*step-2 is whole: --resume"
        ):
            run(tmp_path, steps=4, width=10_000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert RunFolder(tmp_path).steps() == [1, 2]
    assert not list(tmp_path.glob(".step-*"))


def test_one_process_trains_in_a_folder(tmp_path):
    """A lock of a file that is opened twice excludes itself, in one process too."""
    folder, accelerator = RunFolder(tmp_path / "out" / "training"), open_accelerator("no")
    with (
        folder.held(accelerator),
        pytest.raises(OptionError, match="out: another process is training in it"),
        folder.held(accelerator),
    ):
        pass
    with folder.held(accelerator):
        pass
