"""TLS over a socket in the reactor: OpenSSL between two buffers in memory, without a task and without waiting.

A :class:`TLSLink` is the receiver of a :class:`.SocketLink`, and the link of a receiver of its own. The rules:

- The handshake is driven by the bytes that arrive. Its time is bounded by the receiver's first timer, which runs from
  the accept. Nothing is handed to the receiver, and nothing written is sent, before it is over.
- The bytes of one read of the socket are decrypted at once and handed over in one piece. OpenSSL keeps less than one
  record, so that the receiver's ``full`` bounds memory as it does without TLS.
- Bytes that are written are encrypted at once. What the kernel does not take waits in the socket's link, encrypted.
- The client's close_notify is its end, and so is the end of the stream without one, as with every HTTP server: HTTP's
  own framing tells whether a message is whole.
- The end of the link is close_notify, then the orderly end of the socket. The client's own close_notify is read away
  and not waited for; it must not meet a closed socket, whose reset could take the last bytes from the client.
- A client's fault in TLS is answered with OpenSSL's alert, if it has one, and ends the connection. Its record in the
  log has the level DEBUG.

See RFC 8446 (TLS 1.3), sections 5 (records), 6.1 (close_notify) and 4.6 (messages after the handshake).
"""

from __future__ import annotations

import socket
import ssl

from ...protocol.http1.response import ResponseFraming
from ...tasks.error_log import error_log as logger
from ...tasks.timers import Timers
from ..http_date import date
from .link import JOIN_UP_TO, Link, Receiver
from .socket import Poller, SocketLink

_RECORD = 16384  # bytes of plaintext in a record, at most (RFC 8446, 5.1)
_FEED = 32768  # bytes that OpenSSL gets at once: its buffers never shrink
_SEND_AT_ONCE = 65536  # bytes of plaintext for one call of the kernel
_LINGER = 1.0  # seconds that a client is given to end TLS from its side
_MAX_ANSWERS = 65536  # bytes of OpenSSL's own that may wait for a client which asks for more and takes nothing

_PLAIN_HTTP = b"this port speaks https and wss (TLS).\n"


