"""The app that the tests of the server serve."""

from __future__ import annotations

from typing import Any

import trio

from triows import Triows, request, websocket
from triows.server.serving import Server

from ..support.wire import Wire


def make_app(**limits: Any) -> Triows:
    app = Triows(__name__, **limits)

    @app.route("/")
    async def index() -> str:
        return "hello"

    @app.post("/body")
    async def body() -> bytes:
        return bytes(await request.get_data())

    @app.post("/unread")
    async def unread() -> str:
        return "not read"

    @app.websocket("/ws")
    async def echo() -> None:
        async for message in websocket:
            await websocket.send(message)

    return app


async def connect_tcp(server: Server) -> Wire:
    return Wire(await trio.open_tcp_stream("127.0.0.1", server.port))
