"""What app.stats() counts, however the app is served."""

from __future__ import annotations

import json
import zlib
from collections.abc import Awaitable, Callable
from typing import Any, get_args

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from triows import Compression, Stats, Triows, websocket
from triows.protocol.disconnect import DisconnectKind

from ..support.asgi import accepted, http, ws
from ..support.http import ask, get
from ..support.served import served
from ..support.wire import CONTINUATION, PING, TEXT, Wire, be_dead, be_left, break_the_protocol, frame, upgrade


def make_app(**limits: Any) -> Triows:
    app = Triows(__name__, **limits)
    app.config["PROPAGATE_EXCEPTIONS"] = False

    @app.route("/")
    async def index() -> str:
        return "hello"

    @app.route("/broken")
    async def broken() -> str:
        raise LookupError("broken")

    @app.route("/sleep")
    async def sleep() -> str:
        await trio.sleep_forever()
        raise AssertionError

    @app.websocket("/ws")
    async def echo() -> None:
        async for message in websocket:
            await websocket.send(message)

    @app.websocket("/pieces")
    async def pieces() -> None:
        async with websocket.receive_stream() as stream:
            async for piece in stream:
                await websocket.send(piece)

        async def words() -> Any:
            yield "ä"
            yield "bc"

        await websocket.send(words())

    @app.websocket("/accepts")
    async def accepts() -> None:
        await websocket.accept()

    @app.websocket("/fails")
    async def fails() -> None:
        await websocket.accept()
        raise LookupError("failed")

    @app.websocket("/swallows")
    async def swallows() -> None:
        try:
            await websocket.receive()
        except trio.Cancelled:
            pass

    @app.websocket("/refused")
    async def refused() -> tuple[str, int]:
        return "no", 403

    @app.websocket("/undecided")
    async def undecided() -> None:
        await trio.sleep_forever()

    return app


def some(counts: Any) -> dict[str, int]:
    """What is not 0."""
    return {name: count for name, count in counts.items() if count}


def test_an_app_that_has_not_served_has_counted_nothing() -> None:
    stats = make_app().stats()
    assert isinstance(stats, Stats)
    assert all(value == 0 for value in stats.as_dict().values() if isinstance(value, int))
    assert set(stats.requests.values()) == set(stats.disconnects.values()) == {0}


def test_stats_are_a_value_of_their_own_that_json_knows() -> None:
    app = make_app()
    before = app.stats()
    app.counters.count_stall()
    app.counters.count_response(200)
    assert (before.stalls, before.requests["2xx"]) == (0, 0)
    assert json.loads(json.dumps(app.stats().as_dict()))["stalls"] == 1
    with pytest.raises(AttributeError):
        before.stalls = 2  # type: ignore[misc]


# HTTP


async def test_requests_are_counted_by_the_class_of_their_status(autojump_clock: MockClock) -> None:
    app = make_app()
    async with served(app) as target:
        wire = target.connect()
        for path in ("/", "/", "/missing", "/broken"):
            await ask(wire, get(path))
        await wire.stream.aclose()
    stats = app.stats()
    assert some(stats.requests) == {"2xx": 2, "4xx": 1, "5xx": 1}
    assert stats.handler_errors == 1
    assert stats.requests_open == stats.connections_open == 0


async def test_heads_that_the_server_refuses_by_itself_are_counted(autojump_clock: MockClock) -> None:
    app = make_app()
    async with served(app) as target:
        for data in (b"nonsense\r\n\r\n", b"GET / HTTP/1.1\r\nHost: localhost"):
            wire = target.connect()
            assert (await ask(wire, data)).status in (400, 408)
            await wire.stream.aclose()
    assert some(app.stats().requests) == {"4xx": 2}


async def test_a_request_whose_client_left_has_no_status(autojump_clock: MockClock) -> None:
    app = make_app()
    async with served(app) as target:
        wire = target.connect()
        await wire.send(get("/sleep"))
        await wait_all_tasks_blocked()
        assert (app.stats().connections_open, app.stats().requests_open) == (1, 1)
        await wire.stream.aclose()
    assert some(app.stats().requests) == {"none": 1}


async def test_requests_of_an_asgi_server_are_counted(autojump_clock: MockClock) -> None:
    app = make_app()
    for path in ("/", "/missing"):
        async with http(app, path) as server:
            server.put("http.request")
    assert some(app.stats().requests) == {"2xx": 1, "4xx": 1}


async def test_requests_of_the_test_client_are_counted(autojump_clock: MockClock) -> None:
    app = make_app()
    await app.test_client().get("/")
    assert some(app.stats().requests) == {"2xx": 1}
    assert app.stats().connections_open == 0


async def test_a_request_context_of_a_test_is_no_request() -> None:
    app = make_app()
    async with app.test_request_context("/"):
        assert app.stats().requests_open == 0


# Websockets: handshakes


