"""The plan of a publication, without a Hub: folder and repository are given as data."""

from dataclasses import replace
from pathlib import Path

import pytest

from recapdata.errors import NothingToPublish, PublishRefused, VersionError
from recapdata.publishing.plan import make_plan, size
from recapdata.publishing.published import Part
from recapdata.publishing.survey import Local, Published, Remote, RemoteFile, Request
from recapdata.records import Counts, Manifest, Provenance
from recapdata.versions.changes import Changes, SetChange
from recapdata.versions.contents import Contents, ShardContents

MANIFEST = Manifest(
    name="birds",
    license="mit",
    sets={"alt": Provenance(writer="web", column="alt")},
    counts=Counts(items=3, records=3),
)
CONTENTS = Contents(
    columns={"key": "string"},
    shards=(ShardContents(rows=3, keys="k", columns="c", sets={"alt": "a"}),),
    keys="k",
    sets={"alt": "a"},
)
LOCAL = Local(
    path=Path("birds"),
    manifest=MANIFEST,
    contents=CONTENTS,
    parts=(
        Part(path="data/train-00000.parquet", size=1000, shard=0),
        Part(path="captions/alt/train-00000.parquet", size=10, hashes=("h1", "g1")),
    ),
)
FILES = {
    "data/train-00000.parquet": RemoteFile(size=900, hash="d1"),
    "captions/alt/train-00000.parquet": RemoteFile(size=10, hash="h1"),
}
PARENT = Published(
    commit="c" * 40, manifest=replace(MANIFEST, version="1.2.0"), contents=CONTENTS, files=FILES
)
REMOTE = Remote(
    endpoint="http://hub", private=True, head="c" * 40, files=FILES, tags={"1.2.0": "c" * 40}, parent=PARENT
)
ONE_CAPTION = Changes(captions={"alt": SetChange(changed=1)})


def plan(local=LOCAL, remote=REMOTE, changes=ONE_CAPTION, **request):
    return make_plan(
        local, remote, changes, Request(**{"repo_id": "me/birds", "version": "1.3.0", **request})
    )


def test_a_first_version_sends_everything():
    first = plan(remote=Remote(endpoint="http://hub"), changes=Changes(), version="1.0.0")
    assert [part.path for part in first.send] == [part.path for part in LOCAL.parts]
    assert (first.exists, first.private, first.parent, first.commits) == (False, True, None, 1)
    assert (first.send_bytes, first.temporary_bytes) == (1010, 1000)
    assert first.release_changes() == ("first version", "3 rows", "caption set alt")
    lines = [line.split(maxsplit=1) for line in first.text().splitlines()]
    assert lines[:3] == [
        ["Hub", "http://hub"],
        ["Repository", "me/birds (new)"],
        ["Visibility", "private: only you and your organization"],
    ]


def test_a_shard_is_kept_where_its_ingredients_are_the_parents():
    assert list(plan().keep) == list(FILES)
    other = replace(CONTENTS, shards=(replace(CONTENTS.shards[0], sets={"alt": "b"}),))
    local = replace(
        LOCAL, contents=other, parts=(LOCAL.parts[0], replace(LOCAL.parts[1], hashes=("h2", "g2")))
    )
    assert [part.path for part in plan(local=local).send] == [part.path for part in LOCAL.parts]
    touched = replace(REMOTE, files={**FILES, "data/train-00000.parquet": RemoteFile(size=1, hash="other")})
    assert [part.path for part in plan(remote=touched).send] == ["data/train-00000.parquet"]
    more = replace(CONTENTS, columns={"key": "string", "tag": "string"})
    assert [part.path for part in plan(local=replace(LOCAL, contents=more)).send] == [
        "data/train-00000.parquet"
    ]


def test_files_that_are_gone_are_deleted_and_others_left_alone():
    files = {
        **FILES,
        "captions/old/train-00000.parquet": RemoteFile(size=1, hash="x"),
        "LICENSE": RemoteFile(size=1, hash="y"),
    }
    assert plan(remote=replace(REMOTE, files=files)).delete == ("captions/old/train-00000.parquet",)


def test_license_and_audit_alone_are_a_patch():
    patch = plan(changes=Changes(), license="apache-2.0", version="1.2.1")
    assert (patch.changes.level, patch.changes.phrases()) == ("patch", ["license mit → apache-2.0"])
    audited = replace(
        LOCAL, parts=(*LOCAL.parts, Part(path="audits/alt/train-00000.parquet", size=1, hashes=("x",)))
    )
    assert plan(local=audited, changes=Changes(), version="1.2.1").changes.phrases() == ["audit of alt"]
    with pytest.raises(NothingToPublish):
        plan(changes=Changes(), version="1.2.1")


