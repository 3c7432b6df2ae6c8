"""Links: bytes in and out of one client, without waiting.

A link calls its ``receiver`` when bytes, the end, or room to send arrive, and takes bytes to send at any time;
whoever sends looks at ``buffered`` and stops by itself. :class:`SocketLink` is driven by the reactor;
:class:`StreamLink` drives any :class:`trio.abc.Stream` (TLS, memory) with a reading and a writing task.

The end of a link: :meth:`Link.close` sends what is buffered and then ends the stream in order; a lingering close then
reads and drops what the client still sends, since closing a socket with unread bytes in it resets the connection and
can take the last bytes from the client (RFC 9112, section 9.6). :meth:`Link.abort` drops everything at once. Both are
idempotent, and after either the receiver hears nothing more.
"""

from __future__ import annotations

import logging
import socket
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from functools import partial
from typing import TYPE_CHECKING, Protocol

import trio

from ..waiting import Timer, Timers, Waiter

if TYPE_CHECKING:
    from .reactor import Reactor

logger = logging.getLogger("triows.error")

READ_SIZE = 65536
_CLOSE_STREAM_WITHIN = 1.0  # seconds, for a stream whose closing sends something (TLS)
_JOIN_UP_TO = 65536  # bytes joined for one write before it is made without waiting for more


class Receiver(Protocol):
    """What hangs on a link.

    :ivar full: true while no more bytes are wanted; looked at before each read.
    """

    @property
    def full(self) -> bool: ...
    def data_received(self, data: bytes) -> None: ...
    def link_lost(self) -> None: ...
    def link_progressed(self) -> None: ...


class Link(ABC):
    """See the module's docstring.

    :ivar receiver: who hears of what arrives.
    :ivar buffered: bytes that wait to be sent.
    :ivar paused: whether reading has been paused because the receiver was full.
    :ivar progressed: when bytes were last taken by the client's side, or the buffer began to fill, in Trio's time.
    """

    __slots__ = (
        "_closed",
        "_closing",
        "_linger_timer",
        "_lingering",
        "buffered",
        "paused",
        "progressed",
        "receiver",
        "timers",
    )

    def __init__(self, timers: Timers) -> None:
        self.timers = timers
        self.receiver: Receiver | None = None
        self.buffered = 0
        self.paused = False
        self.progressed = 0.0
        self._closing = False
        self._lingering = 0.0
        self._linger_timer: Timer | None = None
        self._closed: trio.Event | None = None  # made when somebody waits for it

    @abstractmethod
    def write(self, data: bytes) -> None:
        """Send now what can be sent now, buffer the rest."""

    @abstractmethod
    def write_later(self, data: bytes) -> None:
        """Buffer, to be joined with what is written next; :meth:`flush` or the next pass of the server sends it."""

    @abstractmethod
    def flush(self) -> None:
        """Send what :meth:`write_later` has put off."""

    @abstractmethod
    def resume(self) -> None:
        """Read again after the receiver was full."""

    @property
    @abstractmethod
    def is_closed(self) -> bool:
        """Whether nothing is left of the link."""

    def close(self, linger: float = 0.0, timeout: float | None = None) -> None:
        """Send what is buffered, then end the stream, then drop input for ``linger`` seconds at most.

        ``timeout`` (seconds) bounds the sending; None leaves it to the link's owner.
        """
        if self._closing or self.is_closed:
            return
        self._closing = True
        self._lingering = linger
        self.receiver = None
        if timeout is not None:
            self._linger_timer = self.timers.call_later(timeout, self.abort)
        self._start_closing()

    @abstractmethod
    def _start_closing(self) -> None: ...

    @abstractmethod
    def abort(self) -> None:
        """Drop the link at once."""

    async def wait_closed(self) -> None:
        """Wait until nothing is left of the link. Cancelled, it leaves the link as it is."""
        if self.is_closed:
            await trio.lowlevel.checkpoint()
            return
        if self._closed is None:
            self._closed = trio.Event()
        await self._closed.wait()

    def _is_gone(self) -> None:
        """Common end of every link."""
        self.receiver = None
        self.buffered = 0
        if self._linger_timer is not None:
            self._linger_timer.cancel()
        if self._closed is not None:
            self._closed.set()


