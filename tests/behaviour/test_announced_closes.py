"""A server that knows that a connection ends says so: ``Connection: close`` (RFC 9112, section 9.6).

The rule, for every answer: where the response does not say it, the next request on the connection is answered; where it
does, the connection ends. K and C in the tables stand for the two.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from triows import Blueprint, Triows, abort, request, websocket
from triows.server.http1 import HTTP1Connection

from ..support.served import served
from ..support.wire import Gone, Wire, upgrade
from .conftest import Target, native_only

KIB = 1024
DRAINED = 256 * KIB  # bytes that may be missing of a body for it to be read away


def add_routes(app: Triows) -> None:
    app.config["MAX_FORM_MEMORY_SIZE"] = 10
    routes = Blueprint("announced", __name__, url_prefix="/a")

    @routes.get("/next")
    async def next_one() -> str:
        return "next"

    @routes.route("/refuse", methods=["GET", "POST"])
    async def refuse() -> tuple[str, int]:
        return "who are you?", 401

    @routes.post("/some")
    async def some() -> str:
        async for piece in request.body:
            return f"{bool(piece)}"
        return "nothing"

    @routes.post("/all")
    async def all_of_it() -> str:
        return str(len(await request.get_data()))

    @routes.post("/stream")
    async def stream() -> AsyncIterator[str]:
        async def pieces() -> AsyncIterator[str]:
            for piece in "abc":
                yield piece
                await trio.lowlevel.checkpoint()

        return pieces()

    @routes.post("/echo")
    async def echo() -> AsyncIterator[bytes]:
        async def pieces() -> AsyncIterator[bytes]:
            yield b"begun"
            async for piece in request.body:
                yield piece

        return pieces()

    @routes.post("/status/<int:status>")
    async def give(status: int) -> Any:
        return ("", status) if status in (204, 304) else abort(status)

    @routes.post("/fail")
    async def fail() -> str:
        raise ValueError("asked for by a test")

    @routes.post("/limited", max_body_size=10)
    async def limited() -> str:
        return str(len(await request.get_data()))

    @routes.post("/lowered")
    async def lowered() -> str:
        request.max_content_length = 10
        return str(len(await request.get_data()))

    @routes.post("/form")
    async def form() -> str:
        return str(len(await request.form))

    @routes.route("/says-close", methods=["GET", "POST"])
    async def says_close() -> tuple[str, int, dict[str, str]]:
        return "bye", 200, {"Connection": "close"}

    @routes.route("/says-keep-alive", methods=["GET", "POST"])
    async def says_keep_alive() -> tuple[str, int, dict[str, str]]:
        return "stay", 200, {"Connection": "keep-alive"}

    @routes.websocket("/denied")
    async def denied() -> tuple[str, int]:
        return "no" * 1000, 403

    @routes.websocket("/closed")
    async def closed() -> None:
        await websocket.close()

    app.register_blueprint(routes)


def head(line: str, *fields: str) -> bytes:
    version = "" if " HTTP/" in line else " HTTP/1.1"
    return "\r\n".join([line + version, "Host: localhost", *fields]).encode() + b"\r\n\r\n"


def sized(line: str, size: int, *fields: str) -> bytes:
    return head(line, f"Content-Length: {size}", *fields)


def chunked(line: str, *fields: str) -> bytes:
    return head(line, "Transfer-Encoding: chunked", *fields)


CHUNKS = b"5\r\nhello\r\n0\r\n\r\n"
FORM = "Content-Type: application/x-www-form-urlencoded"

# What the client sends, what more of it once it has the response, and whether the connection is kept.
Row = tuple[bytes, bytes, str]

BODIES: dict[str, Row] = {
    "none": (head("GET /a/refuse"), b"", "401 K"),
    "unread, at once": (sized("POST /a/refuse", 1000) + b"x" * 1000, b"", "401 K"),
    "unread, half of it at once": (sized("POST /a/refuse", 1000) + b"x" * 500, b"x" * 500, "401 K"),
    "unread, small, later": (sized("POST /a/refuse", 1000), b"x" * 1000, "401 K"),
    "unread, as large as is read away, later": (sized("POST /a/refuse", DRAINED), b"x" * DRAINED, "401 K"),
    "unread, larger by a byte, later": (sized("POST /a/refuse", DRAINED + 1), b"x" * (DRAINED + 1), "401 C"),
    "unread, large, later": (sized("POST /a/refuse", 4096 * KIB), b"x" * 4096 * KIB, "401 C"),
    "unread, large, never": (sized("POST /a/refuse", 4096 * KIB), b"", "401 C"),
    "unread, of a GET": (sized("GET /a/refuse", 1000) + b"x" * 1000, b"", "401 K"),
    "unread, large, of a GET": (sized("GET /a/refuse", 1024 * KIB), b"x" * 1024 * KIB, "401 C"),
    "unread, chunked, at once": (chunked("POST /a/refuse") + CHUNKS, b"", "401 K"),
    "unread, chunked, later": (chunked("POST /a/refuse"), CHUNKS, "401 C"),
    "unread, chunked, the end later": (chunked("POST /a/refuse") + CHUNKS[:-1], b"\n", "401 C"),
    "unread, chunked, with a fault": (chunked("POST /a/refuse") + b"5\r\nhello\r\nx\r\n", b"", "401 C"),
    "unread, chunked, over the limit": (chunked("POST /a/refuse") + b"fffffff\r\n", b"", "401 C"),
    "unread, in very many chunks": (chunked("POST /a/refuse") + b"1\r\nx\r\n" * 5000 + b"0\r\n\r\n", b"", "401 C"),
    "unread, waited for with Expect": (sized("POST /a/refuse", 5, "Expect: 100-continue"), b"", "401 C"),
    "unread, with Expect, but at once": (sized("POST /a/refuse", 5, "Expect: 100-continue") + b"hello", b"", "401 K"),
    "unread, chunked, waited for with Expect": (chunked("POST /a/refuse", "Expect: 100-continue"), b"", "401 C"),
    "some read": (sized("POST /a/some", 1000) + b"x" * 500, b"x" * 500, "200 K"),
    "some read of a large one": (sized("POST /a/some", 4096 * KIB) + b"x" * 500, b"x" * (4096 * KIB - 500), "200 C"),
    "some read, chunked": (chunked("POST /a/some") + CHUNKS[:10], CHUNKS[10:], "200 C"),
    "all read": (sized("POST /a/all", 1000) + b"x" * 1000, b"", "200 K"),
    "all read, large": (sized("POST /a/all", 1024 * KIB) + b"x" * 1024 * KIB, b"", "200 K"),
    "all read, chunked": (chunked("POST /a/all") + CHUNKS, b"", "200 K"),
    "streamed before it is read": (sized("POST /a/stream", 1000), b"x" * 1000, "200 K"),
    "streamed before a large one is read": (sized("POST /a/stream", 1024 * KIB), b"x" * 1024 * KIB, "200 C"),
    "streamed before a chunked one is read": (chunked("POST /a/stream"), CHUNKS, "200 C"),
    "streamed while it is read": (sized("POST /a/echo", 1000) + b"x" * 1000, b"", "200 K"),
    "streamed while it is read, chunked": (chunked("POST /a/echo") + CHUNKS, b"", "200 K"),
    "streamed while a large one is read": (sized("POST /a/echo", 1024 * KIB) + b"x" * 1024 * KIB, b"", "200 C"),
    "at a path that is not there": (sized("POST /a/nowhere", 1000), b"x" * 1000, "404 K"),
    "large, at a path that is not there": (sized("POST /a/nowhere", 1024 * KIB), b"x" * 1024 * KIB, "404 C"),
    "with a method that is not allowed": (sized("PUT /a/refuse", 1000), b"x" * 1000, "405 K"),
    "large, with a method that is not allowed": (sized("PUT /a/refuse", 1024 * KIB), b"x" * 1024 * KIB, "405 C"),
    "of OPTIONS": (sized("OPTIONS /a/refuse", 1000), b"x" * 1000, "200 K"),
    "of OPTIONS, large": (sized("OPTIONS /a/refuse", 1024 * KIB), b"x" * 1024 * KIB, "200 C"),
    "of OPTIONS *": (sized("OPTIONS *", 1000), b"x" * 1000, "204 K"),
    "of OPTIONS *, large": (sized("OPTIONS *", 1024 * KIB), b"x" * 1024 * KIB, "204 C"),
    "of HEAD": (sized("HEAD /a/refuse", 1000), b"x" * 1000, "401 K"),
    "of HEAD, large": (sized("HEAD /a/refuse", 1024 * KIB), b"x" * 1024 * KIB, "401 C"),
    "and 204": (sized("POST /a/status/204", 1000), b"x" * 1000, "204 K"),
    "and 204, large": (sized("POST /a/status/204", 1024 * KIB), b"x" * 1024 * KIB, "204 C"),
    "and 304": (sized("POST /a/status/304", 1000), b"x" * 1000, "304 K"),
    "and 304, large": (sized("POST /a/status/304", 1024 * KIB), b"x" * 1024 * KIB, "304 C"),
    "and an error of the handler's": (sized("POST /a/fail", 1000), b"x" * 1000, "500 K"),
    "and an error of the handler's, large": (sized("POST /a/fail", 1024 * KIB), b"x" * 1024 * KIB, "500 C"),
    "413 of the app's own": (sized("POST /a/status/413", 1000), b"x" * 1000, "413 K"),
    "over the route's limit": (sized("POST /a/limited", 11), b"hello world", "413 C"),
    "over the route's limit, chunked": (chunked("POST /a/limited") + b"b\r\nhello world\r\n0\r\n\r\n", b"", "413 C"),
    "over the app's limit": (sized("POST /a/all", 16 * KIB * KIB + 1), b"", "413 C"),
    "over a limit that the handler has lowered": (sized("POST /a/lowered", 11) + b"hello world", b"", "413 C"),
    "over the form's limit": (sized("POST /a/form", 15, FORM) + b"a=hello+world+a", b"", "413 K"),
    "over the form's limit, large": (sized("POST /a/form", 1024 * KIB, FORM) + b"x" * 11, b"x" * 100, "413 C"),
}

OTHERS: dict[str, Row] = {
    "close is asked for": (head("GET /a/next", "Connection: close"), b"", "200 C"),
    "close is asked for, with a body unread": (sized("POST /a/refuse", 5, "Connection: close"), b"hello", "401 C"),
    "close is asked for, streamed": (sized("POST /a/stream", 0, "Connection: close"), b"", "200 C"),
    "the app says close": (head("GET /a/says-close"), b"", "200 C"),
    "the app says keep-alive": (head("GET /a/says-keep-alive"), b"", "200 K"),
    "the app says keep-alive in vain": (sized("POST /a/says-keep-alive", 1024 * KIB), b"", "200 C"),
    "HTTP/1.0": (head("GET /a/next HTTP/1.0"), b"", "200 C"),
    "HTTP/1.0, keep-alive": (head("GET /a/next HTTP/1.0", "Connection: keep-alive"), b"", "200 C"),
    "HTTP/1.0, keep-alive, streamed": (sized("POST /a/stream HTTP/1.0", 0, "Connection: keep-alive"), b"", "200 C"),
    "400": (b"GET  / HTTP/1.1\r\n\r\n", b"more", "400 C"),
    "400 for the Host": (b"GET /a/ HTTP/1.1\r\nHost: a~b\r\n\r\n", b"more", "400 C"),
    "400 for a chunk": (chunked("POST /a/all") + b"x\r\n", b"more", "400 C"),
    "413 for the length": (head("POST /a/all", "Content-Length: " + "9" * 19), b"more", "413 C"),
    "414": (head("GET /a/" + "a" * 9000), b"more", "414 C"),
    "417": (head("GET /a/", "Expect: magic"), b"more", "417 C"),
    "431": (head("GET /a/", "A: " + "b" * 20_000), b"more", "431 C"),
    "501": (head("POST /a/", "Transfer-Encoding: gzip"), b"more", "501 C"),
    "505": (head("GET /a/ HTTP/2.0"), b"more", "505 C"),
    "a handshake with a body": (upgrade("/a/denied", "Content-Length: 5"), b"hello", "400 C"),
    "a handshake without a key": (upgrade("/a/denied").replace(b"Sec-WebSocket-Key", b"Key"), b"", "400 C"),
    "a handshake of another version": (upgrade("/a/denied").replace(b"Version: 13", b"Version: 8"), b"", "426 C"),
    "a handshake that the handler refuses": (upgrade("/a/denied"), b"more", "403 C"),
    "a handshake that the handler closes": (upgrade("/a/closed"), b"more", "403 C"),
    "a handshake from another origin": (upgrade("/a/denied", "Origin: http://evil.example"), b"", "403 C"),
    "a handshake at a path that is not there": (upgrade("/a/nowhere"), b"more", "404 C"),
}

ROWS = {**BODIES, **OTHERS}


async def answer(wire: Wire, data: bytes, more: bytes) -> str:
    """Status and K or C; the rest of what the client has to say is sent whatever the response is."""
    async with trio.open_nursery() as nursery:
        nursery.start_soon(send, wire, data)
        status, closes = await response_to(wire, data)
    await send(wire, more)
    if closes:
        await wire.read_end()
        return f"{status} C"
    await wire.send(head("GET /a/next"))
    assert (await wire.read_response()).body == b"next"
    return f"{status} K"


async def send(wire: Wire, data: bytes) -> None:
    try:
        await wire.send(data)
    except trio.BrokenResourceError:
        pass  # it may be told that enough is enough


async def response_to(wire: Wire, data: bytes) -> tuple[int, bool]:
    response = await wire.read_response(has_body=not data.startswith(b"HEAD"))
    return response.status, response.headers.get("connection") == "close"


@native_only  # an ASGI server decides for itself
async def test_what_ends_is_announced_and_what_is_not_announced_goes_on(target: Target) -> None:
    assert target.app is not None
    add_routes(target.app)
    with trio.fail_after(60):
        for name, (data, more, due) in ROWS.items():
            wire = await target.connect()
            async with wire.stream:
                assert await answer(wire, data, more) == due, name


@pytest.mark.parametrize("name", ROWS)
async def test_however_the_request_is_cut_nothing_ends_without_a_word(name: str, autojump_clock: MockClock) -> None:
    data, more, due = ROWS[name]
    async with serving() as server:
        for segments in (None, 100) if len(data) + len(more) < 20_000 else (None,):
            wire = server.connect(segments)
            async with wire.stream:
                answered = await answer(wire, data, more)
            # What has not arrived when the response begins may make the server close, but that is said.
            assert answered == due or (segments is not None and answered == due.replace("K", "C"))


def serving(**limits: Any) -> Any:
    app = Triows(__name__, **limits)
    add_routes(app)
    return served(app)


# In time


async def test_a_client_has_as_long_for_a_body_that_is_read_away_as_for_one_that_is_read(
    autojump_clock: MockClock,
) -> None:
    async with serving() as server:
        wire = server.connect()
        await wire.send(sized("POST /a/refuse", 1000))
        assert (await wire.read_response()).status == 401
        for _ in range(9):
            await trio.sleep(1)
            await wire.send(b"x" * 100)
        await wire.send(b"x" * 100 + head("GET /a/next"))
        assert (await wire.read_response()).body == b"next"
        await wire.stream.aclose()


async def test_a_body_that_is_read_away_is_waited_for_no_longer_than_one_that_is_read(
    autojump_clock: MockClock,
) -> None:
    async with serving() as server:
        wire = server.connect()
        await wire.send(sized("POST /a/refuse", 1000))
        assert (await wire.read_response()).status == 401
        start = trio.current_time()
        await wire.read_end()
        assert trio.current_time() - start == pytest.approx(10, abs=0.1)
        await wire.stream.aclose()


@pytest.mark.parametrize(("path", "status"), [("refuse", 401), ("limited", 413), ("nowhere", 404)])
async def test_a_client_that_reads_the_response_behind_its_upload_gets_it(
    path: str, status: int, autojump_clock: MockClock
) -> None:
    async with serving() as server:
        wire = server.connect()
        await wire.send(sized(f"POST /a/{path}", 25 * 100 * KIB))
        for _ in range(25):
            await wire.send(b"x" * 100 * KIB)
            await trio.sleep(1)
        response = await wire.read_response()
        assert (response.status, response.headers["connection"]) == (status, "close")
        await wire.read_end()
        await wire.stream.aclose()


async def test_a_client_that_sends_without_end_is_left_in_the_end(autojump_clock: MockClock) -> None:
    async with serving() as server:
        wire = server.connect()
        await wire.send(sized("POST /a/refuse", 16 * KIB * KIB))
        start = trio.current_time()
        with pytest.raises(trio.BrokenResourceError):
            while True:
                await wire.send(b"x" * KIB)
                await trio.sleep(1)
        assert trio.current_time() - start == pytest.approx(30, abs=2)
        await wire.stream.aclose()


async def test_a_shutdown_does_not_wait_for_a_body_that_is_read_away(autojump_clock: MockClock) -> None:
    async with serving() as server:
        wire = server.connect()
        await wire.send(sized("POST /a/refuse", 1000))
        assert (await wire.read_response()).status == 401
        await wait_all_tasks_blocked()
        start = trio.current_time()
        server.server.shutdown()
        await wire.read_end()
        assert trio.current_time() - start < 1
        await wire.stream.aclose()


@pytest.mark.parametrize(("timeout", "due"), [(0.001, "200 C"), (0.999, "200 C"), (1, "200 K"), (None, "200 K")])
async def test_where_a_connection_may_not_idle_that_is_said(
    timeout: float | None, due: str, autojump_clock: MockClock
) -> None:
    async with serving(keep_alive_timeout=timeout) as server:
        wire = server.connect()
        async with wire.stream:
            assert await answer(wire, head("GET /a/next"), b"") == due


async def test_a_head_that_is_whole_as_its_time_ends_is_answered_once(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with serving() as server:
        wire = server.connect()
        await wire.send(head("GET /a/next")[:-2])
        await wait_all_tasks_blocked()
        (connection,) = server.server._connections
        data_received = HTTP1Connection.data_received

        def receive_late(self: HTTP1Connection, data: bytes) -> None:
            data_received(self, data)
            self._deadline = 0.0
            self._check_deadline()  # before the one who reads comes to run

        monkeypatch.setattr(HTTP1Connection, "data_received", receive_late)
        await wire.send(b"\r\n")
        response = await wire.read_response()
        assert (response.status, response.headers["connection"]) == (200, "close")
        await wire.read_end()
        await wire.stream.aclose()
        assert connection.closing


# At a shutdown


TEARDOWNS: list[trio.Event] = []


@pytest.mark.parametrize("cut", [None, 10])
async def test_a_request_behind_a_response_that_could_not_tell_of_the_shutdown_is_answered(
    cut: int | None, autojump_clock: MockClock
) -> None:
    app = Triows(__name__)
    add_routes(app)

    @app.teardown_request
    async def wait(_: BaseException | None) -> None:
        TEARDOWNS.append(trio.Event())
        await TEARDOWNS[-1].wait()

    async with served(app) as server:
        wire = server.connect()
        await wire.send(head("GET /a/next"))
        assert "connection" not in (await wire.read_response()).headers
        await wait_all_tasks_blocked()
        following = head("GET /a/refuse")
        await wire.send(following[:cut])
        await wait_all_tasks_blocked()
        server.server.shutdown()
        await wait_all_tasks_blocked()
        TEARDOWNS[-1].set()
        if cut is not None:
            await wire.send(following[cut:])
        response = await wire.read_response()
        assert (response.status, response.headers["connection"]) == (401, "close")
        TEARDOWNS[-1].set()
        await wire.read_end()
        await wire.stream.aclose()


async def test_responses_of_a_shutdown_say_that_they_are_the_last(autojump_clock: MockClock) -> None:
    app = Triows(__name__)
    add_routes(app)
    leave = trio.Event()

    @app.before_request
    async def wait() -> None:
        await leave.wait()

    async with served(app) as server:
        wires = []
        for name in ("unread, at once", "all read", "streamed before it is read", "and 204", "none", "of HEAD"):
            wire = server.connect()
            await wire.send(ROWS[name][0])
            wires.append((wire, ROWS[name][0]))
        await wait_all_tasks_blocked()
        server.server.shutdown()
        await wait_all_tasks_blocked()
        leave.set()
        for wire, data in wires:
            assert (await response_to(wire, data))[1], data
            await wire.read_end()
            await wire.stream.aclose()


async def test_a_response_whose_handler_fails_behind_its_head_does_not_look_whole(autojump_clock: MockClock) -> None:
    app = Triows(__name__)

    @app.get("/")
    async def breaks_off() -> AsyncIterator[str]:
        async def pieces() -> AsyncIterator[str]:
            yield "begun"
            raise ValueError("asked for by a test")

        return pieces()

    async with served(app) as server:
        wire = server.connect()
        await wire.send(head("GET /"))
        with pytest.raises(Gone):
            await wire.read_response()
        await wire.stream.aclose()
