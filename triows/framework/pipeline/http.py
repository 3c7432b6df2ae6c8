"""The pipeline of an HTTP request."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any, ClassVar, cast

from werkzeug.exceptions import RequestEntityTooLarge
from werkzeug.routing import WebsocketMismatch

from ...connection.http import HTTPConnection
from ...protocol.content import has_content
from ...tasks.functions import describe
from ...web import signals
from ...web.context import Context
from ...web.outgoing import Outgoing, ResponseSink
from ...web.request import Request
from ...web.response import Response
from ..application import App
from ..routes.hooks import Kind
from ..routes.make_response import make_response, response_from
from ..routes.rules import Rule
from ..routes.views import View
from .base import Pipeline
from .mismatches import explain_websocket


class RequestPipeline(Pipeline):
    """The pipeline of one HTTP request."""

    __slots__ = ()

    kind: ClassVar[Kind] = "request"
    _started = signals.request_started
    _finished = signals.request_finished
    _tearing_down = signals.request_tearing_down
    _got_exception = signals.got_request_exception
    connection: HTTPConnection  # pyright: ignore[reportIncompatibleVariableOverride]  # only read
    subject: Request  # pyright: ignore[reportIncompatibleVariableOverride]  # only read

    def __init__(self, app: App, connection: HTTPConnection) -> None:
        request = app.request_class(connection)
        super().__init__(app, connection, request, Context(app, request=request))

    def match(self) -> None:
        """Find the rule for the URL, and give the rule's limits to the request."""
        super().match()
        adapter = self.context.url_adapter
        if adapter is not None and isinstance(self.subject.routing_exception, WebsocketMismatch):
            self.subject.routing_exception = explain_websocket(self.app, self.subject, adapter)
        self.app.limit_request(self.subject)

    def _run_view(self, view: View) -> Coroutine[Any, Any, Response | None]:
        limit = self.connection.max_body_size
        if limit is not None and self.connection.content_length > limit:
            raise RequestEntityTooLarge()
        return self.connection.run_handler(self._call_view, view, name=view.named(self.subject.method))

    async def _handle_result(self, view: View, value: Response | None) -> None:
        if value is not None:
            await self._finish(value)
        elif self._can_answer() and self.connection.disconnect is None:
            name = describe(view.named(self.subject.method))
            raise RuntimeError(f"{name} was cancelled by its nursery before it returned a response")

    async def _call_view(self, view: View) -> Response | None:
        """Run the view. A streamed response is sent inside the handler's nursery, whose tasks may feed the stream."""
        subject = self.subject
        if subject.method == "OPTIONS" and cast(Rule, subject.url_rule).provide_automatic_options:
            value: Any = self.app.options_response(self.context)
        else:
            value = await view(subject, subject.view_args)
        function = view.named(subject.method)
        if self.app.overrides_make_response:
            response = await make_response(self.app, value, function)
        else:
            response = response_from(self.app, value, function)
        if not response.is_streamed:
            return response
        await self._finish(response)
        return None

    def _can_answer(self) -> bool:
        return not self.connection.response_started

    async def _send(self, response: Response | None) -> None:
        assert response is not None
        try:
            headers, body = response.wire_headers(), response.wire_body()
            sink: ResponseSink = self.connection
            if filters := self.app.response_filters:
                outgoing = Outgoing(headers, body, sink)
                for apply in filters:
                    await apply(self.subject, response, outgoing)
                headers, body, sink = outgoing.headers, outgoing.body, outgoing.sink
            if body is not None:
                await self.connection.send_response(response.status_code, headers, body)
                return
            await self.connection.start_response(response.status_code, headers)
            if has_content(self.subject.method, response.status_code):
                await response.send_to(sink)
            await sink.end_response()
        finally:
            if response.is_streamed:
                await response.aclose()

    async def _tear_down(self) -> None:
        try:
            await super()._tear_down()
        finally:
            if self.subject.needs_close:
                await self.subject.close()  # noqa: ASYNC102 - it does not wait, unless a subclass overrides it
