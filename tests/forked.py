"""Runs commands of the three programs, each a fork of one process that has their libraries loaded: hundreds of them take a minute.

    with Forks(("recapdata", "audits")) as forks:
        outcome = forks.run(["audits", "run", folder])

A command may be stopped by SIGKILL just before its Nth change to the files under a folder, or have the folder copied before every
change (`tests.calls` says what is a change): the copies are the states that a SIGKILL at any moment can leave.
"""

import hashlib
import importlib
import json
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

from tests.waiting import HANGS

KILLED = -signal.SIGKILL
TOO_LONG = (-signal.SIGXCPU, -signal.SIGALRM)
"""How a command ends that takes too much of the processor, or hangs."""
UNREAD = re.compile(r"\.tmp$|\.partial/|^\.keys\.sqlite")
"""Names of files that are written and then renamed, and of the index that is derived from the shards."""
_SHARED = (
    "concurrent.futures.process",
    "datasets",
    "huggingface_hub",
    "multiprocessing.queues",
    "pydantic.type_adapter",
    "typer._coercion",
)
_IMPORTED = {
    "recapdata": (
        "recapdata.cli",
        "recapdata.engines.local",
        "recapdata.caption_sets.edits",
        "recapdata.caption_sets.importing",
        "recapdata.ingestion.urls",
        "recapdata.loading.load",
        "recapdata.publishing",
        "recapdata.recaptioning.merging",
        "recapdata.recaptioning.run",
        "recapdata.dataset.removal",
        "recapdata.versions.difference",
        "tests.scripted",
    ),
    "audits": (
        "audits.cli",
        "audits.comparison.command",
        "audits.corrections",
        "audits.reporting",
        "audits.runner.run",
        "audits.runner.shard",
        "open_clip",
        "spacy",
    ),
    "recaptrain": (
        "recaptrain.cli",
        "recaptrain.captioner.run",
        "recaptrain.diffusion.run",
        "open_clip",
    ),
    "diffusion": (
        "diffusers.pipelines.stable_diffusion.pipeline_stable_diffusion",
        "diffusers.training_utils",
        "peft",
        "torch.distributed.checkpoint.state_dict",
        "torch.distributed.fsdp",
        "transformers.models.clip.modeling_clip",
    ),
    "asking": (
        "httpx",
        "recaptrain.cli",
        "recaptrain.chat.server",
        "recaptrain.evaluation.humans.jsonl",
        "recaptrain.evaluation.judge.run",
        "recaptrain.evaluation.reporting",
        "recaptrain.evaluation.run",
        "recaptrain.generation.upsampling.run",
    ),
    "python": (),
}
"""What the commands of a program import while they run; of `recaptrain`, `asking` those that ask a chat model, `diffusion` that training."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """A command and what is to be observed of it.

    Attributes:
        arguments: the program and its arguments; or `python`, a function by `module:name`, and its arguments.
        under: the folder whose changes are counted; None where nothing is.
        sends: requests over the network are counted as changes, too.
        opens: so are files that are opened and folders that are listed.
        kill_at: the change, from 1, just before which the command dies.
        copies: a folder for copies of `under`, one of each state that differs from those before it (`state`).
        whole: what is in the `UNREAD` files tells states apart, too.
        seconds: of the processor, after which the command dies; on a busy machine they are many more on the clock.
        env: further environment variables.
    """

    arguments: Sequence[str]
    under: str | None = None
    sends: bool = False
    opens: bool = False
    kill_at: int | None = None
    copies: str | None = None
    whole: bool = False
    seconds: int = 60
    env: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a command ended: its exit code (`KILLED` where it was killed), what it wrote, and what it took.

    Attributes:
        changes: the changes that it came to.
        errors: standard error, to the letter.
        seconds: of the processor, 0 where changes are counted.
        peak: bytes of memory at the most, those of the libraries included.
    """

    code: int
    changes: int
    output: str
    errors: str
    seconds: float
    peak: int


