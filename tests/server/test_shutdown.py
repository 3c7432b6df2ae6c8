"""Shutdown: under load in a process of its own, and its rules one by one on a virtual clock.

Tests triows/server/serving.py and triows/server/process/runner.py.
"""

from __future__ import annotations

import os
import resource
import signal
import socket
import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from triows import Triows, websocket
from triows.server.listeners import open_listeners
from triows.server.serving import Server

from ..support import tls
from ..support.commands import APP, Command, certificate, command, write
from ..support.http import GET
from ..support.served import served as serving
from ..support.wire import CLOSE, TEXT, Gone, Wire, close_frame, frame, upgrade

SHUTDOWN_TIMEOUT = 10  # seconds of the busy app's clock

# What is in flight waits for the shutdown to begin, which a websocket's handler hears of. The clock of the process
# stands still, however slow the machine is, until SIGUSR1 lets shutdown_timeout pass.
BUSY_APP = f"""
import signal
from functools import partial
import trio
from triows import Triows, websocket


class StandingClock(trio.abc.Clock):
    now = 0.0

    def start_clock(self):
        pass

    def current_time(self):
        return self.now

    def deadline_to_sleep_time(self, deadline):
        return 0 if deadline <= self.now else 3600

    def jump(self, *_):
        self.now += {SHUTDOWN_TIMEOUT}


clock = StandingClock()
signal.signal(signal.SIGUSR1, clock.jump)
trio.run = partial(trio.run, clock=clock)
app = Triows(__name__, shutdown_timeout={SHUTDOWN_TIMEOUT}, stall_timeout=None)  # a busy machine stalls too
stopping = trio.Event()
in_flight = running = 0


@app.lifespan
async def life():
    yield
    print("lifespan ended", flush=True)


@app.before_serving
async def start():
    app.nursery.start_soon(background)


async def background():
    try:
        await trio.sleep_forever()
    finally:
        print("background ended,", running, "handlers left", flush=True)


def count(number):
    global running
    running += number


@app.websocket("/echo")
async def echo():
    count(1)
    try:
        async for message in websocket:
            await websocket.send(message)
    finally:
        stopping.set()
        count(-1)


@app.websocket("/stalled")
async def stalled():
    count(1)
    try:
        while True:
            await websocket.send(bytes(65536))
    finally:
        count(-1)


@app.post("/slow")
async def slow():
    global in_flight
    in_flight += 1
    if in_flight == 20:
        print("all in flight", flush=True)
    await stopping.wait()
    return "x" * 100_000


@app.get("/stream")
async def stream():
    async def pieces():
        yield "begun,"
        await stopping.wait()
        for number in range(3):
            await trio.lowlevel.checkpoint()
            yield str(number)
    return pieces()


@app.get("/endless")
async def endless():
    async def pieces():
        while True:
            yield "more"
            await trio.sleep(0.1)
    return pieces()
"""


