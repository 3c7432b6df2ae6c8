"""What the loops over all points have found, each by itself."""

from __future__ import annotations

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked
from werkzeug.exceptions import BadRequest

from triows import Triows, request, websocket

from ..support.served import served
from ..support.wire import TEXT, frame
from .peers import ASGIPeer


async def test_closing_does_not_wait_for_a_client_that_breaks_the_protocol_meanwhile(
    autojump_clock: MockClock,
) -> None:
    app = Triows("tested")
    closed_at: list[float] = []

    @app.websocket("/")
    async def handler() -> None:
        await websocket.accept()
        await websocket.close(3000)
        closed_at.append(trio.current_time())

    async with served(app) as server:
        wire = server.connect()
        await wire.handshake()
        began = trio.current_time()
        assert await wire.read_close() == (3000, "")
        await wire.send(frame(TEXT, b"unmasked", masked=False))  # instead of Close; behind it none can be read
        await wire.read_end()
        await wire.stream.aclose()
    assert closed_at == [began]


async def test_a_close_that_an_asgi_server_has_not_taken_when_it_cancels_the_app_is_still_said() -> None:
    app = Triows("tested")

    @app.websocket("/")
    async def handler() -> None:
        await websocket.accept()
        await may_close.wait()
        await websocket.send("taken by a server that does not go on")
        await websocket.close(3000, "enough")

    may_close = trio.Event()
    peer = ASGIPeer(app)
    peer.stall()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(peer.run)
        await peer.answered.wait()
        may_close.set()
        await wait_all_tasks_blocked()
        peer.scope.cancel()
        peer.reading.set()
    assert peer.close == (3000, "enough")


async def test_a_form_whose_reading_was_cancelled_can_be_read() -> None:
    app = Triows("tested")

    @app.post("/")
    async def view() -> dict[str, str]:
        with trio.CancelScope() as scope:
            request.nursery.start_soon(_cancel_when_waiting, scope)
            await request.form
        assert scope.cancelled_caught
        go_on.set()
        return dict(await request.form)

    go_on = trio.Event()
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    async with app.test_client().request("/", method="POST", headers=headers) as connection:
        await connection.send(b"a=1&b")
        await go_on.wait()
        await connection.send(b"=2")
    assert await (await connection.as_response()).get_json() == {"a": "1", "b": "2"}


async def _cancel_when_waiting(scope: trio.CancelScope) -> None:
    await wait_all_tasks_blocked()
    scope.cancel()


async def test_a_malformed_form_is_malformed_again_when_it_is_read_again() -> None:
    app = Triows("tested")

    @app.post("/")
    async def view() -> str:
        for _ in range(2):
            with pytest.raises(BadRequest, match="malformed"):
                await request.files
        return "twice"

    headers = {"Content-Type": "multipart/form-data; boundary=b"}
    response = await app.test_client().post("/", data=b"no form at all", headers=headers)
    assert await response.get_data() == b"twice"


async def test_the_files_of_a_form_that_was_never_read_to_its_end_are_closed() -> None:
    app = Triows("tested")
    requests = []

    @app.post("/")
    async def view() -> str:
        requests.append(request.current())
        with trio.CancelScope() as scope:
            request.nursery.start_soon(_cancel_when_waiting, scope)
            await request.files
        parser = request.current()._form_parser
        assert parser is not None
        requests.append(parser.files[0][1])
        go_on.set()
        return "enough"

    go_on = trio.Event()
    part = b'--b\r\nContent-Disposition: form-data; name="f"; filename="f"\r\n\r\nx\r\n'
    headers = {"Content-Type": "multipart/form-data; boundary=b"}
    async with app.test_client().request("/", method="POST", headers=headers) as connection:
        await connection.send(part + part)
        await go_on.wait()
        await connection.send(b"--b--")
    assert requests[1].closed
