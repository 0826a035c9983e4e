"""A function and the parts of a set in, results in their order out: Ray Data carries parts to workers and results back."""

from __future__ import annotations

import pickle
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import ray
from ray.data import ActorPoolStrategy, DataContext

from speechxfer.data import Part, Result, Spread
from speechxfer.distributed.cluster import check_nodes, connect, device_count, share_of_node
from speechxfer.errors import ClusterError, SpeechxferError

_BLOCKS = 1000  # at most; a block is what is done again when a worker ends


def on_cluster(cluster: str, workers: int | None = None, model: str | None = None) -> Spread:
    """Let every device of a cluster take its share of what `evaluate` or `fill_store` have to do.

    Parameters
    ----------
    cluster
        See `connect`.
    workers
        None is one for each GPU, or for each node without.
    model
        Directory that every node must have, or URL; is asked for before work begins. None where the model is sent along.

    Returns
    -------
    Spread
        Raises `ClusterError` if there is no cluster, or it is not ready, or the work cannot go on.
    """

    def spread(make: Callable[[], Callable[[Part], Result]], parts: Sequence[Part]) -> Iterator[Result]:
        connect(cluster)
        check_nodes(model)
        rows = [{"part": pickle.dumps(part)} for part in parts]
        for row in done_by_workers(_PartWorker, make, rows, workers or device_count(), in_order=True):
            yield pickle.loads(row["result"])

    return spread


class _PartWorker:
    """Applies a function that it made itself."""

    def __init__(self, make: Callable[[], Callable[[Any], Any]]) -> None:
        self._function = make()

    def __call__(self, row: Mapping[str, bytes]) -> dict[str, bytes]:
        return {"result": pickle.dumps(self._function(pickle.loads(row["part"])))}


def done_by_workers(
    worker: type, given: object, rows: Sequence[Mapping[str, Any]], workers: int, *, in_order: bool
) -> Iterator[dict[str, Any]]:
    """Have rows done by workers, each made once of what is given; what they give comes as it is done, or in order of the rows.

    Raises
    ------
    ClusterError
        If a worker raised an error, with its reason.
    """
    if not rows:
        return
    workers = min(workers, len(rows))
    context = DataContext.get_current().copy()
    context.execution_options.preserve_order = in_order
    with DataContext.current(context):
        data: Any = ray.data.from_items([*rows], override_num_blocks=min(len(rows), _BLOCKS))
        done = data.map(worker, fn_constructor_args=(given,), compute=ActorPoolStrategy(size=workers), **share_of_node(workers))
    try:
        yield from done.iter_rows()
    except SpeechxferError:
        raise
    except Exception as error:
        raise ClusterError(f"the work stopped: {_reason(error)}") from None


def _reason(error: Exception) -> str:
    """Give of an error that Ray wraps in its own, with their tracebacks, the line that says what was wrong first."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    own = [line.rpartition("Error: ")[2] for line in lines if re.match(r"[\w.]*Error: ", line)]
    return (own or lines or [type(error).__name__])[0]
