"""The access log: what stands in its records, what never does, and what it costs when it fails."""

from __future__ import annotations

import logging
import re
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from triows import Disconnect, Triows, request, websocket
from triows.connection.logs import Notices, RequestLine, guarded_logger, hide_values
from triows.testing import memory_stream_pair

from ..support.asgi import accepted, http
from ..support.http import ask, get
from ..support.records import Records, error_log
from ..support.served import served
from ..support.wire import TEXT, Wire, be_dead, be_left, break_the_protocol, frame, upgrade


def make_app() -> Triows:
    app = Triows(__name__)

    @app.route("/")
    async def index() -> str:
        return "hello"

    @app.route("/broken")
    async def broken() -> str:
        raise LookupError("broken")

    @app.route("/stream")
    async def stream() -> Any:
        async def pieces() -> Any:
            yield "ab"
            yield "cd"

        return pieces()

    @app.post("/unread")
    async def unread() -> str:
        return "not read"

    @app.websocket("/ws")
    async def echo() -> None:
        async for message in websocket:
            await websocket.send(message)

    @app.websocket("/talks")
    async def talks() -> None:
        await websocket.send("one")
        await websocket.send(b"three")
        await websocket.close(4000, 'enough "')

    @app.websocket("/own-close")
    async def own_close() -> None:
        await websocket.accept()
        await websocket.close(4000, "enough")

    @app.websocket("/closes")
    async def closes() -> None:
        await websocket.receive()
        await websocket.close(4002, "enough")

    @app.websocket("/own-close-and-more")
    async def own_close_and_more() -> None:
        await own_close()
        await trio.sleep_forever()

    @app.websocket("/closes-at-shutdown")
    async def closes_at_shutdown() -> None:
        await websocket.accept()
        try:
            await websocket.receive()
        finally:
            with trio.CancelScope(shield=True):
                await websocket.close(4001, "moved")

    @app.websocket("/fails")
    async def fails() -> None:
        await websocket.accept()
        raise LookupError("failed")

    @app.websocket("/refused")
    async def refused() -> tuple[str, int]:
        return "no", 403

    return app


async def logged_after(data: bytes, log: Callable[[], list[Any]], **options: Any) -> Any:
    """What is logged once the server has answered these bytes: one record."""
    async with served(make_app(), **options) as target:
        wire = target.connect()
        await ask(wire, data)
        await wire.stream.aclose()
    (entry,) = log()
    return entry


# Responses


async def test_a_response_is_logged_with_client_request_status_size_and_time(log: Callable[[], list[str]]) -> None:
    async with trio.open_nursery() as nursery:
        server = await nursery.start(make_app().serve, "127.0.0.1", 0)
        wire = Wire(await trio.open_tcp_stream("127.0.0.1", server.port))
        await ask(wire, get("/?a=b"))
        await ask(wire, get("/missing"))
        await wire.stream.aclose()
        server.shutdown()
    first, second = log()
    assert re.fullmatch(r'127\.0\.0\.1 "GET /\?a=\*\*\* HTTP/1\.1" 200 5 \d+\.\d ms', first)
    assert re.fullmatch(r'127\.0\.0\.1 "GET /missing HTTP/1\.1" 404 \d+ \d+\.\d ms', second)


async def test_a_client_without_an_address_is_logged_as_a_dash(
    log: Callable[[], list[str]], autojump_clock: MockClock
) -> None:
    line = await logged_after(get(), log)
    assert line.startswith('- "GET / HTTP/1.1" 200 5 ')


async def test_a_record_of_a_response_has_all_of_it_as_attributes(records: Records, autojump_clock: MockClock) -> None:
    record = await logged_after(get("/?token=secret"), records)
    assert fields(record) == {
        "request_id": None,
        "client": None,
        "method": "GET",
        "path": "/",
        "query": "token=***",
        "http_version": "1.1",
        "status": 200,
        "size": 5,
        "code": None,
        "kind": None,
        "reason": None,
        "messages_received": None,
        "bytes_received": None,
        "messages_sent": None,
        "bytes_sent": None,
    }
    assert 0 <= record.duration < 60  # type: ignore[attr-defined]


