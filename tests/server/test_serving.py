"""A server's life: what it serves, and in which order everything ends.

Tests triows/app.py and triows/connection/app.py.
"""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import trio
import trustme
from trio.testing import MockClock, memory_stream_pair, wait_all_tasks_blocked

from triows import Triows, request, websocket
from triows.server.process.runner import run
from triows.server.serving import Server
from triows.testing.streams import memory_stream_pair as narrow_stream_pair

from ..support import tls
from ..support.http import GET, ask, get
from ..support.served import served
from ..support.wire import CLOSE, TEXT, Wire, close_frame, frame
from .app import connect_tcp, make_app

# Listening


async def test_starting_to_serve_gives_port_and_addresses(nursery: trio.Nursery) -> None:
    server = await nursery.start(make_app().serve, "127.0.0.1", 0)
    assert server.port > 0
    assert server.addresses == [("127.0.0.1", server.port)]
    wire = await connect_tcp(server)
    assert (await ask(wire)).body == b"hello"
    await wire.stream.aclose()
    server.shutdown()


async def test_serve_returns_after_a_shutdown() -> None:
    async with trio.open_nursery() as nursery:
        server = await nursery.start(make_app().serve, "127.0.0.1", 0)
        server.shutdown()
    with pytest.raises(OSError, match="all attempts to connect"):
        await connect_tcp(server)


async def test_several_apps_are_served_in_one_program() -> None:
    async with trio.open_nursery() as nursery:
        servers = []
        for name in ("one", "two"):
            app = Triows(name)
            app.add_url_rule("/", "index", partial(str, name))
            servers.append(await nursery.start(app.serve, "127.0.0.1", 0))
        assert servers[0].port != servers[1].port
        for server, name in zip(servers, (b"one", b"two"), strict=True):
            wire = await connect_tcp(server)
            assert (await ask(wire)).body == name
            await wire.stream.aclose()
            server.shutdown()


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


async def test_tls_is_served_with_a_certificate_from_a_file(authority: trustme.CA, tmp_path: Path) -> None:
    certificate = authority.issue_cert("localhost")
    file = tmp_path / "cert.pem"
    certificate.private_key_and_cert_chain_pem.write_to_path(str(file))
    server_context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    server_context.load_cert_chain(file)
    app = Triows(__name__)
    app.add_url_rule("/", "index", lambda: request.url)
    async with trio.open_nursery() as nursery:
        server = await nursery.start(partial(app.serve, ssl_context=server_context), "127.0.0.1", 0)
        stream = trio.SSLStream(
            await trio.open_tcp_stream("127.0.0.1", server.port),
            tls.client_context(authority),
            server_hostname="localhost",
            https_compatible=True,
        )
        wire = Wire(stream)
        assert (await ask(wire)).body == b"https://localhost/"
        await stream.aclose()
        server.shutdown()


async def test_a_client_that_speaks_no_tls_costs_nothing(
    authority: trustme.CA, caplog: pytest.LogCaptureFixture
) -> None:
    context = tls.server_context(authority)
    async with trio.open_nursery() as nursery:
        server = await nursery.start(partial(make_app().serve, ssl_context=context), "127.0.0.1", 0)
        wire = await connect_tcp(server)
        await wire.send(GET)
        await wire.read_rest()
        await wire.stream.aclose()
        while server.connections:
            await trio.lowlevel.checkpoint()
        server.shutdown()
    assert caplog.records == []


def test_a_key_without_a_certificate_is_an_error() -> None:
    with pytest.raises(ValueError, match="keyfile is given without certfile"):
        run(make_app(), keyfile="key.pem")


def test_a_certificate_beside_a_context_is_an_error() -> None:
    with pytest.raises(ValueError, match="either ssl_context or certfile"):
        run(make_app(), certfile="cert.pem", ssl_context=ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER))


