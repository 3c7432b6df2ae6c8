"""Logging: the loggers, the records of ``triows.access``, and the escaping of client-supplied text in them.

The rules:

- client-supplied text is escaped and cut: it adds no line, quote, control or formatting character to a record;
- headers are not logged, and a query without the values of its parameters, unless ACCESS_LOG_QUERY asks for them;
- a refused request may be any bytes: only the part of its first line that reads as a request line is logged;
- a failing log handler loses its record and nothing else: see :mod:`triows.tasks.error_log`.
"""

from __future__ import annotations

import re
from logging import Logger
from math import inf
from typing import Any, NamedTuple

import trio

from ..protocol.grammar import TOKEN_CHARACTER
from ..protocol.text import MAX_TARGET, printable
from ..protocol.websocket.close_codes import CLOSE_CODE_NAMES
from ..tasks.error_log import guarded_logger
from .stats import Ending, Traffic

_MAX_NAME = 40  # characters of a parameter's name; a longer one may be a token without a name
_MAX_CLIENT = 64  # characters of an address, which middleware of an ASGI server may take from a header
_HIDDEN = "***"
_SECONDS_BETWEEN_NOTICES = 60.0

_FIRST_LINE = re.compile(rb"[^\r\n]*")
_METHOD = re.compile(TOKEN_CHARACTER.encode() + rb"{1,40}")
_VERSION = re.compile(rb"HTTP/\d\.\d{1,2}")
_TARGET = re.compile(rb"((?:(?:https?|wss?)://|(?=/))[^?#]*|\*)(?:\?([^#]*))?(#.*)?", re.IGNORECASE)
_USERINFO = re.compile(r"(?<=://)[^/]*@")


access_log: Logger = guarded_logger("triows.access")


def hide_values(query: str) -> str:
    """Return a query string without the values of its parameters. A parameter without a name is hidden as a whole."""
    return "&".join(map(_hide_value, query.split("&")))


def _hide_value(parameter: str) -> str:
    name, equals, _ = parameter.partition("=")
    if equals and len(name) <= _MAX_NAME:
        return f"{name}={_HIDDEN}"
    return _HIDDEN if parameter else ""


class Notices:
    """Lets a record of each kind through once a minute, so that a client who repeats a mistake does not fill the log.

    It remembers each kind that it was ever asked about: a kind is a text of the code's, and the name of a route.
    """

    def __init__(self) -> None:
        self._written: dict[tuple[str, str | None], float] = {}

    def is_due(self, kind: str, route: str | None) -> bool:
        """Whether to write the record now; it counts as written then."""
        now, key = trio.current_time(), (kind, route)
        # The clock of an earlier run of Trio's may have been ahead.
        if 0 <= now - self._written.get(key, -inf) < _SECONDS_BETWEEN_NOTICES:
            return False
        self._written[key] = now
        return True


class RequestLine(NamedTuple):
    """A request line as the log shows it, in its parts. A part that is not shown is empty."""

    method: str
    path: str
    query: str = ""
    version: str = ""

    @classmethod
    def read(cls, line: bytes, *, show_query: bool = False) -> RequestLine:
        """Read the beginning of ``line``, as far as it is a request line."""
        match = _FIRST_LINE.match(line)
        method, _, rest = (b"" if match is None else match[0]).partition(b" ")
        if not _METHOD.fullmatch(method):
            return cls("", "")
        target, _, version = rest.partition(b" ")
        return cls.of(
            method.decode("ascii"),
            target,
            version[5:].decode("ascii") if _VERSION.fullmatch(version) else "",
            show_query=show_query,
        )

    @classmethod
    def of(cls, method: str, target: bytes, version: str, *, show_query: bool = False) -> RequestLine:
        """Return the line of a request's method, target and version."""
        parts = _TARGET.fullmatch(target)
        if parts is None:
            return cls(method, _HIDDEN if target else "", "", version)
        path = _USERINFO.sub(f"{_HIDDEN}@", parts[1].decode("latin-1"))
        if parts[3] is not None:
            path += f"#{_HIDDEN}"
        query = "" if parts[2] is None else parts[2][: MAX_TARGET + 1].decode("latin-1")
        return cls(printable(method), printable(path), printable(query if show_query else hide_values(query)), version)

    def __str__(self) -> str:
        target = f"{self.path}?{self.query}" if self.query else self.path
        words = (self.method, target, f"HTTP/{self.version}" if self.version else "")
        return " ".join(word for word in words if word) or "-"


def log_response(
    client: str | None,
    line: RequestLine,
    status: int | None,
    size: int | None,
    seconds: float,
    kind: str | None = None,
    request_id: str | None = None,
) -> None:
    """Write the record of a response.

    :param status: None if no response was begun.
    :param size: the bytes of the body that were sent.
    :param kind: why the response did not come to its end; None if it is complete.
    """
    access_log.info(
        '%s "%s" %s %s %.1f ms%s',
        "-" if client is None else printable(client, _MAX_CLIENT),
        line,
        "-" if status is None else status,
        "-" if size is None else size,
        seconds * 1000,
        "" if kind is None else f", {kind}",
        extra=_fields(client, line, seconds, request_id, status=status, size=size, kind=kind),
    )


def log_websocket(
    client: str | None,
    line: RequestLine,
    ending: Ending,
    traffic: Traffic,
    seconds: float,
    request_id: str | None = None,
) -> None:
    """Write the record of the end of a websocket."""
    reason = printable(ending.reason)
    name = CLOSE_CODE_NAMES.get(ending.code)
    access_log.info(
        '%s "%s" %s %d%s%s after %.1f s, received %d messages (%d bytes), sent %d (%d bytes)',
        "-" if client is None else printable(client, _MAX_CLIENT),
        line,
        ending.kind,
        ending.code,
        f" {name}" if name else "",
        f' "{reason}"' if reason else "",
        seconds,
        *traffic,
        extra=_fields(
            client,
            line,
            seconds,
            request_id,
            status=101,
            code=ending.code,
            kind=ending.kind,
            reason=reason,
            **traffic._asdict(),
        ),
    )


# Every record has all of these fields, so that a format may name any of them.
_NO_FIELDS = dict.fromkeys(
    (
        "status",
        "size",
        "code",
        "kind",
        "reason",
        *Traffic._fields,
    )
)


def _fields(
    client: str | None, line: RequestLine, seconds: float, request_id: str | None, **fields: Any
) -> dict[str, Any]:
    return {
        "request_id": request_id,
        "client": None if client is None else printable(client, _MAX_CLIENT),
        "method": line.method,
        "path": line.path,
        "query": line.query,
        "http_version": line.version,
        "duration": seconds,
        **_NO_FIELDS,
        **fields,
    }
