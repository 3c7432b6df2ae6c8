"""The entry from the servers into the app: the checks of the request, then the pipeline of the connection."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any, cast

from ...connection.base import Connection
from ...connection.http import HTTPConnection
from ...connection.websocket import WebSocketConnection
from ..application import App
from ..cors import answer_preflight
from .entry_checks import admit, answer_server_options, is_server_options, refuse
from .http import RequestPipeline
from .overrides import OverriddenPipeline, OverriddenRequestPipeline, OverriddenWebSocketPipeline
from .websocket import WebSocketPipeline


def handle(app: App, connection: Connection) -> Coroutine[Any, Any, None]:
    """Serve one connection. Servers await the result inside the connection's cancel scope.

    An error that no error handler took is logged and set as ``connection.error``. Only ``Cancelled`` and
    exceptions that end the program (:exc:`KeyboardInterrupt`, :exc:`SystemExit`) are raised.
    """
    connection.count(app.counters)
    refusal = admit(app.config, connection)
    if refusal is not None:
        return refuse(connection, refusal)
    if is_server_options(connection):
        return answer_server_options(connection, app.url_map.methods())
    if app.answers_preflights and (answer := answer_preflight(app, connection)) is not None:
        return answer
    if app.overrides_pipeline:
        return _overridden(app, connection).run()
    if isinstance(connection, WebSocketConnection):
        return WebSocketPipeline(app, connection).run()
    return RequestPipeline(app, cast(HTTPConnection, connection)).run()


def _overridden(app: App, connection: Connection) -> OverriddenPipeline:
    if isinstance(connection, WebSocketConnection):
        return OverriddenWebSocketPipeline(app, app.websocket_class(connection))
    return OverriddenRequestPipeline(app, app.request_class(cast(HTTPConnection, connection)))