@pytest.fixture
def _many_descriptors() -> Iterator[None]:
    """As many open files as the system allows, here and in the processes that are started."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@dataclass
class Crowd:
    """Clients of all kinds of one server, and what became of them."""

    port: int
    ssl_context: ssl.SSLContext | None
    closed: list[tuple[int, str]] = field(default_factory=list)
    ready: int = 0
    all_ready: trio.Event = field(default_factory=trio.Event)

    async def connect(self, buffer: int | None = None) -> Wire:
        sock = trio.socket.socket()
        if buffer is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
        await sock.connect(("127.0.0.1", self.port))
        stream: trio.abc.Stream = trio.SocketStream(sock)
        if self.ssl_context is not None:
            stream = trio.SSLStream(stream, self.ssl_context, server_hostname="localhost", https_compatible=True)
        return Wire(stream)

    async def websocket(self, path: str, buffer: int | None = None) -> Wire:
        wire = await self.connect(buffer)
        await wire.send(upgrade(path))
        assert (await wire.read_response()).status == 101
        return wire

    async def expect_close(self, wire: Wire) -> None:
        self.closed.append(await wire.read_close())

    async def idle(self, wire: Wire) -> None:
        async with wire.stream:
            await self.expect_close(wire)
            await wire.send(close_frame(1001))
            await wire.read_end()

    async def silent(self, wire: Wire, task_status: trio.TaskStatus[None]) -> None:
        """Do not answer the Close frame; started when it has come."""
        async with wire.stream:
            await self.expect_close(wire)
            task_status.started()
            await wire.read_end()

    async def busy(self) -> None:
        """Ask and wait for the answer, all the time: each comes, whole and in order, until the Close frame."""
        wire = await self.websocket("/echo")
        async with wire.stream:
            number = 0
            while True:
                await wire.send(frame(TEXT, b"%d" % number))
                opcode, payload = await wire.read_frame()
                if opcode == CLOSE:
                    break
                assert payload == b"%d" % number
                number += 1
                if number == 10:
                    self.is_ready()
            self.closed.append((int.from_bytes(payload[:2], "big"), payload[2:].decode()))
            await wire.send(close_frame(1001))
            await wire.read_end()

    async def talking(self) -> None:
        """Send without waiting for anything, also after the Close frame came: it is not lost to a reset."""
        wire = await self.websocket("/echo")
        async with wire.stream, trio.open_nursery() as nursery:
            nursery.start_soon(self._talk, wire)
            number = 0
            while (received := await wire.read_frame())[0] == TEXT:
                assert received[1] == b"%d" % number
                number += 1
                if number == 10:
                    self.is_ready()
            assert received[0] == CLOSE
            self.closed.append((int.from_bytes(received[1][:2], "big"), received[1][2:].decode()))
            await trio.sleep(0.05)
            nursery.cancel_scope.cancel()
        await trio.aclose_forcefully(wire.stream)

    async def _talk(self, wire: Wire) -> None:
        number = 0
        while True:
            await wire.send(frame(TEXT, b"%d" % number))
            number += 1
            await trio.sleep(0.002)

    async def request(self) -> None:
        wire = await self.connect()
        async with wire.stream:
            await wire.send(b"POST /slow HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\n\r\nbody")
            response = await wire.read_response()
            assert (response.status, len(response.body)) == (200, 100_000)
            assert response.headers["connection"] == "close"
            await wire.read_end()

    async def stream(self) -> None:
        wire = await self.connect()
        async with wire.stream:
            await wire.send(b"GET /stream HTTP/1.1\r\nHost: localhost\r\n\r\n")
            self.is_ready()
            assert (await wire.read_response()).body == b"begun,012"
            await wire.read_end()

    async def endless(self) -> None:
        """It is cut off, and does not look whole."""
        wire = await self.connect()
        async with wire.stream:
            await wire.send(b"GET /endless HTTP/1.1\r\nHost: localhost\r\n\r\n")
            self.is_ready()
            with pytest.raises(Gone):
                await wire.read_response()

    def is_ready(self) -> None:
        self.ready -= 1
        if self.ready == 0:
            self.all_ready.set()


async def _shut_down_under_load(
    served: Command, port: int, ssl_context: ssl.SSLContext | None, idle: int, busy: int, stalled: int
) -> None:
    """With ``stalled`` clients there are others too that take all of the time.

    The others have ended before any of it has passed.
    """
    crowd = Crowd(port, ssl_context, ready=2 * (busy // 2) + 1 + bool(stalled))
    idlers = [await crowd.websocket("/echo") for _ in range(idle)]
    deaf = [await crowd.websocket("/stalled", buffer=4096) for _ in range(stalled)]
    async with trio.open_nursery() as cut_off:
        async with trio.open_nursery() as in_order:
            for number, wire in enumerate(idlers):
                if stalled and number % 10 == 0:
                    in_order.start_soon(cut_off.start, crowd.silent, wire)
                else:
                    in_order.start_soon(crowd.idle, wire)
            for _ in range(busy // 2):
                in_order.start_soon(crowd.busy)
                in_order.start_soon(crowd.talking)
            for _ in range(20):
                in_order.start_soon(crowd.request)
            in_order.start_soon(crowd.stream)
            if stalled:
                cut_off.start_soon(crowd.endless)
            assert await served.line() == "all in flight"
            await crowd.all_ready.wait()
            served.process.send_signal(signal.SIGTERM)
        if stalled:
            assert served.process.poll() is None
            served.process.send_signal(signal.SIGUSR1)
        assert (await served.errors(), await served.process.wait()) == ("", 0)
    assert crowd.closed == [(1001, "")] * (idle + 2 * (busy // 2))
    said = await served.line()
    assert said.startswith("Stopping: waiting for ")
    while said.startswith(("Stopping: ", "Still waiting ")):
        said = await served.line()
    assert [said, await served.line()] == ["background ended, 0 handlers left", "lifespan ended"]
    for wire in deaf:
        await trio.aclose_forcefully(wire.stream)


@pytest.mark.usefixtures("_many_descriptors")
async def test_under_load_everybody_gets_an_orderly_end_in_time(tmp_path: Path) -> None:
    async with command(write(tmp_path / "busy.py", BUSY_APP), "--no-access-log") as served:
        _, port = await served.address()
        await _shut_down_under_load(served, port, None, idle=1000, busy=100, stalled=10)


async def test_under_load_over_tls_everybody_gets_an_orderly_end_in_time(tmp_path: Path) -> None:
    certfile, keyfile, authority = certificate(tmp_path)
    context = tls.client_context(authority)
    options = ("--certfile", certfile, "--keyfile", keyfile, "--no-access-log")
    async with command(write(tmp_path / "busy.py", BUSY_APP), *options) as served:
        _, port = await served.address()
        await _shut_down_under_load(served, port, context, idle=30, busy=20, stalled=0)


# Signals


async def test_a_signal_during_start_up_ends_it_in_order(tmp_path: Path) -> None:
    slow = APP + (
        "\nimport trio\n"
        "@app.lifespan\n"
        "async def life():\n"
        "    print('starting', flush=True)\n"
        "    try:\n"
        "        await trio.sleep_forever()\n"
        "        yield\n"
        "    finally:\n"
        "        print('cleaned up', flush=True)\n"
    )
    async with command(write(tmp_path / "app.py", slow)) as served:
        assert await served.line() == "starting"
        assert await served.end(signal.SIGTERM) == (0, "")
        assert await served.line() == "cleaned up"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_a_second_signal_ends_it_also_while_a_handler_holds_the_event_loop(
    number: signal.Signals, tmp_path: Path
) -> None:
    text = APP.replace("Triows(__name__)", "Triows(__name__, shutdown_timeout=None)")
    held = text + "\n@app.before_serving\nasync def hold():\n    print('held', flush=True)\n    while True: pass\n"
    async with command(write(tmp_path / "app.py", held)) as served:
        assert await served.line() == "held"
        while served.process.poll() is None:
            served.process.send_signal(number)  # two that come at once are one
            await trio.sleep(0.02)
        assert served.process.returncode == 128 + number


async def test_a_hangup_ends_it_as_it_ends_any_program(tmp_path: Path) -> None:
    async with command(write(tmp_path / "app.py")) as served:
        await served.address()
        code, _ = await served.end(signal.SIGHUP)
        assert code == -signal.SIGHUP


# Clients whose first request is on its way


def make_app(**limits: Any) -> Triows:
    app = Triows(__name__, **limits)

    @app.get("/")
    async def index() -> str:
        return "hello"

    @app.get("/slow")
    async def slow() -> str:
        await trio.sleep(1000)
        return "done"

    @app.websocket("/echo")
    async def echo() -> None:
        async for message in websocket:
            await websocket.send(message)

    return app


async def expect_last_response(wire: Wire) -> None:
    response = await wire.read_response()
    assert (response.status, response.headers["connection"]) == (200, "close")
    await wire.read_end()
    await wire.stream.aclose()


@pytest.mark.parametrize("sent_before", [0, 1, 10, len(GET) - 1])
async def test_a_first_request_that_comes_soon_after_the_shutdown_began_is_answered(
    sent_before: int, autojump_clock: MockClock
) -> None:
    async with serving(make_app()) as target:
        wire = target.connect()
        await wire.send(GET[:sent_before])
        await wait_all_tasks_blocked()
        target.server.shutdown()
        await trio.sleep(0.4)
        await wire.send(GET[sent_before:])
        await expect_last_response(wire)


async def test_the_rest_of_a_further_request_is_waited_for_too(autojump_clock: MockClock) -> None:
    async with serving(make_app()) as target:
        wire = target.connect()
        await wire.send(GET + GET[:10])
        assert (await wire.read_response()).status == 200
        await wait_all_tasks_blocked()
        target.server.shutdown()
        await trio.sleep(0.4)
        await wire.send(GET[10:])
        await expect_last_response(wire)


@pytest.mark.parametrize("limits", [{}, {"head_timeout": None}, {"head_timeout": 0.2}])
async def test_a_request_that_does_not_come_is_waited_for_half_a_second_at_most(
    limits: dict[str, Any], autojump_clock: MockClock
) -> None:
    async with serving(make_app(**limits)) as target:
        fresh, half = target.connect(), target.connect()
        await half.send(GET[:10])
        await wait_all_tasks_blocked()
        start = trio.current_time()
        target.server.shutdown()
        for wire in (fresh, half):
            await wire.read_end()
            await wire.stream.aclose()
        assert trio.current_time() - start == pytest.approx(limits.get("head_timeout") or 0.5, abs=0.01)


async def test_a_handshake_that_comes_after_the_shutdown_began_is_accepted_and_closed(
    autojump_clock: MockClock,
) -> None:
    async with serving(make_app()) as target:
        wire = target.connect()
        await wait_all_tasks_blocked()
        target.server.shutdown()
        await wire.handshake("/echo")
        assert await wire.read_close() == (1001, "")
        await wire.stream.aclose()


async def test_a_client_that_goes_on_sending_after_its_last_response_does_not_hold_up_the_shutdown(
    autojump_clock: MockClock,
) -> None:
    app, may_answer = make_app(), trio.Event()

    @app.post("/")
    async def not_read() -> tuple[str, int]:
        await may_answer.wait()
        return "no", 403

    async with serving(app) as target:
        wire = target.connect()
        await wire.send(b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000\r\n\r\n")
        await wait_all_tasks_blocked()
        start = trio.current_time()
        target.server.shutdown()
        may_answer.set()
        assert (await wire.read_response()).status == 403
        with pytest.raises(trio.BrokenResourceError):
            while True:
                await wire.send(b"x")
                await trio.sleep(0.5)
        assert trio.current_time() - start == pytest.approx(2.5, abs=0.1)


# What has arrived, but was not looked at yet


@asynccontextmanager
async def unseen(use_reactor: bool = True) -> AsyncIterator[tuple[Server, trio.CancelScope, Wire]]:
    """A server, the scope that it runs in, and a client that has connected without letting the server run."""
    server, scope = Server(make_app(), use_reactor=use_reactor), trio.CancelScope()
    listeners = await open_listeners("127.0.0.1", 0)

    async def run(task_status: trio.TaskStatus[Server]) -> None:
        with scope:
            await server.run(listeners, task_status)

    with trio.fail_after(30):
        async with trio.open_nursery() as nursery:
            await nursery.start(run)
            sock = socket.create_connection(("127.0.0.1", server.port))
            sock.setblocking(False)
            async with trio.SocketStream(trio.socket.from_stdlib_socket(sock)) as stream:
                yield server, scope, Wire(stream)


def send_and_cancel(scope: trio.CancelScope, wire: Wire, data: bytes) -> None:
    assert os.write(wire.stream.socket.fileno(), data) == len(data)
    scope.cancel()


async def expect_answer(wire: Wire) -> None:
    """A response, and the end behind it. It need not announce that: it may have been on its way already."""
    assert (await wire.read_response()).status == 200
    await wire.read_end()
    await wire.stream.aclose()


@pytest.mark.parametrize("use_reactor", [True, False], ids=["reactor", "tasks"])
async def test_a_client_that_has_connected_but_was_not_accepted_yet_is_served(use_reactor: bool) -> None:
    async with unseen(use_reactor) as (server, scope, wire):
        assert server.connections == 0
        send_and_cancel(scope, wire, GET)
        await expect_answer(wire)


async def test_a_request_that_has_arrived_on_a_kept_connection_is_answered() -> None:
    async with unseen() as (_, scope, wire):
        await wire.send(GET)
        assert (await wire.read_response()).status == 200
        send_and_cancel(scope, wire, GET)
        await expect_answer(wire)


@pytest.mark.parametrize("asked", [0, 1], ids=["before its first request", "after a response"])
async def test_an_idle_client_that_stays_connected_does_not_hold_it_up(asked: int, autojump_clock: MockClock) -> None:
    async with unseen() as (server, scope, wire):
        for _ in range(asked):
            await wire.send(GET)
            assert (await wire.read_response()).status == 200
        await wait_all_tasks_blocked()
        assert server.connections == 1
        start = trio.current_time()
        scope.cancel()
        await wire.read_end()
        while server.connections:
            await trio.sleep(0.1)
        assert trio.current_time() - start < 1


async def test_a_websocket_message_that_has_arrived_is_answered() -> None:
    async with unseen() as (_, scope, wire):
        await wire.handshake("/echo")
        send_and_cancel(scope, wire, frame(TEXT, b"just in time"))
        assert await wire.read_text() == "just in time"
        assert await wire.read_close() == (1001, "")


async def test_a_client_in_its_tls_handshake_is_served_after_it(tmp_path: Path) -> None:
    certfile, keyfile, authority = certificate(tmp_path)
    server_context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    server_context.load_cert_chain(certfile, keyfile)
    context = tls.client_context(authority)
    async with trio.open_nursery() as nursery:
        server = await nursery.start(
            lambda task_status: make_app().serve(port=0, ssl_context=server_context, task_status=task_status)
        )
        stream = await trio.open_tcp_stream("127.0.0.1", server.port)
        while not server.connections:
            await trio.lowlevel.checkpoint()
        server.shutdown()
        wire = Wire(trio.SSLStream(stream, context, server_hostname="localhost", https_compatible=True))
        await wire.send(GET)
        await expect_last_response(wire)


# How long it may take


async def test_without_a_shutdown_timeout_everything_is_waited_for(autojump_clock: MockClock) -> None:
    async with serving(make_app(shutdown_timeout=None)) as target:
        wire = target.connect()
        await wire.send(GET.replace(b"/ ", b"/slow "))
        await wait_all_tasks_blocked()
        target.server.shutdown()
        await expect_last_response(wire)


async def test_a_stream_that_is_handed_over_during_the_shutdown_does_not_hold_it_up(autojump_clock: MockClock) -> None:
    async with serving(make_app(shutdown_timeout=5000)) as target:
        slow = target.connect()
        await slow.send(GET.replace(b"/ ", b"/slow "))
        await wait_all_tasks_blocked()
        target.server.shutdown()
        await wait_all_tasks_blocked()
        late = target.connect()
        await late.send(GET)
        await expect_last_response(late)
        await expect_last_response(slow)
        ended = trio.current_time()
    assert trio.current_time() - ended < 10


async def test_a_client_that_does_not_answer_the_close_frame_is_left_after_close_timeout(
    autojump_clock: MockClock,
) -> None:
    async with serving(make_app(close_timeout=3)) as target:
        silent, talking = target.connect(), target.connect()
        for wire in (silent, talking):
            await wire.handshake("/echo")
        start = trio.current_time()
        target.server.shutdown()
        for wire in (silent, talking):
            assert await wire.read_close() == (1001, "")
        assert trio.current_time() == start
        await talking.send_text("too late")
        for wire in (silent, talking):
            await wire.read_end()
            await wire.stream.aclose()
        assert trio.current_time() - start == pytest.approx(3)