async def test_handshakes_are_counted_by_what_became_of_them(autojump_clock: MockClock) -> None:
    app = make_app()
    async with served(app) as target:
        open_ = target.connect()
        await open_.handshake("/ws")
        for data in (upgrade("/refused"), upgrade("/missing"), upgrade("/ws").replace(b"Version: 13", b"Version: 7")):
            wire = target.connect()
            assert (await ask(wire, data)).status >= 400
            await wire.stream.aclose()
        wire = target.connect()
        await wire.send(upgrade("/undecided"))
        await wait_all_tasks_blocked()
        assert (app.stats().connections_open, app.stats().websockets_open) == (2, 1)
        await wire.stream.aclose()
        await wait_all_tasks_blocked()
        stats = app.stats()
        assert (stats.handshakes_accepted, stats.handshakes_refused, stats.handshakes_abandoned) == (1, 3, 1)
        assert stats.websockets_open == 1
        assert some(stats.requests) == {}
        await open_.close()
    assert (app.stats().handshakes_accepted, app.stats().websockets_open) == (1, 0)


async def test_a_handshake_accepted_for_a_client_that_was_gone_by_then_is_abandoned(autojump_clock: MockClock) -> None:
    app = make_app()

    @app.websocket("/late")
    async def late() -> None:
        with trio.CancelScope(shield=True):
            while websocket.disconnect is None:
                await trio.sleep(1)
            await websocket.accept()

    async with served(app) as target:
        wire = target.connect()
        await wire.send(upgrade("/late"))
        await wire.stream.aclose()
        await trio.sleep(3)
        stats = app.stats()
        assert (stats.handshakes_accepted, stats.handshakes_abandoned, stats.connections_open) == (0, 1, 0)
        assert some(stats.disconnects) == {}


async def test_a_handshake_that_an_asgi_server_saw_refused_is_counted(autojump_clock: MockClock) -> None:
    app = make_app()
    async with ws(app, "/refused") as server:
        server.put("websocket.connect")
        assert (await server.next())["status"] == 403
        server.put("websocket.disconnect")
    assert app.stats().handshakes_refused == 1


# Websockets: ends


async def lose(wire: Wire) -> None:
    await wire.stream.aclose()


async def close(wire: Wire) -> None:
    await wire.close(1000)


async def finish_pieces(wire: Wire) -> None:
    await wire.send_text("x")
    await be_left(wire)


@pytest.mark.parametrize(
    ("path", "end", "kind"),
    [
        ("/ws", close, "closed"),
        ("/ws", lose, "lost"),
        ("/ws", break_the_protocol, "protocol_error"),
        ("/ws", be_dead, "timeout"),
        ("/pieces", finish_pieces, "server"),
        ("/fails", be_left, "error"),
    ],
)
async def test_websockets_are_counted_by_how_they_ended(
    autojump_clock: MockClock, path: str, end: Callable[[Wire], Awaitable[None]], kind: str
) -> None:
    app = make_app()
    async with served(app) as target:
        wire = target.connect()
        await wire.handshake(path)
        await end(wire)
    stats = app.stats()
    assert some(stats.disconnects) == {kind: 1}
    assert stats.handler_errors == (kind == "error")
    assert stats.swallowed_cancellations == 0


async def test_a_shutdown_ends_websockets_by_its_own_kind(autojump_clock: MockClock) -> None:
    app = make_app()
    async with served(app) as target:
        wire = target.connect()
        await wire.handshake("/ws")
        target.server.shutdown()
        await be_left(wire)
    assert some(app.stats().disconnects) == {"shutdown": 1}


async def test_a_shutdown_after_the_handlers_own_close_is_not_counted(autojump_clock: MockClock) -> None:
    app = make_app()
    async with served(app) as target:
        wire = target.connect()
        await wire.handshake("/accepts")
        assert await wire.read_close() == (1000, "")
        target.server.shutdown()
        await wait_all_tasks_blocked()
        await wire.stream.aclose()
    assert some(app.stats().disconnects) == {"server": 1}


async def test_a_swallowed_cancellation_is_counted_and_is_no_other_error(autojump_clock: MockClock) -> None:
    app = make_app()
    async with served(app) as target:
        wire = target.connect()
        await wire.handshake("/swallows")
        await wire.close()
    stats = app.stats()
    assert (stats.swallowed_cancellations, stats.handler_errors) == (1, 0)
    assert some(stats.disconnects) == {"closed": 1}


async def test_clients_over_the_limit_are_counted() -> None:
    app = make_app(max_connections=1)
    async with trio.open_nursery() as nursery:
        server = await nursery.start(app.serve, "127.0.0.1", 0)
        with trio.fail_after(30):
            first = Wire(await trio.open_tcp_stream("127.0.0.1", server.port))
            await ask(first, get())
            second = Wire(await trio.open_tcp_stream("127.0.0.1", server.port))
            assert (await second.read_response()).status == 503
        assert (app.stats().connections_open, app.stats().connections_refused) == (1, 1)
        await first.stream.aclose()
        await second.stream.aclose()
        server.shutdown()
    assert app.stats().connections_open == 0


# Messages


def messages(stats: Stats) -> tuple[int, int, int, int]:
    return stats.messages_received, stats.bytes_received, stats.messages_sent, stats.bytes_sent


