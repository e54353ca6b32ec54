"""The loop that every model is trained with: the order of examples, learning rates, figures, trackers, checkpoints."""

from dataclasses import dataclass, field, replace

import numpy as np
import pytest
import torch

from recapdata.errors import OptionError
from recaptrain.training import trackers
from recaptrain.training.accelerator import open_accelerator
from recaptrain.training.loop import shuffled, train
from recaptrain.training.preparing import prepare
from recaptrain.training.run_folder import RunFolder
from recaptrain.training.settings import Optimization

PLAIN = Optimization(
    steps=4,
    batch_size=1,
    accumulate=2,
    learning_rate=0.1,
    course="constant",
    warmup=0,
    ema_decay=None,
    seed=0,
    checkpoint_every=2,
)


def test_each_row_comes_once_before_any_comes_again():
    rows = np.array([3, 5, 8, 9])
    epoch = [*shuffled(rows, 1, 0, 2)[1], *shuffled(rows, 1, 1, 2)[1]]
    assert sorted(epoch) == [3, 5, 8, 9]
    assert shuffled(rows, 1, 1, 2)[1].tolist() == epoch[2:]
    assert len(shuffled(rows, 1, 0, 6)[1]) == 6  # fewer than a batch holds: some come twice


def test_rates():
    flat = replace(PLAIN, learning_rate=2.0, warmup=4)
    assert [flat.rate_at(step) for step in (0, 3, 9)] == [0.5, 2.0, 2.0]
    falling = replace(flat, steps=12, course="cosine")
    assert falling.rate_at(8) == pytest.approx(1.0)  # half way down
    assert falling.rate_at(6) == pytest.approx(1.0 + 0.5**0.5)  # a quarter of the way: 1 + cos 45°
    line = replace(flat, steps=12, course="linear")
    assert [line.rate_at(step) for step in (3, 4, 6, 8, 11)] == [2.0, 2.0, 1.5, 1.0, 0.25]


@dataclass
class Weight:
    """A task whose loss is one weight times each of a step's inputs."""

    model: torch.nn.Module
    values: list = field(default_factory=lambda: [2.0, 4.0])

    def inputs(self, step):
        return self.values

    def loss(self, inputs, draw):
        loss = self.model.weight.sum() * inputs
        return loss, {"input": inputs, "double": 2 * loss}


class Rows(list):
    """A tracker that keeps what it is given."""

    log = list.append


def run(folder, *, trackers=(), **changes):
    torch.manual_seed(0)
    model = torch.nn.Linear(1, 1, bias=False)
    torch.nn.init.ones_(model.weight)
    optimization = replace(PLAIN, **changes)
    accelerator = open_accelerator("no", accumulate=optimization.accumulate)
    training = prepare(accelerator, model, optimization)
    train(training, Weight(model), RunFolder(folder), trackers=trackers)
    return training


def test_loss_and_figures_are_means_over_the_micro_batches(tmp_path):
    """The weight is 1 at first, so that the losses of the first step are 2 and 4."""
    rows = Rows()
    run(tmp_path, trackers=[rows])
    assert [row["step"] for row in rows] == [1, 2, 3, 4]
    assert (rows[0]["loss"], rows[0]["input"], rows[0]["double"]) == (3.0, 3.0, 6.0)
    assert rows[0]["lr"] == 0.1
    assert rows[1]["loss"] < 3.0
    assert RunFolder(tmp_path).rows() == rows


def test_of_the_checkpoints_the_last_is_kept_and_more_steps_continue(tmp_path):
    first = run(tmp_path)
    assert RunFolder(tmp_path).steps() == [4]
    rows = Rows()
    more = run(tmp_path, steps=6, trackers=[rows])
    assert [row["step"] for row in rows] == [5, 6]
    assert more.parameters[0].item() < first.parameters[0].item() < 1.0


def test_the_average_takes_the_weights_place(tmp_path):
    training = run(tmp_path, ema_decay=0.5)
    last = training.parameters[0].item()
    training.take_average()
    assert last < training.parameters[0].item() < 1.0


def test_a_loss_that_is_no_number_ends_the_run(tmp_path, monkeypatch):
    monkeypatch.setattr(Weight, "inputs", lambda self, step: [float("inf"), float("-inf")])
    with pytest.raises(
        OptionError, match=r"loss of step 1 is nan; the loss had not been rising.* no checkpoint yet"
    ):
        run(tmp_path)


def test_the_cause_and_the_way_back_are_said(tmp_path, monkeypatch):
    """A weight of 1 that grows by the rate each step: the loss rises until the inputs overflow in step 4."""
    monkeypatch.setattr(Weight, "inputs", lambda self, step: [-1.0, -1.0] if step < 3 else [-3e38, -3e38])
    with pytest.raises(OptionError, match=r"step-2 is from before: --resume goes on from there"):
        run(tmp_path, learning_rate=2.0)
    assert RunFolder(tmp_path).steps() == [2]


def test_gradients_that_are_not_finite_end_the_run_before_a_checkpoint(tmp_path, monkeypatch):
    """The square root of a weight's square has no slope at nothing: loss 0, gradient 0 · ∞."""

    def loss(self, inputs, draw):
        (weight,) = self.model.parameters()
        return (weight - weight.detach()).square().sqrt().sum(), {}

    monkeypatch.setattr(Weight, "loss", loss)
    with pytest.raises(OptionError, match="gradients of step 1 are not finite"):
        run(tmp_path, checkpoint_every=1)
    assert RunFolder(tmp_path).steps() == []


def test_the_last_checkpoints_are_kept(tmp_path):
    run(tmp_path, steps=5, checkpoint_every=1, keep=3)
    assert RunFolder(tmp_path).steps() == [3, 4, 5]
    assert [row["step"] for row in RunFolder(tmp_path).rows()] == [1, 2, 3, 4, 5]


def test_without_a_terminal_progress_is_said_in_lines(monkeypatch, capsys):
    """Two images a step, two seconds a step, a line every five seconds."""
    clock = iter([0.0, 2.0, 4.0, 6.0, 6.0, 8.0, 10.0, 10.0])
    monkeypatch.setattr(trackers.time, "monotonic", lambda: next(clock))
    monkeypatch.setattr(trackers, "SECONDS_A_LINE", 5.0)
    with trackers.progress_bar(10, 15, title="reading", images=2) as lines:
        for step, loss in enumerate((1.0, 2.0, 3.0, 4.0, 5.0), 11):
            lines.log({"step": step, "loss": loss, "seconds": 2.0})
    assert capsys.readouterr().err.splitlines() == [
        "reading: step 13/15, loss 2.0000, 1 images/s, 4 s to go",
        "reading: step 15/15, loss 4.5000, 1 images/s, 0 s to go",
    ]
