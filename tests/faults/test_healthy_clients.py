"""Clients that do nothing wrong, busy or slow ones: none is cut off, however often each timeout passes.

The clock moves only where a test or one of its handlers moves it, so that a timer can fire at the worst moment: while
the server itself has put something off.
"""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from triows import request, websocket

from ..support.wire import BINARY, CLOSE, PING, PONG, TEXT, close_frame, frame
from .conftest import Client, Mode, Target, target_of

pytestmark = pytest.mark.usefixtures("quiet")

PING_TIMEOUTS = 40  # seconds, interval and timeout


@pytest.fixture
async def healthy(mode: Mode, mock_clock: MockClock) -> AsyncIterator[Target]:
    async with target_of(mode) as target:
        yield target
        while target.server.connections:
            mock_clock.jump(1)  # what is closed in order may linger
            await settle()


async def settle() -> None:
    """Let everything happen that can without the clock, also what the kernel has only begun."""
    for _ in range(3):
        await wait_all_tasks_blocked(0.001)


async def pass_time(clock: MockClock, seconds: float) -> None:
    for _ in range(int(seconds)):
        clock.jump(1)
        await wait_all_tasks_blocked()
    await settle()


def send_at_once(client: Client, data: bytes) -> None:
    """Send without a checkpoint."""
    if isinstance(client.stream, trio.SSLStream):
        client.stream._ssl_object.write(data)
        data = client.stream._outgoing.read()
    assert client.transport.socket._sock.send(data) == len(data)


class Reader:
    """Reads what a server sends, and answers its Pings, as fast as it comes."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.messages: list[bytes] = []
        self.code: int | None = None
        self._sending = trio.Lock()

    async def send(self, data: bytes) -> None:
        async with self._sending:
            await self.client.send(data)

    async def read(self) -> None:
        while self.code is None:
            opcode, payload = await self.client.read_frame()
            if opcode == PING:
                await self.send(frame(PONG, payload))
            elif opcode == CLOSE:
                self.code = int.from_bytes(payload[:2], "big")
            else:
                self.messages.append(payload)


def add_busy(target: Target, clock: MockClock) -> None:
    """An echo during which time passes in the middle of each burst, when answers have been put off to be joined."""

    @target.app.websocket("/busy")
    async def busy() -> None:
        try:
            count = 0
            async for message in websocket:
                await websocket.send(message)
                count += 1
                if count % 10 == 0:
                    clock.jump(0.9)  # less than what makes the server wait for the others first
                    await trio.sleep(0)
        finally:
            target.disconnects.append(websocket.disconnect)


@pytest.mark.parametrize("text", ["", "x" * 3000], ids=["small", "large"])
async def test_a_pipelining_client_that_reads_everything_stays(
    healthy: Target, mock_clock: MockClock, text: str
) -> None:
    add_busy(healthy, mock_clock)
    client = await healthy.connect()
    await client.handshake("/busy")
    reader = Reader(client)
    texts = [b"%d" % number + text.encode() for number in range(100)]
    burst = b"".join(frame(TEXT, one) for one in texts)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(reader.read)
        for number in range(40):
            await reader.send(burst)
            while len(reader.messages) < 100 * (number + 1):
                await trio.sleep(0)
        await reader.send(close_frame(1000))
    assert reader.messages == texts * 40
    assert reader.code == 1000
    await healthy.until_handlers_ended()
    assert healthy.kinds() == ["closed"]
    await client.vanish()


async def test_a_client_whose_messages_wait_for_a_slow_handler_stays(healthy: Target, mock_clock: MockClock) -> None:
    """Reading is paused for minutes, and with it the Pongs are unread; nothing of that is the client's doing."""
    handled: list[str] = []

    @healthy.app.websocket("/slow", receive_buffer=1000)
    async def slow() -> None:
        try:
            async for message in websocket:
                await trio.sleep(15)
                handled.append(message[:2])
        finally:
            healthy.disconnects.append(websocket.disconnect)

    client = await healthy.connect()
    await client.handshake("/slow")
    reader = Reader(client)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(reader.read)
        await reader.send(b"".join(frame(TEXT, b"%02d" % number + b"x" * 900) for number in range(20)))
        await pass_time(mock_clock, 20 * 15 + 1)
        assert handled == [f"{number:02}" for number in range(20)]
        assert healthy.disconnects == []
        await reader.send(close_frame(1000))
    await healthy.until_handlers_ended()
    assert healthy.kinds() == ["closed"]
    await client.vanish()


async def test_a_stream_of_events_far_between_goes_on(healthy: Target, mock_clock: MockClock) -> None:
    @healthy.app.route("/events")
    async def events() -> AsyncIterator[str]:
        try:
            while True:
                yield "data: still here\n\n"
                await trio.sleep(100)
        finally:
            healthy.disconnects.append(request.disconnect)

    client = await healthy.connect()
    await client.send(b"GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n")
    await client.read_head()
    for _ in range(5):
        assert b"still here" in await client.read(24)
        await pass_time(mock_clock, 100)
        assert healthy.disconnects == []
    await client.reset()
    await healthy.until_handlers_ended()
    assert healthy.kinds() == ["lost"]


