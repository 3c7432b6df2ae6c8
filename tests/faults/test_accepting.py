"""What may go wrong before a client is a connection: it costs that client at most."""

from __future__ import annotations

import errno
import os
import re
import select
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from triows.server.serving import Server

from ..support.http import get
from ..support.records import error_log, lines
from ..support.wire import Wire, frame, upgrade
from .conftest import Mode, Target, make_app, target_of

GET = get("/", "Connection: close")


def failing_once(number: int, function: Callable[..., Any]) -> Callable[..., Any]:
    """The function, which at its first call takes a client off the queue and fails all the same."""
    failed = False

    def call(self: Any, *args: Any) -> Any:
        nonlocal failed
        if failed:
            return function(self, *args)
        failed = True
        raise OSError(number, os.strerror(number))

    return call


# The errors of accept(2) that say nothing about the listener, "Error handling" and "ERRORS" there.
@pytest.mark.parametrize(
    "name",
    [
        "ECONNABORTED",
        "ECONNRESET",
        "EHOSTDOWN",
        "EHOSTUNREACH",
        "ENETDOWN",
        "ENETUNREACH",
        "ENONET",
        "ENOPROTOOPT",
        "EOPNOTSUPP",
        "EPERM",
        "EPROTO",
        "ETIMEDOUT",
    ],
)
async def test_an_error_of_one_client_is_passed_over_in_silence(
    name: str,
    modes: dict[str, Mode],
    monkeypatch: pytest.MonkeyPatch,
    quiet: None,
) -> None:
    async with target_of(modes["reactor"]) as target:
        with monkeypatch.context() as patch:
            patch.setattr(socket.socket, "accept", failing_once(getattr(errno, name), socket.socket.accept))
            await target.serves()