async def test_the_client_is_the_one_that_the_request_is_handled_for(
    log: Callable[[], list[str]], autojump_clock: MockClock
) -> None:
    app = make_app()

    @app.before_request
    async def forwarded() -> None:
        request.connection.head.client = ("192.0.2.7", 1)

    async with served(app) as target:
        wire = target.connect()
        await ask(wire, get())
        await wire.stream.aclose()
    assert log()[0].startswith('192.0.2.7 "GET / HTTP/1.1" 200')


async def test_a_streamed_response_is_logged_at_its_end_with_its_size(
    records: Records, autojump_clock: MockClock
) -> None:
    record = await logged_after(get("/stream"), records)
    assert (record.status, record.size) == (200, 4)


async def test_a_failed_handler_is_logged_as_500(records: Records, autojump_clock: MockClock) -> None:
    record = await logged_after(get("/broken"), records)
    assert (record.path, record.status) == ("/broken", 500)


async def test_a_refused_handshake_is_logged_as_a_response_alone(records: Records, autojump_clock: MockClock) -> None:
    record = await logged_after(upgrade("/refused"), records)
    assert (record.path, record.status, record.size, record.kind) == ("/refused", 403, 2, None)


def leaves_early(app: Triows) -> None:
    """Add routes whose clients are gone before the end."""

    @app.route("/never")
    async def never() -> None:
        await trio.sleep_forever()

    @app.route("/endless")
    async def endless() -> Any:
        async def pieces() -> Any:
            yield b"ab"
            await trio.sleep_forever()

        return pieces()

    @app.route("/breaks")
    async def breaks() -> Any:
        async def pieces() -> Any:
            yield b"abc"
            raise LookupError("broken")

        return pieces()

    @app.post("/upload")
    async def upload() -> str:
        return str(len(await request.get_data()))

    @app.websocket("/undecided")
    async def undecided() -> None:
        await trio.sleep_forever()


@pytest.mark.parametrize(
    ("data", "line", "status", "size", "kind"),
    [
        (get("/never"), "GET /never", None, None, "lost"),
        (get("/endless"), "GET /endless", 200, 2, "lost"),
        (get("/breaks"), "GET /breaks", 200, 3, "error"),
        (get("/upload", "Content-Length: 9", method="POST"), "POST /upload", None, None, "lost"),
        (upgrade("/undecided"), "GET /undecided", None, None, "lost"),
    ],
)
async def test_a_request_without_a_whole_response_is_logged_with_why(
    records: Records,
    autojump_clock: MockClock,
    data: bytes,
    line: str,
    status: int | None,
    size: int | None,
    kind: str,
) -> None:
    app = make_app()
    leaves_early(app)
    async with served(app) as target:
        wire = target.connect()
        await wire.send(data)
        await wait_all_tasks_blocked()
        await wire.stream.aclose()
    (record,) = records()
    assert (record.status, record.size, record.kind) == (status, size, kind)
    shown = f"{'-' if status is None else status} {'-' if size is None else size}"
    assert re.fullmatch(rf'- "{line} HTTP/1\.1" {shown} \d+\.\d ms, {kind}', record.getMessage())


async def test_a_response_that_was_whole_when_its_client_left_is_logged_as_whole(
    records: Records, autojump_clock: MockClock
) -> None:
    app = make_app()

    @app.get("/file")
    async def file() -> tuple[AsyncIterator[bytes], int, dict[str, str]]:
        async def pieces() -> AsyncIterator[bytes]:
            yield b"all of it"
            await trio.sleep(1)

        return pieces(), 200, {"Content-Length": "9"}

    async with served(app) as target:
        wire = target.connect()
        await wire.send(get("/file"))
        assert (await wire.read_response()).body == b"all of it"
        await wire.stream.aclose()
        await trio.sleep(2)
    (record,) = records()
    assert (record.status, record.size, record.kind) == (200, 9, None)


