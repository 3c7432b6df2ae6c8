"""The pipeline of a websocket."""

from __future__ import annotations

import logging
from collections.abc import Coroutine
from typing import Any, ClassVar, NoReturn, cast

from werkzeug.exceptions import Forbidden, HTTPException

from ...connection.websocket import WebSocketConnection
from ...errors import JSONMessageError, WebSocketClosed, WebSocketStateError
from ...protocol.content import has_content
from ...protocol.headers import Headers
from ...protocol.text import printable
from ...protocol.websocket.close_codes import INTERNAL_ERROR, INVALID_DATA
from ...tasks.functions import call, describe, forgotten_await
from ...web import signals
from ...web.context import Context
from ...web.response import Response
from ...web.sessions import accept_headers
from ...web.websocket import WebSocket
from ..application import App
from ..routes.hooks import ErrorHandler, Hook, Kind
from ..routes.rules import Rule
from ..routes.views import View
from . import quart_cors
from .base import Pipeline
from .entry_checks import forbidden_origin, log_forbidden_origin
from .mismatches import explain_route

_CALLING_CHECKS = frozenset(("full_dispatch_websocket", "preprocess_websocket", "dispatch_websocket"))
"""The methods that call the hooks and the views which may check a websocket's origin."""


class WebSocketPipeline(Pipeline):
    """The pipeline of one websocket."""

    __slots__ = ()

    kind: ClassVar[Kind] = "websocket"
    _started = signals.websocket_started
    _finished = signals.websocket_finished
    _tearing_down = signals.websocket_tearing_down
    _got_exception = signals.got_websocket_exception
    connection: WebSocketConnection  # pyright: ignore[reportIncompatibleVariableOverride]  # only read

    def __init__(self, app: App, connection: WebSocketConnection) -> None:
        websocket = app.websocket_class(connection)
        super().__init__(app, connection, websocket, Context(app, websocket=websocket))
        self._join(websocket)

    def _join(self, websocket: WebSocket) -> None:
        """Let the websocket use the session, be found by ``disconnect()``, and tell signals of its messages."""
        self.connection.context = self.context
        websocket.accept_headers = self._accept_headers
        if signals.websocket_received.receivers or signals.websocket_sent.receivers:
            websocket.connection = cast(WebSocketConnection, signals.ObservedConnection(self.connection))

    def match(self) -> None:
        """Find the rule for the URL, and give the rule's limits to the connection."""
        super().match()
        rule = cast("Rule | None", self.subject.url_rule)  # the app's map makes no others
        if rule is not None:
            self.connection.limits = limits = self.app.rule_limits(rule)
            if limits.max_message_rate is not None:
                cast(WebSocket, self.subject).limit_rate(limits.max_message_rate)
        elif self.context.url_adapter is not None:
            error = cast(HTTPException, self.subject.routing_exception)
            explain_route(self.app, cast(WebSocket, self.subject), self.context.url_adapter, error)

    async def _run_before_hooks(self) -> tuple[Hook, Any] | None:
        # Before the hooks: none of them may answer or accept a page of a forbidden origin, even where no route matches.
        self._check_origin()
        return await super()._run_before_hooks()

    def _check_origin(self) -> None:
        origin = forbidden_origin(self.connection)
        if origin is None or (self.connection.limits.origins is None and self._leaves_origin_to_quart_cors()):
            return
        log_forbidden_origin(self.connection, self._name, origin)
        raise Forbidden("Websockets from this origin are not allowed.")

    def _leaves_origin_to_quart_cors(self) -> bool:
        if not _CALLING_CHECKS.isdisjoint(self.app.overrides):
            return False  # the app's own method may leave a hook or the view out
        view = self.app.view_functions.get(self.subject.endpoint or "")
        return quart_cors.checks_origin(view, self._hooks(self.app.hooks[self.kind].before))

    def _run_view(self, view: View) -> Coroutine[Any, Any, Any]:
        return self.connection.run_handler(view, self.subject, self.subject.view_args, name=view.named("GET"))

    async def _handle_result(self, view: View, value: Any) -> None:
        if value is not None:
            await self._finish(await self._response_of(view.named("GET"), value))
        elif self._can_answer():
            self._refuse_unaccepted(view.named("GET"))
        else:
            await self._finish(None)

    def _refuse_unaccepted(self, function: Hook) -> NoReturn:
        if self.app.notices.is_due("not accepted", self.subject.endpoint):
            self.app.logger.warning(
                "%s: %s returned before it accepted the websocket, so that the handshake got 403; to accept it,"
                " call receive(), send() or accept(); to refuse it without this record, return a response, or"
                " call abort(403) or close()",
                self._name,
                describe(function),
            )
        raise Forbidden()

    async def _response_of(self, function: Hook, value: Any) -> Response:
        if not self._can_answer():
            if hint := forgotten_await(value):
                raise TypeError(f"{describe(function)} returned a coroutine: {hint}")
            raise WebSocketStateError(
                f"{describe(function)} returned {type(value).__name__} {value!r:.100} after the websocket had been"
                " accepted or closed, when no response can be sent any more; send it as a message instead, or return it"
                " before accepting"
            )
        return await super()._response_of(function, value)

    def _accept_headers(self) -> Headers:
        try:
            return accept_headers(self.app.session_interface, self.app, self.context.session)
        except Exception:
            self.unsaved = True
            raise

    def _can_answer(self) -> bool:
        return not (self.connection.accepted or self.connection.closed)

    def _is_normal_end(self, error: BaseException) -> bool:
        return isinstance(error, WebSocketClosed) and error.connection in (None, self.connection)

    async def _end_by_error(self, errors: list[BaseException]) -> None:
        for error in errors:
            handler = self._find_handler(error)
            if handler is not None:
                await self._call_handler_after_accepting(handler, error, errors)
                break
        else:
            await self._end_unhandled(errors)
        if not self.processed:
            await self._finish_error(None)

    async def _process(self, response: Response | None) -> Response | None:
        self.processed = True
        return await super()._process(response)

    async def _end_unhandled(self, errors: list[BaseException]) -> None:
        if all(isinstance(error, JSONMessageError) for error in errors):
            self.app.logger.log(logging.INFO, "%s: closed with 1007: %s", self._name, printable(str(errors[0])))
            await self.connection.close(INVALID_DATA, "invalid JSON")
        else:
            await super()._end_unhandled(errors)

    async def _call_handler_after_accepting(
        self, handler: ErrorHandler, error: BaseException, errors: list[BaseException]
    ) -> None:
        """Call an error handler that may send and close. A response that it returns cannot be sent any more."""
        try:
            value = await call(handler, error)
        except Exception as second:
            await self._record_unhandled([*errors, second])
            return
        await self._end_handled(value, errors)

    async def _end_handled(self, value: Any, errors: list[BaseException]) -> None:
        if value is not None:
            await self._record_unhandled(errors, log=len(errors) == 1)
        elif not self.connection.closed:
            await self.connection.close(INTERNAL_ERROR, "")

    async def _send(self, response: Response | None) -> None:
        if response is not None and self._can_answer():
            if response.is_streamed and has_content("GET", response.status_code):
                await response.get_data()
            await self.connection.reject(response.status_code, response.wire_headers(), response.wire_body() or b"")
