"""What a person changes while looking: captions and verdicts, written to the dataset folder first and then shown."""

from collections.abc import Mapping, Sequence
from typing import Any

from audits.corrections import DECIDED, Correction, add_correction, claim_fields, read_corrections
from audits.fiftyone.dataset import INFO
from audits.fiftyone.fields import audit_field, claims_field, wrong_field
from audits.fiftyone.naming import field_names
from audits.fiftyone.schema import captions_open, declare
from audits.fiftyone.source import shown, writable
from audits.fiftyone.views import sampled
from recapdata.caption_sets.edits import EDITED, EditSummary, edit_caption
from recapdata.dataset.folder import DatasetFolder
from recapdata.errors import OptionError


def save_edit(dataset: Any, sample: Any, set_name: str, caption: str) -> EditSummary:
    """Put an edited caption into the dataset folder, then into the sample.

    Raises:
        RecapdataError: the folder cannot be written to, or the caption cannot be saved; nothing is changed then.
    """
    folder = writable(dataset)
    dataset.reload()  # another process may have built since this one last looked
    summary = edit_caption(folder, sample["key"], caption, of=set_name)
    field = _edited_field(dataset, folder, summary.base)
    with captions_open(dataset, [field]):
        sample = dataset[sample.id]
        sample[field] = summary.caption
        for part in (audit_field, claims_field, wrong_field):
            sample[part(field)] = None  # what was audited are other words
        sample.save()
    return summary


def _edited_field(dataset: Any, folder: Any, base: str) -> str:
    """The field of the set of edits; with the first edit it is made, full of what it is based on."""
    about = dataset.info[INFO]
    fields = dict(about["fields"])
    if EDITED not in fields:
        named = field_names([*fields, EDITED])
        fields[EDITED] = named[EDITED]
        dataset.clone_sample_field(fields[base], fields[EDITED])
        declare(dataset, fields)
        # `shards` stays: at the next build they differ by this set, and are brought up to date with its audit.
        provenance = DatasetFolder(folder).manifest.sets[EDITED].to_dict()
        dataset.info[INFO] = {**about, "fields": fields, "sets": {**about["sets"], EDITED: provenance}}
        dataset.save()
    return fields[EDITED]


def mark(dataset: Any, sample: Any, set_name: str, places: Sequence[int], *, right: bool) -> int:
    """Write down whether a person finds verdicts right; how many were.

    Args:
        places: which of the caption's claims.

    Raises:
        RecapdataError: the folder cannot be written to, or nothing was decided of a claim.
    """
    folder = writable(dataset)
    claims = claims_of(dataset, sample, set_name)
    chosen = [claims[place] for place in places if place < len(claims)]
    undecided = [claim for claim in chosen if claim.get("verdict") not in DECIDED]
    if undecided:
        raise OptionError("the audit decided nothing here, so there is nothing to agree or disagree with")
    drawn = sampled(dataset, sample.id)
    for claim in chosen:
        add_correction(folder, _correction(sample["key"], set_name, claim, right=right, drawn=drawn))
    return len(chosen)


def decided(claims: Sequence[Mapping[str, Any]]) -> list[int]:
    """The places of claims that a person can agree or disagree with, the contradicted ones first."""
    found = [place for place, claim in enumerate(claims) if claim.get("verdict") in DECIDED]
    return sorted(found, key=lambda place: claims[place]["verdict"] != "contradicted")


def claims_of(dataset: Any, sample: Any, set_name: str) -> list[Mapping[str, Any]]:
    """The claims of a sample's caption; none where it was not audited."""
    about = shown(dataset)
    field = about.fields.get(set_name) if about is not None else None
    return list(sample[claims_field(field)] or ()) if field is not None else []


def words_of_people(dataset: Any, key: str) -> dict[Any, bool]:
    """By the subject of a correction, whether a person found the verdict on this record's claim right."""
    about = shown(dataset)
    if about is None or about.folder is None:
        return {}
    return {each.subject: each.right for each in read_corrections(about.folder) if each.key == key}


def subject(key: str, set_name: str, claim: Mapping[str, Any]) -> Any:
    """What a correction of this claim would speak of."""
    return _correction(key, set_name, claim, right=True, drawn=False).subject


def _correction(key: str, set_name: str, claim: Mapping[str, Any], *, right: bool, drawn: bool) -> Correction:
    return Correction(
        key=key,
        set_name=set_name,
        kind=claim["kind"],
        span=(int(claim["span"][0]), int(claim["span"][1])),
        claim=claim_fields(claim["kind"], claim),
        verdict=claim.get("verdict") or "unknown",
        right=right,
        sample=drawn,
    )
