"""The whole way on the drawn world: every console command once, against an embedded Hub, into one folder.

The commands run as subprocesses, exactly as a user would type them, so that the demo shows what it says it does and the
import direction holds (recapdata knows nothing of audits and recaptrain).
"""

import os
import shutil
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from recapdata.commands import run_command
from recapdata.console import say
from recapdata.display import shell_line
from recapdata.errors import OptionError
from recapdata.extras import require

MARKER = ".recapdata-demo"
REPO = "demo/scenes"
CAPTIONER_REPO = "demo/scenes-captioner"
LICENSE = "cc0-1.0"


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoSummary:
    """What the demo made.

    Attributes:
        commits: the Hub commit of each published version, by tag.
        rows: rows that a plain `load_dataset` gave back, by tag.
        figures: audit figures of each caption set: set → figure → value.
        glance: those that the report has on top, as texts: set → figure → text.
        seconds: wall time of each step, by its title.
    """

    out: str
    commits: Mapping[str, str]
    rows: Mapping[str, int]
    figures: Mapping[str, Mapping[str, float]]
    glance: Mapping[str, Mapping[str, str]]
    samples: int
    seconds: Mapping[str, float]

    def text(self) -> str:
        """The closing table and what to type next."""
        made = ", ".join(
            f"{tag} ({self.rows[tag]:,} rows, commit {commit[:8]})" for tag, commit in self.commits.items()
        )
        return f"""
What the captions say of the pictures, and how much of it is true

{_table(self.glance)}

precision: of what is said, how much is true; recall: of what is there, how much is said. In brackets: 95 % confidence
intervals. alt is v1.0.0's web-like alt text; v1.1.0 added the recap sets.

Published   {REPO}: {made}
FiftyOne    {self.samples:,} samples
Took        {sum(self.seconds.values()):.0f} s

Where it lies
  {self.out}/report.html   the audit, and pictures with their captions before and after: open it first
                     {(Path(self.out) / "report.html").resolve().as_uri()}
  {self.out}/dataset       the dataset folder
  {self.out}/hub           the embedded Hub with both versions
  {self.out}/model         the fine-tuned diffusion pipeline, with its card
  {self.out}/logs          what each command printed

What to type next
{_next_commands(self.out)}"""


def _table(figures: Mapping[str, Mapping[str, str]]) -> str:
    """Audit figures, a column per caption set."""
    names = list(dict.fromkeys(name for each in figures.values() for name in each))
    width = max(map(len, names), default=0)
    columns = [[title, *(each.get(name, "–") for name in names)] for title, each in figures.items()]
    rows = zip(
        ["", *names],
        *([cell.rjust(max(map(len, column))) for cell in column] for column in columns),
        strict=True,
    )
    return "\n".join("   ".join([name.ljust(width), *cells]) for name, *cells in rows)


def _next_commands(out: str) -> str:
    """What to type after the demo; first of all, for who runs it from an environment that is not active, its activation."""
    activate = os.path.relpath(Path(sys.executable).with_name("activate"))
    commands = [] if shutil.which("recapdata") else [(f"source {activate}", "the commands, in this terminal")]
    commands += [
        (f"recapdata hub --root {out}/hub", "serve it again; in another terminal, export what it prints:"),
        (f"recapdata diff {REPO}@v1.0.0 {REPO}@v1.1.0", "what changed between the versions"),
        (f"audits view {REPO}@v1.1.0", "browse pictures, captions and claims in FiftyOne"),
        ("recapdata ingest my-photos my-dataset", "your own folder of images"),
    ]
    width = max(len(command) for command, _ in commands)
    return "\n".join(f"  {command:<{width}}   # {why}" for command, why in commands)


class _Steps:
    """Runs the commands one after the other, says each, and keeps their logs and times."""

    def __init__(self, out: Path, env: Mapping[str, str], total: int) -> None:
        self.seconds: dict[str, float] = {}
        self._logs = out / "logs"
        self._logs.mkdir(parents=True)
        self._env = dict(env)
        self._total = total

    @contextmanager
    def step(self, title: str, shown: str) -> Iterator[None]:
        say(f"[{len(self.seconds) + 1}/{self._total}] {title}\n        $ {shown}")
        began = time.monotonic()
        yield
        self.seconds[title] = round(time.monotonic() - began, 1)
        say(f"        {self.seconds[title]:.1f} s")

    def command(self, title: str, *words: str) -> dict[str, Any]:
        """Run one console command with `--json`; its summary.

        Raises:
            CommandFailed: it did not exit with 0.
        """
        with self.step(title, shell_line(words)):
            return self.quiet(*words)

    def quiet(self, *words: str) -> dict[str, Any]:
        """Run a command as part of the step under way."""
        log = self._logs / f"{len(self.seconds) + 1:02d}-{words[0]}-{words[1]}.log"
        return run_command(words, log, env=self._env)


def _fresh(out: Path) -> Path:
    """An empty folder for the demo; an earlier demo's is replaced, anybody else's is not.

    Raises:
        OptionError: it is no folder, or holds something else.
    """
    if out.exists() and not out.is_dir():
        raise OptionError(f"{out} is no folder; name another with --out")
    if out.exists() and any(out.iterdir()):
        if not (out / MARKER).exists():
            raise OptionError(f"{out} is not empty and not an earlier demo; name another folder with --out")
        say(f"replacing the earlier demo in {out}")
        shutil.rmtree(out)
    out.mkdir(parents=True, exist_ok=True)
    (out / MARKER).touch()
    return out


