"""What the app has besides where its timeouts are short: handlers that keep their clients waiting, and the limits."""

from __future__ import annotations

import time
from typing import Any

import trio

from triows import Triows, websocket

from .notes import Notes

TIMEOUT = 4.0
"""Seconds of each timeout. Healthy clients stay clear of it by seconds: a slow machine must not look like a stall."""
RATE = 2000
"""Bytes a second that a body must keep up."""
STALL = 0.5
WORK_AFTER = 50
"""Messages after which ``/busy`` works."""

LIMITS: dict[str, Any] = {
    "ping_interval": 1.0,
    "ping_timeout": TIMEOUT,
    "send_timeout": TIMEOUT,
    "drain_timeout": TIMEOUT,
    "close_timeout": TIMEOUT,
    "head_timeout": TIMEOUT,
    "keep_alive_timeout": TIMEOUT,
    "body_timeout": TIMEOUT,
    "min_body_rate": RATE,
    "stall_timeout": STALL,
}


def add(app: Triows, notes: Notes) -> None:
    """Add the handlers."""

    @app.websocket("/firehose")
    async def firehose() -> None:
        """An echo that does nothing besides, so that much can go through it; the client looks at what comes back."""
        with notes.ledger() as (side, reading):
            async for message in websocket:
                reading.count += 1
                await websocket.send(message)
                side.sent += 1

    @app.websocket("/busy", receive_buffer=2000)
    async def busy() -> None:
        """Receives one message, works for longer than any timeout, and goes on. Meanwhile the client is not read."""
        with notes.ledger() as (side, reading):
            while True:
                reading.read(await websocket.receive())
                side.sent += 1
                await websocket.send(str(side.sent))
                if side.sent % WORK_AFTER == 0:
                    await trio.sleep(TIMEOUT * 1.5)

    @app.websocket("/drains")
    async def drains() -> None:
        """Takes longer than the drain_timeout for what the client has left, but less for each message."""
        with notes.ledger() as (_, reading):
            async for message in websocket:
                reading.read(message)
                await trio.sleep(TIMEOUT / 8)

    @app.websocket("/drains-nothing")
    async def drains_nothing() -> None:
        """Takes one message, and no more."""
        with notes.ledger() as (_, reading):
            reading.read(await websocket.receive())
            await trio.sleep_forever()

    @app.websocket("/closes")
    async def closes() -> None:
        """Closes at once: how long the client takes to answer is its affair."""
        with notes.ledger():
            await websocket.accept()
            await websocket.close(4000, "that was all")

    @app.get("/stall")
    async def stall() -> str:
        with notes.visit():
            time.sleep(STALL * 1.4)
            return "stalled"
