"""Messages in pieces, both ways (RFC 6455, section 5.4).

Tests triows/connection/streaming.py.
"""

from __future__ import annotations

import json
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
import trio

from triows import WebSocketClosed, WebSocketStateError, websocket

from ..support.wire import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT, Gone, Wire, close_frame, frame
from .conftest import Target, native_only, virtual_clock

Handler = Callable[[], Awaitable[None]]


async def served(target: Target, handler: Handler, **limits: Any) -> Wire:
    """A client of this handler."""
    assert target.app is not None
    target.app.websocket("/handler", **limits)(handler)
    return await target.websocket("/handler")


async def read_fragment(wire: Wire) -> tuple[int, bytes]:
    """The first byte and the payload of the next frame."""
    first, size = await wire.read(2)
    if size == 126:
        size = int.from_bytes(await wire.read(2), "big")
    elif size == 127:
        size = int.from_bytes(await wire.read(8), "big")
    return first, await wire.read(size)


# Receiving


@native_only  # an ASGI server hands messages over only when they are whole
async def test_pieces_arrive_before_the_end_is_sent(target: Target) -> None:
    wire = await target.websocket("/pieces")
    await wire.send(frame(TEXT, b"one", fin=False))
    assert await wire.read_text() == "one"
    await wire.send(frame(PING, b"?") + frame(CONTINUATION, b"two", fin=False))
    assert sorted([await wire.read_frame(), await wire.read_frame()]) == [(TEXT, b"two"), (PONG, b"?")]
    await wire.send(frame(CONTINUATION))
    assert await wire.read_text() == "end of str"
    await wire.close()


@native_only  # an ASGI server hands messages over only when they are whole
async def test_a_part_of_a_frame_is_a_piece(target: Target) -> None:
    wire = await target.websocket("/pieces")
    data = frame(BINARY, b"x" * 1000 + b"y" * 1000)
    await wire.send(data[:1008])
    assert (await wire.read_frame()) == (BINARY, b"x" * 1000)
    await wire.send(data[1008:])
    assert (await wire.read_frame()) == (BINARY, b"y" * 1000)
    assert await wire.read_text() == "end of bytes"
    await wire.close()


async def test_pieces_of_text_never_cut_a_character(target: Target) -> None:
    wire = await target.websocket("/pieces")
    data = "a€😀é".encode()
    await wire.send(frame(TEXT, fin=False))
    for byte in range(len(data)):
        await wire.send(frame(CONTINUATION, data[byte : byte + 1], fin=False))
        await trio.sleep(0)
    await wire.send(frame(CONTINUATION))
    received = ""
    while "end" not in received:
        received += await wire.read_text()
    assert received == "a€😀éend of str"
    await wire.close()


async def test_a_whole_message_is_one_piece(target: Target) -> None:
    wire = await target.websocket("/pieces")
    await wire.send(frame(TEXT, b"whole") + frame(BINARY, b"whole too"))
    assert [await wire.read_frame() for _ in range(4)] == [
        (TEXT, b"whole"),
        (TEXT, b"end of str"),
        (BINARY, b"whole too"),
        (TEXT, b"end of bytes"),
    ]
    await wire.close()


@pytest.mark.parametrize("data", [frame(TEXT), frame(BINARY, fin=False) + frame(CONTINUATION)])
async def test_an_empty_message_has_no_pieces(target: Target, data: bytes) -> None:
    wire = await target.websocket("/pieces")
    await wire.send(data)
    assert await wire.read_text() == "end of None"
    await wire.close()


@pytest.mark.parametrize("end", ["break", "raise", "timeout"])
async def test_leaving_early_drops_the_rest_and_nothing_else(target: Target, end: str) -> None:
    wire = await target.websocket(f"/leave?how={end}")
    for number in range(3):
        await wire.send(frame(TEXT, b"piece", fin=False) + frame(CONTINUATION, b"dropped", fin=False))
        if target.kind == "hypercorn":
            await wire.send(frame(CONTINUATION, b"dropped", fin=True))
            await wire.read_text()
        else:
            assert await wire.read_text() in ("piece", "piecedropped")
            await wire.send(frame(CONTINUATION, b"dropped", fin=True))
        await wire.send_text(f"message {number}")
        assert await wire.read_text() == f"message {number}"
    await wire.close()


