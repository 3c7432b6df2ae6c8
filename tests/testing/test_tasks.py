"""One test client in many tasks: what each sees, which context stays, and what a cancellation leaves.

Tests triows/testing/client.py.
"""

from __future__ import annotations

from typing import Any

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from triows import Triows, has_request_context, request, session, websocket
from triows.testing import TestClient, WebsocketDisconnectError


@pytest.fixture
def app(app: Triows) -> Triows:
    @app.get("/who/<name>")
    async def who(name: str) -> list[Any]:
        await trio.lowlevel.checkpoint()
        before = session.get("name")
        session["name"] = name
        await trio.lowlevel.checkpoint()
        return [name, request.path, before]

    @app.websocket("/who/<name>")
    async def socket(name: str) -> None:
        async for message in websocket:
            await websocket.send(f"{name} {message} {websocket.path}")

    @app.get("/slow")
    async def slow() -> str:
        try:
            await trio.sleep_forever()
        finally:
            app.extensions.setdefault("gone", []).append(request.disconnect)
        return ""

    return app


async def path_seen(client: TestClient, name: str) -> str:
    return str((await (await client.get(f"/who/{name}")).get_json())[1])


@pytest.mark.parametrize("in_block", [True, False])
async def test_tasks_may_use_one_client_at_once(app: Triows, in_block: bool) -> None:
    found: dict[str, str] = {}

    async def ask(client: TestClient, name: str) -> None:
        found[name] = await path_seen(client, name)
        async with client.websocket(f"/who/{name}") as ws:
            await ws.send("says")
            assert await ws.receive() == f"{name} says /who/{name}"

    async def ask_all(client: TestClient) -> None:
        async with trio.open_nursery() as nursery:
            for name in "abcde":
                nursery.start_soon(ask, client, name)

    if in_block:
        async with app.test_client() as client:
            await ask_all(client)
    else:
        await ask_all(client := app.test_client())
    assert found == {name: f"/who/{name}" for name in "abcde"}
    assert not has_request_context()
    # One of the sessions has won, as in a browser with several tabs.
    assert (await (await client.get("/who/f")).get_json())[2] in found


async def test_the_context_that_stays_is_that_of_the_tasks_own_requests(app: Triows) -> None:
    async with app.test_client() as client:
        await client.get("/who/a")

        async def ask() -> None:
            assert request.path == "/who/a"
            await client.get("/who/b")
            assert request.path == "/who/b"
            await client.get("/who/c")
            assert (request.path, session["name"]) == ("/who/c", "c")

        async with trio.open_nursery() as nursery:
            nursery.start_soon(ask)
        assert request.path == "/who/a"
        await client.get("/who/d")
        assert request.path == "/who/d"
    assert not has_request_context()


async def test_each_task_may_have_a_block_of_its_own(app: Triows) -> None:
    async def ask(name: str) -> None:
        async with app.test_client() as client:
            await client.get(f"/who/{name}")
            await wait_all_tasks_blocked()
            assert request.path == f"/who/{name}"
        assert not has_request_context()

    async with trio.open_nursery() as nursery:
        for name in "abc":
            nursery.start_soon(ask, name)
    assert app.teardown_functions == []


async def test_a_block_may_be_left_by_another_task(app: Triows) -> None:
    client = app.test_client()

    async def enter() -> None:
        await client.__aenter__()
        await client.get("/who/a")

    async with trio.open_nursery() as nursery:
        nursery.start_soon(enter)
    await client.__aexit__(None, None, None)
    assert not has_request_context()
    async with client:
        await client.get("/who/b")
        assert request.path == "/who/b"
    assert not has_request_context()


async def test_the_context_of_a_background_function_does_not_stay(app: Triows) -> None:
    @app.get("/start")
    async def start() -> str:
        app.add_background_task(trio.lowlevel.checkpoint)
        return ""

    async with app.test_app() as tested, tested.test_client() as client:
        await client.get("/start")
        await wait_all_tasks_blocked()
        assert client._contexts == {}
        assert request.path == "/start"


@pytest.mark.parametrize("in_block", [True, False])
async def test_a_request_that_is_given_up_is_lost_to_the_app_and_the_client_goes_on(
    app: Triows, in_block: bool, autojump_clock: MockClock
) -> None:
    client = app.test_client()
    if in_block:
        await client.__aenter__()
    await client.get("/who/a")
    with trio.move_on_after(1) as scope:
        await client.get("/slow")
    assert scope.cancelled_caught
    [disconnect] = app.extensions["gone"]
    assert (disconnect.kind, disconnect.code) == ("lost", 1006)
    assert await path_seen(client, "b") == "/who/b"
    if in_block:
        assert request.path == "/who/b"
        await client.__aexit__(None, None, None)


async def test_a_cancelled_task_does_not_disturb_the_others(app: Triows, autojump_clock: MockClock) -> None:
    client, found = app.test_client(), list[str]()

    async def ask(name: str) -> None:
        await trio.sleep(2)
        found.append(await path_seen(client, name))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(ask, "a")
        with trio.move_on_after(1):
            await client.get("/slow")
        nursery.start_soon(ask, "b")
    assert sorted(found) == ["/who/a", "/who/b"]


async def test_a_websocket_whose_task_is_cancelled_is_lost_to_the_app(app: Triows, autojump_clock: MockClock) -> None:
    kinds: list[str] = []

    @app.websocket("/wait")
    async def wait() -> None:
        try:
            await websocket.receive()
        finally:
            assert websocket.disconnect is not None
            kinds.append(websocket.disconnect.kind)

    client = app.test_client()
    with trio.move_on_after(1) as scope:
        async with client.websocket("/wait") as ws:
            await ws.receive()
    assert scope.cancelled_caught
    assert kinds == ["lost"]


async def test_tasks_may_share_a_websocket(app: Triows) -> None:
    received: list[str | bytes] = []

    async def send(ws: Any, message: str) -> None:
        await ws.send(message)

    async def receive(ws: Any) -> None:
        for _ in range(5):
            received.append(await ws.receive())

    async with app.test_client().websocket("/who/me") as ws, trio.open_nursery() as nursery:
        nursery.start_soon(receive, ws)
        for number in range(5):
            nursery.start_soon(send, ws, str(number))
    assert sorted(received) == [f"me {number} /who/me" for number in range(5)]


async def test_a_task_that_receives_learns_that_another_has_closed(app: Triows) -> None:
    codes: list[int] = []

    async def receive(ws: Any) -> None:
        with pytest.raises(WebsocketDisconnectError) as caught:
            await ws.receive()
        codes.append(caught.value.code)

    async with app.test_client().websocket("/who/me") as ws, trio.open_nursery() as nursery:
        nursery.start_soon(receive, ws)
        await wait_all_tasks_blocked()
        await ws.close(1000)
    assert codes == [1000]
