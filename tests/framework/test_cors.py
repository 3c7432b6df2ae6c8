"""CORS of an app, its blueprints and its routes, of its errors and its websockets.

Tests triows/framework/response_filters.py and triows/web/outgoing.py.
"""

from __future__ import annotations

import re
from typing import Any

import pytest
from werkzeug.routing import Rule as WerkzeugRule

from triows import CORS, Blueprint, Response, Triows, abort, request, session, websocket
from triows.errors import WebsocketResponseError
from triows.framework.routes.rules import Rule
from triows.testing import TestClient

from ..support.views import raising

A, B = "https://a.example", "https://b.example"


@pytest.fixture
def client(app: Triows) -> TestClient:
    @app.get("/")
    async def index() -> str:
        return "index"

    return app.test_client()


async def allowed(client: TestClient, path: str = "/", origin: str = A, method: str = "GET") -> str | None:
    """The origin that may read the response."""
    response = await client.open(path, method=method, headers={"Origin": origin})
    return response.headers.get("Access-Control-Allow-Origin")


async def preflight(client: TestClient, path: str = "/", origin: str = A, method: str = "GET") -> Response:
    return await client.options(path, headers={"Origin": origin, "Access-Control-Request-Method": method})


async def test_an_app_without_it_has_none(app: Triows, client: TestClient) -> None:
    response = await preflight(client)
    assert (response.status_code, set(response.allow)) == (200, {"OPTIONS", "GET", "HEAD"})
    assert await allowed(client) is None
    assert (app.response_filters, app.answers_preflights) == ((), False)


async def test_an_app(app: Triows, client: TestClient) -> None:
    app.cors([A], expose_headers=["X-Total"])
    response = await client.get("/", headers={"Origin": A})
    assert response.headers["Access-Control-Allow-Origin"] == A
    assert response.headers["Access-Control-Expose-Headers"] == "X-Total"
    assert response.headers["Vary"] == "Origin"
    assert await allowed(client, origin=B) is None


async def test_the_last_call_counts(app: Triows, client: TestClient) -> None:
    app.cors([B])
    app.cors([A])
    assert (await allowed(client), await allowed(client, origin=B)) == (A, None)


async def test_a_response_that_is_sent_twice_keeps_nothing_of_the_first_origin(app: Triows, client: TestClient) -> None:
    kept = Response("kept")

    @app.get("/kept")
    async def again() -> Response:
        return kept

    app.cors([A, B])
    assert [await allowed(client, "/kept", origin) for origin in (A, B, "https://c.example")] == [A, B, None]
    assert "Access-Control-Allow-Origin" not in kept.headers


async def test_a_streamed_response_has_the_headers(app: Triows, client: TestClient) -> None:
    @app.get("/stream")
    async def stream() -> Any:
        yield "a"

    app.cors([A])
    assert await allowed(client, "/stream") == A


# Errors


async def test_errors_may_be_read(app: Triows, client: TestClient) -> None:
    app.config["PROPAGATE_EXCEPTIONS"] = False

    @app.post("/small", max_body_size=1)
    async def small() -> str:
        return "small"

    @app.get("/fails")
    async def fails() -> str:
        raise KeyError

    @app.get("/hook-fails")
    async def hook_fails() -> str:
        return "x"

    @app.after_request
    async def after(response: Response) -> Response:
        if request.path == "/hook-fails":
            raise KeyError
        return response

    app.cors([A])
    for method, path, status in (
        ("GET", "/nowhere", 404),
        ("PUT", "/", 405),
        ("GET", "/fails", 500),
        ("GET", "/hook-fails", 500),
    ):
        response = await client.open(path, method=method, headers={"Origin": A})
        assert (response.status_code, response.headers.get("Access-Control-Allow-Origin")) == (status, A)
    response = await client.post("/small", data=b"xx", headers={"Origin": A})
    assert (response.status_code, response.headers["Access-Control-Allow-Origin"]) == (413, A)
    assert (await preflight(client, "/nowhere", method="PUT")).status_code == 204  # so that a page sees the 404


