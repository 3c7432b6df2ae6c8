"""How the server refuses what is no good request: in words, in time, and in the log. The tables of bad input are in
``behaviour/test_bad_http``, ``test_bad_handshakes`` and their like.

Tests triows/server/http1.py.
"""

from __future__ import annotations

import logging
import unicodedata
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from triows import Triows, request, websocket
from triows.server.http1 import HTTP1Connection
from triows.testing.streams import memory_stream_pair

from ..support.records import complaints
from ..support.served import Served, served
from ..support.wire import Wire, upgrade


def make_app(**limits: Any) -> Triows:
    app = Triows(__name__, **limits)

    @app.route("/", methods=["GET", "POST"])
    async def index() -> str:
        return str(len(await request.get_data()))

    @app.post("/patient", body_timeout=100, min_body_rate=None)
    async def patient() -> str:
        return str(len(await request.get_data()))

    @app.post("/endless", body_timeout=None)
    async def endless() -> str:
        return str(len(await request.get_data()))

    @app.post("/quick", min_body_rate=1_000_000)
    async def quick() -> str:
        return str(len(await request.get_data()))

    @app.post("/large", max_body_size=20 * 1024 * 1024)
    async def large() -> str:
        size = 0
        async for piece in request.body:
            size += len(piece)
        return str(size)

    @app.websocket("/ws")
    async def echo() -> None:
        async for message in websocket:
            await websocket.send(message)

    return app


def get(*lines: bytes, line: bytes = b"GET / HTTP/1.1", host: bytes | None = b"Host: localhost") -> bytes:
    head = [line, *([] if host is None else [host]), *lines]
    return b"\r\n".join(head) + b"\r\n\r\n"


def post(*lines: bytes, body: bytes = b"", path: bytes = b"/") -> bytes:
    return get(*lines, line=b"POST " + path + b" HTTP/1.1") + body


@pytest.mark.parametrize("status", [400, 413, 414, 417, 431, 501, 505])
async def test_a_refusal_says_why_and_that_the_connection_closes(status: int, autojump_clock: MockClock) -> None:
    heads = {
        400: get(b": b"),
        413: post(b"Content-Length: " + b"1" * 20),
        414: get(line=b"GET /" + b"a" * 9000 + b" HTTP/1.1"),
        417: get(b"Expect: magic"),
        431: get(b"A: " + b"b" * 20_000),
        501: post(b"Transfer-Encoding: gzip"),
        505: get(line=b"GET / HTTP/2.0"),
    }
    async with served(make_app()) as target:
        wire = target.connect()
        await wire.send(heads[status])
        response = await wire.read_response()
        assert response.status == status
        assert response.headers["connection"] == "close"
        assert response.headers["content-type"] == "text/plain"
        assert "date" in response.headers
        assert response.body.endswith(b"\n")
        assert len(response.body) > 10
        await wire.read_end()
        await wire.stream.aclose()


async def test_a_refused_websocket_version_names_the_one_spoken(autojump_clock: MockClock) -> None:
    async with served(make_app()) as target:
        wire = target.connect()
        await wire.send(upgrade("/ws").replace(b"Version: 13", b"Version: 8"))
        response = await wire.read_response()
        assert response.status == 426
        assert response.headers["sec-websocket-version"] == "13"
        await wire.stream.aclose()


# Limits that the app sets


async def answer(target: Served, data: bytes) -> int:
    wire = target.connect()
    await wire.send(data)
    status = (await wire.read_response()).status
    await wire.stream.aclose()
    return status


async def test_the_request_line_has_the_apps_limit(autojump_clock: MockClock) -> None:
    async with served(make_app(max_request_line=20)) as target:
        assert await answer(target, get(line=b"GET /?abcdef HTTP/1.1")) == 414
        assert await answer(target, get(line=b"GET /?abcde HTTP/1.1")) == 200


