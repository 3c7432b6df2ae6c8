"""Servers: where they listen, in which order they end, and their HTTP/1.1."""

from __future__ import annotations

import errno
import logging
import re
import socket
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
from triows.server.listeners import url
from triows.server.process import run
from triows.server.serving import Server
from triows.testing.streams import memory_stream_pair as narrow_stream_pair

from ..support.served import Served, served
from ..support.wire import CLOSE, TEXT, Gone, Response, Wire, close_frame, frame

GET = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"


def get(path: str = "/", *headers: str, method: str = "GET", version: str = "1.1") -> bytes:
    return "\r\n".join([f"{method} {path} HTTP/{version}", "Host: localhost", *headers]).encode("latin-1") + b"\r\n\r\n"


def post(path: str, body: bytes, *headers: str) -> bytes:
    return get(path, f"Content-Length: {len(body)}", *headers, method="POST") + body


def make_app(**limits: Any) -> Triows:
    app = Triows(__name__, **limits)

    @app.route("/")
    async def index() -> str:
        return "hello"

    @app.post("/body")
    async def body() -> bytes:
        return bytes(await request.get_data())

    @app.post("/unread")
    async def unread() -> str:
        return "not read"

    @app.websocket("/ws")
    async def echo() -> None:
        async for message in websocket:
            await websocket.send(message)

    return app


async def ask(wire: Wire, data: bytes = GET) -> Response:
    await wire.send(data)
    return await wire.read_response(has_body=not data.startswith(b"HEAD"))


# Listening


async def connect_tcp(server: Server) -> Wire:
    return Wire(await trio.open_tcp_stream("127.0.0.1", server.port))


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


async def test_an_address_in_use_is_an_error_of_the_caller() -> None:
    async with trio.open_nursery() as nursery:
        server = await nursery.start(make_app().serve, "127.0.0.1", 0)
        with pytest.raises(OSError) as caught:
            await make_app().serve("127.0.0.1", server.port)
        assert caught.value.errno == errno.EADDRINUSE
        server.shutdown()


async def test_an_ipv6_address_can_be_listened_on() -> None:
    async with trio.open_nursery() as nursery:
        try:
            server = await nursery.start(make_app().serve, "::1", 0)
        except OSError:
            pytest.skip("there is no IPv6 here")
        assert server.addresses == [("::1", server.port)]
        wire = Wire(await trio.open_tcp_stream("::1", server.port))
        assert (await ask(wire)).body == b"hello"
        await wire.stream.aclose()
        server.shutdown()


