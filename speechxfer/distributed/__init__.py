"""The same verbs over machines that Ray joins: no scheduler, queue or protocol of our own."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

_PUBLIC = {
    "Ledger": "speechxfer.distributed.ledger",
    "Summary": "speechxfer.distributed.archive",
    "connect": "speechxfer.distributed.cluster",
    "on_cluster": "speechxfer.distributed.spreading",
    "transcribe_archive": "speechxfer.distributed.archive",
}

__all__ = sorted(_PUBLIC)

if TYPE_CHECKING:
    from speechxfer.distributed.archive import Summary as Summary
    from speechxfer.distributed.archive import transcribe_archive as transcribe_archive
    from speechxfer.distributed.cluster import connect as connect
    from speechxfer.distributed.ledger import Ledger as Ledger
    from speechxfer.distributed.spreading import on_cluster as on_cluster


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_PUBLIC[name]), name)