async def test_open_listeners_can_be_served_and_are_closed_in_the_end() -> None:
    listeners = [
        *await trio.open_tcp_listeners(0, host="127.0.0.1"),
        *await trio.open_tcp_listeners(0, host="127.0.0.1"),
    ]
    async with trio.open_nursery() as nursery:
        server = await nursery.start(make_app().serve_listeners, listeners)
        assert len(server.addresses) == 2
        for host, port in server.addresses:
            wire = Wire(await trio.open_tcp_stream(host, port))
            assert (await ask(wire)).status == 200
            await wire.stream.aclose()
        server.shutdown()
    assert all(listener.socket.fileno() == -1 for listener in listeners)


async def test_any_listener_can_be_served() -> None:
    class Memory(trio.abc.Listener[trio.abc.Stream]):
        def __init__(self) -> None:
            self.send, self.receive = trio.open_memory_channel[trio.abc.Stream](1)

        async def accept(self) -> trio.abc.Stream:
            return await self.receive.receive()

        async def aclose(self) -> None:
            await self.receive.aclose()

    listener = Memory()
    async with trio.open_nursery() as nursery:
        server = await nursery.start(make_app().serve_listeners, [listener])
        mine, its = memory_stream_pair()
        await listener.send.send(its)
        assert (await ask(Wire(mine))).status == 200
        await mine.aclose()
        server.shutdown()


async def test_one_stream_is_served_until_its_client_is_gone() -> None:
    mine, its = memory_stream_pair()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(make_app().serve_stream, its)
        wire = Wire(mine)
        assert (await ask(wire)).status == 200
        assert (await ask(wire, get("/", "Connection: close"))).status == 200
        await wire.read_end()
        await mine.aclose()


async def test_a_stream_is_closed_though_serving_it_is_cancelled_before_it_begins() -> None:
    mine, its = memory_stream_pair()
    with trio.CancelScope() as scope:
        scope.cancel()
        await make_app().serve_stream(its)
    with trio.fail_after(60):
        assert await mine.receive_some() == b""


async def test_a_stream_is_closed_though_the_app_does_not_start() -> None:
    app = make_app()

    @app.before_serving
    async def fail() -> None:
        raise ValueError("no database")

    mine, its = memory_stream_pair()
    with pytest.raises(ValueError, match="no database"):
        await app.serve_stream(its)
    with trio.fail_after(60):
        assert await mine.receive_some() == b""


# Shutdown


async def test_an_idle_websocket_gets_close_1001_and_the_kind_is_shutdown(autojump_clock: MockClock) -> None:
    seen: list[Any] = []
    app = Triows(__name__)

    @app.websocket("/ws")
    async def ws() -> None:
        try:
            await websocket.receive()
        finally:
            seen.append(websocket.disconnect)

    async with served(app) as target:
        wire = target.connect()
        await wire.handshake("/ws")
        target.server.shutdown()
        assert await wire.read_close() == (1001, "")
        await wire.send(close_frame(1001))
        await wire.read_end()
    assert [(end.code, end.kind) for end in seen] == [(1001, "shutdown")]


async def test_at_shutdown_a_handler_may_send_a_last_message_under_a_shield(autojump_clock: MockClock) -> None:
    app = Triows(__name__)

    @app.websocket("/ws")
    async def ws() -> None:
        try:
            await websocket.receive()
        finally:
            with trio.move_on_after(1, shield=True):
                await websocket.send("last words")

    async with served(app) as target:
        wire = target.connect()
        await wire.handshake("/ws")
        target.server.shutdown()
        assert await wire.read_text() == "last words"
        assert await wire.read_close() == (1001, "")
        await wire.stream.aclose()


async def test_at_shutdown_unread_messages_are_handled_and_answered_first(autojump_clock: MockClock) -> None:
    app = Triows(__name__)

    @app.websocket("/ws")
    async def ws() -> None:
        async for message in websocket:
            await trio.sleep(1)
            await websocket.send(message)

    async with served(app) as target:
        wire = target.connect()
        await wire.handshake("/ws", early=b"".join(frame(TEXT, b"%d" % number) for number in range(5)))
        await wait_all_tasks_blocked()
        target.server.shutdown()
        assert [await wire.read_text() for _ in range(5)] == ["0", "1", "2", "3", "4"]
        assert await wire.read_close() == (1001, "")
        await wire.stream.aclose()


