"""Restarting without downtime: a new process takes over from an old one while clients come, talk and come back.

Tests triows/server/process/runner.py and triows/server/listeners.py.
"""

from __future__ import annotations

import signal
import socket
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import trio

from ...support.commands import command, write
from ...support.wire import CLOSE, TEXT, Wire, close_frame, frame, upgrade

APP = """
import os
from triows import Triows, websocket

app = Triows(__name__, shutdown_timeout=5)


@app.get("/")
async def index():
    return str(os.getpid())


@app.websocket("/ws")
async def ws():
    async for message in websocket:
        await websocket.send(f"{message} {os.getpid()}")
"""

# What systemd does: the sockets begin at descriptor 3, and the variables name the process.
AS_SYSTEMD = """
import os, sys
fd, *command = sys.argv[1:]
os.dup2(int(fd), 3)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS="1", LISTEN_FDNAMES="web")
os.execv(command[0], command)
"""


class Clients:
    """Clients that never rest. Each connect() must succeed, each request be answered, each websocket be closed well."""

    def __init__(self, connect: Callable[[], Any]) -> None:
        self._connect = connect
        self.answers: Counter[int] = Counter()  # by the process that gave them
        self.farewells: Counter[int] = Counter()
        self.talking = 0  # websockets that have had an answer
        self._met = trio.Condition()

    async def request(self) -> None:
        """A connection for each request."""
        while True:
            async with await self._connect() as stream:
                wire = Wire(stream)
                await wire.send(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
                response = await wire.read_response()
                assert response.status == 200
                await self._count(int(response.body))

    async def talk(self) -> None:
        """A websocket for as long as the server has it."""
        while True:
            async with await self._connect() as stream:
                wire = Wire(stream)
                await wire.send(upgrade("/ws"))
                response = await wire.read_response()
                assert response.status == 101
                number = process = 0
                while True:
                    await wire.send(frame(TEXT, b"%d" % number))
                    opcode, payload = await wire.read_frame()
                    if opcode == CLOSE:
                        break
                    echoed, process = map(int, payload.split())
                    assert echoed == number
                    number += 1
                    self.talking += number == 1
                    await self._count(process)
                assert payload == b"\x03\xe9"
                self.farewells[process] += 1
                await wire.send(close_frame(1001))
                await wire.read_end()

    async def _count(self, process: int) -> None:
        self.answers[process] += 1
        async with self._met:
            self._met.notify_all()

    async def hear_from(self, process: int, times: int = 30) -> None:
        target = self.answers[process] + times
        async with self._met:
            while self.answers[process] < target:
                await self._met.wait()


async def _replace(place: str, connect: Callable[[], Any], **options: Any) -> Clients:
    """Run a server, have a second one take over, end the first."""
    clients = Clients(connect)
    async with command(place, "--no-access-log", **options) as old, trio.open_nursery() as nursery:
        await old.line()
        for _ in range(5):
            nursery.start_soon(clients.request)
            nursery.start_soon(clients.talk)
        while clients.talking < 5:
            await clients.hear_from(old.process.pid)
        async with command(place, "--no-access-log", **options) as new:
            await new.line()
            assert await old.end(signal.SIGTERM) == (0, "")
            before = clients.answers[old.process.pid]
            await clients.hear_from(new.process.pid, 100)
            assert clients.answers[old.process.pid] == before
            nursery.cancel_scope.cancel()
    assert clients.farewells[old.process.pid] == 5
    return clients


@pytest.fixture
def listening() -> Iterator[socket.socket]:
    """A socket as the parent of both processes holds it."""
    with socket.create_server(("127.0.0.1", 0), backlog=1024) as sock:
        yield sock


async def test_no_client_is_refused_when_a_new_process_takes_an_inherited_socket_over(
    listening: socket.socket, tmp_path: Path
) -> None:
    fd = listening.fileno()
    port = listening.getsockname()[1]
    await _replace(
        write(tmp_path / "app.py", APP),
        lambda: trio.open_tcp_stream("127.0.0.1", port),
        address=("--fd", str(fd)),
        fds=[fd],
    )


async def test_no_client_is_refused_when_systemd_restarts_the_service_on_its_unix_socket(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    with socket.create_server(str(path), family=socket.AF_UNIX, backlog=1024) as listening:
        fd = listening.fileno()
        await _replace(
            write(tmp_path / "app.py", APP),
            lambda: trio.open_unix_socket(path),
            address=(),
            fds=[fd],
            wrapper=(sys.executable, "-c", AS_SYSTEMD, str(fd)),
        )
        assert path.is_socket()


async def test_who_connects_while_no_process_is_there_is_served_by_the_next(
    listening: socket.socket, tmp_path: Path
) -> None:
    """As with ``systemctl restart``: the old process is gone before the new one is there."""
    place = write(tmp_path / "app.py", APP)
    fd = listening.fileno()
    options: Any = {"address": ("--fd", str(fd)), "fds": [fd]}
    async with command(place, **options) as old:
        await old.line()
        code, _ = await old.end(signal.SIGTERM)
        assert code == 0
    async with await trio.open_tcp_stream(*listening.getsockname()) as stream:
        wire = Wire(stream)
        await wire.send(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        async with command(place, **options) as new:
            await new.line()
            assert (await wire.read_response()).body == b"%d" % new.process.pid
            await stream.aclose()


async def test_systemd_is_told_when_the_service_serves_and_when_it_stops(tmp_path: Path) -> None:
    name = tmp_path / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(name))
        manager.setblocking(False)
        place = write(tmp_path / "app.py", APP)
        async with command(place, NOTIFY_SOCKET=str(name)) as served:
            await trio.lowlevel.wait_readable(manager)
            assert manager.recv(100) == b"READY=1\nMAINPID=%d" % served.process.pid
            await served.address()
            code, _ = await served.end(signal.SIGTERM)
            assert code == 0
            assert manager.recv(100) == b"STOPPING=1"
