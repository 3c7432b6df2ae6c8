"""A span for each request and each websocket, for OpenTelemetry; needs the extra ``otel``.

Attributes have the names of OpenTelemetry's semantic conventions for HTTP. Those that the conventions do not have begin
with ``triows.``.
"""

from __future__ import annotations

from typing import Any

from .connection.base import Connection
from .connection.websocket import WebSocketConnection
from .framework.application import App
from .web.context import current_context

try:
    from opentelemetry import propagate, trace
    from opentelemetry.context import attach, detach
    from opentelemetry.trace import Span, SpanKind, Status, StatusCode, TracerProvider
except ModuleNotFoundError as _error:
    raise ImportError('triows.tracing needs opentelemetry-api: pip install "triows[otel]"') from _error

_METHODS = frozenset({"CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "QUERY", "TRACE"})


__all__ = ["Tracing"]


class Tracing:
    """Makes a span of each request and each websocket of an app: ``Tracing(app)``, before it is served.

    The span is the current one in the handler and in the tasks that it starts. Its parent is the one that the request's
    headers name, as the program's propagators read them.

    :param tracer_provider: where spans go; by default OpenTelemetry's global one.
    """

    def __init__(self, app: App, tracer_provider: TracerProvider | None = None) -> None:
        self._tracer = trace.get_tracer("triows", tracer_provider=tracer_provider)
        self._spans: dict[Connection, Span] = {}
        self._handle = app.handle
        app.handle = self._trace  # type: ignore[method-assign]
        app.url_value_preprocessor(self._name_route)

    async def _trace(self, connection: Connection) -> None:
        head = connection.head
        method = _method(connection)
        headers: dict[str, str] = {}
        for name, value in head.headers:
            key, text = name.decode("latin-1"), value.decode("latin-1")
            headers[key] = f"{headers[key]},{text}" if key in headers else text
        token = attach(propagate.extract(headers))  # the context carries the baggage too
        try:
            span = self._tracer.start_span(
                _name(method),
                kind=SpanKind.SERVER,
                attributes={
                    "http.request.method": method,
                    "url.path": head.path,
                    "url.scheme": head.scheme,
                    "network.protocol.name": "http",
                    "network.protocol.version": head.http_version,
                },
            )
            with trace.use_span(span, end_on_exit=True):
                self._spans[connection] = span
                try:
                    await self._handle(connection)
                finally:
                    del self._spans[connection]
                    _describe_end(span, connection)
        finally:
            detach(token)

    def _name_route(self, endpoint: str | None, values: dict[str, Any] | None) -> None:
        """Name the span after the rule that the request matches."""
        context = current_context()
        subject = None if context is None else context.subject
        if subject is not None and subject.url_rule is not None:
            span = self._spans.get(subject.connection)
            if span is not None:
                span.update_name(f"{_name(_method(subject.connection))} {subject.url_rule.rule}")
                span.set_attribute("http.route", subject.url_rule.rule)


def _method(connection: Connection) -> str:
    return connection.head.method if connection.head.method in _METHODS else "_OTHER"


def _name(method: str) -> str:
    return "HTTP" if method == "_OTHER" else method


def _describe_end(span: Span, connection: Connection) -> None:
    """Set the attributes of the end. The client's address is set here, behind the check of a proxy's headers."""
    attributes: dict[str, Any] = {}
    if connection.head.client is not None:
        attributes["client.address"] = connection.head.client[0]
    if connection.status is not None:
        attributes["http.response.status_code"] = connection.status
    if isinstance(connection, WebSocketConnection) and connection.status == 101:
        ending, traffic = connection.ending, connection.traffic
        attributes["triows.websocket.close_code"] = ending.code
        attributes["triows.websocket.close_kind"] = ending.kind
        for name, count in traffic._asdict().items():
            attributes[f"triows.websocket.{name}"] = count
    elif connection.disconnect is not None:
        attributes["triows.disconnect.kind"] = connection.disconnect.kind
    error = connection.error or connection.swallowed_error
    if error is not None:
        span.record_exception(error)
        attributes["error.type"] = type(error).__qualname__
        span.set_status(Status(StatusCode.ERROR, str(error)))
    elif connection.status is not None and connection.status >= 500:
        attributes["error.type"] = str(connection.status)
        span.set_status(Status(StatusCode.ERROR))
    span.set_attributes(attributes)
