"""A link over a socket, driven by the reactor: what it sends it hands to the kernel at once, and keeps the rest."""

from __future__ import annotations

import socket
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from itertools import islice
from typing import Protocol

import trio

from ...tasks.error_log import error_log as logger
from ...tasks.timers import Timers
from .link import JOIN_UP_TO, LARGE, READ_SIZE, SMALL, Link, Receiver, deliver, link_failed
from .socket_state import bytes_on_the_way, bytes_taken, bytes_unread

_PARTS_AT_ONCE = 256  # buffers in one system call; the kernel's limit is 1,024

_DISCARD: Callable[[bytes], int] = len  # "sends" everything: the peer is gone


class Poller(Protocol):
    """The reactor, as far as links call it."""

    def update(self, link: SocketLink) -> None:
        """Wait for the events that the link wants now."""

    def remove(self, link: SocketLink) -> None:
        """Forget the link."""

    def flush_later(self, link: Link) -> None:
        """Flush the link in the next pass."""


class SocketLink(Link):
    """A link over a non-blocking socket in a reactor. ``write()`` is one system call; reading is the reactor's."""

    __slots__ = ("_backlog", "_joined", "_reactor", "_recv", "_send", "_socket", "fileno", "input_ended")

    buffered: int
    paused: bool
    last_progress: float

    def __init__(self, sock: socket.socket, reactor: Poller, timers: Timers) -> None:
        super().__init__(timers)
        self._socket = sock
        self._send: Callable[[bytes], int] = sock.send
        self._recv = sock.recv
        self._reactor = reactor
        self._joined: list[bytes] = []
        self._backlog: deque[bytearray | memoryview] | None = None  # what the kernel did not take
        self.input_ended: bool = False
        self.fileno: int = sock.fileno()
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
        return self._send is _DISCARD

    @property
    def on_the_way(self) -> int | None:
        waiting = None if self.is_closed else bytes_on_the_way(self.fileno)
        return None if waiting is None else waiting + self.buffered

    @property
    def unread(self) -> int:
        return 0 if self.is_closed else bytes_unread(self.fileno)

    @property
    def taken(self) -> int | None:
        return None if self.is_closed else bytes_taken(self._socket)

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
        """Buffer all but the first ``sent`` bytes, which the kernel took, until it takes more."""
        self._backlog = deque()
        for part in parts:
            rest = memoryview(part)[sent:]
            sent = max(sent - len(part), 0)
            self.buffered += len(rest)
            if rest:
                self._append(rest)
        self.last_progress = trio.current_time()
        self._reactor.update(self)

    def _append(self, data: bytes | memoryview) -> None:
        """Put data into the backlog: small parts are joined, large ones are not copied."""
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
        """Sending failed: drop the output. The reader finds the end of the input behind the bytes still to be read."""
        self._send = _DISCARD  # takes everything, and sends nothing
        self.dropped = True
        self._backlog = None
        self._joined.clear()
        self.buffered = 0
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RD)  # the error may be the system's, and the client still be there
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
        self.last_progress = trio.current_time()
        if not backlog:
            self._backlog = None
            self._reactor.update(self)
        if self.receiver is not None:
            self.receiver.link_progressed()
        if self._closing and self._backlog is None:
            self._end_stream()

    def can_read(self, *, to_the_end: bool = False) -> None:
        """Read once, ``to_the_end`` also for a receiver that is full."""
        receiver = self.receiver
        if receiver is None or (receiver.full and not to_the_end):
            self._do_not_read()
            return
        try:
            data = self._recv(self.read_size)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            data = self._reset()
        if not data:
            self._end_input(receiver)
        elif len(data) >= SMALL:
            deliver(receiver.data_received, data, self)
        else:
            try:
                receiver.data_received(data)
            except Exception:
                link_failed(self)

    def _reset(self) -> bytes:
        """The peer is gone: drop output, treat as end of input."""
        self._send = _DISCARD
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
        """Read the rest behind the client's end: one read a call, since the rest may be megabytes."""
        if self.input_ended:
            self._break()  # behind the end of the input the poller reports nothing but errors
        else:
            self.can_read(to_the_end=True)

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
            self._start_lingering()
        self._drop_input()
        self._reactor.update(self)

    def _drop_input(self) -> None:
        """Read and drop bytes of the client. Without lingering, the link ends as soon as there are none."""
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
        self._dropped_input = True
        if not data:
            self.input_ended = True
            if self._backlog is None:
                self.abort()
            else:
                self._reactor.update(self)
        elif len(data) < READ_SIZE and not self._lingering and self._backlog is None:
            self.abort()  # the socket is empty, and no further event would tell

    def abort(self) -> None:
        if self.fileno >= 0:
            self._reactor.remove(self)
            with suppress(OSError):
                self._socket.close()
            self._let_go()

    def lose_descriptor(self) -> None:
        """Let go of a descriptor that somebody else has closed: its number is another client's by now."""
        logger.error(
            "another part of the program has closed descriptor %d, a client's; that client is lost", self.fileno
        )
        receiver = self.receiver
        self._socket.detach()
        self._let_go()
        if receiver is not None:
            receiver.link_lost()

    def _let_go(self) -> None:
        self.fileno = -1
        self._send = _DISCARD
        self._backlog = None
        self._joined.clear()
        super()._let_go()
