"""The limits of an app and of its websocket routes: names, defaults, and what each of them accepts.

Every limit is a keyword argument of :class:`~triows.Triows` and, in capitals, a key of ``app.config``; those of
:class:`WebSocketLimits` are keyword arguments of ``@app.websocket(...)`` too. Sizes are in bytes, times in seconds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields
from datetime import timedelta
from functools import partial
from typing import Any

from .absent import SETTINGS
from .forwarded import parse_proxy
from .origins import parse_origin_pattern, parse_trusted_host
from .protocol.deflate import Compression

_KIB = 1024
_MIB = 1024 * _KIB
_MAX_SIZE = 2**63 - 1
_MAX_NUMBER = 1e9  # of seconds, or of bytes a second


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


def _shown(value: Any) -> str:
    """A value for a message, which it must not flood."""
    try:
        text = repr(value)
    except ValueError:
        return "a number of thousands of digits"  # Python does not write them
    return text if len(text) <= 80 else f"{text[:80]}..."


def _size(name: str, value: Any, least: int = 1) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{name} is {_shown(value)}; it must be a whole number (int)")
    if value < least:
        raise ValueError(f"{name} is {_shown(value)}; it must be at least {least}")
    if value > _MAX_SIZE:
        raise ValueError(f"{name} is {_shown(value)}; it must be at most {_MAX_SIZE}")
    return value


def _size_or_none(name: str, value: Any) -> int | None:
    return None if value is None else _size(name, value)


def _cookie_size(name: str, value: Any) -> int:
    return _size(name, value, least=0)


def _seconds(name: str, value: Any) -> float | None:
    return _number(name, value, "seconds")


def _rate(name: str, value: Any) -> float | None:
    return _number(name, value, "bytes a second")


def _number(name: str, value: Any, unit: str) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{name} is {_shown(value)}; it must be a number of {unit}, or None to switch it off")
    if not value > 0:  # refuses NaN too
        raise ValueError(f"{name} is {_shown(value)}; it must be more than 0 {unit}, or None to switch it off")
    if value > _MAX_NUMBER:
        raise ValueError(
            f"{name} is {_shown(value)}; it must be at most {_MAX_NUMBER:,.0f} {unit}, or None to switch it off"
        )
    return float(value)


def _flag(name: str, value: Any) -> bool:
    if value not in (True, False):  # 1 and 0 are equal to them
        raise TypeError(f"{name} is {_shown(value)}; it must be True or False")
    return bool(value)


def _flag_or_none(name: str, value: Any) -> bool | None:
    return None if value is None else _flag(name, value)


def _without_effect(setting: tuple[tuple[Any, ...], str], name: str, value: Any) -> Any:
    harmless, remedy = setting
    if value not in (None, False, *harmless):
        raise ValueError(f"{name} is {_shown(value)}, which has no effect in triows: {remedy}")
    return value


def _secret(name: str, value: Any) -> str | bytes | None:
    if value is not None and not isinstance(value, str | bytes):
        # Without the value: it is to be one.
        raise TypeError(f"{name} is of the type {type(value).__name__}; it must be text or bytes, or None")
    return value


def _secrets(name: str, value: Any) -> list[str | bytes] | None:
    if value is None:
        return None
    if isinstance(value, str | bytes | Mapping) or not isinstance(value, Iterable):
        raise TypeError(f"{name} is of the type {type(value).__name__}; it must be a list of former keys, or None")
    return [secret for item in value if (secret := _secret(f"an item of {name}", item)) is not None]


def _lifetime(name: str, value: Any) -> timedelta | float:
    if isinstance(value, timedelta):
        return value
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{name} is {_shown(value)}; it must be a number of seconds or a datetime.timedelta")
    if not 0 <= value <= _MAX_NUMBER:  # refuses NaN too
        raise ValueError(f"{name} is {_shown(value)}; it must be from 0 to {_MAX_NUMBER:,.0f} seconds")
    return value


def _same_site(name: str, value: Any) -> str | None:
    if value is not None and (not isinstance(value, str) or value.title() not in ("Lax", "Strict", "None")):
        raise ValueError(f"{name} is {_shown(value)}; it must be 'Lax', 'Strict' or 'None', or None to leave it out")
    return value


def _compression(name: str, value: Any) -> bool | Compression:
    if value is True:
        return Compression()
    if value is not False and not isinstance(value, Compression):
        raise TypeError(f"{name} is {_shown(value)}; it must be True, False or a triows.Compression")
    return value


def _names(name: str, value: Any, example: str) -> tuple[str, ...]:
    if isinstance(value, str | bytes | Mapping) or not isinstance(value, Iterable):
        raise TypeError(f"{name} is {_shown(value)}; it must be a list or tuple of strings, like [{example!r}]")
    names = tuple(value)
    for item in names:
        if not isinstance(item, str):
            raise TypeError(f"{name} holds {_shown(item)}; every item must be a string, like {example!r}")
    return names


def _origins(name: str, value: Any) -> tuple[str, ...] | None:
    return None if value is None else _parsed(name, value, parse_origin_pattern, "https://example.com")


def _trusted_proxies(name: str, value: Any) -> tuple[str, ...]:
    return () if value is None else _parsed(name, value, parse_proxy, "10.0.0.0/8")


def _trusted_hosts(name: str, value: Any) -> tuple[str, ...] | None:
    hosts = None if value is None else _parsed(name, value, parse_trusted_host, "example.com")
    if hosts == ():
        raise ValueError(f"{name} is empty, so that every request would be refused; None lets all hosts in")
    return hosts


def _parsed(name: str, value: Any, parse: Callable[[str], str], example: str) -> tuple[str, ...]:
    """Parse each item of a list, which may be text with commas, as it is in the environment."""
    items = _names(name, [item.strip() for item in value.split(",")] if isinstance(value, str) else value, example)
    parsed = []
    for item in items:
        try:
            parsed.append(parse(item))
        except ValueError as error:
            raise ValueError(f"{name} holds {_shown(item)}; {error}") from None
    return tuple(parsed)


# RFC 9110 section 5.6.2: subprotocols are tokens (RFC 6455 section 4.1, item 10).
_TOKEN = frozenset("!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")


def _subprotocols(name: str, value: Any) -> tuple[str, ...]:
    names = _names(name, value, "graphql-ws")
    for item in names:
        if not item or not _TOKEN.issuperset(item):
            raise ValueError(f"{name} holds {_shown(item)}; a subprotocol is letters, digits and !#$%&'*+-.^_`|~ only")
    return names


_Checks = Mapping[str, Callable[[str, Any], Any]]

_WEBSOCKET_CHECKS: _Checks = {
    "max_message_size": _size,
    "max_fragments": _size,
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
    "max_request_line": _size,
    "max_head_size": _size,
    "max_headers": _size,
    "max_body_size": _size,
    "body_timeout": _seconds,
    "min_body_rate": _rate,
    "keep_alive_timeout": _seconds,
    "max_connections": _size,
    "shutdown_timeout": _seconds,
    "stall_timeout": _seconds,
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


def _check(limits: object, checks: _Checks) -> None:
    for name, check in checks.items():
        # The classes are frozen; this is the one place that normalises what the constructor was given.
        object.__setattr__(limits, name, check(name, getattr(limits, name)))


def take_limits(options: dict[str, Any], names: Iterable[str]) -> dict[str, Any]:
    """Take a route's own limits out of its options; raise TypeError or ValueError for one that is wrong."""
    return {name: _CHECKS[name](name, options.pop(name)) for name in names if name in options}


