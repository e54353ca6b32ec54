"""The best weights of a run: kept as long as a checkpoint may need them, never replaced by others in silence."""

from types import SimpleNamespace

import pytest
import torch

from recapdata.errors import DatasetDamaged
from recaptrain.training.best import BestWeights
from recaptrain.training.run_folder import RunFolder


def best_weights(folder, weight: torch.nn.Parameter) -> BestWeights:
    training = SimpleNamespace(trained=lambda: [("w", weight)])
    return BestWeights(
        run=RunFolder(folder), training=training, log="validation", score="score", otherwise="train again"
    )


def test_the_best_weights_of_every_checkpoint_that_is_kept_stay(tmp_path) -> None:
    """Scores 5 before training, then 3, 2, 4, 1 after steps 1 to 4; checkpoints of steps 3 and 4 are kept: their best are steps 2 and 4."""
    weight = torch.nn.Parameter(torch.zeros(1))
    best = best_weights(tmp_path, weight)
    kept = []
    for step, score in enumerate((5.0, 3.0, 2.0, 4.0, 1.0)):
        weight.data.fill_(step)
        kept.append(best.judge(step, score))
        best.run.log({"step": step, "loss": 0.0, "score": score}, "validation")
    assert kept == [False, True, True, False, True]
    for step in (3, 4):
        (tmp_path / f"step-{step}").mkdir()
    best.prune()
    assert sorted(path.name for path in tmp_path.glob("best-*")) == [
        "best-2.safetensors",
        "best-4.safetensors",
    ]
    weight.data.fill_(9)
    assert best.restore()
    assert weight.item() == 4
    (tmp_path / "best-4.safetensors").unlink()
    with pytest.raises(
        DatasetDamaged, match=r"best-4\.safetensors is missing, .* of step 4; .* or train again"
    ):
        best.restore()
    best.run.rewind_log(3)
    assert best.step() == 2


def test_patience_counts_validations_since_the_best(tmp_path) -> None:
    """Scores 5, 2, 3, then none that could be measured, then 4: two since the best."""
    best = best_weights(tmp_path, torch.nn.Parameter(torch.zeros(1)))
    assert not best.exhausted(1)
    for step, score in enumerate((5.0, 2.0, 3.0, None, 4.0)):
        best.judge(step, score)
        best.run.log({"step": step, "loss": 0.0, "score": score}, "validation")
    assert (best.exhausted(2), best.exhausted(3), best.exhausted(None)) == (True, False, False)


def test_a_loss_that_is_no_number_is_the_best_of_nothing(tmp_path) -> None:
    best = best_weights(tmp_path, torch.nn.Parameter(torch.zeros(1)))
    kept = []
    for step, score in enumerate((5.0, float("nan"), 2.0, float("nan"), float("inf"), 1.0)):
        kept.append(best.judge(step, score))
        best.run.log({"step": step, "loss": 0.0, "score": score}, "validation")
    assert kept == [False, False, True, False, False, True]
    assert best.step() == 5


def test_where_nothing_was_judged_nothing_is_put_back(tmp_path) -> None:
    weight = torch.nn.Parameter(torch.ones(1))
    assert best_weights(tmp_path, weight).restore() is False
    assert weight.item() == 1
