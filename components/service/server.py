"""The service on its socket: who may reach it, and how it ends."""

from __future__ import annotations

import ipaddress
import socket

import uvicorn
from fastapi import FastAPI
from starlette.middleware.trustedhost import TrustedHostMiddleware

from components.errors import StreetveilError
from components.event_log import log_event
from components.service.app import Service, service_app

_BACKLOG = 256
_LOOPBACK_NAMES = ["127.0.0.1", "localhost", "[::1]"]


def is_loopback(host: str) -> bool:
    """Whether an address is reached from this machine alone."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def listen(host: str, port: int) -> socket.socket:
    """A socket that waits for clients, port 0 for a free one.

    Raises:
        StreetveilError: the port is taken, or the address is none of this machine.
    """
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        listener = socket.socket(family)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(_BACKLOG)
    except OSError as error:
        raise StreetveilError(f"cannot listen on {host} port {port} ({error.strerror}): choose another") from error
    return listener


def run_service(service: Service, listener: socket.socket) -> None:
    """Serve until Ctrl-C or SIGTERM; what is under way then is finished.

    Raises:
        StreetveilError: it could not be started.
    """
    server = uvicorn.Server(
        uvicorn.Config(
            guarded(service),
            log_level="warning",
            log_config=None,  # the process's own
            access_log=False,  # who asked for what is nobody's business
            server_header=False,
            timeout_graceful_shutdown=service.limits.shutdown_s,
        )
    )
    log_event("service.started", workers=service.workers, region=service.order.region_words,
              model_version=service.order.bundle.version)  # fmt: skip
    server.run(sockets=[listener])
    log_event("service.stopped")
    if not server.started:
        raise StreetveilError("the service could not be started: see the lines above")


def guarded(service: Service) -> FastAPI:
    """The application; where it asks for no token, it answers to this machine's own names alone.

    Otherwise any page in a browser on this machine could reach it under a name of its own (DNS rebinding).
    """
    app = service_app(service)
    if service.tokens is None:
        app.add_middleware(TrustedHostMiddleware, allowed_hosts=_LOOPBACK_NAMES)
    return app
