"""What all connections of a server share, and who talks to whom on one of them."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

from ..connection.base import Connection
from ..connection.limits import ServerLimits, WebSocketLimits
from ..connection.logs import access_log
from ..connection.stats import Counters
from ..tasks.timers import Timers


class ClientConnection(Protocol):
    """One client's connection, as the server knows it."""

    async def serve(self) -> None:
        """Serve the client's requests until the connection ends."""

    def shut_down(self) -> None:
        """End in order: an idle connection now, a request after its response, a websocket as its handler allows."""

    def cut_off(self) -> None:
        """Time is over for what :meth:`shut_down` has begun."""

    def force(self) -> str | None:
        """Drop the connection although its handler does not end; see :meth:`.Connection.force`."""


Handle = Callable[[Connection], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Service:
    """What all connections of a server share."""

    handle: Handle
    limits: ServerLimits
    websocket_limits: WebSocketLimits
    timers: Timers
    counters: Counters
    access_log: bool = True
    log_query: bool = False  # with its values
    begin: Callable[[ClientConnection], None] = lambda connection: None
    gone: Callable[[ClientConnection], None] = lambda connection: None
    end_program: Callable[[BaseException], bool] = lambda error: False

    @property
    def logs(self) -> bool:
        """Whether somebody wants the access log."""
        return self.access_log and access_log.isEnabledFor(logging.INFO)


@dataclass(frozen=True, slots=True)
class Endpoints:
    """Who talks to whom on a connection."""

    client: tuple[str, int] | None = None
    server: tuple[str, int | None] | None = None
    secure: bool = False
