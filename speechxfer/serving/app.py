"""The server as an ASGI application."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from fastapi import FastAPI, Request
from fastapi.responses import FileResponse, JSONResponse, Response
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from speechxfer.serving.access import Access, ApiError
from speechxfer.serving.media_stream import media_routes
from speechxfer.serving.metrics import Metrics
from speechxfer.serving.openai_api import openai_routes
from speechxfer.serving.settings import ServerSettings
from speechxfer.serving.shelf import Shelf
from speechxfer.serving.state import ServerState

_PAGE = Path(__file__).parent / "page"
_PAGE_FILES = {"/": ("page.html", "text/html"), "/page.css": ("page.css", "text/css"), "/page.js": ("page.js", "text/javascript")}
_SAFE = {
    "Content-Security-Policy": "default-src 'self'; img-src 'self' data:; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}
_LOG = logging.getLogger("speechxfer.serving")


def create_app(settings: ServerSettings) -> FastAPI:
    """Make the application; the first model is loaded here.

    Parameters
    ----------
    settings
        What it is to do.

    Returns
    -------
    fastapi.FastAPI
        With a `ServerState` in `state.server`; closing it stops the models.

    Raises
    ------
    ModelError
        If the first model or the commands cannot be loaded.
    """
    shelf, access = Shelf(settings), Access(settings)
    metrics = Metrics(lambda: access.calls, lambda: shelf.waiting_seconds)
    state = ServerState(settings, shelf, access, metrics, int(time.time()))

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        await asyncio.to_thread(shelf.close)

    # No pages of documentation: they load scripts from elsewhere.
    app = FastAPI(title="speechxfer", lifespan=lifespan, openapi_url=None, docs_url=None, redoc_url=None)
    app.state.server = state
    app.include_router(openai_routes(state))
    app.include_router(media_routes(state))
    app.add_middleware(_Observed, state=state)

    @app.get("/healthz")
    async def healthz() -> Response:
        return JSONResponse({"status": "draining"}, 503) if access.draining else JSONResponse({"status": "ok"})

    @app.get("/metrics")
    async def numbers() -> Response:
        return Response(metrics.text(), media_type="text/plain; version=0.0.4; charset=utf-8")

    for path, (name, kind) in _PAGE_FILES.items():
        app.add_api_route(path, _page_file(_PAGE / name, kind), methods=["GET"])

    @app.exception_handler(ApiError)
    async def refused(_: Request, error: ApiError) -> Response:
        headers = {401: {"WWW-Authenticate": "Bearer"}, 429: {"Retry-After": "1"}}.get(error.status)
        return JSONResponse(error.body(), error.status, headers)

    @app.exception_handler(HTTPException)
    async def not_found(request: Request, error: HTTPException) -> Response:
        what = ApiError(error.status_code, f"{request.method} {request.url.path}: {error.detail}")
        return JSONResponse(what.body(), error.status_code, error.headers)

    return app


def _page_file(path: Path, kind: str):  # type: ignore[no-untyped-def]
    async def give() -> Response:
        return FileResponse(path, media_type=kind, headers=_SAFE)

    return give


class _Observed:
    """Counts and logs each request when its answer is complete; texts are never in the log."""

    def __init__(self, app: ASGIApp, state: ServerState) -> None:
        self._app = app
        self._metrics = state.metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        start, status = time.perf_counter(), 500

        async def noting(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, noting)
        finally:
            route = getattr(scope.get("route"), "path", "none")
            seconds = time.perf_counter() - start
            # A method is any word that a client likes.
            method = scope["method"] if scope["method"] in ("GET", "POST", "HEAD", "OPTIONS") else "other"
            self._metrics.requests.labels(method, route, status).inc()
            self._metrics.seconds.labels(route).observe(seconds)
            client = scope["client"][0] if scope.get("client") else ""
            told = {
                "method": method,
                "path": scope["path"][:200],
                "status": status,
                "ms": round(1000 * seconds),
                "client": client,
            }
            _LOG.info(json.dumps(told))
