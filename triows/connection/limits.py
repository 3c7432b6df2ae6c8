"""The limits of an app and of its websocket routes: names, defaults, and what each of them accepts.

Every limit is a keyword argument of :class:`~triows.Triows` and, in capitals, a key of ``app.config``; those of
:class:`WebSocketLimits` are keyword arguments of ``@app.websocket(...)`` too. Sizes are in bytes, times in seconds.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Any

from ..protocol.forwarded import parse_proxy
from ..protocol.grammar import is_token
from ..protocol.hosts import parse_trusted_host
from ..protocol.origins import parse_origin_pattern
from ..protocol.websocket.compression import Compression
from .checks import Checks, names, parsed, rate, seconds, shown, size

# Times that are no limits of anybody's choosing, in seconds:
TEARDOWN_TIMEOUT = 5.0
"""For all teardown hooks of one connection."""
FORCE_EVERY = 0.25
"""Between two attempts to end handlers, or background tasks, that ignore cancellation."""

_KIB = 1024
_MIB = 1024 * _KIB


@dataclass(frozen=True, slots=True)
class WebSocketLimits:
    """What one websocket may cost and how long it may keep silent.

    A value of the wrong type raises :exc:`TypeError`, one that makes no sense :exc:`ValueError`; both name it.
    """

    max_message_size: int = _MIB
    """Largest message, in bytes after inflation; a larger one closes the connection with 1009."""
    max_fragments: int = 65_536
    """Most fragments of a message, its final one not counted; more close the connection with 1008."""
    receive_buffer: int = 64 * _KIB
    """Bytes of unread messages, with 64 for each, at which reading from the client pauses."""
    send_buffer: int = 64 * _KIB
    """High-water mark: bytes of unsent data above which ``send()`` waits."""
    ping_interval: float | None = 20.0
    """Seconds between two Pings. None: no keepalive."""
    ping_timeout: float | None = 20.0
    """Seconds of silence after a Ping until the client counts as gone. None: never."""
    close_timeout: float | None = 5.0
    """Seconds that the closing handshake may take."""
    send_timeout: float | None = 30.0
    """Seconds without any progress on sending until the client is disconnected. None: never."""
    drain_timeout: float | None = 5.0
    """Seconds without ``receive()`` until the handler is cancelled, after a disconnect that left unread messages."""
    compression: bool | Compression = False
    """Whether messages are compressed (permessage-deflate, RFC 7692) for clients that offer it, and how. True stands
    for ``Compression()``, and is held as that."""
    origins: tuple[str, ...] | None = None
    """Origins that browsers may connect from, and no others: ``"https://example.com"``, ``"https://*.example.com"`` for
    what is below that name, ``"null"``, ``"*"`` for all. None: the same origin only."""
    subprotocols: tuple[str, ...] = ()
    """Subprotocols that the route speaks, the preferred one first."""

    def __post_init__(self) -> None:
        _check(self, _WEBSOCKET_CHECKS)


@dataclass(frozen=True, slots=True)
class ServerLimits:
    """What the server grants to clients before and beside the handlers.

    A value of the wrong type raises :exc:`TypeError`, one that makes no sense :exc:`ValueError`; both name it.
    """

    head_timeout: float | None = 10.0
    """Seconds in which a request's head must have arrived. None: no limit."""
    max_request_line: int = 8 * _KIB
    """Longest request line, in bytes without its CRLF (414 beyond)."""
    max_head_size: int = 16 * _KIB
    """Largest request head, in bytes (431 beyond). What a websocket's client offers in ``Sec-WebSocket-Extensions``
    does not count, up to as much again."""
    max_headers: int = 100
    """Most header lines in a head (431 beyond)."""
    max_body_size: int = 16 * _MIB
    """Largest request body, in bytes (413 beyond)."""
    body_timeout: float | None = 10.0
    """Seconds that a client may keep its handler waiting for the body, in all (408 beyond); without ``min_body_rate``,
    at a time. None: no limit."""
    min_body_rate: float | None = 1024.0
    """Bytes of the body that give a client another second of that. None: it need not keep up any pace."""
    keep_alive_timeout: float | None = 60.0
    """Seconds that a connection may idle between two requests. None: no limit."""
    max_connections: int = 10_000
    """Most connections at once (503 beyond)."""
    shutdown_timeout: float | None = 10.0
    """Seconds for connections, and then for the app's own shutdown, to end in order. None: no limit."""
    stall_timeout: float | None = 1.0
    """Seconds for which one task may hold up all others before the log names it. None: nobody looks."""
    trusted_proxies: tuple[str, ...] = ()
    """Addresses and networks of the proxies whose ``Forwarded`` and ``X-Forwarded-...`` are believed; ``"unix"``: those
    at a Unix socket."""
    trusted_hosts: tuple[str, ...] | None = None
    """Hosts that requests may be made to (400 otherwise): ``"example.com"``, ``".example.com"`` with all below it, or
    ``"*.example.com"`` for what is below it. None: all."""

    def __post_init__(self) -> None:
        _check(self, _SERVER_CHECKS)


