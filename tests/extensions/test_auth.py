"""Quart-Auth: who is logged in, by cookie, token or password, for requests and websockets."""

from __future__ import annotations

from typing import Any

import pytest
from quart import Quart, redirect, render_template_string, url_for, websocket
from quart.testing import WebsocketResponseError
from quart_auth import (
    AuthUser,
    QuartAuth,
    Unauthorized,
    authenticated_client,
    basic_auth_required,
    current_user,
    generate_auth_token,
    login_required,
    login_user,
    logout_user,
    renew_login,
)

pytestmark = pytest.mark.extensions


@pytest.fixture
def app() -> Quart:
    """The app of the quickstart, with answers."""
    app = Quart(__name__)
    app.secret_key = "secret key"
    app.config["QUART_AUTH_COOKIE_SECURE"] = False
    QuartAuth(app, duration=60)

    @app.route("/login")
    async def login() -> str:
        login_user(AuthUser("2"))
        return "in"

    @app.route("/logout")
    async def logout() -> str:
        logout_user()
        return "out"

    @app.route("/renew")
    async def renew() -> str:
        renew_login()
        return "renewed"

    @app.route("/")
    @login_required
    async def restricted_route() -> str:
        return f"Hello {current_user.auth_id}"

    @app.route("/hello")
    async def hello() -> str:
        return await render_template_string("{{ current_user.is_authenticated }}")

    @app.websocket("/ws")
    @login_required
    async def ws() -> None:
        await websocket.send(f"Hello {current_user.auth_id}")

    return app


async def text(response: Any) -> str:
    result: str = await response.get_data(as_text=True)
    return result


async def test_login_and_logout_open_and_close_a_route(app: Quart) -> None:
    client = app.test_client()
    assert (await client.get("/")).status_code == 401
    await client.get("/login")
    assert await text(await client.get("/")) == "Hello 2"
    assert await text(await client.get("/hello")) == "True"
    await client.get("/logout")
    assert (await client.get("/")).status_code == 401
    assert await text(await client.get("/hello")) == "False"


async def test_a_changed_cookie_is_nobody(app: Quart) -> None:
    client = app.test_client()
    client.set_cookie("localhost", "QUART_AUTH", "2")
    assert (await client.get("/")).status_code == 401


async def test_a_login_is_renewed(app: Quart) -> None:
    client = app.test_client()
    await client.get("/login")
    assert "Max-Age=60" in (await client.get("/renew")).headers["Set-Cookie"]
    assert await text(await client.get("/")) == "Hello 2"


async def test_a_websocket_needs_a_login_too(app: Quart) -> None:
    client = app.test_client()
    with pytest.raises(WebsocketResponseError) as caught:
        async with client.websocket("/ws") as ws:
            await ws.receive()
    assert caught.value.response.status_code == 401
    await client.get("/login")
    async with client.websocket("/ws") as ws:
        assert await ws.receive() == "Hello 2"


async def test_who_is_nobody_is_sent_to_the_login(app: Quart) -> None:
    @app.errorhandler(Unauthorized)
    async def redirect_to_login(*_: Exception) -> Any:
        return redirect(url_for("login"))

    response = await app.test_client().get("/")
    assert (response.status_code, response.location) == (302, "/login")


async def test_a_test_client_is_logged_in_for_a_block(app: Quart) -> None:
    client = app.test_client()
    async with authenticated_client(client, "3"):
        assert await text(await client.get("/")) == "Hello 3"
        async with client.websocket("/ws") as ws:
            assert await ws.receive() == "Hello 3"
    assert (await client.get("/")).status_code == 401


async def test_a_token_is_enough_in_the_bearer_mode(app: Quart) -> None:
    app.extensions["QUART_AUTH"][0].mode = "bearer"
    client = app.test_client()
    token = generate_auth_token(client, "2")
    response = await client.get("/", headers={"Authorization": f"bearer {token}"})
    assert await text(response) == "Hello 2"
    assert (await client.get("/", headers={"Authorization": "bearer 2"})).status_code == 401


async def test_basic_authentication_asks_for_user_and_password(app: Quart) -> None:
    app.config["QUART_AUTH_BASIC_USERNAME"] = "user"
    app.config["QUART_AUTH_BASIC_PASSWORD"] = "password"

    @app.route("/basic")
    @basic_auth_required()
    async def basic() -> str:
        return "hello"

    client = app.test_client()
    response = await client.get("/basic")
    assert (response.status_code, response.headers["WWW-Authenticate"]) == (401, "Basic")
    assert await text(await client.get("/basic", auth=("user", "password"))) == "hello"


async def test_users_are_loaded_before_requests_and_websockets(app: Quart) -> None:
    class User(AuthUser):
        email: str | None = None

        async def load_user_data(self) -> None:
            self.email = f"{self.auth_id}@example.com"

    app.extensions["QUART_AUTH"][0].user_class = User

    @app.before_request
    @app.before_websocket
    async def load_full_user_data() -> None:
        await current_user.load_user_data()

    @app.websocket("/email")
    async def email() -> None:
        await websocket.send(current_user.email)

    client = app.test_client()
    async with authenticated_client(client, "4"), client.websocket("/email") as ws:
        assert await ws.receive() == "4@example.com"
