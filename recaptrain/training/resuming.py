"""What a resumed run takes from its first start: the commits that its revisions meant then."""

from dataclasses import replace
from typing import Any, TypeVar

from recapdata.console import say
from recaptrain.training.checkpoints import RunFolder

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
