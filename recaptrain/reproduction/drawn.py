"""The experiments' own data: pictures of the drawn world with captions by the embedded captioner, and unseen ones to be asked for."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from recapdata.atomic import write_atomic
from recapdata.dataset.target import open_dataset
from recapdata.scenes.world import SHAPES
from recaptrain.reproduction.commands import Commands
from recaptrain.reproduction.experiments import Arm, sets_of
from recaptrain.reproduction.plan import MOST_PROMPTS
from recaptrain.reproduction.settings import ReproduceSettings
from recaptrain.reproduction.study import Study, audited

WORLD = "objects=3,words=no,sizes=large"
"""What of the drawn world is trained on and asked for: as much as the embedded base draws."""
UNSEEN_SETS = {"short": "human-short", "long": "human-long", "alttext": "alt"}
"""By kind of prompts, the caption set of unseen pictures that they are: a person's short and long ones, and alt text that names a shape."""
UNSEEN_PER_PROMPT = 3
"""Unseen pictures for each prompt of a kind: of about half the alt text names a shape."""
METRICS = ("soa", "ca", "pa", "rp", "clipscore", "claims", "spatial", "fid")
"""RECAP's figures, CLIP score, and by detection, which is surer than the embedded CLIP of PA, the truth of the prompts' claims and positions."""
DETECTOR = "recaptrain.embedded.observer:open_detector"


def prepare_drawn(settings: ReproduceSettings, arms: Sequence[Arm], out: Path, commands: Commands) -> Study:
    """Draw pictures, write their captions, and audit them."""
    pictures, unseen = str(out / "data" / "pictures"), str(out / "data" / "unseen")
    seed = 1000 + 2 * settings.seed
    commands.run("recapdata", "ingest", f"scenes:{settings.scenes},seed={seed},{WORLD}", pictures)
    sets = sets_of(arms, pictures)
    for each in sets:
        if each.captioner is None:
            commands.run("recapdata", "import-captions", pictures, each.name, "alt_text")
        else:
            commands.run(
                "recapdata", "recaption", pictures, each.name, "--captioner", each.captioner, "--style", each.style
            )  # fmt: skip
    named = [word for each in sets for word in ("--captions", each.name)]
    audit = (
        {}
        if not sets
        else commands.run(
            "audits", "run", pictures, *named, "--evidence", "annotations", "--clip", "embedded"
        )
    )
    count = UNSEEN_PER_PROMPT * (settings.prompts or MOST_PROMPTS)
    most = max(settings.prompts or 0, MOST_PROMPTS)
    commands.run("recapdata", "ingest", f"scenes:{count},seed={seed + 1},human={count},{WORLD}", unseen)
    for name, column in (("alt", "alt_text"), ("human-short", "human_short"), ("human-long", "human_long")):
        commands.run("recapdata", "import-captions", unseen, name, column)
    return Study(
        arms=tuple(replace(arm, dataset=pictures) if arm.mixture else arm for arm in arms),
        prompts={kind: _prompts(out / "data", Path(unseen), kind, most) for kind in UNSEEN_SETS},
        real={kind: f"{unseen}:{name}" for kind, name in UNSEEN_SETS.items()},
        metrics=METRICS,
        reference=pictures,
        detector=settings.detector or DETECTOR,
        held_out=None,
        audit={arm.name: audited(audit, arm.mixture) for arm in arms if arm.mixture},
    )


def _prompts(data: Path, unseen: Path, kind: str, most: int) -> Path:
    """A file of the first prompts of a kind."""
    dataset, name = open_dataset(unseen), UNSEEN_SETS[kind]
    lines: list[str] = []
    for shard in dataset.shards():
        for batch in dataset.read(shard, ["key", name]):
            for key, caption in zip(*(column.to_pylist() for column in batch), strict=True):
                if kind != "alttext" or any(shape in caption.lower() for shape in SHAPES):
                    lines.append(json.dumps({"id": key[:16], "prompt": caption}) + "\n")
    path = data / f"prompts-{kind}.jsonl"
    write_atomic(path, "".join(lines[:most]).encode())
    return path
