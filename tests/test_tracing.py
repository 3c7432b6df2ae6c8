"""The spans that OpenTelemetry gets."""

from __future__ import annotations

from typing import Any

import pytest
import trio
from opentelemetry import baggage, trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode
from trio.testing import MockClock, wait_all_tasks_blocked

from triows import Blueprint, Triows, request, websocket
from triows.testing import WebsocketDisconnectError, WebsocketResponseError
from triows.tracing import Tracing

from .support.asgi import accepted
from .support.served import served
from .support.wire import Wire, frame

TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
TRACEPARENT = f"00-{TRACE}-{PARENT}-01"


@pytest.fixture
def exporter() -> InMemorySpanExporter:
    return InMemorySpanExporter()


@pytest.fixture
def provider(exporter: InMemorySpanExporter) -> TracerProvider:
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    return provider


@pytest.fixture
def app(provider: TracerProvider) -> Triows:
    app = Triows(__name__)
    app.config["PROPAGATE_EXCEPTIONS"] = False
    tracer = trace.get_tracer("tests", tracer_provider=provider)
    Tracing(app, provider)

    @app.route("/items/<int:number>", methods=["GET", "PROPFIND"])
    async def item(number: int) -> str:
        return f"item {number}"

    @app.route("/broken")
    async def broken() -> str:
        raise LookupError("broken")

    @app.route("/unavailable")
    async def unavailable() -> tuple[str, int]:
        return "later", 503

    @app.route("/baggage")
    async def carried() -> str:
        return str(baggage.get_baggage("user"))

    @app.route("/children")
    async def children() -> str:
        async def child() -> None:
            with tracer.start_as_current_span("child"):
                await trio.lowlevel.checkpoint()

        request.nursery.start_soon(child)
        return "done"

    @app.route("/sleep")
    async def sleep() -> str:
        await trio.sleep_forever()
        raise AssertionError

    @app.websocket("/rooms/<name>")
    async def room(name: str) -> None:
        async for message in websocket:
            with tracer.start_as_current_span("message"):
                await websocket.send(message)

    @app.websocket("/talks")
    async def talks() -> None:
        await websocket.send("hello")

    @app.websocket("/fails")
    async def fails() -> None:
        await websocket.accept()
        raise LookupError("failed")

    @app.websocket("/refused")
    async def refused() -> tuple[str, int]:
        return "no", 403

    @app.websocket("/swallows")
    async def swallows() -> None:
        try:
            await websocket.receive()
        except trio.Cancelled:
            pass

    return app


def only(exporter: InMemorySpanExporter) -> ReadableSpan:
    (span,) = exporter.get_finished_spans()
    return span


def attributes(span: ReadableSpan) -> dict[str, Any]:
    return dict(span.attributes or {})


# HTTP


async def test_a_request_is_a_span_named_after_its_rule(
    app: Triows, exporter: InMemorySpanExporter, autojump_clock: MockClock
) -> None:
    await app.test_client().get("/items/5?token=secret", scope_base={"client": ("192.0.2.1", 5)})
    span = only(exporter)
    assert span.name == "GET /items/<int:number>"
    assert span.kind is SpanKind.SERVER
    assert span.status.status_code is StatusCode.UNSET
    assert span.parent is None
    assert attributes(span) == {
        "http.request.method": "GET",
        "url.path": "/items/5",
        "url.scheme": "http",
        "network.protocol.name": "http",
        "network.protocol.version": "1.1",
        "http.route": "/items/<int:number>",
        "client.address": "192.0.2.1",
        "http.response.status_code": 200,
    }


async def test_where_no_rule_matches_the_name_is_the_method_alone(
    app: Triows, exporter: InMemorySpanExporter, autojump_clock: MockClock
) -> None:
    await app.test_client().get("/missing")
    span = only(exporter)
    assert span.name == "GET"
    assert attributes(span)["http.response.status_code"] == 404
    assert "http.route" not in attributes(span)
    assert span.status.status_code is StatusCode.UNSET


async def test_a_method_of_the_clients_own_making_is_not_in_the_name(
    app: Triows, exporter: InMemorySpanExporter, autojump_clock: MockClock
) -> None:
    await app.test_client().open("/items/1", method="PROPFIND")
    assert only(exporter).name == "HTTP /items/<int:number>"
    assert attributes(only(exporter))["http.request.method"] == "_OTHER"


