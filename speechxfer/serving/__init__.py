"""The server: transcription as OpenAI's clients ask for it, and live calls as Twilio streams them (extra `serve`)."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

_PUBLIC = {
    "ServerSettings": "speechxfer.serving.settings",
    "create_app": "speechxfer.serving.app",
    "serve": "speechxfer.serving.running",
}

__all__ = sorted(_PUBLIC)

if TYPE_CHECKING:
    from speechxfer.serving.app import create_app as create_app
    from speechxfer.serving.running import serve as serve
    from speechxfer.serving.settings import ServerSettings as ServerSettings


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_PUBLIC[name]), name)
