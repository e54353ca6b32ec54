"""A user's own datasets or versions as arms: each is trained on as it is, and measured on captions of records that none has trained on."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from recapdata.atomic import write_atomic
from recapdata.caption_sets.mixture import Mixture
from recapdata.dataset.protocol import Target
from recapdata.dataset.target import open_dataset
from recapdata.errors import InputError, OptionError
from recaptrain.generation.prompts import read_prompts
from recaptrain.reproduction.commands import Commands
from recaptrain.reproduction.experiments import BASE_ARM, Arm
from recaptrain.reproduction.plan import FEWEST_PROMPTS, MOST_PROMPTS
from recaptrain.reproduction.settings import ReproduceSettings
from recaptrain.reproduction.study import Study, audited

MIXTURE = "recap-mix"
HELD_OUT_SHARE = 0.1
"""Share of the records that prompts may be taken from, at most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """A dataset as it was named: `name` is of its arm."""

    name: str
    target: Target
    mixture: Mixture


def open_compared(settings: ReproduceSettings) -> list[Compared]:
    """The datasets that are compared, each resolved to a folder or a commit.

    Raises:
        OptionError: there is but one, one is named twice or as another's files are, or its mixture names a set that it has not.
        SourceNotFound, NotADataset, HubError: as of `open_dataset`.
    """
    if len(settings.datasets) == 1:
        raise OptionError(f"--datasets {settings.datasets[0]}: name two or more to compare")
    compared = [_open(settings, text) for text in settings.datasets]
    names = [each.name for each in compared]
    for name in names:
        if names.count(name) > 1:
            raise OptionError(f"--datasets {name}: it is named twice; what would be compared?")
    taken = {BASE_ARM.folder: BASE_ARM.name}
    for each in compared:
        folder = _arm(each).folder
        if folder in taken:
            raise OptionError(
                f"--datasets {each.name}: its models would lie where those of {taken[folder]} do; name it by another path, such as ./{each.name}"
            )
        taken[folder] = each.name
    return compared


def _arm(each: Compared) -> Arm:
    resolved = each.target.resolved
    return Arm(
        name=each.name, mixture=str(each.mixture), about=f"{each.mixture} of {resolved}", dataset=resolved
    )


def _open(settings: ReproduceSettings, text: str) -> Compared:
    place, colon, own = text.rpartition(":")
    if not colon or Path(text).exists():
        place, own = text, settings.mixture or MIXTURE
    target, mixture = open_dataset(place), Mixture.parse(own)
    for name in mixture.sets:
        if name not in target.set_names():
            raise OptionError(
                f"--datasets {text}: {place} has no caption set {name}; it has {', '.join(target.set_names()) or 'none'}: name "
                "one, or a mixture of them, with --mixture or behind a colon"
            )
    return Compared(name=text.rstrip("/"), target=target, mixture=mixture)


def prepare_own(
    settings: ReproduceSettings, compared: Sequence[Compared], out: Path, commands: Commands
) -> Study:
    """Hold records out, take prompts from them, and audit what is trained on.

    Raises:
        InputError: too few records that all datasets have, with captions in all their sets.
    """
    data = out / "data"
    data.mkdir(parents=True, exist_ok=True)
    most = max(settings.prompts or 0, MOST_PROMPTS)
    if settings.prompts_from:
        prompts, held_out = {"prompts": _own_prompts(data, settings.prompts_from, most)}, None
    else:
        prompts, held_out = _held_out_prompts(data, compared, most)
    audit = {}
    for number, each in enumerate(compared):
        named = [word for name in each.mixture.sets for word in ("--captions", name)]
        summary = commands.run(
            "audits",
            "run",
            each.target.resolved,
            *named,
            "--clip",
            settings.clip,
            "--out",
            str(data / f"audit-{number}"),
        )
        audit[each.name] = audited(summary, str(each.mixture))
    judged = ("soa", "ca", "pa", "claims", "spatial") if settings.detector else ()
    return Study(
        arms=(BASE_ARM, *map(_arm, compared)),
        prompts=prompts,
        real={},
        metrics=(*judged, "rp", "clipscore", "fid"),
        reference=compared[0].target.resolved,
        detector=settings.detector,
        held_out=held_out,
        audit=audit,
    )


def _own_prompts(data: Path, source: str, most: int) -> Path:
    rows = [{"id": each.id, "prompt": each.prompt} for each in read_prompts(source, 0, limit=most)]
    return _write(data / "prompts.jsonl", rows)


def _held_out_prompts(data: Path, compared: Sequence[Compared], most: int) -> tuple[dict[str, Path], Path]:
    """For each dataset the captions that it has of the held-out records, from the set that its mixture draws most; and their keys."""
    captions = [_captions(each) for each in compared]
    common = sorted(
        set.intersection(*(set(each) for each in captions)),
        key=lambda key: hashlib.sha256(f"prompt/{key}".encode()).digest(),
    )
    keys = common[: min(most, int(HELD_OUT_SHARE * len(common)))]
    if len(keys) < FEWEST_PROMPTS:
        raise InputError(
            f"{' and '.join(each.name for each in compared)} have {len(common):,} captioned records in common; prompts are a tenth of "
            f"those, and {FEWEST_PROMPTS} is the least: give prompts with --prompts-from"
        )
    held_out = data / "held-out.txt"
    write_atomic(held_out, "".join(f"{key}\n" for key in keys).encode())
    prompts = {
        f"captions {number + 1}": _write(
            data / f"prompts-{number + 1}.jsonl", [{"id": key[:16], "prompt": own[key]} for key in keys]
        )
        for number, own in enumerate(captions)
    }
    return prompts, held_out


def _captions(each: Compared) -> dict[str, str]:
    """Captions by key, of the records that have one in every set of the mixture."""
    sets = sorted(each.mixture.sets, key=lambda name: -each.mixture.weights[name])
    found: dict[str, str] = {}
    for shard in each.target.shards():
        for batch in each.target.read(shard, ["key", *sets]):
            for key, first, *others in zip(*(column.to_pylist() for column in batch), strict=True):
                if first and all(others):
                    found[key] = first
    return found


def _write(path: Path, rows: Sequence[dict[str, str]]) -> Path:
    write_atomic(path, "".join(json.dumps(row) + "\n" for row in rows).encode())
    return path
