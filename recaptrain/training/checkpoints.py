"""The folder of a training run: its settings, its logs, and atomic checkpoints that it resumes from exactly."""

import importlib.metadata
import importlib.util
import json
import os
import platform
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from recapdata.atomic import remove, write_atomic
from recapdata.console import is_full_disk, say
from recapdata.dataset.bounded import read_lines, read_small
from recapdata.dataset.digest import ArrowDigest
from recapdata.dataset.folder import hold
from recapdata.errors import DatasetBusy, DatasetDamaged, DiskFull, OptionError
from recapdata.options import identity, values
from recaptrain.training.completeness import fault, seal

if TYPE_CHECKING:
    import pyarrow as pa
    from accelerate import Accelerator
    from diffusers.training_utils import EMAModel

    from recapdata.dataset.target import Target
    from recapdata.models.sources import ModelSource

LIBRARIES = ("recapdata", "torch", "diffusers", "transformers", "accelerate", "peft", "datasets", "numpy")
"""Whose versions are noted at each start."""
ENVIRONMENT = (
    "HF_ENDPOINT", "CUDA_VISIBLE_DEVICES", "OMP_NUM_THREADS", "PYTORCH_CUDA_ALLOC_CONF", "PYTORCH_ALLOC_CONF", "WORLD_SIZE",
    "ACCELERATE_MIXED_PRECISION", "ACCELERATE_USE_DEEPSPEED", "ACCELERATE_USE_FSDP",
)  # fmt: skip
"""Variables that are noted at each start; no secrets are among them."""
AVERAGE = "average.pt"
MEASURED = {"log": ("loss",), "validation": ("loss", "score")}
"""By log, of which columns each row has a number, of one at least; a look at figures alone has no loss."""
SETTINGS, STARTS = "settings.json", "starts.json"
_STEP = re.compile(r"step-(\d+)")


