"""The folder of a training run: its settings, how it was started, its logs, and where its checkpoints lie."""

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

from recapdata.atomic import write_atomic
from recapdata.dataset.bounded import read_lines, read_small
from recapdata.dataset.folder import hold
from recapdata.errors import DatasetBusy, DatasetDamaged, OptionError

if TYPE_CHECKING:
    from accelerate import Accelerator

LIBRARIES = ("recapdata", "torch", "diffusers", "transformers", "accelerate", "peft", "datasets", "numpy")
"""Whose versions are noted at each start."""
ENVIRONMENT = (
    "HF_ENDPOINT", "CUDA_VISIBLE_DEVICES", "OMP_NUM_THREADS", "PYTORCH_CUDA_ALLOC_CONF", "PYTORCH_ALLOC_CONF", "WORLD_SIZE",
    "ACCELERATE_MIXED_PRECISION", "ACCELERATE_USE_DEEPSPEED", "ACCELERATE_USE_FSDP",
)  # fmt: skip
"""Variables that are noted at each start; no secrets are among them."""
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


def _measured(row: Mapping[str, Any], columns: Sequence[str]) -> bool:
    """Whether a row has a number in one of the columns, and nothing else in any."""
    there = [row[name] for name in columns if row.get(name) is not None]
    return bool(there) and all(isinstance(each, int | float) for each in there)