async def test_a_handler_that_goes_on_behind_the_whole_response_is_cancelled_after_the_drain_timeout(
    records: Records, autojump_clock: MockClock
) -> None:
    """Nobody waits for it any more, and it holds its connection. The response was whole all the same."""
    app = make_app()
    app.config["DRAIN_TIMEOUT"] = 7
    ended: list[Any] = []

    @app.get("/file")
    async def file() -> tuple[AsyncIterator[bytes], int, dict[str, str]]:
        async def pieces() -> AsyncIterator[bytes]:
            try:
                yield b"all of it"
                await trio.sleep_forever()
            finally:
                ended.append((trio.current_time() - left, request.disconnect and request.disconnect.kind))

        return pieces(), 200, {"Content-Length": "9"}

    async with served(app) as target:
        wire = target.connect()
        await wire.send(get("/file"))
        assert (await wire.read_response()).body == b"all of it"
        await wire.stream.aclose()
        left = trio.current_time()
        await trio.sleep(20)
    assert ended == [(pytest.approx(7), "lost")]
    (record,) = records()
    assert (record.status, record.size, record.kind) == (200, 9, None)


async def test_a_client_that_does_not_take_its_response_is_logged_so(
    records: Records, autojump_clock: MockClock
) -> None:
    app = make_app()

    @app.route("/large")
    async def large() -> bytes:
        return bytes(1_000_000)

    async with served(app) as target:
        mine, its = memory_stream_pair()  # which holds what is not read, unlike those of Trio
        target.nursery.start_soon(target.server.serve_stream, its)
        mine.stall()
        await mine.send_all(get("/large"))
        await trio.sleep(100)
        await mine.aclose()
    (record,) = records()
    assert (record.status, record.size, record.kind) == (200, 1_000_000, "timeout")


async def test_a_client_that_is_turned_away_is_logged(log: Callable[[], list[str]]) -> None:
    app = make_app()
    app.config["MAX_CONNECTIONS"] = 1
    async with trio.open_nursery() as nursery:
        server = await nursery.start(app.serve, "127.0.0.1", 0)
        first = Wire(await trio.open_tcp_stream("127.0.0.1", server.port))
        await ask(first, get())
        second = Wire(await trio.open_tcp_stream("127.0.0.1", server.port))
        assert (await second.read_response()).status == 503
        await first.stream.aclose()
        await second.stream.aclose()
        server.shutdown()
    assert log()[1] == '127.0.0.1 "-" 503 0 0.0 ms'


async def test_a_refused_head_is_logged_under_its_own_request_line(
    log: Callable[[], list[str]], autojump_clock: MockClock
) -> None:
    async with served(make_app()) as target:
        wire = target.connect()
        await ask(wire, get())
        assert (await ask(wire, b"POST /long HTTP/1.1\r\nA: " + b"b" * 20_000)).status == 431
        await wire.stream.aclose()
    assert re.fullmatch(r'- "POST /long HTTP/1\.1" 431 [1-9]\d* \d+\.\d ms', log()[1])


async def test_a_head_that_does_not_come_in_time_is_logged(
    log: Callable[[], list[str]], autojump_clock: MockClock
) -> None:
    line = await logged_after(b"GET /slow?token=secret HTTP/1.1\r\nCookie: a=b", log)
    assert line.startswith('- "GET /slow?token=*** HTTP/1.1" 408 38 ')


async def test_the_access_log_can_be_left_out(log: Callable[[], list[str]], autojump_clock: MockClock) -> None:
    async with served(make_app(), access_log=False) as target:
        wire = target.connect()
        await ask(wire, get())
        await wire.handshake("/ws")
        await wire.close()
    assert log() == []


# Ends of websockets


async def end_of_websocket(log: Callable[[], list[Any]], talk: Any, path: str = "/ws") -> Any:
    """What is logged at the end of a websocket, behind its 101."""
    async with served(make_app()) as target:
        wire = target.connect()
        await wire.handshake(path)
        await talk(wire)
    begin, end = log()
    message = begin if isinstance(begin, str) else begin.getMessage()
    assert re.fullmatch(rf'- "GET {path} HTTP/1\.1" 101 - \d+\.\d ms', message)
    return end


async def test_the_end_of_a_websocket_is_a_line_with_how_it_ended_and_what_was_said(
    log: Callable[[], list[str]], autojump_clock: MockClock
) -> None:
    async def talk(wire: Wire) -> None:
        await wire.send_text("four")
        assert await wire.read_text() == "four"
        await wire.close(1001, 'bye "\n')

    end = await end_of_websocket(log, talk)
    assert re.fullmatch(
        r'- "GET /ws HTTP/1\.1" closed 1001 going away "bye \\"\\n" after \d+\.\d s,'
        r" received 1 messages \(4 bytes\), sent 1 \(4 bytes\)",
        end,
    )