class TLSLink(Link):
    """The server's side of TLS on a non-blocking socket in a reactor. See the module's docstring."""

    __slots__ = (
        "_answers",
        "_broken",
        "_incoming",
        "_input_ended",
        "_joined",
        "_outgoing",
        "_reactor",
        "_ready",
        "_socket",
        "_ssl",
    )

    buffered: int
    receiver: Receiver | None

    def __init__(self, sock: socket.socket, reactor: Poller, timers: Timers, context: ssl.SSLContext) -> None:
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._ssl = context.wrap_bio(self._incoming, self._outgoing, server_side=True)
        self._socket = SocketLink(sock, reactor, timers)
        super().__init__(timers)
        self._reactor = reactor
        self._joined: list[bytes] = []  # plaintext
        self._ready = False  # the handshake is over
        self._broken = False  # OpenSSL has failed or was ended, and is not to be called again
        self._input_ended = False
        self._answers = 0  # bytes of OpenSSL's own that were sent since the kernel last had room
        self._socket.receiver = self

    # Attributes of the socket's link. The base class sets them.

    @property
    def paused(self) -> bool:
        """Whether reading has been paused because the receiver was full."""
        return self._socket.paused

    @paused.setter
    def paused(self, paused: bool) -> None:  # pyright: ignore[reportIncompatibleVariableOverride]
        self._socket.paused = paused

    @property
    def last_progress(self) -> float:
        """When the system last took bytes for the client, or did not take all that it was given, in Trio's time."""
        return self._socket.last_progress

    @last_progress.setter
    def last_progress(self, time: float) -> None:  # pyright: ignore[reportIncompatibleVariableOverride]
        self._socket.last_progress = time

    @property
    def dropped(self) -> bool:
        """Whether some of what was to be sent never will be, since sending has failed."""
        return self._socket.dropped

    @dropped.setter
    def dropped(self, dropped: bool) -> None:  # pyright: ignore[reportIncompatibleVariableOverride]
        self._socket.dropped = dropped

    @property
    def is_closed(self) -> bool:
        return self._socket.is_closed

    @property
    def broken(self) -> bool:
        return self._broken or self._socket.broken

    @property
    def on_the_way(self) -> int | None:
        waiting = self._socket.on_the_way
        return None if waiting is None else waiting + sum(map(len, self._joined))

    @property
    def unread(self) -> int:
        return self._socket.unread

    @property
    def taken(self) -> int | None:
        return self._socket.taken

    def resume(self) -> None:
        self._socket.resume()

    async def wait_closed(self) -> None:
        await self._socket.wait_closed()

    # Sending

    def write(self, data: bytes) -> None:
        if self._joined or not self._ready:
            self._joined.append(data)
            self.buffered += len(data)
            self.flush()
        else:
            self._send(data)

    def write_later(self, data: bytes) -> None:
        if not self._joined:
            self._reactor.flush_later(self)
        self._joined.append(data)
        self.buffered += len(data)
        if self.buffered > JOIN_UP_TO:
            self.flush()

    def flush(self) -> None:
        if self._joined and self._ready:
            data = self._joined[0] if len(self._joined) == 1 else b"".join(self._joined)
            self._joined.clear()
            self._send(data)

    def _send(self, data: bytes) -> None:
        """Encrypt and send; no plaintext waits now."""
        if data and not self._broken:
            try:
                if len(data) <= _RECORD:
                    self._ssl.write(data)
                    self._socket.write(self._outgoing.read())
                else:
                    for start in range(0, len(data), _SEND_AT_ONCE):
                        self._socket.write(self._encrypt(memoryview(data)[start : start + _SEND_AT_ONCE]))
            except ssl.SSLError as error:
                self._fail(error)
        self.buffered = self._socket.buffered

    def _encrypt(self, data: memoryview) -> bytes:
        """Several records: OpenSSL makes one a call."""
        records = []
        while data:
            data = data[self._ssl.write(data) :]
            records.append(self._outgoing.read())
        return b"".join(records)

    # The receiver of the socket's link

    @property
    def full(self) -> bool:
        """Whether the receiver is full."""
        receiver = self.receiver
        return receiver is not None and receiver.full

    def data_received(self, data: bytes) -> None:
        """Decrypt what arrived and hand it over."""
        if self._input_ended:
            return  # behind a close_notify, or a fault
        pieces: list[bytes] = []
        error: ssl.SSLError | None = None
        try:
            at_its_end = self._decrypt(data, pieces)
        except ssl.SSLError as failure:
            error, at_its_end = failure, True
        if self._outgoing.pending:
            self._answer()
        if self._joined:
            self.flush()
        if pieces and self.receiver is not None:
            # The socket's link, which called this, handles an error of the receiver: it drops both links.
            self.receiver.data_received(pieces[0] if len(pieces) == 1 else b"".join(pieces))
        if error is not None:
            self._fail(error)
        elif at_its_end:
            self._end_input()

    def _decrypt(self, data: bytes, pieces: list[bytes]) -> bool:
        """Append the plaintext of what arrived to the pieces; returns whether the client has ended TLS in order."""
        incoming = self._incoming
        read = self._ssl.read
        for start in range(0, len(data), _FEED):
            incoming.write(data[start : start + _FEED])
            try:
                if not self._ready:
                    self._ssl.do_handshake()
                    self._ready = True
                while incoming.pending:
                    piece = read(_RECORD)
                    if not piece:
                        return True
                    pieces.append(piece)
            except ssl.SSLWantReadError:
                pass  # of the next record, or of the handshake, only a part is here
        return False

    def _answer(self) -> None:
        """Send the bytes that OpenSSL itself has for the client: handshake, tickets, updates of keys, alerts."""
        answer = self._outgoing.read()
        if not self._socket.buffered:
            self._answers = 0
        self._answers += len(answer)
        self._socket.write(answer)
        self.buffered = self._socket.buffered + sum(map(len, self._joined))
        if self._answers > _MAX_ANSWERS:
            self._end_input()
            self.abort()

    def link_progressed(self) -> None:
        """The kernel took bytes."""
        self.buffered = self._socket.buffered + sum(map(len, self._joined))
        if self.receiver is not None:
            self.receiver.link_progressed()

    def link_lost(self) -> None:
        """The stream has ended, with a close_notify or without."""
        self.buffered = self._socket.buffered
        self._end_input()

    def _end_input(self) -> None:
        """Tell the receiver, once, that the input has ended."""
        if not self._input_ended:
            self._input_ended = True
            if self.receiver is not None:
                self.receiver.link_lost()

    def _fail(self, error: ssl.SSLError) -> None:
        """End the input after a client's fault in TLS, and send OpenSSL's alert, if it has one."""
        logger.debug("TLS failed: %s", error)
        self._broken = True
        self._joined.clear()
        if self._outgoing.pending:
            self._socket.write(self._outgoing.read())
        if error.reason == "HTTP_REQUEST":
            headers = [(b"content-type", b"text/plain")]
            response = ResponseFraming("GET", "1.1", keep_alive=False, date=date)
            self._socket.write(response.whole(400, headers, _PLAIN_HTTP))
        self.buffered = self._socket.buffered
        self._end_input()

    # The end

    def hurry(self) -> None:
        self._socket.hurry()

    def close(
        self,
        linger: float = 0.0,
        timeout: float | None = None,
        send_timeout: float | None = None,
        patience: float = 0.0,
    ) -> None:
        if self._closing or self.is_closed:
            return
        self._start_closing()
        self._closing = True
        self.receiver = None
        if self._ready and not self._input_ended:
            linger = max(linger, _LINGER)
        self._socket.close(linger, timeout, send_timeout, patience)

    def _start_closing(self) -> None:
        """Send what is buffered, then the close_notify."""
        self.flush()
        if self._ready and not self._broken:
            self._broken = True
            try:
                self._ssl.unwrap()
            except ssl.SSLError:
                pass  # the client's close_notify is not here yet
            self._socket.write(self._outgoing.read())

    def abort(self) -> None:
        self.receiver = None
        self._joined.clear()
        self.buffered = 0
        self._broken = True
        self._socket.abort()
