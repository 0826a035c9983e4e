"""A cluster of three nodes on this machine, for all tests of this folder."""

import pytest


@pytest.fixture(scope="package")
def cluster():
    """Return a cluster whose head does no work."""
    ray = pytest.importorskip("ray")
    from ray.cluster_utils import Cluster

    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
    for _ in range(2):
        made.add_node(num_cpus=1)
    made.wait_for_nodes()
    yield made
    ray.shutdown()
    made.shutdown()
