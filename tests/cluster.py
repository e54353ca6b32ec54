"""A Ray cluster of two nodes on this machine, as a process of its own: prints its address, loses its second node when told.

python -m tests.cluster        the line `kill` on standard input kills the second node; the end of input ends the cluster
"""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.waiting import HANGS

NODE = {"num_cpus": 1, "object_store_memory": 80 * 2**20}
REPOSITORY = Path(__file__).parents[1]


class Cluster:
    """A running one, from outside."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process
        self.address = self._said()

    def kill_a_node(self) -> None:
        """Kill the second node, all its processes at once."""
        assert self._process.stdin is not None
        self._process.stdin.write("kill\n")
        self._process.stdin.flush()
        assert self._said() == "killed"

    def start(self, *command: object) -> "subprocess.Popen[str]":
        """A command that finds this cluster."""
        return subprocess.Popen(
            [str(word) for word in command],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=REPOSITORY,
            env={**os.environ, "RAY_ADDRESS": self.address},
        )

    def _said(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()


@contextmanager
def running_cluster(**environment: str) -> Iterator[Cluster]:
    """A cluster whose nodes run this checkout, under this environment."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.cluster"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        cwd=REPOSITORY,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY), **environment},
    )
    try:
        yield Cluster(process)
    finally:
        assert process.stdin is not None
        process.stdin.close()
        process.wait(HANGS)


def main() -> None:
    """Run until standard input ends."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    from ray.cluster_utils import Cluster as Nodes

    nodes = Nodes(initialize_head=True, head_node_args={**NODE, "include_dashboard": False})
    second = nodes.add_node(**NODE)
    sys.stdout.write(f"{nodes.address}\n")
    sys.stdout.flush()
    for line in sys.stdin:
        if line.strip() == "kill":
            nodes.remove_node(second, allow_graceful=False)
            sys.stdout.write("killed\n")
            sys.stdout.flush()
    nodes.shutdown()


if __name__ == "__main__":
    main()
