"""A link over a socket, driven by the reactor: what it sends it hands to the kernel at once, and keeps the rest."""

from __future__ import annotations

import socket
from collections import deque
from collections.abc import Callable
from itertools import islice
from typing import TYPE_CHECKING

import trio

from ..waiting import Timers
from .link import JOIN_UP_TO, LARGE, READ_SIZE, Link, Receiver, guarded, link_failed

if TYPE_CHECKING:
    from .reactor import Reactor

_PARTS_AT_ONCE = 256  # buffers in one system call; the kernel's limit is 1,024


class SocketLink(Link):
    """A link over a non-blocking socket in a reactor. ``write()`` is one system call; reading is the reactor's."""

    __slots__ = ("_backlog", "_joined", "_reactor", "_recv", "_send", "_socket", "fileno", "input_ended")

    def __init__(self, sock: socket.socket, reactor: Reactor, timers: Timers) -> None:
        super().__init__(timers)
        self._socket = sock
        self._send: Callable[[bytes], int] = sock.send
        self._recv = sock.recv
        self._reactor = reactor
        self._joined: list[bytes] = []
        self._backlog: deque[bytearray | memoryview] | None = None  # what the kernel did not take
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

    @property
    def broken(self) -> bool:
        return self._send is len

    def write(self, data: bytes) -> None:
        if self.buffered:
            self._write_behind(data)
            return
        # Most messages come here: nothing is buffered, and the kernel takes it all.
        try:
            sent = self._send(data)
        except (BlockingIOError, InterruptedError):
            sent = 0
        except OSError:
            self._break()
            return
        if sent != len(data):
            self._keep(sent, data)

    def write_both(self, header: bytes, payload: bytes) -> None:
        if self.buffered or self.broken:
            self.write(header + payload)
            return
        try:
            sent = self._socket.sendmsg((header, payload))
        except (BlockingIOError, InterruptedError):
            sent = 0
        except OSError:
            self._break()
            return
        if sent != len(header) + len(payload):
            self._keep(sent, header, payload)

    def _keep(self, sent: int, *parts: bytes) -> None:
        """The kernel took so many bytes; the rest waits until it takes more."""
        self._backlog = deque()
        for part in parts:
            rest = memoryview(part)[sent:]
            sent = max(sent - len(part), 0)
            self.buffered += len(rest)
            if rest:
                self._append(rest)
        self.progressed = trio.current_time()
        self._reactor.update(self)

    def _append(self, data: bytes | memoryview) -> None:
        """Put data into the backlog: the small parts together, those that are large as they are."""
        backlog = self._backlog
        assert backlog is not None
        if len(data) >= LARGE:
            backlog.append(memoryview(data))
        elif backlog and isinstance(backlog[-1], bytearray):
            backlog[-1] += data
        else:
            backlog.append(bytearray(data))

    def _write_behind(self, data: bytes) -> None:
        self.buffered += len(data)
        if self._joined:
            self._joined.append(data)
            self.flush()
        else:
            self._append(data)

    def write_later(self, data: bytes) -> None:
        if not self._joined:
            self._reactor.flush_later(self)
        self._joined.append(data)
        self.buffered += len(data)
        if self.buffered > JOIN_UP_TO:
            self.flush()

    def flush(self) -> None:
        if self._joined:
            data = self._joined[0] if len(self._joined) == 1 else b"".join(self._joined)
            self._joined.clear()
            if self._backlog is not None:
                self._append(data)
            else:
                self.buffered = 0
                self.write(data)

    def _break(self) -> None:
        """Sending failed: nobody gets what is buffered. The reader will find the end after what is still to be read."""
        self._send = len  # takes everything, and sends nothing
        self._backlog = None
        self._joined.clear()
        self.buffered = 0
        self._reactor.update(self)
        if self._closing:
            self.abort()
        elif self.receiver is not None:
            self.receiver.link_progressed()  # nothing waits any more

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
            sent = self._socket.sendmsg(islice(backlog, _PARTS_AT_ONCE))
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            self._break()
            return
        self.buffered -= sent
        while backlog and sent >= len(backlog[0]):
            sent -= len(backlog.popleft())
        if sent:
            backlog[0] = backlog[0][sent:]
        self.progressed = trio.current_time()
        if not backlog:
            self._backlog = None
            self._reactor.update(self)
        if self.receiver is not None:
            self.receiver.link_progressed()
        if self._closing and self._backlog is None:
            self._end_stream()

    def can_read(self) -> None:
        """There is something to read."""
        receiver = self.receiver
        if receiver is None or receiver.full:
            self._do_not_read()
            return
        try:
            data = self._recv(READ_SIZE)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            data = self._reset()
        if data:
            try:
                receiver.data_received(data)
            except Exception:
                link_failed(self)
        else:
            self._end_input(receiver)

    def _reset(self) -> bytes:
        """The connection was reset: nobody is there to send to, and this is the end of the input."""
        self._send = len
        return b""

    def _do_not_read(self) -> None:
        if self.receiver is not None:
            self.paused = True
            self._reactor.update(self)
        elif self._closing:
            self._drop_input()

    def _end_input(self, receiver: Receiver) -> None:
        self.input_ended = True
        self._reactor.update(self)
        receiver.link_lost()

    def read_to_the_end(self) -> None:
        """The client is done: read all that is left of it, also for a receiver that is full."""
        if self.input_ended:
            self._break()  # only an error is reported after the end
            return
        if self.receiver is None and self._closing:
            self._drop_input()
        while not self.input_ended and (receiver := self.receiver) is not None:
            try:
                data = self._recv(READ_SIZE)
            except (BlockingIOError, InterruptedError):
                return
            except OSError:
                data = self._reset()
            if data:
                guarded(receiver.data_received, data, self)
            else:
                self._end_input(receiver)

    # The end

    def _start_closing(self) -> None:
        self.flush()
        self.paused = False
        if self.broken:
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
            self._send = len
            self._backlog = None
            self._joined.clear()
            self._socket.close()
            self._is_gone()
