"""A small object store that speaks S3 over HTTP, in this process, and fails as it is told."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape

import pytest

from components.batch import object_store

BUCKET = "pictures"


@dataclass
class Request:
    """One request as a fault sees it: GET, PUT, HEAD, DELETE or LIST, and the key or prefix."""

    method: str
    key: str


@dataclass
class ObjectServer:
    """What the store holds, and how it fails.

    Attributes:
        objects: content by key.
        fault: what becomes of a request: None (it is served), a status (an error instead), "lost" (it is done, and no
            answer comes), or "cut" (an answer breaks off in its middle).
        requests: all that were made.
    """

    objects: dict[str, bytes] = field(default_factory=dict)
    fault: Callable[[Request], int | str | None] = lambda request: None
    requests: list[Request] = field(default_factory=list)
    page_size: int = 3


def _etag(content: bytes) -> str:
    return f'"{hashlib.md5(content).hexdigest()}"'


def _handler(server: ObjectServer, lock: threading.Lock) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: object) -> None:
            pass

        def _serve(self) -> None:
            url = urlsplit(self.path)
            query = parse_qs(url.query)
            bucket, _, key = unquote(url.path).lstrip("/").partition("/")
            method = "LIST" if not key and self.command == "GET" else self.command
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            request = Request(method, query.get("prefix", [""])[0] if method == "LIST" else key)
            server.requests.append(request)
            fault = server.fault(request)
            if isinstance(fault, int):
                return self._error(fault, "InternalError" if fault >= 500 else "AccessDenied")
            if bucket != BUCKET:
                return self._error(404, "NoSuchBucket")
            with lock:
                status, answer, headers = getattr(self, f"_{method.lower()}")(key, body, query)
            if fault == "lost":
                self.close_connection = True
                return None
            if status >= 400:
                return self._error(status, headers["code"])
            return self._answer(status, answer, headers, is_cut=fault == "cut")

        do_GET = do_PUT = do_HEAD = do_DELETE = _serve  # noqa: N815 - the server's names

        def _put(self, key: str, body: bytes, query: dict) -> tuple[int, bytes, dict[str, str]]:
            there = server.objects.get(key)
            wanted = self.headers.get("If-Match")
            if self.headers.get("If-None-Match") == "*" and there is not None:
                return 412, b"", {"code": "PreconditionFailed"}
            if wanted and (there is None or _etag(there) != wanted):
                return 412, b"", {"code": "PreconditionFailed"}
            server.objects[key] = body
            return 200, b"", {"ETag": _etag(body)}

        def _get(self, key: str, body: bytes, query: dict) -> tuple[int, bytes, dict[str, str]]:
            if key not in server.objects:
                return 404, b"", {"code": "NoSuchKey"}
            return 200, server.objects[key], {"ETag": _etag(server.objects[key])}

        _head = _get

        def _delete(self, key: str, body: bytes, query: dict) -> tuple[int, bytes, dict[str, str]]:
            server.objects.pop(key, None)
            return 204, b"", {}

        def _list(self, key: str, body: bytes, query: dict) -> tuple[int, bytes, dict[str, str]]:
            prefix, after = query.get("prefix", [""])[0], query.get("continuation-token", [""])[0]
            found = sorted(name for name in server.objects if name.startswith(prefix) and name > after)
            page = found[: server.page_size]
            entries = "".join(
                f"<Contents><Key>{escape(name)}</Key><Size>{len(server.objects[name])}</Size>"
                f"<LastModified>2026-02-28T12:00:00.000Z</LastModified></Contents>"
                for name in page
            )
            more = (
                f"<NextContinuationToken>{escape(page[-1])}</NextContinuationToken>" if len(found) > len(page) else ""
            )
            truncated = str(bool(more)).lower()
            xml = f"<ListBucketResult>{entries}<IsTruncated>{truncated}</IsTruncated>{more}</ListBucketResult>"
            return 200, xml.encode(), {}

        def _error(self, status: int, code: str) -> None:
            self._answer(status, f"<Error><Code>{code}</Code><Message>told to</Message></Error>".encode(), {})

        def _answer(self, status: int, answer: bytes, headers: dict[str, str], is_cut: bool = False) -> None:
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(answer[: len(answer) // 2] if is_cut else answer)
            self.close_connection = self.close_connection or is_cut

    return Handler


@contextmanager
def object_server(monkeypatch: pytest.MonkeyPatch) -> Iterator[ObjectServer]:
    """A running store, which the environment names, and a client that waits for nothing between attempts."""
    server = ObjectServer()
    http = ThreadingHTTPServer(("127.0.0.1", 0), _handler(server, threading.Lock()))
    thread = threading.Thread(target=http.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{http.server_port}")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setattr("botocore.retryhandler.delay_exponential", lambda *_, **__: 0)
    monkeypatch.setattr("botocore.retries.standard.ExponentialBackoff.delay_amount", lambda *_: 0)
    object_store.client.cache_clear()
    try:
        yield server
    finally:
        object_store.client.cache_clear()
        http.shutdown()
        http.server_close()
        thread.join()
