"""The contexts of requests and websockets that are made without being served, for ``async with``."""

from __future__ import annotations

from typing import Self, cast

from ...web.request import Request
from ...web.sessions import SessionMixin
from ...web.websocket import WebSocket
from ..application import App
from ..contexts import SubjectContext
from .overrides import OverriddenRequestPipeline, OverriddenWebSocketPipeline


class RequestContext(SubjectContext):
    """The context of a request; ``app.request_context(request)`` makes one."""

    def __init__(self, app: App, request: Request, session: SessionMixin | None = None) -> None:
        super().__init__(app, OverriddenRequestPipeline(app, request), session)

    def _copy(self) -> Self:
        return type(self)(cast(App, self._app), cast(Request, self.context.request), self.context.session)


class WebSocketContext(SubjectContext):
    """The context of a websocket; ``app.websocket_context(websocket)`` makes one."""

    def __init__(self, app: App, request: WebSocket, session: SessionMixin | None = None) -> None:
        super().__init__(app, OverriddenWebSocketPipeline(app, request), session)

    def _copy(self) -> Self:
        return type(self)(cast(App, self._app), cast(WebSocket, self.context.websocket), self.context.session)
