"""A Ray cluster of two nodes on this machine, as a process of its own: prints its address, loses its second node when told.

python -m tests.cluster        the line `kill` on standard input kills the second node; the end of input ends the cluster
"""

import os
import sys

NODE = {"num_cpus": 1, "object_store_memory": 80 * 2**20}


def main() -> None:
    """Run until standard input ends."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={**NODE, "include_dashboard": False})
    second = cluster.add_node(**NODE)
    sys.stdout.write(f"{cluster.address}\n")
    sys.stdout.flush()
    for line in sys.stdin:
        if line.strip() == "kill":
            cluster.remove_node(second, allow_graceful=False)
            sys.stdout.write("killed\n")
            sys.stdout.flush()
    cluster.shutdown()


if __name__ == "__main__":
    main()
