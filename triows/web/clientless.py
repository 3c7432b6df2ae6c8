"""Requests without a client and a server: of ``app.test_request_context()``, or made of their parts, as Quart's are."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from math import inf
from typing import Any
from urllib.parse import quote

import trio
from werkzeug.datastructures import Headers
from werkzeug.exceptions import RequestTimeout

from ..connection.http import HTTPConnection
from ..protocol.head import Head
from .body import Body
from .headers import encode_value


class ClientlessConnection(HTTPConnection):
    """A request whose body is given, and whose response is dropped but for its status.

    :param body: the whole body; None: :meth:`feed` gets its pieces, and :meth:`end_body` ends it.
    :ivar body_timeout: seconds that the body may take, from when it is first read; None for any time.
    """

    __slots__ = ("_arrivals", "_deadline", "_ended", "_unread", "body_timeout")

    def __init__(self, head: Head, body: bytes | None = None) -> None:
        super().__init__(head)
        self.body_timeout: float | None = None
        self._unread = bytearray(body or b"")
        self._ended = body is not None
        self._arrivals = trio.lowlevel.ParkingLot()
        self._deadline: float | None = None

    def feed(self, data: bytes) -> None:
        """Have these bytes of the body arrive."""
        self._unread += data
        self._arrivals.unpark_all()

    def end_body(self) -> None:
        """End the body. A second call does nothing."""
        self._ended = True
        self._arrivals.unpark_all()

    async def receive_body(self) -> bytes:
        """Return what has arrived, then ``b""``.

        :raises werkzeug.exceptions.RequestTimeout: if the body takes longer than :attr:`body_timeout`.
        """
        await trio.lowlevel.checkpoint_if_cancelled()
        if self._deadline is None:
            self._deadline = inf if self.body_timeout is None else trio.current_time() + self.body_timeout
        with trio.CancelScope(deadline=self._deadline):
            while not self._unread and not self._ended:
                await self._arrivals.park()
        if not self._unread and not self._ended:
            raise RequestTimeout()
        data = bytes(self._unread)
        self._unread.clear()
        return data

    async def send_response(self, status: int, headers: Any, body: bytes) -> None:
        """Keep the status."""
        self.status: int | None = status

    async def start_response(self, status: int, headers: Any) -> None:
        """Keep the status."""
        self.status = status

    async def send_body(self, data: bytes) -> None:
        """Do nothing."""

    async def end_response(self) -> None:
        """Do nothing."""

    def abort(self) -> None:
        """Do nothing."""

    async def _finish(self) -> None:
        pass


class FedBody(Body):
    """A body that is given piece by piece: Quart's ``Body``, and the body of a request that is made of its parts.

    :param expected_content_length: bytes of the body; None while that is not known.
    :param max_content_length: most bytes of the body; None for any number.
    :param connection: the connection of the request, by default one of its own.
    """

    def __init__(
        self,
        expected_content_length: int | None,
        max_content_length: int | None,
        *,
        connection: ClientlessConnection | None = None,
    ) -> None:
        self._source = connection or ClientlessConnection(Head("POST", b"/", b"", [], "1.1", "http"))
        self._source.max_body_size = max_content_length
        super().__init__(self._source, expected_content_length)

    def append(self, data: bytes) -> None:
        """Have these bytes arrive."""
        self._source.feed(data)

    def set_complete(self) -> None:
        """End the body."""
        self._source.end_body()

    def set_result(self, data: bytes) -> None:
        """Have these bytes arrive, and end the body."""
        self.append(data)
        self.set_complete()


def head_of_parts(
    method: str,
    scheme: str,
    path: str,
    query_string: bytes,
    headers: Headers | Mapping[str, str] | Iterable[tuple[str, str]],
    root_path: str,
    http_version: str,
    scope: Mapping[str, Any],
) -> Head:
    """Return the head of a request that is made of its parts, in Quart's order.

    :param path: the decoded path below ``root_path``.
    :param scope: an ASGI scope; what is read of it are ``client`` and ``server``.
    """
    client, server = scope.get("client"), scope.get("server")
    return Head(
        method=method,
        raw_path=quote(root_path.rstrip("/") + path).encode("ascii"),
        query_string=query_string,
        headers=[(name.lower().encode("latin-1"), encode_value(value)) for name, value in Headers(headers)],
        http_version=http_version,
        scheme=scheme,
        root_path=root_path,
        client=(client[0], client[1]) if client else None,
        server=(server[0], server[1]) if server else None,
        asgi_scope=dict(scope),
    )