async def test_a_request_line_above_the_heads_limit_is_too_long_a_head(autojump_clock: MockClock) -> None:
    async with served(make_app(max_request_line=2000, max_head_size=1000)) as target:
        assert await answer(target, get(line=b"GET /?" + b"a" * 1500 + b" HTTP/1.1")) == 431


async def test_max_content_length_takes_precedence_over_the_apps_limit_and_the_routes_over_both(
    autojump_clock: MockClock,
) -> None:
    app = make_app(max_body_size=10)
    app.config["MAX_CONTENT_LENGTH"] = 20
    async with served(app) as target:
        assert await answer(target, post(b"Content-Length: 20", body=b"x" * 20)) == 200
        assert await answer(target, post(b"Content-Length: 21", body=b"x" * 21)) == 413
        assert await answer(target, post(b"Content-Length: 21", body=b"x" * 21, path=b"/large")) == 200


async def test_a_hook_may_allow_a_larger_body(autojump_clock: MockClock) -> None:
    app = make_app(max_body_size=10)

    @app.before_request
    async def allow() -> None:
        if "X-Large" in request.headers:
            request.max_content_length = 20

    async with served(app) as target:
        assert await answer(target, post(b"Content-Length: 20", body=b"x" * 20)) == 413
        assert await answer(target, post(b"X-Large: 1", b"Content-Length: 20", body=b"x" * 20)) == 200
        assert await answer(target, post(b"X-Large: 1", b"Content-Length: 21", body=b"x" * 21)) == 413


async def test_a_body_that_is_too_large_can_have_a_page_of_the_apps(autojump_clock: MockClock) -> None:
    app = make_app()

    @app.errorhandler(413)
    async def too_large(error: Exception) -> tuple[str, int]:
        return "no more than 16 MiB", 413

    async with served(app) as target:
        wire = target.connect()
        await wire.send(post(b"Content-Length: 99999999"))
        response = await wire.read_response()
        assert (response.status, response.body) == (413, b"no more than 16 MiB")
        assert response.headers["connection"] == "close"
        await wire.stream.aclose()


# Time


async def trickle(wire: Wire, data: bytes, seconds: float) -> None:
    """Send a byte every so many seconds, until the server has enough."""
    try:
        for start in range(len(data)):
            await wire.send(data[start : start + 1])
            await trio.sleep(seconds)
    except trio.BrokenResourceError:
        pass


@pytest.mark.parametrize("data", [b"", b"G", get()[:-1], b"\r\n" * 1000], ids=["none", "one", "all but one", "lines"])
async def test_a_head_has_its_time_from_the_beginning_and_no_byte_gives_it_more(
    data: bytes, autojump_clock: MockClock
) -> None:
    async with served(make_app()) as target:
        wire = target.connect()
        start = trio.current_time()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(trickle, wire, data, 0.5)
            rest = await wire.read_rest()
            nursery.cancel_scope.cancel()
        assert rest[:12] in (b"", b"HTTP/1.1 408")
        assert trio.current_time() - start == pytest.approx(10, abs=0.1)
        await wire.stream.aclose()


async def test_a_handshake_of_8_kib_byte_by_byte_is_served_if_it_is_in_time(autojump_clock: MockClock) -> None:
    data = upgrade("/ws", *[f"X-{number}: {'a' * 90}" for number in range(85)])
    assert len(data) > 8000
    async with served(make_app()) as target:
        wire = target.connect()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(trickle, wire, data, 9 / len(data))
            assert (await wire.read_response()).status == 101
        await wire.close()


PACES = {
    "a byte a second": (b"/", 1, 1, 10, 408),
    "two KiB a second": (b"/", 1, 2048, None, 200),
    "two KiB a second where more is due": (b"/quick", 1, 2048, 10, 408),
    "a byte in 99 seconds, where silence may last 100": (b"/patient", 99, 1, None, 200),
    "a byte in 101 seconds, where silence may last 100": (b"/patient", 101, 1, 100, 408),
    "a byte in 1000 seconds, where there is no limit": (b"/endless", 1000, 1, None, 200),
}