async def test_at_shutdown_nothing_more_is_read_from_a_websocket(autojump_clock: MockClock) -> None:
    handled = []
    app = Triows(__name__)

    @app.websocket("/ws")
    async def ws() -> None:
        async for message in websocket:
            await trio.sleep(1)
            handled.append(message)

    async with served(app) as target:
        wire = target.connect()
        await wire.handshake("/ws", early=frame(TEXT, b"one") + frame(TEXT, b"two"))
        await trio.sleep(0.5)
        target.server.shutdown()
        for _ in range(5):
            await wire.send_text("after")
        assert await wire.read_close() == (1001, "")
        await wire.stream.aclose()
    assert handled[:2] == ["one", "two"]
    assert len(handled) <= 3  # one read was under way


async def test_a_request_in_flight_is_answered_with_connection_close(autojump_clock: MockClock) -> None:
    app = Triows(__name__)

    @app.route("/")
    async def slow() -> str:
        await trio.sleep(3)
        return "done"

    async with served(app) as target:
        wire = target.connect()
        await wire.send(GET + GET)
        await trio.sleep(1)
        target.server.shutdown()
        response = await wire.read_response()
        assert (response.status, response.body) == (200, b"done")
        assert response.headers["connection"] == "close"
        await wire.read_end()
        await wire.stream.aclose()


async def test_idle_clients_are_closed_at_shutdown(autojump_clock: MockClock) -> None:
    async with served(make_app()) as target:
        kept, fresh, half = target.connect(), target.connect(), target.connect()
        assert (await ask(kept)).status == 200
        await half.send(GET[:10])
        await wait_all_tasks_blocked()
        start = trio.current_time()
        target.server.shutdown()
        for wire in (kept, fresh, half):
            await wire.read_end()
            await wire.stream.aclose()
        assert trio.current_time() - start < 1


async def test_a_stalled_client_is_aborted_after_the_shutdown_timeout(autojump_clock: MockClock) -> None:
    app = make_app(shutdown_timeout=7, close_timeout=100, send_timeout=None)
    wire: Wire

    async with trio.open_nursery() as nursery:
        server = Server(app)
        await nursery.start(server.run, [])
        mine, its = narrow_stream_pair()
        nursery.start_soon(server.serve_stream, its)
        wire = Wire(mine)
        await wire.handshake("/ws")
        mine.stall()
        start = trio.current_time()
        server.shutdown()
    assert trio.current_time() - start == pytest.approx(7, abs=1.1)  # and the stream's own closing
    mine.resume()
    assert (await wire.read_frame())[0] == CLOSE
    await wire.read_end()
    await mine.aclose()


async def test_a_handler_that_does_not_end_is_given_up_after_the_shutdown_timeout(autojump_clock: MockClock) -> None:
    app = Triows(__name__, shutdown_timeout=7)

    @app.route("/")
    async def forever() -> str:
        await trio.sleep_forever()
        return ""

    async with served(app) as target:
        wire = target.connect()
        await wire.send(GET)
        await wait_all_tasks_blocked()
        start = trio.current_time()
        target.server.shutdown()
        await wire.read_end()
        assert trio.current_time() - start == pytest.approx(7, abs=1.1)
        await wire.stream.aclose()


def make_recording_app(events: list[str]) -> Triows:
    app = Triows(__name__)

    @app.lifespan
    async def life() -> AsyncIterator[None]:
        events.append("started")
        yield
        events.append("lifespan ended")

    async def background() -> None:
        try:
            await trio.sleep_forever()
        finally:
            with trio.CancelScope(shield=True):
                await trio.sleep(1)
            events.append("background ended")

    @app.before_serving
    async def start() -> None:
        app.nursery.start_soon(background)

    @app.websocket("/ws")
    async def ws() -> None:
        try:
            await websocket.receive()
        finally:
            with trio.CancelScope(shield=True):
                await trio.sleep(1)
            events.append("connection ended")

    return app


