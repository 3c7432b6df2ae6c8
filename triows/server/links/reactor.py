"""The reactor: one task that reads and writes for every socket of a server.

It waits on an epoll of its own. An epoll descriptor is itself readable when one of its sockets is ready, so that one
``wait_readable`` covers them all: Trio pays one registration a wake-up, not one a connection and message.
"""

from __future__ import annotations

import select
import sys
from contextlib import suppress
from time import perf_counter

import trio

from ...tasks.timers import PASS
from ...tasks.waiter import Waiter
from .link import Link, link_failed
from .socket import SocketLink

# Whether this platform has epoll. Elsewhere each connection has its own reading and writing task.
AVAILABLE = sys.platform == "linux"

# After an event the reactor polls in this many more passes of the scheduler before it waits: the client's next message
# is often there by then, and waiting costs two passes more. With a value of two to four the round trip of a single
# connection fell from 180 to 115 us (CPython 3.11; a raw Trio stream: 110 us).
_SPINS = 3

if sys.platform == "linux":
    _READ, _WRITE = select.EPOLLIN, select.EPOLLOUT
    _END = select.EPOLLRDHUP | select.EPOLLHUP | select.EPOLLERR

    class Reactor:
        """Waits for the events of links and calls them. :meth:`run` is a service: it must outlive the handlers."""

        def __init__(self) -> None:
            self._epoll = select.epoll()
            self._links: dict[int, SocketLink] = {}
            self._to_flush: list[Link] = []
            self._flusher = Waiter()
            self._waiting = False

        def close(self) -> None:
            """Drop all links and the poller."""
            for link in list(self._links.values()):
                link.abort()
            self._epoll.close()

        # What links call

        def update(self, link: SocketLink) -> None:
            """Register with the epoll the events that the link wants now; with none, forget the link. Does not wait."""
            fileno = link.fileno
            interest = _WRITE if link.wants_to_write else 0
            if not link.input_ended:
                # The client's end is awaited also while reading is paused.
                interest |= select.EPOLLRDHUP if link.paused else select.EPOLLRDHUP | _READ
            known = self._links.get(fileno)
            if known is link:
                if interest:
                    self._epoll.modify(fileno, interest)
                else:
                    self.remove(link)
            elif interest and fileno >= 0:
                if known is not None:
                    # The kernel has given the number to a new socket: somebody else has closed the old link's.
                    known.lose_descriptor()
                    del self._links[fileno]
                self._epoll.register(fileno, interest)  # may fail: the system bounds how many can be watched
                self._links[fileno] = link

        def remove(self, link: SocketLink) -> None:
            """Forget the link, if it is known."""
            if self._links.pop(link.fileno, None) is not None:
                with suppress(OSError):  # somebody else may have closed it
                    self._epoll.unregister(link.fileno)

        def flush_later(self, link: Link) -> None:
            """Flush the link in the next pass."""
            self._to_flush.append(link)
            if self._waiting:
                self._flusher.wake()

        # The task

        async def run(self) -> None:
            """Serve the links until cancelled."""
            poll = self._epoll.poll
            links = self._links
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._flush_while_waiting)
                idle = 0
                while True:
                    if self._to_flush:
                        self._flush()
                    events = poll(0)
                    if events:
                        idle = 0
                        ends = perf_counter() + PASS
                        for fileno, event in events:
                            if perf_counter() > ends:
                                await trio.lowlevel.checkpoint()
                                self._flush()
                                ends = perf_counter() + PASS
                            link = links.get(fileno)
                            if link is None:
                                continue  # an earlier event of this pass has ended the link
                            try:
                                if event == _READ:
                                    link.can_read()
                                else:
                                    self._handle(link, event)
                            except Exception:
                                link_failed(link)
                    else:
                        idle += 1
                    if idle <= _SPINS:
                        await trio.lowlevel.checkpoint()
                    else:
                        self._waiting = True
                        await trio.lowlevel.wait_readable(self._epoll.fileno())
                        self._waiting = False
                        idle = 0

        async def _flush_while_waiting(self) -> None:
            # While run() waits for the epoll it flushes nothing: flush_later() wakes this task instead.
            while True:
                await self._flusher.park()
                self._flush()

        def _flush(self) -> None:
            to_flush, self._to_flush = self._to_flush, []
            for link in to_flush:
                try:
                    link.flush()
                except Exception:
                    link_failed(link)

        def _handle(self, link: SocketLink, event: int) -> None:
            if event & _WRITE:
                link.can_write()
            if event & _END:
                link.read_to_the_end()
            elif event & _READ:
                link.can_read()
