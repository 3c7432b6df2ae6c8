"""A link over any Trio stream (memory, TLS without the reactor), with a reading and a writing task."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from math import inf

import trio

from ...tasks.timers import Timers
from ...tasks.waiter import Waiter
from .link import LARGE, READ_SIZE, Link, Receiver, deliver
from .socket_state import bytes_on_the_way, bytes_taken, bytes_unread, end_arrived

_SMALL_PIECE = 4096  # bytes given at once to a stream that only tells when it has taken all of them
_CHECK_END_EVERY = 1.0  # seconds, while reading is paused
_CLOSE_STREAM_WITHIN = 1.0  # seconds, for a stream whose closing sends something (TLS)


class StreamLink(Link):
    """A link over any Trio stream. :meth:`run` reads and writes until the link is closed."""

    __slots__ = ("_broken", "_ended", "_input_ended", "_outgoing", "_reader", "_scope", "_socket", "_stream", "_writer")

    buffered: int
    paused: bool
    last_progress: float
    receiver: Receiver | None

    def __init__(self, stream: trio.abc.Stream, timers: Timers) -> None:
        super().__init__(timers)
        self._stream = stream
        self._socket = _socket_below(stream)
        self._outgoing: list[bytes | bytearray] = []
        self._writer = Waiter()
        self._reader = Waiter()
        self._scope = trio.CancelScope()
        self._broken = False  # sending failed; bytes that arrived before can still be read
        self._input_ended = False
        self._ended = False

    @property
    def is_closed(self) -> bool:
        return self._ended

    @property
    def broken(self) -> bool:
        return self._broken

    @property
    def on_the_way(self) -> int | None:
        sock = self._socket
        waiting = None if sock is None or self._ended else bytes_on_the_way(sock.fileno())
        return None if waiting is None else waiting + self.buffered

    @property
    def unread(self) -> int:
        return 0 if self._socket is None or self._ended else bytes_unread(self._socket.fileno())

    @property
    def taken(self) -> int | None:
        return None if self._socket is None or self._ended else bytes_taken(self._socket)

    def write(self, data: bytes) -> None:
        if self._broken or self._ended:
            return
        if not self.buffered:
            self.last_progress = trio.current_time()
        self._append(data)
        self.buffered += len(data)
        self._writer.wake()

    def _append(self, data: bytes) -> None:
        """Join small parts behind the first one: each by itself would take 50 bytes more."""
        outgoing = self._outgoing
        if not outgoing or len(data) >= LARGE:
            outgoing.append(data)
        elif isinstance(outgoing[-1], bytearray):
            outgoing[-1] += data
        else:
            outgoing.append(bytearray(data))

    write_later = write  # the writing task joins all parts that wait when it runs

    def flush(self) -> None:
        """Does nothing: nothing is put off here."""

    def resume(self) -> None:
        self.paused = False
        self._reader.wake()

    def _start_closing(self) -> None:
        self.resume()
        self._writer.wake()

    def abort(self) -> None:
        self.receiver = None
        self._scope.cancel()

    async def run(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Carry bytes until the link is closed or aborted, then close the stream."""
        try:
            with self._scope:
                async with trio.open_nursery() as reading:
                    reading.start_soon(self._read)
                    task_status.started()
                    await self._write()
                    if self._linger_timer is not None:
                        self._linger_timer.cancel()
                    if not self._lingering or self._input_ended:
                        self._scope.cancel()
                    else:
                        self._start_lingering()
                        await self._end_output(reading.cancel_scope)
                await self._linger()
        finally:
            self._ended = True
            self._let_go()
            with trio.move_on_after(_CLOSE_STREAM_WITHIN, shield=True):
                await self._ignoring_breaks(self._stream.aclose)

    async def _end_output(self, reading: trio.CancelScope) -> None:
        """End the output, if the stream can end it alone; the reading task goes on until the client ends the input."""
        if isinstance(self._stream, trio.SSLStream):
            reading.cancel()  # TLS has no half-close: see _linger()
        elif isinstance(self._stream, trio.abc.HalfCloseableStream):
            await self._ignoring_breaks(self._stream.send_eof)

    async def _linger(self) -> None:
        """End TLS with its close_notify, then drop input until the client ends it; the linger timer bounds that."""
        if isinstance(self._stream, trio.SSLStream):
            transport = self._stream.transport_stream
            await self._ignoring_breaks(self._stream.unwrap)
            if isinstance(transport, trio.abc.HalfCloseableStream):
                await self._ignoring_breaks(transport.send_eof)
            await self._ignoring_breaks(partial(self._drop_input, transport))
            await transport.aclose()  # the stream above does not do it any more

    async def _drop_input(self, stream: trio.abc.ReceiveStream) -> None:
        while await stream.receive_some(READ_SIZE):
            self._dropped_input = True

    @staticmethod
    async def _ignoring_breaks(function: Callable[[], Awaitable[object]]) -> None:
        try:
            await function()
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            pass  # the client has ended the stream first

    async def _write(self) -> None:
        while not (self._closing and not self._outgoing):
            if not self._outgoing:
                await self._writer.park()
                continue
            data = b"".join(self._outgoing)
            self._outgoing.clear()
            size = _SMALL_PIECE if self._socket is None else READ_SIZE
            for start in range(0, len(data), size):
                piece = data[start : start + size]
                try:
                    await self._stream.send_all(piece)
                except (trio.BrokenResourceError, trio.ClosedResourceError):
                    self._break()
                    break
                self.last_progress = trio.current_time()
                self.buffered -= len(piece)
                if self.receiver is not None:
                    self.receiver.link_progressed()

    def _break(self) -> None:
        """Sending failed: drop the output. The reader finds the end of the input behind the bytes still to be read."""
        self._broken = self.dropped = True
        self._outgoing.clear()
        self.buffered = 0
        self._reader.wake()
        if self._closing:
            self.abort()
        elif self.receiver is not None:
            self.receiver.link_progressed()  # nothing is buffered any more

    @property
    def _client_has_ended(self) -> bool:
        """Whether the client's end has arrived, behind bytes that are still to be read."""
        return self._socket is not None and end_arrived(self._socket.fileno())

    async def _read(self) -> None:
        while True:
            receiver = self.receiver
            if receiver is not None and receiver.full and not self._broken and not self._client_has_ended:
                self.paused = True
                with trio.move_on_after(inf if self._socket is None else _CHECK_END_EVERY):
                    await self._reader.park()
                continue
            try:
                data = bytes(await self._stream.receive_some(self.read_size))
            except (trio.BrokenResourceError, trio.ClosedResourceError):
                data = b""
            receiver = self.receiver
            self._dropped_input = True
            if not data:
                self._input_ended = True
                if receiver is not None:
                    receiver.link_lost()
                elif self._closing and not self.buffered:
                    self.abort()
                return
            if receiver is not None:
                deliver(receiver.data_received, data, self)


def _socket_below(stream: trio.abc.Stream) -> trio.socket.SocketType | None:
    """The socket that a stream, with TLS or without, sends through; None if it is another kind of stream."""
    while isinstance(stream, trio.SSLStream):
        stream = stream.transport_stream
    return stream.socket if isinstance(stream, trio.SocketStream) else None
