"""Names in, models that are loaded when first asked for out."""

from __future__ import annotations

import threading
from collections.abc import Sequence

from speechxfer.calls import Batcher
from speechxfer.commands import CommandRecognizer
from speechxfer.decoding import read_hotwords
from speechxfer.models import read_config
from speechxfer.serving.settings import ServerSettings
from speechxfer.transcription import Recogniser


class Shelf:
    """The models of a server.

    Parameters
    ----------
    settings
        With their names; the first is loaded at once, the others are looked at, so that a mistake shows at the start.

    Attributes
    ----------
    names
        Of all models.
    commands
        Enrolled commands for live calls, if there are any.

    Raises
    ------
    ModelError
        If the first model or the commands cannot be loaded, or another is no model.
    DataError
        With all that is wrong with the hotwords, for the first model.
    """

    def __init__(self, settings: ServerSettings) -> None:
        self._settings = settings
        self._lock = threading.Lock()
        self._loaded: dict[str, Batcher] = {}
        self.names: Sequence[str] = tuple(settings.models)
        first = self.get(self.names[0])
        for directory in [*settings.models.values()][1:]:
            read_config(directory)
        if settings.hotwords:
            read_hotwords(settings.hotwords, first.model.vocabulary)
        how = {"device": settings.device, "precision": settings.precision}
        self.commands = CommandRecognizer.from_pretrained(settings.commands, **how) if settings.commands else None

    def get(self, name: str) -> Batcher:
        """Give a model, loading it if need be; a KeyError says that there is none of this name."""
        with self._lock:
            if name not in self._loaded:
                recogniser = Recogniser(self._settings.models[name], self._settings.device, self._settings.precision)
                self._loaded[name] = Batcher(recogniser)
            return self._loaded[name]

    @property
    def waiting_seconds(self) -> float:
        """Speech that waits for a model."""
        return sum(batcher.waiting_seconds for batcher in self._loaded.values())

    def close(self) -> None:
        """Stop all models when they have answered."""
        for batcher in self._loaded.values():
            batcher.close()
