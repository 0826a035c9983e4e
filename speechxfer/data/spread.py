"""How the same function runs over the parts of a set somewhere else, with what it needs made there once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Protocol, TypeVar

Part = TypeVar("Part")
Result = TypeVar("Result")


class Spread(Protocol):
    """Runs a function on workers, such as `speechxfer.distributed.on_cluster` gives."""

    def __call__(self, make: Callable[[], Callable[[Part], Result]], parts: Sequence[Part]) -> Iterator[Result]:
        """Apply a function to the parts of a set.

        Parameters
        ----------
        make
            Called once by each worker, for the function that it applies to its share.
        parts
            Of the set.

        Yields
        ------
        Result
            What the function gave, in the order of the parts.
        """