@pytest.mark.parametrize("name", PACES)
async def test_a_body_comes_at_the_pace_of_its_route_or_is_given_up(name: str, autojump_clock: MockClock) -> None:
    path, seconds, step, due, status = PACES[name]
    async with served(make_app()) as target:
        wire = target.connect()
        await wire.send(post(b"Content-Length: %d" % (30 * step), path=path))
        start = trio.current_time()

        async def send() -> None:
            for _ in range(30):
                await trio.sleep(seconds)
                await wire.send(b"x" * step)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(send)
            response = await wire.read_response()
            nursery.cancel_scope.cancel()
        assert response.status == status
        assert due is None or trio.current_time() - start == pytest.approx(due, rel=0.05)
        await wire.stream.aclose()


async def test_a_piece_of_the_body_that_comes_as_its_time_ends_is_no_error_of_the_server(
    mock_clock: MockClock, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async with served(make_app()) as target:
        wire = target.connect()
        await wire.send(post(b"Content-Length: 2"))
        await trio.testing.wait_all_tasks_blocked()
        data_received = HTTP1Connection.data_received

        def receive_late(self: HTTP1Connection, data: bytes) -> None:
            data_received(self, data)
            mock_clock.jump(11)  # when the handler has been woken already

        monkeypatch.setattr(HTTP1Connection, "data_received", receive_late)
        await wire.send(b"x")
        assert (await wire.read_response()).status == 408
        await wire.stream.aclose()
    assert complaints(caplog) == []


async def test_a_body_that_ends_with_the_connection_never_passes_for_whole(autojump_clock: MockClock) -> None:
    seen: list[str] = []
    app = make_app()

    @app.post("/seen")
    async def whole() -> str:
        await request.get_data()
        seen.append("whole")
        return "whole"

    async with served(app) as target:
        for framing in [b"Content-Length: 9", b"Transfer-Encoding: chunked"] * 10:
            # All at once, the connection's end too: mostly before the handler has begun, as Trio's order has it.
            mine, its = memory_stream_pair()
            wire = Wire(mine)
            await wire.send(post(framing, body=b"9\r\nhe", path=b"/seen"))
            await mine.send_eof()
            target.nursery.start_soon(target.server.serve_stream, its)
            await wire.read_end()
            await wire.stream.aclose()
    assert seen == []


# The log

HOSTILE = "\x1b[31m\x00\x7f\x9b\u2028\u2029\u202e\u2066\ufeff\r\nGET /forged"


def shows_nothing_else(text: str) -> bool:
    return all(unicodedata.category(character) not in ("Cc", "Cf", "Zl", "Zp") for character in text)


@pytest.mark.parametrize(
    "data",
    [
        get(line=b"GET /" + HOSTILE.encode() + b" HTTP/1.1"),
        get(line=b"GET /" + "\x9b\u2028\u202e".encode() + b" HTTP/1.1"),
        get(line=b"GET /fail/%1b%5b31m%0d%0a%e2%80%ae%e2%80%a8%00 HTTP/1.1"),
        get(line=b"G'\"T /fail/x HTTP/1.1"),
        get(b"A: " + HOSTILE.encode()),
        HOSTILE.encode(),
        upgrade("/fail/%1b%0a%e2%80%ae"),
        upgrade("/ws", "Origin: http://evil.example/\xe2\x80\xae\x9b"),
    ],
)
async def test_no_record_shows_what_a_client_wants_it_to(
    data: bytes, autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    app = make_app()

    @app.get("/fail/<text>")
    async def fail(text: str) -> str:
        raise ValueError("no")

    @app.websocket("/fail/<text>")
    async def fail_websocket(text: str) -> None:
        await websocket.accept()
        raise ValueError("no")

    with caplog.at_level(logging.DEBUG, "triows"):
        async with served(app) as target:
            wire = target.connect()
            await wire.send(data)
            await wire.read_response()
            await wire.stream.aclose()
    records = [record for record in caplog.records if record.name.startswith("triows")]
    assert records
    for record in records:
        assert shows_nothing_else(record.getMessage()), record.getMessage()
