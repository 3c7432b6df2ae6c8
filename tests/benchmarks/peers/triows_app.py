"""The app of triows, for its own server and for hypercorn."""

from __future__ import annotations

import os

from triows import Triows, websocket


def make_app() -> Triows:
    # More connections than the default: the last of the scale benchmark must not be turned away.
    # The load counts bytes, and would take a keepalive Ping for an answer.
    app = Triows(__name__, max_connections=1_000_000, ping_interval=None, compression="DEFLATE" in os.environ)

    @app.websocket("/")
    async def echo() -> None:
        while True:
            await websocket.send(await websocket.receive())

    @app.get("/http")
    async def http() -> str:
        return "hello"

    return app
