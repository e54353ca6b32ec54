"""The files that close a version, written once everything else has been sent: card, manifest and contents.

The card is README.md, made of manifest, contents and audit summary through the template cards/dataset.md.j2.
The YAML head is made of the stock classes of huggingface_hub and datasets, so that what reads it is what wrote it. Captions
and every other text of unknown origin are escaped wherever they could be markup, and nowhere else, so that the file reads well too.
"""

import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import yaml

from recapdata.dataset.folder import MANIFEST, DatasetFolder
from recapdata.dataset.shards import read_footer, read_shard
from recapdata.dataset.target import Target, open_dataset
from recapdata.errors import PublishRefused
from recapdata.markdown import as_code, escape
from recapdata.publishing.card_edits import README, merge_card
from recapdata.publishing.licenses import LICENSES, OTHER, license_fields
from recapdata.publishing.plan import PublishPlan
from recapdata.publishing.published import PATTERNS, audit_schema, captions_features, data_schema, features
from recapdata.records import Manifest, Provenance
from recapdata.templates import render
from recapdata.versions.changes import counted
from recapdata.versions.contents import CONTENTS, Contents, Release
from recapdata.versions.figures import FigureChange, read_figures

if TYPE_CHECKING:
    from datasets import Features

TEMPLATE = "dataset.md.j2"
SHOWN_CHARACTERS = 300
SPLIT = "train"
ANNOTATORS = {
    "model": "machine-generated",
    "human": "other",
    "web": "found",
    "import": "other",
    "merge": "other",
}
WRITERS = {
    "model": "a model",
    "human": "people",
    "web": "the web (alt text)",
    "import": "unknown (came with the data)",
    "merge": "several",
}
_ENGLISH = re.compile(r"\b(a|an|the|of|on|in|with|and|is|to)\b", re.IGNORECASE)
_SIZES = ("1K", "10K", "100K", "1M", "10M", "100M", "1B", "10B", "100B", "1T")


