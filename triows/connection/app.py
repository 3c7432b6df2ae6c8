"""The app as the carriers of connections see it."""

from __future__ import annotations

from collections.abc import Awaitable, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol

from .base import Connection
from .limits import ServerLimits, WebSocketLimits
from .stats import Counters


class App(Protocol):
    """What the embedded server and the ASGI adapter need of an app."""

    @property
    def config(self) -> Mapping[str, Any]: ...
    @property
    def counters(self) -> Counters: ...
    @property
    def limits(self) -> ServerLimits: ...
    def websocket_limits(self) -> WebSocketLimits: ...
    def handle(self, connection: Connection) -> Awaitable[None]: ...
    def serving(self) -> AbstractAsyncContextManager[object]: ...
