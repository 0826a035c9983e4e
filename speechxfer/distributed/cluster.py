"""A cluster's name in; a connection to it, and the word of every node that it is ready, out."""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence
from typing import Any

import ray
import ray.data
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from speechxfer import __version__
from speechxfer.errors import ClusterError

_PATIENCE_SECONDS = 60.0


def connect(address: str) -> None:
    """Join a cluster, or start one on this machine.

    Parameters
    ----------
    address
        `local` starts one; `auto` is the one that runs here; otherwise where it is, such as `10.0.0.1:6379` or `ray://...`.

    Raises
    ------
    ClusterError
        If there is none, or it runs another version of Python or Ray.
    """
    if ray.is_initialized():
        return
    own: dict[str, Any] = {"include_dashboard": False} if address == "local" else {}
    try:
        ray.init(address, logging_level=logging.ERROR, log_to_driver=False, configure_logging=True, **own)
    except Exception as error:  # Ray raises whatever its parts raise
        lines = str(error).strip().splitlines()
        raise ClusterError(f"no cluster at {address}: {lines[0] if lines else type(error).__name__}") from None
    ray.data.DataContext.get_current().enable_progress_bars = False
    logging.getLogger("ray.data").setLevel(logging.ERROR)


def device_count() -> int:
    """Give how many workers the cluster has devices for: its GPUs, or one for each node without."""
    gpus = int(ray.cluster_resources().get("GPU", 0))
    return gpus or len(_alive())


def share_of_node(workers: int) -> dict[str, float]:
    """Give what of the cluster one of so many workers takes, as Ray's options of an actor."""
    resources = ray.cluster_resources()
    if resources.get("GPU"):
        return {"num_gpus": 1.0, "num_cpus": 1.0}
    smallest = min(node["Resources"].get("CPU", 0.0) for node in _alive())
    per_node = -(-workers // len(_alive()))
    return {"num_cpus": max(1.0, smallest // per_node)}


def check_nodes(model: str | None) -> None:
    """Ask every node for what it needs, before hours of work.

    Parameters
    ----------
    model
        Directory that each node must have, URL that it must reach, or name of a model that comes with the package; None if no
        model is needed.

    Raises
    ------
    ClusterError
        With all that is wrong, node by node.
    """
    expected = (__version__, sys.version_info[:2])
    problems, asked = [], []
    for node in _alive():
        here = NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
        asked.append((node, ray.remote(_ready).options(num_cpus=0, scheduling_strategy=here).remote(model, expected)))
    for node, answer in asked:
        try:
            problem = ray.get(answer, timeout=_PATIENCE_SECONDS)
        except Exception as error:
            if node["NodeID"] not in [one["NodeID"] for one in _alive()]:
                continue  # died before it was asked, which Ray notices late: the others do without it
            problem = f"cannot run speechxfer: {str(error).strip().splitlines()[-1]}"
        if problem:
            problems.append(f"node {node['NodeManagerHostname']} ({node['NodeID'][:8]}): {problem}")
    if problems:
        raise ClusterError("the cluster is not ready:\n" + "\n".join(problems))


def _ready(model: str | None, expected: Sequence[Any]) -> str | None:
    from speechxfer import __version__ as version

    found = (version, sys.version_info[:2])
    if found != tuple(expected):
        return f"speechxfer {version} on Python {'.'.join(map(str, found[1]))}; here it is {expected[0]} on {expected[1]}"
    return None if model is None else _missing(model)


def _missing(model: str) -> str | None:
    """Say if there is no such model here; one elsewhere is not fetched yet, which may take its time."""
    from speechxfer.data import is_remote, list_files
    from speechxfer.errors import ModelError, StorageError
    from speechxfer.models import read_config

    try:
        if not is_remote(model):
            read_config(model)
        elif not any(name.endswith("/config.json") for name in list_files(model)):
            return f"{model}: no model is there"
    except (ModelError, StorageError) as error:
        return str(error)
    return None


def _alive() -> list[dict[str, Any]]:
    return [node for node in ray.nodes() if node["Alive"]]