class SocketLink(Link):
    """A link over a non-blocking socket in a reactor. ``write()`` is one system call; reading is the reactor's."""

    __slots__ = ("_backlog", "_broken", "_joined", "_reactor", "_send", "_socket", "fileno", "input_ended")

    def __init__(self, sock: socket.socket, reactor: Reactor, timers: Timers) -> None:
        super().__init__(timers)
        self._socket = sock
        self._send = sock.send
        self._reactor = reactor
        self._joined: list[bytes] = []
        self._backlog: bytearray | None = None  # what the kernel did not take
        self._broken = False  # sending failed; what arrived before can still be read
        self.input_ended = False
        self.fileno = sock.fileno()
        reactor.update(self)

    @property
    def is_closed(self) -> bool:
        return self.fileno < 0

    @property
    def wants_to_write(self) -> bool:
        """Whether the kernel has not taken everything yet."""
        return self._backlog is not None

    def write(self, data: bytes) -> None:
        if self._joined:
            self._joined.append(data)
            self.buffered += len(data)
            self.flush()
        elif self._backlog is not None:
            self._backlog += data
            self.buffered += len(data)
        else:
            self._send_now(data)

    def write_later(self, data: bytes) -> None:
        if not self._joined:
            self._reactor.flush_later(self)
        self._joined.append(data)
        self.buffered += len(data)
        if self.buffered > _JOIN_UP_TO:
            self.flush()

    def flush(self) -> None:
        if self._joined:
            data = self._joined[0] if len(self._joined) == 1 else b"".join(self._joined)
            self._joined.clear()
            if self._backlog is not None:
                self._backlog += data
                self.buffered = len(self._backlog)
            else:
                self.buffered = 0
                self._send_now(data)

    def _send_now(self, data: bytes) -> None:
        """Nothing is buffered: the kernel gets the data, the backlog what it did not take."""
        if self._broken or self.fileno < 0:
            return
        try:
            sent = self._send(data)
        except (BlockingIOError, InterruptedError):
            sent = 0
        except OSError:
            self._break()
            return
        if sent != len(data):
            self._backlog = bytearray(memoryview(data)[sent:])
            self.buffered = len(self._backlog)
            self.progressed = trio.current_time()
            self._reactor.update(self)

    def _break(self) -> None:
        """Sending failed: nobody gets what is buffered. The reader will find the end after what is still to be read."""
        self._broken = True
        self._backlog = None
        self.buffered = 0
        self._reactor.update(self)
        if self._closing:
            self.abort()

    def resume(self) -> None:
        if self.paused:
            self.paused = False
            self._reactor.update(self)

    # Called by the reactor

    def can_write(self) -> None:
        """The kernel has room again."""
        backlog = self._backlog
        if backlog is None:
            return
        try:
            sent = self._send(backlog)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            self._break()
            return
        del backlog[:sent]
        self.progressed = trio.current_time()
        self.buffered = len(backlog)
        if not backlog:
            self._backlog = None
            self._reactor.update(self)
        if self.receiver is not None:
            self.receiver.link_progressed()
        if self._closing and self._backlog is None:
            self._end_stream()

    def can_read(self, at_its_end: bool) -> None:
        """There is something to read. ``at_its_end``: the client is done, read all that is left of it."""
        receiver = self.receiver
        if self.input_ended:
            self._break()  # only an error is reported after the end
            return
        if receiver is None:
            if self._closing:
                self._drop_input()
            return
        if receiver.full and not at_its_end:
            self.paused = True
            self._reactor.update(self)
            return
        while True:
            try:
                data = self._socket.recv(READ_SIZE)
            except (BlockingIOError, InterruptedError):
                return
            except OSError:
                data = b""
            if not data:
                self.input_ended = True
                self._reactor.update(self)
                receiver.link_lost()
                return
            guarded(receiver.data_received, data, self)
            if not at_its_end or self.receiver is None:
                return
            receiver = self.receiver

    # The end

    def _start_closing(self) -> None:
        self.flush()
        self.paused = False
        if self._broken:
            self.abort()
        elif self._backlog is None:
            self._end_stream()
        else:
            self._reactor.update(self)

    def _end_stream(self) -> None:
        try:
            self._socket.shutdown(socket.SHUT_WR)
        except OSError:
            self.abort()
            return
        if self._lingering:
            if self._linger_timer is not None:
                self._linger_timer.cancel()
            self._linger_timer = self.timers.call_later(self._lingering, self.abort)
        self._drop_input()
        self._reactor.update(self)

    def _drop_input(self) -> None:
        """Read what the client still sends. Without lingering, an empty socket can be closed as it is."""
        if self.fileno < 0:
            return
        try:
            data = self._socket.recv(READ_SIZE)
        except (BlockingIOError, InterruptedError):
            if not self._lingering and self._backlog is None:
                self.abort()
            return
        except OSError:
            data = b""
        if not data:
            self.input_ended = True
            if self._backlog is None:
                self.abort()
            else:
                self._reactor.update(self)

    def abort(self) -> None:
        if self.fileno >= 0:
            self._reactor.remove(self)
            self.fileno = -1
            self._backlog = None
            self._joined.clear()
            self._socket.close()
            self._is_gone()