async def connect_memory(server: Server, nursery: trio.Nursery) -> Wire:
    mine, its = memory_stream_pair()
    nursery.start_soon(server.serve_stream, its)
    wire = Wire(mine)
    await wire.handshake("/ws")
    return wire


async def test_connections_end_before_background_tasks_and_these_before_the_lifespan(autojump_clock: MockClock) -> None:
    events: list[str] = []
    app = make_recording_app(events)
    async with trio.open_nursery() as nursery:
        server = await nursery.start(app.serve_listeners, [])
        wire = await connect_memory(server, nursery)
        server.shutdown()
        assert await wire.read_close() == (1001, "")
        await wire.stream.aclose()
    assert events == ["started", "connection ended", "background ended", "lifespan ended"]


async def test_cancelling_serve_is_an_orderly_shutdown_too(autojump_clock: MockClock) -> None:
    events: list[str] = []
    app = make_recording_app(events)
    scope = trio.CancelScope()

    async def serve(task_status: trio.TaskStatus[Server]) -> None:
        with scope:
            await app.serve_listeners([], task_status=task_status)
        events.append("serve ended")

    async with trio.open_nursery() as nursery:
        server = await nursery.start(serve)
        wire = await connect_memory(server, nursery)
        scope.cancel()
        assert await wire.read_close() == (1001, "")
        await wire.stream.aclose()
    assert scope.cancelled_caught
    assert events == ["started", "connection ended", "background ended", "lifespan ended", "serve ended"]


async def test_cancelling_serve_closes_the_listeners_first() -> None:
    app = make_app()
    released = trio.Event()

    @app.route("/slow")
    async def slow() -> str:
        await released.wait()
        return "done"

    async with trio.open_nursery() as outer, trio.open_nursery() as nursery:
        server = await nursery.start(app.serve, "127.0.0.1", 0)
        wire = await connect_tcp(server)
        await wire.send(get("/slow"))
        while not server.connections:
            await trio.lowlevel.checkpoint()
        await wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
        outer.start_soon(_expect_done, wire, server, released)


async def _expect_done(wire: Wire, server: Server, released: trio.Event) -> None:
    with trio.CancelScope(shield=True):
        while True:
            try:
                stream = await trio.open_tcp_stream("127.0.0.1", server.port)
            except OSError:
                break
            await stream.aclose()
        released.set()
        response = await wire.read_response()
        assert response.body == b"done"
        assert response.headers["connection"] == "close"
        await wire.stream.aclose()


async def test_a_second_shutdown_changes_nothing(autojump_clock: MockClock) -> None:
    async with served(make_app()) as target:
        wire = target.connect()
        await wire.handshake("/ws")
        target.server.shutdown()
        target.server.shutdown()
        assert await wire.read_close() == (1001, "")
        await wire.stream.aclose()


async def test_the_number_of_connections_is_known(autojump_clock: MockClock) -> None:
    async with served(make_app()) as target:
        wires = [target.connect() for _ in range(3)]
        await wait_all_tasks_blocked()
        assert target.server.connections == 3
        await wires[0].stream.aclose()
        await wait_all_tasks_blocked()
        assert target.server.connections == 2
        for wire in wires[1:]:
            await wire.stream.aclose()


# Settings


async def test_settings_that_change_while_the_app_is_served_are_for_the_clients_that_come_next() -> None:
    app = make_app()
    head = b"GET / HTTP/1.1\r\nHost: x\r\nX-Long: " + b"x" * 200 + b"\r\n\r\n"
    async with served(app) as target:
        first = target.connect()
        await first.send(head)
        assert (await first.read_response()).status == 200
        app.config["MAX_HEAD_SIZE"] = 100
        second = target.connect()
        await second.send(head)
        assert (await second.read_response()).status == 431
        await first.send(head)
        assert (await first.read_response()).status == 200
        app.config["MAX_HEAD_SIZE"] = 1000
        third = target.connect()
        await third.send(head)
        assert (await third.read_response()).status == 200
        for wire in (first, second, third):
            await wire.stream.aclose()
