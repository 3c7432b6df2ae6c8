"""A whole server in memory, and clients of it that send bytes as they are and then end."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from functools import partial
from typing import Any

from trio.testing import wait_all_tasks_blocked

from triows import Triows
from triows.server.links.link import Link, deliver
from triows.server.service import Endpoints
from triows.server.serving import Server

from .guest import Guest

MAX_INPUT = 32768  # bytes: less than what may wait for a handler
_PATIENCE = 120.0  # seconds after which no timer of a connection may be left


class _Link(Link):
    """Takes everything that is sent at once."""

    def __init__(self, server: Server) -> None:
        super().__init__(server.service.timers)
        self.sent = bytearray()
        self._gone = False

    @property
    def is_closed(self) -> bool:
        return self._gone

    def write(self, data: bytes) -> None:
        if not self._gone:
            self.sent += data

    write_later = write

    def flush(self) -> None:
        pass

    def resume(self) -> None:
        self.paused = False

    def _start_closing(self) -> None:
        self.abort()

    def abort(self) -> None:
        if not self._gone:
            self._gone = True
            self._let_go()


class Complaints(logging.Handler):
    """Keeps what triows logs as a warning or worse, and shows it to nobody else."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.lines: list[str] = []
        self._logger = logging.getLogger("triows")
        self._propagate = self._logger.propagate
        self._logger.addHandler(self)
        self._logger.propagate = False

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(self.format(record))

    def close(self) -> None:
        self._logger.removeHandler(self)
        self._logger.propagate = self._propagate
        super().close()


class Served:
    """An app's server. It stays until :meth:`close`, since an input costs less than its start."""

    def __init__(self, app: Triows) -> None:
        self.app = app
        self.complaints = Complaints()
        self._server = Server(app, use_reactor=False)
        self._guest = Guest(partial(self._server.run, []))

    def close(self) -> None:
        self._server.shutdown()
        self._guest.close()
        self.complaints.close()

    def converse(self, pieces: Sequence[bytes]) -> bytes:
        """Send these segments, each after the server has done what there is to do, and then end; returns its answer."""
        sent: Any = self._guest.run(partial(self._converse, pieces))
        return bytes(sent)

    async def _converse(self, pieces: Sequence[bytes]) -> bytearray:
        link = _Link(self._server)
        self._server._connect(link, Endpoints(("192.0.2.1", 50000), ("192.0.2.2", 80)))
        for piece in pieces:
            if link.receiver is None:
                break
            deliver(link.receiver.data_received, piece, link)
            await wait_all_tasks_blocked()
        if link.receiver is not None:
            link.receiver.link_lost()
        await wait_all_tasks_blocked()
        if self._server.connections:
            self._guest.clock.jump(_PATIENCE)
            await wait_all_tasks_blocked()
        assert not self._server.connections, "the connection has outlived its client"
        return link.sent


_kept: list[Served] = []


def served(app: type[Triows]) -> Served:
    """The server of this kind of app. There is one at a time, since a thread has but one Trio run."""
    if not _kept or type(_kept[0].app) is not app:
        close()
        _kept.append(Served(app("fuzzed")))
    return _kept[0]


def close() -> None:
    """End the server that there is."""
    if _kept:
        _kept.pop().close()
