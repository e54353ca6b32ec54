"""Where a model may be written: refused at once, in one line, before anything is loaded."""

from pathlib import Path

import pytest

from recapdata.errors import OptionError
from recaptrain.training.model_folder import check_out
from tests.builders import build_dataset


def test_a_model_needs_a_folder_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine", encoding="utf8")
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    (tmp_path / "link").symlink_to(tmp_path / "base")
    dataset = build_dataset(tmp_path / "ds", rows=1).path
    (tmp_path / "base").mkdir()
    (tmp_path / "base" / "model_index.json").write_text("{}", encoding="utf8")
    for out, message in (
        (tmp_path / "file", "file is a file"),
        (tmp_path / "file" / "below" / "it", "file is a file"),
        (tmp_path / "dangling", "dangling is a file"),
        (dataset, "lies in the dataset folder"),
        (dataset / "models" / "new", "lies in the dataset folder"),
        (tmp_path / "base", "holds other files .model_index.json. and no trained model"),
        (tmp_path / "link", "holds other files"),
    ):
        with pytest.raises(OptionError, match=message):
            check_out(out)
    check_out(tmp_path / "new")
    check_out(tmp_path / "a" / "b")
    (tmp_path / "base" / "training").mkdir()  # its own run, which is gone on with
    check_out(tmp_path / "base")
