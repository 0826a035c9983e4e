"""What all routes of one server share."""

from __future__ import annotations

from dataclasses import dataclass

from speechxfer.serving.access import Access
from speechxfer.serving.metrics import Metrics
from speechxfer.serving.settings import ServerSettings
from speechxfer.serving.shelf import Shelf


@dataclass(frozen=True)
class ServerState:
    """Settings, models, who is served, numbers; `started` in seconds since 1970."""

    settings: ServerSettings
    shelf: Shelf
    access: Access
    metrics: Metrics
    started: int
