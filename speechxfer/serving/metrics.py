"""What Prometheus is told: counts, times and loads; nothing of what was said."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

_SECONDS = (0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0)


class Metrics:
    """The numbers of one server.

    Parameters
    ----------
    calls
        Gives the live calls under way.
    waiting_seconds
        Gives the speech that waits for a model.
    """

    def __init__(self, calls: Callable[[], float], waiting_seconds: Callable[[], float]) -> None:
        self._registry = here = CollectorRegistry()
        self.requests = Counter("speechxfer_requests", "Answered requests.", ["method", "route", "status"], registry=here)
        self.seconds = Histogram(
            "speechxfer_request_seconds", "Until the answer was complete.", ["route"], buckets=_SECONDS, registry=here
        )
        self.audio = Counter("speechxfer_audio_seconds", "Audio that was listened to.", ["source"], registry=here)
        self.partial_latency = Histogram(
            "speechxfer_partial_latency_seconds",
            "From the arrival of audio to the partial of it.",
            buckets=_SECONDS,
            registry=here,
        )
        Gauge("speechxfer_calls", "Live calls.", registry=here).set_function(calls)
        Gauge("speechxfer_waiting_seconds", "Speech that waits for a model.", registry=here).set_function(waiting_seconds)

    def text(self) -> bytes:
        """Give all of them in Prometheus' format."""
        return generate_latest(self._registry)
