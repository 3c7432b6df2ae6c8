"""The limits of an app and of its websocket routes: names, defaults, and what each of them accepts.

Every limit is a keyword argument of :class:`~triows.Triows` and, in capitals, a key of ``app.config``; those of
:class:`WebSocketLimits` are keyword arguments of ``@app.websocket(...)`` too. Sizes are in bytes, times in seconds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Any

from .protocol.deflate import Compression

_KIB = 1024
_MIB = 1024 * _KIB


@dataclass(frozen=True, slots=True)
class WebSocketLimits:
    """What one websocket may cost and how long it may keep silent.

    A value of the wrong type raises :exc:`TypeError`, one that makes no sense :exc:`ValueError`; both name it.
    """

    max_message_size: int = _MIB
    """Largest message, in bytes after inflation; a larger one closes the connection with 1009."""
    receive_buffer: int = 64 * _KIB
    """Bytes of unread messages at which reading from the client pauses."""
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
    """Origins (``"https://example.com"``) that browsers may connect from, ``"*"``: all. None: the same origin only."""
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
    max_head_size: int = 16 * _KIB
    """Largest request head, in bytes (431 beyond)."""
    max_headers: int = 100
    """Most header lines in a head (431 beyond)."""
    max_body_size: int = 16 * _MIB
    """Largest request body, in bytes (413 beyond)."""
    keep_alive_timeout: float | None = 60.0
    """Seconds that a connection may idle between two requests. None: no limit."""
    max_connections: int = 10_000
    """Most connections at once (503 beyond)."""
    shutdown_timeout: float | None = 10.0
    """Seconds for connections, and then for the app's own shutdown, to end in order. None: no limit."""

    def __post_init__(self) -> None:
        _check(self, _SERVER_CHECKS)


def _size(name: str, value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{name} is {value!r}; it must be a whole number (int)")
    if value < 1:
        raise ValueError(f"{name} is {value!r}; it must be at least 1")
    return value


def _seconds(name: str, value: Any) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{name} is {value!r}; it must be a number of seconds, or None to switch it off")
    if not value > 0:  # refuses NaN too
        raise ValueError(f"{name} is {value!r}; it must be more than 0 seconds, or None to switch it off")
    return float(value)


def _compression(name: str, value: Any) -> bool | Compression:
    if value is True:
        return Compression()
    if value is not False and not isinstance(value, Compression):
        raise TypeError(f"{name} is {value!r}; it must be True, False or a triows.Compression")
    return value


def _names(name: str, value: Any, example: str) -> tuple[str, ...]:
    if isinstance(value, str | bytes) or not isinstance(value, Iterable):
        raise TypeError(f"{name} is {value!r}; it must be a list or tuple of strings, like [{example!r}]")
    names = tuple(value)
    for item in names:
        if not isinstance(item, str):
            raise TypeError(f"{name} holds {item!r}; every item must be a string, like {example!r}")
    return names


def _origins(name: str, value: Any) -> tuple[str, ...] | None:
    if value is None:
        return None
    if value == "*":
        return ("*",)
    origins = _names(name, value, "https://example.com")
    for origin in origins:
        if origin not in ("*", "null") and ("://" not in origin or "/" in origin.partition("://")[2]):
            raise ValueError(
                f"{name} holds {origin!r}; an origin is a scheme and a host without a path, like 'https://example.com'"
            )
    return tuple(origin.lower() for origin in origins)


# RFC 9110 section 5.6.2: subprotocols are tokens (RFC 6455 section 4.1, item 10).
_TOKEN = frozenset("!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")


def _subprotocols(name: str, value: Any) -> tuple[str, ...]:
    names = _names(name, value, "graphql-ws")
    for item in names:
        if not item or not _TOKEN.issuperset(item):
            raise ValueError(f"{name} holds {item!r}; a subprotocol is letters, digits and !#$%&'*+-.^_`|~ only")
    return names


_Checks = Mapping[str, Callable[[str, Any], Any]]

_WEBSOCKET_CHECKS: _Checks = {
    "max_message_size": _size,
    "receive_buffer": _size,
    "send_buffer": _size,
    "ping_interval": _seconds,
    "ping_timeout": _seconds,
    "close_timeout": _seconds,
    "send_timeout": _seconds,
    "drain_timeout": _seconds,
    "compression": _compression,
    "origins": _origins,
    "subprotocols": _subprotocols,
}
_SERVER_CHECKS: _Checks = {
    "head_timeout": _seconds,
    "max_head_size": _size,
    "max_headers": _size,
    "max_body_size": _size,
    "keep_alive_timeout": _seconds,
    "max_connections": _size,
    "shutdown_timeout": _seconds,
}

WEBSOCKET_LIMITS = tuple(_WEBSOCKET_CHECKS)
"""The names of the limits that may be set per websocket route."""
SERVER_LIMITS = tuple(_SERVER_CHECKS)
"""The names of the limits that are the whole app's."""
LIMITS = WEBSOCKET_LIMITS + SERVER_LIMITS
"""The names of all limits."""

DEFAULTS: Mapping[str, Any] = {
    field.name: field.default for kind in (WebSocketLimits, ServerLimits) for field in fields(kind)
}
"""Each limit's default by its name."""


def _check(limits: object, checks: _Checks) -> None:
    for name, check in checks.items():
        # The classes are frozen; this is the one place that normalises what the constructor was given.
        object.__setattr__(limits, name, check(name, getattr(limits, name)))


def check_limit(name: str, value: Any) -> Any:
    """Return ``value`` as the limit ``name`` holds it; raise TypeError or ValueError as its class does."""
    return (_WEBSOCKET_CHECKS.get(name) or _SERVER_CHECKS[name])(name, value)
