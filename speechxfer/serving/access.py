"""Who may ask, how much at once; and what a client is told when something is wrong, as OpenAI says it."""

from __future__ import annotations

import hmac
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from speechxfer.serving.settings import ServerSettings

_TYPES = {401: "authentication_error", 429: "rate_limit_error"}


class ApiError(Exception):
    """What is wrong with a request.

    Parameters
    ----------
    status
        Of HTTP.
    message
        What was found, and what was expected.
    param
        The field it stands in.
    code
        A word for machines.
    """

    def __init__(self, status: int, message: str, param: str | None = None, code: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        self._said = {"message": message, "param": param, "code": code}

    def body(self) -> dict[str, Any]:
        """Give the body of the answer."""
        kind = _TYPES.get(self.status, "server_error" if self.status >= 500 else "invalid_request_error")
        return {"error": {**self._said, "type": kind}}


class Access:
    """Counts what is under way.

    Parameters
    ----------
    settings
        With keys and limits.

    Attributes
    ----------
    draining
        Whether the server is about to stop and takes nothing new.
    calls
        Live calls under way.
    """

    def __init__(self, settings: ServerSettings) -> None:
        self._settings = settings
        self._requests: Counter[str] = Counter()
        self.draining = False
        self.calls = 0

    @property
    def under_way(self) -> int:
        """Requests and calls."""
        return self._requests.total() + self.calls

    def check_key(self, key: str | None) -> None:
        """Refuse whoever has no key.

        Raises
        ------
        ApiError
            401.
        """
        keys = self._settings.api_keys
        given = (key or "").encode()
        # All are compared, each in the same time, so that nothing is learned from how long it takes.
        if keys and not any([hmac.compare_digest(given, known.encode()) for known in keys]):
            raise ApiError(401, "no valid API key: send the header `Authorization: Bearer KEY`", code="invalid_api_key")

    @contextmanager
    def request(self, client: str) -> Iterator[None]:
        """Let a client do one more thing at once.

        Raises
        ------
        ApiError
            429 if it does as many as it may, 503 if the server is about to stop.
        """
        self._refuse_when_draining()
        if self._requests[client] >= self._settings.max_requests_per_client:
            raise ApiError(429, f"more than {self._settings.max_requests_per_client} requests at once", code="too_many_requests")
        self._requests[client] += 1
        try:
            yield
        finally:
            self._requests[client] -= 1
            self._requests += Counter()  # forgets who does nothing

    @contextmanager
    def call(self) -> Iterator[None]:
        """Let one more call in.

        Raises
        ------
        ApiError
            429 if there are as many as may be, 503 if the server is about to stop.
        """
        self._refuse_when_draining()
        if self.calls >= self._settings.max_calls:
            raise ApiError(429, f"more than {self._settings.max_calls} calls at once", code="too_many_calls")
        self.calls += 1
        try:
            yield
        finally:
            self.calls -= 1

    def _refuse_when_draining(self) -> None:
        if self.draining:
            raise ApiError(503, "the server is about to stop; ask another one", code="draining")


def bearer(headers: Mapping[str, str]) -> str | None:
    """Give the key in the header `Authorization`."""
    scheme, _, key = headers.get("authorization", "").partition(" ")
    return key.strip() if scheme.lower() == "bearer" else None
