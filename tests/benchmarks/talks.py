"""What the load says to a server and must hear from it: all bytes made beforehand, so that counting them suffices."""

from __future__ import annotations

import base64
import hashlib
import socket
import zlib

KEY = b"dGhlIHNhbXBsZSBub25jZQ=="
_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455, section 1.3
_ACCEPT = base64.b64encode(hashlib.sha1(KEY + _GUID).digest())
_MASK = b"\x37\xfa\x21\x3d"
_FIN, _RSV1, _MASKED = 0x80, 0x40, 0x80
_DEFLATE = b"Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n"


class LoadError(Exception):
    """The server did not do what it was measured for."""


def _length(size: int) -> tuple[int, bytes]:
    """The seven bits of a payload's length, and the bytes that follow them (section 5.2)."""
    if size < 126:
        return size, b""
    if size < 65536:
        return 126, size.to_bytes(2, "big")
    return 127, size.to_bytes(8, "big")


def masked(payload: bytes, first: int) -> bytes:
    """A frame as a client sends it."""
    key = (_MASK * (len(payload) // 4 + 1))[: len(payload)]
    data = (int.from_bytes(payload, "big") ^ int.from_bytes(key, "big")).to_bytes(len(payload), "big")
    bits, more = _length(len(payload))
    return bytes((first, _MASKED | bits)) + more + _MASK + data


def unmasked(payload: bytes, first: int) -> bytes:
    """A frame as a server sends it."""
    bits, more = _length(len(payload))
    return bytes((first, bits)) + more + payload


def receive(sock: socket.socket, size: int) -> bytes:
    """So many bytes from a blocking socket."""
    data = bytearray()
    while len(data) < size:
        piece = sock.recv(min(size - len(data), 1 << 20))
        if not piece:
            raise LoadError(f"the server closed a connection, after {bytes(data[:60])!r}")
        data += piece
    return bytes(data)


def receive_head(sock: socket.socket) -> bytes:
    """A response's head; byte by byte, since what follows belongs to others."""
    data = b""
    while not data.endswith(b"\r\n\r\n"):
        peeked = sock.recv(1) if hasattr(sock, "pending") else sock.recv(4096, socket.MSG_PEEK)
        if not peeked:
            raise LoadError(f"the server closed a connection, after {data[:60]!r}")
        if hasattr(sock, "pending"):
            data += peeked
            continue
        end = (data + peeked).find(b"\r\n\r\n")
        wanted = len(peeked) if end < 0 else end + 4 - len(data)
        data += receive(sock, wanted)
    return data


class FrameTalk:
    """Messages of one size, echoed.

    :ivar opening: the handshake's request.
    :ivar request: one message, as the client sends it.
    :ivar reply: what must come back.
    """

    def __init__(self, size: int, *, binary: bool = False, deflate: bool = False) -> None:
        self.deflate = deflate
        target = b"/?size=%d%s" % (size, b"&binary" if binary else b"")
        self.opening = (
            b"GET %s HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Key: %s\r\nSec-WebSocket-Version: 13\r\n%s\r\n"
        ) % (target, KEY, _DEFLATE if deflate else b"")
        self.handshake_reply = (
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Accept: %s\r\n\r\n"
        ) % _ACCEPT
        self.payload = (b"abcdefghijklmnopqrstuvwxyz" * (size // 26 + 1))[:size]
        opcode = 0x2 if binary else 0x1
        self.reply = unmasked(self.payload, _FIN | opcode)
        if deflate:
            squeezer = zlib.compressobj(wbits=-15)
            squeezed = squeezer.compress(self.payload) + squeezer.flush(zlib.Z_SYNC_FLUSH)
            self.request = masked(squeezed[:-4], _FIN | _RSV1 | opcode)
        else:
            self.request = masked(self.payload, _FIN | opcode)

    def open(self, sock: socket.socket) -> None:
        """Send what comes before the first message."""
        sock.sendall(self.opening)

    def opened(self, sock: socket.socket) -> None:
        """Wait for the answer, and check it."""
        self.check_head(receive_head(sock))

    def check_head(self, head: bytes) -> None:
        if not head.startswith(b"HTTP/1.1 101 ") or _ACCEPT not in head:
            raise LoadError(f"the handshake was refused: {head[:60]!r}")
        if self.deflate and b"permessage-deflate" not in head:
            raise LoadError("no compression")

    def replied(self, sock: socket.socket) -> None:
        """Wait for one reply, and check it byte for byte."""
        if self.deflate:
            self._replied_squeezed(sock)
            return
        reply = receive(sock, len(self.reply))
        if reply != self.reply:
            raise LoadError(f"the reply is wrong: {reply[:60]!r}")

    def _replied_squeezed(self, sock: socket.socket) -> None:
        first, bits = receive(sock, 2)
        if bits >= 126:
            bits = int.from_bytes(receive(sock, 2 if bits == 126 else 8), "big")
        payload = receive(sock, bits)
        if first & _RSV1:
            payload = zlib.decompressobj(wbits=-15).decompress(payload + b"\0\0\xff\xff")
        if payload != self.payload:
            raise LoadError(f"the reply is wrong: {payload[:60]!r}")


class HttpTalk:
    """GET requests over connections that are kept; the first response says how long each will be."""

    def __init__(self) -> None:
        self.request = b"GET /http HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: */*\r\n\r\n"
        self.reply = b""

    def open(self, sock: socket.socket) -> None:
        """There is nothing before the first request."""

    def opened(self, sock: socket.socket) -> None:
        """There is nothing before the first response."""

    def replied(self, sock: socket.socket) -> None:
        head = receive_head(sock)
        response = head + receive(sock, len("hello"))
        if not head.startswith(b"HTTP/1.1 200 ") or not response.endswith(b"\r\n\r\nhello"):
            raise LoadError(f"the response is wrong: {response[:60]!r}")
        if self.reply and len(response) != len(self.reply):
            raise LoadError(f"a response has {len(response)} bytes, another {len(self.reply)}")
        self.reply = response


Talk = FrameTalk | HttpTalk
