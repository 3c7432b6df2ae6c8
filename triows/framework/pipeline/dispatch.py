"""From a connection to its pipeline: what the app gives the servers."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any, cast

from ...connection.base import Connection
from ...connection.http import HTTPConnection
from ...connection.websocket import WebSocketConnection
from ..application import App
from .entry_checks import admit, concerns_server, refuse, tell_methods
from .http import RequestPipeline
from .websocket import WebSocketPipeline


def handle(app: App, connection: Connection) -> Coroutine[Any, Any, None]:
    """Serve one connection: what the app gives the servers. Await it inside the connection's cancel scope.

    An error that nobody handled is logged and left on ``connection.error``; only ``Cancelled`` and its like are raised.
    """
    connection.count(app.counters)
    refusal = admit(app.config, connection)
    if refusal is not None:
        return refuse(connection, refusal)
    if concerns_server(connection):
        return tell_methods(connection, app.url_map.methods())
    if isinstance(connection, WebSocketConnection):
        return WebSocketPipeline(app, connection).run()
    return RequestPipeline(app, cast(HTTPConnection, connection)).run()
