"""What is answered when a request is not served: a status, a code for programs, and one line for people."""

from __future__ import annotations

import logging
from typing import Any

from fastapi import HTTPException, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from starlette.exceptions import HTTPException as AnyHttpException
from starlette.requests import ClientDisconnect

from components.errors import ImageFault, Reason

_STATUS_OF_FAULT = {
    Reason.TOO_LARGE: 413,
    Reason.OUT_OF_MEMORY: 413,
    Reason.TIMEOUT: 503,
    Reason.MODEL_OUTPUT: 500,
    Reason.INTERNAL_ERROR: 500,
}
_OF_THE_PICTURE = 422
_RETRY_AFTER_S = "5"
_CODES = {401: "unauthorized", 404: "not_found", 405: "method_not_allowed"}


class Problem(BaseModel):
    """Why a request was not served.

    Attributes:
        code: for programs, from a fixed list.
        detail: for people: what was wrong, and what helps.
    """

    code: str
    detail: str


class Refusal(HTTPException):
    """A request that is not served."""

    def __init__(self, status: int, code: str, detail: str) -> None:
        retry = {"Retry-After": _RETRY_AFTER_S} if status in (429, 503) else {}
        ask = {"WWW-Authenticate": "Bearer"} if status == 401 else {}
        super().__init__(status, detail, {**retry, **ask})
        self.code = code


def response(refusal: Refusal) -> JSONResponse:
    """A refusal as it is sent."""
    body = Problem(code=refusal.code, detail=refusal.detail).model_dump()
    return JSONResponse(body, refusal.status_code, refusal.headers)


def of_fault(fault: ImageFault) -> Refusal:
    """A picture that must not be published."""
    return Refusal(_STATUS_OF_FAULT.get(fault.reason, _OF_THE_PICTURE), str(fault.reason), fault.detail)


def documented(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The problems that a route can answer, for its description."""
    told = {
        401: "No token, or a wrong one",
        404: "There is no such thing",
        408: "The body did not arrive in time",
        413: "The body or the picture is too large",
        422: "The body, a field or the picture cannot be used",
        429: "Too many requests of this token at once",
        500: "The service's own fault; nothing was published",
        503: "Too many requests at once, the work took too long, or the service is stopping",
    }
    return {status: {"model": Problem, "description": told[status]} for status in statuses}


async def on_http_error(_: Request, error: Exception) -> JSONResponse:
    """Every error of HTTP in the one shape."""
    if isinstance(error, Refusal):
        return response(error)
    assert isinstance(error, AnyHttpException)
    code = _CODES.get(error.status_code, "refused")
    body = Problem(code=code, detail=str(error.detail)).model_dump()
    return JSONResponse(body, error.status_code, error.headers)


async def on_invalid(_: Request, error: Exception) -> JSONResponse:
    """A parameter or a body that is not as described; what was sent is not repeated."""
    assert isinstance(error, RequestValidationError)
    detail = "; ".join(f"{'.'.join(str(step) for step in fault['loc'])}: {fault['msg']}" for fault in error.errors())
    return response(Refusal(422, "invalid", detail))


async def on_failure(_: Request, error: Exception) -> JSONResponse:
    """Something of the service's own does not work; the operator reads what, the client only that."""
    logging.getLogger(__name__).error("%s", error)
    return response(Refusal(500, "failed", "the service cannot do this now; its operator finds the cause in the log"))


async def on_disconnect(_: Request, error: Exception) -> JSONResponse:
    """Nobody is there to be answered; this ends the request without a word in the log."""
    assert isinstance(error, ClientDisconnect)
    return response(Refusal(400, "disconnected", "the client went away"))
