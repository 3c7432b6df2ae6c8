"""Signals: when each is sent, and with what."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest
import trio
from blinker import Signal

from triows import (
    LifespanError,
    Triows,
    current_app,
    flash,
    has_app_context,
    render_template_string,
    request,
    stream_template_string,
    websocket,
)
from triows.web import signals
from triows.web.context import has_request_context

NAMES = [name for name, value in vars(signals).items() if isinstance(value, Signal)]


@contextmanager
def heard(*names: str) -> Iterator[list[tuple[str, Any, dict[str, Any]]]]:
    """Record the names, senders and values of signals."""
    record: list[tuple[str, Any, dict[str, Any]]] = []

    def receiver(name: str) -> Any:
        async def receive(sender: Any, **values: Any) -> None:
            record.append((name, sender, values))

        return receive

    with ExitStack() as stack:
        for name in names:
            stack.enter_context(getattr(signals, name).connected_to(receiver(name)))
        yield record


class Overriding(Triows):
    """An app whose requests and websockets ask the app's methods."""

    async def dispatch_request(self, request_context: Any = None) -> Any:
        return await super().dispatch_request(request_context)


@pytest.fixture(params=[Triows, Overriding])
def app(request: pytest.FixtureRequest) -> Triows:
    app: Triows = request.param(__name__)
    app.secret_key = "secret"

    @app.get("/")
    async def index() -> str:
        return "index"

    @app.get("/error")
    async def error() -> str:
        raise ValueError("a fault")

    @app.get("/flash")
    async def flashed() -> str:
        await flash("saved", "info")
        return "ok"

    @app.get("/template")
    async def template() -> str:
        return await render_template_string("{{ word }}", word="hello")

    @app.get("/stream")
    async def stream() -> Any:
        return await stream_template_string("{{ word }}", word="hello")

    @app.websocket("/echo")
    async def echo() -> None:
        await websocket.send(await websocket.receive())

    @app.websocket("/broken")
    async def broken() -> None:
        await websocket.accept()
        raise ValueError("a fault")

    return app


def test_there_are_quarts_signals() -> None:
    assert len(NAMES) == 18
    assert signals.signals_available is True


async def test_a_request_signals_its_way(app: Triows) -> None:
    with heard(*NAMES) as record:
        await app.test_client().get("/")
    assert [name for name, _, _ in record] == [
        "appcontext_pushed",
        "request_started",
        "request_finished",
        "request_tearing_down",
        "appcontext_tearing_down",
        "appcontext_popped",
    ]
    assert {sender for _, sender, _ in record} == {app}
    values = {name: values for name, _, values in record}
    assert values["request_finished"]["response"].status_code == 200
    assert values["request_tearing_down"] == values["appcontext_tearing_down"] == {"exc": None}


async def test_a_websocket_signals_its_way(app: Triows) -> None:
    with heard(*NAMES) as record:
        async with app.test_client().websocket("/echo") as ws:
            await ws.send("hello")
            assert await ws.receive() == "hello"
    assert [name for name, _, _ in record] == [
        "appcontext_pushed",
        "websocket_started",
        "websocket_received",
        "websocket_sent",
        "websocket_finished",
        "websocket_tearing_down",
        "appcontext_tearing_down",
        "appcontext_popped",
    ]
    senders = {name: sender for name, sender, _ in record}
    assert (senders["websocket_received"], senders["websocket_sent"]) == ("hello", "hello")
    assert ("websocket_finished", app, {"response": None}) in record


@pytest.mark.parametrize("kind", ["request", "websocket"])
async def test_an_error_that_nobody_handles_is_signalled(app: Triows, kind: str) -> None:
    with (
        heard(f"got_{kind}_exception", f"{kind}_tearing_down") as record,
        pytest.raises(ValueError, match="a fault"),
    ):
        if kind == "request":
            await app.test_client().get("/error")
        else:
            async with app.test_client().websocket("/broken") as ws:
                await ws.receive()
    names = [name for name, _, _ in record]
    assert names[0] == f"got_{kind}_exception"
    assert isinstance(record[0][2]["exception"], ValueError)
    assert record[-1][0] == f"{kind}_tearing_down"
    assert record[-1][2]["exc"] is record[0][2]["exception"]


