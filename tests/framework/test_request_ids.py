"""Request ids: request.id, where it comes from, and where it goes to."""

from __future__ import annotations

import logging
import re
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from triows import Triows, request, websocket

from ..support.asgi import accepted, http
from ..support.http import ask, get
from ..support.served import served

NEW = re.compile(r"[0-9a-f]{32}")


def make_app(**options: Any) -> Triows:
    app = Triows(__name__, trusted_proxies=["10.0.0.1"])
    app.request_ids(**options)

    @app.get("/")
    async def index() -> str:
        return request.id

    @app.get("/broken")
    async def broken() -> str:
        raise LookupError("broken")

    @app.websocket("/ws")
    async def ws() -> None:
        await websocket.send(websocket.id)

    return app


async def ask_as(app: Triows, address: str, *ids: str, header: str = "X-Request-ID") -> str:
    """The id of a request that has these, from this address."""
    client = app.test_client()
    headers = [(header, id_) for id_ in ids]
    response = await client.get("/", headers=headers, scope_base={"client": (address, 1)})
    return (await response.get_data()).decode()


# request.id


async def test_an_id_is_made_when_it_is_asked_for() -> None:
    app = Triows(__name__)
    ids: list[str] = []

    @app.get("/")
    async def index() -> str:
        assert request.connection.request_id is None
        async with trio.open_nursery() as nursery:
            nursery.start_soon(keep)
        return request.id

    async def keep() -> None:
        ids.append(request.id)

    for _ in range(2):
        ids.append((await (await app.test_client().get("/", headers={"X-Request-ID": "mine"})).get_data()).decode())
    assert ids[0] == ids[1] != ids[2] == ids[3]
    assert all(NEW.fullmatch(one) for one in ids)


async def test_a_trusted_proxy_may_give_one() -> None:
    app = make_app()
    assert await ask_as(app, "10.0.0.1", "Root=1-67891233-abcdef") == "Root=1-67891233-abcdef"
    assert await ask_as(app, "10.0.0.1", "x" * 128) == "x" * 128
    assert NEW.fullmatch(await ask_as(app, "10.0.0.2", "mine"))


async def test_a_proxy_that_tells_of_its_client_too() -> None:
    app = make_app()
    headers = {"X-Request-ID": "mine", "X-Forwarded-For": "192.0.2.7"}
    response = await app.test_client().get("/", headers=headers, scope_base={"client": ("10.0.0.1", 1)})
    assert await response.get_data() == b"mine"


@pytest.mark.parametrize("ids", [["x" * 129], ["a b"], ['a"b'], ["a]b"], ["a\\b"], ["é"], [""], ["a", "b"], []])
async def test_what_is_no_id_is_replaced(ids: list[str]) -> None:
    assert NEW.fullmatch(await ask_as(make_app(), "10.0.0.1", *ids))


async def test_another_header() -> None:
    app = make_app(header="X-Correlation-ID", echo=True)
    assert await ask_as(app, "10.0.0.1", "mine", header="x-correlation-id") == "mine"
    assert NEW.fullmatch(await ask_as(app, "10.0.0.1", "mine"))
    assert "X-Correlation-ID" in (await app.test_client().get("/")).headers


# Responses


@pytest.mark.parametrize(("path", "status"), [("/", 200), ("/missing", 404), ("/broken", 500)])
async def test_responses_have_it_if_that_is_asked_for(path: str, status: int) -> None:
    app = make_app(echo=True)
    app.config["PROPAGATE_EXCEPTIONS"] = False
    response = await app.test_client().get(path)
    assert response.status_code == status
    assert NEW.fullmatch(response.headers["X-Request-ID"])
    assert "X-Request-ID" not in (await make_app().test_client().get("/")).headers


async def test_answers_to_handshakes_have_it(autojump_clock: MockClock) -> None:
    async with served(make_app(echo=True)) as target:
        wire = target.connect()
        response = await wire.handshake("/ws")
        assert await wire.read_text() == response.headers["x-request-id"]
        await wire.stream.aclose()
        refused = await ask(target.connect(), get("/ws"))
        assert (refused.status, len(refused.headers["x-request-id"])) == (400, 32)


async def test_asgi(autojump_clock: MockClock) -> None:
    app = make_app(echo=True)
    fields = [(b"host", b"example.com"), (b"x-request-id", b"mine")]
    async with http(app, "/", headers=fields, client=("10.0.0.1", 1)) as server:
        server.put("http.request", body=b"", more_body=False)
        assert (b"x-request-id", b"mine") in (await server.next())["headers"]
        assert (await server.next())["body"] == b"mine"
    async with accepted(app, path="/ws", headers=fields, client=("10.0.0.1", 1)) as server:
        assert (await server.next())["text"] == "mine"
        server.put("websocket.disconnect", code=1000)


# Logs


async def test_all_records_of_a_request_have_its_id(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    app = make_app()
    async with served(app) as target:
        wire = target.connect()
        for path in ("/broken", "/"):
            await ask(wire, get(path))
        await wire.handshake("/ws")
        id_ = await wire.read_text()
        await wire.close()
    app.logger.warning("outside of any request")
    records: list[Any] = [record for record in caplog.records if record.name in (app.name, "triows.access")]
    ids = [record.request_id for record in records]
    assert ids[0] == ids[1] != ids[2]  # the error and the response; the second response
    assert ids[3:] == [id_, id_, None]
    assert records[1].getMessage().count("[") == 0


async def test_an_error_behind_the_context_has_it_too(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    app = make_app()

    @app.websocket("/swallow")
    async def swallow() -> None:
        try:
            await websocket.receive()
        except BaseException:
            pass

    async with served(app) as target:
        wire = target.connect()
        await wire.handshake("/swallow")
        await wire.close()
    record: Any = caplog.records[-1]
    assert "swallow" in record.getMessage()
    assert NEW.fullmatch(record.request_id)


async def test_without_an_id_records_have_none(autojump_clock: MockClock, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    app = Triows(__name__)
    async with served(app) as target:
        assert (await ask(target.connect())).status == 404
    record: Any = caplog.records[-1]
    assert (record.name, record.request_id) == ("triows.access", None)


# Mistakes


@pytest.mark.parametrize("header", ["", "X Request", None, "X-Ä"])
def test_a_name_that_is_none(header: Any) -> None:
    with pytest.raises(ValueError, match="is no name of a header"):
        Triows(__name__).request_ids(header)


def test_too_late() -> None:
    app = Triows(__name__)
    with app.served_natively(), pytest.raises(RuntimeError, match=r"request_ids\(\) is called while the app is served"):
        app.request_ids()
