"""Listening on this machine only, and serving an application there until told to stop."""

from __future__ import annotations

import errno
import socket

import uvicorn
from starlette.types import ASGIApp

from tulle.errors import Conflict

LOOPBACK = "127.0.0.1"
_LAST_WORDS = 2


def listen(port: int) -> socket.socket:
    """A socket that listens on `port` of the loopback address; 0 takes a free one. Raises `Conflict` E001."""
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((LOOPBACK, port))
        listening.listen(512)
    except OSError as error:
        listening.close()
        if error.errno not in {errno.EADDRINUSE, errno.EACCES}:
            raise
        raise Conflict("E001", f"port {port} cannot be had: {error.strerror}", fix="tulle up --port 0") from None
    return listening


def address_of(listening: socket.socket) -> str:
    """The address that others use."""
    return f"http://{LOOPBACK}:{listening.getsockname()[1]}"


def server(app: ASGIApp) -> uvicorn.Server:
    """A server for `app`. Open streams are given two seconds to end when it stops."""
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        timeout_graceful_shutdown=_LAST_WORDS,
        server_header=False,
        date_header=False,
    )
    return uvicorn.Server(config)


def serve(app: ASGIApp, listening: socket.socket) -> None:
    """Serves until SIGTERM or SIGINT."""
    server(app).run(sockets=[listening])
