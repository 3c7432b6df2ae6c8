"""The ASGI scope of a request that no ASGI server has sent, for ``request.scope``."""

from __future__ import annotations

from typing import Any

from ..protocol.head import Head, decoded_path


def scope_of(head: Head) -> dict[str, Any]:
    """Return the scope that an ASGI server gives for a head (ASGI's HTTP and WebSocket specification, 2.3).

    It shows the connection, and not what trusted proxies claim of the client, since no ASGI server knows those.
    """
    head = head.received or head
    scope: dict[str, Any] = {
        "type": "websocket" if head.scheme in ("ws", "wss") else "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": head.http_version,
        "scheme": head.scheme,
        "path": decoded_path(head.raw_path),
        "raw_path": head.raw_path,
        "query_string": head.query_string,
        "root_path": head.root_path,
        "headers": [*head.headers],
        "client": head.client,
        "server": head.server,
        "state": {},
        "extensions": {},
    }
    if scope["type"] == "http":
        scope["method"] = head.method
    else:
        scope["subprotocols"] = head.subprotocols
    return scope
