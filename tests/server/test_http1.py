"""HTTP/1.1 as a server speaks it: what shares a connection, how responses are framed, what waits how long.

Tests triows/server/http_date.py and triows/server/service.py.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from triows import Triows, request
from triows.server.serving import Server
from triows.testing.streams import memory_stream_pair as narrow_stream_pair

from ..support.http import GET, ask, get, post
from ..support.served import Served, served
from ..support.wire import Gone
from .app import make_app

# HTTP/1.1


@pytest.fixture
async def target() -> AsyncIterator[Served]:
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
    assert trio.current_time() - start == pytest.approx(75, abs=0.1)
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
    assert trio.current_time() - start < 80
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