@native_only  # an ASGI server hands messages over only when they are whole
async def test_a_stream_after_one_left_early_is_of_the_next_message(target: Target) -> None:
    async def handler() -> None:
        async with websocket.receive_stream() as pieces:
            async for piece in pieces:
                await websocket.send(piece)
                break
        async with websocket.receive_stream() as pieces:
            await websocket.send(b"".join([piece async for piece in pieces]))  # type: ignore[misc]

    wire = await served(target, handler)
    await wire.send(frame(BINARY, b"one", fin=False))
    assert await wire.read_frame() == (BINARY, b"one")
    await wire.send(frame(CONTINUATION, b"left", fin=False) + frame(CONTINUATION, b"over"))
    await wire.send(frame(BINARY, b"t", fin=False) + frame(CONTINUATION, b"wo"))
    assert await wire.read_frame() == (BINARY, b"two")
    assert (await wire.read_close())[0] == 1000
    await wire.stream.aclose()


async def test_streams_and_receive_take_turns(target: Target) -> None:
    wire = await target.websocket("/turns")
    for _ in range(3):
        await wire.send(frame(TEXT, b"str", fin=False) + frame(CONTINUATION, b"eamed"))
        assert await wire.read_text() == "streamed"
        await wire.send(frame(TEXT, b"rec", fin=False) + frame(CONTINUATION, b"eived"))
        assert await wire.read_text() == "received"
    await wire.close()


@virtual_clock
async def test_a_message_in_progress_can_be_streamed(target: Target, autojump_clock: trio.testing.MockClock) -> None:
    async def handler() -> None:
        await websocket.accept()
        await trio.sleep(1)
        async with websocket.receive_stream() as pieces:
            async for piece in pieces:
                await websocket.send(piece)

    wire = await served(target, handler)
    await wire.send(frame(TEXT, b"be", fin=False) + frame(CONTINUATION, b"gun", fin=False))
    assert await wire.read_text() == "begun"
    assert trio.current_time() >= 1
    await wire.send(frame(CONTINUATION, b"ended"))
    assert await wire.read_text() == "ended"
    await wire.stream.aclose()


@virtual_clock
async def test_a_cancellation_while_entering_loses_nothing(
    target: Target, autojump_clock: trio.testing.MockClock
) -> None:
    async def handler() -> None:
        while True:
            with trio.move_on_after(0.5):
                async with websocket.receive_stream():
                    raise AssertionError("not reached")
            await websocket.send(await websocket.receive())
            await trio.sleep(0)

    wire = await served(target, handler)
    await trio.sleep(1)
    await wire.send(frame(TEXT, b"h", fin=False))
    await trio.sleep(1)
    await wire.send(frame(CONTINUATION, b"ello"))
    assert await wire.read_text() == "hello"
    await wire.close()


@virtual_clock
@pytest.mark.parametrize("rest", [frame(CONTINUATION, b"ello"), b""], ids=["whole", "begun"])
async def test_a_message_that_begins_while_the_cancellation_comes_is_not_lost(
    target: Target, autojump_clock: trio.testing.MockClock, rest: bytes
) -> None:
    """Cancelled and handed its bytes in one go: the reader's task runs only afterwards."""
    scope = trio.CancelScope()
    connections: list[Any] = []

    async def handler() -> None:
        connections.append(websocket.current().connection)
        with scope:
            async with websocket.receive_stream():
                raise AssertionError("not reached")
        await websocket.send(await websocket.receive())
        await websocket.send(await websocket.receive())

    wire = await served(target, handler)
    await trio.testing.wait_all_tasks_blocked()
    scope.cancel()
    transport = connections[0].transport
    transport.data_received(frame(TEXT, b"h", fin=False) + rest + (frame(TEXT, b"next") if rest else b""))
    if not rest:
        await wire.send(frame(CONTINUATION, b"ello") + frame(TEXT, b"next"))
    assert [await wire.read_text(), await wire.read_text()] == ["hello", "next"]
    await wire.stream.aclose()


async def test_only_one_receives_at_a_time(target: Target) -> None:
    wire = await target.websocket("/busy")
    await wire.send(frame(TEXT, b"a"))
    assert json.loads(await wire.read_text()) == ["BusyResourceError", "BusyResourceError"]
    await wire.close()


@native_only  # needs nothing of the transport
async def test_iterating_outside_of_the_block_is_found_out(target: Target) -> None:
    async def handler() -> None:
        try:
            async for _ in websocket.receive_stream():
                pass
        except WebSocketStateError as error:
            await websocket.send(str(error))

    wire = await served(target, handler)
    assert "async with websocket.receive_stream()" in await wire.read_text()
    await wire.stream.aclose()


