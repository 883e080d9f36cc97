"""What stands before every route, by hand-made requests: nothing is waited for that a limit does not end."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from components.monitoring.prometheus import ServiceMetrics
from components.service.limits import Entrance
from components.service.tokens import Tokens
from components.settings import Params, ServiceLimits

TOKENS = Tokens.of(["ada:" + "a" * 32, "bob:" + "b" * 32])
Message = dict[str, Any]


@pytest.fixture
def limits(params: Params) -> ServiceLimits:
    """Small bounds."""
    changes = {"max_file_mib": 1, "max_requests": 3, "max_requests_per_token": 2, "upload_s": 60, "request_s": 120}
    return params.service.model_copy(update=changes)


def request(
    app: Callable[..., Awaitable[None]], chunks: list[bytes | None], token: str = "a", length: int | None = None
) -> Awaitable[tuple[int, dict[str, Any], dict[bytes, bytes]]]:
    """Ask `/blur/`: chunks arrive at once, and None for ever later; status, body and headers of the answer."""
    headers = [(b"authorization", b"Bearer " + token.encode() * 32)]
    if length is not None:
        headers.append((b"content-length", str(length).encode()))
    scope = {"type": "http", "method": "POST", "path": "/blur/", "headers": headers, "query_string": b""}
    left = list(chunks)

    async def receive() -> Message:
        if not left or left[0] is None:
            await asyncio.sleep(3600)
        return {"type": "http.request", "body": left.pop(0), "more_body": bool(left)}

    async def run() -> tuple[int, dict[str, Any], dict[bytes, bytes]]:
        sent: list[Message] = []

        async def send(message: Message) -> None:
            sent.append(message)

        await app(scope, receive, send)
        body = b"".join(message.get("body", b"") for message in sent[1:])
        return sent[0]["status"], json.loads(body), dict(sent[0]["headers"])

    return run()


async def reads_all(scope: Message, receive: Callable[[], Awaitable[Message]], send: Any) -> None:
    """An application that reads the body and says how long it was."""
    size = 0
    while True:
        message = await receive()
        size += len(message["body"])
        if not message["more_body"]:
            break
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": json.dumps({"size": size}).encode()})


MIB = b"x" * 2**20


@pytest.mark.parametrize(
    ("chunks", "length", "status", "code"),
    [
        ([MIB], len(MIB), 200, None),
        ([MIB, MIB], 2 * 2**20, 413, "too_large"),  # told before
        ([MIB, MIB], None, 413, "too_large"),  # or not
        ([MIB, MIB], 10, 413, "too_large"),  # or lied about
        ([b"x", None], None, 408, "upload_timeout"),
    ],
)
def test_a_body_is_bounded_in_size_and_time(
    limits: ServiceLimits,
    monkeypatch: pytest.MonkeyPatch,
    chunks: list[bytes | None],
    length: int | None,
    status: int,
    code: str | None,
) -> None:
    """A body that is too long, whatever its header says, or that never ends, is refused with its own code."""
    monkeypatch.setattr("components.service.limits._DRAIN_S", 0.05)
    if None in chunks:
        limits = limits.model_copy(update={"upload_s": 0.1})
    entrance = Entrance(reads_all, limits, TOKENS, ServiceMetrics())  # type: ignore[arg-type]
    got, told, headers = asyncio.run(request(entrance, chunks, length=length))
    assert (got, told.get("code")) == (status, code)
    assert headers[b"x-content-type-options"] == b"nosniff"


def test_too_many_at_once_are_told_to_come_back(limits: ServiceLimits, monkeypatch: pytest.MonkeyPatch) -> None:
    """One token's third request gets 429, the fourth of all 503, both with Retry-After; places come back afterwards."""
    monkeypatch.setattr("components.service.limits._DRAIN_S", 0.05)

    async def scenario() -> None:
        gate = asyncio.Event()

        async def waits(scope: Message, receive: Any, send: Any) -> None:
            await gate.wait()
            await reads_all(scope, receive, send)

        entrance = Entrance(waits, limits, TOKENS, ServiceMetrics())  # type: ignore[arg-type]
        first = [asyncio.ensure_future(request(entrance, [b"x"], token)) for token in ("a", "a", "b")]
        await asyncio.sleep(0)
        busy, told, headers = await request(entrance, [b"x"], "b")
        assert (busy, told["code"]) == (503, "busy")
        assert headers[b"retry-after"] == b"5"
        first[2].cancel()  # a client that goes away
        await asyncio.sleep(0)
        many, told, headers = await request(entrance, [b"x"], "a")
        assert (many, told["code"]) == (429, "too_many_requests")
        assert headers[b"retry-after"] == b"5"
        gate.set()
        assert [status for status, *_ in await asyncio.gather(*first[:2])] == [200, 200]
        assert (await request(entrance, [b"x"], "a"))[0] == 200

    asyncio.run(scenario())


def test_a_request_ends_in_time_and_gives_its_place_back(
    limits: ServiceLimits, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Work that does not come to an end is answered 503, and as often as one likes."""
    monkeypatch.setattr("components.service.limits._DRAIN_S", 0.05)

    async def never(scope: Message, receive: Callable[[], Awaitable[Message]], send: Any) -> None:
        await receive()
        await asyncio.sleep(3600)

    async def scenario() -> None:
        hasty = limits.model_copy(update={"request_s": 0.3})
        entrance = Entrance(never, hasty, TOKENS, ServiceMetrics())  # type: ignore[arg-type]
        for _ in range(2):
            answers = await asyncio.gather(*(request(entrance, [b"x"], "a") for _ in range(2)))
            assert [(status, told["code"]) for status, told, _ in answers] == [(503, "timeout")] * 2

    asyncio.run(asyncio.wait_for(scenario(), 60))