class Forks:
    """The process that forks commands."""

    def __init__(self, programs: Sequence[str] = ("recapdata",)) -> None:
        self._programs = programs

    def __enter__(self) -> "Forks":
        self._process = subprocess.Popen(
            [sys.executable, "-m", __name__, *self._programs],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(HANGS)

    def run(self, arguments: Sequence[str | Path], under: Path | None = None, **options: Any) -> Outcome:
        """Run a command (the fields of `Order` are options)."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        order = Order(
            arguments=[str(each) for each in arguments], under=str(under) if under else None, **options
        )
        self._process.stdin.write(json.dumps(asdict(order), default=str) + "\n")
        self._process.stdin.flush()
        return Outcome(**json.loads(self._process.stdout.readline()))


def _call(arguments: Sequence[str]) -> None:
    """Call a function with texts, or run a program's command line."""
    program, *rest = arguments
    if program == "python":
        from recapdata.errors import RecapdataError

        module, _, name = rest[0].partition(":")
        try:
            getattr(importlib.import_module(module), name)(*rest[1:])
        except RecapdataError as error:  # as `recapdata.console` has it
            sys.exit(f"error: {error}")
        return
    sys.argv = list(arguments)
    importlib.import_module(f"{program}.cli").main()


def _child(order: Order, output: int, errors: int) -> None:
    """The command's own process; it never returns."""
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(output, 1)
    os.dup2(errors, 2)
    os.environ.update(order.env)
    os.fsync = os.fdatasync = lambda handle: None  # no process notices what a power cut would undo
    code = 99
    try:
        if order.kill_at is not None or order.copies is not None or order.under is not None:
            from tests.calls import stop_here

            stop_here()
        resource.setrlimit(resource.RLIMIT_CPU, (order.seconds, order.seconds + 5))
        signal.alarm(int(HANGS))
        _call(order.arguments)
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 1
        if isinstance(end.code, str):
            sys.stderr.write(f"{end.code}\n")
    except BaseException:  # noqa: BLE001 - told to whoever asked
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _observed(child: int, order: Order) -> tuple[int, int]:
    """Wait for a command whose changes are counted: its status, and their number."""
    from tests.calls import follow

    assert order.under is not None
    under, seen = Path(order.under), set()

    def keep(number: int) -> None:
        if order.copies is not None and (now := state(under, whole=order.whole)) not in seen:
            seen.add(now)
            copy(under, Path(order.copies) / f"{number:05d}")

    def before(number: int) -> bool:
        keep(number)
        return number == order.kill_at

    status, changes = follow(child, order.under, before, sends=order.sends, opens=order.opens)
    keep(changes + 1)
    return status, changes


def state(folder: Path, *, whole: bool = False) -> str:
    """A hash of all files of a folder; of the `UNREAD` only the name, unless `whole`."""
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        digest.update(name.encode() + b"\0")
        if path.is_file() and (whole or not UNREAD.search(name)):
            digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def copy(folder: Path, to: Path) -> None:
    """Copy a folder with its times; nothing is copied where there is none."""
    if folder.is_dir():
        shutil.copytree(folder, to, symlinks=True)
    else:
        to.mkdir(parents=True)
        (to / ".none").touch()


def _answer(order: Order) -> Outcome:
    output, errors = os.memfd_create("output"), os.memfd_create("errors")
    if (child := os.fork()) == 0:
        _child(order, output, errors)
    if order.under is not None:
        status, changes = _observed(child, order)
        seconds, peak = 0.0, 0
    else:
        changes = 0
        _, status, usage = os.wait4(child, 0)
        seconds, peak = usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024
    texts = []
    for handle in (output, errors):
        os.lseek(handle, 0, os.SEEK_SET)
        with os.fdopen(handle, "rb") as file:
            texts.append(file.read().decode(errors="replace"))
    return Outcome(os.waitstatus_to_exitcode(status), changes, *texts, seconds, peak)


def _serve(programs: Sequence[str], prepare: Callable[[], None]) -> None:
    for name in _SHARED:
        importlib.import_module(name)
    for program in programs:
        for name in _IMPORTED[program]:
            importlib.import_module(name)
    prepare()
    for line in sys.stdin:
        sys.stdout.write(json.dumps(asdict(_answer(Order(**json.loads(line))))) + "\n")
        sys.stdout.flush()


def _with_scripted_captioner() -> None:
    from recapdata.captioners import CAPTIONERS

    CAPTIONERS["scripted"] = "tests.scripted:open_scripted"


if __name__ == "__main__":
    _serve(sys.argv[1:], _with_scripted_captioner)