# Preflights


async def test_a_preflight_reaches_no_hook_and_no_view(app: Triows, client: TestClient) -> None:
    @app.before_request
    async def refuse() -> None:
        abort(401)

    @app.route("/own", methods=["OPTIONS", "PUT"])
    async def own() -> str:
        raise AssertionError("called")

    app.cors([A])
    response = await preflight(client, "/own", method="PUT")
    assert (response.status_code, response.headers["Access-Control-Allow-Methods"]) == (204, "OPTIONS, PUT")
    assert (await preflight(client, "/own", B, "PUT")).status_code == 403


@pytest.mark.parametrize("headers", [{"Origin": A}, {"Access-Control-Request-Method": "GET"}])
async def test_an_options_that_is_no_preflight_is_answered_as_ever(
    app: Triows, client: TestClient, headers: dict[str, str]
) -> None:
    app.cors([A])
    response = await client.options("/", headers=headers)
    assert (response.status_code, response.headers["Vary"]) == (200, "Origin")


async def test_a_preflight_finds_the_route_of_its_method(app: Triows, client: TestClient) -> None:
    @app.put("/", cors=CORS(A), endpoint="put")
    async def put() -> str:
        return "put"

    response = await preflight(client, method="PUT")
    assert (response.status_code, response.headers["Access-Control-Allow-Methods"]) == (204, "OPTIONS, PUT")
    assert (await preflight(client, method="GET")).status_code == 200


async def test_a_preflight_for_a_method_that_no_route_of_the_path_takes_names_those_that_do(
    app: Triows, client: TestClient
) -> None:
    app.cors([A])
    app.put("/", endpoint="put")(raising(AssertionError("called")))
    response = await preflight(client, method="DELETE")
    assert (response.status_code, await response.get_data(as_text=True)) == (
        403,
        "CORS: pages may not use this method here; they may use GET, HEAD, OPTIONS, PUT\n",
    )


async def test_a_preflight_and_its_redirect(app: Triows) -> None:
    part = Blueprint("part", __name__, url_prefix="/part")
    part.cors([A])

    @part.get("/folder/")
    async def folder() -> str:
        return "folder"

    app.register_blueprint(part)
    client = app.test_client()
    assert (await preflight(client, "/part/folder")).status_code == 204
    response = await client.get("/part/folder", headers={"Origin": A})
    assert (response.status_code, response.headers["Access-Control-Allow-Origin"]) == (308, A)


async def test_an_app_that_overrides_a_stage_has_it_too() -> None:
    class App(Triows):
        async def dispatch_request(self, request_context: Any = None) -> Any:
            return "dispatched"

    app = App("tested")
    app.cors([A])
    client = app.test_client()
    assert await allowed(client) == A
    assert (await preflight(client)).status_code == 204


# Blueprints and routes


async def test_the_innermost_policy_holds(app: Triows) -> None:
    outer, inner = Blueprint("outer", __name__, url_prefix="/o"), Blueprint("inner", __name__, url_prefix="/i")
    plain = Blueprint("plain", __name__, url_prefix="/p")
    for owner in (app, outer, inner, plain):
        owner.get("/")(view)
        owner.get("/own", cors=CORS(["https://own.example"]), endpoint="own")(view)
        owner.get("/none", cors=False, endpoint="none")(view)
    outer.register_blueprint(inner)
    outer.register_blueprint(plain)
    app.cors(["https://app.example"])
    outer.cors(["https://outer.example"])
    inner.cors(["https://inner.example"])
    app.register_blueprint(outer)
    client = app.test_client()
    for path, name in (("/", "app"), ("/o/", "outer"), ("/o/i/", "inner"), ("/o/p/", "outer"), ("/o/i/own", "own")):
        origin = f"https://{name}.example"
        assert await allowed(client, path, origin) == origin
        assert await allowed(client, path, A) is None
    assert (await client.get("/o/i/none", headers={"Origin": "https://inner.example"})).headers.get("Vary") is None
    # A method that no route takes has the policy of those that the path has.
    assert await allowed(client, "/o/i/", "https://inner.example", "PUT") == "https://inner.example"


