"""Server-side sessions: what the cookie and the store hold, and what becomes of ids."""

from __future__ import annotations

import re
from typing import Any

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from triows import MemorySessionStore, Response, ServerSideSessions, Triows, request, session, websocket
from triows.testing import TestClient


class Store(MemorySessionStore):
    """Notes what it is asked."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[str] = []
        self.kept: dict[str, str] = {}

    async def load(self, key: str) -> str | None:
        self.asked.append("load")
        return await super().load(key)

    async def save(self, key: str, data: str, lifetime: float, *, new: bool) -> None:
        self.asked.append(f"save {data}")
        self.kept[key] = data
        await super().save(key, data, lifetime, new=new)

    async def touch(self, key: str, lifetime: float) -> None:
        self.asked.append("touch")
        await super().touch(key, lifetime)

    async def delete(self, key: str) -> None:
        self.asked.append("delete")
        await super().delete(key)


@pytest.fixture
def store() -> Store:
    return Store()


@pytest.fixture
def client(app: Triows, store: Store) -> TestClient:
    app.session_interface = ServerSideSessions(store)

    @app.post("/set")
    async def change() -> str:
        session.update(request.args)
        return "set"

    @app.get("/")
    async def show() -> dict[str, Any]:
        return dict(session)

    @app.post("/login")
    async def login() -> str:
        session.regenerate()
        session["user"] = "Ada"
        return "in"

    @app.post("/logout")
    async def logout() -> str:
        session.clear()
        return "out"

    @app.get("/without")
    async def without() -> str:
        return "nothing of the session is used"

    return app.test_client()


def id_of(response: Response) -> str | None:
    """The id that a response sets; "" if it deletes the cookie."""
    cookie = response.headers.get("Set-Cookie")
    return None if cookie is None else cookie.partition("=")[2].partition(";")[0]


async def shown(client: TestClient, id: str | None = None) -> Any:
    headers = {} if id is None else {"Cookie": f"session={id}"}
    return await (await client.get("/", headers=headers)).get_json()


async def test_the_cookie_holds_a_random_id_alone(client: TestClient, store: Store) -> None:
    response = await client.post("/set?a=secret")
    id = id_of(response)
    assert id is not None
    assert re.fullmatch(r"[\w-]{43}", id)  # 256 bits
    assert response.headers["Set-Cookie"] == f"session={id}; HttpOnly; Path=/"
    assert response.headers["Vary"] == "Cookie"
    assert await shown(client) == {"a": "secret"}
    assert [*store.kept.values()] == ['{"a":"secret"}']
    assert id not in store.kept  # nobody who reads the store has a cookie


async def test_the_cookie_has_the_configured_attributes(app: Triows, client: TestClient) -> None:
    app.config.update(SESSION_COOKIE_NAME="s", SESSION_COOKIE_SECURE=True, SESSION_COOKIE_SAMESITE="Lax")
    cookie = (await client.post("/set?a=b")).headers["Set-Cookie"]
    assert cookie.startswith("s=")
    assert set(cookie.split("; ")[1:]) == {"Secure", "HttpOnly", "Path=/", "SameSite=Lax"}


async def test_types_that_json_does_not_know_come_back(app: Triows, client: TestClient) -> None:
    async with client.session_transaction() as changed:
        changed["value"] = {"tuple": (1, b"bytes")}
    async with client.session_transaction() as changed:
        assert changed["value"] == {"tuple": (1, b"bytes")}


async def test_who_has_no_session_costs_nothing(client: TestClient, store: Store) -> None:
    response = await client.get("/")
    assert (store.asked, id_of(response)) == ([], None)


async def test_what_is_not_changed_is_not_written(client: TestClient, store: Store) -> None:
    await client.post("/set?a=b")
    store.asked.clear()
    response = await client.get("/")
    assert (store.asked, id_of(response)) == (["load"], None)
    assert "Vary" not in (await client.get("/without")).headers


async def test_a_permanent_session_is_touched_by_each_request(
    app: Triows, client: TestClient, store: Store, autojump_clock: MockClock
) -> None:
    app.permanent_session_lifetime = 10
    async with client.session_transaction() as changed:
        changed.permanent = True
    store.asked.clear()
    for _ in range(3):
        await trio.sleep(9)
        assert id_of(await client.get("/without")) is not None  # with a new date of expiry
    assert store.asked == 3 * ["load", "touch"]
    app.config["SESSION_REFRESH_EACH_REQUEST"] = False
    await client.get("/without")
    assert store.asked[-1] == "load"


async def test_a_session_ends_with_its_lifetime(app: Triows, client: TestClient, autojump_clock: MockClock) -> None:
    app.permanent_session_lifetime = 10
    await client.post("/set?a=b")
    await trio.sleep(10)
    assert await shown(client) == {}


# Ids


async def test_logging_in_gives_another_id_and_ends_the_former(client: TestClient, store: Store) -> None:
    planted = id_of(await client.post("/set?cart=full"))
    fresh = id_of(await client.post("/login"))
    assert fresh not in (planted, None, "")
    assert await shown(client) == {"cart": "full", "user": "Ada"}
    assert await shown(client, planted) == {}
    assert len(store) == 1


@pytest.mark.parametrize("planted", ["A" * 43, "A", "", "../../x", '"', "A" * 5000])
async def test_an_id_that_the_store_does_not_know_is_never_taken_over(
    app: Triows, client: TestClient, planted: str
) -> None:
    other = app.test_client(use_cookies=False)
    response = await other.post("/set?a=b", headers={"Cookie": f"session={planted}"})
    assert id_of(response) not in (planted, None, "")


async def test_logging_out_ends_the_session_and_the_cookie(client: TestClient, store: Store) -> None:
    id = id_of(await client.post("/login"))
    response = await client.post("/logout")
    assert (id_of(response), len(store)) == ("", 0)
    assert "Expires=Thu, 01 Jan 1970" in response.headers["Set-Cookie"]
    assert await shown(client, id) == {}


async def test_what_follows_a_clear_is_another_session(app: Triows, client: TestClient, store: Store) -> None:
    @app.post("/switch")
    async def switch() -> str:
        session.clear()
        session["user"] = "Bob"
        return "switched"

    former = id_of(await client.post("/login"))
    assert id_of(await client.post("/switch")) not in (former, None, "")
    assert (await shown(client), len(store)) == ({"user": "Bob"}, 1)


async def test_a_session_whose_last_value_is_removed_ends(app: Triows, client: TestClient, store: Store) -> None:
    @app.post("/pop")
    async def pop() -> str:
        session.pop("user")
        return ""

    await client.post("/login")
    assert (id_of(await client.post("/pop")), len(store)) == ("", 0)


@pytest.mark.parametrize("data", ["{", "[1]", "5", '{" u":"no uuid"}'])
async def test_what_is_no_session_in_the_store_opens_an_empty_one(client: TestClient, store: Store, data: str) -> None:
    id = id_of(await client.post("/login"))
    (key,) = store.kept
    await store.save(key, data, 10, new=False)
    assert await shown(client, id) == {}


# Several requests at a time


@pytest.fixture
def going_on(app: Triows) -> trio.Event:
    event = trio.Event()

    @app.post("/slow")
    async def slow() -> str:
        if "change" in request.args:
            session["slow"] = "yes"
        await event.wait()
        return "slow"

    return event


async def beside(client: TestClient, going_on: trio.Event, slow: str, path: str) -> None:
    """Make a request to ``path`` while a slow one is handled."""
    async with trio.open_nursery() as nursery:
        nursery.start_soon(client.post, slow)
        await wait_all_tasks_blocked()
        await client.post(path)
        going_on.set()


async def test_who_only_reads_loses_nothing_of_anothers(client: TestClient, going_on: trio.Event) -> None:
    await client.post("/set?a=1")
    await beside(client, going_on, "/slow", "/set?b=2")
    assert await shown(client) == {"a": "1", "b": "2"}


async def test_of_two_that_change_it_the_last_wins(client: TestClient, going_on: trio.Event) -> None:
    await client.post("/set?a=1")
    await beside(client, going_on, "/slow?change", "/set?b=2")
    assert await shown(client) == {"a": "1", "slow": "yes"}


async def test_a_session_that_was_ended_meanwhile_stays_ended(
    client: TestClient, store: Store, going_on: trio.Event
) -> None:
    id = id_of(await client.post("/login"))
    await beside(client, going_on, "/slow?change", "/logout")
    assert (await shown(client, id), len(store)) == ({}, 0)


# Websockets


async def test_what_is_changed_before_accepting_is_saved_with_the_acceptance(app: Triows, client: TestClient) -> None:
    @app.websocket("/ws")
    async def handler() -> None:
        session["user"] = "Ada"
        await websocket.accept()
        await trio.sleep_forever()

    async with client.websocket("/ws"):
        await wait_all_tasks_blocked()
        assert await shown(client) == {"user": "Ada"}


async def test_what_is_changed_later_is_saved_at_the_end_or_when_it_is_asked_for(
    app: Triows, client: TestClient
) -> None:
    @app.websocket("/ws")
    async def handler() -> None:
        async for message in websocket:
            session["said"] = message
            if message == "save":
                await session.save()
                await websocket.send("saved")

    await client.post("/login")
    async with client.websocket("/ws") as ws:
        await ws.send("save")
        await ws.receive()
        assert await shown(client) == {"user": "Ada", "said": "save"}


async def test_a_session_that_begins_after_accepting_is_reported(
    app: Triows, client: TestClient, caplog: pytest.LogCaptureFixture
) -> None:
    @app.websocket("/ws")
    async def handler() -> None:
        await websocket.accept()
        session["user"] = "Ada"

    async with client.websocket("/ws"):
        pass
    assert [record.getMessage() for record in caplog.records] == [
        "the session was begun, or got another id, after its websocket had been accepted, when no cookie can be set any"
        " more; the client will not have it: do this before websocket.accept()"
    ]


async def test_accepted_in_a_hook_it_is_saved_at_the_end(app: Triows, client: TestClient) -> None:
    @app.before_websocket
    async def accept() -> None:
        session["user"] = "Ada"
        await websocket.accept()

    @app.websocket("/ws")
    async def handler() -> None:
        await websocket.send("hello")

    async with client.websocket("/ws") as ws:
        await ws.receive()
    assert await shown(client) == {"user": "Ada"}


# Saving by hand


async def test_a_stream_saves_what_it_changes(app: Triows, client: TestClient, store: Store) -> None:
    @app.get("/stream")
    async def stream() -> Any:
        async def pieces() -> Any:
            yield "begun"
            session["done"] = True
            await session.save()

        return pieces()

    await client.post("/login")
    await (await client.get("/stream")).get_data()
    assert await shown(client) == {"user": "Ada", "done": True}


async def test_saved_by_hand_the_cookie_still_comes_with_the_response(app: Triows, client: TestClient) -> None:
    @app.post("/save")
    async def save() -> str:
        session["user"] = "Ada"
        await session.save()
        return "saved"

    await client.post("/save")
    assert await shown(client) == {"user": "Ada"}


@pytest.mark.parametrize("name", ["regenerate", "save"])
async def test_a_session_in_a_cookie_can_do_neither(app: Triows, name: str) -> None:
    app.secret_key = "secret"

    @app.get("/")
    async def index() -> str:
        result = getattr(session, name)()
        if name == "save":
            await result
        return ""

    with pytest.raises(RuntimeError, match=r"^a SecureCookieSession .*; use ServerSideSessions$"):
        await app.test_client().get("/")


async def test_a_session_of_nobody_cannot_be_saved() -> None:
    with pytest.raises(RuntimeError, match=r"^this session was not opened by an app, so that it cannot be saved$"):
        await ServerSideSessions.session_class().save()
