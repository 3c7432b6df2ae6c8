"""Quart-CORS: the headers of simple requests and of preflights, and who may open a websocket."""

from __future__ import annotations

import re
from typing import Any

import pytest
from quart import Blueprint, Quart, websocket
from quart.testing import WebsocketResponseError
from quart_cors import cors, cors_exempt, route_cors, websocket_cors

pytestmark = pytest.mark.extensions

PAGE = {"Origin": "https://quart.com"}
OTHER = {"Origin": "https://other.com"}


def allowed(response: Any) -> str | None:
    origin: str | None = response.headers.get("Access-Control-Allow-Origin")
    return origin


async def hello(app: Quart, headers: dict[str, str], path: str = "/ws") -> str | bytes | int:
    """The first message of a websocket, or the status of the answer."""
    try:
        async with app.test_client().websocket(path, headers=headers) as ws:
            return await ws.receive()
    except WebsocketResponseError as error:
        return error.response.status_code


async def test_an_app_may_be_used_from_any_origin() -> None:
    app = Quart(__name__)
    app = cors(app, allow_origin="*")

    @app.route("/")
    async def handler() -> str:
        return "hello"

    @app.websocket("/ws")
    async def ws() -> None:
        await websocket.send("hello")

    assert allowed(await app.test_client().get("/", headers=PAGE)) == "*"
    assert await hello(app, OTHER) == "hello"


@pytest.mark.parametrize("origin", ["https://quart.com", re.compile(r"https:\/\/quart\.com")])
async def test_a_route_may_be_used_from_one_origin(origin: Any) -> None:
    app = Quart(__name__)

    @app.route("/")
    @route_cors(allow_origin=origin, allow_credentials=True)
    async def handler() -> str:
        return "hello"

    @app.route("/closed")
    async def closed() -> str:
        return "hello"

    client = app.test_client()
    response = await client.get("/", headers=PAGE)
    assert (allowed(response), response.headers["Access-Control-Allow-Credentials"]) == ("https://quart.com", "true")
    assert "Origin" in response.vary
    assert allowed(await client.get("/", headers=OTHER)) is None
    assert allowed(await client.get("/closed", headers=PAGE)) is None


async def test_a_preflight_is_answered_without_the_view() -> None:
    app = Quart(__name__)

    @app.route("/", methods=["POST"])
    @route_cors(allow_headers=["content-type"], allow_methods=["POST"], allow_origin=["https://quart.com"], max_age=5)
    async def handler() -> str:
        raise AssertionError("a preflight does not get here")

    asked = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "content-type, x-other"}
    response = await app.test_client().options("/", headers={**PAGE, **asked})
    assert response.status_code == 200
    assert allowed(response) == "https://quart.com"
    assert response.headers["Access-Control-Allow-Methods"] == "POST"
    assert response.headers["Access-Control-Allow-Headers"] == "content-type"
    assert response.headers["Access-Control-Max-Age"] == "5"


async def test_a_blueprint_has_its_own_origins_and_the_app_settings_for_all() -> None:
    app = Quart(__name__)
    app.config["QUART_CORS_EXPOSE_HEADERS"] = ["X-Special"]
    blueprint = cors(Blueprint("blueprint", __name__), allow_origin=["https://quart.com"])

    @blueprint.route("/in")
    async def inside() -> str:
        return ""

    @blueprint.route("/exempt")
    @cors_exempt
    async def exempt() -> str:
        return ""

    app.register_blueprint(blueprint)
    response = await app.test_client().get("/in", headers=PAGE)
    assert (allowed(response), response.headers["Access-Control-Expose-Headers"]) == ("https://quart.com", "X-Special")
    assert allowed(await app.test_client().get("/exempt", headers=PAGE)) is None


async def test_a_websocket_may_be_used_from_one_origin() -> None:
    app = Quart(__name__)

    @app.websocket("/ws")
    @websocket_cors(allow_origin="https://quart.com")
    async def ws() -> None:
        await websocket.send("hello")

    @app.websocket("/closed")
    async def closed() -> None:
        await websocket.send("hello")

    assert await hello(app, PAGE) == "hello"
    assert await hello(app, OTHER) == 400
    assert await hello(app, {}) == 400
    assert await hello(app, PAGE, "/closed") == 403


async def test_the_websockets_of_an_app_may_be_used_from_one_origin() -> None:
    app = cors(Quart(__name__), allow_origin=[re.compile(r"https:\/\/.*\.quart\.com")])

    @app.websocket("/ws")
    async def ws() -> None:
        await websocket.send("hello")

    @app.websocket("/exempt")
    @cors_exempt
    async def exempt() -> None:
        await websocket.send("hello")

    assert await hello(app, {"Origin": "https://a.quart.com"}) == "hello"
    assert await hello(app, PAGE) == 400
    assert await hello(app, {}, "/exempt") == "hello"
    assert await hello(app, PAGE, "/exempt") == 403  # triows's own check remains
