"""The server's side of a websocket, read from its bytes: the head of its answer, and its Close frame.

trio-websocket reports neither in full: it hides some headers, and after a local close it reports 1000 whether the
server answered or not. Frames are those of RFC 6455, section 5.2.
"""

from __future__ import annotations

from werkzeug.datastructures import Headers

from ..protocol.websocket.close_codes import NO_STATUS, Close
from ..protocol.websocket.frames import CLOSE
from ..web.headers import decode_headers

_EXTENDED = {126: 2, 127: 8}


class ServerBytes:
    """Reads the bytes that the client receives: pass them to :meth:`feed`.

    :ivar headers: the headers of the handshake's answer; None until its head is complete.
    :ivar close: the server's Close frame, or None.
    :ivar ended: whether the client has left, or has read the end of the stream.
    """

    def __init__(self) -> None:
        self.headers: Headers | None = None
        self.close: Close | None = None
        self.ended = False
        self._buffer = bytearray()
        self._skip = 0  # bytes of a payload, not a Close frame's, that are still to come

    def feed(self, data: bytes) -> None:
        """Read the next bytes."""
        self._buffer += data
        if self.headers is None:
            head, end, rest = self._buffer.partition(b"\r\n\r\n")
            if not end:
                return
            lines = (line.partition(b":") for line in bytes(head).split(b"\r\n")[1:])
            self.headers = decode_headers((name, value.strip()) for name, _, value in lines)
            self._buffer = rest
        while self.close is None and self._skip_frame():
            pass

    def _skip_frame(self) -> bool:
        """Skip a frame, or the part of it that has arrived, and keep a Close frame; return whether to call it again."""
        buffer = self._buffer
        if self._skip:
            skipped = min(self._skip, len(buffer))
            del buffer[:skipped]
            self._skip -= skipped
        if len(buffer) < 2:
            return False
        length = buffer[1] & 0x7F
        extra = _EXTENDED.get(length, 0)
        start = 2 + extra
        if len(buffer) < start:
            return False
        if extra:
            length = int.from_bytes(buffer[2:start], "big")
        if buffer[0] & 0x0F == CLOSE:
            if len(buffer) < start + length:
                return False
            payload = bytes(buffer[start : start + length])
            code = int.from_bytes(payload[:2], "big") if len(payload) >= 2 else NO_STATUS
            self.close = Close(code, payload[2:].decode("utf-8", "replace"))
        else:
            del buffer[:start]
            self._skip = length
        return True
