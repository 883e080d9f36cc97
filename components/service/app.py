"""The application: Panoramax's `POST /blur/`, reports, health, metrics, and a page."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fastapi import FastAPI, HTTPException, Response, Security
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse
from fastapi.security import HTTPBasic, HTTPBearer
from starlette.requests import ClientDisconnect

from components.errors import StreetveilError
from components.monitoring.prometheus import CONTENT_TYPE, ServiceMetrics
from components.monitoring.user_reports import ReportBook
from components.service.blur import NAME, add_blur
from components.service.limits import Entrance
from components.service.problems import (
    Refusal,
    documented,
    on_disconnect,
    on_failure,
    on_http_error,
    on_invalid,
)
from components.service.reports import add_reports
from components.service.tokens import Tokens
from components.service.worker import ServiceOrder
from components.service.workers import Workers
from components.settings import ServiceLimits

_FOLDER = Path(__file__).parent / "pages"
_FILES = {"page.css": "text/css", **dict.fromkeys(("page.js", "drawing.js", "answer.js"), "text/javascript")}


@dataclass(frozen=True, slots=True)
class Service:
    """Everything that one start of the service is about.

    Attributes:
        order: what its workers are told.
        workers: how many.
        limits: on requests.
        tokens: who may ask; None lets everybody in.
        book: where reports are kept.
        published: a folder that runs have written, or one that holds such folders; what is reported is looked for here.
        version: of the release.
        is_fallback: its model is @previous, since @champion failed its checks.
    """

    order: ServiceOrder
    workers: int
    limits: ServiceLimits
    tokens: Tokens | None
    book: ReportBook
    published: Path | None
    version: str
    is_fallback: bool = False


def service_app(service: Service) -> FastAPI:
    """The application; workers are started with it and stopped after it."""
    order = service.order
    workers = Workers(order, service.workers)
    metrics = ServiceMetrics(service.workers, order.bundle.version, order.region_words, service.is_fallback)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        await workers.start()
        yield
        await asyncio.to_thread(workers.stop, service.limits.shutdown_s)

    app = FastAPI(
        title=NAME,
        version=service.version,
        description="Hides every face and licence plate of a picture. Nothing of a picture is kept.",
        lifespan=lifespan,
        docs_url=None,  # they load scripts from elsewhere
        redoc_url=None,
        redirect_slashes=False,
    )
    app.add_middleware(Entrance, limits=service.limits, tokens=service.tokens, metrics=metrics)
    app.add_exception_handler(HTTPException, on_http_error)
    app.add_exception_handler(404, on_http_error)
    app.add_exception_handler(405, on_http_error)
    app.add_exception_handler(RequestValidationError, on_invalid)
    app.add_exception_handler(ClientDisconnect, on_disconnect)
    app.add_exception_handler(StreetveilError, on_failure)
    asks = [Security(HTTPBearer(auto_error=False)), Security(HTTPBasic(auto_error=False))] if service.tokens else []
    add_blur(app, workers, metrics, service.limits, asks)
    add_reports(app, service.book, service.published, asks)
    _add_watch(app, service, workers, metrics, asks)
    _add_page(app)
    return app


def _add_watch(app: FastAPI, service: Service, workers: Workers, metrics: ServiceMetrics, asks: list[Any]) -> None:
    bundle = service.order.bundle

    @app.get("/health", responses=documented(503))
    async def health() -> dict[str, str | int]:
        """Whether pictures are taken, and by which model."""
        if not workers.is_alive:
            raise Refusal(503, "stopping", "no pictures are taken; see the service's log")
        model = f"{bundle.name} version {bundle.version}"
        return {"status": "ok", "model": model, "region": service.order.region_words, "workers": workers.count}

    @app.get(
        "/metrics",
        dependencies=asks,
        response_class=Response,
        responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}, **documented(401, 429, 500, 503)},
    )
    def prometheus() -> Response:
        """Counters for Prometheus."""
        return Response(metrics.text(service.book.counts(), workers.waiting), media_type=CONTENT_TYPE)


def _add_page(app: FastAPI) -> None:
    @app.get("/", include_in_schema=False)
    def page() -> HTMLResponse:
        return HTMLResponse((_FOLDER / "page.html").read_text(encoding="utf-8"))

    @app.get("/pages/{name}", include_in_schema=False)
    def file(name: str) -> Response:
        if name not in _FILES:
            raise HTTPException(404)
        return Response((_FOLDER / name).read_bytes(), media_type=_FILES[name])
