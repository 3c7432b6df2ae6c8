"""What the tables of bad input have in common: a server that is watched, and the answer that it gives to a row.

An answer is what came back, in order, then K where the connection is kept, C where it is closed. HTTP responses are
their status; after 101 a text is itself, a binary message or a long text its length in brackets, a Pong ``pong``, a
Close frame ``close:CODE``.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trio

from triows import Triows, websocket

from ..support.records import OF_CLIENTS
from ..support.served import served
from ..support.wire import CLOSE, PING, PONG, TEXT, Gone, Wire, frame, upgrade

FIN = b"<FIN>"  # at the end of an input: the client's end of the stream
PROBE = frame(TEXT, b"probe") + frame(PING, b"probe")
SEGMENTS = [None, 100, 1]
LONG = 20_000  # bytes from which on an input is not sent byte by byte

Connect = Callable[[int | None], Awaitable[Wire]]


class Watched:
    """A server whose handlers keep what they got.

    :ivar connect: a new client, whose bytes reach the server in segments of this size.
    :ivar received: every message that a handler got.
    """

    def __init__(self, app: Triows, connect: Connect, **limits: Any) -> None:
        self.connect = connect
        self.received: list[str | bytes] = []
        self.requests = 0
        self.tasks = trio.lowlevel.current_statistics().tasks_living

        @app.get("/here")
        async def here() -> str:
            self.requests += 1
            return "here"

        @app.post("/here")
        async def there() -> str:
            self.requests += 1
            return "there"

        @app.get("/page")
        async def page() -> str:
            return "page"

        @app.websocket("/ws", **limits)
        async def ws() -> None:
            async for message in websocket:
                self.received.append(message)
                await websocket.send(message)

        @app.websocket("/refused")
        async def refused() -> tuple[str, int]:
            return "no", 403

    async def still_serves(self) -> None:
        """A good client is served, and nothing is left of the bad ones."""
        wire = await self.connect(None)
        await wire.send(upgrade("/ws"))
        assert (await wire.read_response()).status == 101
        await wire.send_text("good")
        assert await wire.read_text() == "good"
        assert self.received.pop() == "good"
        await wire.close()
        with trio.fail_after(10):
            while trio.lowlevel.current_statistics().tasks_living > self.tasks:
                await trio.sleep(0.001)


@asynccontextmanager
async def watched(caplog: pytest.LogCaptureFixture, **limits: Any) -> AsyncIterator[Watched]:
    """A watched server over streams in memory. Nothing may be logged as a warning or worse."""
    app = Triows(__name__)
    with caplog.at_level(logging.WARNING):
        async with served(app) as server:

            async def connect(segments: int | None) -> Wire:
                return server.connect(segments)

            yield Watched(app, connect, **limits)
    assert complaints(caplog) == []


def complaints(caplog: pytest.LogCaptureFixture) -> list[str]:
    """What was logged as a warning or worse, but for what clients may cause."""
    texts = [record.getMessage() for record in caplog.records]
    return [text for text in texts if not any(words in text for words in OF_CLIENTS)]


async def send(wire: Wire, data: bytes) -> None:
    try:
        await wire.send(data.removesuffix(FIN))
        if data.endswith(FIN):
            await end_of_stream(wire.stream)
    except trio.BrokenResourceError:
        pass  # answered and closed already


async def end_of_stream(stream: trio.abc.Stream) -> None:
    if isinstance(stream, trio.SSLStream):
        stream = stream.transport_stream
    assert isinstance(stream, trio.abc.HalfCloseableStream)
    await stream.send_eof()


async def responses(wire: Wire, due: str, *, has_body: bool = True) -> str:
    """The statuses that come, and what follows 101: no more than are due, unless the connection is to be closed."""
    count = len([word for word in due.split() if word.isdigit()])
    said: list[str] = []
    try:
        while True:
            response = await wire.read_response(has_body=has_body)
            said.append(str(response.status))
            if response.status == 101:
                if due.endswith("K"):
                    await send(wire, PROBE)
                return " ".join([*said, await messages(wire)])
            if response.headers.get("connection") == "close":
                await wire.read_end()
                return " ".join([*said, "C"])
            if len(said) == count:
                break
    except Gone:
        return " ".join([*said, "gone"])
    # Kept means that the next request is answered.
    await wire.send(b"GET /here HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert (await wire.read_response()).body == b"here"
    return " ".join([*said, "K"])


async def messages(wire: Wire) -> str:
    """What comes until the end of the stream, or the probe is answered, which the sender sends where it is kept."""
    said: list[str] = []
    answered = 0
    try:
        while answered < 2:
            opcode, payload = await wire.read_frame()
            if payload == b"probe":
                answered += 1
            elif opcode == CLOSE:
                said.append(f"close:{int.from_bytes(payload[:2], 'big') if payload else ''}")
            elif opcode == PONG:
                said.append("pong")
            elif opcode == TEXT and payload and len(payload) < 20:
                said.append(payload.decode())
            else:
                said.append(f"[{len(payload)}]")
    except Gone:
        return " ".join([*said, "C"])
    return " ".join([*said, "K"])
