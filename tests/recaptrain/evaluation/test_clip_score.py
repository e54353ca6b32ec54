"""CLIP score of drawn scenes against their own captions and against others'."""

from pathlib import Path

import pytest

import recapdata
import recaptrain


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("drawn") / "d"
    recapdata.ingest("scenes:40,seed=4,human=40", folder)
    recapdata.import_captions(folder, "human", "human_short")
    return folder


def test_own_captions_score_higher_than_others(drawn: Path, tmp_path: Path) -> None:
    own = recaptrain.evaluate(f"{drawn}:human", out=tmp_path).table.set_index("figure")
    others = recaptrain.evaluate(f"{drawn}:human", out=tmp_path, shuffle=True).table.set_index("figure")
    assert own.value["clipscore"] > others.high["clipscore"]
    assert own.n["clipscore"] == 40
    assert own.value["clipscore-sd"] > 0
    # Both are made of one cosine up to the prefix, which embedded CLIP has never read: 2.5·cos lies near.
    assert 0 < own.value["clipscore-hessel"] <= 2.5
