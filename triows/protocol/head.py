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
    :ivar asgi_scope: that of an ASGI server, for ``request.scope``; None elsewhere, where it is made when it is read.
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
        """The decoded path below ``root_path``; the whole path if it is not below."""
        path = decoded_path(self.raw_path)
        if self.root_path and self.is_below_root:
            path = path[len(self.root_path.rstrip("/")) :]
        return path or "/"

    @property
    def is_below_root(self) -> bool:
        """Whether the path is ``root_path``, or below it: nothing else is the app's."""
        root = self.root_path.rstrip("/")
        return not root or f"{decoded_path(self.raw_path)}/".startswith(f"{root}/")

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


def decoded_path(raw_path: bytes) -> str:
    """A percent-encoded path as text."""
    return unquote_to_bytes(raw_path).decode("utf-8", "replace")
