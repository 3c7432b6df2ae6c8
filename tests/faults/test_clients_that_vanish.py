"""Clients that reset the connection or end it at any point: the handler hears of it, and nobody else does."""

from __future__ import annotations

import socket
import ssl

import pytest
import trio
import trio.testing

from triows import Disconnect

from ..support.http import GET
from ..support.wire import BINARY, CLOSE, TEXT, Gone, close_frame, frame
from .conftest import RESET, Client, Target

pytestmark = pytest.mark.usefixtures("quiet")

LOST = Disconnect(1006, "", "lost")


@pytest.fixture(params=["reset", "vanish"])
def end(request: pytest.FixtureRequest) -> str:
    """How the client ends: with a reset, or in TCP's order."""
    return str(request.param)


async def leave(client: Client, end: str) -> None:
    await getattr(client, end)()


async def leave_lost(client: Client, end: str, target: Target) -> None:
    """Leave a handler alone, which must be told that the connection is lost."""
    await leave(client, end)
    await target.until_handlers_ended()
    assert target.disconnects == [LOST]
    await target.serves()


async def test_in_the_middle_of_a_frame(target: Target, end: str) -> None:
    client = await target.connect()
    await client.handshake("/ws")
    await client.send(frame(TEXT, b"x" * 1000)[:500])
    await leave_lost(client, end, target)


async def test_between_two_messages(target: Target, end: str) -> None:
    client = await target.connect()
    await client.handshake("/ws")
    await client.send_text("one")
    assert await client.read_frame() == (TEXT, b"one")
    await leave_lost(client, end, target)


async def test_in_the_middle_of_a_request_head(target: Target, end: str) -> None:
    client = await target.connect()
    await client.send(GET[:20])
    await target.until(1)
    await leave(client, end)
    await target.serves()


async def test_in_the_middle_of_a_body(target: Target, end: str) -> None:
    client = await target.connect()
    await client.send(b"POST /body HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\nbegun")
    await target.until(1)
    await trio.testing.wait_all_tasks_blocked()
    await leave_lost(client, end, target)


async def test_in_the_middle_of_a_response(target: Target, end: str) -> None:
    client = await target.connect()
    await client.send(GET.replace(b"/ ", b"/stream "))
    await client.read(100_000)
    await leave_lost(client, end, target)


async def test_while_its_handler_waits(target: Target, end: str) -> None:
    client = await target.connect()
    await client.send(GET.replace(b"/ ", b"/wait "))
    await target.until(1)
    await trio.testing.wait_all_tasks_blocked()
    await leave_lost(client, end, target)


async def test_while_a_websocket_is_pushed_to(target: Target, end: str) -> None:
    client = await target.connect()
    await client.handshake("/push")
    await client.read(100_000)
    await leave_lost(client, end, target)


async def test_right_after_asking_for_an_endless_response(target: Target, end: str) -> None:
    client = await target.connect()
    await client.send(GET.replace(b"/ ", b"/stream "))
    await leave(client, end)
    await target.serves()
    assert target.disconnects in ([], [LOST])


async def test_in_the_middle_of_a_tls_handshake(target: Target, end: str) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    outgoing = ssl.MemoryBIO()
    handshake = context.wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname="localhost")
    with pytest.raises(ssl.SSLWantReadError):
        handshake.do_handshake()
    client = Client(await target.connect_socket())
    # A server that speaks no TLS sees a half of something that is no request.
    await client.send(outgoing.read()[:100])
    await target.until(1)
    await leave(client, end)
    await target.serves()


async def test_before_the_server_has_looked_at_it(target: Target, end: str) -> None:
    for _ in range(20):
        with socket.socket() as client:
            client.connect(("127.0.0.1", target.server.port))
            if end == "reset":
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    await target.serves()


async def test_while_the_close_frame_is_on_its_way(target: Target, end: str) -> None:
    client = await target.connect()
    await client.handshake("/ws")
    await client.send(close_frame(1000))
    await leave(client, end)
    await target.until_handlers_ended()
    assert target.kinds() in (["closed"], ["lost"])
    await target.serves()


async def test_after_a_close_frame_of_the_server(target: Target, end: str) -> None:
    client = await target.connect()
    await client.handshake("/ws")
    await client.send(frame(TEXT, b"\xff"))  # no UTF-8: the server closes with 1007, and lingers
    assert (await client.read_frame())[0] == CLOSE
    await leave(client, end)
    await target.until_handlers_ended()
    assert target.kinds() == ["protocol_error"]
    await target.serves()


async def test_while_its_last_response_lingers(target: Target, end: str) -> None:
    client = await target.connect()
    await client.send(b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 900000\r\n\r\nx")
    assert (await client.read_response()).status == 405
    await leave(client, end)
    await target.serves()


async def test_while_a_refusal_lingers(target: Target, end: str) -> None:
    client = await target.connect()
    await client.send(b"nonsense\r\n\r\n")
    assert (await client.read_response()).status == 400
    await leave(client, end)
    await target.serves()


async def test_while_a_large_response_waits_for_it(target: Target, end: str) -> None:
    client = await target.connect()
    await client.send(GET.replace(b"/ ", b"/large "))
    await client.read_head()
    await leave(client, end)
    await target.serves()


async def test_in_the_middle_of_a_message_that_is_larger_than_every_buffer(target: Target, end: str) -> None:
    client = await target.connect()
    await client.handshake("/ws")
    await client.send(frame(BINARY, bytes(1_000_000))[:900_000])
    await leave_lost(client, end, target)


async def test_messages_before_the_end_are_handed_out_all_the_same(target: Target) -> None:
    client = await target.connect()
    await client.handshake("/ws")
    await client.send(frame(TEXT, b"one") + frame(TEXT, b"two") + frame(TEXT, b"half")[:5])
    await client.vanish()
    await target.until_handlers_ended()
    assert target.disconnects == [LOST]
    await target.serves()


async def test_a_client_that_has_only_ended_its_side_gets_the_response(target: Target) -> None:
    if target.mode.server_context is not None:
        return_early = await target.connect()
        # TLS has no half: its close_notify is an end, and so is the end of the stream below.
        await return_early.send(GET)
        await return_early.transport.send_eof()
        assert (await return_early.read_rest()).startswith((b"HTTP/1.1 200", b""))
        await return_early.vanish()
        await target.serves()
        return
    client = await target.connect()
    await client.send(GET)
    await client.transport.send_eof()
    response = await client.read_response()
    assert (response.status, response.body) == (200, b"hello")
    with pytest.raises(Gone):
        await client.read(1)
    await client.vanish()
    await target.serves()


@pytest.mark.parametrize("mode", ["reactor", "reactor TLS"], indirect=True)
async def test_1000_connections_that_close_at_once_leave_nothing(target: Target) -> None:
    """Whether they go in order or not, said anything or not."""
    for number in range(1000):
        with socket.socket() as client:
            client.connect(("127.0.0.1", target.server.port))
            if number % 2:
                client.send(b"GET / HT")
            if number % 4 > 1:
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        if number % 50 == 0:
            await trio.sleep(0)
    await target.serves()