@virtual_clock
@pytest.mark.parametrize("end", [close_frame(1000), frame(3), b""], ids=["close", "fault", "eof"])
async def test_a_whole_message_and_its_end_are_handed_out_before_the_disconnect(
    target: Target, autojump_clock: trio.testing.MockClock, end: bytes
) -> None:
    got: list[Any] = []

    async def handler() -> None:
        async with websocket.receive_stream() as pieces:
            await trio.sleep(1)
            async for piece in pieces:
                got.append(piece)
                await trio.sleep(1)
            got.append("and its end")

    wire = await served(target, handler)
    await wire.send(frame(TEXT, b"whole"))
    await trio.sleep(0.5)
    if end:
        await wire.send(end)
    else:
        await wire.stream.aclose()
    await trio.sleep(3)
    assert got == ["whole", "and its end"]
    await wire.stream.aclose()


@virtual_clock
async def test_a_message_that_begins_while_a_whole_one_is_handed_out_is_the_next(
    target: Target, autojump_clock: trio.testing.MockClock
) -> None:
    async def handler() -> None:
        while True:
            message = ""
            async with websocket.receive_stream() as pieces:
                async for piece in pieces:
                    message += str(piece)
                    await trio.sleep(1)
            await websocket.send(message)

    wire = await served(target, handler)
    await trio.sleep(1)
    await wire.send(frame(TEXT, b"one"))
    await trio.sleep(0.5)
    await wire.send(frame(TEXT, b"tw", fin=False) + frame(CONTINUATION, b"o"))
    assert [await wire.read_text(), await wire.read_text()] == ["one", "two"]
    await wire.close()


@native_only  # an ASGI server hands messages over only when they are whole
@pytest.mark.parametrize("end", ["close", "eof", "reset"])
async def test_the_pieces_that_came_are_handed_out_before_the_disconnect(target: Target, end: str) -> None:
    gone = trio.Event()
    got: list[Any] = []

    async def handler() -> None:
        try:
            async with websocket.receive_stream() as pieces:
                while end != "reset" and websocket.disconnect is None:
                    await trio.sleep(0)
                async for piece in pieces:
                    got.append(piece)
        except trio.Cancelled as cancelled:
            got.append(cancelled.reason)
            raise
        finally:
            gone.set()

    wire = await served(target, handler)
    await wire.send(frame(TEXT, b"came", fin=False))
    if end == "close":
        await wire.send(close_frame(4001, "tired"))
    else:
        if end == "reset" and isinstance(wire.stream, trio.SocketStream):
            while not got:  # a reset drops what was not read yet
                await trio.sleep(0)
            wire.stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        await wire.stream.aclose()
    await gone.wait()
    assert got[0] == "came"
    assert got[1].startswith("websocket disconnected: " + ("4001" if end == "close" else "1006"))
    await wire.stream.aclose()


@native_only  # an ASGI server hands messages over only when they are whole
async def test_a_local_close_ends_the_stream(target: Target) -> None:
    outcome: list[str] = []

    async def handler() -> None:
        async with websocket.receive_stream() as pieces:
            try:
                async for _ in pieces:
                    websocket.nursery.start_soon(websocket.close, 4000)
            except WebSocketClosed:
                outcome.append("closed")

    wire = await served(target, handler)
    await wire.send(frame(TEXT, b"a", fin=False))
    assert (await wire.read_close())[0] == 4000
    await wire.send(frame(CONTINUATION, b"x" * 200_000, fin=False) + close_frame(4000))
    await wire.read_end()
    await wire.stream.aclose()
    assert outcome == ["closed"]


@native_only  # the server's own; an ASGI server has its own answers
@pytest.mark.parametrize(
    ("data", "code"),
    [
        (frame(CONTINUATION, b"\xff", fin=False), 1007),
        (frame(CONTINUATION, b"x" * 1100, fin=False), 1009),
        (frame(TEXT, b"another"), 1002),
    ],
)
async def test_a_fault_in_the_middle_has_its_close_code(target: Target, data: bytes, code: int) -> None:
    ended = trio.Event()

    async def handler() -> None:
        try:
            async with websocket.receive_stream() as pieces:
                async for piece in pieces:
                    await websocket.send(piece)
        finally:
            assert websocket.disconnect is not None
            assert (websocket.disconnect.code, websocket.disconnect.kind) == (code, "protocol_error")
            ended.set()

    wire = await served(target, handler, max_message_size=1100)
    await wire.send(frame(TEXT, b"good", fin=False))
    assert await wire.read_text() == "good"
    await wire.send(data)
    assert (await wire.read_close())[0] == code
    await ended.wait()
    await wire.stream.aclose()


