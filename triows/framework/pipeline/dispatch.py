"""The entry from the servers into the app: the checks of the request, then the pipeline of the connection.

And that from the app's own methods into the stages of the pipeline, where an app overrides some.
"""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any, cast

from ...connection.base import Connection
from ...connection.http import HTTPConnection
from ...connection.websocket import WebSocketConnection
from ...web.context import Context
from ..application import App
from ..cors import answer_preflight
from .entry_checks import admit, admit_handshake, answer_server_options, is_server_options, refuse
from .http import RequestPipeline
from .overrides import OverriddenPipeline, OverriddenRequestPipeline, OverriddenWebSocketPipeline, StagedContext
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
    if isinstance(connection, WebSocketConnection):
        return _handle_websocket(app, connection)
    if app.overrides_pipeline:
        return OverriddenRequestPipeline(app, app.request_class(cast(HTTPConnection, connection))).run()
    return RequestPipeline(app, cast(HTTPConnection, connection)).run()


def _handle_websocket(app: App, connection: WebSocketConnection) -> Coroutine[Any, Any, None]:
    if app.config["MAX_HANDSHAKE_RATE"] is not None:
        refusal = admit_handshake(app.limits, app.handshake_buckets, connection)
        if refusal is not None:
            app.counters.handshakes_over_rate += 1
            return refuse(connection, refusal)
    if app.overrides_pipeline:
        return OverriddenWebSocketPipeline(app, app.websocket_class(connection)).run()
    return WebSocketPipeline(app, connection).run()


def stages_of(app: App, context: Context | None) -> OverriddenPipeline:
    """Return the stages of the request or websocket of a context."""
    if isinstance(context, StagedContext):
        return context.stages
    if context is not None and context.request is not None:
        return OverriddenRequestPipeline(app, context.request, context)
    if context is not None and context.websocket is not None:
        return OverriddenWebSocketPipeline(app, context.websocket, context)
    raise RuntimeError(
        "this method of the app needs a request or a websocket: call it in a handler, or inside"
        " 'async with app.test_request_context(path):'"
    )