@dataclass(frozen=True, slots=True)
class RunFolder:
    """What a run needs to resume: `settings.json`, logs (`log.jsonl`, …) and `step-N/`, the state after N steps."""

    path: Path

    def steps(self) -> list[int]:
        """The steps whose state is kept, ascending."""
        return sorted(
            int(match[1]) for each in self.path.glob("step-*") if (match := _STEP.fullmatch(each.name))
        )

    # -- settings -----------------------------------------------------------------------------------------------------

    def begin(
        self, settings: Mapping[str, Any], *, resume: bool, defaults: Mapping[str, Any] | None = None
    ) -> None:
        """Begin a run with these settings in the folder, or check that the run in it has the same.

        Args:
            defaults: what a setting was that the run in the folder does not name, since it is newer than the run.

        Raises:
            OptionError: there is a run already and `resume` is not set, or its settings differ.
        """
        path = self.path / SETTINGS
        if not path.is_file():
            write_atomic(path, json.dumps(settings, indent=2, ensure_ascii=False).encode())
            return
        if not resume:
            raise OptionError(
                f"{self.path.parent} holds a training run already; go on with it by --resume, or name another folder"
            )
        before = self._json(SETTINGS)
        if not isinstance(before, dict):
            raise self._damaged(SETTINGS, "it holds no settings by name")
        plain = json.loads(json.dumps(settings))
        newer = {name: value for name, value in (defaults or {}).items() if name in plain}
        before = {**json.loads(json.dumps(newer)), **before}
        differing = [name for name in {**before, **plain} if before.get(name) != plain.get(name)]
        if differing:
            differences = "; ".join(
                f"{name}: {before.get(name)} there, {plain.get(name)} now" for name in differing
            )
            raise OptionError(
                f"--resume: the run in {self.path.parent} has other settings ({differences}); use the same, or another folder"
            )

    def note_start(self, **facts: Any) -> None:
        """Add to `starts.json` when, by which command and where the run is started or continued, and `facts`."""
        start = {
            "time": datetime.now(UTC).isoformat(timespec="seconds"),
            "command": sys.argv,
            "after_step": max(self.steps(), default=0),
            **facts,
            "python": platform.python_version(),
            "platform": platform.platform(),
            "versions": library_versions(LIBRARIES),
            "environment": {name: os.environ[name] for name in ENVIRONMENT if name in os.environ},
        }
        text = json.dumps([*self.starts(), start], indent=2, ensure_ascii=False)
        write_atomic(self.path / STARTS, text.encode())

    def starts(self) -> list[dict[str, Any]]:
        """What `note_start` wrote, the first start first.

        Raises:
            DatasetDamaged: it is not what `note_start` writes.
        """
        if not (self.path / STARTS).is_file():
            return []
        starts = self._json(STARTS)
        if not isinstance(starts, list) or not all(map(_is_start, starts)):
            raise self._damaged(STARTS, "it is no list of starts with arguments, dataset and base")
        return starts

    def _json(self, name: str) -> Any:
        """The content of a JSON file."""
        try:
            return json.loads(read_small(self.path / name))
        except (OSError, ValueError, RecursionError) as error:
            raise self._damaged(name, str(error)) from error

    def _damaged(self, name: str, why: str) -> DatasetDamaged:
        reason = " ".join(why.split())[:300]
        return DatasetDamaged(
            f"{self.path / name} is damaged ({reason}); start the run again in another folder"
        )

    @contextmanager
    def held(self, accelerator: "Accelerator") -> Iterator[None]:
        """Hold the folder for this run, on its main process.

        Raises:
            OptionError: another process trains in it.
        """
        if not accelerator.is_main_process:
            yield
            return
        self.path.mkdir(parents=True, exist_ok=True)
        with ExitStack() as stack:
            try:
                stack.enter_context(hold(self.path))
            except DatasetBusy as error:
                raise OptionError(
                    f"{self.path.parent}: another process is training in it; wait for it or stop it, or name another folder"
                ) from error
            yield

    # -- state --------------------------------------------------------------------------------------------------------

    def save(self, accelerator: "Accelerator", step: int, *, keep: int = 1) -> None:
        """Save the state after `step` steps, sealed, then delete all but the last `keep`. Call on every process.

        Raises:
            DiskFull: there is no room for it; what was saved before stays.
        """
        partial = self.path / f".step-{step}.partial"
        if accelerator.is_main_process:
            remove(partial)
        accelerator.wait_for_everyone()
        try:
            accelerator.save_state(str(partial))
            accelerator.wait_for_everyone()
            if accelerator.is_main_process:
                seal(partial, step)
        except Exception as error:
            if not _out_of_room(error):
                raise
            remove(partial)
            raise DiskFull(self._no_room(step)) from error
        if accelerator.is_main_process:
            os.replace(partial, self.path / f"step-{step}")
            for earlier in self.steps()[:-keep]:
                remove(self.path / f"step-{earlier}")
        accelerator.wait_for_everyone()

    def _no_room(self, step: int) -> str:
        kept = self.steps()
        back = f"step-{kept[-1]} is whole: --resume goes on from there" if kept else "there is none before it"
        return f"no space left for the checkpoint of step {step} in {self.path}; {back}, once there is room"

    def load(self, accelerator: "Accelerator") -> int:
        """Restore everything prepared and registered to the last state that is whole; its step, 0 where there is none.

        A damaged one is said and set aside as `damaged-N`. Call on every process.

        Raises:
            DatasetDamaged: there are states, and none of them is whole.
        """
        from accelerate.utils import broadcast_object_list

        outcome: list[Any] = [self._last_whole() if accelerator.is_main_process else None]
        step = broadcast_object_list(outcome)[0]
        if isinstance(step, str):
            raise DatasetDamaged(step)
        if step:
            self._restore(accelerator, self.path / f"step-{step}")
        return int(step)

    def _restore(self, accelerator: "Accelerator", state: Path) -> None:
        if any(state.glob("custom_checkpoint_*.pkl")):
            raise DatasetDamaged(
                f"{state} holds pickled objects, which may be code: start the run again in another folder"
            )
        try:
            accelerator.load_state(str(state), strict=False)  # frozen weights are not in it
        except Exception as error:  # files of a stranger that fit nothing end in any exception
            reason = f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
            raise DatasetDamaged(
                f"{state} is whole and cannot be restored ({reason}); delete it to go on from an earlier one, or start again"
            ) from error

    def _last_whole(self) -> int | str:
        """The last step whose checkpoint is whole, 0 where there is no checkpoint at all; a message where all are damaged."""
        damaged: dict[int, str] = {}
        for step in reversed(self.steps()):
            wrong = fault(self.path / f"step-{step}")
            if wrong is None:
                for other, reason in damaged.items():
                    aside = self.path / f"damaged-{other}"
                    remove(aside)
                    os.replace(self.path / f"step-{other}", aside)
                    say(
                        f"warning: the checkpoint step-{other} is damaged ({reason}): going on from step-{step}; it is set aside "
                        f"as {aside}"
                    )
                return step
            damaged[step] = wrong
        if not damaged:
            return 0
        (latest, reason), *earlier = damaged.items()
        which = f"step-{latest} is damaged ({reason})" + (
            f", and so are {len(earlier)} earlier ones" if earlier else ""
        )
        return (
            f"{self.path}: the checkpoint {which}; delete {'them' if earlier else 'it'} to begin again at step 0 with --resume, or "
            "name another folder (--keep 2 or more leaves one to fall back on)"
        )

    # -- the logs -------------------------------------------------------------------------------------------------------

    def log(self, row: Mapping[str, Any], name: str = "log") -> None:
        """Append a row, which has a `step`, to a log."""
        with open(self.path / f"{name}.jsonl", "a", encoding="utf8") as file:
            file.write(json.dumps(row, ensure_ascii=False) + "\n")

    def losses(self) -> list[float]:
        """The logged losses, in order of steps.

        Raises:
            DatasetDamaged: the log is not what `log` writes.
        """
        return [float(row["loss"]) for row in self.rows()]

    def rewind_log(self, step: int) -> None:
        """Delete what was logged after `step`, in every log: those steps are repeated."""
        for path in {self.path / "log.jsonl", *self.path.glob("*.jsonl")}:
            kept = [row for row in self.rows(path.stem) if row["step"] <= step]
            lines = [json.dumps(row, ensure_ascii=False) + "\n" for row in kept]
            write_atomic(path, "".join(lines).encode())

    def rows(self, name: str = "log") -> list[dict[str, Any]]:
        """The rows of a log.

        Raises:
            DatasetDamaged: it is not what `log` writes.
        """
        path = self.path / f"{name}.jsonl"
        if not path.is_file():
            return []
        rows: list[dict[str, Any]] = []
        try:
            for line in read_lines(path):
                if not line.endswith(b"\n"):
                    break  # the run was killed while it wrote this line
                row = json.loads(line)
                if not (isinstance(row, dict) and isinstance(row.get("step"), int)):
                    raise ValueError(f"{line[:80]!r} is no row with a step")
                if name in MEASURED and not _measured(row, MEASURED[name]):
                    raise ValueError(f"{line[:80]!r} is no row with a {' or '.join(MEASURED[name])}")
                rows.append(row)
        except (OSError, ValueError, RecursionError) as error:
            raise self._damaged(path.name, str(error)) from error
        return rows


