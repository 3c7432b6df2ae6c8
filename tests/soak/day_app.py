"""What the app has besides on a public server's day: pages and their parts, an API, news, and what is refused."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import trio

from triows import Triows, request, websocket

from .notes import Notes

TIMEOUT = 6.0
LARGEST_BODY = 1 << 20
PING_INTERVAL = 2.0

LIMITS: dict[str, Any] = {
    "ping_interval": PING_INTERVAL,
    "ping_timeout": TIMEOUT,
    "send_timeout": TIMEOUT * 2,
    "close_timeout": TIMEOUT,
    "head_timeout": TIMEOUT,
    "keep_alive_timeout": TIMEOUT,
    "body_timeout": TIMEOUT,
    "min_body_rate": 2000,
    "max_body_size": LARGEST_BODY,
    "stall_timeout": 5.0,
}


def asset(number: int) -> bytes:
    """The part of that number: up to 200 KB."""
    return b"%06d\n" % number * (number * number * 3)


def add(app: Triows, notes: Notes) -> None:
    """Add the handlers."""
    visit = notes.visit

    @app.get("/page")
    async def page() -> str:
        with visit():
            await trio.sleep(0)
            return f"<p>for {request.remote_addr}"

    @app.get("/asset/<int:number>")
    async def part(number: int) -> bytes:
        with visit():
            return asset(number)

    @app.post("/api")
    async def api() -> Any:
        with visit():
            data = await request.get_json()
            return {"got": data}

    @app.get("/poll")
    async def poll() -> str:
        """News, when there are some."""
        with visit():
            await trio.sleep(float(request.args["seconds"]))
            return "news"

    @app.get("/events")
    async def events() -> Any:
        count, pause = int(request.args["count"]), float(request.args["pause"])

        async def stream() -> AsyncIterator[str]:
            with visit():
                for number in range(count):
                    yield f"data: {number}\n\n"
                    await trio.sleep(pause)

        return stream(), {"Content-Type": "text/event-stream"}

    @app.post("/refused-upload")
    async def refused_upload() -> tuple[str, int]:
        """Says no before it has read anything of the body."""
        with visit():
            return "not you", 403

    @app.websocket("/closes-deflated", compression=True)
    async def closes() -> None:
        with notes.ledger():
            await websocket.accept()
            await websocket.close(4000, "that was all")
