"""A websocket client that knows frames and nothing else: it sends what it is told, right or wrong, on any stream."""

from __future__ import annotations

import base64
import hashlib
import re

import trio

KEY = b"dGhlIHNhbXBsZSBub25jZQ=="
_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
MASK = b"\x12\x34\x56\x78"

TEXT, BINARY, CONTINUATION, CLOSE, PING, PONG = 0x1, 0x2, 0x0, 0x8, 0x9, 0xA


def frame(
    opcode: int,
    payload: bytes = b"",
    *,
    fin: bool = True,
    reserved: int = 0,
    masked: bool = True,
    length: bytes | None = None,
) -> bytes:
    """One frame. ``length`` replaces the length field (second byte's 7 bits and what follows) by other bytes."""
    size = len(payload)
    first = (0x80 if fin else 0) | reserved | opcode
    if length is None:
        if size < 126:
            length = bytes([size])
        elif size < 65536:
            length = b"\x7e" + size.to_bytes(2, "big")
        else:
            length = b"\x7f" + size.to_bytes(8, "big")
    head = bytes([first, (0x80 if masked else 0) | length[0]]) + length[1:]
    if not masked:
        return head + payload
    key = (MASK * (size // 4 + 1))[:size]
    body = (int.from_bytes(payload, "big") ^ int.from_bytes(key, "big")).to_bytes(size, "big") if size else b""
    return head + MASK + body


def close_frame(code: int, reason: str = "") -> bytes:
    return frame(CLOSE, code.to_bytes(2, "big") + reason.encode())


def upgrade(path: str = "/", *headers: str, host: str = "localhost") -> bytes:
    lines = [
        f"GET {path} HTTP/1.1",
        f"Host: {host}",
        "Upgrade: websocket",
        "Connection: Upgrade",
        f"Sec-WebSocket-Key: {KEY.decode()}",
        "Sec-WebSocket-Version: 13",
        *headers,
    ]
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n"


class Gone(Exception):
    """The server ended the stream."""


class Response:
    def __init__(self, status: int, headers: dict[str, str], body: bytes = b"") -> None:
        self.status = status
        self.headers = headers
        self.body = body


class Wire:
    """One connection to a server."""

    def __init__(self, stream: trio.abc.Stream) -> None:
        self.stream = stream
        self._buffer = bytearray()

    async def send(self, data: bytes) -> None:
        await self.stream.send_all(data)

    async def send_text(self, text: str) -> None:
        await self.send(frame(TEXT, text.encode()))

    async def _more(self) -> None:
        try:
            data = await self.stream.receive_some(65536)
        except trio.BrokenResourceError:
            data = b""
        if not data:
            raise Gone
        self._buffer += data

    async def read(self, size: int) -> bytes:
        while len(self._buffer) < size:
            await self._more()
        data = bytes(self._buffer[:size])
        del self._buffer[:size]
        return data

    async def read_rest(self) -> bytes:
        try:
            while True:
                await self._more()
        except Gone:
            rest = bytes(self._buffer)
            self._buffer.clear()
            return rest

    async def read_head(self) -> Response:
        while (end := self._buffer.find(b"\r\n\r\n")) < 0:
            await self._more()
        lines = (await self.read(end + 4))[:-4].decode("latin-1").split("\r\n")
        match = re.match(r"HTTP/1\.1 (\d{3})", lines[0])
        assert match, lines[0]
        headers = {}
        for line in lines[1:]:
            name, _, value = line.partition(":")
            headers[name.lower()] = value.strip()
        return Response(int(match[1]), headers)

    async def read_response(self, *, has_body: bool = True) -> Response:
        response = await self.read_head()
        if not has_body or response.status in (101, 204, 304) or response.status < 200:
            return response
        if response.headers.get("transfer-encoding") == "chunked":
            while size := int(await self._read_line(), 16):
                response.body += await self.read(size)
                assert await self.read(2) == b"\r\n"
            assert await self._read_line() == b""
        elif "content-length" in response.headers:
            response.body = await self.read(int(response.headers["content-length"]))
        else:
            response.body = await self.read_rest()
        return response

    async def _read_line(self) -> bytes:
        while (end := self._buffer.find(b"\r\n")) < 0:
            await self._more()
        return (await self.read(end + 2))[:-2]

    async def handshake(self, path: str = "/", *headers: str, early: bytes = b"") -> Response:
        """Ask for a websocket; ``early`` goes in the same segment. The 101 must be right."""
        await self.send(upgrade(path, *headers) + early)
        response = await self.read_response()
        assert response.status == 101, (response.status, response.body)
        accept = base64.b64encode(hashlib.sha1(KEY + _GUID).digest()).decode()
        assert response.headers["sec-websocket-accept"] == accept
        return response

    async def read_frame(self) -> tuple[int, bytes]:
        """Opcode and payload of the next frame; it must be final, unmasked and of the shortest length."""
        first, second = await self.read(2)
        assert first & 0xF0 == 0x80, hex(first)
        assert second < 0x80, "a server does not mask"
        size = second
        if size == 126:
            size = int.from_bytes(await self.read(2), "big")
            assert size >= 126
        elif size == 127:
            size = int.from_bytes(await self.read(8), "big")
            assert size >= 65536
        return first & 0x0F, await self.read(size)

    async def read_text(self) -> str:
        opcode, payload = await self.read_frame()
        assert opcode == TEXT, (opcode, payload[:200])
        return payload.decode()

    async def read_close(self) -> tuple[int, str]:
        """Code and reason of a Close frame, which must be the next."""
        opcode, payload = await self.read_frame()
        assert opcode == CLOSE, (opcode, payload[:200])
        return (int.from_bytes(payload[:2], "big"), payload[2:].decode()) if payload else (1005, "")

    async def read_end(self) -> None:
        """The server ends the stream, and nothing comes before."""
        rest = await self.read_rest()
        assert rest == b"", rest[:200]

    async def close(self, code: int = 1000, reason: str = "") -> tuple[int, str]:
        """The closing handshake from this side, then the end of the stream."""
        await self.send(close_frame(code, reason))
        answer = await self.read_close()
        await self.read_end()
        await self.stream.aclose()
        return answer


# How clients leave


async def break_the_protocol(wire: Wire) -> None:
    await wire.send(frame(3))
    await wire.read_close()
    await wire.stream.aclose()


async def be_dead(wire: Wire) -> None:
    """Answer no Ping, for longer than any keepalive waits."""
    assert (await wire.read_frame())[0] == PING
    await trio.sleep(100)
    await wire.stream.aclose()


async def be_left(wire: Wire) -> None:
    """Stay until the server has ended the connection."""
    await wire.read_rest()
    await wire.stream.aclose()
