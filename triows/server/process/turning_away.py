"""The answer to clients at listening sockets that no process serves: 503, so that nobody waits for ever.

It is for development: the app could not be loaded, and its developer reads the reason in the terminal.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Sequence
from contextlib import suppress

PATIENCE = 1.0
"""Seconds for which clients wait for an app that has ended, before they are turned away.

As long as an app starts, they wait without a limit.
"""

_MOST = 100  # at a time
_REQUEST_TIMEOUT = 0.05  # seconds for a request that is on its way
_MAX_REQUEST = 64 * 1024
_TLS_HANDSHAKE = b"\x16"  # RFC 8446, 5.1
_TEXT = b"The app has ended, and starts again when it is mended. The terminal says what is wrong.\n"
_RESPONSE = (
    b"HTTP/1.1 503 Service Unavailable\r\n"
    b"Content-Type: text/plain; charset=utf-8\r\n"
    b"Content-Length: %d\r\n"
    b"Cache-Control: no-store\r\n"
    b"Retry-After: 1\r\n"
    b"Connection: close\r\n\r\n%s"
) % (len(_TEXT), _TEXT)


def turn_away(fds: Sequence[int]) -> None:
    """Answer the clients that wait at these listening sockets; those that speak TLS are only disconnected."""
    for fd in fds:
        with socket.socket(fileno=os.dup(fd)) as listening:
            listening.setblocking(False)
            for _ in range(_MOST):
                try:
                    client, _ = listening.accept()
                except OSError:  # nobody waits, or who did is gone
                    break
                with client, suppress(OSError):
                    _answer(client)


def _answer(client: socket.socket) -> None:
    client.settimeout(_REQUEST_TIMEOUT)
    # What is left unread would reset the connection, and could cost the client the response.
    with suppress(TimeoutError):
        if client.recv(_MAX_REQUEST).startswith(_TLS_HANDSHAKE):
            return
    client.sendall(_RESPONSE)
    client.shutdown(socket.SHUT_WR)