def _compression(name: str, value: Any) -> bool | Compression:
    if value is True:
        return Compression()
    if value is not False and not isinstance(value, Compression):
        raise TypeError(f"{name} is {shown(value)}; it must be True, False or a triows.Compression")
    return value


def _origins(name: str, value: Any) -> tuple[str, ...] | None:
    return None if value is None else parsed(name, value, parse_origin_pattern, "https://example.com")


def _trusted_proxies(name: str, value: Any) -> tuple[str, ...]:
    return () if value is None else parsed(name, value, parse_proxy, "10.0.0.0/8")


def _trusted_hosts(name: str, value: Any) -> tuple[str, ...] | None:
    hosts = None if value is None else parsed(name, value, parse_trusted_host, "example.com")
    if hosts == ():
        raise ValueError(f"{name} is empty, so that every request would be refused; None lets all hosts in")
    return hosts


def _subprotocols(name: str, value: Any) -> tuple[str, ...]:
    subprotocols = names(name, value, "graphql-ws")
    for item in subprotocols:
        if not is_token(item):  # RFC 6455, section 4.1, item 10
            raise ValueError(f"{name} holds {shown(item)}; a subprotocol is letters, digits and !#$%&'*+-.^_`|~ only")
    return subprotocols


_WEBSOCKET_CHECKS: Checks = {
    "max_message_size": size,
    "max_fragments": size,
    "receive_buffer": size,
    "send_buffer": size,
    "ping_interval": seconds,
    "ping_timeout": seconds,
    "close_timeout": seconds,
    "send_timeout": seconds,
    "drain_timeout": seconds,
    "compression": _compression,
    "origins": _origins,
    "subprotocols": _subprotocols,
}
_SERVER_CHECKS: Checks = {
    "head_timeout": seconds,
    "max_request_line": size,
    "max_head_size": size,
    "max_headers": size,
    "max_body_size": size,
    "body_timeout": seconds,
    "min_body_rate": rate,
    "keep_alive_timeout": seconds,
    "max_connections": size,
    "shutdown_timeout": seconds,
    "stall_timeout": seconds,
    "trusted_proxies": _trusted_proxies,
    "trusted_hosts": _trusted_hosts,
}

WEBSOCKET_LIMITS = tuple(_WEBSOCKET_CHECKS)
"""The names of the limits that may be set per websocket route."""
SERVER_LIMITS = tuple(_SERVER_CHECKS)
"""The names of the limits that are the whole app's."""
REQUEST_LIMITS = ("max_body_size", "body_timeout", "min_body_rate")
"""The names of those among them that may be set per HTTP route."""
LIMITS = WEBSOCKET_LIMITS + SERVER_LIMITS
"""The names of all limits."""

DEFAULTS: Mapping[str, Any] = {
    field.name: field.default for kind in (WebSocketLimits, ServerLimits) for field in fields(kind)
}
"""Each limit's default by its name."""


def _check(limits: object, checks: Checks) -> None:
    for name, check in checks.items():
        # The classes are frozen; this is the one place that normalises what the constructor was given.
        object.__setattr__(limits, name, check(name, getattr(limits, name)))


def take_limits(options: dict[str, Any], names: Iterable[str]) -> dict[str, Any]:
    """Take a route's own limits out of its options; raise TypeError or ValueError for one that is wrong."""
    return {name: CHECKS[name](name, options.pop(name)) for name in names if name in options}


CHECKS: Checks = {**_WEBSOCKET_CHECKS, **_SERVER_CHECKS}
