"""What stands before every route: who asks, how much, how many at once, and for how long.

It is a bare ASGI middleware, since a framework reads a body before its routes can refuse it.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from components.monitoring.prometheus import ServiceMetrics
from components.service.problems import Refusal, response
from components.service.tokens import Tokens
from components.settings import ServiceLimits

BLUR = "/blur/"
# Free of a token: they tell nothing about anybody.
_OPEN = frozenset({"/", "/health", "/openapi.json"})
_OPEN_FOLDER = "/pages/"
_SMALL_BODY = 64 * 1024  # bytes, of everything that is no picture, and of what stands around a picture
_DRAIN_S = (
    2.0  # how long a refused body is read and thrown away, since many clients listen only when they have sent all
)
_HEADERS = {
    b"cache-control": b"no-store",
    b"content-security-policy": b"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; "
    b"connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    b"referrer-policy": b"no-referrer",
    b"x-content-type-options": b"nosniff",
}


class Entrance:
    """Lets requests in, counts them, and bounds each.

    Args:
        app: what answers them.
        limits: the bounds.
        tokens: who may ask; None lets everybody in.
        metrics: where they are counted.
    """

    def __init__(self, app: ASGIApp, limits: ServiceLimits, tokens: Tokens | None, metrics: ServiceMetrics) -> None:
        self._app = app
        self._limits = limits
        self._tokens = tokens
        self._metrics = metrics
        self._under_way: Counter[str] = Counter()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        answered = _Answered(send)
        start = time.perf_counter()
        try:
            with self._let_in(scope):
                async with asyncio.timeout(self._limits.request_s):
                    await self._app(scope, self._bounded(scope, receive), answered.send)
        except Refusal as refusal:  # it was not let in: nothing of its body was read
            await self._thrown_away(receive)
            await response(self._counted(refusal))(scope, receive, answered.send)
        except TimeoutError:
            if answered.status:
                raise  # the client is too slow to take its answer: the connection is cut
            late = Refusal(503, "timeout", f"not done after {self._limits.request_s:g} s; try again later")
            await response(self._counted(late))(scope, receive, answered.send)
        finally:
            route = getattr(scope.get("route"), "path", "other")
            self._metrics.request(route, answered.status, time.perf_counter() - start)

    async def _thrown_away(self, receive: Receive) -> None:
        """Read on for a while: many clients listen for an answer only when they have sent all."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_DRAIN_S):
                while (await receive()).get("more_body"):
                    pass

    def _counted(self, refusal: Refusal) -> Refusal:
        self._metrics.refused(refusal.code)
        return refusal

    @contextmanager
    def _let_in(self, scope: Scope) -> Iterator[None]:
        """Hold a place for a request that brings or takes more than a page.

        Raises:
            Refusal: it has no token, brings too much, or there are too many.
        """
        path, headers = scope["path"], Headers(scope=scope)
        if path in _OPEN or path.startswith(_OPEN_FOLDER):
            yield
            return
        client = "everybody" if self._tokens is None else self._tokens.client(headers.get("authorization"))
        if client is None:
            raise Refusal(401, "unauthorized", "send `Authorization: Bearer TOKEN`; the operator gives tokens out")
        if _declared_bytes(headers) > self._max_bytes(path):
            raise self._too_large(path)
        limits, all_of_them = self._limits, self._under_way.total()
        if all_of_them >= limits.max_requests:
            raise Refusal(503, "busy", f"{all_of_them} requests are under way; try again in a few seconds")
        if self._tokens is not None and self._under_way[client] >= limits.max_requests_per_token:
            asked = self._under_way[client]
            raise Refusal(429, "too_many_requests", f"{asked} requests of this token are under way; wait for answers")
        self._count(client, 1)
        try:
            yield
        finally:
            self._count(client, -1)

    def _count(self, client: str, change: int) -> None:
        self._under_way[client] += change
        self._metrics.under_way(self._under_way.total())

    def _bounded(self, scope: Scope, receive: Receive) -> Receive:
        """The body, as long as it is neither too large nor too late."""
        path, read_bytes, until = scope["path"], 0, asyncio.get_running_loop().time() + self._limits.upload_s
        is_whole = False

        async def bounded() -> Message:
            nonlocal read_bytes, is_whole
            if is_whole:
                return await receive()
            try:
                async with asyncio.timeout_at(until):
                    message = await receive()
            except TimeoutError as error:
                detail = f"the body did not arrive within {self._limits.upload_s:g} s"
                raise self._counted(Refusal(408, "upload_timeout", detail)) from error
            read_bytes += len(message.get("body", b""))
            is_whole = not message.get("more_body", False)
            if read_bytes > self._max_bytes(path):
                if not is_whole:
                    await self._thrown_away(receive)
                raise self._counted(self._too_large(path))
            return message

        return bounded

    def _max_bytes(self, path: str) -> int:
        picture = self._limits.max_file_mib * 2**20 if path == BLUR else 0
        return int(picture) + _SMALL_BODY

    def _too_large(self, path: str) -> Refusal:
        allowed = f"{self._limits.max_file_mib:g} MiB (service.max_file_mib)" if path == BLUR else "64 KiB"
        return Refusal(413, "too_large", f"the body is too large; {allowed} are allowed")


class _Answered:
    """What goes back, with the headers that every answer has; `status` is 0 until it begins."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self.status = 0

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            message = {**message, "headers": [*message.get("headers", ()), *_HEADERS.items()]}
        await self._send(message)


def _declared_bytes(headers: Headers) -> int:
    told = headers.get("content-length", "0")
    return int(told) if told.isdecimal() else 0