async def test_a_record_of_a_websocket_has_all_of_it_as_attributes(records: Records, autojump_clock: MockClock) -> None:
    async def talk(wire: Wire) -> None:
        for _ in range(3):
            await wire.send_text("ä")
            await wire.read_text()
        await wire.close(4001, "bye")

    record = await end_of_websocket(records, talk)
    assert fields(record) == {
        "request_id": None,
        "client": None,
        "method": "GET",
        "path": "/ws",
        "query": "",
        "http_version": "1.1",
        "status": 101,
        "size": None,
        "code": 4001,
        "kind": "closed",
        "reason": "bye",
        "messages_received": 3,
        "bytes_received": 6,
        "messages_sent": 3,
        "bytes_sent": 6,
    }
    assert 0 <= record.duration < 60


async def test_the_duration_is_in_seconds_from_the_head_on(
    records: Records, autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("triows.server.http1.time.perf_counter", trio.current_time)

    async def talk(wire: Wire) -> None:
        await trio.sleep(12)
        await wire.close()

    record = await end_of_websocket(records, talk)
    assert record.duration == pytest.approx(12)
    assert " after 12.0 s, " in record.getMessage()


async def lose(wire: Wire) -> None:
    await wire.stream.aclose()


@pytest.mark.parametrize(
    ("path", "talk", "kind", "code", "reason"),
    [
        ("/ws", lose, "lost", 1006, ""),
        ("/ws", break_the_protocol, "protocol_error", 1002, "unknown opcode 3"),
        ("/ws", be_dead, "timeout", 1006, "no sign of life for 20 s after a ping"),
        ("/talks", be_left, "server", 4000, 'enough \\"'),
        ("/fails", be_left, "error", 1011, ""),
    ],
)
async def test_the_record_tells_how_a_websocket_ended(
    records: Records, autojump_clock: MockClock, path: str, talk: Any, kind: str, code: int, reason: str
) -> None:
    record = await end_of_websocket(records, talk, path)
    assert (record.kind, record.code, record.reason) == (kind, code, reason)


async def test_the_record_tells_of_a_shutdown(records: Records, autojump_clock: MockClock) -> None:
    async with served(make_app()) as target:
        wire = target.connect()
        await wire.handshake("/ws")
        target.server.shutdown()
        await be_left(wire)
    assert (records()[1].kind, records()[1].code) == ("shutdown", 1001)


@pytest.mark.parametrize("path", ["/own-close", "/own-close-and-more"])
async def test_the_record_tells_of_the_handlers_own_close_and_not_of_a_later_shutdown(
    records: Records, autojump_clock: MockClock, path: str
) -> None:
    async with served(make_app()) as target:
        wire = target.connect()
        await wire.handshake(path)
        assert await wire.read_close() == (4000, "enough")
        await wait_all_tasks_blocked()
        target.server.shutdown()
        await wait_all_tasks_blocked()
        await wire.stream.aclose()
    assert (records()[1].kind, records()[1].code, records()[1].reason) == ("server", 4000, "enough")


async def test_the_record_tells_the_code_that_a_handler_closed_with_at_a_shutdown(
    records: Records, autojump_clock: MockClock
) -> None:
    async with served(make_app()) as target:
        wire = target.connect()
        await wire.handshake("/closes-at-shutdown")
        target.server.shutdown()
        assert await wire.read_close() == (4001, "moved")
        await wire.stream.aclose()
    assert (records()[1].kind, records()[1].code, records()[1].reason) == ("shutdown", 4001, "moved")


async def test_the_record_tells_of_the_clients_fault_also_if_the_handler_then_closes(
    records: Records, autojump_clock: MockClock
) -> None:
    async def talk(wire: Wire) -> None:
        await wire.send(frame(TEXT, b"last") + frame(TEXT, b"bare", masked=False))
        assert await wire.read_close() == (4002, "enough")
        await be_left(wire)

    record = await end_of_websocket(records, talk, "/closes")
    assert (record.kind, record.code, record.reason) == ("protocol_error", 1002, "frame is not masked")


async def test_what_this_side_sent_is_in_the_record_too(records: Records, autojump_clock: MockClock) -> None:
    record = await end_of_websocket(records, be_left, "/talks")
    assert (record.messages_sent, record.bytes_sent, record.messages_received) == (2, 8, 0)


# Under an ASGI server, which logs responses by itself


async def test_under_asgi_the_end_of_a_websocket_is_logged(records: Records, autojump_clock: MockClock) -> None:
    scope = {"path": "/ws", "query_string": b"token=secret", "client": ("192.0.2.1", 5)}
    async with accepted(make_app(), **scope) as server:
        server.put("websocket.receive", text="hello")
        assert (await server.next())["text"] == "hello"
        server.put("websocket.disconnect", code=1001, reason="bye")
    (record,) = records()
    assert (record.client, record.path, record.query, record.kind) == ("192.0.2.1", "/ws", "token=***", "closed")
    assert (record.code, record.messages_received, record.bytes_sent) == (1001, 1, 5)


async def test_under_asgi_the_word_of_the_servers_middleware_for_the_client_is_escaped(
    records: Records, autojump_clock: MockClock
) -> None:
    async with accepted(make_app(), path="/ws", client=('forged" 200\n\x1b' + "a" * 100, 5)) as server:
        server.put("websocket.disconnect", code=1001, reason="")
    (record,) = records()
    assert record.client == r"forged\" 200\n\x1b" + "a" * 51 + "..."  # type: ignore[attr-defined]
    assert record.getMessage().startswith(f'{record.client} "GET /ws HTTP/1.1" closed 1001')  # type: ignore[attr-defined]


async def test_under_asgi_responses_are_left_to_the_servers_log(records: Records, autojump_clock: MockClock) -> None:
    async with http(make_app()) as server:
        server.put("http.request")
        assert (await server.next())["status"] == 200
    assert records() == []


# Nothing secret


async def test_values_of_a_query_are_hidden_and_names_stay(
    log: Callable[[], list[str]], autojump_clock: MockClock
) -> None:
    line = await logged_after(get("/?token=secret&room=secret&secret&a="), log)
    assert '"GET /?token=***&room=***&***&a=*** HTTP/1.1"' in line


async def test_a_setting_shows_the_values_of_queries(log: Callable[[], list[str]], autojump_clock: MockClock) -> None:
    app = make_app()
    app.config["ACCESS_LOG_QUERY"] = True
    async with served(app) as target:
        wire = target.connect()
        await ask(wire, get("/?room=5&b=%22"))
        await wire.stream.aclose()
    assert '"GET /?room=5&b=%22 HTTP/1.1"' in log()[0]


SECRET = "5ecr3t"


@pytest.mark.parametrize(
    "data",
    [
        get(f"/?token={SECRET}", f"Cookie: {SECRET}", f"Authorization: Basic {SECRET}"),
        get(f"/missing?{SECRET}", f"Cookie: {SECRET}"),
        get("/broken", f"Cookie: {SECRET}", f"X-Token: {SECRET}"),
        upgrade(f"/fails?token={SECRET}", f"Cookie: {SECRET}"),
        upgrade(f"/refused?token={SECRET}", f"Authorization: {SECRET}"),
        upgrade(f"/ws?token={SECRET}", f"Cookie: {SECRET}").replace(b"Version: 13", b"Version: 7"),
        f"Cookie: {SECRET}\r\n\r\n".encode(),
        f"\r\nAuthorization : Basic {SECRET}\r\n\r\n".encode(),
        f"GET / HTTP/1.1\nCookie: {SECRET}\n\n\r\n\r\n".encode(),
        f"GET /\rCookie: {SECRET} HTTP/1.1\r\n\r\n".encode(),
        f"GET / Cookie: {SECRET} HTTP/1.1\r\n\r\n".encode(),
        f"GET /?a=b&token={SECRET} more {SECRET}\r\n\r\n".encode(),
        f"GET /?token={SECRET}\r\n\r\n".encode(),
        f"GET /#{SECRET} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode(),
        f"GET http://me:{SECRET}@localhost/ HTTP/1.1\r\nHost: localhost\r\n\r\n".encode(),
        f"CONNECT me:{SECRET}@localhost:80 HTTP/1.1\r\nHost: localhost\r\n\r\n".encode(),
        f"GET / HTTP/1.1\r\nCookie {SECRET}\r\n\r\n".encode(),
        f"GET / HTTP/1.1\r\nHost: a\r\nHost: {SECRET}\r\n\r\n".encode(),
        f"POST /unread HTTP/1.1\r\nHost: a\r\nContent-Length: {SECRET}\r\n\r\n".encode(),
        f"POST /unread HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n{SECRET}\r\n".encode(),
        f"\x16\x03\x01{SECRET}\r\n\r\n".encode(),
    ],
)
async def test_no_record_holds_what_was_in_a_header_or_in_a_query(
    caplog: pytest.LogCaptureFixture, autojump_clock: MockClock, data: bytes
) -> None:
    caplog.set_level(logging.DEBUG)
    async with served(make_app()) as target:
        wire = target.connect()
        await wire.send(data)
        await wire.read_head()
        await wire.stream.aclose()
    assert any(record.name == "triows.access" for record in caplog.records)
    assert SECRET not in caplog.text
    assert not any(SECRET in str(vars(record)) for record in caplog.records)


async def test_a_swallowed_cancellation_is_logged_without_the_query_and_without_a_line_of_the_clients(
    caplog: pytest.LogCaptureFixture, autojump_clock: MockClock
) -> None:
    app = Triows(__name__)

    @app.websocket("/swallows")
    async def swallows() -> None:
        try:
            await websocket.receive()
        except trio.Cancelled:
            pass

    async with served(app) as target:
        wire = target.connect()
        await wire.handshake(f"/swallows?token={SECRET}")
        await wire.close(1000, "bye\r\nERROR forged\u2028\u202e\x1b[31m")
    (record,) = error_log(caplog)
    assert r"bye\r\nERROR forged\u2028\u202e\x1b[31m" in record.getMessage()
    assert record.getMessage().isprintable()
    assert SECRET not in caplog.text


def test_the_words_of_a_client_are_escaped_where_its_disconnect_is_described() -> None:
    assert Disconnect(1000, "tschüß\n\u202e", "closed").describe() == r"1000 normal closure: tschüß\n\u202e"


# Nothing forged, and nothing endless


@pytest.mark.parametrize(
    ("line", "logged"),
    [
        (b"GET /\xc3\xa4 HTTP/1.1", r"GET /\xc3\xa4 HTTP/1.1"),
        (b'GET /" HTTP/1.1', r"GET /\" HTTP/1.1"),
        (b'GET /\\" HTTP/1.1', r"GET /\\\" HTTP/1.1"),
        (b"GET /'\" HTTP/1.1", r"GET /\'\" HTTP/1.1"),
        (b'GET /" 200 5 1.0 ms', r"GET /\""),
        (b"GET /\x1b[31m HTTP/1.1", r"GET /\x1b[31m HTTP/1.1"),
        (b"GET /\r\x85 HTTP/1.1", "GET /"),
        (b"GET /\xe2\x80\xa8\xe2\x80\xae HTTP/1.1", r"GET /\xe2\x80\xa8\xe2\x80\xae HTTP/1.1"),
        (b'GET /?"\x07=1 HTTP/1.1', r"GET /?\"\x07=*** HTTP/1.1"),
        (b'G"T / HTTP/1.1', "-"),
        (b"GET\x0b/ HTTP/1.1", "-"),
    ],
)
async def test_a_request_line_cannot_forge_a_line_or_field_of_the_log(
    log: Callable[[], list[str]], autojump_clock: MockClock, line: bytes, logged: str
) -> None:
    entry = await logged_after(line + b"\r\nHost: localhost\r\n\r\n", log)
    assert entry.isprintable()
    assert entry.startswith(f'- "{logged}" ')


@pytest.mark.parametrize(
    "target", [b"/" + b"a" * 8000, b"/?" + b"&" * 8000, b"/?a" + b"a" * 8000, b"/" + b"\xff" * 8000]
)
async def test_a_line_is_bounded(log: Callable[[], list[str]], autojump_clock: MockClock, target: bytes) -> None:
    entry = await logged_after(b"GET " + target + b" HTTP/1.1\r\nHost: localhost\r\n\r\n", log)
    assert len(entry) < 9000
    assert entry.startswith('- "GET /')


async def test_a_request_line_that_is_too_long_is_logged_by_its_beginning(
    log: Callable[[], list[str]], autojump_clock: MockClock
) -> None:
    entry = await logged_after(b"GET /" + b"a" * 20_000, log)
    assert entry.startswith('- "GET /aaaa')
    assert len(entry) < 2000


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        (b"GET / HTTP/1.1", "GET / HTTP/1.1"),
        (b"OPTIONS * HTTP/1.1", "OPTIONS * HTTP/1.1"),
        (b"GET wss://me:word@example.com/a HTTP/1.1", "GET wss://***@example.com/a HTTP/1.1"),
        (b"CONNECT example.com:443 HTTP/1.1", "CONNECT *** HTTP/1.1"),
        (b"GET", "GET"),
        (b"", "-"),
        (b" / HTTP/1.1", "-"),
        (b"A" * 41 + b" / HTTP/1.1", "-"),
    ],
)
def test_of_a_request_line_is_shown_what_looks_like_one(line: bytes, shown: str) -> None:
    assert str(RequestLine.read(line)) == shown


