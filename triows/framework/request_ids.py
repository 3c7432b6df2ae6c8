"""Request ids: each request and websocket gets one from its beginning, or has that of a trusted proxy."""

from __future__ import annotations

import re
from collections.abc import Callable, Coroutine, Mapping
from typing import Any

from ..connection.base import Connection
from ..protocol.forwarded import trusts_peer
from ..protocol.grammar import is_token
from ..protocol.head import Head
from ..protocol.headers import Headers
from ..web.context import current_context
from ..web.response import Response

Handle = Callable[[Connection], Coroutine[Any, Any, None]]

# Visible ASCII, but for what a log may take for the end of a field: quotes, brackets, and the backslash.
_ID = re.compile(rb"[A-Za-z0-9!#$%&()*+,./:;=?@^_`{|}~-]{1,128}")


class RequestIDs:
    """Gives each connection an id, and the app's responses a header with it.

    :param header: the field in which trusted proxies hand ids on, and in which responses have them.
    :param config: the app's, for its trusted proxies.
    :param handle: takes the connections then.
    """

    def __init__(self, header: str, config: Callable[[], Mapping[str, Any]], handle: Handle) -> None:
        if not isinstance(header, str) or not is_token(header):
            raise ValueError(f"{header!r:.100} is no name of a header; write one like 'X-Request-ID'")
        self._header = header
        self._field = header.lower().encode("ascii")
        self._config = config
        self._handle = handle

    def handle(self, connection: Connection) -> Coroutine[Any, Any, None]:
        """Give the connection its id, and let the app handle it."""
        connection.request_id = self._given(connection.head)
        connection.identify()
        return self._handle(connection)

    def _given(self, head: Head) -> str | None:
        """The id of a trusted proxy; None if there is not exactly one, or it is none."""
        if not trusts_peer(head, self._config()["TRUSTED_PROXIES"]):
            return None
        values = [value for name, value in head.headers if name == self._field]
        return values[0].decode("ascii") if len(values) == 1 and _ID.fullmatch(values[0]) else None

    async def tell_in_response(self, response: Response | None) -> Response | None:
        """The after hook that puts the id into a response."""
        if response is not None:
            response.headers[self._header] = self._current_id()
        return response

    async def tell_in_handshake(self) -> None:
        """The before hook that puts the id into the headers of an accepted websocket."""
        context = current_context()
        assert context is not None
        assert context.websocket is not None
        websocket, accept_headers = context.websocket, context.websocket.accept_headers

        def headers() -> Headers:
            others = [] if accept_headers is None else accept_headers()
            return [*others, (self._field, websocket.id.encode("ascii"))]

        websocket.accept_headers = headers

    def _current_id(self) -> str:
        context = current_context()
        assert context is not None
        assert context.subject is not None
        return context.subject.id