@pytest.mark.parametrize("name", ["EMFILE", "ENFILE", "ENOBUFS", "ENOMEM", "ENOSR", "EIO"])
async def test_an_error_of_the_system_is_logged_and_waited_for(
    name: str, modes: dict[str, Mode], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    number = getattr(errno, name)
    async with target_of(modes["reactor"]) as target:
        with monkeypatch.context() as patch:
            patch.setattr(socket.socket, "accept", failing_once(number, socket.socket.accept))
            await target.serves()
    assert lines(error_log(caplog)) == [f"cannot accept clients ({os.strerror(number)}); trying on"]


@pytest.mark.parametrize("name", ["EMFILE", "ECONNABORTED"])
async def test_listeners_of_any_kind_get_over_the_same_errors(name: str, autojump_clock: MockClock) -> None:
    class Listener(trio.abc.Listener[trio.abc.Stream]):
        failures = 3

        async def accept(self) -> trio.abc.Stream:
            await trio.lowlevel.checkpoint()
            if self.failures:
                self.failures -= 1
                raise OSError(getattr(errno, name), "failed")
            return await receive.receive()

        async def aclose(self) -> None:
            await trio.lowlevel.checkpoint()

    send, receive = trio.open_memory_channel[trio.abc.Stream](1)
    async with trio.open_nursery() as nursery:
        server = Server(make_app([]))
        await nursery.start(server.run, [Listener()])
        mine, its = trio.testing.memory_stream_pair()
        await send.send(its)
        await mine.send_all(GET)
        assert (await Wire(mine).read_response()).body == b"hello"
        await mine.aclose()
        server.shutdown()


async def test_a_listener_that_somebody_has_shut_down_ends_the_server_in_order(modes: dict[str, Mode]) -> None:
    app = make_app([])
    with pytest.RaisesGroup(
        pytest.RaisesExc(OSError, check=lambda error: error.errno == errno.EINVAL), flatten_subgroups=True
    ):
        async with trio.open_nursery() as nursery:
            (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
            server = await nursery.start(app.serve_listeners, [listener])
            client = Wire(await trio.open_tcp_stream("127.0.0.1", server.port))
            await client.handshake("/echo")
            with trio.CancelScope(shield=True):
                listener.socket.shutdown(socket.SHUT_RDWR)
                assert await client.read_close() == (1001, "")
                await client.stream.aclose()


@pytest.mark.parametrize("number", [errno.ENOTCONN, errno.ENOSPC], ids=errno.errorcode.get)
async def test_a_client_that_cannot_be_watched_is_let_go_and_no_other(
    number: int, modes: dict[str, Mode], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """As if the limit of what epoll may watch (fs.epoll.max_user_watches) were reached, or the client gone by then."""
    async with target_of(modes["reactor"]) as target:
        assert target.server._reactor is not None

        class Full:
            def __init__(self, epoll: select.epoll) -> None:
                self.epoll = epoll
                self.failed = False

            def register(self, *args: Any) -> None:
                if not self.failed:
                    self.failed = True
                    raise OSError(number, os.strerror(number))
                self.epoll.register(*args)

            def __getattr__(self, name: str) -> Any:
                return getattr(self.epoll, name)

        monkeypatch.setattr(target.server._reactor, "_epoll", Full(target.server._reactor._epoll))
        client = await target.connect()
        assert await client.read_rest() == b""
        await client.vanish()
        await target.serves()
    logged = lines(error_log(caplog))
    assert logged == ([] if number == errno.ENOTCONN else [f"cannot accept clients ({os.strerror(number)}); trying on"])


async def test_a_client_whose_address_cannot_be_asked_for_any_more_costs_nothing(
    modes: dict[str, Mode], monkeypatch: pytest.MonkeyPatch, quiet: None
) -> None:
    app = make_app([])
    listeners = await trio.open_tcp_listeners(0, host="0.0.0.0")
    async with trio.open_nursery() as nursery:
        server = Server(app)
        await nursery.start(server.run, listeners)
        await wait_all_tasks_blocked()
        target = Target(server, modes["reactor"], app)
        with monkeypatch.context() as patch:
            patch.setattr(socket.socket, "getsockname", failing_once(errno.EINVAL, socket.socket.getsockname))
            client = await trio.open_tcp_stream("127.0.0.1", server.addresses[0][1])  # type: ignore[arg-type]
            with pytest.raises(trio.BrokenResourceError):
                await client.send_all(GET)
                while await client.receive_some():
                    pass
                raise trio.BrokenResourceError
            await client.aclose()
        await target.serves()
        server.shutdown()


_PROGRAM = """
import resource, time
import trio
from triows import Triows, websocket

app = Triows("few")

@app.websocket("/ws")
async def echo():
    async for message in websocket:
        await websocket.send(f"{time.process_time()}")

resource.setrlimit(resource.RLIMIT_NOFILE, (40, 40))
app.run(port=0, access_log=False)
"""


def test_without_descriptors_existing_clients_are_served_and_new_ones_when_there_are_some_again(tmp_path: Path) -> None:
    program = tmp_path / "few.py"
    program.write_text(_PROGRAM)
    with subprocess.Popen(
        [sys.executable, str(program)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stderr is not None
            port = int(process.stdout.readline().split()[2].rpartition(":")[2])
            first = connect(port)
            others = [socket.create_connection(("127.0.0.1", port), 30) for _ in range(60)]
            complaint = process.stderr.readline()
            before = ask(first)
            # Ten rounds of trying again: a server that tried without a pause would take all of the time.
            select.select([], [], [], 1.0)
            assert ask(first) - before < 0.5
            for other in others:
                other.close()
            with connect(port) as again:
                ask(again)
            first.close()
        finally:
            process.terminate()
        rest = process.stderr.read()
    assert re.search(r"ERROR triows.error: cannot accept clients \(Too many open files\); trying on$", complaint)
    assert rest.count("cannot accept clients") <= 2
    assert "Traceback" not in rest
    assert process.returncode == 0


def connect(port: int) -> socket.socket:
    client = socket.create_connection(("127.0.0.1", port), 30)
    client.sendall(upgrade("/ws"))
    received = b""
    while not received.endswith(b"\r\n\r\n"):
        received += client.recv(1)
    return client


def ask(client: socket.socket) -> float:
    """The processor time that the server has taken so far."""
    client.sendall(frame(1, b"?"))
    return float(client.recv(100)[2:])
