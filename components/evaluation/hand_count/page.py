"""The page on which a person counts: a small web application for this machine alone.

Originals are personal data, and every program on a machine, every page in a browser, can reach its loopback ports. So
each request must name this host (DNS rebinding), carry the token of this start, and, where it changes something, come
from this page. Pictures are addressed by their number in the sample, never by a path, and nothing may be stored.
"""

from __future__ import annotations

import hmac
import socket
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import uvicorn
from fastapi import Body, FastAPI, HTTPException, Request, Response
from fastapi.responses import HTMLResponse

from components.errors import StreetveilError
from components.evaluation.hand_count.answers import ANSWER, Answer, AnswerBook, Conflict, fault
from components.evaluation.hand_count.pictures import Side, for_browser, read_picture
from components.evaluation.hand_count.sample import Sample
from components.settings import Reading

HOST = "127.0.0.1"
_FOLDER = Path(__file__).parent / "browser"
_FILES = {
    "page.css": "text/css",
    **dict.fromkeys(("page.js", "view.js", "marks.js", "keep.js"), "text/javascript"),
}
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


@dataclass(frozen=True, slots=True)
class Counting:
    """What one start of the page is about.

    Attributes:
        sample: the pictures.
        book: where the answers go.
        counter: who counts.
        token: random, new with every start; whoever has it sees the originals.
        port: on which the page is reached, for the check of the Host header.
        limits: on what is decoded.
    """

    sample: Sample
    book: AnswerBook
    counter: str
    token: str
    port: int
    limits: Reading

    @property
    def address(self) -> str:
        """What a person opens."""
        return f"http://{HOST}:{self.port}/enter?token={self.token}"


def page_app(counting: Counting) -> FastAPI:
    """The application; nothing is served before it runs."""
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    app.middleware("http")(_guard(counting))
    _add_page(app, counting)
    _add_data(app, counting)
    return app


def _guard(counting: Counting) -> Callable[[Request, Callable[[Request], Awaitable[Response]]], Awaitable[Response]]:
    hosts = {f"{name}:{counting.port}" for name in (HOST, "localhost")}

    async def guard(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
        why = _refusal(request, counting, hosts)
        response = await call_next(request) if why is None else Response(why, 403, media_type="text/plain")
        response.headers.update(_HEADERS)
        return response

    return guard


def _refusal(request: Request, counting: Counting, hosts: set[str]) -> str | None:
    if request.headers.get("host") not in hosts:
        return "this page answers to its own name only"
    origin = request.headers.get("origin")
    if request.method != "GET" and (origin is None or origin.removeprefix("http://") not in hosts):
        return "answers are taken from this page only"
    is_entrance = request.url.path == "/enter"
    token = request.query_params.get("token") if is_entrance else request.cookies.get(_cookie(counting))
    if not hmac.compare_digest((token or "").encode(), counting.token.encode()):
        return "open the address that `streetveil handcount serve` has printed"
    return None


def _cookie(counting: Counting) -> str:
    return f"streetveil-handcount-{counting.port}"  # cookies know hosts, not ports


def _add_page(app: FastAPI, counting: Counting) -> None:
    @app.get("/enter")
    def enter() -> HTMLResponse:
        response = HTMLResponse(_ENTER)
        response.set_cookie(_cookie(counting), counting.token, httponly=True, samesite="strict")
        return response

    @app.get("/")
    def page() -> HTMLResponse:
        return HTMLResponse((_FOLDER / "page.html").read_text(encoding="utf-8"))

    @app.get("/browser/{name}")
    def browser(name: str) -> Response:
        if name not in _FILES:
            raise HTTPException(404)
        return Response((_FOLDER / name).read_bytes(), media_type=_FILES[name])


def _add_data(app: FastAPI, counting: Counting) -> None:
    sample = counting.sample

    @app.get("/sample")
    def told() -> dict[str, Any]:
        shown = ("path", "width", "height", "areas")
        images = [{key: value for key, value in asdict(image).items() if key in shown} for image in sample.images]
        answers = {path: asdict(answer) for path, answer in counting.book.read().items()}
        return {"sample_id": sample.sample_id, "counter": counting.counter, "images": images, "answers": answers}

    @app.get("/picture/{number}/{side}")
    def picture(number: int, side: Side) -> Response:
        if not 0 <= number < len(sample.images):
            raise HTTPException(404)
        image = sample.images[number]
        content, media_type = for_browser(read_picture(sample, image, side), image, counting.limits)
        return Response(content, media_type=media_type)

    @app.post("/answer")
    def answer(given: Annotated[Answer, Body()]) -> dict[str, bool]:
        if (why := fault(given, sample)) is not None:
            raise HTTPException(422, why)
        counting.book.append(given)
        return {"kept": True}

    @app.exception_handler(Conflict)
    def conflict(_: Request, error: Conflict) -> Response:
        return Response(ANSWER.dump_json(error.stands), 409, media_type="application/json")

    @app.exception_handler(StreetveilError)
    def failed(_: Request, error: StreetveilError) -> Response:
        return Response(str(error), 500, media_type="text/plain; charset=utf-8")


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


def run_page(counting: Counting, listener: socket.socket) -> None:
    """Serve until Ctrl-C or SIGTERM."""
    config = uvicorn.Config(page_app(counting), log_level="warning", access_log=False, server_header=False)
    uvicorn.Server(config).run(sockets=[listener])
