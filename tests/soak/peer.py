"""A client's end of a connection: on TCP or TLS, with websocket messages in fragments or compressed, and rude ends."""

from __future__ import annotations

import socket
import ssl
import struct
import zlib
from dataclasses import dataclass
from math import inf

import trio

from ..support.wire import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT, Gone, Wire, frame
from .books import Page

_COMPRESSED = 0x40
_EXTENSION = "Sec-WebSocket-Extensions: permessage-deflate"


# What a narrow client asks the kernel for, in bytes: over loopback both sides would keep megabytes otherwise.
_NARROW_SEGMENT = 1400
_NARROW_WINDOW = 16_384


@dataclass(frozen=True)
class Place:
    """Where the server is."""

    port: int
    context: ssl.SSLContext | None = None


class Closed(Exception):
    """The server's Close frame came."""

    def __init__(self, code: int) -> None:
        self.code = code


class Peer(Wire):
    """See the module's docstring.

    :ivar page: what the server's access log must have of this connection, if that is kept book of.
    :ivar rate: bytes a second that are read, if more come.
    """

    def __init__(self, stream: trio.abc.Stream, raw: trio.SocketStream, page: Page | None = None) -> None:
        super().__init__(stream)
        self.page = page
        self.rate = inf
        self._began = trio.current_time()
        self._read = 0
        self._raw = raw
        self._sending = trio.Lock()
        self.closing = False  # what is sent from now on may meet a closed socket
        self._deflater: zlib._Compress | None = None
        self._inflater: zlib._Decompress | None = None

    @classmethod
    async def connect(cls, place: Place, page: Page | None = None, *, narrow: bool = False) -> Peer:
        """Connect, from the page's address. ``narrow`` keeps little on the way, as a phone's connection does."""
        raw = await _connect(place, page, narrow)
        if place.context is None:
            return cls(raw, raw, page)
        secure = trio.SSLStream(raw, place.context, server_hostname="localhost", https_compatible=True)
        try:
            await secure.do_handshake()
        except BaseException:
            await trio.aclose_forcefully(raw)
            raise
        return cls(secure, raw, page)

    async def send(self, data: bytes) -> None:
        async with self._sending:
            await self.stream.send_all(data)

    async def _more(self) -> None:
        if self.rate < inf:
            await trio.sleep_until(self._began + self._read / self.rate)
        before = len(self._buffer)
        await super()._more()
        self._read += len(self._buffer) - before

    def take(self, data: bytes) -> bool:
        """Drop these bytes, if they are what has come next."""
        comes = self._buffer.startswith(data)
        if comes:
            del self._buffer[: len(data)]
        return comes

    async def upgrade(self, path: str, *, compressed: bool = False) -> None:
        response = await self.handshake(path, *([_EXTENSION] if compressed else []))
        if self.page is not None:
            self.page.handshake(path)
        if compressed:
            assert "permessage-deflate" in response.headers["sec-websocket-extensions"]
            self._deflater = zlib.compressobj(1, zlib.DEFLATED, -15)
            self._inflater = zlib.decompressobj(-15)

    # Messages

    async def send_message(self, message: str | bytes, cuts: int, *, pings: bool = False) -> None:
        """Send it in ``cuts`` frames more than one, with Pings between them."""
        payload, opcode = (message.encode(), TEXT) if isinstance(message, str) else (message, BINARY)
        reserved = 0
        if self._deflater is not None:
            payload = (self._deflater.compress(payload) + self._deflater.flush(zlib.Z_SYNC_FLUSH))[:-4]
            reserved = _COMPRESSED
        step = len(payload) // (cuts + 1) + 1
        pieces = [payload[start : start + step] for start in range(0, max(len(payload), 1), step)]
        for number, piece in enumerate(pieces):
            first, last = number == 0, number == len(pieces) - 1
            data = frame(opcode if first else CONTINUATION, piece, fin=last, reserved=reserved if first else 0)
            await self.send(data + (frame(PING, b"%d" % number) if pings else b""))

    async def receive_message(self) -> str | bytes:
        """The next message. Raises Closed or Gone."""
        opcode, parts, compressed = 0, b"", False
        while True:
            first, size = await self.read(2)
            if size == 126:
                size = int.from_bytes(await self.read(2), "big")
            elif size == 127:
                size = int.from_bytes(await self.read(8), "big")
            payload = await self.read(size)
            kind = first & 0x0F
            if kind == CLOSE:
                raise Closed(int.from_bytes(payload[:2], "big") if payload else 1005)
            if kind == PING:
                await self._pong(payload)
            elif kind != PONG:
                if kind != CONTINUATION:
                    opcode, parts, compressed = kind, b"", bool(first & _COMPRESSED)
                assert opcode, "a continuation of nothing"
                parts += payload
                if first & 0x80:
                    break
        if compressed:
            assert self._inflater is not None
            parts = self._inflater.decompress(parts + b"\x00\x00\xff\xff")
        return parts.decode() if opcode == TEXT else parts

    async def _pong(self, payload: bytes) -> None:
        """Answer, unless something is being sent: reading must not wait for the server to read."""
        if not self._sending.locked() and not self.closing:
            await self.send(frame(PONG, payload))

    # Ends

    def finish(self) -> None:
        """End the stream of what is sent; under TLS without a close_notify."""
        try:
            self._raw.socket.shutdown(socket.SHUT_WR)
        except OSError:
            pass  # the server was quicker

    async def reset(self) -> None:
        """Have the kernel send RST."""
        try:
            self._raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        except OSError:
            pass
        await trio.aclose_forcefully(self._raw)

    async def drop(self) -> None:
        """Let go of it, however it stands."""
        await trio.aclose_forcefully(self._raw)

    async def read_to_the_end(self) -> None:
        """The server ends the stream, and sends nothing before."""
        try:
            rest = await self.read_rest()
        except (trio.BrokenResourceError, trio.ClosedResourceError, Gone):
            return
        assert not rest, f"behind the end: {rest[:80]!r}"


async def _connect(place: Place, page: Page | None, narrow: bool) -> trio.SocketStream:
    sock = trio.socket.socket()
    try:
        if narrow:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, _NARROW_SEGMENT)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _NARROW_WINDOW)
        if page is not None:
            await sock.bind((page.address, 0))
        await sock.connect(("127.0.0.1", place.port))
    except BaseException:
        sock.close()
        raise
    return trio.SocketStream(sock)
