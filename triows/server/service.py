"""The settings and services that all connections of a server share, and the two ends of one of them."""

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

    @property
    def endpoints(self) -> Endpoints: ...

    async def serve(self) -> None:
        """Serve the client's requests until the connection ends."""

    def shut_down(self) -> None:
        """End in order: an idle connection now, a request after its response, a websocket as its handler allows."""

    def cut_off(self) -> None:
        """Cancel the handler: ``shutdown_timeout`` has passed since :meth:`shut_down`."""

    def force_end(self) -> str | None:
        """Drop the connection although its handler does not end; see :meth:`.Connection.force_end`."""


Handle = Callable[[Connection], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Service:
    """What all connections of a server share; a setting that changes makes another one, for the connections to come.

    :ivar websocket_limits: the app's; they hold until a websocket's route is found, which may have its own.
    :ivar send_timeout: seconds in which an HTTP client may take nothing of its response. None: no limit.
    :ivar drain_timeout: seconds that an HTTP handler has after its client has left with the whole response.
    :ivar log_query: whether the access log shows the values of queries.
    :ivar begin: starts the task of a connection.
    :ivar gone: called when a connection has ended.
    :ivar is_stopping: whether the server has begun to shut down, or was asked to.
    :ivar end_program: whether the server ends because of this error, and raises it then.
    """

    handle: Handle
    limits: ServerLimits
    websocket_limits: WebSocketLimits
    send_timeout: float | None
    drain_timeout: float | None
    timers: Timers
    counters: Counters
    access_log: bool
    log_query: bool
    begin: Callable[[ClientConnection], None]
    gone: Callable[[ClientConnection], None]
    is_stopping: Callable[[], bool]
    end_program: Callable[[BaseException], bool]

    @property
    def logs(self) -> bool:
        """Whether the access log is on, and its logger takes records of its level."""
        return self.access_log and access_log.isEnabledFor(logging.INFO)


@dataclass(frozen=True, slots=True)
class Endpoints:
    """The two ends of a connection.

    :ivar client: host and port; None where the link tells none.
    :ivar server: host and port, or the path of a Unix socket and None; None where the link tells neither.
    :ivar secure: whether TLS is spoken.
    """

    client: tuple[str, int] | None = None
    server: tuple[str, int | None] | None = None
    secure: bool = False
