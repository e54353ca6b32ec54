"""Audit shards: the schema takes what an audit gives, and the footer says what it was computed from."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from recapdata.dataset.audit_files import AUDIT_SCHEMA, SCORES_TYPE, Identity, read_identity
from recapdata.dataset.shards import ShardWriter
from recapdata.records import Claim


def test_the_footer_gives_back_the_identity(tmp_path: Path) -> None:
    path = tmp_path / "train-00000.parquet"
    assert read_identity(path) is None
    identity = Identity(captions="c" * 64, claims="en@1 rules:2", clip="clip@3 caption", evidence=None)
    with ShardWriter(path, AUDIT_SCHEMA) as writer:
        writer.commit(identity.to_footer())
    assert read_identity(path) == identity


def test_a_shard_that_no_audit_wrote_has_no_identity(tmp_path: Path) -> None:
    path = tmp_path / "train-00000.parquet"
    pq.write_table(pa.table({"key": ["a"]}), path)
    assert read_identity(path) is None


def test_rows_survive_the_schema() -> None:
    claim = Claim(kind="count", span=(0, 8), object="dog", count=2).to_struct()
    scores = {field.name: None for field in SCORES_TYPE} | {"words": 2, "flags": ["cut_off"]}
    rows = [
        {"key": "a", "set": "alt", "claims": [claim], "scores": scores, "detections": []},
        {"key": "b", "set": "alt", "claims": None, "scores": None, "detections": None},
    ]
    back = pa.Table.from_pylist(rows, schema=AUDIT_SCHEMA).to_pylist()
    assert back == rows
    assert Claim.from_struct(back[0]["claims"][0]) == Claim(kind="count", span=(0, 8), object="dog", count=2)
