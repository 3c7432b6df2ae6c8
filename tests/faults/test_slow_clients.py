"""Clients that stop, or go on by a byte a second: each is given up in its time, on a clock that only the test moves."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator

import pytest
from trio.testing import MockClock, wait_all_tasks_blocked

from ..support.http import GET
from ..support.wire import PING, TEXT, Gone, frame
from .conftest import Client, Mode, Target, target_of

pytestmark = pytest.mark.usefixtures("quiet")


@pytest.fixture(params=["reactor", "tasks", "reactor TLS"])
def mode(request: pytest.FixtureRequest, modes: dict[str, Mode]) -> Mode:
    return modes[request.param]


@pytest.fixture
async def slow(mode: Mode, mock_clock: MockClock) -> AsyncIterator[Target]:
    async with target_of(mode) as target:
        yield target
        while target.server.connections:
            mock_clock.jump(1)  # what is closed in order may linger
            await settle()


async def settle() -> None:
    """Let everything happen that can without the clock, also what the kernel has only begun."""
    for _ in range(3):
        await wait_all_tasks_blocked(0.001)


async def pass_time(clock: MockClock, seconds: int, client: Client | None = None, data: bytes = b"") -> None:
    """Let the seconds pass one by one; the client sends a byte of its data in each."""
    for second in range(seconds):
        if client is not None:
            await client.transport.send_all(data[second : second + 1])
            await settle()
        clock.jump(1)
        await wait_all_tasks_blocked()
    await settle()


async def until_handler_ended(target: Target, clock: MockClock) -> None:
    """Pass the time until it is over for a client that takes nothing: the kernel may take some for it at first."""
    for _ in range(300):
        await pass_time(clock, 1)
        if target.disconnects:
            return


async def test_a_websocket_that_takes_nothing_is_timed_out(slow: Target, mock_clock: MockClock) -> None:
    client = await slow.connect()
    await client.handshake("/push")
    await settle()
    await pass_time(mock_clock, 29)
    assert slow.disconnects == []
    await until_handler_ended(slow, mock_clock)
    assert slow.kinds() == ["timeout"]
    await client.vanish()


async def test_a_response_that_nobody_takes_is_timed_out(slow: Target, mock_clock: MockClock) -> None:
    client = await slow.connect()
    await client.send(GET.replace(b"/ ", b"/stream "))
    await settle()
    await pass_time(mock_clock, 29)
    assert slow.disconnects == []
    await until_handler_ended(slow, mock_clock)
    assert slow.kinds() == ["timeout"]
    await client.vanish()


async def test_a_response_that_a_half_closed_client_does_not_take_is_timed_out(
    slow: Target, mock_clock: MockClock
) -> None:
    client = await slow.connect()
    await client.send(GET.replace(b"/ ", b"/stream "))
    await client.transport.send_eof()
    await settle()
    for _ in range(300):
        if not slow.server.connections:
            break
        await pass_time(mock_clock, 1)
    assert slow.server.connections == 0
    # Lost, perhaps before it came to begin: the end was seen when the handler had been started.
    assert slow.kinds() in (["timeout"], ["lost"], [])
    await client.vanish()


async def test_a_silent_websocket_is_timed_out(slow: Target, mock_clock: MockClock) -> None:
    """As one whose host is gone: nothing comes, and nothing says that nothing will."""
    client = await slow.connect()
    await client.handshake("/ws")
    await pass_time(mock_clock, 39)
    assert slow.disconnects == []
    assert (await client.read_frame())[0] == PING
    await pass_time(mock_clock, 2)
    assert slow.kinds() == ["timeout"]
    await client.vanish()


async def test_a_head_by_a_byte_a_second_is_over_at_the_head_timeout(slow: Target, mock_clock: MockClock) -> None:
    client = await slow.connect()
    if slow.mode.server_context is None:
        await pass_time(mock_clock, 9, client, GET)
        assert slow.server.connections == 1
        await pass_time(mock_clock, 1)
        assert (await client.read_response()).status == 408
    else:
        for byte in GET[:9]:
            await client.send(bytes([byte]))
            await pass_time(mock_clock, 1)
        assert slow.server.connections == 1
        await pass_time(mock_clock, 1)
        assert (await client.read_response()).status == 408
    await client.vanish()


@pytest.mark.parametrize("mode", ["reactor TLS", "tasks TLS"], indirect=True)
async def test_a_tls_handshake_by_a_byte_a_second_is_over_at_the_head_timeout(
    slow: Target, mock_clock: MockClock
) -> None:
    outgoing = ssl.MemoryBIO()
    hello = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname="localhost")
    with pytest.raises(ssl.SSLWantReadError):
        hello.do_handshake()
    client = Client(await slow.connect_socket())
    await slow.until(1)
    await pass_time(mock_clock, 9, client, outgoing.read())
    assert slow.server.connections == 1
    await pass_time(mock_clock, 3)
    assert slow.server.connections == 0
    with pytest.raises(Gone):
        await client.read(1)
    await client.vanish()


async def test_a_frame_that_comes_by_bytes_lives_as_long_as_they_do(slow: Target, mock_clock: MockClock) -> None:
    """Each byte is a sign of life. The frame costs its connection alone, and of its memory what has arrived."""
    client = await slow.connect()
    await client.handshake("/ws")
    data = frame(TEXT, b"x" * 1_000_000)
    await client.send(data[:14])
    for start in range(14, 22):
        await pass_time(mock_clock, 10)
        await client.send(data[start : start + 1])
    await settle()
    assert slow.disconnects == []
    await pass_time(mock_clock, 41)
    assert slow.kinds() == ["timeout"]
    await client.vanish()


async def test_a_body_by_a_byte_a_second_is_given_up(slow: Target, mock_clock: MockClock) -> None:
    client = await slow.connect()
    await client.send(b"POST /body HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n")
    await settle()
    for _ in range(12):
        await client.send(b"x")
        await pass_time(mock_clock, 1)
    assert (await client.read_response()).status == 408
    assert slow.kinds() == ["timeout"]
    await client.vanish()
