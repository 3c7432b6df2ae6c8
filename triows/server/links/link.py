"""Links: bytes in and out of one client, without waiting.

A link calls its ``receiver`` when bytes, the end of the stream, or room to send arrive. It takes bytes to send at any
time: a sender looks at ``buffered`` and stops by itself. ``SocketLink`` is driven by the reactor, ``TLSLink`` stands on
it, and ``StreamLink`` drives any :class:`trio.abc.Stream` with a reading and a writing task.

The end of a link: :meth:`Link.close` sends what is buffered and then ends the stream in order; a lingering close then
reads and drops what the client still sends, since closing a socket with unread bytes in it resets the connection and
can take the last bytes from the client (RFC 9112, section 9.6). :meth:`Link.abort` drops everything at once. Both are
idempotent, and after either the receiver is not called again.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from functools import partial
from time import perf_counter
from typing import Protocol

import trio

from ...tasks.error_log import error_log as logger
from ...tasks.timers import Timer, Timers

READ_SIZE = 98304  # room for a frame of 64 KiB; below the 128 KiB from which glibc's malloc maps each block by default
LARGE = 16384  # from this size on, bytes are not copied to be joined with others
JOIN_UP_TO = 65536  # bytes that write_later() lets wait; beyond, it sends at once
SMALL = 4096  # the least read_size; shorter reads do not change it
PROGRESS_CHECKS = 8  # how often sending is checked for progress within send_timeout
_FIRST_READ = 16384  # bytes of the first read, before the cost of handling a byte is known
_TURN = 0.001  # seconds, about, that handling the bytes of one read may take: the other clients wait meanwhile


class Receiver(Protocol):
    """The user of a link, which the link calls."""

    @property
    def full(self) -> bool:
        """Whether no more bytes are wanted now. Asked before each read."""
        ...

    def data_received(self, data: bytes) -> None:
        """Take bytes that arrived."""

    def link_lost(self) -> None:
        """The input has ended, in order or by a reset. Called once."""

    def link_progressed(self) -> None:
        """The system has taken bytes that were buffered, or sending has failed and they are dropped."""


class Link(ABC):
    """See the module's docstring.

    :ivar receiver: its user, None while it has none.
    :ivar buffered: bytes that wait to be sent.
    :ivar dropped: whether bytes were dropped unsent, since sending has failed.
    :ivar paused: whether reading is paused because the receiver was full.
    :ivar last_progress: the time, by Trio's clock, at which the system last took bytes, bytes began to wait, or
        :meth:`seconds_stalled` saw that the client had taken some. It means nothing while only bytes of
        :meth:`write_later` wait.
    :ivar read_size: bytes to read at once: fewer if they take long to handle, as 16,000 short messages do.
    """

    __slots__ = (
        "_closed",
        "_closing",
        "_dropped_input",
        "_hurried",
        "_linger_timer",
        "_linger_until",
        "_lingering",
        "_patience",
        "_taken",
        "buffered",
        "dropped",
        "last_progress",
        "paused",
        "read_size",
        "receiver",
        "timers",
    )

    def __init__(self, timers: Timers) -> None:
        self.timers: Timers = timers
        self.receiver: Receiver | None = None
        self.buffered: int = 0
        self.dropped: bool = False
        self.paused: bool = False
        self.last_progress: float = 0.0
        self._taken: int | None = None
        self.read_size: int = _FIRST_READ
        self._closing = False
        self._lingering = 0.0
        self._patience = 0.0
        self._hurried = False
        self._linger_until = 0.0
        self._dropped_input = False  # since lingering was last checked
        self._linger_timer: Timer | None = None
        self._closed: trio.Event | None = None  # made when somebody waits for it

    @abstractmethod
    def write(self, data: bytes) -> None:
        """Send now what can be sent now, buffer the rest."""

    def write_both(self, header: bytes, payload: bytes) -> None:
        """Like :meth:`write`, for a payload so large that it is not copied where that can be avoided."""
        self.write(header + payload)

    @abstractmethod
    def write_later(self, data: bytes) -> None:
        """Buffer, to be joined with what is written next; :meth:`flush` or the next pass of the server sends it."""

    @abstractmethod
    def flush(self) -> None:
        """Send what :meth:`write_later` has put off."""

    @abstractmethod
    def resume(self) -> None:
        """Read again: the receiver is not full any more."""

    @property
    @abstractmethod
    def is_closed(self) -> bool:
        """Whether nothing is left of the link."""

    @property
    def broken(self) -> bool:
        """Whether sending has failed. Bytes that arrived before can still be read; bytes to send are dropped."""
        return False

    @property
    def on_the_way(self) -> int | None:
        """How many bytes the client's side has not acknowledged yet; None where the system does not tell."""
        return None

    @property
    def unread(self) -> int:
        """How many bytes of the client's wait in the system to be read; 0 where it does not tell.

        While some are unread, a deadline that has passed says nothing of the client: see :func:`.yield_if_late`.
        """
        return 0

    @property
    def taken(self) -> int | None:
        """A number that grows as the client's side takes bytes; None where the system does not tell.

        With TCP it counts the bytes that were acknowledged so far. For a Unix socket it is minus the number of bytes
        that the client has not read yet: it rises as the client reads, and falls as more is sent.
        """
        return None

    def seconds_stalled(self) -> float:
        """Seconds for which the client has taken none of the bytes that wait to be sent; 0.0 while none wait.

        The kernel reports a socket writable only when much of its send buffer is free, which may take a slow client a
        minute. Until then its progress shows only in :attr:`taken`, which each call compares with its value at the call
        before. So call this several times within a timeout: see ``PROGRESS_CHECKS``.
        """
        self.flush()  # bytes that were put off wait for this side, and say nothing of the client
        if not self.buffered:
            return 0.0
        taken = self.taken
        if taken != self._taken:
            self._taken = taken
            self.last_progress = trio.current_time()
        return trio.current_time() - self.last_progress

    def close(
        self,
        linger: float = 0.0,
        timeout: float | None = None,
        send_timeout: float | None = None,
        patience: float = 0.0,
    ) -> None:
        """Send what is buffered, then end the stream, then drop the client's input for ``linger`` seconds.

        While the client goes on sending, that is prolonged by ``linger`` each time, up to ``patience`` in all: many
        read a response only when all of their request is sent. ``timeout`` (seconds) bounds the sending. Without it,
        ``send_timeout`` bounds the time in which the client takes nothing. With neither, sending is not bounded here.
        """
        if self._closing or self.is_closed:
            return
        self._closing = True
        self._lingering, self._patience = linger, 0.0 if self._hurried else patience
        self.receiver = None
        self._start_closing()
        if self._linger_timer is None and not self.is_closed:
            if timeout is not None:
                self._linger_timer = self.timers.call_later(timeout, self.abort)
            elif send_timeout is not None:
                self._watch_last_bytes(send_timeout)

    def _watch_last_bytes(self, timeout: float) -> None:
        if self.seconds_stalled() >= timeout:
            self.abort()
        else:
            self._linger_timer = self.timers.call_later(
                timeout / PROGRESS_CHECKS, partial(self._watch_last_bytes, timeout)
            )

    def hurry(self) -> None:
        """From now on, give a client that goes on sending no more than the time of one linger."""
        self._hurried = True
        self._patience = self._linger_until = 0.0

    def _start_lingering(self) -> None:
        """Begin to drop the client's input: this side has ended the stream."""
        if self._linger_timer is not None:
            self._linger_timer.cancel()
        self._linger_until = trio.current_time() + self._patience
        self._linger_timer = self.timers.call_later(self._lingering, self._check_lingering)

    def _check_lingering(self) -> None:
        left = self._linger_until - trio.current_time()
        if self._dropped_input and left > 0:
            self._dropped_input = False
            self._linger_timer = self.timers.call_later(min(self._lingering, left), self._check_lingering)
        else:
            self.abort()

    @abstractmethod
    def _start_closing(self) -> None: ...

    @abstractmethod
    def abort(self) -> None:
        """Drop the link at once."""

    async def wait_closed(self) -> None:
        """Wait until nothing is left of the link; no checkpoint if that is so. A cancellation leaves the link alone."""
        if not self.is_closed:
            if self._closed is None:
                self._closed = trio.Event()
            await self._closed.wait()

    def _let_go(self) -> None:
        """Release what the link holds. Every link ends here, whatever ended it."""
        self.receiver = None
        self.buffered = 0
        if self._linger_timer is not None:
            self._linger_timer.cancel()
        if self._closed is not None:
            self._closed.set()


def deliver(receive: Callable[[bytes], None], data: bytes, link: Link) -> None:
    """Hand bytes to a receiver, and adapt how many are read at once, so that no client holds up the others.

    An error of ours in the receiver ends this link and no other.
    """
    began = perf_counter()
    try:
        receive(data)
    except Exception:
        link_failed(link)
    else:
        if len(data) >= SMALL:
            fitting = len(data) * _TURN / max(perf_counter() - began, 1e-9)
            link.read_size = min(max(int(fitting), SMALL), READ_SIZE)


def link_failed(link: Link) -> None:
    """End a link whose receiver has raised an error of ours; call it from the ``except`` clause."""
    logger.exception("receiving failed; the connection is dropped")
    receiver = link.receiver
    try:
        if receiver is not None:
            receiver.link_lost()
    except Exception:
        logger.exception("the receiver of the dropped connection failed too")
    finally:
        link.abort()
