"""The best weights of a tuned captioner: kept as long as a checkpoint may need them, never replaced by others in silence."""

from types import SimpleNamespace

import numpy as np
import pytest

from recapdata.errors import DatasetDamaged
from recaptrain.captioner.validation import VALIDATION, Validation
from recaptrain.training.run_folder import RunFolder


def test_the_best_weights_of_every_checkpoint_that_is_kept_stay(tmp_path):
    """Losses 3, 2, 4, 1 after steps 1 to 4; checkpoints of steps 3 and 4 are kept: their best are steps 2 and 4."""
    run = RunFolder(tmp_path)
    for step, loss in enumerate((3.0, 2.0, 4.0, 1.0), 1):
        run.log({"step": step, "loss": loss}, VALIDATION)
        run.log({"step": step, "loss": loss})
        (tmp_path / f"best-{step}.safetensors").touch()
    for step in (3, 4):
        (tmp_path / f"step-{step}").mkdir()
    validation = Validation(
        training=SimpleNamespace(accelerator=SimpleNamespace(is_main_process=True)),
        batches=None,
        held_out={},
        shown=np.empty(0, np.int64),
        every=1,
        patience=None,
        run=run,
        samples=tmp_path / "samples.jsonl",
    )
    validation.after_checkpoint()
    kept = sorted(path.name for path in tmp_path.glob("best-*"))
    assert kept == ["best-2.safetensors", "best-4.safetensors"]
    assert validation.result().best_step == 4
    (tmp_path / "best-4.safetensors").unlink()
    with pytest.raises(DatasetDamaged, match=r"best-4\.safetensors is missing, the weights of step 4"):
        validation.restore_best()
    run.rewind_log(3)
    assert validation.result().best_step == 2
