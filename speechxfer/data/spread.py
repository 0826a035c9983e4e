"""How the same function runs over the parts of a set somewhere else, with what it needs made there once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Protocol, TypeVar

Part = TypeVar("Part")
Result = TypeVar("Result")


class Spread(Protocol):
    """Runs a function on workers, such as `speechxfer.distributed.on_cluster` gives."""

    def __call__(self, make: Callable[[], Callable[[Part], Result]], parts: Sequence[Part]) -> Iterator[Result]:
        """Have each worker make the function once and apply it to its share; gives results in the order of the parts."""
