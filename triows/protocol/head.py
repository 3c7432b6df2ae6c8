"""The head of a request, as a value."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote_to_bytes

from .headers import Headers, list_values


@dataclass(slots=True)
class Head:
    """A request's head, and the two ends of its connection.

    :ivar raw_path: the target's path, percent-encoded as the client sent it.
    :ivar headers: names are in lower case.
    :ivar client: host and port; None where the carrier knows none.
    :ivar server: host and port, or the path of a Unix socket and None.
    :ivar asgi_scope: that of an ASGI server, for ``request.scope``; None elsewhere.
    :ivar received: the head as the connection shows it, if a trusted proxy's claims about the client changed this one.
    """

    method: str
    raw_path: bytes
    query_string: bytes
    headers: Headers
    http_version: str
    scheme: str
    root_path: str = ""
    client: tuple[str, int] | None = None
    server: tuple[str, int | None] | None = None
    asgi_scope: dict[str, Any] | None = field(default=None, repr=False)
    received: Head | None = field(default=None, repr=False)
    _host: str | None = field(default=None, init=False, repr=False, compare=False)

    @property
    def path(self) -> str:
        """The decoded path below ``root_path``."""
        path = unquote_to_bytes(self.raw_path).decode("utf-8", "replace")
        root = self.root_path.rstrip("/")
        if root and (path == root or path.startswith(root + "/")):
            path = path[len(root) :]
        return path or "/"

    @property
    def host(self) -> str:
        """The Host field; empty if there is none. The search is made once a request, and asked for several times."""
        if self._host is None:
            self._host = next((value.decode("latin-1") for name, value in self.headers if name == b"host"), "")
        return self._host

    @property
    def subprotocols(self) -> list[str]:
        """The subprotocols that a websocket's client offers, in its order."""
        return list_values(self.headers, b"sec-websocket-protocol")
