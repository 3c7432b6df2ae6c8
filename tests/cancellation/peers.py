"""Strict clients: they judge every byte, or every event, that the server sends until the end, and keep a ledger."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import trio

from ..support.wire import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT, close_frame, frame, upgrade

BROKEN = (trio.BrokenResourceError, trio.ClosedResourceError)


class Peer:
    """What a client of a websocket saw and sent.

    :ivar received: whole messages of the server.
    :ivar sent: whole messages that were sent to it.
    :ivar unfinished: the pieces of a message that has no end yet.
    :ivar status: the handshake's answer.
    :ivar close: code and reason of the server's Close.
    :ivar torn: what was left at the end and is no whole frame.
    :ivar pings: how many Pings came; they are answered while ``answers`` is true.
    :ivar reading: while it is not set, nothing is read but the handshake's answer.
    :ivar answered: set when the handshake is answered, or will not be.
    :ivar ended: set at the end of the stream.
    """

    def __init__(self) -> None:
        self.received: list[str | bytes] = []
        self.sent: list[str | bytes] = []
        self.unfinished: list[bytes] = []
        self.status: int | None = None
        self.body = b""
        self.close: tuple[int, str] | None = None
        self.torn = b""
        self.pings = 0
        self.answers = True
        self.answers_close = trio.Event()
        self.answers_close.set()
        self.reading = trio.Event()
        self.reading.set()
        self.answered = trio.Event()
        self.ended = trio.Event()

    def stall(self) -> None:
        if self.reading.is_set():
            self.reading = trio.Event()

    async def send(self, *messages: str | bytes) -> None:
        raise NotImplementedError

    async def send_parts(self, *parts: str | bytes) -> None:
        """A message in fragments, each when the server has nothing left to do."""
        raise NotImplementedError

    async def send_close(self, code: int, reason: str) -> None:
        raise NotImplementedError


class WirePeer(Peer):
    """A client on a stream. Half a frame at the end, a byte behind Close or a wrong bit anywhere fails the test."""

    def __init__(self, stream: trio.abc.Stream, path: str = "/") -> None:
        super().__init__()
        self.stream = stream
        self._path = path
        self._buffer = bytearray()
        self._opcode = 0
        self._sending = trio.Lock()
        self._closed = False

    async def run(self) -> None:
        """Ask for the websocket and read to the end."""
        try:
            await self.write(upgrade(self._path))
            await self._read()
        finally:
            self.answered.set()
            self.ended.set()
            with trio.CancelScope(shield=True):
                await trio.aclose_forcefully(self.stream)

    async def write(self, data: bytes) -> None:
        async with self._sending:
            try:
                await self.stream.send_all(data)
            except BROKEN:
                pass  # what the server did to be gone is seen by the reader

    async def _read(self) -> None:
        while True:
            if self.status is not None:
                await self.reading.wait()
            try:
                data = await self.stream.receive_some(65536)
            except BROKEN:
                data = b""
            if not data:
                break
            self._buffer += data
            if self.status is None:
                self._take_head()
            if self.status == 101:
                while await self._take_frame():
                    pass
        if self.status == 101:
            self.torn = bytes(self._buffer)
        else:
            self.body = bytes(self._buffer)

    def _take_head(self) -> None:
        head, end, rest = self._buffer.partition(b"\r\n\r\n")
        if end:
            assert head.startswith(b"HTTP/1.1 "), head
            self.status = int(head[9:12])
            self._buffer = rest
            self.answered.set()

    async def _take_frame(self) -> bool:
        buffer = self._buffer
        if len(buffer) < 2:
            return False
        assert buffer[1] < 0x80, "a server does not mask"
        size, start = buffer[1], 2
        if size > 125:
            start = 4 if size == 126 else 10
            if len(buffer) < start:
                return False
            size = int.from_bytes(buffer[2:start], "big")
            assert size > (125 if start == 4 else 65535), "the length is not in its shortest form"
        if len(buffer) < start + size:
            return False
        first, payload = buffer[0], bytes(buffer[start : start + size])
        del buffer[: start + size]
        assert self.close is None, "a frame behind Close"
        assert not first & 0x70, "a reserved bit"
        await self._take(first & 0x0F, bool(first & 0x80), payload)
        return True

    async def _take(self, opcode: int, final: bool, payload: bytes) -> None:
        if opcode >= CLOSE:
            assert final, "a control frame in pieces"
            assert len(payload) <= 125
        if opcode == CLOSE:
            self.close = (int.from_bytes(payload[:2], "big"), payload[2:].decode()) if payload else (1005, "")
            if not self._closed:
                await self.answers_close.wait()
                self._closed = True
                await self.write(close_frame(self.close[0]))
        elif opcode == PING:
            self.pings += 1
            if self.answers:
                await self.write(frame(PONG, payload))
        elif opcode in (TEXT, BINARY, CONTINUATION):
            if opcode == CONTINUATION:
                assert self.unfinished, "a continuation of nothing"
            else:
                assert not self.unfinished, "a message inside another one"
                self._opcode = opcode
            self.unfinished.append(payload)
            if final:
                whole = b"".join(self.unfinished)
                self.received.append(whole.decode() if self._opcode == TEXT else whole)
                self.unfinished.clear()
        else:
            assert opcode == PONG, f"opcode {opcode}"

    async def send(self, *messages: str | bytes) -> None:
        self.sent += messages
        await self.answered.wait()
        await self.write(b"".join([self._frame(message) for message in messages]))

    @staticmethod
    def _frame(message: str | bytes, **options: Any) -> bytes:
        if isinstance(message, str):
            return frame(TEXT, message.encode(), **options)
        return frame(BINARY, message, **options)

    async def send_parts(self, *parts: str | bytes) -> None:
        self.sent.append(parts[0][:0].join(parts))  # type: ignore[arg-type]
        await self.answered.wait()
        for number, part in enumerate(parts):
            final = number == len(parts) - 1
            data = part.encode() if isinstance(part, str) else part
            await self.write(frame(CONTINUATION, data, fin=final) if number else self._frame(part, fin=final))
            await trio.testing.wait_all_tasks_blocked()

    async def send_close(self, code: int, reason: str) -> None:
        self._closed = True
        await self.write(close_frame(code, reason))


class ASGIPeer(Peer):
    """A server and its client in one: it scripts the events, and judges their order."""

    def __init__(self, app: Callable[..., Awaitable[None]]) -> None:
        super().__init__()
        self._app = app
        self._give, self._events = trio.open_memory_channel[dict[str, Any]](1000)
        self.scope = trio.CancelScope()
        self.give("websocket.connect")

    async def run(self) -> None:
        """Serve the app, until it returns."""
        scope = {
            "type": "websocket",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "scheme": "ws",
            "path": "/",
            "raw_path": b"/",
            "query_string": b"",
            "root_path": "",
            "headers": [(b"host", b"localhost")],
            "client": ("127.0.0.1", 1),
            "server": ("127.0.0.1", 2),
            "subprotocols": [],
            "extensions": {"websocket.http.response": {}},
        }
        try:
            with self.scope:
                await self._app(scope, self._events.receive, self._take)
        finally:
            self.answered.set()
            self.ended.set()
            self._give.close()
            self._events.close()

    def give(self, kind: str, **event: Any) -> None:
        self._give.send_nowait({"type": kind, **event})

    async def _take(self, event: dict[str, Any]) -> None:
        await trio.lowlevel.checkpoint()
        kind = event["type"]
        if kind != "websocket.accept":
            await self.reading.wait()
        assert self.close is None, f"{kind} behind websocket.close"
        if kind == "websocket.accept":
            assert self.status is None
            self.status = 101
            self.answered.set()
        elif kind == "websocket.http.response.start":
            assert self.status is None
            self.status = event["status"]
        elif kind == "websocket.http.response.body":
            assert self.status not in (None, 101)
            self.body += event["body"]
            self.answered.set()
        elif kind == "websocket.close":
            self.close = (event["code"], event["reason"])
            if self.status is None:
                self.status = 403
            else:
                await self.answers_close.wait()
                self.give("websocket.disconnect", code=event["code"])
        else:
            assert kind == "websocket.send"
            assert self.status == 101
            self.received.append(event["text"] if event.get("text") is not None else event["bytes"])

    async def send(self, *messages: str | bytes) -> None:
        self.sent += messages
        for message in messages:
            if not self.ended.is_set():
                key = "text" if isinstance(message, str) else "bytes"
                self.give("websocket.receive", **{key: message})
        await trio.lowlevel.checkpoint()

    async def send_parts(self, *parts: str | bytes) -> None:
        await trio.testing.wait_all_tasks_blocked()
        await self.send(parts[0][:0].join(parts))  # type: ignore[arg-type]

    async def send_close(self, code: int, reason: str) -> None:
        if not self.ended.is_set():
            self.give("websocket.disconnect", code=code, reason=reason)
        await trio.lowlevel.checkpoint()