async def test_the_parent_is_the_one_in_the_traceparent_header(
    app: Triows, exporter: InMemorySpanExporter, autojump_clock: MockClock
) -> None:
    await app.test_client().get("/items/5", headers={"Traceparent": TRACEPARENT, "Tracestate": "a=b"})
    span = only(exporter)
    assert span.parent is not None
    assert format(span.parent.span_id, "016x") == PARENT
    assert format(span.context.trace_id, "032x") == TRACE
    assert span.context.trace_state.get("a") == "b"


@pytest.mark.parametrize("header", ["", "nonsense", f"00-{TRACE}-{'0' * 16}-01", f"{TRACEPARENT},{TRACEPARENT}"])
async def test_a_traceparent_that_is_none_begins_a_trace(
    app: Triows, exporter: InMemorySpanExporter, autojump_clock: MockClock, header: str
) -> None:
    await app.test_client().get("/items/5", headers={"Traceparent": header})
    assert only(exporter).parent is None


async def test_the_handlers_own_spans_are_children_in_its_tasks_too(
    app: Triows, exporter: InMemorySpanExporter, autojump_clock: MockClock
) -> None:
    await app.test_client().get("/children")
    child, span = exporter.get_finished_spans()
    assert (child.name, span.name) == ("child", "GET /children")
    assert child.parent is not None
    assert child.parent.span_id == span.context.span_id


async def test_an_error_of_the_handler_is_recorded(
    app: Triows, exporter: InMemorySpanExporter, autojump_clock: MockClock
) -> None:
    await app.test_client().get("/broken")
    span = only(exporter)
    assert span.status.status_code is StatusCode.ERROR
    assert attributes(span)["http.response.status_code"] == 500
    assert attributes(span)["error.type"] == "LookupError"
    (event,) = span.events
    assert (event.attributes or {})["exception.message"] == "broken"
    assert "raise LookupError" in str((event.attributes or {})["exception.stacktrace"])


async def test_a_response_of_the_500s_is_an_error_without_an_exception(
    app: Triows, exporter: InMemorySpanExporter, autojump_clock: MockClock
) -> None:
    await app.test_client().get("/unavailable")
    span = only(exporter)
    assert span.status.status_code is StatusCode.ERROR
    assert attributes(span)["error.type"] == "503"
    assert span.events == ()


async def test_a_client_that_leaves_is_no_error(
    app: Triows, exporter: InMemorySpanExporter, autojump_clock: MockClock
) -> None:
    async with app.test_client().request("/sleep") as connection:
        await wait_all_tasks_blocked()
        await connection.disconnect()
    span = only(exporter)
    assert span.status.status_code is StatusCode.UNSET
    assert span.events == ()
    assert attributes(span)["triows.disconnect.kind"] == "lost"
    assert "http.response.status_code" not in attributes(span)


async def test_baggage_reaches_the_handler(app: Triows, autojump_clock: MockClock) -> None:
    response = await app.test_client().get("/baggage", headers={"Baggage": "user=me"})
    assert await response.get_data() == b"me"


# Websockets


async def test_a_websocket_is_one_span_with_its_end_and_its_messages(
    app: Triows, exporter: InMemorySpanExporter, autojump_clock: MockClock
) -> None:
    async with app.test_client().websocket("/rooms/a?token=secret", headers={"Traceparent": TRACEPARENT}) as ws:
        await ws.send("ä")
        await ws.receive()
        await ws.close(4001)
        await ws.wait_closed()
    message, span = exporter.get_finished_spans()
    assert span.name == "GET /rooms/<name>"
    assert span.status.status_code is StatusCode.UNSET
    assert span.parent is not None
    assert format(span.parent.span_id, "016x") == PARENT
    assert message.parent is not None
    assert message.parent.span_id == span.context.span_id
    assert "secret" not in span.to_json()
    expected = {
        "http.request.method": "GET",
        "url.path": "/rooms/a",
        "url.scheme": "ws",
        "http.route": "/rooms/<name>",
        "http.response.status_code": 101,
        "triows.websocket.close_code": 4001,
        "triows.websocket.close_kind": "closed",
        "triows.websocket.messages_received": 1,
        "triows.websocket.bytes_received": 2,
        "triows.websocket.messages_sent": 1,
        "triows.websocket.bytes_sent": 2,
    }
    assert expected.items() <= attributes(span).items()