def _is_start(start: Any) -> bool:
    """Whether a start has what a resumed run takes from it."""
    if not (isinstance(start, dict) and isinstance(start.get("arguments"), dict)):
        return False
    return all(
        isinstance(each := start.get(name), dict)
        and isinstance(each.get("name"), str)
        and isinstance(each.get("commit"), str | None)
        for name in ("dataset", "base")
    )


def library_versions(names: Sequence[str]) -> dict[str, str]:
    """Versions of what decides the weights, of those that are installed."""
    return {name: importlib.metadata.version(name) for name in names if importlib.util.find_spec(name)}


def _out_of_room(error: Exception) -> bool:
    """Whether a library could not write for want of space; torch says only that it could not write."""
    return is_full_disk(error) or "file write failed" in str(error)


def begin_run(
    folder: RunFolder,
    target: "Target",
    captions: "pa.Table",
    base: "ModelSource",
    settings: Any,
    accelerator: "Accelerator",
    facts: Mapping[str, Any],
    **own: Any,
) -> None:
    """Begin a run in a folder, or check that the run in it would have the same outcome. Call on every process.

    Args:
        captions: keys and captions that are read.
        settings: options of the run.
        facts: what else is noted of this start.
        own: what the kind of training adds, and what options resolve to.

    Raises:
        OptionError: see `RunFolder.begin`.
    """
    decided, optimization = identity(settings), settings.optimization
    if optimization.course == "constant":
        del decided["steps"]  # more steps continue the same run
    digest = ArrowDigest()
    for name in captions.column_names:
        digest.update(name, captions.column(name))
    outcome = {
        "dataset": target.commit or "folder",
        "captions": digest.hexdigest(),
        "base": base.revision,
        **decided,
        **own,
        "learning_rate": optimization.learning_rate,
        "weight_decay": optimization.weight_decay,
        "max_norm": optimization.max_norm,
        "ema_decay": optimization.ema_decay,
        "precision": accelerator.mixed_precision,
        "processes": accelerator.num_processes,
    }
    with accelerator.main_process_first():
        folder.begin(
            outcome,
            resume=settings.resume or not accelerator.is_main_process,
            defaults=identity(settings, defaults=True),
        )
    if accelerator.is_main_process:
        folder.note_start(
            arguments={each: _plain(value) for each, value in values(settings).items()},
            dataset={"name": target.name, "commit": target.commit},
            base={"name": base.name, "revision": base.revision, "commit": base.commit},
            device=str(accelerator.device),
            precision=accelerator.mixed_precision,
            processes=accelerator.num_processes,
            **facts,
        )


