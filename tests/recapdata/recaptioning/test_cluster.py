"""Two Ray nodes on this machine: the local engine's captions, whatever fails, and also when a node is killed midway."""

import json
import shutil
import sys
import time
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from recapdata.captioners import CaptionerOptions
from recapdata.dataset.folder import DatasetFolder
from recapdata.engines import EngineOptions
from recapdata.engines.ray import Resources, connect, see
from recapdata.errors import ClusterError
from recapdata.recaptioning import RunOptions, recaption
from tests.builders import build_dataset
from tests.cluster import Cluster, running_cluster
from tests.waiting import HANGS

CONSOLE = Path(sys.executable).with_name("recapdata")
SCRIPTED = """
import sys
from recapdata import captioners
captioners.CAPTIONERS["scripted"] = "tests.scripted:open_scripted"
from recapdata.cli import main
main()
"""

pytest.importorskip("ray")


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    # What the scripted captioner does is said to the nodes when they start.
    with running_cluster(
        SCRIPTED_FITS="3",
        SCRIPTED_REFUSES=str(red(5)),
        SCRIPTED_CANNOT_PREPARE=str(red(9)),
        SCRIPTED_KILLS_DECODER=str(red(13)),
    ) as started:
        yield started


def red(row: int) -> int:
    return row * 37 % 256


def rows(folder: DatasetFolder) -> list[dict]:
    return [row for shard in folder.shards() for row in folder.read_captions("recap", shard).to_pylist()]


@pytest.mark.timeout(2 * HANGS)  # half a minute on an idle core
def test_failures_are_the_local_engine_s(cluster: Cluster, tmp_path: Path) -> None:
    folder = build_dataset(tmp_path / "set", rows=22, shard_rows=10, row_group_rows=4)
    run = cluster.start(
        sys.executable,
        "-c",
        SCRIPTED,
        "recaption",
        folder.path,
        "recap",
        "--captioner",
        "scripted",
        "--engine",
        "ray",
        "--json",
    )
    out, err = run.communicate(timeout=HANGS)
    assert run.returncode == 1, err
    summary = json.loads(out)
    assert (summary["captions"], summary["failures"]) == (19, 3)
    assert summary["largest_batch"] == 2  # 4 did not fit, half of them did
    found = rows(folder)
    for row, each in enumerate(found):
        error = {5: "ValueError: the model refuses", 9: "ValueError: not a shape", 13: "DecoderCrashed"}.get(
            row
        )
        if error is None:
            assert each["caption"] == f"short {red(row)} 0 {row}"
        else:
            assert (each["caption"], each["error"][: len(error)]) == (None, error)
    assert "Traceback" not in err


@pytest.mark.slow
@pytest.mark.timeout(2 * HANGS)  # half a minute on an idle core
def test_a_node_is_killed_midway(cluster: Cluster, tmp_path: Path) -> None:
    from recapdata.ingestion import ingest

    ingest("scenes:96,seed=3", tmp_path / "there")
    shutil.copytree(tmp_path / "there", tmp_path / "here")
    there, here = DatasetFolder(tmp_path / "there"), DatasetFolder(tmp_path / "here")
    run = cluster.start(
        CONSOLE,
        "recaption",
        there.path,
        "recap",
        "--captioner",
        "embedded",
        "--batch-size",
        "4",
        "--engine",
        "ray",
        "--json",
    )
    journal = there.journal("recap", 0)
    while not (journal.is_file() and journal.stat().st_size) and run.poll() is None:
        time.sleep(0.05)
    cluster.kill_a_node()
    assert run.poll() is None, "the run ended before the node was killed"
    out, err = run.communicate(timeout=HANGS)
    assert run.returncode == 0, err
    summary = json.loads(out)
    assert (summary["done"], summary["captions"], summary["failures"]) == (96, 96, 0)
    recaption(
        here.path,
        "recap",
        captioner="embedded",
        options=CaptionerOptions(),
        run=RunOptions(batch_size=4, workers=0),
    )
    assert there.caption_shard("recap", 0).read_bytes() == here.caption_shard("recap", 0).read_bytes()


def test_without_a_cluster_the_error_says_how_to_start_one(monkeypatch: pytest.MonkeyPatch) -> None:
    from ray._private import services

    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.setattr(services, "find_gcs_addresses", cache(set))  # one may well run on this machine
    monkeypatch.setattr(services, "find_bootstrap_address", lambda folder: None)
    with pytest.raises(ClusterError, match="ray start --head"):
        connect()


GPUS = Resources(cpus=(16, 16), gpus=(4, 2))
CPUS = Resources(cpus=(8, 8), gpus=())


@pytest.mark.parametrize(
    ("at_once", "has", "how", "expected"),
    [
        (1, GPUS, {}, (6, 1, 0)),
        (1, GPUS, {"gpus_per_actor": 0.5}, (12, 0.5, 0)),
        (1, GPUS, {"gpus_per_actor": 4}, (1, 4, 0)),
        (1, GPUS, {"actors": 3}, (3, 1, 0)),
        (1, GPUS, {"gpus_per_actor": 0}, (2, 0, 14)),
        (1, CPUS, {}, (2, 0, 7)),
        (1, CPUS, {"actors": 4}, (4, 0, 3)),
        (1, Resources(cpus=(1, 1), gpus=()), {}, (2, 0, 0)),
        (2, GPUS, {}, (2, 0, 0)),  # its model is behind a server
    ],
)
def test_actors_fill_the_cluster_and_leave_cores_to_decoding(at_once, has, how, expected) -> None:
    from recapdata.recaptioning.cluster import choose_actors

    actors = choose_actors(at_once, has, EngineOptions(**how))
    assert (actors.count, actors.gpus, actors.cpus) == expected


@pytest.mark.parametrize(
    ("has", "how", "says"),
    [(GPUS, {"gpus_per_actor": 8}, "8 GPUs"), (Resources(cpus=(), gpus=(1,)), {}, "no node with a CPU")],
)
def test_a_cluster_that_cannot_hold_the_model_is_said(has, how, says) -> None:
    from recapdata.recaptioning.cluster import choose_actors

    with pytest.raises(ClusterError, match=says):
        choose_actors(1, has, EngineOptions(**how))


def test_a_node_that_does_not_see_the_folder_says_so(tmp_path: Path) -> None:
    assert see(tmp_path) == tmp_path
    with pytest.raises(ClusterError, match="all nodes share"):
        see(tmp_path / "recapdata.yaml")
