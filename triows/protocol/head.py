"""The head of a request, as a value."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote_to_bytes

from .headers import Headers, list_values


@dataclass(slots=True)
class Head:
    """What a transport knows of a request: its head.

    ``raw_path`` is the target's path as it was sent (percent-encoded), ``headers`` have lower-case names. ``received``
    is the head as it came, where a trusted proxy's word about the client has changed this one.
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
        """The Host field; empty where there is none. It is looked for once, since several ask for each request."""
        if self._host is None:
            self._host = next((value.decode("latin-1") for name, value in self.headers if name == b"host"), "")
        return self._host

    @property
    def subprotocols(self) -> list[str]:
        """The subprotocols that a websocket's client offers, in its order."""
        return list_values(self.headers, b"sec-websocket-protocol")
