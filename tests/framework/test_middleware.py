"""ASGI middleware: it runs under ASGI servers, and is refused by all that would pass it by."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any
from unittest import mock

import pytest
import trio
from trio.testing import memory_stream_pair

from triows import Triows, websocket

Serve = Callable[[Triows], Awaitable[object]]


class Deny:
    """Middleware that lets nobody in."""

    def __init__(self, inner: Any) -> None:
        self.inner = inner

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 401, "headers": []})
        await send({"type": "http.response.body", "body": b"", "more_body": False})


class OwnASGIApp(Triows):
    async def asgi_app(self, scope: Any, receive: Any, send: Any) -> None:  # type: ignore[override]
        await Deny(super().asgi_app)(scope, receive, send)


class OwnCall(Triows):
    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await Deny(self)(scope, receive, send)


class Plain(Triows):
    pass


def add_routes(app: Triows) -> Triows:
    app.get("/", endpoint="view")(lambda: "secret")

    @app.websocket("/ws")
    async def ws() -> None:
        await websocket.send("secret")

    return app


def set_on_the_app() -> Triows:
    app = Triows(__name__)
    app.asgi_app = Deny(app.asgi_app)
    return app


def set_on_the_class() -> Triows:
    class App(Triows):
        pass

    App.asgi_app = Deny(None)  # type: ignore[assignment, method-assign]
    return App(__name__)


def set_on_the_class_of_an_app_that_is_there() -> Triows:
    class App(Triows):
        pass

    app = App(__name__)
    App.__call__ = Deny(None)  # type: ignore[assignment, method-assign]
    return app


MAKERS = (
    set_on_the_app,
    set_on_the_class,
    set_on_the_class_of_an_app_that_is_there,
    lambda: OwnASGIApp(__name__),
    lambda: OwnCall(__name__),
)


async def get(app: Triows) -> object:
    return await app.test_client().get("/")


async def request(app: Triows) -> object:
    async with app.test_client().request("/") as connection:
        return connection


async def socket(app: Triows) -> object:
    async with app.test_client().websocket("/ws") as ws:
        return await ws.receive()


async def serve(app: Triows) -> object:
    async with trio.open_nursery() as nursery:
        return await nursery.start(app.serve, "127.0.0.1", 0)


async def serve_listeners(app: Triows) -> object:
    listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
    try:
        return await app.serve_listeners(listeners)
    finally:
        for listener in listeners:
            await listener.aclose()


async def serve_stream(app: Triows) -> object:
    client, server = memory_stream_pair()
    async with client, server:
        return await app.serve_stream(server)


SERVERS = (get, request, socket, serve, serve_listeners, serve_stream)


async def asgi_status(app: Triows) -> int:
    """The status with which the app answers a request as an ASGI application."""
    events: list[Any] = []
    requests: list[Any] = [{"type": "http.request", "body": b"", "more_body": False}]

    async def receive() -> Any:
        return requests.pop() if requests else await trio.sleep_forever()

    async def send(event: Any) -> None:
        events.append(event)

    scope = {"type": "http", "method": "GET", "path": "/", "raw_path": b"/", "query_string": b"", "headers": []}
    await app(scope, receive, send)
    return int(events[0]["status"])


def refusal(raised: BaseException) -> str:
    while isinstance(raised, BaseExceptionGroup):
        (raised,) = raised.exceptions
    assert isinstance(raised, RuntimeError)
    return str(raised)


@pytest.mark.parametrize("make", MAKERS)
@pytest.mark.parametrize("serve", SERVERS)
async def test_middleware_is_refused_by_whoever_would_not_run_it(make: Callable[[], Triows], serve: Serve) -> None:
    with pytest.raises((RuntimeError, BaseExceptionGroup)) as caught:
        await serve(add_routes(make()))
    message = refusal(caught.value)
    assert "hypercorn -k trio module:app" in message
    assert "@app.before_request" in message


@pytest.mark.parametrize("make", MAKERS)
def test_run_refuses_middleware(make: Callable[[], Triows]) -> None:
    with pytest.raises(RuntimeError, match="hypercorn -k trio"):
        make().run(port=0)


@pytest.mark.parametrize("make", MAKERS)
async def test_middleware_runs_under_asgi(make: Callable[[], Triows]) -> None:
    assert await asgi_status(add_routes(make())) == 401


async def test_the_message_names_the_middleware() -> None:
    with pytest.raises(RuntimeError, match=r"^app\.asgi_app was set to Deny, but "):
        await get(set_on_the_app())
    with pytest.raises(RuntimeError, match=r"^OwnASGIApp has an asgi_app of its own, but "):
        await get(OwnASGIApp(__name__))
    with pytest.raises(RuntimeError, match=r"^OwnCall has a __call__\(\) of its own, but "):
        await get(OwnCall(__name__))


async def test_an_asgi_app_that_is_set_to_itself_is_no_middleware() -> None:
    app = add_routes(Plain(__name__))
    app.asgi_app = app.asgi_app
    assert (await app.test_client().get("/")).status_code == 200
    assert await asgi_status(app) == 200


async def test_middleware_that_was_taken_away_is_no_middleware() -> None:
    app = add_routes(Triows(__name__))
    inner = app.asgi_app
    app.asgi_app = Deny(inner)
    app.asgi_app = inner
    assert (await app.test_client().get("/")).status_code == 200


async def test_middleware_cannot_be_added_while_the_app_is_served_natively() -> None:
    app = add_routes(Triows(__name__))
    async with trio.open_nursery() as nursery:
        server = await nursery.start(app.serve, "127.0.0.1", 0)
        with pytest.raises(RuntimeError, match="set to Deny while the app is served"):
            app.asgi_app = Deny(app.asgi_app)
        server.shutdown()
    app.asgi_app = Deny(app.asgi_app)


async def test_middleware_cannot_be_added_by_a_handler() -> None:
    app = Triows(__name__)

    @app.get("/")
    async def view() -> str:
        app.asgi_app = Deny(app.asgi_app)
        return ""

    with pytest.raises(RuntimeError, match="set to Deny while the app is served"):
        await app.test_client().get("/")


async def test_middleware_that_comes_between_two_requests_is_refused_by_the_next() -> None:
    app = add_routes(Triows(__name__))
    client = app.test_client()
    assert (await client.get("/")).status_code == 200
    app.asgi_app = Deny(app.asgi_app)
    with pytest.raises(RuntimeError, match="hypercorn"):
        await client.get("/")


def test_a_call_of_an_app_is_looked_for_in_its_class() -> None:
    app = Triows(__name__)
    with pytest.raises(AttributeError, match=r"app\.asgi_app"):
        app.__call__ = Deny(app)  # type: ignore[method-assign]


async def test_middleware_may_be_taken_off_again() -> None:
    app = Plain(__name__)
    add_routes(app)
    app.asgi_app = Deny(app.asgi_app)
    del app.asgi_app
    assert (await app.test_client().get("/")).status_code == 200


@pytest.mark.parametrize("before", [None, Deny(None)])
async def test_mocked_middleware_leaves_what_was_there(before: Any) -> None:
    app = Plain(__name__)
    if before is not None:
        app.asgi_app = before
    known = app.asgi_app
    with mock.patch.object(app, "asgi_app"):
        assert app.asgi_app is not known
    assert app.asgi_app == known
    assert [*vars(app)].count("asgi_app") == (before is not None)


def test_what_cannot_be_called_is_no_middleware() -> None:
    with pytest.raises(TypeError, match=r"app.asgi_app is set to None, which cannot be called"):
        Triows(__name__).asgi_app = None  # type: ignore[assignment]
