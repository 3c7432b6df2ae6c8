"""What triows writes into logs: the records of ``triows.access``, and what makes a client's words safe there.

The rules:

- nothing of a client's writes a line, a quote, a control or formatting character of its own, and all of it is bounded;
- headers are not logged at all, and of a query the names without their values, unless ACCESS_LOG_QUERY asks for them;
- a request that was refused may be anything: of its first line only what looks like a request line is logged;
- a log that fails costs its record, and nothing else.
"""

from __future__ import annotations

import logging
import re
from typing import Any, NamedTuple

from ..protocol.grammar import TOKEN_CHARACTER
from ..protocol.text import _MAX_TARGET, printable
from ..protocol.websocket.close_codes import CLOSE_CODE_NAMES
from .stats import Ending, Traffic

_MAX_NAME = 40  # what is longer is no name of a parameter, but perhaps a token
_MAX_CLIENT = 64  # of an address, which an ASGI server's middleware may have from a header
_HIDDEN = "***"

_FIRST_LINE = re.compile(rb"[^\r\n]*")
_METHOD = re.compile(TOKEN_CHARACTER.encode() + rb"{1,40}")
_VERSION = re.compile(rb"HTTP/\d\.\d{1,2}")
_TARGET = re.compile(rb"((?:(?:https?|wss?)://|(?=/))[^?#]*|\*)(?:\?([^#]*))?(#.*)?", re.IGNORECASE)
_USERINFO = re.compile(r"(?<=://)[^/]*@")


class _Guarded:
    """Makes a logger whose filters and handlers cannot fail the one who logs."""

    def handle(self, record: logging.LogRecord) -> None:
        try:
            super().handle(record)  # type: ignore[misc]
        except Exception:
            # The handlers of the standard library report their own failures; one that raises has nobody to tell.
            pass


def guarded_logger(name: str) -> logging.Logger:
    """Return the logger of this name. What its handlers, or those above it, raise goes no further."""
    logger = logging.getLogger(name)
    if not isinstance(logger, _Guarded):
        # Others may have made it already, of a class of their own.
        logger.__class__ = type("GuardedLogger", (_Guarded, type(logger)), {})
    return logger


error_log = guarded_logger("triows.error")
access_log = guarded_logger("triows.access")


def hide_values(query: str) -> str:
    """A query string with the names of its parameters alone; what has no name is hidden as a whole."""
    return "&".join(map(_hide_value, query.split("&")))


def _hide_value(parameter: str) -> str:
    name, equals, _ = parameter.partition("=")
    if equals and len(name) <= _MAX_NAME:
        return f"{name}={_HIDDEN}"
    return _HIDDEN if parameter else ""


class RequestLine(NamedTuple):
    """A request line as the log shows it, in its parts. What is not shown is empty."""

    method: str
    path: str
    query: str = ""
    version: str = ""

    @classmethod
    def read(cls, line: bytes, *, show_query: bool = False) -> RequestLine:
        """Take what looks like a request line, up to where it does not any more."""
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
        """Make one of the parts of a request."""
        parts = _TARGET.fullmatch(target)
        if parts is None:
            return cls(method, _HIDDEN if target else "", "", version)
        path = _USERINFO.sub(f"{_HIDDEN}@", parts[1].decode("latin-1"))
        if parts[3] is not None:
            path += f"#{_HIDDEN}"
        query = "" if parts[2] is None else parts[2][: _MAX_TARGET + 1].decode("latin-1")
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
) -> None:
    """Write the record of a response. ``size`` is that of its body in bytes, as far as it was sent.

    ``kind`` is why it did not come to its end, None for a whole one; without ``status`` it has not even begun.
    """
    access_log.info(
        '%s "%s" %s %s %.1f ms%s',
        "-" if client is None else printable(client, _MAX_CLIENT),
        line,
        "-" if status is None else status,
        "-" if size is None else size,
        seconds * 1000,
        "" if kind is None else f", {kind}",
        extra=_fields(client, line, seconds, status=status, size=size, kind=kind),
    )


def log_websocket(client: str | None, line: RequestLine, ending: Ending, traffic: Traffic, seconds: float) -> None:
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
            status=101,
            code=ending.code,
            kind=ending.kind,
            reason=reason,
            **traffic._asdict(),
        ),
    )


# Every record has them all, so that a format may name any.
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


def _fields(client: str | None, line: RequestLine, seconds: float, **fields: Any) -> dict[str, Any]:
    return {
        "client": None if client is None else printable(client, _MAX_CLIENT),
        "method": line.method,
        "path": line.path,
        "query": line.query,
        "http_version": line.version,
        "duration": seconds,
        **_NO_FIELDS,
        **fields,
    }
