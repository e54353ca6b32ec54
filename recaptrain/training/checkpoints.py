"""The folder of a training run: its settings, its logs, and atomic checkpoints that it resumes from exactly."""

import importlib.metadata
import importlib.util
import json
import os
import platform
import re
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from recapdata.atomic import write_atomic
from recapdata.console import is_full_disk, say
from recapdata.dataset.digest import ArrowDigest
from recapdata.dataset.folder import hold
from recapdata.errors import DatasetBusy, DatasetDamaged, DiskFull, OptionError
from recapdata.options import identity, values
from recaptrain.training.completeness import fault, seal

if TYPE_CHECKING:
    import pyarrow as pa
    from accelerate import Accelerator

    from recapdata.dataset.target import Target
    from recapdata.models.sources import ModelSource

LIBRARIES = ("recapdata", "torch", "diffusers", "transformers", "accelerate", "peft", "datasets", "numpy")
"""Whose versions are noted at each start."""
ENVIRONMENT = (
    "HF_ENDPOINT", "CUDA_VISIBLE_DEVICES", "OMP_NUM_THREADS", "PYTORCH_CUDA_ALLOC_CONF", "PYTORCH_ALLOC_CONF", "WORLD_SIZE",
    "ACCELERATE_MIXED_PRECISION", "ACCELERATE_USE_DEEPSPEED", "ACCELERATE_USE_FSDP",
)  # fmt: skip
"""Variables that are noted at each start; no secrets are among them."""
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
        path = self.path / "settings.json"
        if not path.is_file():
            write_atomic(path, json.dumps(settings, indent=2, ensure_ascii=False).encode())
            return
        if not resume:
            raise OptionError(
                f"{self.path.parent} holds a training run already; go on with it by --resume, or name another folder"
            )
        before = json.loads(path.read_text(encoding="utf8"))
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
        write_atomic(self.path / "starts.json", text.encode())

    def starts(self) -> list[dict[str, Any]]:
        """What `note_start` wrote, the first start first."""
        path = self.path / "starts.json"
        starts: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf8")) if path.is_file() else []
        return starts

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
            shutil.rmtree(partial, ignore_errors=True)
        accelerator.wait_for_everyone()
        try:
            accelerator.save_state(str(partial))
            accelerator.wait_for_everyone()
            if accelerator.is_main_process:
                seal(partial, step)
        except Exception as error:
            if not _out_of_room(error):
                raise
            shutil.rmtree(partial, ignore_errors=True)
            raise DiskFull(self._no_room(step)) from error
        if accelerator.is_main_process:
            os.replace(partial, self.path / f"step-{step}")
            for earlier in self.steps()[:-keep]:
                shutil.rmtree(self.path / f"step-{earlier}")
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
            # Frozen weights are not in it.
            accelerator.load_state(str(self.path / f"step-{step}"), strict=False)
        return int(step)

    def _last_whole(self) -> int | str:
        """The last step whose checkpoint is whole, 0 where there is no checkpoint at all; a message where all are damaged."""
        damaged: dict[int, str] = {}
        for step in reversed(self.steps()):
            wrong = fault(self.path / f"step-{step}")
            if wrong is None:
                for other, reason in damaged.items():
                    aside = self.path / f"damaged-{other}"
                    shutil.rmtree(aside, ignore_errors=True)
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
        lines = path.read_text(encoding="utf8").splitlines(keepends=True)
        if lines and not lines[-1].endswith("\n"):
            lines.pop()  # the run was killed while it wrote this line
        try:
            return [json.loads(line) for line in lines]
        except json.JSONDecodeError as error:
            raise DatasetDamaged(
                f"{path} is damaged ({error}); start the run again in another folder"
            ) from error


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