@pytest.mark.parametrize("kind", ["request", "websocket"])
async def test_an_error_that_an_override_raises_again_is_signalled_once(app: Triows, kind: str) -> None:
    name = "handle_exception" if kind == "request" else "handle_websocket_exception"
    former = getattr(app, name)

    async def raise_again(error: Exception) -> Any:
        await former(error)
        raise error

    setattr(app, name, raise_again)
    with heard(f"got_{kind}_exception") as record, pytest.raises(ValueError, match="a fault"):
        if kind == "request":
            await app.test_client().get("/error")
        else:
            async with app.test_client().websocket("/broken") as ws:
                await ws.receive()
    assert [name for name, _, _ in record] == [f"got_{kind}_exception"]


async def test_overrides_in_place_of_the_dispatch_leave_the_signals_of_the_context(app: Triows) -> None:
    async def respond(context: Any = None) -> Any:
        return await app.make_response("mine")

    async def nothing(*args: Any) -> None:
        pass

    app.full_dispatch_request = respond  # type: ignore[method-assign]
    app.do_teardown_request = app.do_teardown_appcontext = nothing  # type: ignore[method-assign]
    with heard(*NAMES) as record:
        assert (await app.test_client().get("/")).status_code == 200
    assert [name for name, _, _ in record] == [
        "appcontext_pushed",
        "request_tearing_down",
        "appcontext_tearing_down",
        "appcontext_popped",
    ]


async def test_an_error_of_the_after_hooks_is_signalled_and_the_end_is_not(app: Triows) -> None:
    @app.after_request
    async def fail(response: Any) -> Any:
        raise LookupError("an after hook")

    with (
        heard("got_request_exception", "request_finished") as record,
        pytest.raises(LookupError, match="an after hook"),
    ):
        await app.test_client().get("/")
    assert {name for name, _, _ in record} == {"got_request_exception"}


async def test_an_error_that_is_handled_is_not_signalled(app: Triows) -> None:
    app.errorhandler(ValueError)(lambda error: ("handled", 400))
    with heard("got_request_exception") as record:
        assert (await app.test_client().get("/error")).status_code == 400
        assert (await app.test_client().get("/missing")).status_code == 404
    assert record == []


async def test_a_flashed_message_is_signalled(app: Triows) -> None:
    with heard("message_flashed") as record:
        await app.test_client().get("/flash")
    assert record == [("message_flashed", app, {"message": "saved", "category": "info"})]


@pytest.mark.parametrize("path", ["/template", "/stream"])
async def test_a_rendered_template_is_signalled(app: Triows, path: str) -> None:
    with heard("before_render_template", "template_rendered") as record:
        await app.test_client().get(path)
    assert [name for name, _, _ in record] == ["before_render_template", "template_rendered"]
    for _, sender, values in record:
        assert sender is app
        assert values["context"]["word"] == "hello"
        assert values["template"].name is None


async def test_a_rendered_template_is_signalled_with_its_whole_context(app: Triows) -> None:
    @app.context_processor
    def processor() -> dict[str, str]:
        return {"processed": "yes"}

    with heard("before_render_template", "template_rendered") as record:
        await app.test_client().get("/template")
    for _, _, values in record:
        context = values["context"]
        assert {"g", "request", "session", "processed", "word"} == context.keys()
        assert (context["request"].path, context["processed"]) == ("/template", "yes")  # after the request


async def test_what_a_receiver_sets_in_the_context_is_rendered(app: Triows) -> None:
    def receiver(sender: Any, template: Any, context: dict[str, Any]) -> None:
        context["word"] = "changed"

    with signals.before_render_template.connected_to(receiver):
        response = await app.test_client().get("/template")
    assert await response.get_data() == b"changed"


async def test_errors_of_background_tasks_and_of_the_apps_life_are_signalled(app: Triows) -> None:
    async def crash() -> None:
        raise ValueError("background")

    @app.before_serving
    async def start() -> None:
        app.add_background_task(crash)

    @app.after_serving
    async def end() -> None:
        raise LookupError("serving")

    with heard("got_background_exception", "got_serving_exception") as record, pytest.raises(LifespanError):
        async with app.test_app():
            pass
    assert [(name, str(values["exception"])) for name, _, values in record] == [
        ("got_background_exception", "background"),
        ("got_serving_exception", "serving"),
    ]


