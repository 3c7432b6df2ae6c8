"""HTTP: reading a body is cancelled at each of its points, and each exchange is cut off at each point of its own."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
import trio
import trustme
from trio.testing import wait_all_tasks_blocked

from triows import Response, Triows, request, session, websocket

from ..support.wire import Gone, Wire
from .peers import WirePeer
from .points import MAX_POINTS, Point, cancel, expire
from .stages import NATIVE, living, stage

_BOUNDARY = b"--b\r\nContent-Disposition: form-data; name="
_FILE = b'"f"; filename="f.txt"\r\n\r\n' + b"x" * 600_000
MULTIPART = _BOUNDARY + b'"a"\r\n\r\n1\r\n' + _BOUNDARY + _FILE + b"\r\n--b--\r\n"


async def _multipart() -> Any:
    files = await request.files
    return [dict(await request.form), {name: len(file.read()) for name, file in files.items()}]


async def _form() -> Any:
    return dict(await request.form)


async def _data() -> Any:
    return (await request.get_data()).decode()


# Name: what reads the body, its type, the body, and what the reading gives.
BODIES: dict[str, tuple[Callable[[], Awaitable[Any]], str, bytes, Any]] = {
    "data": (_data, "text/plain", b"0123456789" * 20, "0123456789" * 20),
    "json": (lambda: request.get_json(), "application/json", b'{"a": [1, 2, 3]}', {"a": [1, 2, 3]}),
    "form": (_form, "application/x-www-form-urlencoded", b"a=1&b=" + b"2" * 50, {"a": "1", "b": "2" * 50}),
    "multipart": (_multipart, "multipart/form-data; boundary=b", MULTIPART, [{"a": "1"}, {"f": 600_000}]),
}
FRAMINGS = ["length", "chunked", "continue"]
READINGS = [(body, "memory", framing) for body in ("data", "json", "form") for framing in FRAMINGS]
READINGS += [("multipart", "memory", "chunked")]
READINGS += [("data", kind, "chunked") for kind in NATIVE[1:]]


def thirds(data: bytes) -> list[bytes]:
    step = len(data) // 3
    return [data[:step], data[step : 2 * step], data[2 * step :]]


async def post(wire: Wire, path: str, kind: str, body: bytes, framing: str) -> None:
    """Send the body in three parts, each when the server waits for it."""
    length = "Transfer-Encoding: chunked" if framing == "chunked" else f"Content-Length: {len(body)}"
    expect = "Expect: 100-continue\r\n" if framing == "continue" else ""
    head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: {kind}\r\n{expect}{length}\r\n\r\n"
    await wire.send(head.encode())
    if framing == "continue":
        assert (await wire.read_head()).status == 100
    for part in thirds(body):
        await wait_all_tasks_blocked()
        await wire.send(b"%x\r\n%b\r\n" % (len(part), part) if framing == "chunked" else part)
    if framing == "chunked":
        await wire.send(b"0\r\n\r\n")


@pytest.mark.parametrize(("body", "kind", "framing"), READINGS)
async def test_reading_the_body_is_cancelled_at_each_point(
    body: str, kind: str, framing: str, authority: trustme.CA, warnings: list[logging.LogRecord]
) -> None:
    """It can be read again afterwards, as a whole, and the next request comes through."""
    app = Triows("tested")
    points: list[Point] = []
    read, mimetype, data, expected = BODIES[body]

    @app.post("/")
    async def view() -> Any:
        result = await points[-1].run(read())  # type: ignore[arg-type]
        return [await read() if result is None else result]

    @app.get("/after")
    async def after() -> str:
        return "after"

    async with stage(kind, app, authority) as where:
        for action, woken in ((cancel, False), (cancel, True), (expire, False)):
            for number in range(woken, MAX_POINTS):
                points.append(Point(number, action, woken=woken))
                tasks = living()
                wire = Wire(await where.open())
                try:
                    await post(wire, "/", mimetype, data, framing)
                    response = await wire.read_response()
                    assert (response.status, app.json.loads(response.body)) == (200, [expected])
                    await wire.send(b"GET /after HTTP/1.1\r\nHost: localhost\r\n\r\n")
                    assert (await wire.read_response()).body == b"after"
                    assert warnings == []
                except BaseException as error:
                    error.add_note(f"{action.__name__} at point {number}{' (woken)' if woken else ''}")
                    raise
                await trio.aclose_forcefully(wire.stream)
                await where.wait_gone(tasks)
                if not points[-1].reached:
                    break


@pytest.mark.parametrize("kind", NATIVE)
async def test_iterating_over_the_body_is_cancelled_at_each_point(
    kind: str, authority: trustme.CA, warnings: list[logging.LogRecord]
) -> None:
    """The iteration goes on where it was: no piece is lost or doubled."""
    app = Triows("tested")
    points: list[Point] = []

    @app.post("/")
    async def view() -> Any:
        pieces: list[bytes] = []

        async def iterate() -> None:
            async for piece in request.body:
                pieces.append(piece)

        await points[-1].run(iterate())
        await iterate()
        return b"".join(pieces)

    async with stage(kind, app, authority) as where:
        for number in range(MAX_POINTS):
            points.append(Point(number, cancel))
            wire = Wire(await where.open())
            await post(wire, "/", "text/plain", b"0123456789", "chunked")
            assert (await wire.read_response()).body == b"0123456789", f"at point {number}"
            await trio.aclose_forcefully(wire.stream)
            if not points[-1].reached:
                break
    assert warnings == []


# Whole exchanges, cut off


class Ledger:
    """What was begun in an exchange and what was ended."""

    def __init__(self) -> None:
        self.generators = 0
        self.teardowns = 0


def make_app(ledger: Ledger) -> Triows:
    app = Triows("tested", ping_interval=None)
    app.secret_key = "key"

    @app.before_request
    @app.before_websocket
    async def before() -> None:
        await trio.lowlevel.checkpoint()

    @app.after_request
    async def after(response: Response) -> Response:
        await trio.lowlevel.checkpoint()
        return response

    @app.teardown_request
    @app.teardown_websocket
    async def teardown(error: BaseException | None) -> None:
        await trio.lowlevel.checkpoint()
        ledger.teardowns += 1

    @app.get("/plain")
    async def plain() -> str:
        session["user"] = "x"
        await trio.lowlevel.checkpoint()
        return "0123456789"

    @app.get("/stream")
    async def stream() -> AsyncIterator[str]:
        ledger.generators += 1
        try:
            for piece in ("01234", "56", "789"):
                await trio.lowlevel.checkpoint()
                yield piece
        finally:
            ledger.generators -= 1

    @app.get("/large")
    async def large() -> AsyncIterator[bytes]:
        ledger.generators += 1
        try:
            for _ in range(3):
                yield bytes(100_000)
        finally:
            ledger.generators -= 1

    @app.get("/events")
    async def events() -> Any:
        async def ticks() -> AsyncIterator[str]:
            ledger.generators += 1
            try:
                for number in range(3):
                    yield f"data: {number}\n\n"
                    await trio.lowlevel.checkpoint()
            finally:
                ledger.generators -= 1

        return ticks(), {"Content-Type": "text/event-stream"}

    @app.get("/child")
    async def child() -> str:
        request.nursery.start_soon(trio.lowlevel.checkpoint)
        return "0123456789"

    @app.websocket("/echo")
    async def echo() -> None:
        session["user"] = "x"
        await websocket.send(await websocket.receive())

    @app.websocket("/reject")
    async def reject() -> Any:
        await trio.lowlevel.checkpoint()
        return "no", 403

    @app.websocket("/fail")
    async def fail() -> Any:
        await websocket.close()

    return app


WHOLE = {
    "plain": b"0123456789",
    "stream": b"0123456789",
    "large": bytes(300_000),
    "events": b"data: 0\n\ndata: 1\n\ndata: 2\n\n",
    "child": b"0123456789",
}


def _lose(http: Any) -> None:
    if http.link.receiver is not None:
        http.link.receiver.link_lost()


EXCHANGES = [(path, kind) for path in (*WHOLE, "HEAD") for kind in ("memory", "tcp")]
EXCHANGES += [("large", kind) for kind in NATIVE if kind not in ("memory", "tcp")]

# Whether the client still gets the whole answer.
CUTS: dict[str, tuple[Callable[[Any], None], bool]] = {
    "lost": (_lose, False),
    "shutdown": (lambda http: http.shut_down(), True),
    "shutdown-timeout": (lambda http: http.cut_off(), False),
}


class Cut:
    """An app whose exchanges are cut off, each at its ``point``."""

    def __init__(self, app: Triows) -> None:
        self.point = Point(0, lambda point: None)
        self._handle = app.handle
        app.handle = self.handle  # type: ignore[method-assign, assignment]

    async def handle(self, connection: Any) -> None:
        await self.point.drive(self._handle(connection))


@pytest.mark.parametrize("cut", CUTS)
@pytest.mark.parametrize(("path", "kind"), EXCHANGES)
async def test_an_exchange_is_cut_off_at_each_point(
    path: str, kind: str, cut: str, authority: trustme.CA, warnings: list[logging.LogRecord]
) -> None:
    """Its response is whole or can be seen not to be; what it has begun it ends."""
    ledger = Ledger()
    app = make_app(ledger)
    cutting = Cut(app)
    action, answered = CUTS[cut]
    method, name = ("HEAD", "stream") if path == "HEAD" else ("GET", path)
    async with stage(kind, app, authority) as where:
        assert where.server is not None
        connections = where.server._connections
        for woken in (False, True) if kind == "memory" else (False,):
            for number in range(1, MAX_POINTS):
                cutting.point = Point(number, lambda point: action(*connections), woken=woken)
                ledger.teardowns = 0
                tasks = living()
                wire = Wire(await where.open())
                try:
                    await wire.send(f"{method} /{name} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
                    try:
                        response = await wire.read_response(has_body=method == "GET")
                        assert response.status == 200
                        assert response.body == (b"" if method == "HEAD" else WHOLE[name])
                    except Gone:
                        assert not answered
                    if cutting.point.reached:
                        await wire.read_end()
                    await trio.aclose_forcefully(wire.stream)
                    await where.wait_gone(tasks)
                    assert cutting.point.error is None
                    assert (ledger.generators, ledger.teardowns) == (0, 1)
                    assert warnings == []
                except BaseException as error:
                    error.add_note(f"{cut} at point {number}{' (woken)' if woken else ''}")
                    raise
                if not cutting.point.reached:
                    break


# What the client of a handshake may see: status, and the code of the Close frame.
HANDSHAKES: dict[str, set[tuple[int | None, int | None]]] = {
    "echo": {(101, 1000)},
    "reject": {(403, None)},
    "fail": {(403, None)},
}


@pytest.mark.parametrize("cut", CUTS)
@pytest.mark.parametrize("kind", ["memory", "tcp"])
@pytest.mark.parametrize("path", HANDSHAKES)
async def test_a_websocket_is_cut_off_at_each_point_from_its_handshake_on(
    path: str, kind: str, cut: str, authority: trustme.CA, warnings: list[logging.LogRecord]
) -> None:
    ledger = Ledger()
    app = make_app(ledger)
    cutting = Cut(app)
    action, _ = CUTS[cut]
    async with stage(kind, app, authority) as where:
        assert where.server is not None
        connections = where.server._connections
        for woken in (False, True):
            for number in range(1, MAX_POINTS):
                cutting.point = Point(number, lambda point: action(*connections), woken=woken)
                ledger.teardowns = 0
                tasks = living()
                peer = WirePeer(await where.open(), f"/{path}")
                try:
                    async with trio.open_nursery() as nursery:
                        nursery.start_soon(peer.run)
                        await peer.send("one")
                        await peer.ended.wait()
                    await where.wait_gone(tasks)
                    assert cutting.point.error is None
                    assert ledger.teardowns == 1
                    assert warnings == []
                    assert peer.torn == b""
                    outcome = peer.status, None if peer.close is None else peer.close[0]
                    if not cutting.point.reached:
                        assert outcome in HANDSHAKES[path]
                    elif cut != "lost":
                        assert outcome in HANDSHAKES[path] | {(503, None), (101, 1001)}
                    else:
                        assert outcome in HANDSHAKES[path] | {(None, None), (101, None)}
                except BaseException as error:
                    error.add_note(f"{cut} at point {number}{' (woken)' if woken else ''}")
                    raise
                if not cutting.point.reached:
                    break
