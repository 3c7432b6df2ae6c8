"""The limits of an app and of its websocket routes: names, defaults, and what each of them accepts.

Every limit is a keyword argument of :class:`~triows.Triows` and, in capitals, a key of ``app.config``; those of
:class:`WebSocketLimits` are keyword arguments of ``@app.websocket(...)`` too. Sizes are in bytes, times in seconds.

A value is checked once, by :func:`check_limit`, where the user gives it: to the config, to a route, or to one of the
classes here. The limits that an app and its routes work with are made of checked values by :func:`from_checked`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Any, TypeVar

from ..protocol.forwarded import parse_proxy
from ..protocol.grammar import is_token
from ..protocol.hosts import parse_trusted_host
from ..protocol.origins import parse_origin_pattern
from ..protocol.websocket.compression import Compression
from .checks import Check, handshakes_rate, messages_rate, names, parsed_names, rate, seconds, short_repr, size

TEARDOWN_TIMEOUT = 5.0
"""Seconds for all teardown hooks of one connection; nobody can choose another time."""

_KIB = 1024
_MIB = 1024 * _KIB


@dataclass(frozen=True, slots=True)
class WebSocketLimits:
    """Limits of one websocket: its messages, buffers and timeouts, and who may open it.

    A value of the wrong type raises :exc:`TypeError`, one that makes no sense :exc:`ValueError`; both name it.
    """

    max_message_size: int = _MIB
    """Largest message, in bytes after inflation; a larger one closes the connection with 1009."""
    max_fragments: int = 65_536
    """Most fragments of a message, its final one not counted; more close the connection with 1008."""
    max_message_rate: float | None = None
    """Messages a second that the handler gets, a second's worth at once; the client's sending is held up beyond. None:
    any number."""
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
    all hosts below that name, ``"self"`` for the host's own, ``"null"``, ``"*"`` for all. None: ``"self"``, and what
    the route's CORS allows with credentials."""
    subprotocols: tuple[str, ...] = ()
    """Subprotocols that the route speaks, the preferred one first."""

    def __post_init__(self) -> None:
        _check_fields(self, WEBSOCKET_LIMITS)


@dataclass(frozen=True, slots=True)
class ServerLimits:
    """Limits of the server: connections, request heads and bodies, the shutdown, and whom it trusts.

    A value of the wrong type raises :exc:`TypeError`, one that makes no sense :exc:`ValueError`; both name it.
    """

    head_timeout: float | None = 10.0
    """Seconds in which a request's head must have arrived. None: no limit."""
    max_request_line: int = 8 * _KIB
    """Longest request line, in bytes without its CRLF (414 beyond)."""
    max_head_size: int = 16 * _KIB
    """Largest request head, in bytes (431 beyond). ``Sec-WebSocket-Extensions`` fields do not count, up to as much
    again."""
    max_headers: int = 100
    """Most header lines in a head (431 beyond)."""
    max_body_size: int = 16 * _MIB
    """Largest request body, in bytes (413 beyond)."""
    body_timeout: float | None = 10.0
    """Seconds that a handler waits for the body, in all (408 beyond); without ``min_body_rate``, seconds of each wait.
    None: no limit."""
    min_body_rate: float | None = 1024.0
    """Bytes of the body that add a second to ``body_timeout``. None: the client may be as slow as that allows."""
    keep_alive_timeout: float | None = 75.0
    """Seconds that a connection may idle between two requests. None: no limit. The default is longer than the 60 after
    which common balancers drop an idle connection themselves."""
    max_connections: int = 10_000
    """Most connections at once (503 beyond)."""
    max_connections_per_client: int | None = None
    """Most connections at once from one address, or from one /64 of IPv6 (429 beyond); trusted proxies are not counted.
    None: any number."""
    max_handshake_rate: float | None = None
    """Websocket handshakes a second from one address, or from one /64 of IPv6 (429 beyond), a second's worth at once.
    Behind a trusted proxy it is the address that the proxy names. None: any number."""
    shutdown_timeout: float | None = 10.0
    """Seconds for connections, and then for the app's own shutdown, to end in order. None: no limit."""
    stall_timeout: float | None = 1.0
    """Seconds for which one task may hold up all others before the log names it. None: no stall is logged."""
    trusted_proxies: tuple[str, ...] = ()
    """Addresses and networks of the proxies whose ``Forwarded`` and ``X-Forwarded-...`` are believed; ``"unix"``: those
    at a Unix socket."""
    trusted_hosts: tuple[str, ...] | None = None
    """Hosts that requests may be made to (400 otherwise): ``"example.com"``, ``".example.com"`` with all hosts below
    it, or ``"*.example.com"`` for the hosts below it alone. None: all."""

    def __post_init__(self) -> None:
        _check_fields(self, SERVER_LIMITS)


