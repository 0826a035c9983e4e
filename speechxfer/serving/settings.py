"""What a server is to do, and how much of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class ServerSettings:
    """Everything a server is told.

    Attributes
    ----------
    models
        Names and directories; the first is loaded at once and taken where none is named, the others when first asked for.
    device, precision
        `auto`, or a torch device; `auto`, `fp32`, `bf16` or `int8`.
    api_keys
        Who may ask; without any, everybody may.
    hotwords
        A file of terms to listen for, always.
    commands
        Enrolled commands that live calls are searched for.
    redact
        Whether numbers and addresses are taken out of every text.
    max_upload_mb, max_seconds
        Of one file.
    max_requests_per_client, max_calls
        At once; a client is an API key, or an address where there are none.
    body_seconds
        How long a client may take for its next piece of an upload, or message of a call.
    drain_seconds
        How long calls and requests under way may take to end after SIGTERM.
    """

    models: Mapping[str, str | Path]
    device: str = "auto"
    precision: str = "auto"
    api_keys: frozenset[str] = field(default_factory=frozenset)
    hotwords: Path | None = None
    commands: Path | None = None
    redact: bool = False
    max_upload_mb: float = 100.0
    max_seconds: float = 4 * 3600.0
    max_requests_per_client: int = 8
    max_calls: int = 100
    body_seconds: float = 30.0
    drain_seconds: float = 30.0
