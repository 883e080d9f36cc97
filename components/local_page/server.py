"""A small web application for this machine alone.

Originals are personal data, and every program on a machine, every page in a browser, can reach its loopback ports. So
each request must name this host (DNS rebinding), carry the token of this start, and, where it changes something, come
from this page. Nothing may be stored by the browser, and nothing is loaded from elsewhere.
"""

from __future__ import annotations

import hmac
import socket
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import uvicorn
from fastapi import FastAPI, HTTPException, Request, Response
from fastapi.responses import HTMLResponse

from components.errors import StreetveilError

HOST = "127.0.0.1"
SHARED = Path(__file__).parent / "browser"
_MEDIA_TYPES = {".css": "text/css", ".js": "text/javascript"}
_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
# The cookie is set and the page is then opened by this document, since a strict cookie is not sent along a redirect
# that began elsewhere.
_ENTER = '<!doctype html><meta charset="utf-8"><meta http-equiv="refresh" content="0;url=/"><title>Opening</title>'
_Next = Callable[[Request], Awaitable[Response]]


@dataclass(frozen=True, slots=True)
class LocalPage:
    """One start of a page.

    Attributes:
        name: of the page, for its cookie.
        command: what prints the address, for those who have none.
        folder: with `page.html` and the page's own scripts and styles.
        token: random, new with every start; whoever has it sees the originals.
        port: on which the page is reached, for the check of the Host header.
    """

    name: str
    command: str
    folder: Path
    token: str
    port: int

    @property
    def address(self) -> str:
        """What a person opens."""
        return f"http://{HOST}:{self.port}/enter?token={self.token}"

    @property
    def cookie(self) -> str:
        """The name of the cookie; cookies know hosts, not ports."""
        return f"streetveil-{self.name}-{self.port}"

    def __repr__(self) -> str:
        return f"LocalPage({self.name!r}, {self.port}, token=<secret>)"


def local_app(page: LocalPage) -> FastAPI:
    """The application with the page and its files, for whoever has the token; the data is the caller's to add."""
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    app.middleware("http")(_guard(page))
    _add_page(app, page, _files(page))

    @app.exception_handler(StreetveilError)
    def failed(_: Request, error: StreetveilError) -> Response:
        return Response(str(error), 500, media_type="text/plain; charset=utf-8")

    return app


def _guard(page: LocalPage) -> Callable[[Request, _Next], Awaitable[Response]]:
    hosts = {f"{name}:{page.port}" for name in (HOST, "localhost")}

    async def guard(request: Request, call_next: _Next) -> Response:
        why = _refusal(request, page, hosts)
        response = await call_next(request) if why is None else Response(why, 403, media_type="text/plain")
        response.headers.update(_HEADERS)
        return response

    return guard


def _refusal(request: Request, page: LocalPage, hosts: set[str]) -> str | None:
    if request.headers.get("host") not in hosts:
        return "this page answers to its own name only"
    origin = request.headers.get("origin")
    if request.method != "GET" and (origin is None or origin.removeprefix("http://") not in hosts):
        return "answers are taken from this page only"
    is_entrance = request.url.path == "/enter"
    token = request.query_params.get("token") if is_entrance else request.cookies.get(page.cookie)
    if not hmac.compare_digest((token or "").encode(), page.token.encode()):
        return f"open the address that `{page.command}` has printed"
    return None


def _files(page: LocalPage) -> Mapping[str, Path]:
    """What the browser may ask for, by name; a page's own file stands before a shared one of its name."""
    found = (path for folder in (SHARED, page.folder) for path in folder.iterdir() if path.suffix in _MEDIA_TYPES)
    return {path.name: path for path in found}


def _add_page(app: FastAPI, page: LocalPage, files: Mapping[str, Path]) -> None:
    @app.get("/enter")
    def enter() -> HTMLResponse:
        response = HTMLResponse(_ENTER)
        response.set_cookie(page.cookie, page.token, httponly=True, samesite="strict")
        return response

    @app.get("/")
    def shown() -> HTMLResponse:
        return HTMLResponse((page.folder / "page.html").read_text(encoding="utf-8"))

    @app.get("/browser/{name}")
    def browser(name: str) -> Response:
        if name not in files:
            raise HTTPException(404)
        return Response(files[name].read_bytes(), media_type=_MEDIA_TYPES[files[name].suffix])


def listen(port: int) -> socket.socket:
    """A socket on loopback, port 0 for a free one.

    Raises:
        StreetveilError: the port is taken.
    """
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((HOST, port))
        listener.listen()  # who comes before the server runs waits
    except OSError as error:
        listener.close()
        raise StreetveilError(f"port {port} is taken or not allowed: choose another with --port") from error
    return listener


def run_page(app: FastAPI, listener: socket.socket) -> None:
    """Serve until Ctrl-C or SIGTERM."""
    config = uvicorn.Config(app, log_level="warning", access_log=False, server_header=False)
    uvicorn.Server(config).run(sockets=[listener])
