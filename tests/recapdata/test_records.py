"""The vocabulary goes to Arrow, JSON and YAML and comes back the same."""

import hashlib

import pyarrow as pa

from recapdata.records import (
    CAPTION_SCHEMA,
    CLAIM_FIELDS,
    CLAIM_KINDS,
    CLAIM_TYPE,
    FAILURE_SCHEMA,
    OBJECT_TYPE,
    Caption,
    Claim,
    Counts,
    Failure,
    Manifest,
    Object,
    Provenance,
    image_key,
)


def _through(value, kind):
    return pa.array([value], type=kind).to_pylist()[0]


def test_key_is_the_sha256_of_the_bytes():
    assert image_key(b"abc") == hashlib.sha256(b"abc").hexdigest()


def test_types_fit_their_schemas():
    thing = Object(bbox=(1.0, 2.0, 3.5, 4.0), category="cat", mask={"size": [4, 5], "counts": "04"})
    assert _through(thing.to_dict(), OBJECT_TYPE) == thing.to_dict()
    row = Caption(caption="a cat", seed=1, finish_reason="stop", tokens=2).to_row("k", "alt")
    assert pa.Table.from_pylist([row], schema=CAPTION_SCHEMA).to_pylist() == [row]
    failure = Failure(stage="ingest", source="a.png", error="NotAnImage", message="text")
    assert pa.Table.from_pylist([failure.to_dict()], schema=FAILURE_SCHEMA).to_pylist() == [failure.to_dict()]


def test_a_claim_shows_only_the_fields_of_its_kind():
    claim = Claim(kind="color", span=(0, 7), object="dog", color="black")
    assert claim.to_dict() == {"kind": "color", "span": [0, 7], "object": "dog", "color": "black"}
    assert Claim.from_struct(_through(claim.to_struct(), CLAIM_TYPE)) == claim
    judged = Claim(kind="object", span=(0, 3), object="dog", verdict="unknown", evidence="no annotation")
    assert judged.to_dict()["verdict"] == "unknown"
    hedged = Claim(kind="object", span=(0, 3), object="man", hedge="depicted")
    assert hedged.to_dict() == {"kind": "object", "span": [0, 3], "object": "man", "hedge": "depicted"}
    assert set(CLAIM_FIELDS) == set(CLAIM_KINDS)
    assert {"kind", "span", "hedge", "verdict", "evidence"}.union(*CLAIM_FIELDS.values()) == {
        field.name for field in CLAIM_TYPE
    }


def test_counts_add_and_balance():
    assert Counts(5, 2, 1, 1, 1).balanced
    assert not Counts(5, 2).balanced
    assert Counts(1, 1) + Counts(2, 1, 1) == Counts(3, 2, 1)


def test_same_settings_ignores_only_the_date():
    provenance = Provenance(writer="model", model="m", seed=0, date="2026-01-01")
    assert provenance.same_settings(Provenance(writer="model", model="m", seed=0, date="2026-02-02"))
    assert not provenance.same_settings(Provenance(writer="model", model="m", seed=1, date="2026-01-01"))


def test_manifest_comes_back_from_plain_values():
    manifest = Manifest(
        name="d",
        version="1.0.0",
        sources=("scenes:3",),
        columns=("alt_text",),
        counts=Counts(3, 3),
        sets={"a": Provenance(writer="human")},
    )
    assert Manifest.from_dict(manifest.to_dict()) == manifest
