"""The audit of real photographs: COCO's boxes and human captions, against a count by hand and against captions of other pictures.

The fixture was counted by eye on 20 photographs (every fourth of the 79 by file name), before the audit was looked at: per picture
the objects of COCO's classes that cover 3 % of it or more (96×96 pixels of 640×480), and which of these classes its first
caption mentions, by whatever word.
"""

import json
import os
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from audits.evidence import Evidence, open_evidence
from audits.evidence.collect import collect
from audits.extraction import claims as extract
from audits.grounding.verdicts import ground
from audits.runner.run import run
from recapdata.caption_sets.importing import import_captions
from recapdata.dataset.target import open_dataset
from recapdata.ingestion import ingest

SHARED = Path(os.environ.get("RECAPDATA_SHARED", Path(__file__).parents[3] / "shared")) / "coco-mini"
HAND: dict[str, Any] = json.loads(
    (Path(__file__).parent / "fixtures" / "large_objects_by_hand.json").read_text()
)

pytestmark = pytest.mark.skipif(not SHARED.is_dir(), reason=f"needs the photographs of {SHARED}")


@pytest.fixture(scope="module")
def photographs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """COCO's photographs as a dataset, with the first caption of each as the set `human`."""
    folder = tmp_path_factory.mktemp("coco") / "ds"
    ingest(f"coco:{SHARED}", folder)
    import_captions(folder, "human", "captions[0]")
    return folder


def test_recall_of_large_objects_agrees_with_a_count_by_hand(
    photographs: Path, tmp_path: Path, record_property: Any
) -> None:
    run(photographs, captions=["human"], evidence=["annotations"], out=tmp_path / "audit")
    rows = pq.read_table(tmp_path / "audit" / "human" / "train-00000.parquet").to_pylist()
    scores = {row["key"]: row["scores"] for row in rows if row["key"] in HAND}
    assert len(scores) == len(HAND) == 20
    by_hand = sum(len(each["mentioned"]) for each in HAND.values()) / sum(
        len(each["large"]) for each in HAND.values()
    )
    present = sum(each["objects_present_large"] for each in scores.values())
    audited = sum(each["objects_said_large"] for each in scores.values()) / present
    same = sum(
        (each["objects_present_large"], each["objects_said_large"])
        == (len(HAND[key]["large"]), len(HAND[key]["mentioned"]))
        for key, each in scores.items()
    )
    record_property(
        "recall of large objects", f"by hand {by_hand:.3f}, audited {audited:.3f}, {same} pictures alike"
    )
    # In the other six COCO's annotators and the eye name things differently (a coffee table, a bag, a bed of flowers).
    assert same >= 14
    assert by_hand == pytest.approx(21 / 24)
    assert audited == pytest.approx(by_hand, abs=0.05)


def test_captions_are_contradicted_on_other_pictures_and_hardly_on_their_own(
    photographs: Path, record_property: Any
) -> None:
    target = open_dataset(photographs)
    source = open_evidence("annotations", target)
    batch = next(iter(target.read(0, [*source.columns, "captions"], batch_rows=100)))
    captions = batch.column("captions").to_pylist()
    known = [
        each.evidence
        for each in collect([source], batch.select(list(source.columns)), [frozenset()] * len(captions))
    ]
    claims = list(extract(caption for five in captions for caption in five))

    def contradicted(pictures: list[tuple[Evidence, ...]], kind: str = "object") -> float:
        """Share of the claims of a kind that the evidence can judge."""
        found = [
            claim.verdict
            for row, evidence in enumerate(pictures)
            for mine, caption in zip(claims[5 * row : 5 * row + 5], captions[row], strict=True)
            for claim in ground(mine, evidence, caption).claims
            if claim.kind == kind and claim.verdict != "unknown"
        ]
        return found.count("contradicted") / len(found)

    own = contradicted(known)
    counts = contradicted(known, "count")
    shuffled = [contradicted(known[shift:] + known[:shift]) for shift in (1, 7, 23, 40)]
    record_property(
        "contradicted",
        f"own {own:.4f}, counts {counts:.3f}, shuffled {min(shuffled):.3f} to {max(shuffled):.3f}",
    )
    assert own <= 0.015
    assert counts <= 0.1
    assert min(shuffled) > 0.6