def test_provenance_counts_and_seeds_are_noticed():
    other = replace(
        MANIFEST, sets={"alt": Provenance(writer="human")}, counts=Counts(items=4, records=3, removed=1)
    )
    parts = (LOCAL.parts[0], replace(LOCAL.parts[1], hashes=("h2", "g2")))
    found = plan(local=replace(LOCAL, manifest=other, parts=parts), changes=Changes(), version="1.2.1")
    assert found.changes.phrases() == [
        "provenance of alt",
        "removed 0 → 1",
        "seeds or errors of alt",
    ]


def test_versions():
    with pytest.raises(VersionError, match=r"1\.2\.0 exists already"):
        plan(version="1.2.0")
    with pytest.raises(
        VersionError, match=r"not after the published 1\.2\.0; the smallest right one is 1\.3\.0"
    ):
        plan(version="1.1.0")
    with pytest.raises(VersionError, match=r"smallest right one is 1\.3\.0"):
        plan(version="1.2.1")
    assert plan(version="1.3.0").tag == "v1.3.0"


def test_an_unfinished_version_is_tagged_only_if_it_is_this_one():
    unfinished = replace(PARENT, commit="d" * 40, manifest=replace(MANIFEST, version="1.3.0"))
    remote = replace(REMOTE, head="d" * 40, unfinished=unfinished)
    assert plan(remote=remote).step == "tag"
    other = replace(unfinished, contents=replace(CONTENTS, keys="other"))
    assert plan(remote=replace(remote, unfinished=other)).step == "publish"


def test_a_published_version_that_the_folder_does_not_know_is_only_noted_down():
    assert plan(changes=Changes(), version="1.2.0").step == "record"
    known = replace(LOCAL, manifest=replace(MANIFEST, version="1.2.0"))
    with pytest.raises(VersionError, match="nothing has changed since"):
        plan(local=known, changes=Changes(), version="1.2.0")


def summary(low: float, high: float, claims: str | None = "p@1 claims:1") -> dict:
    """One figure that rests on claims, read by these rules; None for an audit that does not say by which."""
    figure = {"value": (low + high) / 2, "low": low, "high": high, "unit": "share", "better": "higher"}
    made_by = {} if claims is None else {"made_by": {"claims": [claims]}}
    return {
        "pipeline": "p@1",
        "clip": None,
        "evidence": [],
        "sets": {"alt": {"figures": {"x coverage": {**figure, "rests_on": ["claims"]}}, **made_by}},
    }


def test_the_gate():
    remote = replace(REMOTE, parent=replace(PARENT, summary=summary(0.8, 0.9)))
    assert plan(local=replace(LOCAL, summary=summary(0.75, 0.85)), remote=remote).notes == ()
    worse = replace(LOCAL, summary=summary(0.5, 0.6))
    with pytest.raises(PublishRefused, match="x coverage"):
        plan(local=worse, remote=remote)
    assert plan(local=worse, remote=remote, allow_regression=True).notes


@pytest.mark.parametrize("claims", ["q@1 claims:1", "p@1 claims:2", None])
def test_the_gate_names_what_cannot_be_compared(claims: str | None):
    """A figure that looks worse by another pipeline, by other rules, or by unknown ones is no reason to refuse."""
    remote = replace(REMOTE, parent=replace(PARENT, summary=summary(0.8, 0.9)))
    (note,) = plan(local=replace(LOCAL, summary=summary(0.5, 0.6, claims)), remote=remote).notes
    why = "birds was audited by earlier rules" if claims is None else "claims were read by "
    assert note.startswith(f"alt: x coverage cannot be compared, because {why}")
    assert "run: audits run me/birds@v1.2.0 --captions alt --pipeline p --out birds-v1.2.0-audit && " in note
    assert note.endswith(
        "audits compare me/birds@v1.2.0 birds --set alt --audit birds-v1.2.0-audit --audit birds/audits"
    )


def test_a_first_version_with_an_earlier_audit_is_told():
    first = Remote(endpoint="http://hub")
    (note,) = plan(local=replace(LOCAL, summary=summary(0.5, 0.6, None)), remote=first, version="1.0.0").notes
    assert note == (
        "the audit of alt was made by an earlier recapdata; run: audits run birds --captions alt --pipeline p"
    )
    assert not plan(local=replace(LOCAL, summary=summary(0.5, 0.6)), remote=first, version="1.0.0").notes


def test_a_folder_that_is_behind_is_told():
    behind = replace(LOCAL, manifest=replace(MANIFEST, version="1.0.0"))
    assert any("last published as 1.0.0, the Hub is at 1.2.0" in note for note in plan(local=behind).notes)


def test_sizes_read_well():
    assert [size(count) for count in (999, 1500, 123_456_789, 2 * 10**12)] == [
        "999 bytes",
        "1.5 kB",
        "123 MB",
        "2.0 TB",
    ]
