"""Where an audit is done: the same results here and on two Ray nodes; how a cluster is divided."""

import json
import shutil
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from audits.runner.run import run
from audits.runner.worker import choose_actors
from recapdata.engines.ray import Actors, Resources
from recapdata.errors import ClusterError, OptionError
from recapdata.records import Object
from tests.builders import build_dataset
from tests.cluster import running_cluster
from tests.waiting import HANGS

AUDITS = Path(sys.executable).with_name("audits")
ALT = ["a dog", "two dogs", None, "a red car", "a cat on a table", "dog."]
DOG = Object(bbox=(0, 0, 4, 4), category="dog")


def test_an_unknown_engine_names_the_known(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="there are local, ray"):
        run(tmp_path, engine="cloud")


@pytest.mark.slow
@pytest.mark.timeout(2 * HANGS)  # half a minute on an idle core
def test_a_cluster_finds_the_same(tmp_path: Path) -> None:
    pytest.importorskip("ray")
    here = build_dataset(tmp_path / "here", sets={"alt": ALT}, objects=[[DOG]] * 6)
    shutil.copytree(here.path, tmp_path / "there")
    local = run(here.path, clip="embedded", evidence=["annotations"])
    command = [AUDITS, "run", tmp_path / "there", "--clip", "embedded", "--evidence", "annotations"]
    with running_cluster() as cluster:
        process = cluster.start(*command, "--engine", "ray", "--json")
        out, err = process.communicate(timeout=HANGS)
    assert process.returncode == 0, err
    said = [line for line in err.splitlines() if not line.startswith("caution: the model `embedded`")]
    assert said == []
    there = json.loads(out)
    assert (there["computed"], there["sets"]) == (2, json.loads(json.dumps(local.sets)))
    for shard in here.shards():
        path = here.audit_shard("alt", shard)
        assert pq.read_table(tmp_path / "there" / path.relative_to(here.path)) == pq.read_table(path)


@pytest.mark.parametrize(
    ("has", "workers", "pictures", "expected"),
    [
        (Resources(cpus=(16, 8), gpus=()), None, False, (24, 1, 0)),
        (Resources(cpus=(16, 8), gpus=()), 3, False, (3, 1, 0)),
        (Resources(cpus=(16, 8), gpus=()), None, True, (6, 4, 0)),
        (Resources(cpus=(16, 16), gpus=(2, 2)), None, True, (4, 4, 1)),
        (Resources(cpus=(16, 16), gpus=(2, 2)), None, False, (32, 1, 0)),
        (Resources(cpus=(1, 1), gpus=()), None, True, (2, 1, 0)),
    ],
)
def test_actors_fill_the_cluster(has, workers, pictures, expected) -> None:
    assert choose_actors(has, workers, pictures=pictures) == Actors(*expected)


def test_a_cluster_without_cores_is_said() -> None:
    with pytest.raises(ClusterError, match="CPU"):
        choose_actors(Resources(cpus=(), gpus=(1,)), None, pictures=False)
