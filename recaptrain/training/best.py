"""The weights of a run's best step, which lie beside its checkpoints: kept, deleted with them, put back at the end."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeGuard

from recapdata.atomic import replacing
from recapdata.errors import DatasetDamaged
from recaptrain.training.preparing import Training
from recaptrain.training.run_folder import RunFolder

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True, slots=True, kw_only=True)
class BestWeights:
    """The weights of the step whose score was lowest so far; step 0, before training, is none.

    All that it knows is in a log that is rewound with the run, so that a resumed run decides the same.

    Attributes:
        log, score: the name of the log of validations, and of the number in its rows that they are judged by.
        otherwise: what to do where the file is gone, for the message.
    """

    run: RunFolder
    training: Training
    log: str
    score: str
    otherwise: str

    def scores(self) -> dict[int, float]:
        """Scores by step, where there is one."""
        return {
            row["step"]: row[self.score] for row in self.run.rows(self.log) if _is_number(row.get(self.score))
        }

    def step(self, upto: int | None = None) -> int | None:
        """The best step so far, or up to a step; None where none was judged."""
        scores = {
            step: score
            for step, score in self.scores().items()
            if step > 0 and (upto is None or step <= upto)
        }
        return min(scores, key=lambda step: scores[step], default=None)

    def judge(self, step: int, score: float | None) -> bool:
        """Keep the weights of a step that is not in the log yet if they are the best; whether they are."""
        from safetensors.torch import save_file

        best = self.step()
        if not step or not _is_number(score) or (best is not None and score >= self.scores()[best]):
            return False
        trained = {name: each.detach().cpu().contiguous() for name, each in self.training.trained()}
        with replacing(self._path(step)) as partial:
            save_file(trained, partial)
        return True

    def exhausted(self, patience: int | None) -> bool:
        """Whether there were so many validations without a better one since the best."""
        best = self.step()
        if patience is None or best is None:
            return False
        return sum(step > best for step in self.scores()) >= patience

    def prune(self) -> None:
        """Delete weights that are the best of no checkpoint that is kept."""
        needed = {self._path(best) for step in self.run.steps() if (best := self.step(step)) is not None}
        for path in self.run.path.glob("best-*.safetensors"):
            if path not in needed:
                path.unlink()

    def restore(self) -> bool:
        """Put the best weights into the place of the last step's; False where none was judged. For every process, at the end of the run.

        Raises:
            DatasetDamaged: their file is gone, or is not what was written.
        """
        best = self.step()
        if best is None:
            return False
        path = self._path(best)
        if not path.is_file():
            raise DatasetDamaged(
                f"{path} is missing, the best weights, of step {best:,}; put it back and go on with --resume, or {self.otherwise}"
            )
        copy_weights(path, self.training.trained())
        return True

    def _path(self, step: int) -> Path:
        return self.run.path / f"best-{step}.safetensors"


def _is_number(score: float | None) -> TypeGuard[float]:
    """A loss that is none (a run that has diverged) is the best of nothing."""
    return score is not None and math.isfinite(score)


def copy_weights(path: Path, parameters: "Iterable[tuple[str, torch.nn.Parameter]]") -> None:
    """Put the weights of a safetensors file into parameters, by name.

    Raises:
        DatasetDamaged: the file lacks one of them, has another shape, or cannot be read.
    """
    import torch
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        kept = load_file(path)
        with torch.no_grad():
            for name, parameter in parameters:
                if kept[name].shape != parameter.shape:
                    raise ValueError(
                        f"{name} has the shape {tuple(kept[name].shape)}, not {tuple(parameter.shape)}"
                    )
                parameter.copy_(kept[name])
    except (OSError, ValueError, KeyError, SafetensorError) as error:
        reason = " ".join(str(error).split())[:300]
        raise DatasetDamaged(
            f"{path} is damaged ({reason}); start the run again in another folder"
        ) from error
