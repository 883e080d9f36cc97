"""`POST /blur/`, as Panoramax asks for it."""

from __future__ import annotations

import json
import secrets
from typing import Annotated, Any, Literal

from fastapi import FastAPI, Header, Query, Request, Response

from components.errors import ImageFault
from components.monitoring.prometheus import ServiceMetrics
from components.service.limits import BLUR
from components.service.problems import Refusal, documented, of_fault
from components.service.upload import read_upload
from components.service.worker import MEDIA_TYPES, Answer, Hidden, RegionError
from components.service.workers import Workers
from components.settings import ServiceLimits

NAME = "Streetveil"  # Panoramax removes a service's older annotations by this name, so it never changes
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
_BODY = {"requestBody": {"required": True, "content": {"multipart/form-data": {"schema": _PICTURE}}}}
_ANSWERS = {
    "description": "The picture, blurred, in its own format",
    "content": dict.fromkeys((*MEDIA_TYPES.values(), "multipart/form-data"), _BLURRED),
    "headers": {"X-Blurring-Id": {"schema": {"type": "string"}}},
}


def add_blur(app: FastAPI, workers: Workers, metrics: ServiceMetrics, limits: ServiceLimits, asks: list[Any]) -> None:
    """The route that blurs."""
    max_bytes = int(limits.max_file_mib + 1) * 2**20

    @app.post(
        BLUR,
        dependencies=asks,
        response_class=Response,
        responses={200: _ANSWERS, **documented(401, 408, 413, 422, 429, 500, 503)},
        openapi_extra=_BODY,
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
        metrics.picture(answer.stage_ms, [(one.class_name, one.by, one.confidence) for one in answer.hidden])
        headers = {"X-Blurring-Id": answer.blurring_id}
        if keep == "0" and "multipart/form-data" not in accept:
            return Response(answer.output, media_type=answer.media_type, headers=headers)
        content, media_type = _two_parts(answer, f"{NAME}-{workers.model}")
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
