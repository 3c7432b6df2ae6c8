"""The server's side of ASGI, driven by hand: it gives the app its events, and keeps those that the app sends."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from math import inf
from typing import Any
from urllib.parse import unquote

import pytest
import trio

from triows import Triows

Event = dict[str, Any]

# How a server says that the client is gone: as ASGI has it, or as hypercorn lets through what Trio says of a stream
# that another task is just closing.
gone = pytest.mark.parametrize("error", [OSError("the client is gone"), trio.BusyResourceError("closing")])


class ASGIServer:
    """The server's side of one scope.

    :ivar sent: the events that the app has sent, beyond those that were taken with :meth:`next`.
    :ivar taken: how many events the app has received.
    :ivar room: how many more events the server takes.
    :ivar gone: the error with which sending fails, or None.
    """

    def __init__(self, app: Triows, kind: str, **scope: Any) -> None:
        self.app = app
        self.scope: dict[str, Any] = {"type": kind, "asgi": {"version": "3.0"}, **scope}
        self.sent: list[Event] = []
        self.taken = 0
        self.ended = trio.Event()
        self.error: BaseException | None = None
        self.cancel_scope = trio.CancelScope()
        self.room = inf
        self.gone: Exception | None = None
        self._changed = trio.lowlevel.ParkingLot()
        self._incoming_in, self._incoming_out = trio.open_memory_channel[Event](inf)

    async def run(self) -> None:
        try:
            with self.cancel_scope:
                await self.app(self.scope, self._receive, self._send)
        except Exception as error:
            self.error = error
        finally:
            self.ended.set()
            self._changed.unpark_all()

    async def _receive(self) -> Event:
        event = await self._incoming_out.receive()
        self.taken += 1
        return event

    async def _send(self, event: Event) -> None:
        await trio.lowlevel.checkpoint()
        while self.room < 1:
            await self._changed.park()
        if self.gone is not None:
            raise self.gone
        self.room -= 1
        self.sent.append(event)
        self._changed.unpark_all()

    def put(self, kind: str, **event: Any) -> None:
        """Have an event received."""
        self._incoming_in.send_nowait({"type": kind, **event})

    async def next(self) -> Event:
        """Wait for an event and take it."""
        while not self.sent:
            assert not self.ended.is_set(), f"the app has returned ({self.error!r})"
            await self._changed.park()
        return self.sent.pop(0)

    async def rest(self) -> list[Event]:
        """Wait for the app to return, and take all events."""
        await self.ended.wait()
        sent, self.sent = self.sent, []
        return sent

    def resume(self, room: float = inf) -> None:
        self.room = room
        self._changed.unpark_all()


@asynccontextmanager
async def serving(app: Triows, kind: str, **scope: Any) -> AsyncIterator[ASGIServer]:
    """Run the app for one scope; it must have returned by itself, without an error, when the block is over."""
    server = ASGIServer(app, kind, **scope)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(server.run)
        with trio.fail_after(3600):
            yield server
            await server.ended.wait()
    if server.error is not None:
        raise server.error


def http(app: Triows, path: str = "/", method: str = "GET", **scope: Any) -> Any:
    defaults = {
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": path if "raw_path" in scope else unquote(path),
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": [(b"host", b"example.com")],
        "client": ("1.2.3.4", 5678),
        "server": ("5.6.7.8", 80),
    }
    return serving(app, "http", **{**defaults, **scope})


def ws(app: Triows, path: str = "/", **scope: Any) -> Any:
    defaults = {
        "http_version": "1.1",
        "scheme": "ws",
        "path": path if "raw_path" in scope else unquote(path),
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": [(b"host", b"example.com")],
        "client": ("1.2.3.4", 5678),
        "server": ("5.6.7.8", 80),
        "subprotocols": [],
        "extensions": {"websocket.http.response": {}},
    }
    return serving(app, "websocket", **{**defaults, **scope})


@asynccontextmanager
async def accepted(app: Triows, **scope: Any) -> AsyncIterator[ASGIServer]:
    """A websocket whose handshake has been accepted."""
    async with ws(app, **scope) as server:
        server.put("websocket.connect")
        assert (await server.next())["type"] == "websocket.accept"
        yield server
