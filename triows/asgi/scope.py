"""ASGI's scopes and events, and the request head that a scope describes."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

import trio

from ..protocol.content import length_to_tell, told_length
from ..protocol.head import Head, decoded_path
from ..protocol.headers import Headers

Scope = MutableMapping[str, Any]
Event = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Event]]
Send = Callable[[Event], Awaitable[None]]

# Exceptions of ``send()`` when the client is gone: ASGI has OSError, and hypercorn lets through Trio's exceptions for a
# stream that another task is closing.
GONE = (OSError, trio.BrokenResourceError, trio.ClosedResourceError, trio.BusyResourceError)


# A target in absolute-form (RFC 9112, section 3.2.2), which hypercorn passes on as the path: authority and path.
_ABSOLUTE_FORM = re.compile(r"(?:https?|wss?)://([^/]+)(.*)", re.IGNORECASE | re.DOTALL)


def head_of(scope: Scope) -> Head:
    """The request head that a scope describes.

    The scope's ``path`` counts, which middleware may have changed: ``raw_path`` is what the client has sent.
    """
    client, server = scope.get("client"), scope.get("server")
    method = scope.get("method", "GET")
    headers = [(bytes(name).lower(), bytes(value)) for name, value in scope["headers"]]
    raw_path, host = _raw_path(scope, method)
    if host is not None:
        headers = [(b"host", host), *(field for field in headers if field[0] != b"host")]
    return Head(
        method=method,
        raw_path=raw_path,
        query_string=scope.get("query_string", b""),
        headers=headers,
        http_version=scope.get("http_version", "1.1"),
        scheme=scope.get("scheme", "http" if scope["type"] == "http" else "ws"),
        root_path=f"/{root_path}" if (root_path := scope.get("root_path", "").strip("/")) else "",
        client=(client[0], client[1]) if client else None,
        server=(server[0], server[1]) if server else None,
        asgi_scope=dict(scope),
    )


def response_start(type: str, status: int, headers: Headers, size: int | None = None) -> tuple[Event, int | None]:
    """The event that begins a response, and the length that it tells, if it tells one.

    :param size: bytes of the body, None while that is not known.
    :raises ValueError: if the headers tell a length that is not one number.
    """
    told = told_length(headers)
    length = length_to_tell(status, told, size)
    if length != told:
        headers = [field for field in headers if field[0] != b"content-length"]
        if length is not None:
            headers.append((b"content-length", b"%d" % length))
    return {"type": type, "status": status, "headers": headers}, length


def _raw_path(scope: Scope, method: str) -> tuple[bytes, bytes | None]:
    """The path, percent-encoded, and the host that the target itself names."""
    path, host = _without_authority(scope["path"], method)
    if scope.get("raw_path") is not None:
        given, named = _without_authority(scope["raw_path"].partition(b"?")[0].decode("latin-1"), method)
        raw_path = given.encode("latin-1")
        if named is not None:
            host = named  # as the client has sent it
        if decoded_path(raw_path) == path:
            return raw_path, host
    return path.replace("%", "%25").encode("utf-8", "replace"), host


def _without_authority(target: str, method: str) -> tuple[str, bytes | None]:
    """A target in origin-form, or ``*``, and the authority of one in absolute-form."""
    match = None if target.startswith("/") else _ABSOLUTE_FORM.fullmatch(target)
    if match is None:
        return target or "/", None
    authority, path = match.groups()
    # A URL without a path asks for the options of the server (RFC 9112, section 3.2.4).
    return path or ("*" if method == "OPTIONS" else "/"), authority.encode("utf-8", "replace")