async def test_messages_are_counted_while_the_websocket_is_open_and_once_it_has_ended(
    autojump_clock: MockClock,
) -> None:
    app = make_app()
    async with served(app) as target:
        for total in (3, 6):
            wire = target.connect()
            await wire.handshake("/ws")
            for text in ("a", "ä", ""):
                await wire.send_text(text)
                await wire.read_text()
            assert messages(app.stats()) == (total, total, total, total)
            await wire.close()
    assert messages(app.stats()) == (6, 6, 6, 6)


@pytest.mark.parametrize("segments", [None, 1, 7])
async def test_messages_are_counted_however_they_come(autojump_clock: MockClock, segments: int | None) -> None:
    app = make_app()
    async with served(app) as target:
        wire = target.connect(segments=segments)
        await wire.handshake("/ws")
        await wire.send(
            frame(TEXT, b"plain")
            + frame(TEXT, b"x" * 300)
            + frame(TEXT, b"in ", fin=False)
            + frame(PING)
            + frame(CONTINUATION, b"two")
            + frame(TEXT, b"\xff")
        )
        await wire.read_rest()
        await wire.stream.aclose()
    assert messages(app.stats())[:2] == (3, 311)


async def test_messages_in_pieces_are_counted_as_whole_ones(autojump_clock: MockClock) -> None:
    app = make_app()
    async with served(app) as target:
        wire = target.connect()
        await wire.handshake("/pieces")
        await wire.send(frame(TEXT, b"one", fin=False))
        assert await wire.read_text() == "one"
        assert messages(app.stats()) == (0, 0, 1, 3)
        await wire.send(frame(CONTINUATION, b"two"))
        assert await wire.read_text() == "two"
        await wire.read_rest()
        await wire.stream.aclose()
    assert messages(app.stats()) == (1, 6, 3, 10)


async def test_a_message_given_back_by_a_cancelled_reader_is_counted_once(autojump_clock: MockClock) -> None:
    app = make_app()

    @app.websocket("/gives-back")
    async def gives_back() -> None:
        with trio.CancelScope() as scope:
            websocket.nursery.start_soon(cancel, scope)
            async with websocket.receive_stream():
                raise AssertionError
        await websocket.send(await websocket.receive())
        await websocket.receive()

    async def cancel(scope: trio.CancelScope) -> None:
        await wait_all_tasks_blocked()
        connection = websocket.current().connection
        scope.cancel()
        connection.transport.data_received(frame(TEXT, b"ab", fin=False) + frame(CONTINUATION, b"cd"))  # type: ignore[attr-defined]

    async with served(app) as target:
        wire = target.connect()
        await wire.handshake("/gives-back")
        assert await wire.read_text() == "abcd"
        await wire.close()
    assert messages(app.stats()) == (1, 4, 1, 4)


async def test_the_payload_is_that_of_the_messages_and_not_of_compressed_frames(autojump_clock: MockClock) -> None:
    app = make_app(compression=Compression(min_size=0))
    compressor = zlib.compressobj(wbits=-12)
    packed = (compressor.compress(b"a" * 1000) + compressor.flush(zlib.Z_SYNC_FLUSH))[:-4]
    async with served(app) as target:
        wire = target.connect()
        await wire.handshake("/ws", "Sec-WebSocket-Extensions: permessage-deflate")
        await wire.send(frame(TEXT, packed, reserved=0x40))
        first, size = await wire.read(2)
        assert first == 0xC0 | TEXT
        assert size < 126
        await wire.read(size)
        assert messages(app.stats()) == (1, 1000, 1, 1000)
        await wire.close()


async def test_messages_that_nobody_takes_have_arrived_all_the_same(autojump_clock: MockClock) -> None:
    app = make_app()

    @app.websocket("/deaf")
    async def deaf() -> None:
        await websocket.accept()
        await trio.sleep_forever()

    async with served(app) as target:
        wire = target.connect()
        await wire.handshake("/deaf")
        await wire.send(frame(TEXT, b"a") * 5)
        await wire.stream.aclose()
    assert messages(app.stats()) == (5, 5, 0, 0)


async def test_messages_of_an_asgi_server_are_counted(autojump_clock: MockClock) -> None:
    app = make_app()
    async with accepted(app, path="/ws") as server:
        for message in ({"text": "ä"}, {"bytes": b"abc"}):
            server.put("websocket.receive", **message)
            await server.next()
        assert messages(app.stats()) == (2, 5, 2, 5)
        assert app.stats().websockets_open == 1
        server.put("websocket.disconnect", code=1006)
    assert some(app.stats().disconnects) == {"lost": 1}
    assert messages(app.stats()) == (2, 5, 2, 5)


async def test_an_ended_websocket_is_not_kept(autojump_clock: MockClock) -> None:
    app = make_app()
    async with served(app) as target:
        for path in ("/ws", "/fails"):
            wire = target.connect()
            await wire.handshake(path)
            assert len(app.counters.websockets) == 1
            await wire.stream.aclose()
            await wait_all_tasks_blocked()
    assert app.counters.websockets == set()


def test_every_kind_of_disconnect_is_counted_from_0_on() -> None:
    assert set(get_args(DisconnectKind)) | {"error"} == make_app().stats().disconnects.keys()
