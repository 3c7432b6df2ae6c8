"""quart-trio under hypercorn's Trio worker."""

from __future__ import annotations

import socket
import ssl

from quart import websocket
from quart_trio import QuartTrio

from .hypercorn_trio import serve_app


def serve(sock: socket.socket, _tls: ssl.SSLContext | None) -> None:
    app = QuartTrio(__name__)

    @app.websocket("/")
    async def echo() -> None:
        while True:
            await websocket.send(await websocket.receive())

    @app.get("/http")
    async def http() -> str:
        return "hello"

    serve_app(app, sock)