# What waits is bounded


@native_only  # the buffers of an ASGI server are its own
@pytest.mark.parametrize("how", ["idle", "streaming", "whole"])
async def test_reading_pauses_in_the_middle_of_a_message_that_nobody_takes(target: Target, how: str) -> None:
    """``whole``: within a stream that was whole, a large message must not be collected behind it."""
    connections: list[Any] = []
    go_on = trio.Event()

    async def handler() -> None:
        connections.append(websocket.current().connection)
        if how == "idle":
            await websocket.accept()
            await go_on.wait()
            await websocket.send(str(len(await websocket.receive())))
            return
        size = 0
        async with websocket.receive_stream() as pieces:
            await go_on.wait()
            async for piece in pieces:
                size += len(piece)
        if how == "whole":
            size += len(await websocket.receive())
        await websocket.send(str(size))

    wire = await served(target, handler, max_message_size=1 << 26)
    before = frame(BINARY, b"12345") if how == "whole" else b""
    count = 160
    data = before + frame(BINARY, fin=False) + frame(CONTINUATION, bytes(100_000), fin=False) * count
    async with trio.open_nursery() as nursery:
        nursery.start_soon(wire.send, data + frame(CONTINUATION))
        while not connections:
            await trio.sleep(0)
        transport = connections[0].transport
        while not transport.full:
            await trio.sleep(0)
        for _ in range(200):
            await trio.sleep(0)
        message = transport._protocol.message
        assert message.unread <= 65536 + 2 * 98304
        go_on.set()
        assert int(await wire.read_text()) == count * 100_000 + (5 if before else 0)
    await wire.stream.aclose()


@native_only  # the buffers of an ASGI server are its own
@pytest.mark.parametrize("receive_buffer", [1, 2, 100])
async def test_a_small_buffer_does_not_stop_a_stream(target: Target, receive_buffer: int) -> None:
    async def handler() -> None:
        async with websocket.receive_stream() as pieces:
            await websocket.send("".join([str(piece) async for piece in pieces]))

    wire = await served(target, handler, receive_buffer=receive_buffer)
    for number, byte in enumerate("€😀".encode() * 5):
        await wire.send(frame(CONTINUATION if number else TEXT, bytes([byte]), fin=False))
    await wire.send(frame(CONTINUATION))
    assert await wire.read_text() == "€😀" * 5
    await wire.stream.aclose()


# Sending


@native_only  # an ASGI server takes messages only whole
async def test_each_piece_is_a_fragment(target: Target) -> None:
    wire = await target.websocket("/send-pieces")
    await wire.send_text('["one", "", "three"]')
    assert [await read_fragment(wire) for _ in range(4)] == [(TEXT, b"one"), (0, b""), (0, b"three"), (0x80, b"")]
    await wire.send_text("[]")
    await wire.send_text('["again"]')
    assert [await read_fragment(wire) for _ in range(2)] == [(TEXT, b"again"), (0x80, b"")]
    await wire.close()


async def test_an_asgi_server_gets_the_pieces_joined(target: Target) -> None:
    wire = await target.websocket("/send-pieces")
    await wire.send_text('["one", "", "three"]')
    received = b""
    first = 0
    while not first & 0x80:
        first, payload = await read_fragment(wire)
        received += payload
    assert received == b"onethree"
    assert (first == 0x81) == (target.kind == "hypercorn")
    await wire.close()


@native_only  # an ASGI server takes messages only whole
async def test_control_frames_come_between_fragments_and_messages_after_them(target: Target) -> None:
    go_on = trio.Event()

    async def other() -> None:
        await websocket.send("after")

    async def pieces() -> AsyncIterator[bytes]:
        yield b"one"
        websocket.nursery.start_soon(other)
        await go_on.wait()
        yield b"two"

    async def handler() -> None:
        websocket.nursery.start_soon(websocket.receive)
        await websocket.send(pieces())

    wire = await served(target, handler)
    assert await read_fragment(wire) == (BINARY, b"one")
    await wire.send(frame(PING, b"now"))
    assert await wire.read_frame() == (PONG, b"now")
    go_on.set()
    assert [await read_fragment(wire) for _ in range(3)] == [(0, b"two"), (0x80, b""), (0x81, b"after")]
    await wire.stream.aclose()


