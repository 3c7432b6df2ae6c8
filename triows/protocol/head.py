"""The two ends of a connection, as values: the head that it began with, and the disconnect that it ended by."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal
from urllib.parse import unquote_to_bytes

from .logs import visible
from .protocol import handshake
from .protocol.frames import CLOSE_CODE_NAMES

Headers = list[tuple[bytes, bytes]]
Kind = Literal["closed", "lost", "protocol_error", "timeout", "shutdown"]


@dataclass(frozen=True, slots=True)
class Disconnect:
    """Why a connection ended.

    :ivar code: the close code (RFC 6455, section 7.4); 1006 when there was none because the transport was lost.
    :ivar reason: the client's own words, or what it did wrong; may be empty.
    :ivar kind: ``closed`` (the client sent Close), ``lost`` (end of file or reset without one), ``protocol_error``,
        ``timeout`` (keepalive, or no progress on sending) or ``shutdown``.
    """

    code: int
    reason: str
    kind: Kind

    def describe(self) -> str:
        """The code, its registered name, and the client's words, for people: ``1001 going away: bye``.

        Newlines and the like are escaped in it, so that it may stand in a log.
        """
        name = CLOSE_CODE_NAMES.get(self.code)
        text = f"{self.code} {name}" if name else str(self.code)
        return f"{text}: {visible(self.reason)}" if self.reason else text


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
        return handshake.subprotocols(self.headers)