@pytest.mark.parametrize(
    ("path", "code", "kind", "status"),
    [("/talks", 1000, "server", StatusCode.UNSET), ("/fails", 1011, "error", StatusCode.ERROR)],
)
async def test_the_close_of_this_side_is_told(
    app: Triows,
    exporter: InMemorySpanExporter,
    autojump_clock: MockClock,
    path: str,
    code: int,
    kind: str,
    status: StatusCode,
) -> None:
    async with app.test_client().websocket(path) as ws:
        with pytest.raises(WebsocketDisconnectError):
            while True:
                await ws.receive()
    span = only(exporter)
    assert attributes(span)["triows.websocket.close_code"] == code
    assert attributes(span)["triows.websocket.close_kind"] == kind
    assert span.status.status_code is status
    assert len(span.events) == (status is StatusCode.ERROR)


async def test_a_refused_handshake_has_the_status_of_its_response(
    app: Triows, exporter: InMemorySpanExporter, autojump_clock: MockClock
) -> None:
    with pytest.raises(WebsocketResponseError):
        async with app.test_client().websocket("/refused") as ws:
            await ws.receive()
    assert attributes(only(exporter))["http.response.status_code"] == 403
    assert "triows.websocket.close_code" not in attributes(only(exporter))


async def test_a_swallowed_cancellation_is_an_error(
    app: Triows, exporter: InMemorySpanExporter, autojump_clock: MockClock
) -> None:
    async with served(app) as target:
        wire: Wire = target.connect()
        await wire.handshake("/swallows")
        await wire.close()
    span = only(exporter)
    assert span.status.status_code is StatusCode.ERROR
    assert attributes(span)["error.type"] == "CancelledSwallowedError"


async def test_a_protocol_error_is_told_and_is_no_error_of_the_handler(
    app: Triows, exporter: InMemorySpanExporter, autojump_clock: MockClock
) -> None:
    async with served(app) as target:
        wire = target.connect()
        await wire.handshake("/rooms/a")
        await wire.send(frame(3))
        await wire.read_close()
        await wire.stream.aclose()
    assert attributes(only(exporter))["triows.websocket.close_kind"] == "protocol_error"
    assert only(exporter).status.status_code is StatusCode.UNSET


async def test_a_websocket_of_an_asgi_server_is_a_span(
    app: Triows, exporter: InMemorySpanExporter, autojump_clock: MockClock
) -> None:
    async with accepted(app, path="/rooms/a") as server:
        server.put("websocket.disconnect", code=1001)
    span = only(exporter)
    assert attributes(span)["client.address"] == "1.2.3.4"
    assert attributes(span)["triows.websocket.close_code"] == 1001


# The program's own


async def test_connections_at_the_same_time_have_spans_of_their_own(
    app: Triows, exporter: InMemorySpanExporter, autojump_clock: MockClock
) -> None:
    async with app.test_client().websocket("/rooms/a") as one, app.test_client().websocket("/rooms/b") as other:
        for ws in (one, other):
            await ws.send("x")
            await ws.receive()
    messages = {span.parent.span_id for span in exporter.get_finished_spans() if span.name == "message" and span.parent}
    connections = {span.context.span_id for span in exporter.get_finished_spans() if span.name != "message"}
    assert messages == connections
    assert len(connections) == 2


async def test_a_request_context_of_a_test_leaves_the_tests_span_alone(app: Triows, provider: TracerProvider) -> None:
    with trace.get_tracer("tests", tracer_provider=provider).start_as_current_span("test") as span:
        async with app.test_request_context("/items/5"):
            assert request.path == "/items/5"
    assert span.name == "test"  # type: ignore[attr-defined]


async def test_without_a_provider_nothing_is_recorded_and_all_goes_on(autojump_clock: MockClock) -> None:
    app = Triows(__name__)
    blueprint = Blueprint("pages", __name__)
    Tracing(app)

    @blueprint.route("/page")
    async def page() -> str:
        return str(trace.get_current_span().is_recording())

    app.register_blueprint(blueprint, url_prefix="/all")
    response = await app.test_client().get("/all/page")
    assert await response.get_data() == b"False"


async def test_a_request_is_no_child_of_the_span_that_the_server_was_started_in(
    app: Triows, provider: TracerProvider, exporter: InMemorySpanExporter, autojump_clock: MockClock
) -> None:
    with trace.get_tracer("tests", tracer_provider=provider).start_as_current_span("start"):
        await app.test_client().get("/items/5")
    assert exporter.get_finished_spans()[0].parent is None