# In the config beside the limits, in its capitals.
_CONFIG_CHECKS: _Checks = {
    **dict.fromkeys(
        (
            "ACCESS_LOG_QUERY",
            "BACKGROUND_TASK_CRASH_STOPS",
            "DEBUG",
            "SESSION_COOKIE_HTTPONLY",
            "SESSION_COOKIE_PARTITIONED",
            "SESSION_COOKIE_SECURE",
            "SESSION_REFRESH_EACH_REQUEST",
            "TESTING",
        ),
        _flag,
    ),
    "PROVIDE_AUTOMATIC_OPTIONS": _flag,
    "TRAP_BAD_REQUEST_ERRORS": _flag_or_none,
    "TRAP_HTTP_EXCEPTIONS": _flag,
    **{key: partial(_without_effect, setting) for key, setting in SETTINGS.items()},
    "MAX_CONTENT_LENGTH": _size_or_none,
    "MAX_COOKIE_SIZE": _cookie_size,
    "MAX_FORM_MEMORY_SIZE": _size_or_none,
    "MAX_FORM_PARTS": _size_or_none,
    "PERMANENT_SESSION_LIFETIME": _lifetime,
    "SECRET_KEY": _secret,
    "SECRET_KEY_FALLBACKS": _secrets,
    "SESSION_COOKIE_SAMESITE": _same_site,
}
_CHECKS: _Checks = {**_WEBSOCKET_CHECKS, **_SERVER_CHECKS}
_CHECKS_BY_KEY = {**_CONFIG_CHECKS, **{name.upper(): check for name, check in _CHECKS.items()}}


def check_config(key: str, value: Any) -> Any:
    """Return ``value`` as the config holds it under ``key``; raise TypeError or ValueError for a wrong one."""
    check = _CHECKS_BY_KEY.get(key)
    if check is None:
        if key in _CHECKS:
            raise ValueError(f"{key!r} has no effect in the config; its key is {key.upper()!r}")
        return value
    return check(key.lower() if key.lower() in _CHECKS else key, value)


def check_variable(variable: str, key: str, value: Any) -> Any:
    """Do the same for what an environment variable says, once its JSON is read.

    Lists may be written with commas, and the settings of compression as an object.
    """
    check = _CHECKS_BY_KEY.get(key)
    if check is None:
        return value
    try:
        if check is _subprotocols and isinstance(value, str):
            value = [item.strip() for item in value.split(",")]
        elif check is _compression and isinstance(value, dict):
            value = Compression(**value)
        return check(variable, value)
    except (TypeError, ValueError) as error:
        text = str(error) if variable in str(error) else f"{variable} is {_shown(value)}; {error}"
        hint = "in the environment None is null, True is true, and digits that are text stand in double quotes"
        raise type(error)(f"{text} ({hint})") from None