async def test_an_idle_client_that_answers_pings_stays(healthy: Target, mock_clock: MockClock) -> None:
    client = await healthy.connect()
    await client.handshake("/ws")
    reader = Reader(client)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(reader.read)
        await pass_time(mock_clock, 10 * PING_TIMEOUTS)
        assert healthy.disconnects == []
        await reader.send(close_frame(1000))
    assert reader.code == 1000
    await healthy.until_handlers_ended()
    assert healthy.kinds() == ["closed"]
    await client.vanish()


async def narrow(target: Target) -> Client:
    """A client whose system takes little that the client has not read."""
    client = await target.connect()
    client.transport.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
    return client


async def test_a_client_that_reads_slowly_stays(healthy: Target, mock_clock: MockClock) -> None:
    """It takes some all the time, but for the system to take more of the server's it would have to take a lot."""
    client = await narrow(healthy)
    await client.handshake("/push")
    await settle()
    for _ in range(60):
        await pass_time(mock_clock, 5)
        for _ in range(6):
            opcode, payload = await client.read_frame()
            if opcode == PING:
                await client.send(frame(PONG, payload))
            else:
                assert (opcode, payload) == (BINARY, b"x" * 16384)
    assert healthy.disconnects == []
    await client.reset()
    await healthy.until_handlers_ended()
    assert healthy.kinds() == ["lost"]


@pytest.mark.parametrize("name", ["reactor", "tasks"])
async def test_a_client_that_reads_slowly_from_a_unix_socket_stays(
    modes: dict[str, Mode], name: str, mock_clock: MockClock, tmp_path: Path
) -> None:
    """There the system takes more only when three quarters of what it had are read: longer than ``send_timeout``."""
    async with target_of(modes[name], path=str(tmp_path / "socket")) as target:
        client = await target.connect()
        await client.handshake("/push")
        await settle()
        for _ in range(200):
            await pass_time(mock_clock, 1)
            assert await client.stream.receive_some(4096)  # also of Pings, which it does not answer
        assert target.disconnects == []
        await client.vanish()
        await target.until_handlers_ended()
        assert target.kinds() == ["lost"]


async def test_a_client_that_takes_nothing_from_a_unix_socket_is_found_out(
    mode: Mode, mock_clock: MockClock, tmp_path: Path
) -> None:
    async with target_of(mode, path=str(tmp_path / "socket")) as target:
        client = await target.connect()
        await client.handshake("/push")
        await settle()
        await pass_time(mock_clock, 36)
        await target.until_handlers_ended()
        assert target.kinds() == ["timeout"]
        await client.vanish()


async def test_a_client_whose_bytes_this_side_has_not_read_yet_is_alive(healthy: Target, mock_clock: MockClock) -> None:
    """Each sign of life comes just in time, and the timer may fire before the reactor comes to read it."""
    client = await healthy.connect()
    await client.handshake("/ws")
    await settle()
    mock_clock.jump(PING_TIMEOUTS / 2)
    for _ in range(12):
        await settle()
        mock_clock.jump(PING_TIMEOUTS / 2)
        send_at_once(client, frame(PONG, b""))
    await settle()
    assert healthy.disconnects == []
    await client.vanish()
    await healthy.until_handlers_ended()
    assert healthy.kinds() == ["lost"]


@pytest.mark.parametrize("behind", ["a request", "nothing"])
async def test_a_head_that_this_side_has_not_read_yet_is_in_time(
    healthy: Target, mock_clock: MockClock, behind: str
) -> None:
    """The first one, within ``head_timeout``, and one within ``keep_alive_timeout``."""
    for _ in range(6):
        client = await healthy.connect()
        timeout = 10
        if behind == "a request":
            await client.send(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
            await client.read_response()
            timeout = 75
        await settle()
        mock_clock.jump(timeout)
        send_at_once(client, b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert (await client.read_response()).body == b"hello"
        await client.vanish()


async def test_a_response_that_is_read_slowly_comes_whole(healthy: Target, mock_clock: MockClock) -> None:
    """Also its last bytes, which are the server's to send when nothing else is to be done on the connection."""
    client = await narrow(healthy)
    await client.send(b"GET /large HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
    head = await client.read_head()
    assert head.status == 200
    for _ in range(80):
        await pass_time(mock_clock, 5)
        assert await client.read(100_000) == b"x" * 100_000
    assert await client.read_rest() == b""
    await client.vanish()


async def test_a_body_that_comes_slowly_is_taken_whole(healthy: Target, mock_clock: MockClock) -> None:
    client = await healthy.connect()
    await client.send(b"POST /body HTTP/1.1\r\nHost: localhost\r\nContent-Length: 122880\r\n\r\n")
    for _ in range(60):
        await client.send(b"x" * 2048)
        await pass_time(mock_clock, 1)
    response = await client.read_response()
    assert (response.status, response.body) == (200, b"122880")
    assert healthy.kinds() == [None]
    await client.vanish()


async def test_requests_with_pauses_within_the_timeouts_are_all_answered(
    healthy: Target, mock_clock: MockClock
) -> None:
    client = await healthy.connect()
    request = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"
    for _ in range(30):
        await client.send(request[:20])
        await pass_time(mock_clock, 4)
        await client.send(request[20:])
        assert (await client.read_response()).body == b"hello"
        await pass_time(mock_clock, 4)
    await client.vanish()
