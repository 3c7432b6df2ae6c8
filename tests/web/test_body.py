"""A body that comes in tiny pieces: it costs the memory of what is kept, and holds up nobody."""

from __future__ import annotations

import tracemalloc
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from triows import Request, Triows, request
from triows.asgi.http import ASGIHTTPConnection
from triows.connection.limits import ServerLimits
from triows.protocol.head import Head
from triows.protocol.http1.request_body import ChunkedBody
from triows.web.clientless import ClientlessConnection

from ..support.served import served

SIZE = 16 * 1024
ONE = b'--B\r\nContent-Disposition: form-data; name="a"%s\r\n\r\n%s\r\n--B--\r\n'
TEXT = (b"x" * 63 + b"\n") * (SIZE // 64)

Read = Callable[[Request], Awaitable[Any]]


async def data(request: Request) -> int:
    return len(await request.get_data())


async def text(request: Request) -> int:
    return len(await request.get_data(as_text=True))


async def json(request: Request) -> int:
    return len(await request.get_json())


async def field(request: Request) -> int:
    return len((await request.form)["a"])


async def file(request: Request) -> int:
    return len((await request.files)["a"].read())


async def iterated(request: Request) -> int:
    return sum([len(piece) async for piece in request.body])


KINDS: dict[str, tuple[Read, str, bytes, int]] = {
    "data": (data, "text/plain", TEXT, len(TEXT)),
    "text": (text, "text/plain", TEXT, len(TEXT)),
    "json": (json, "application/json", b'"%s"' % (b"x" * SIZE), SIZE),
    "form": (field, "application/x-www-form-urlencoded", b"a=" + b"x" * SIZE, SIZE),
    "field": (field, "multipart/form-data; boundary=B", ONE % (b"", TEXT), len(TEXT)),
    "file": (file, "multipart/form-data; boundary=B", ONE % (b'; filename="f"', TEXT), len(TEXT)),
    "iterated": (iterated, "text/plain", TEXT, len(TEXT)),
}


class TinyPieces(ClientlessConnection):
    """Hands out its body two bytes at a time."""

    def __init__(self, head: Head, body: bytes) -> None:
        super().__init__(head, b"")
        self.body = memoryview(body)

    async def receive_body(self) -> bytes:
        piece, self.body = bytes(self.body[:2]), self.body[2:]
        return piece


@pytest.mark.parametrize("kind", KINDS)
async def test_a_body_in_tiny_pieces_costs_a_few_times_its_size(kind: str) -> None:
    read, content_type, body, size = KINDS[kind]
    head = Head("POST", b"/", b"", [(b"host", b"x"), (b"content-type", content_type.encode())], "1.1", "http")
    tiny = Request(TinyPieces(head, body))
    tracemalloc.start()
    try:
        assert await read(tiny) == size
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 6 * len(body) + 65_536


async def test_pieces_that_a_cancelled_read_has_left_are_iterated_over() -> None:
    head = Head("POST", b"/", b"", [(b"host", b"x")], "1.1", "http")
    connection = TinyPieces(head, TEXT[:20_000])
    body = Request(connection).body

    async def give_up() -> bytes:
        if len(connection.body) > 10_000:
            return await TinyPieces.receive_body(connection)
        await trio.sleep_forever()
        raise AssertionError

    connection.receive_body = give_up  # type: ignore[method-assign]
    with trio.move_on_after(0):
        await body.read()
    del connection.receive_body  # type: ignore[method-assign]
    assert b"".join([piece async for piece in body]) == TEXT[:20_000]


async def test_what_is_fetched_ahead_of_an_asgi_server_is_bounded_whatever_its_events_are() -> None:
    sent = 0

    async def receive() -> dict[str, Any]:
        nonlocal sent
        if sent == 40_000:
            await trio.sleep_forever()
        sent += 1
        return {"type": "http.request", "body": b"%02d" % (sent % 100), "more_body": sent < 40_000}

    head = Head("POST", b"/", b"", [(b"host", b"x")], "1.1", "http")
    connection = ASGIHTTPConnection(head, ServerLimits(), receive, None)  # type: ignore[arg-type]
    tracemalloc.start()
    try:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(connection.listen, None)
            await wait_all_tasks_blocked()
            fetched = sent
            cost, _ = tracemalloc.get_traced_memory()
            received = b""
            while piece := await connection.receive_body():
                received += piece
            nursery.cancel_scope.cancel()
    finally:
        tracemalloc.stop()
    assert fetched == 65_536 // 2
    assert cost < 4 * 65_536
    assert received == b"".join(b"%02d" % (number % 100) for number in range(1, 40_001))


def test_of_many_tiny_chunks_some_are_left_for_the_next_call() -> None:
    body, data = ChunkedBody(ServerLimits()), bytearray(b"1\r\nx\r\n" * 10_000 + b"0\r\n\r\n")
    pieces = []
    while not body.ended:
        pieces.append(body.take(data, 1e9))
    assert b"".join(pieces) == b"x" * 10_000
    assert max(map(len, pieces)) <= 1024


async def test_a_body_of_tiny_chunks_does_not_hold_up_the_others() -> None:
    app = Triows(__name__)
    turns = 0
    seen: list[int] = []

    @app.post("/")
    async def upload() -> str:
        size = 0
        async for piece in request.body:
            seen.append(turns)
            size += len(piece)
        return str(size)

    async def take_turns() -> None:
        nonlocal turns
        while True:
            turns += 1
            await trio.lowlevel.checkpoint()

    async with served(app) as server, trio.open_nursery() as nursery:
        nursery.start_soon(take_turns)
        wire = server.connect()
        head = b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
        await wire.send(head + b"1\r\nx\r\n" * 20_000 + b"0\r\n\r\n")
        assert (await wire.read_response()).body == b"20000"
        nursery.cancel_scope.cancel()
        await wire.stream.aclose()
    assert len(seen) >= 20
    assert len(set(seen)) == len(seen)  # somebody else ran between any two of them
