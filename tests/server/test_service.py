"""What changes in the config while the app is served: it holds for what begins from then on."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, NamedTuple

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from triows import Triows, request, websocket
from triows.connection.limits import LIMITS, WEBSOCKET_LIMITS
from triows.testing.streams import memory_stream_pair as narrow_stream_pair

from ..support.guard import fail_when_it_hangs
from ..support.http import ask, get
from ..support.records import lines
from ..support.served import Served, served
from ..support.wire import Wire
from .app import connect_tcp

HEAD = "POST /body HTTP/1.1\r\nHost: localhost\r\n"


def make_app(log: dict[str, float] | None = None) -> Triows:
    app = Triows(__name__)

    @app.route("/")
    async def index() -> str:
        return "hello"

    @app.post("/body")
    async def body() -> bytes:
        return bytes(await request.get_data())

    @app.route("/client")
    async def client() -> str:
        return str(request.remote_addr)

    @app.route("/slow")
    async def slow() -> None:
        await trio.sleep_forever()

    @app.route("/endless")
    async def endless() -> AsyncIterator[bytes]:
        while True:
            yield bytes(65_536)

    @app.route("/goes-on")
    async def goes_on() -> tuple[AsyncIterator[bytes], dict[str, str]]:
        async def pieces() -> AsyncIterator[bytes]:
            yield b"all"
            await trio.sleep_forever()

        return pieces(), {"Content-Length": "3"}

    @app.websocket("/limit/<name>")
    async def limit(name: str) -> None:
        await websocket.send(repr(getattr(websocket.connection.limits, name)))

    @app.teardown_request
    async def tear_down(error: BaseException | None) -> None:
        if log is not None:
            log["ended"] = trio.current_time()

    return app


# What a client sees of a limit: a status, or after how many seconds its request or connection was ended.


async def status_of(wire: Wire, data: bytes) -> int:
    return (await ask(wire, data)).status


async def seconds_to_the_end(wire: Wire, data: bytes) -> float:
    began = trio.current_time()
    await wire.send(data)
    await wire.read_rest()
    return round(trio.current_time() - began, 1)


async def body_status(wire: Wire) -> int:
    return await status_of(wire, f"{HEAD}Content-Length: 100\r\n\r\n".encode() + bytes(100))


class Change(NamedTuple):
    """A limit, its new value, and what a client sees before and after the change."""

    name: str
    value: object
    look: Callable[[Wire], Awaitable[object]]
    before: object
    after: object


LONG = "/" + "x" * 200
OF_CONNECTIONS = [
    Change("max_request_line", 100, lambda wire: status_of(wire, get(LONG)), 404, 414),
    Change("max_head_size", 100, lambda wire: status_of(wire, get("/", "X: " + "x" * 200)), 200, 431),
    Change("max_headers", 2, lambda wire: status_of(wire, get("/", "A: 1", "B: 2")), 200, 431),
    Change("head_timeout", 2, lambda wire: seconds_to_the_end(wire, b"GET /"), 10.0, 2.0),
    Change("keep_alive_timeout", 5, lambda wire: seconds_to_the_end(wire, get()), 75.0, 5.0),
]
OF_REQUESTS = [
    Change("max_body_size", 50, body_status, 200, 413),
    Change(
        "body_timeout",
        2,
        lambda wire: seconds_to_the_end(wire, f"{HEAD}Content-Length: 9000\r\n\r\n".encode() + bytes(2048)),
        12.0,
        4.0,
    ),
    Change(
        "min_body_rate",
        512,
        lambda wire: seconds_to_the_end(wire, f"{HEAD}Content-Length: 9000\r\n\r\n".encode() + bytes(2048)),
        12.0,
        14.0,
    ),
    Change("trusted_hosts", ["example.com"], lambda wire: status_of(wire, get()), 200, 400),
]


@pytest.mark.parametrize("change", OF_CONNECTIONS, ids=[change.name for change in OF_CONNECTIONS])
async def test_a_limit_of_connections_is_for_those_that_are_made_after_its_change(
    change: Change, autojump_clock: MockClock
) -> None:
    app = make_app()
    async with served(app) as target:
        assert await change.look(target.connect()) == change.before
        connected = target.connect()
        assert await status_of(connected, get()) == 200
        app.config[change.name.upper()] = change.value
        assert await change.look(target.connect()) == change.after
        assert await change.look(connected) == change.before


@pytest.mark.parametrize("change", OF_REQUESTS, ids=[change.name for change in OF_REQUESTS])
async def test_a_limit_of_requests_is_for_those_that_begin_after_its_change(
    change: Change, autojump_clock: MockClock
) -> None:
    app = make_app()
    async with served(app) as target:
        assert await change.look(target.connect()) == change.before
        connected = target.connect()
        assert await status_of(connected, get()) == 200
        app.config[change.name.upper()] = change.value
        assert await change.look(connected) == change.after


OF_WEBSOCKETS: dict[str, Any] = {
    **dict.fromkeys(WEBSOCKET_LIMITS, 7),
    "compression": True,
    "origins": ["https://example.com"],
    "subprotocols": ["chat"],
}


@pytest.mark.parametrize("name", WEBSOCKET_LIMITS)
async def test_a_limit_of_websockets_is_for_those_that_begin_after_its_change(
    name: str, autojump_clock: MockClock
) -> None:
    app = make_app()

    async def held(wire: Wire) -> str:
        await wire.handshake(f"/limit/{name}")
        return await wire.read_text()

    async with served(app) as target:
        connected = target.connect()
        assert await status_of(connected, get()) == 200
        before = await held(target.connect())
        app.config[name.upper()] = OF_WEBSOCKETS[name]
        after = await held(connected)
    assert before != after == repr(getattr(app.websocket_limits(), name))


def connect_narrow(target: Served) -> Wire:
    mine, its = narrow_stream_pair()
    target.nursery.start_soon(target.server.serve_stream, its)
    return Wire(mine)


async def test_the_send_timeout_of_http_is_that_of_the_connections_beginning(autojump_clock: MockClock) -> None:
    log: dict[str, float] = {}
    app = make_app(log)

    async def seconds_unread(wire: Wire) -> float:
        await wire.send(get("/endless"))
        began = trio.current_time()
        await trio.sleep(40)
        await wire.stream.aclose()
        return round(log["ended"] - began)

    async with served(app) as target:
        connected = connect_narrow(target)
        assert await status_of(connected, get()) == 200
        app.config["SEND_TIMEOUT"] = 8
        assert await seconds_unread(connect_narrow(target)) == 8
        assert await seconds_unread(connected) == 30


async def test_the_drain_timeout_of_http_is_that_of_the_connections_beginning(autojump_clock: MockClock) -> None:
    log: dict[str, float] = {}
    app = make_app(log)

    async def seconds_left(wire: Wire) -> float:
        await wire.send(get("/goes-on"))
        await wire.read_response()
        await wire.stream.aclose()
        began = trio.current_time()
        await trio.sleep(40)
        return round(log["ended"] - began)

    async with served(app) as target:
        connected = target.connect()
        assert await status_of(connected, get()) == 200
        app.config["DRAIN_TIMEOUT"] = 2
        assert await seconds_left(target.connect()) == 2
        assert await seconds_left(connected) == 5


async def test_the_values_of_queries_are_logged_as_it_was_set_when_the_connection_began(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    app = make_app()
    with caplog.at_level("INFO", "triows.access"):
        async with served(app) as target:
            connected = target.connect()
            assert await status_of(connected, get("/?a=1")) == 200
            app.config["ACCESS_LOG_QUERY"] = True
            assert await status_of(target.connect(), get("/?a=2")) == 200
            assert await status_of(connected, get("/?a=3")) == 200
    records = [record for record in caplog.records if record.name == "triows.access"]
    assert [line.split('"')[1] for line in lines(records)] == [
        "GET /?a=*** HTTP/1.1",
        "GET /?a=2 HTTP/1.1",
        "GET /?a=*** HTTP/1.1",
    ]


async def test_the_shutdown_timeout_is_that_of_the_shutdowns_beginning(autojump_clock: MockClock) -> None:
    app = make_app()
    async with served(app) as target:
        wire = target.connect()
        await wire.send(get("/slow"))
        await wait_all_tasks_blocked()
        app.config["SHUTDOWN_TIMEOUT"] = 3
        target.server.shutdown()
        await wait_all_tasks_blocked()
        app.config["SHUTDOWN_TIMEOUT"] = 30
        began = trio.current_time()
        await wire.read_rest()
        assert round(trio.current_time() - began, 1) == 3


async def test_the_number_of_connections_is_bounded_as_it_is_when_a_client_connects() -> None:
    app = make_app()
    async with trio.open_nursery() as nursery:
        guard = trio.CancelScope()
        nursery.start_soon(fail_when_it_hangs, guard)
        server = await nursery.start(app.serve, "127.0.0.1", 0)
        wires = [await connect_tcp(server) for _ in range(2)]
        assert [await status_of(wire, get()) for wire in wires] == [200, 200]
        app.config["MAX_CONNECTIONS"] = 2
        refused = await connect_tcp(server)
        assert (await refused.read_response()).status == 503
        app.config["MAX_CONNECTIONS"] = 3
        wires.append(await connect_tcp(server))
        assert [await status_of(wire, get()) for wire in wires] == [200, 200, 200]
        for wire in (*wires, refused):
            await wire.stream.aclose()
        server.shutdown()
        guard.cancel()


async def test_a_proxy_is_trusted_as_it_is_when_its_request_comes() -> None:
    app = make_app()
    async with trio.open_nursery() as nursery:
        guard = trio.CancelScope()
        nursery.start_soon(fail_when_it_hangs, guard)
        server = await nursery.start(app.serve, "127.0.0.1", 0)
        wire = await connect_tcp(server)
        of_a_client = get("/client", "X-Forwarded-For: 192.0.2.1")
        assert (await ask(wire, of_a_client)).body == b"127.0.0.1"
        app.config["TRUSTED_PROXIES"] = ["127.0.0.1"]
        assert (await ask(wire, of_a_client)).body == b"192.0.2.1"
        await wire.stream.aclose()
        server.shutdown()
        guard.cancel()


def test_nothing_is_left_out() -> None:
    tested = {change.name for change in (*OF_CONNECTIONS, *OF_REQUESTS)} | set(OF_WEBSOCKETS)
    # The last one is that of the app's start: the event loop is watched from then on.
    alone = {
        "max_connections",
        "max_connections_per_client",
        "max_handshake_rate",
        "shutdown_timeout",
        "trusted_proxies",
        "stall_timeout",
    }
    assert tested | alone == set(LIMITS)
