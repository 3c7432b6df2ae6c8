"""Clients that leave: by FIN, by a reset, or under TLS by a close_notify, behind any part of what they have to say.

Whatever order the server reads it in, a handler that has begun is cancelled, and the connection is forgotten. The bytes
and the end are there before the server looks: what is read in one go is the hardest.
"""

from __future__ import annotations

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from triows import request, websocket

from ..support.http import get
from ..support.wire import BINARY, TEXT, close_frame, frame, upgrade
from .conftest import Client, Mode, Target, target_of

pytestmark = pytest.mark.usefixtures("quiet")


POST = b"POST /body HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n"
CHUNKED = b"POST /body HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
MESSAGE = frame(TEXT, b"hello")

SAID = {
    "nothing": b"",
    "half a head": get("/wait")[:20],
    "a request": get("/wait"),
    "a request and half a head": get("/wait") + get("/wait")[:20],
    "two requests": get("/wait") * 2,
    "a request that is answered at once, and one that is not": get("/") + get("/wait"),
    "one that nobody handles, and one that somebody does": get("/nowhere") + get("/wait"),
    "a request for a stream": get("/stream"),
    "a head, and no body": POST,
    "half of a body": POST + b"x" * 50,
    "half of a chunked body": CHUNKED + b"5\r\nhel",
    "a body that is expected": POST.replace(b"\r\n\r\n", b"\r\nExpect: 100-continue\r\n\r\n"),
    "a handshake": upgrade("/ws"),
    "a handshake that nobody answers": upgrade("/undecided"),
    "a request and a handshake": get("/") + upgrade("/ws"),
    "a handshake and half a frame": upgrade("/ws") + MESSAGE[:4],
    "a handshake and a message": upgrade("/ws") + MESSAGE,
    "a handshake and half of a large message": upgrade("/ws") + frame(BINARY, b"x" * 70_000)[:50_000],
    "a handshake to one that only sends": upgrade("/push"),
}


async def leave(client: Client, how: str) -> None:
    if how == "reset":
        await client.reset()
    elif how == "close":
        await client.vanish()
    else:
        await client.transport.send_eof()


async def say_and_leave(target: Target, said: bytes, how: str) -> None:
    """Nothing else may run between the two; under TLS the one who encrypts has a checkpoint in it."""
    client = await target.connect()
    if isinstance(client.stream, trio.SocketStream):
        client.stream.socket._sock.send(said)
    elif said:
        await client.send(said)
    await leave(client, how)
    if how == "half-close":
        with trio.fail_after(20):
            await client.read_rest()  # it does not wait for ever
        await client.vanish()


def add_undecided(target: Target) -> None:
    @target.app.websocket("/undecided")
    async def undecided() -> None:
        try:
            await trio.sleep_forever()
        finally:
            target.disconnects.append(websocket.disconnect)


@pytest.mark.parametrize("how", ["close", "half-close", "reset"])
async def test_a_client_that_says_something_and_leaves_is_lost(target: Target, how: str) -> None:
    add_undecided(target)
    for said in SAID.values():
        await say_and_leave(target, said, how)
    await target.until(0)
    assert set(target.kinds()) <= {"lost"}
    await target.serves()


@pytest.mark.parametrize("how", ["close", "half-close"])
async def test_a_handler_whose_client_left_with_its_request_is_cancelled(target: Target, how: str) -> None:
    """Here the bytes are read for certain, and nothing resets the connection."""
    for count in range(20):
        await say_and_leave(target, get("/wait"), how)
        await target.until_handlers_ended(count + 1)
    assert target.kinds() == ["lost"] * 20
    await target.serves()


async def test_a_whole_body_and_the_end_behind_it_are_no_half_body(target: Target) -> None:
    await say_and_leave(target, POST + b"x" * 100, "close")
    await target.until_handlers_ended()
    assert target.kinds() in ([None], ["lost"])  # it need not wait for what is there, and then is done
    await target.serves()


@pytest.mark.parametrize("how", ["close", "half-close"])
async def test_a_client_that_leaves_before_it_is_accepted_was_never_there(target: Target, how: str) -> None:
    """Whatever it has sent by then: a client waits for the response before it sends frames (RFC 6455, section 4.1)."""
    await say_and_leave(target, upgrade("/ws") + MESSAGE + close_frame(1001), how)
    await target.until_handlers_ended()
    assert target.kinds() in (["lost"], ["closed"])  # its end may also be read after the handler has accepted
    await target.serves()


async def test_a_client_that_resets_at_once_still_has_its_address(target: Target) -> None:
    """The system tells it when the client is accepted, and later may not know it any more."""
    addresses: list[str | None] = []

    @target.app.before_request
    async def note() -> None:
        addresses.append(request.remote_addr)

    for _ in range(20):
        await say_and_leave(target, get("/"), "reset")
    await target.until(0)
    assert set(addresses) <= {"127.0.0.1"}
    await target.serves()


@pytest.mark.parametrize("how", ["close", "half-close", "reset"])
async def test_a_client_that_leaves_behind_a_body_that_nobody_reads_is_lost(
    mode: Mode, mock_clock: MockClock, how: str
) -> None:
    """Its end arrives behind what the server does not read while its handler does not."""

    async with target_of(mode) as target:

        @target.app.post("/unread")
        async def unread() -> str:
            try:
                await trio.sleep_forever()
            finally:
                target.disconnects.append(request.disconnect)

        client = await target.connect()
        await client.send(b"POST /unread HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000\r\n\r\n")
        await client.send(b"x" * 100_000)
        await wait_all_tasks_blocked(0.001)
        await leave(client, how)
        await wait_all_tasks_blocked(0.001)
        mock_clock.jump(1)
        await target.until_handlers_ended()
        assert target.kinds() == ["lost"]
        await client.vanish()
        while target.server.connections:
            mock_clock.jump(1)  # what is closed in order may linger
            await wait_all_tasks_blocked(0.001)