@pytest.mark.parametrize(
    ("query", "hidden"),
    [
        ("", ""),
        ("a=1", "a=***"),
        ("a=1=2&&b=", "a=***&&b=***"),
        ("dG9rZW4", "***"),
        (f"{'t' * 41}=", "***"),
    ],
)
def test_what_stays_of_a_query_are_names(query: str, hidden: str) -> None:
    assert hide_values(query) == hidden


# A log that fails


@contextmanager
def broken_handler(name: str) -> Iterator[list[str]]:
    met = []

    class Broken(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            met.append(record.getMessage())
            raise OSError(28, "No space left on device")

    logger, handler = logging.getLogger(name), Broken()
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        yield met
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)


async def test_a_log_that_fails_costs_no_connection(autojump_clock: MockClock) -> None:
    with broken_handler("triows.access") as met:
        async with served(make_app()) as target:
            wire = target.connect()
            assert (await ask(wire, get())).status == 200
            assert (await ask(wire, get())).body == b"hello"
            await wire.handshake("/ws")
            await wire.send_text("hello")
            assert await wire.read_text() == "hello"
            await wire.close()
    assert len(met) == 4


async def test_the_apps_log_that_fails_costs_no_server(autojump_clock: MockClock) -> None:
    with broken_handler(__name__) as met:
        async with served(make_app()) as target:
            for _ in range(2):
                wire = target.connect()
                assert (await ask(wire, get("/broken"))).status == 500
                await wire.stream.aclose()
                wire = target.connect()
                await wire.handshake("/fails")
                assert (await wire.read_close())[0] == 1011
                await wire.stream.aclose()
    assert len(met) == 4


