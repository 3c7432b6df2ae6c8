"""Accepting clients from listeners: the loop, and what to do about each error of accept(2).

An error is one client's (the next one in the queue may be well), the system's (descriptors or memory are missing, and
may be there again soon) or the listener's, which ends the server.
"""

from __future__ import annotations

import errno
import math
import os
import socket
from collections.abc import Callable
from contextlib import suppress
from typing import Any, NoReturn

import trio

from ..tasks.error_log import error_log as logger
from .listeners import own_name

_ACCEPT_AT_ONCE = 64  # clients that are accepted before other tasks get their turn
_ACCEPT_AT_THE_END = 4096  # the most that the system lets wait in a listener's queue, unless it was told otherwise
_PAUSE = 0.1  # seconds between two attempts while descriptors or memory are missing
_LOG_EVERY = 1.0  # seconds
_NO_LISTENER = {errno.EBADF, errno.EINVAL, errno.ENOTSOCK}
# What happened to one client before it was accepted: Linux hands on the errors that wait on the new socket, and a
# firewall may refuse it, see accept(2). It has left the queue, and the next one may be well.
_NO_CLIENT = {
    errno.ECONNABORTED,
    errno.ECONNRESET,
    errno.EHOSTDOWN,
    errno.EHOSTUNREACH,
    errno.ENETDOWN,
    errno.ENETUNREACH,
    errno.ENOPROTOOPT,
    errno.ENOTCONN,
    errno.EOPNOTSUPP,
    errno.EPERM,
    errno.EPROTO,
    errno.ETIMEDOUT,
    getattr(errno, "ENONET", errno.ENETDOWN),
}
_ALL_ADDRESSES = ("0.0.0.0", "::")

OwnName = tuple[str, int | None]


class Acceptor:
    """Accepts the clients of a server's listeners.

    :param start_connection: begins to serve a client: its socket, its address, and what it connected to (None: ask the
        socket). Raises OSError if the client is gone already, or the system has no room for it.
    :param start_stream: begins to serve the client at the other end of a stream.
    :param before_last_clients: called before a listener's queue is emptied for the last time.
    """

    def __init__(
        self,
        start_connection: Callable[[socket.socket, Any, OwnName | None], None],
        start_stream: Callable[[trio.abc.Stream], None],
        before_last_clients: Callable[[], None],
    ) -> None:
        self._start_connection = start_connection
        self._start_stream = start_stream
        self._before_last_clients = before_last_clients
        self._last_logged = -math.inf

    async def accept_from(self, listener: trio.abc.Listener[Any]) -> NoReturn:
        """Accept clients until cancelled; closes the listener then.

        :raises OSError: if the listener itself has failed.
        """
        async with listener:
            if isinstance(listener, trio.SocketListener):
                await self._accept_sockets(listener)
            while True:
                try:
                    stream = await listener.accept()
                except OSError as error:
                    await self._wait_after_accept_error(error)
                else:
                    self._start_stream(stream)

    async def _accept_sockets(self, listener: trio.SocketListener) -> NoReturn:
        # A second descriptor for the same socket, to accept many clients a wake-up without Trio's stream for each.
        with socket.socket(fileno=os.dup(listener.socket.fileno())) as listening:
            own = listening.getsockname()
            server = None if own[0] in _ALL_ADDRESSES else own_name(own)
            if listening.family != socket.AF_UNIX:
                # Linux hands this on to the sockets of the clients.
                listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            try:
                while True:
                    await trio.lowlevel.wait_readable(listening)
                    try:
                        self._accept(listening, server, _ACCEPT_AT_ONCE)
                    except OSError as error:
                        await self._wait_after_accept_error(error)
            finally:
                # Clients in the listener's queue have connected: closing the listener would reset their connections.
                self._before_last_clients()
                with suppress(OSError):
                    self._accept(listening, server, _ACCEPT_AT_THE_END)

    def _accept(self, listening: socket.socket, server: OwnName | None, most: int) -> None:
        """Accept the clients that wait in a listener's queue, ``most`` of them."""
        for _ in range(most):
            try:
                client, address = listening.accept()
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno not in _NO_CLIENT:
                    raise
                continue
            try:
                self._start_connection(client, address, server)
            except OSError as error:
                client.close()
                if error.errno not in (*_NO_CLIENT, errno.EINVAL):  # the latter is a reset too, on BSD
                    self._log_accept_error(error)

    async def _wait_after_accept_error(self, error: OSError) -> None:
        """Wait a little for the descriptors or the memory that accepting failed for; not after one client's error.

        :raises OSError: if the listener has failed.
        """
        if error.errno in _NO_LISTENER:
            raise error
        if error.errno not in _NO_CLIENT:
            self._log_accept_error(error)
            await trio.sleep(_PAUSE)

    def _log_accept_error(self, error: OSError) -> None:
        """Log that no client can be accepted now, once a second at most."""
        if trio.current_time() - self._last_logged >= _LOG_EVERY:
            self._last_logged = trio.current_time()
            logger.error("cannot accept clients (%s); trying on", error.strerror)