def _plain(value: Any) -> Any:
    """A value of an option as JSON has it."""
    if isinstance(value, Mapping):
        return dict(value)
    return value if isinstance(value, bool | int | float | str | tuple | None) else str(value)


def keep_average(accelerator: "Accelerator", average: "EMAModel") -> None:
    """Have checkpoints hold averaged weights as `average.pt`.

    Accelerate's own way for such objects unpickles whatever a checkpoint holds; this one takes tensors and numbers alone.
    """
    import torch

    def save(models: list[Any], weights: list[dict[str, Any]], folder: str) -> None:
        if accelerator.is_main_process:
            torch.save(average.state_dict(), Path(folder) / AVERAGE)

    def load(models: list[Any], folder: str) -> None:
        average.load_state_dict(torch.load(Path(folder) / AVERAGE, map_location="cpu", weights_only=True))
        average.to(accelerator.device)

    accelerator.register_save_state_pre_hook(save)
    accelerator.register_load_state_pre_hook(load)


def leave_out_frozen(accelerator: "Accelerator") -> None:
    """Keep weights that are not trained out of checkpoints: the base has them, and they may be gigabytes.

    Of weights that two parts share, one stays.
    """

    def drop(models: list[Any], weights: list[dict[str, Any]], folder: str) -> None:
        for model, state in zip(models, weights, strict=True):
            kept = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
            for name, _ in model.named_parameters(remove_duplicate=False):
                if name not in kept:
                    state.pop(name, None)

    accelerator.register_save_state_pre_hook(drop)


def _measured(row: Mapping[str, Any], columns: Sequence[str]) -> bool:
    """Whether a row has a number in one of the columns, and nothing else in any."""
    there = [row[name] for name in columns if row.get(name) is not None]
    return bool(there) and all(isinstance(each, int | float) for each in there)