async def view() -> str:
    return "view"


async def test_a_route_alone(app: Triows, client: TestClient) -> None:
    app.get("/own", cors=CORS(A))(view)
    assert (await allowed(client, "/own"), await allowed(client)) == (A, None)


async def test_rules_that_are_added_to_the_map(app: Triows, client: TestClient) -> None:
    app.url_map.add(Rule("/own", endpoint="own", cors=CORS(A)))
    app.url_map.add(WerkzeugRule("/plain", endpoint="own"))
    app.endpoint("own")(view)
    assert (await allowed(client, "/own"), await allowed(client, "/plain")) == (A, None)


def test_a_registered_blueprint_takes_no_policy(app: Triows) -> None:
    part = Blueprint("part", __name__)
    app.register_blueprint(part)
    with pytest.raises(RuntimeError, match=r"^blueprint 'part' was registered already"):
        part.cors([A])


@pytest.mark.parametrize("value", [True, "https://a.example", {"origins": "*"}])
def test_what_no_policy_of_a_route_is(app: Triows, value: Any) -> None:
    message = f"the route '/' has cors={value!r}; it must be a triows.CORS, or False for a route without"
    with pytest.raises(TypeError, match=f"^{re.escape(message)}$"):
        app.get("/", cors=value)(view)


def test_a_websocket_route_has_origins_instead(app: Triows) -> None:
    message = "^the websocket route '/ws' has no option 'cors': give it origins=$"
    with pytest.raises(TypeError, match=message):
        app.websocket("/ws", cors=CORS(A))(view)


# Websockets


async def opens(client: TestClient, path: str, origin: str) -> bool:
    try:
        async with client.websocket(path, headers={"Origin": origin}) as ws:
            await ws.receive()
    except WebsocketResponseError as error:
        assert error.response.status_code == 403
        return False
    return True


async def greet() -> None:
    await websocket.send("hello")


async def test_websockets_take_the_origins_that_may_have_credentials(app: Triows) -> None:
    app.websocket("/ws")(greet)
    app.websocket("/own", origins=[B])(greet)
    client = app.test_client()
    assert not await opens(client, "/ws", A)
    app.cors([A], credentials=True)
    assert await opens(client, "/ws", A)
    assert await opens(client, "/ws", "http://localhost")
    assert not await opens(client, "/ws", B)
    assert not await opens(client, "/own", A)


@pytest.mark.parametrize("origins", ["*", [A]])
async def test_without_credentials_websockets_stay_with_their_own_origin(app: Triows, origins: Any) -> None:
    app.websocket("/ws")(greet)
    app.cors(origins)
    assert not await opens(app.test_client(), "/ws", A)
    assert await opens(app.test_client(), "/ws", "http://localhost")


async def test_the_apps_origins_for_websockets_go_before_its_cors() -> None:
    app = Triows("tested", origins=[B])
    app.websocket("/ws")(greet)
    app.cors([A], credentials=True)
    assert (await opens(app.test_client(), "/ws", A), await opens(app.test_client(), "/ws", B)) == (False, True)


async def test_a_blueprints_websockets_have_its_policy(app: Triows) -> None:
    part = Blueprint("part", __name__)
    part.cors([A], credentials=True)
    part.websocket("/part")(greet)
    app.websocket("/app", endpoint="other")(greet)
    app.register_blueprint(part)
    assert [await opens(app.test_client(), path, A) for path in ("/part", "/app")] == [True, False]


async def test_what_varies_with_the_cookie_varies_with_both(app: Triows, client: TestClient) -> None:
    app.secret_key = "secret"

    @app.get("/session")
    async def use() -> str:
        return f"{session.get('user')}"

    app.cors([A], credentials=True)
    assert (await client.get("/session")).headers["Vary"] == "Cookie, Origin"