def _offline_environment(out: Path, hub_env: Mapping[str, str]) -> dict[str, str]:
    """The environment of every command: the embedded Hub, and caches that stay inside the demo's folder."""
    inside = {
        "HF_HOME": str(out / "cache"),
        "RECAPDATA_CACHE": str(out / "cache" / "recapdata"),
        "FIFTYONE_DATABASE_DIR": str(out / "fiftyone" / "database"),
        "FIFTYONE_DEFAULT_DATASET_DIR": str(out / "fiftyone"),
        "FIFTYONE_DO_NOT_TRACK": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
    }
    return {**os.environ, **hub_env, **inside}


def _publish_captioner(endpoint: str, token: str) -> str:
    """Put the embedded captioner on the Hub as a model repository, tagged v1; its commit."""
    from huggingface_hub import HfApi

    from recapdata.weights import embedded_path

    api = HfApi(endpoint=endpoint, token=token)
    api.create_repo(CAPTIONER_REPO, exist_ok=True)
    commit = api.upload_folder(
        repo_id=CAPTIONER_REPO, folder_path=embedded_path("captioner"), commit_message="The captioner"
    )
    api.create_tag(CAPTIONER_REPO, tag="v1")
    return commit.oid


def _load_back(tag: str) -> int:
    """Rows that plain `load_dataset` gives at a tag, after a look at the first and the last picture."""
    from datasets import load_dataset

    rows = load_dataset(REPO, revision=tag, split="train")
    for index in (0, len(rows) - 1):
        rows[index]["image"].load()
    return len(rows)


def run_demo(out: Path, *, scenes: int = 1000, steps: int = 20, seed: int = 7) -> DemoSummary:
    """Run the whole way into `out`.

    Args:
        scenes: pictures to draw.
        steps: training steps of the diffusion model.

    Raises:
        OptionError: `out` holds something that is not an earlier demo.
        MissingExtra: a command of the demo is not installed.
        CommandFailed: a command failed.
    """
    from recapdata.hub.process import running_hub

    require("pygit2", "spacy", "torch", "fiftyone", "diffusers", extra="view,train,hub")
    out = _fresh(out).resolve()
    shown = os.path.relpath(out)
    folder = f"{shown}/dataset"
    with running_hub(out / "hub") as hub:
        env = _offline_environment(out, hub.env)
        os.environ.update(env)  # before datasets and huggingface_hub are imported: they read it once
        run = _Steps(out, env, total=12)
        run.command(
            f"Draw {scenes:,} scenes with web-like alt text",
            "recapdata",
            "ingest",
            f"scenes:{scenes},seed={seed}",
            folder,
        )
        run.command(
            "Make the alt text a caption set", "recapdata", "import-captions", folder, "alt", "alt_text"
        )
        audit = ("audits", "run", folder, "--evidence", "annotations", "--clip", "embedded")
        run.command("Audit the alt text", *audit)
        publish = ("recapdata", "publish", folder, REPO, "--license", LICENSE, "--yes", "--version")
        commits = {"v1.0.0": run.command("Publish v1.0.0", *publish, "1.0.0")["commit"]}
        with run.step("Put the captioner on the Hub", f"hf upload {CAPTIONER_REPO} …"):
            revision = _publish_captioner(hub.endpoint, hub.token)
        captioner = ("--captioner", CAPTIONER_REPO, "--revision", revision[:40])
        with run.step(
            "Recaption, short and long",
            f"recapdata recaption {folder} recap-short --captioner {CAPTIONER_REPO} --style short",
        ):
            for style in ("short", "long"):
                run.quiet(
                    "recapdata",
                    "recaption",
                    folder,
                    f"recap-{style}",
                    *captioner,
                    "--style",
                    style,
                )
        audited = run.command("Audit all three sets", *audit)
        commits["v1.1.0"] = run.command("Publish v1.1.0", *publish, "1.1.0")["commit"]
        with run.step("Load both versions back", f"load_dataset({REPO!r}, revision='v1.1.0')"):
            rows = {tag: _load_back(tag) for tag in commits}
        samples = run.command("Build the FiftyOne dataset", "audits", "view", f"{REPO}@v1.1.0", "--no-app")[
            "samples"
        ]
        mixture = ("--mixture", "recap-short=0.5,recap-long=0.5", "--base", "embedded", "--steps", str(steps))
        run.command(
            f"Train the diffusion model for {steps} steps",
            *(
                "recaptrain",
                "diffusion",
                "--dataset",
                REPO,
                "--revision",
                "v1.1.0",
                *mixture,
                f"{shown}/model",
            ),
        )
        report = run.command(
            "Write the report", "audits", "report", f"{REPO}@v1.1.0", f"{shown}/report.html", "--random", "24"
        )
    return DemoSummary(
        out=shown,
        commits=commits,
        rows=rows,
        figures={
            name: {figure: values["value"] for figure, values in each["figures"].items()}
            for name, each in audited["sets"].items()
        },
        glance=report["glance"],
        samples=samples,
        seconds=run.seconds,
    )
