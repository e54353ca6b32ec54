"""How a run begins in a folder, and goes on there: with the settings and at the commits that it began with."""

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

from recapdata.console import say
from recapdata.dataset.digest import ArrowDigest
from recapdata.options import identity, values
from recaptrain.training.run_folder import RunFolder

if TYPE_CHECKING:
    import pyarrow as pa
    from accelerate import Accelerator

    from recapdata.dataset.target import Target
    from recapdata.models.sources import ModelSource

Settings = TypeVar("Settings")


def pinned(settings: Settings, run: RunFolder) -> Settings:
    """The same settings with dataset and base at the commits that the run began with; as they are where it is not resumed.

    A branch may have moved since, and a tag been set again: what is named as it was at the first start means what it meant
    then. Another name or revision stays, for the check of the run's settings to refuse if it is another commit.
    """
    first: Any = next(iter(run.starts()), None)
    given: Any = settings
    if first is None or not given.resume:
        return settings
    before: dict[str, Any] = first["arguments"]
    changes: dict[str, str] = {}
    if first["dataset"]["commit"] and _as_before(given, before, "dataset", "revision"):
        name = given.dataset.partition("@")[0]
        changes |= {"dataset": name, "revision": first["dataset"]["commit"]}
    if first["base"].get("commit") and _as_before(given, before, "base", "base_revision"):
        changes |= {"base_revision": first["base"]["commit"]}
    if "dataset" in changes:
        say(f"going on with {changes['dataset']} at commit {changes['revision'][:12]}, where the run began")
    return replace(given, **changes)


def _as_before(settings: Any, before: dict[str, Any], *names: str) -> bool:
    return all(getattr(settings, name) == before.get(name) for name in names)


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
        **({"sharded": True} if accelerator.is_fsdp2 else {}),
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