def test_a_guarded_logger_stays_of_its_class_and_names_its_callers(caplog: pytest.LogCaptureFixture) -> None:
    class Own(logging.Logger):
        pass

    logging.setLoggerClass(Own)
    try:
        logging.getLogger("triows.tests.own")
    finally:
        logging.setLoggerClass(logging.Logger)
    logger = guarded_logger("triows.tests.own")
    assert isinstance(logger, Own)
    assert guarded_logger("triows.tests.own") is logger is logging.getLogger("triows.tests.own")
    logger.error("here")
    assert caplog.records[0].filename == "test_logs.py"


async def test_a_notice_of_a_kind_is_due_once_a_minute(autojump_clock: MockClock) -> None:
    notices = Notices()
    assert [notices.is_due("kind", "route") for _ in range(2)] == [True, False]
    assert [notices.is_due("kind", "other"), notices.is_due("other", "route")] == [True, True]
    await trio.sleep(59)
    assert not notices.is_due("kind", "route")
    await trio.sleep(1)
    assert notices.is_due("kind", "route")


def test_a_notice_is_due_in_a_new_run_whose_clock_is_behind() -> None:
    notices = Notices()

    async def ask() -> bool:
        return notices.is_due("kind", None)

    late, early = MockClock(), MockClock()
    late.jump(1000)
    assert [trio.run(ask, clock=clock) for clock in (late, early)] == [True, True]


def fields(record: logging.LogRecord) -> dict[str, Any]:
    """What a record has beyond those of others, but for the time that it tells."""
    plain = logging.makeLogRecord({})
    own = {"message", "asctime", "duration", "taskName"}
    return {name: value for name, value in vars(record).items() if name not in vars(plain) and name not in own}