def _size_or_none(name: str, value: Any) -> int | None:
    return None if value is None else size(name, value)


def _compression(name: str, value: Any) -> bool | Compression:
    if value is True:
        return Compression()
    if value is not False and not isinstance(value, Compression):
        raise TypeError(f"{name} is {short_repr(value)}; it must be True, False or a triows.Compression")
    return value


def _origins(name: str, value: Any) -> tuple[str, ...] | None:
    return None if value is None else parsed_names(name, value, parse_origin_pattern, "https://example.com")


def _trusted_proxies(name: str, value: Any) -> tuple[str, ...]:
    return () if value is None else parsed_names(name, value, parse_proxy, "10.0.0.0/8")


def _trusted_hosts(name: str, value: Any) -> tuple[str, ...] | None:
    hosts = None if value is None else parsed_names(name, value, parse_trusted_host, "example.com")
    if hosts == ():
        raise ValueError(f"{name} is empty, so that every request would be refused; None lets all hosts in")
    return hosts


def _subprotocols(name: str, value: Any) -> tuple[str, ...]:
    subprotocols = names(name, value, "graphql-ws")
    for item in subprotocols:
        if not is_token(item):  # RFC 6455, section 4.1, item 10
            raise ValueError(
                f"{name} holds {short_repr(item)}; a subprotocol is letters, digits and !#$%&'*+-.^_`|~ only"
            )
    return subprotocols


_WEBSOCKET_CHECKS: Mapping[str, Check] = {
    "max_message_size": size,
    "max_fragments": size,
    "max_message_rate": messages_rate,
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
_SERVER_CHECKS: Mapping[str, Check] = {
    "head_timeout": seconds,
    "max_request_line": size,
    "max_head_size": size,
    "max_headers": size,
    "max_body_size": size,
    "body_timeout": seconds,
    "min_body_rate": rate,
    "keep_alive_timeout": seconds,
    "max_connections": size,
    "max_connections_per_client": _size_or_none,
    "max_handshake_rate": handshakes_rate,
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


KEYS: Mapping[str, str] = {name: name.upper() for name in LIMITS}
"""Each limit's key in the config by its name."""

_CHECKS: Mapping[str, Check] = {**_WEBSOCKET_CHECKS, **_SERVER_CHECKS}

L = TypeVar("L", WebSocketLimits, ServerLimits)


def check_limit(name: str, value: Any, shown_name: str | None = None) -> Any:
    """Return a limit's value in the form in which it is kept.

    :param shown_name: what to call the limit in messages, if the user set it under another name.
    :raises TypeError: if the value has a wrong type.
    :raises ValueError: if it makes no sense.
    """
    return _CHECKS[name](shown_name or name, value)


def check_limits(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values of several limits as :func:`check_limit` does."""
    return {name: check_limit(name, value) for name, value in values.items()}


def pop_limits(options: dict[str, Any], names: Iterable[str]) -> dict[str, Any]:
    """Remove and return those of a route's options that are limits."""
    return {name: options.pop(name) for name in names if name in options}


def from_checked(kind: type[L], values: Mapping[str, Any]) -> L:
    """Return limits that have these values, all of which :func:`check_limit` has returned."""
    limits = object.__new__(kind)
    for field in fields(kind):
        object.__setattr__(limits, field.name, values[field.name])
    return limits


def _check_fields(limits: object, names: Iterable[str]) -> None:
    for name in names:
        # The classes are frozen; this is the one place that normalises what the constructor was given.
        object.__setattr__(limits, name, check_limit(name, getattr(limits, name)))
