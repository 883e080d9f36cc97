"""The application: Panoramax's `POST /blur/`, reports, health, metrics, and a page."""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from fastapi import FastAPI, Header, HTTPException, Query, Request, Response, Security
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse
from fastapi.security import HTTPBasic, HTTPBearer
from starlette.requests import ClientDisconnect

from components.errors import ImageFault, StreetveilError
from components.monitoring.prometheus import CONTENT_TYPE, ServiceMetrics
from components.monitoring.user_reports import ReportBook
from components.service.limits import BLUR, Entrance
from components.service.problems import (
    Refusal,
    documented,
    of_fault,
    on_disconnect,
    on_failure,
    on_http_error,
    on_invalid,
)
from components.service.reports import add_reports
from components.service.tokens import Tokens
from components.service.upload import read_upload
from components.service.worker import MEDIA_TYPES, Answer, Hidden, RegionError, ServiceOrder
from components.service.workers import Workers
from components.settings import ServiceLimits

NAME = "Streetveil"  # Panoramax removes a service's older annotations by this name, so it never changes
_FOLDER = Path(__file__).parent / "pages"
_FILES = {"page.css": "text/css", **dict.fromkeys(("page.js", "drawing.js", "answer.js"), "text/javascript")}
_PICTURE = {
    "type": "object",
    "required": ["picture"],
    "properties": {
        "picture": {"type": "string", "format": "binary", "description": "JPEG; PNG, WebP and TIFF are taken, too."},
        "regions": {
            "type": "string",
            "contentMediaType": "application/json",
            "description": 'What a person has drawn, hidden in any case: [{"class": "face", "box": [x1, y1, x2, y2]}, '
            "…], px of the upright picture.",
        },
    },
}
_BLURRED = {"schema": {"type": "string", "format": "binary"}}


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
    """

    order: ServiceOrder
    workers: int
    limits: ServiceLimits
    tokens: Tokens | None
    book: ReportBook
    published: Path | None
    version: str


def service_app(service: Service) -> FastAPI:
    """The application; workers are started with it and stopped after it."""
    workers, metrics = Workers(service.order, service.workers), ServiceMetrics()

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
    _add_blur(app, service, workers, metrics, asks)
    add_reports(app, service.book, service.published, asks)
    _add_watch(app, service, workers, metrics, asks)
    _add_page(app)
    return app


def _add_blur(app: FastAPI, service: Service, workers: Workers, metrics: ServiceMetrics, asks: list[Any]) -> None:
    limits = service.limits
    model = f"{NAME}-{service.order.bundle.name}/{service.order.bundle.version}"
    max_bytes = int(limits.max_file_mib + 1) * 2**20

    @app.post(
        BLUR,
        dependencies=asks,
        response_class=Response,
        responses={
            200: {
                "description": "The picture, blurred, in its own format",
                "content": dict.fromkeys((*MEDIA_TYPES.values(), "multipart/form-data"), _BLURRED),
                "headers": {"X-Blurring-Id": {"schema": {"type": "string"}}},
            },
            **documented(401, 408, 413, 422, 429, 503),
        },
        openapi_extra={"requestBody": {"required": True, "content": {"multipart/form-data": {"schema": _PICTURE}}}},
    )
    async def blur(
        request: Request,
        keep: Annotated[Literal["0", "1"], Query(description="1: say what is hidden, too; nothing is kept.")] = "0",
        accept: Annotated[str, Header()] = "image/jpeg",
    ) -> Response:
        """Blur a picture.

        With `keep=1`, or where the client accepts `multipart/form-data`, the answer has two parts: `image`, and
        `metadata` with `blurring_id`, `service_name` and `annotations`.
        """
        upload = await read_upload(request, max_bytes, limits.max_regions)
        try:
            answer = await workers.blur(upload.picture, upload.drawn)
        except ImageFault as fault:
            metrics.refused(str(fault.reason))
            raise of_fault(fault) from fault
        except RegionError as error:
            raise Refusal(422, "invalid", str(error)) from error
        metrics.picture(answer.stage_ms, [(hidden.class_name, hidden.by) for hidden in answer.hidden])
        headers = {"X-Blurring-Id": answer.blurring_id}
        if keep == "0" and "multipart/form-data" not in accept:
            return Response(answer.output, media_type=answer.media_type, headers=headers)
        content, media_type = _two_parts(answer, model)
        return Response(content, media_type=media_type, headers=headers)


def _two_parts(answer: Answer, model: str) -> tuple[bytes, str]:
    """The picture with its metadata, as multipart/form-data."""
    metadata = {
        "blurring_id": answer.blurring_id,
        "service_name": NAME,
        "annotations": [_annotation(hidden, model) for hidden in answer.hidden],
    }
    parts = (
        ("metadata", "metadata.json", "application/json", json.dumps(metadata).encode()),
        ("image", "picture", answer.media_type, answer.output),
    )
    boundary = secrets.token_hex(16)
    content = b"".join(
        f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"; filename="{filename}"\r\n'
        f"Content-Type: {media_type}\r\n\r\n".encode()
        + part
        + b"\r\n"
        for name, filename, media_type, part in parts
    )
    return content + f"--{boundary}--\r\n".encode(), f"multipart/form-data; boundary={boundary}"


def _annotation(hidden: Hidden, model: str) -> dict[str, Any]:
    """One hidden object in Panoramax' format: its place, and tags."""
    tag = f"streetveil|blurred={hidden.class_name}"
    tags = {
        "streetveil|blurred": hidden.class_name,
        f"detection_model[{tag}]": model if hidden.by == "model" else hidden.by,
        f"detection_confidence[{tag}]": f"{hidden.confidence:.3f}",
    }
    return {"shape": hidden.box, "semantics": [{"key": key, "value": value} for key, value in tags.items()]}


def _add_watch(app: FastAPI, service: Service, workers: Workers, metrics: ServiceMetrics, asks: list[Any]) -> None:
    bundle = service.order.bundle

    @app.get("/health", responses=documented(503))
    async def health() -> dict[str, str | int]:
        """Whether pictures are taken, and by which model."""
        if not workers.is_alive:
            raise Refusal(503, "stopping", "no pictures are taken; see the service's log")
        model = f"{bundle.name} version {bundle.version}"
        return {"status": "ok", "model": model, "region": service.order.region_name, "workers": workers.count}

    @app.get(
        "/metrics",
        dependencies=asks,
        response_class=Response,
        responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}, **documented(401, 429, 503)},
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