@dataclass(frozen=True, slots=True, kw_only=True)
class SetFacts:
    """What became of one caption set: captions, and failures by their type."""

    captions: int
    failures: Mapping[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigFacts:
    """One config as `load_dataset` will find it.

    Attributes:
        size: bytes of its files.
    """

    features: "Features"
    rows: int
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CardFacts:
    """Everything that the card says and the manifest does not.

    Attributes:
        configs: by name, those that the version has.
        sets: by name.
        examples: rows to show: key → set → caption.
        failures: items that never became a record, by type of failure.
        figures: this version's audit figures beside the parent's.
        parent_version: None for the first version.
    """

    repo_id: str
    manifest: Manifest
    contents: Contents
    configs: Mapping[str, ConfigFacts]
    sets: Mapping[str, SetFacts]
    examples: Mapping[str, Mapping[str, str | None]]
    failures: Mapping[str, int]
    summary: Mapping[str, Any] | None = None
    figures: Sequence[FigureChange] = ()
    parent_version: str | None = None


def render_card(facts: CardFacts) -> str:
    """The text of README.md.

    Raises:
        PublishRefused: the head would not pass the Hub's check; says which field.
    """
    manifest = facts.manifest
    body = render(
        TEMPLATE,
        facts=facts,
        manifest=manifest,
        rows=facts.contents.rows,
        writers=[(name, each, facts.sets[name]) for name, each in manifest.sets.items()],
        who=who,
        figures=read_figures(facts.summary),
        figure_names=_figure_names(facts.summary),
        moved=[change for change in facts.figures if change.verdict],
        history=list(reversed(facts.contents.history)),
        text=escape,
        column=as_code,
        cell=lambda value: escape(_short(value)),
        code=json.dumps,
        handle=re.sub(r"\W+", "_", facts.repo_id).lower(),
        year=facts.contents.history[-1].date[:4] if facts.contents.history else "",
    )
    head = _head(facts)
    check_head(head)
    from huggingface_hub import DatasetCardData

    return f"---\n{DatasetCardData(**head).to_yaml()}\n---\n\n{body}"


def _head(facts: CardFacts) -> dict[str, Any]:
    """The YAML head as plain values."""
    from datasets import DatasetInfo, SplitDict, SplitInfo
    from datasets.info import DatasetInfosDict
    from huggingface_hub import DatasetCardData

    infos = DatasetInfosDict(
        {
            name: DatasetInfo(
                features=config.features,
                splits=SplitDict({SPLIT: SplitInfo(SPLIT, num_bytes=config.size, num_examples=config.rows)}),
                download_size=config.size,
                dataset_size=config.size,
            )
            for name, config in facts.configs.items()
        }
    )
    sets = facts.manifest.sets.values()
    writers = {part.writer for each in sets for part in (each.parts.values() or [each])}
    data = DatasetCardData(
        pretty_name=facts.repo_id.split("/")[-1],
        **license_fields(facts.manifest.license),
        language=language(facts),
        annotations_creators=sorted({ANNOTATORS[writer] for writer in writers}) or ["no-annotation"],
        size_categories=[size_category(facts.contents.rows)],
        task_categories=["text-to-image", "image-to-text"],
        tags=["recapdata", "captions", *(["recaptioning"] if "model" in writers else [])],
        configs=[
            {"config_name": name, "data_files": [{"split": SPLIT, "path": PATTERNS[name]}]}
            | ({"default": True} if name == "default" else {})
            for name in facts.configs
        ],
    )
    infos.to_dataset_card_data(data)
    return data.to_dict()


def check_head(head: Mapping[str, Any]) -> None:
    """Check what the Hub checks when a card is committed, without asking it.

    Raises:
        PublishRefused: a field is missing or not of the Hub's vocabulary.
    """
    wrong = []
    if head.get("license") not in LICENSES:
        wrong.append(f"license {head.get('license')!r}")
    if (head.get("license") == OTHER) != bool(head.get("license_name")):
        wrong.append(f"license_name {head.get('license_name')!r} with license {head.get('license')!r}")
    if not all(re.fullmatch(r"[a-z]{2,3}", each) for each in head.get("language", [])):
        wrong.append(f"language {head.get('language')!r}")
    if not set(head.get("annotations_creators", [])) <= {*ANNOTATORS.values(), "no-annotation"}:
        wrong.append(f"annotations_creators {head.get('annotations_creators')!r}")
    names = [config["config_name"] for config in head.get("configs", [])]
    if not names or len(set(names)) < len(names):
        wrong.append(f"configs {names!r}")
    if any(not isinstance(tag, str) or "," in tag for tag in head.get("tags", [])):
        wrong.append(f"tags {head.get('tags')!r}")
    if wrong:
        raise PublishRefused(f"the card's head would not pass the Hub's check: {'; '.join(wrong)}")


# --- words ---------------------------------------------------------------------------------------------------------------


def who(provenance: Provenance) -> str:
    """Who wrote a set, in one cell: `google/paligemma2-3b-pt-448 @ 4ab1…`."""
    if provenance.sources:
        return ", ".join(
            f"{counted(count, 'caption')} of {name}" for name, count in provenance.origins.items()
        )
    if provenance.model:
        base = f"; where it wrote none, {provenance.base}" if provenance.base else ""
        revision = f" @ {provenance.revision.removeprefix('sha256:')[:12]}" if provenance.revision else ""
        return f"{provenance.model}{revision}{base}"
    if provenance.base:
        return f"{provenance.base}, {counted(provenance.edits or 0, 'caption')} of it edited by people"
    column = f", column {provenance.column}" if provenance.column else ""
    return f"{WRITERS[provenance.writer]}{column}"


def _short(value: str | None) -> str:
    if value is None:
        return "(no caption)"
    return value if len(value) <= SHOWN_CHARACTERS else value[:SHOWN_CHARACTERS].rstrip() + " …"


def language(facts: CardFacts) -> list[str]:
    """`en` where the captions shown hold English function words, else undetermined."""
    texts = [text for row in facts.examples.values() for text in row.values() if text]
    english = sum(bool(_ENGLISH.search(text)) for text in texts)
    return ["en"] if english * 2 >= len(texts) > 0 else ["und"]


def size_category(rows: int) -> str:
    """The Hub's name for a number of rows."""
    if rows < 1_000:
        return "n<1K"
    for place in range(1, len(_SIZES)):
        if rows < 10 ** (3 + place):
            return f"{_SIZES[place - 1]}<n<{_SIZES[place]}"
    return "n>1T"


def _figure_names(summary: Mapping[str, Any] | None) -> list[str]:
    """Names of all figures of all sets, in reading order."""
    return list(dict.fromkeys(name for each in read_figures(summary).values() for name in each))


# --- the files that close a version --------------------------------------------------------------------------------------


def closing_files(folder: DatasetFolder, plan: PublishPlan, sizes: Mapping[str, int]) -> dict[str, bytes]:
    """The closing files by path.

    Args:
        sizes: bytes of every other file of the version, by path.
    """
    contents = replace(plan.local.contents, history=_history(plan))
    card = merge_card(render_card(_facts(folder, plan, contents, sizes)), plan.card)
    manifest = yaml.safe_dump(plan.manifest.to_dict(), sort_keys=False, allow_unicode=True, width=120)
    return {
        MANIFEST: manifest.encode(),
        CONTENTS: contents.to_json().encode(),
        README: card.encode(),
    }


def _history(plan: PublishPlan) -> tuple[Release, ...]:
    """The parent's history, its last release now with its commit, and this release."""
    release = Release(
        version=plan.version, date=datetime.now(UTC).date().isoformat(), changes=plan.release_changes()
    )
    if plan.parent is None:
        return (release,)
    *earlier, last = plan.parent.contents.history or (
        Release(version=str(plan.parent.manifest.version), date="–", changes=()),
    )
    return (*earlier, replace(last, commit=plan.parent.commit), release)


def _facts(
    folder: DatasetFolder, plan: PublishPlan, contents: Contents, sizes: Mapping[str, int]
) -> CardFacts:
    target = open_dataset(folder.path)
    return CardFacts(
        repo_id=plan.repo_id,
        manifest=plan.manifest,
        contents=contents,
        configs=_configs(folder, plan, sizes),
        sets={name: _set_facts(target, name) for name in plan.manifest.sets},
        examples=plan.local.examples,
        failures=_failures(folder),
        summary=plan.local.summary,
        figures=plan.figures,
        parent_version=plan.parent.manifest.version if plan.parent else None,
    )


def _configs(folder: DatasetFolder, plan: PublishPlan, sizes: Mapping[str, int]) -> dict[str, ConfigFacts]:
    rows = plan.local.contents.rows

    def weigh(top: str) -> int:
        return sum(size for path, size in sizes.items() if path.startswith(top) and path.endswith(".parquet"))

    from datasets import Features

    columns = Features.from_arrow_schema(data_schema(folder))
    configs = {"default": ConfigFacts(features=columns, rows=rows, size=weigh("data/"))}
    if plan.manifest.sets:
        configs["captions"] = ConfigFacts(
            features=captions_features(), rows=rows * len(plan.manifest.sets), size=weigh("captions/")
        )
    if (schema := audit_schema(folder)) is not None:
        audited = sum(
            read_footer(folder.path / part.path).num_rows
            for part in plan.local.parts
            if part.path.startswith("audits/") and part.path.endswith(".parquet")
        )
        configs["audit"] = ConfigFacts(
            features=features(list(schema), image=False), rows=audited, size=weigh("audits/")
        )
    return configs


def _set_facts(target: Target, name: str) -> SetFacts:
    """Captions and failures of a set; a failure's type stands before the colon."""
    captions, errors = 0, Counter[str]()
    for shard in target.shards():
        column = target.read_captions(name, shard, ["error"]).column("error")
        captions += column.null_count
        errors.update(str(error).split(":")[0] for error in column.drop_null().to_pylist())
    return SetFacts(captions=captions, failures=dict(errors.most_common()))


def _failures(folder: DatasetFolder) -> dict[str, int]:
    """Items that never became a record, by type."""
    errors = Counter[str]()
    for path in (folder.ledger("failures", shard) for shard in folder.shards()):
        if path.is_file():
            errors.update(read_shard(path, ["error"]).column("error").to_pylist())
    return dict(errors.most_common())