@pytest.mark.parametrize("how", ["mixed", "raise", "cancel"])
async def test_a_message_broken_off_closes_with_1011(target: Target, how: str) -> None:
    wire = await target.websocket(f"/break-off?how={how}")
    if target.kind != "hypercorn":
        assert await read_fragment(wire) == (TEXT, b"begun")
    assert (await wire.read_close())[0] == 1011
    await wire.send(close_frame(1011))
    await wire.read_end()
    await wire.stream.aclose()
    assert await target.record("closed") == [True]
    log = await target.log()
    if how == "cancel":
        assert log == []
    else:
        assert ("TypeError: the pieces of a message are all of one type" if how == "mixed" else "ValueError") in log[0]


async def test_what_fails_before_its_first_piece_has_sent_nothing(target: Target) -> None:
    wire = await target.websocket("/fail-before")
    assert await wire.read_text() == "fine"
    await wire.close()


@native_only  # an ASGI server takes messages only whole
async def test_sending_from_within_the_pieces_is_an_error_and_no_deadlock(target: Target) -> None:
    errors: list[str] = []
    waited = trio.Event()

    async def nothing() -> AsyncIterator[str]:
        for piece in ():
            yield piece

    async def more() -> AsyncIterator[str]:
        yield "never"

    async def other() -> None:
        await websocket.send("other")
        waited.set()

    async def pieces() -> AsyncIterator[str]:
        yield "one"
        websocket.nursery.start_soon(other)
        for inner in ("plain", more(), nothing()):
            try:
                await websocket.send(inner)
            except WebSocketStateError as error:
                errors.append(str(error))
        await trio.testing.wait_all_tasks_blocked(0.01)
        assert not waited.is_set()
        yield "two"

    async def handler() -> None:
        await websocket.send(pieces())
        await waited.wait()

    wire = await served(target, handler)
    assert [await read_fragment(wire) for _ in range(4)] == [
        (TEXT, b"one"),
        (0, b"two"),
        (0x80, b""),
        (0x81, b"other"),
    ]
    assert len(errors) == 2
    assert "cannot send a message itself" in errors[0]
    await wire.stream.aclose()


@native_only  # the buffers of an ASGI server are its own
async def test_pieces_wait_for_a_client_that_does_not_read(target: Target) -> None:
    given = 0
    full = trio.Event()

    async def pieces() -> AsyncIterator[bytes]:
        nonlocal given
        for _ in range(400):
            yield bytes(50_000)
            given += 1

    async def watch() -> None:
        last = -1
        while given != last:
            last = given
            await trio.testing.wait_all_tasks_blocked(0.05)
        full.set()

    async def handler() -> None:
        websocket.nursery.start_soon(watch)
        await websocket.send(pieces())

    wire = await served(target, handler)
    await full.wait()
    assert given < 400
    for number in range(400):
        assert await read_fragment(wire) == (0 if number else BINARY, bytes(50_000))
    assert await read_fragment(wire) == (0x80, b"")
    await wire.stream.aclose()


@native_only  # hypercorn reports the end in its own way
@pytest.mark.parametrize("end", ["lost", "shutdown"])
async def test_the_end_in_the_middle_of_a_message_in_pieces(target: Target, end: str) -> None:
    ended: list[str | None] = []

    async def pieces() -> AsyncIterator[str]:
        yield "one"
        await trio.sleep_forever()

    async def handler() -> None:
        try:
            await websocket.send(pieces())
        except trio.Cancelled as cancelled:
            ended.append(cancelled.reason)
            raise

    wire = await served(target, handler)
    assert await read_fragment(wire) == (TEXT, b"one")
    if end == "lost":
        await wire.stream.aclose()
    else:
        assert target.server is not None
        target.server.shutdown()
        assert (await wire.read_close())[0] == 1001
        await wire.send(close_frame(1001))
        with pytest.raises(Gone):
            await wire.read_frame()
        await wire.stream.aclose()
    while not ended:
        await trio.sleep(0)
    assert ended[0] is not None
    assert ended[0].startswith("websocket disconnected: " + ("1006" if end == "lost" else "1001"))


@native_only  # hypercorn has no limits of ours
async def test_a_stream_is_echoed_piece_by_piece(target: Target) -> None:
    async def handler() -> None:
        while True:
            async with websocket.receive_stream() as pieces:
                await websocket.send(pieces)

    wire = await served(target, handler)
    for _ in range(2):
        await wire.send(frame(BINARY, b"one", fin=False))
        assert await read_fragment(wire) == (BINARY, b"one")
        await wire.send(frame(CONTINUATION, b"two", fin=False) + frame(CONTINUATION))
        assert [await read_fragment(wire) for _ in range(2)] == [(0, b"two"), (0x80, b"")]
    await wire.send(frame(CLOSE))
    await wire.stream.aclose()
