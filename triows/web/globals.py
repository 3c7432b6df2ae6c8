"""The globals of handlers, ``request``, ``websocket``, ``session`` and ``g``: proxies into the current context."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..tasks.context import Namespace, Proxy, current
from .context import Context
from .request import Request
from .sessions import SessionMixin, note_access
from .websocket import WebSocket


class WebSocketProxy(Proxy):
    """The proxy for the websocket, with the methods that are called for every message spelled out.

    Python calls ``__getattr__()`` only for attributes that the class does not have; the class's own are twice as quick.
    """

    __slots__ = ()

    def receive(self) -> Any:
        """See :meth:`triows.WebSocket.receive`."""
        context: Any = current.get(None)
        if context is None or context.websocket is None:
            raise RuntimeError(self._remedy)
        return context.websocket.receive()

    def send(self, data: Any) -> Any:
        """See :meth:`triows.WebSocket.send`."""
        context: Any = current.get(None)
        if context is None or context.websocket is None:
            raise RuntimeError(self._remedy)
        return context.websocket.send(data)

    def __iter__(self) -> Any:
        raise TypeError("a websocket is iterated over asynchronously: 'async for message in websocket:'")


class SessionProxy(Proxy):
    """The proxy for the session. Each use of it counts as access to the session."""

    __slots__ = ()

    def _get_current_object(self) -> Any:
        session = super()._get_current_object()
        note_access(session)
        return session

    def __getattr__(self, name: str) -> Any:
        value = super().__getattr__(name)
        self._get_current_object()
        return value


if TYPE_CHECKING:
    request: Request
    websocket: WebSocket
    session: SessionMixin
    g: Namespace
    app_ctx: Context
    request_ctx: Context
    websocket_ctx: Context
else:
    request = Proxy(
        "request",
        "'request' is only available while a request is handled, and in the tasks that its handler starts;"
        " in tests, wrap the code in 'async with app.test_request_context(path):';"
        " in a websocket handler use 'websocket'",
    )
    websocket = WebSocketProxy(
        "websocket",
        "'websocket' is only available while a websocket is handled, and in the tasks that its handler starts;"
        " in an HTTP route use 'request', or register the handler with @app.websocket(path);"
        " pass the object itself to tasks elsewhere: websocket.current()",
    )
    session = SessionProxy(
        "session",
        "'session' is only available while a request or websocket is handled, and in the tasks that its handler starts",
    )
    g = Proxy(
        "g",
        "'g' is only available while a request or websocket is handled, or inside 'async with app.app_context():'",
    )
    app_ctx = Proxy(
        "app_ctx",
        "'app_ctx' is only available while a request or websocket is handled, or inside"
        " 'async with app.app_context():'",
    )
    request_ctx = Proxy(
        "request_ctx",
        "'request_ctx' is only available while a request is handled, and in the tasks that its handler starts",
    )
    websocket_ctx = Proxy(
        "websocket_ctx",
        "'websocket_ctx' is only available while a websocket is handled, and in the tasks that its handler starts",
    )