class StreamLink(Link):
    """A link over any Trio stream. :meth:`run` is its life: it reads and writes until the link is closed."""

    __slots__ = ("_broken", "_ended", "_input_ended", "_outgoing", "_reader", "_scope", "_stream", "_writer")

    def __init__(self, stream: trio.abc.Stream, timers: Timers) -> None:
        super().__init__(timers)
        self._stream = stream
        self._outgoing: list[bytes] = []
        self._writer = Waiter()
        self._reader = Waiter()
        self._scope = trio.CancelScope()
        self._broken = False  # sending failed; what arrived before can still be read
        self._input_ended = False
        self._ended = False

    @property
    def is_closed(self) -> bool:
        return self._ended

    def write(self, data: bytes) -> None:
        if self._broken or self._ended:
            return
        if not self.buffered:
            self.progressed = trio.current_time()
        self._outgoing.append(data)
        self.buffered += len(data)
        self._writer.wake()

    write_later = write  # the writing task joins what it finds when it comes to run

    def flush(self) -> None:
        """Nothing is put off here."""

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
                        self._linger_timer = self.timers.call_later(self._lingering, self.abort)
                        await self._end_output(reading.cancel_scope)
                await self._linger()
        finally:
            self._ended = True
            self._is_gone()
            with trio.move_on_after(_CLOSE_STREAM_WITHIN, shield=True):
                await self._ignoring_breaks(self._stream.aclose)

    async def _end_output(self, reading: trio.CancelScope) -> None:
        """Tell the client that nothing more comes; the stream's own way of reading goes on until the client ends."""
        if isinstance(self._stream, trio.SSLStream):
            reading.cancel()  # TLS has no half-close: see _linger()
        elif isinstance(self._stream, trio.abc.HalfCloseableStream):
            await self._ignoring_breaks(self._stream.send_eof)

    async def _linger(self) -> None:
        """End TLS with its close_notify, then drop what the client still sends, until it ends or time is over."""
        if isinstance(self._stream, trio.SSLStream):
            transport = self._stream.transport_stream
            await self._ignoring_breaks(self._stream.unwrap)
            if isinstance(transport, trio.abc.HalfCloseableStream):
                await self._ignoring_breaks(transport.send_eof)
            await self._ignoring_breaks(partial(_drop_input, transport))
            await transport.aclose()  # the stream above has forgotten it

    @staticmethod
    async def _ignoring_breaks(function: Callable[[], Awaitable[object]]) -> None:
        try:
            await function()
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            pass  # the client was quicker

    async def _write(self) -> None:
        while not (self._closing and not self._outgoing):
            if not self._outgoing:
                await self._writer.park()
                continue
            data = b"".join(self._outgoing)
            self._outgoing.clear()
            for start in range(0, len(data), READ_SIZE):
                piece = data[start : start + READ_SIZE]
                try:
                    await self._stream.send_all(piece)
                except (trio.BrokenResourceError, trio.ClosedResourceError):
                    self._break()
                    break
                self.progressed = trio.current_time()
                self.buffered -= len(piece)
                if self.receiver is not None:
                    self.receiver.link_progressed()

    def _break(self) -> None:
        """Sending failed: nobody gets what is buffered. The reader will find the end after what is still to be read."""
        self._broken = True
        self._outgoing.clear()
        self.buffered = 0
        self._reader.wake()
        if self._closing:
            self.abort()

    async def _read(self) -> None:
        while True:
            receiver = self.receiver
            if receiver is not None and receiver.full and not self._broken:
                self.paused = True
                await self._reader.park()
                continue
            try:
                data = bytes(await self._stream.receive_some(READ_SIZE))
            except (trio.BrokenResourceError, trio.ClosedResourceError):
                data = b""
            receiver = self.receiver
            if not data:
                self._input_ended = True
                if receiver is not None:
                    receiver.link_lost()
                elif self._closing and not self.buffered:
                    self.abort()
                return
            if receiver is not None:
                guarded(receiver.data_received, data, self)


async def _drop_input(stream: trio.abc.ReceiveStream) -> None:
    while await stream.receive_some(READ_SIZE):
        pass


def guarded(receive: Callable[[bytes], None], data: bytes, link: Link) -> None:
    """Hand bytes to a receiver. An error of ours in there costs this link and no other."""
    try:
        receive(data)
    except Exception:
        logger.exception("receiving failed; the connection is dropped")
        receiver = link.receiver
        if receiver is not None:
            receiver.link_lost()
        link.abort()
