"""ASGI's scopes and events, and the request head that a scope describes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

import trio

from ..protocol.content import length_to_tell, told_length
from ..protocol.head import Head
from ..protocol.headers import Headers

Scope = MutableMapping[str, Any]
Event = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Event]]
Send = Callable[[Event], Awaitable[None]]

# Exceptions of ``send()`` when the client is gone: ASGI has OSError, and hypercorn lets through Trio's exceptions for a
# stream that another task is closing.
GONE = (OSError, trio.BrokenResourceError, trio.ClosedResourceError, trio.BusyResourceError)


def head_of(scope: Scope) -> Head:
    raw_path = scope.get("raw_path")
    client, server = scope.get("client"), scope.get("server")
    return Head(
        method=scope.get("method", "GET"),
        raw_path=raw_path.partition(b"?")[0] if raw_path is not None else _quote(scope["path"]),
        query_string=scope.get("query_string", b""),
        headers=[(bytes(name).lower(), bytes(value)) for name, value in scope["headers"]],
        http_version=scope.get("http_version", "1.1"),
        scheme=scope.get("scheme", "http" if scope["type"] == "http" else "ws"),
        root_path=scope.get("root_path", ""),
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


def _quote(path: str) -> bytes:
    return path.replace("%", "%25").encode()
