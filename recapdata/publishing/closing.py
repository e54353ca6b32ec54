"""The files that close a version: card, manifest and contents, written once everything else has been sent."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime

import yaml

from recapdata.dataset.folder import MANIFEST, DatasetFolder
from recapdata.dataset.shards import read_footer, read_shard
from recapdata.dataset.target import Target, open_dataset
from recapdata.publishing.card import CardFacts, ConfigFacts, SetFacts, render_card
from recapdata.publishing.plan import PublishPlan
from recapdata.publishing.published import audit_schema, captions_features, data_schema, features
from recapdata.versions.contents import CONTENTS, Contents, Release

README = "README.md"
EXAMPLES = 3


def closing_files(folder: DatasetFolder, plan: PublishPlan, sizes: Mapping[str, int]) -> dict[str, bytes]:
    """The closing files by path.

    Args:
        sizes: bytes of every other file of the version, by path.
    """
    contents = replace(plan.local.contents, history=_history(plan))
    card = render_card(_facts(folder, plan, contents, sizes))
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
        examples=_examples(target),
        failures=_failures(folder),
        summary=plan.local.summary,
        figures=plan.figures,
        parent_version=plan.parent.manifest.version if plan.parent else None,
    )


def _configs(folder: DatasetFolder, plan: PublishPlan, sizes: Mapping[str, int]) -> dict[str, ConfigFacts]:
    rows = plan.local.contents.rows

    def weigh(top: str) -> int:
        return sum(size for path, size in sizes.items() if path.startswith(top) and path.endswith(".parquet"))

    configs = {
        "default": ConfigFacts(
            features=features(list(data_schema(folder)), image=True), rows=rows, size=weigh("data/")
        )
    }
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


def _examples(target: Target) -> dict[str, dict[str, str | None]]:
    """Captions of the first, the middle and the last row of the first shard that has rows."""
    names = target.set_names()
    for shard in target.shards():
        rows = target.rows(shard)
        wanted = sorted({0, rows // 2, rows - 1}) if rows else []
        found: dict[str, dict[str, str | None]] = {}
        start = 0
        for batch in target.read(shard, ["key", *names]) if names and wanted else ():
            for row in (each - start for each in wanted):
                if 0 <= row < batch.num_rows:
                    values = batch.slice(row, 1).to_pylist()[0]
                    found[str(values.pop("key"))] = values
            start += batch.num_rows
        if found:
            return found
    return {}
