"""app.disconnect(): ending websockets from outside; triows/framework/operation.py."""

from __future__ import annotations

from typing import Any

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from triows import Disconnect, Triows, WebSocket, g, session, websocket
from triows.errors import WebsocketDisconnectError

from ..support.asgi import accepted, ws
from ..support.served import served
from ..support.wire import close_frame, frame, upgrade


def make_app() -> tuple[Triows, list[Any]]:
    app = Triows(__name__)
    app.secret_key = "secret"
    log: list[Any] = []

    @app.websocket("/<user>")
    async def talk(user: str) -> None:
        g.user = session["user"] = user
        await websocket.accept()
        try:
            async for message in websocket:
                await trio.sleep(1)
                log.append((user, message))
        finally:
            log.append((user, websocket.disconnect))
            with trio.move_on_after(1, shield=True):
                await websocket.send("goodbye")

    return app, log


def is_ann(_websocket: WebSocket) -> bool:
    return bool(g.get("user") == "ann")


async def test_those_that_match_are_ended_with_the_code_and_the_reason(autojump_clock: MockClock) -> None:
    app, log = make_app()
    async with served(app) as target:
        wires = [target.connect() for _ in range(3)]
        for wire, user in zip(wires, ("ann", "ann", "bob"), strict=True):
            await wire.handshake(f"/{user}")
        await wait_all_tasks_blocked()
        assert app.disconnect(is_ann, 4003, "logged out") == 2
        assert app.disconnect(is_ann) == 0
        for wire in wires[:2]:
            assert await wire.read_text() == "goodbye"  # the client still reads
            assert await wire.read_close() == (4003, "logged out")
            await wire.send(close_frame(4003))
            await wire.read_end()
        await wait_all_tasks_blocked()
        assert log == [("ann", Disconnect(4003, "logged out", "server"))] * 2
        assert (app.stats().websockets_open, app.stats().disconnects["server"]) == (1, 2)
        await wires[2].close()


async def test_what_has_arrived_is_delivered_first(autojump_clock: MockClock) -> None:
    app, log = make_app()
    async with served(app) as target:
        wire = target.connect()
        await wire.handshake("/ann", early=frame(1, b"one") + frame(1, b"two"))
        await wait_all_tasks_blocked()
        assert app.disconnect(is_ann) == 1
        assert await wire.read_text() == "goodbye"
        assert await wire.read_close() == (4001, "")
    assert log == [("ann", "one"), ("ann", "two"), ("ann", Disconnect(4001, "", "server"))]


async def test_an_asgi_server_gets_the_close(autojump_clock: MockClock) -> None:
    app, log = make_app()
    async with accepted(app, path="/ann") as server:
        assert app.disconnect(is_ann, reason="logged out") == 1
        assert (await server.next())["text"] == "goodbye"
        assert await server.next() == {"type": "websocket.close", "code": 4001, "reason": "logged out"}
        server.put("websocket.disconnect", code=4001)
    assert log == [("ann", Disconnect(4001, "logged out", "server"))]


async def test_the_test_client_sees_it(autojump_clock: MockClock) -> None:
    app, _ = make_app()
    async with app.test_client().websocket("/ann") as ws:
        await wait_all_tasks_blocked()
        assert app.disconnect(lambda websocket: websocket.path == "/ann") == 1
        assert await ws.receive() == "goodbye"
        with pytest.raises(WebsocketDisconnectError) as caught:
            await ws.receive()
    assert "4001" in str(caught.value)


async def test_the_session_is_that_of_each_websocket(autojump_clock: MockClock) -> None:
    app, _ = make_app()
    client = app.test_client()
    async with client.websocket("/ann") as ann, client.websocket("/bob") as bob:
        await wait_all_tasks_blocked()
        async with app.test_request_context("/"):
            assert app.disconnect(lambda _: session.get("user") == "bob") == 1
            assert "user" not in session  # the context of the caller is back
        assert await bob.receive() == "goodbye"
        await ann.close()


@pytest.mark.parametrize("server", ["native", "asgi"])
async def test_a_handshake_without_an_answer_gets_403(server: str, autojump_clock: MockClock) -> None:
    app = Triows(__name__)

    @app.before_websocket
    async def look_up() -> None:
        g.user = "ann"
        await trio.sleep_forever()

    if server == "native":
        async with served(app) as target:
            wire = target.connect()
            await wire.send(upgrade("/"))
            await wait_all_tasks_blocked()
            assert app.disconnect(is_ann) == 1
            assert (await wire.read_response()).status == 403
    else:
        async with ws(app) as asgi:
            asgi.put("websocket.connect")
            await wait_all_tasks_blocked()
            assert app.disconnect(is_ann) == 1
            assert (await asgi.next())["status"] == 403
            asgi.put("websocket.disconnect")
    assert (app.stats().handshakes_refused, app.stats().handler_errors) == (1, 0)


async def test_a_handler_may_end_its_own(autojump_clock: MockClock) -> None:
    app = Triows(__name__)
    counts = []

    @app.websocket("/")
    async def ws() -> None:
        await websocket.accept()
        counts.append(app.disconnect(lambda other: other is websocket.current()))
        await trio.sleep_forever()

    async with app.test_client().websocket("/") as client:
        with pytest.raises(WebsocketDisconnectError):
            await client.receive()
    assert counts == [1]


async def test_a_view_that_is_not_async_may_call_it() -> None:
    app, _ = make_app()

    @app.post("/logout")
    def logout() -> str:
        return str(app.disconnect(is_ann))

    async with app.test_client().websocket("/ann") as ws:
        await trio.testing.wait_all_tasks_blocked()
        response = await app.test_client().post("/logout")
        assert await response.get_data() == b"1"
        assert await ws.receive() == "goodbye"


async def test_an_error_of_the_match_ends_none(autojump_clock: MockClock) -> None:
    app, _ = make_app()
    async with app.test_client().websocket("/ann") as ann, app.test_client().websocket("/bob"):
        await wait_all_tasks_blocked()
        with pytest.raises(AttributeError, match="missing"):
            app.disconnect(lambda _: g.user == "ann" or g.missing)
        with pytest.raises(TypeError, match="did you forget 'await'"):
            app.disconnect(lambda _: ann.receive())
        assert app.stats().websockets_open == 2


async def test_one_that_has_closed_is_not_counted(autojump_clock: MockClock) -> None:
    app = Triows(__name__)

    @app.websocket("/")
    async def ws() -> None:
        await websocket.send("hello")
        await websocket.close()
        await trio.sleep(10)

    async with app.test_client().websocket("/") as client:
        await client.receive()
        await wait_all_tasks_blocked()
        assert app.disconnect(lambda _: True) == 0


async def matches(_websocket: WebSocket) -> bool:
    return True


@pytest.mark.parametrize(
    ("arguments", "error", "text"),
    [
        ((matches,), TypeError, "is async"),
        ((is_ann, 1006), ValueError, "1006"),
        ((is_ann, 4001, "x" * 124), ValueError, "124 bytes"),
    ],
)
async def test_bad_arguments(arguments: tuple[Any, ...], error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        Triows(__name__).disconnect(*arguments)