async def test_a_unix_socket_can_be_listened_on_and_is_gone_afterwards(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    async with trio.open_nursery() as nursery:
        server = await nursery.start(make_app().serve, f"unix:{path}")
        assert path.is_socket()
        assert server.addresses == [str(path)]
        with pytest.raises(RuntimeError, match="no TCP listener"):
            _ = server.port
        wire = Wire(await trio.open_unix_socket(path))
        assert (await ask(wire)).body == b"hello"
        await wire.stream.aclose()
        server.shutdown()
    assert not path.exists()


async def test_a_unix_socket_that_a_dead_server_left_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    assert path.is_socket()
    async with trio.open_nursery() as nursery:
        server = await nursery.start(make_app().serve, f"unix:{path}")
        wire = Wire(await trio.open_unix_socket(path))
        assert (await ask(wire)).status == 200
        await wire.stream.aclose()
        server.shutdown()


async def test_a_unix_socket_of_a_living_server_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    async with trio.open_nursery() as nursery:
        server = await nursery.start(make_app().serve, f"unix:{path}")
        with pytest.raises(OSError) as caught:
            await make_app().serve(f"unix:{path}")
        assert caught.value.errno == errno.EADDRINUSE
        wire = Wire(await trio.open_unix_socket(path))
        assert (await ask(wire)).status == 200
        await wire.stream.aclose()
        server.shutdown()


async def test_a_file_that_is_no_socket_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("precious")
    with pytest.raises(OSError):
        await make_app().serve(f"unix:{path}")
    assert path.read_text() == "precious"


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


async def test_tls_is_served_with_a_certificate_from_a_file(authority: trustme.CA, tmp_path: Path) -> None:
    certificate = authority.issue_cert("localhost")
    file = tmp_path / "cert.pem"
    certificate.private_key_and_cert_chain_pem.write_to_path(str(file))
    server_context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    server_context.load_cert_chain(file)
    client_context = ssl.create_default_context()
    authority.configure_trust(client_context)
    app = Triows(__name__)
    app.add_url_rule("/", "index", lambda: request.url)
    async with trio.open_nursery() as nursery:
        server = await nursery.start(partial(app.serve, ssl_context=server_context), "127.0.0.1", 0)
        stream = trio.SSLStream(
            await trio.open_tcp_stream("127.0.0.1", server.port),
            client_context,
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
    server_context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("localhost").configure_cert(server_context)
    async with trio.open_nursery() as nursery:
        server = await nursery.start(partial(make_app().serve, ssl_context=server_context), "127.0.0.1", 0)
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
        run(make_app(), certfile="cert.pem", ssl_context=ssl.create_default_context())


@pytest.mark.parametrize(
    ("address", "secure", "text"),
    [
        (("127.0.0.1", 8000), False, "http://127.0.0.1:8000"),
        (("::1", 443), True, "https://[::1]:443"),
        ("/run/app.sock", False, "unix:/run/app.sock"),
    ],
)
def test_an_address_is_named_as_a_browser_takes_it(address: Any, secure: bool, text: str) -> None:
    assert url(address, secure) == text


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


# Too much of everything


async def test_beyond_max_connections_a_client_may_send_its_body_before_it_reads_the_503() -> None:
    app = make_app(max_connections=1)
    async with trio.open_nursery() as nursery:
        server = await nursery.start(app.serve, "127.0.0.1", 0)
        accepted = await connect_tcp(server)
        assert (await ask(accepted)).status == 200
        for _ in range(10):
            refused = await connect_tcp(server)
            head = b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000\r\n\r\n"
            await wait_all_tasks_blocked()
            await refused.send(head)
            await refused.send(b"x" * 1_000_000)
            assert (await refused.read_response()).status == 503
            await refused.read_end()
            await refused.stream.aclose()
        await accepted.stream.aclose()
        server.shutdown()


async def test_clients_that_were_turned_away_do_not_hold_up_the_shutdown() -> None:
    app = make_app(max_connections=1)
    async with trio.open_nursery() as nursery:
        server = await nursery.start(app.serve, "127.0.0.1", 0)
        accepted = await connect_tcp(server)
        assert (await ask(accepted)).status == 200
        refused = await connect_tcp(server)
        assert (await refused.read_response()).status == 503
        server.shutdown()
        await accepted.read_end()
    with pytest.raises(trio.BrokenResourceError):
        for _ in range(10):
            await refused.send(b"x")
            await wait_all_tasks_blocked()
    await accepted.stream.aclose()
    await refused.stream.aclose()


async def test_beyond_max_connections_a_client_gets_503_with_retry_after() -> None:
    app = make_app(max_connections=2)
    async with trio.open_nursery() as nursery:
        server = await nursery.start(app.serve, "127.0.0.1", 0)
        accepted = [await connect_tcp(server) for _ in range(2)]
        for wire in accepted:
            assert (await ask(wire)).status == 200
        refused = await connect_tcp(server)
        response = await ask(refused)
        assert response.status == 503
        assert int(response.headers["retry-after"]) > 0
        assert response.headers["connection"] == "close"
        await refused.read_end()
        await refused.stream.aclose()
        await accepted[0].stream.aclose()
        while server.connections == 2:
            await trio.lowlevel.checkpoint()
        again = await connect_tcp(server)
        assert (await ask(again)).status == 200
        await again.stream.aclose()
        await accepted[1].stream.aclose()
        server.shutdown()


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENFILE, errno.ENOMEM])
async def test_without_descriptors_accepting_is_tried_on_and_complained_of_once_a_second(
    number: int, monkeypatch: pytest.MonkeyPatch, autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    accept = socket.socket.accept
    times: list[float] = []

    def failing(self: socket.socket) -> Any:
        if not times or trio.current_time() - times[0] < 2.5:
            times.append(trio.current_time())
            raise OSError(number, "no more of these")
        return accept(self)

    async with trio.open_nursery() as nursery:
        server = await nursery.start(make_app().serve, "127.0.0.1", 0)
        monkeypatch.setattr(socket.socket, "accept", failing)
        with caplog.at_level(logging.ERROR):
            wire = await connect_tcp(server)
            assert (await ask(wire)).status == 200
        await wire.stream.aclose()
        server.shutdown()
    assert 10 < len(times) < 50
    assert [record.getMessage() for record in caplog.records] == [
        "cannot accept clients (no more of these); trying on"
    ] * 3


async def test_a_client_that_is_gone_before_it_is_accepted_costs_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    accept = socket.socket.accept
    failures = [ConnectionAbortedError(errno.ECONNABORTED, "gone")] * 3

    def failing(self: socket.socket) -> Any:
        if failures:
            raise failures.pop()
        return accept(self)

    async with trio.open_nursery() as nursery:
        server = await nursery.start(make_app().serve, "127.0.0.1", 0)
        monkeypatch.setattr(socket.socket, "accept", failing)
        wire = await connect_tcp(server)
        assert (await ask(wire)).status == 200
        await wire.stream.aclose()
        server.shutdown()


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


# HTTP/1.1


@pytest.fixture
async def target(request: pytest.FixtureRequest) -> AsyncIterator[Served]:
    async with served(make_app()) as target:
        yield target


async def test_a_connection_is_kept_for_further_requests(target: Served, autojump_clock: MockClock) -> None:
    wire = target.connect()
    for _ in range(3):
        response = await ask(wire)
        assert response.body == b"hello"
        assert "connection" not in response.headers
    await wire.stream.aclose()


async def test_connection_close_is_answered_in_kind(target: Served, autojump_clock: MockClock) -> None:
    wire = target.connect()
    response = await ask(wire, get("/", "Connection: close"))
    assert response.headers["connection"] == "close"
    await wire.read_end()
    await wire.stream.aclose()


async def test_every_response_has_a_date(target: Served, autojump_clock: MockClock) -> None:
    wire = target.connect()
    date = (await ask(wire)).headers["date"]
    assert re.fullmatch(r"\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT", date)
    await wire.stream.aclose()


async def test_pipelined_requests_are_answered_in_order(autojump_clock: MockClock) -> None:
    app = Triows(__name__)

    @app.route("/<int:seconds>")
    async def slow(seconds: int) -> str:
        await trio.sleep(seconds)
        return str(seconds)

    async with served(app) as target:
        wire = target.connect()
        await wire.send(b"".join(get(f"/{seconds}") for seconds in (3, 0, 2, 1)))
        assert [(await wire.read_response()).body for _ in range(4)] == [b"3", b"0", b"2", b"1"]
        await wire.stream.aclose()


async def test_a_body_and_the_next_request_are_told_apart(target: Served, autojump_clock: MockClock) -> None:
    wire = target.connect()
    await wire.send(post("/body", b"GET / one") + post("/body", b"two") + GET)
    assert [(await wire.read_response()).body for _ in range(3)] == [b"GET / one", b"two", b"hello"]
    await wire.stream.aclose()


@pytest.mark.parametrize("segments", [None, 100, 1])
async def test_a_chunked_body_arrives(target: Served, autojump_clock: MockClock, segments: int | None) -> None:
    wire = target.connect(segments)
    body = b"5\r\nhello\r\n1;name=value\r\n \r\nA\r\n0123456789\r\n0\r\nTrailer: x\r\n\r\n"
    for _ in range(2):
        response = await ask(wire, get("/body", "Transfer-Encoding: chunked", method="POST") + body)
        assert response.body == b"hello 0123456789"
    await wire.stream.aclose()


async def test_a_large_body_arrives(target: Served, autojump_clock: MockClock) -> None:
    wire = target.connect()
    body = bytes(range(256)) * 4000
    assert (await ask(wire, post("/body", body))).body == body
    assert (await ask(wire)).body == b"hello"
    await wire.stream.aclose()


def add_stream(app: Triows) -> None:
    @app.route("/stream")
    async def stream() -> Any:
        async def pieces() -> AsyncIterator[str]:
            for piece in ("one ", "", "two ", "three"):
                yield piece

        return pieces()


async def test_a_streamed_response_is_chunked_and_the_connection_kept(autojump_clock: MockClock) -> None:
    app = make_app()
    add_stream(app)
    async with served(app) as target:
        wire = target.connect()
        for _ in range(2):
            response = await ask(wire, get("/stream"))
            assert response.headers["transfer-encoding"] == "chunked"
            assert "content-length" not in response.headers
            assert response.body == b"one two three"
        await wire.stream.aclose()


async def test_http_1_0_is_answered_and_closed(target: Served, autojump_clock: MockClock) -> None:
    wire = target.connect()
    response = await ask(wire, get("/", version="1.0"))
    assert response.body == b"hello"
    assert response.headers["connection"] == "close"
    await wire.read_end()
    await wire.stream.aclose()


async def test_a_streamed_response_to_http_1_0_ends_with_the_connection(autojump_clock: MockClock) -> None:
    app = make_app()
    add_stream(app)
    async with served(app) as target:
        wire = target.connect()
        response = await ask(wire, get("/stream", version="1.0"))
        assert "transfer-encoding" not in response.headers
        assert response.body == b"one two three"
        await wire.read_end()
        await wire.stream.aclose()


async def test_head_gets_the_head_of_get(autojump_clock: MockClock) -> None:
    app = make_app()
    add_stream(app)
    async with served(app) as target:
        wire = target.connect()
        head, whole = await ask(wire, get(method="HEAD")), await ask(wire)
        assert head.body == b""
        assert head.headers["content-length"] == whole.headers["content-length"] == "5"
        streamed = await ask(wire, get("/stream", method="HEAD"))
        assert streamed.body == b""
        assert (await ask(wire)).body == b"hello"
        await wire.stream.aclose()


@pytest.mark.parametrize("status", [204, 304])
async def test_a_status_without_a_body_has_none(status: int, autojump_clock: MockClock) -> None:
    app = make_app()

    @app.route("/none")
    async def none() -> Any:
        return "", status

    async with served(app) as target:
        wire = target.connect()
        await wire.send(get("/none"))
        response = await wire.read_response(has_body=False)
        assert response.status == status
        assert "transfer-encoding" not in response.headers
        assert (await ask(wire)).body == b"hello"
        await wire.stream.aclose()


async def test_an_expected_100_continue_comes_when_the_body_is_read(target: Served, autojump_clock: MockClock) -> None:
    wire = target.connect()
    await wire.send(get("/body", "Content-Length: 5", "Expect: 100-continue", method="POST"))
    assert (await wire.read_head()).status == 100
    await wire.send(b"hello")
    assert (await wire.read_response()).body == b"hello"
    assert (await ask(wire)).status == 200
    await wire.stream.aclose()


async def test_a_body_that_nobody_reads_is_not_asked_for(target: Served, autojump_clock: MockClock) -> None:
    wire = target.connect()
    await wire.send(get("/unread", "Content-Length: 5", "Expect: 100-continue", method="POST"))
    response = await wire.read_response()
    assert (response.status, response.body) == (200, b"not read")
    await wire.read_end()
    await wire.stream.aclose()


async def test_a_small_body_that_nobody_read_is_passed_over(target: Served, autojump_clock: MockClock) -> None:
    wire = target.connect()
    assert (await ask(wire, post("/unread", b"x" * 10_000))).body == b"not read"
    assert (await ask(wire)).body == b"hello"
    await wire.stream.aclose()


async def test_a_large_body_that_nobody_read_ends_the_connection_after_the_response(
    target: Served, autojump_clock: MockClock
) -> None:
    wire = target.connect()
    response = await ask(wire, post("/unread", b"x" * 1_000_000))
    assert response.body == b"not read"
    await wire.read_end()
    await wire.stream.aclose()


async def test_a_response_that_fails_half_way_does_not_look_whole(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    app = Triows(__name__)

    @app.route("/")
    async def fails() -> Any:
        async def pieces() -> AsyncIterator[str]:
            yield "half"
            raise RuntimeError("no more")

        return pieces()

    async with served(app) as target:
        wire = target.connect()
        await wire.send(GET)
        assert b"0\r\n\r\n" not in await wire.read_rest()
        await wire.stream.aclose()
    assert "no more" in caplog.text


async def test_a_client_that_takes_nothing_of_a_response_times_out(autojump_clock: MockClock) -> None:
    app = Triows(__name__)
    seen: list[Any] = []

    @app.route("/")
    async def endless() -> Any:
        async def pieces() -> AsyncIterator[bytes]:
            try:
                while True:
                    yield bytes(10_000)
            finally:
                seen.append(request.disconnect)

        return pieces()

    async with trio.open_nursery() as nursery:
        server = Server(app)
        await nursery.start(server.run, [])
        mine, its = narrow_stream_pair()
        nursery.start_soon(server.serve_stream, its)
        await mine.send_all(GET)
        start = trio.current_time()
        await trio.sleep(100)
        assert [(end.code, end.kind) for end in seen] == [(1006, "timeout")]
        assert server.connections == 0
        assert trio.current_time() - start < 101
        await mine.aclose()
        server.shutdown()


# Time


async def test_a_client_that_sends_nothing_is_closed_at_the_head_timeout(
    target: Served, autojump_clock: MockClock
) -> None:
    start = trio.current_time()
    wire = target.connect()
    await wire.read_end()
    assert trio.current_time() - start == pytest.approx(10, abs=0.1)
    await wire.stream.aclose()


async def test_half_a_head_gets_408_at_the_head_timeout(target: Served, autojump_clock: MockClock) -> None:
    start = trio.current_time()
    wire = target.connect()
    await wire.send(GET[:20])
    response = await wire.read_response()
    assert trio.current_time() - start == pytest.approx(10, abs=0.1)
    assert response.status == 408
    assert response.headers["connection"] == "close"
    await wire.read_end()
    await wire.stream.aclose()


async def test_single_bytes_do_not_restart_the_head_timeout(target: Served, autojump_clock: MockClock) -> None:
    start = trio.current_time()
    wire = target.connect()
    for byte in GET[:-4]:
        if trio.current_time() - start >= 10:
            break
        await wire.send(bytes([byte]))
        await trio.sleep(0.5)
    assert (await wire.read_response()).status == 408
    assert trio.current_time() - start == pytest.approx(10, abs=0.6)
    await wire.stream.aclose()


async def test_an_idle_connection_is_closed_at_the_keep_alive_timeout(
    target: Served, autojump_clock: MockClock
) -> None:
    wire = target.connect()
    await trio.sleep(5)
    await ask(wire)
    start = trio.current_time()
    await wire.read_end()
    assert trio.current_time() - start == pytest.approx(60, abs=0.1)
    await wire.stream.aclose()


async def test_the_head_timeout_of_a_further_request_counts_from_its_first_byte(
    target: Served, autojump_clock: MockClock
) -> None:
    wire = target.connect()
    await ask(wire)
    await trio.sleep(50)
    await wire.send(GET[:20])
    start = trio.current_time()
    assert (await wire.read_response()).status == 408
    assert trio.current_time() - start == pytest.approx(10, abs=0.1)
    await wire.stream.aclose()


async def test_empty_lines_do_not_keep_an_idle_connection(target: Served, autojump_clock: MockClock) -> None:
    wire = target.connect()
    await ask(wire)
    start = trio.current_time()
    with pytest.raises((trio.BrokenResourceError, Gone)):
        for _ in range(100):
            await wire.send(b"\r\n")
            await trio.sleep(1)
    assert trio.current_time() - start < 65
    await wire.stream.aclose()


async def test_a_slow_handler_is_not_timed_out(autojump_clock: MockClock) -> None:
    app = Triows(__name__)

    @app.route("/")
    async def slow() -> str:
        await trio.sleep(1000)
        return "done"

    async with served(app) as target:
        wire = target.connect()
        assert (await ask(wire)).body == b"done"
        await wire.stream.aclose()


async def test_without_timeouts_nothing_is_closed(autojump_clock: MockClock) -> None:
    async with served(make_app(head_timeout=None, keep_alive_timeout=None)) as target:
        wire = target.connect()
        await trio.sleep(10_000)
        assert (await ask(wire)).status == 200
        await trio.sleep(10_000)
        assert (await ask(wire)).status == 200
        await wire.stream.aclose()


# Fairness


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", "2xx"),
        (b"GET /nowhere HTTP/1.1\r\nHost: x\r\n\r\n", "4xx"),
        (b"PUT / HTTP/1.1\r\nHost: x\r\n\r\n", "4xx"),
        (b"GET /hooked HTTP/1.1\r\nHost: x\r\n\r\n", "2xx"),
        (b"GET /folder HTTP/1.1\r\nHost: x\r\n\r\n", "3xx"),
        (b"OPTIONS / HTTP/1.1\r\nHost: x\r\n\r\n", "2xx"),
        (b"POST /nowhere HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\na", "4xx"),
        (b"POST /nowhere HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n", "4xx"),
    ],
)
async def test_requests_that_came_together_let_others_have_their_turn(request_: bytes, status: str) -> None:
    """At the latest after each: the other one here counts the answers between two turns of its own."""
    app = make_app()

    @app.before_request
    async def answer() -> str | None:
        return "hooked" if request.path == "/hooked" else None

    @app.get("/folder/")
    async def folder() -> str:
        return "here"

    count = 30_000 // len(request_)
    answered = most = 0
    async with served(app) as target:
        wire = target.connect()
        await wire.send(request_ * count)
        while answered < count:
            await trio.lowlevel.checkpoint()
            now = app.stats().requests[status]
            most = max(most, now - answered)
            answered = now
        await wire.stream.aclose()
    assert most <= 2  # the turns of one pass of the scheduler come in any order


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