async def test_an_error_of_the_start_is_signalled(app: Triows) -> None:
    @app.before_serving
    async def start() -> None:
        raise LookupError("serving")

    with heard("got_serving_exception") as record, pytest.raises(LifespanError):
        async with app.test_app():
            pass
    assert [name for name, _, _ in record] == ["got_serving_exception"]


async def test_an_app_context_is_signalled(app: Triows) -> None:
    with heard("appcontext_pushed", "appcontext_tearing_down", "appcontext_popped") as record:
        async with app.app_context():
            assert [name for name, _, _ in record] == ["appcontext_pushed"]
    assert [name for name, _, _ in record][1:] == ["appcontext_tearing_down", "appcontext_popped"]


async def test_the_context_of_a_test_request_is_signalled(app: Triows) -> None:
    with heard(*NAMES) as record:
        async with app.test_request_context("/"):
            pass
    assert [name for name, _, _ in record] == [
        "appcontext_pushed",
        "request_tearing_down",
        "appcontext_tearing_down",
        "appcontext_popped",
    ]


async def test_an_app_context_whose_push_fails_is_popped(app: Triows) -> None:
    error = LookupError("a receiver")

    async def fail(sender: Any, **values: Any) -> None:
        raise error

    with heard("appcontext_tearing_down", "appcontext_popped") as record:  # noqa: SIM117
        with signals.appcontext_pushed.connected_to(fail), pytest.raises(LookupError):
            await app.app_context().push()
    assert record == [("appcontext_tearing_down", app, {"exc": error}), ("appcontext_popped", app, {})]
    assert not has_app_context()


async def test_the_context_of_a_background_task_is_signalled(app: Triows) -> None:
    seen: list[str] = []
    async with app.test_app():
        with heard("appcontext_pushed", "appcontext_tearing_down", "appcontext_popped") as record:
            app.add_background_task(lambda: seen.append(current_app.name))
            while len(record) < 3:
                await trio.lowlevel.checkpoint()
    assert [name for name, _, _ in record] == ["appcontext_pushed", "appcontext_tearing_down", "appcontext_popped"]
    assert seen == [app.name]


async def test_a_plain_receiver_runs_in_a_thread_with_the_context(app: Triows) -> None:
    seen: list[Any] = []

    def receive(sender: Any, **values: Any) -> None:
        seen.append((threading.current_thread(), current_app.name, request.path))

    with signals.request_started.connected_to(receive, app):
        await app.test_client().get("/")
    assert len(seen) == 1
    assert seen[0][0] is not threading.current_thread()
    assert seen[0][1:] == (app.name, "/")


async def test_a_receiver_of_another_app_hears_nothing(app: Triows) -> None:
    seen: list[Any] = []
    with signals.request_started.connected_to(seen.append, Triows("other")):
        await app.test_client().get("/")
    assert seen == []


async def test_the_context_ends_between_its_signals(app: Triows) -> None:
    seen: list[tuple[bool, bool]] = []

    async def receive(sender: Any, **values: Any) -> None:
        seen.append((has_app_context(), has_request_context()))

    with signals.request_tearing_down.connected_to(receive), signals.appcontext_popped.connected_to(receive):
        await app.test_client().get("/")
    assert seen == [(True, True), (False, False)]


async def test_an_error_of_a_receiver_at_the_end_is_logged(app: Triows, caplog: pytest.LogCaptureFixture) -> None:
    async def fail(sender: Any, **values: Any) -> None:
        raise LookupError("a receiver")

    with signals.request_tearing_down.connected_to(fail):
        assert (await app.test_client().get("/")).status_code == 200
    assert "a receiver of the signal request_tearing_down failed" in caplog.text


async def test_an_error_of_a_receiver_at_the_start_is_the_requests(app: Triows) -> None:
    async def fail(sender: Any, **values: Any) -> None:
        raise LookupError("a receiver")

    with signals.request_started.connected_to(fail), pytest.raises(LookupError):
        await app.test_client().get("/")


async def test_receivers_at_the_end_have_a_limited_time(
    app: Triows, caplog: pytest.LogCaptureFixture, autojump_clock: Any
) -> None:
    async def sleep(sender: Any, **values: Any) -> None:
        await trio.sleep_forever()

    with signals.request_tearing_down.connected_to(sleep):
        assert (await app.test_client().get("/")).status_code == 200
    assert "the receivers of the signal request_tearing_down took longer than 5.0 seconds" in caplog.text
