"""URLs built from endpoints."""

from __future__ import annotations

from typing import Any

import pytest
from werkzeug.routing import BuildError

from triows import Triows, current_app, request, url_for, websocket


async def test_url_for_builds_paths_and_queries() -> None:
    app = Triows(__name__)
    app.get("/users/<name>", endpoint="user")(lambda name: "")
    async with app.test_request_context("/"):
        assert url_for("user", name="a b", page=2, tag=["x", "y"]) == "/users/a%20b?page=2&tag=x&tag=y"


async def test_url_for_adds_an_anchor() -> None:
    app = Triows(__name__)
    app.get("/", endpoint="index")(lambda: "")
    async with app.test_request_context("/"):
        assert url_for("index", _anchor="the end") == "/#the%20end"


async def test_url_for_builds_whole_urls_on_demand() -> None:
    app = Triows(__name__)
    app.get("/", endpoint="index")(lambda: "")
    async with app.test_request_context("/", headers={"Host": "example.com:81"}, scheme="https"):
        assert url_for("index", _external=True) == "https://example.com:81/"


async def test_url_for_takes_another_scheme() -> None:
    app = Triows(__name__)
    app.get("/", endpoint="index")(lambda: "")
    async with app.test_request_context("/"):
        assert url_for("index", _scheme="https") == "https://localhost/"


async def test_a_scheme_in_a_relative_url_is_refused() -> None:
    app = Triows(__name__)
    app.get("/", endpoint="index")(lambda: "")
    async with app.test_request_context("/"):
        with pytest.raises(ValueError, match="_external=False"):
            url_for("index", _scheme="https", _external=False)


async def test_url_for_finds_the_rule_of_a_method() -> None:
    app = Triows(__name__)
    app.get("/read", endpoint="item")(view := lambda: "")
    app.post("/write", endpoint="item")(view)
    async with app.test_request_context("/"):
        assert url_for("item", _method="POST") == "/write"


async def test_url_for_tries_the_rules_of_the_requests_method_first() -> None:
    app = Triows(__name__)
    app.post("/e", endpoint="e")(lambda i=0: "")
    app.get("/e/<int:i>", endpoint="e")(app.view_functions["e"])
    app.get("/read", endpoint="read")(lambda: "")
    async with app.test_request_context("/", method="POST"):
        assert url_for("e", i=1) == "/e?i=1"
        assert url_for("e", i=1, _method="GET") == "/e/1"
        assert url_for("read") == "/read"
    for method in ("GET", "HEAD"):
        async with app.test_request_context("/", method=method):
            assert url_for("e", i=1) == "/e/1"


async def test_url_for_a_websocket_has_its_scheme() -> None:
    app = Triows(__name__)

    @app.websocket("/ws")
    async def ws() -> None: ...

    async with app.test_request_context("/", scheme="https"):
        assert url_for("ws") == "wss://localhost/ws"


async def test_a_websocket_handler_builds_urls_of_pages() -> None:
    app = Triows(__name__)
    app.get("/page", endpoint="page")(lambda: "")

    @app.websocket("/")
    async def handler() -> None:
        await websocket.send(url_for("page", _external=True))

    async with app.test_client().websocket("/") as ws:
        assert await ws.receive() == "http://localhost/page"


async def test_url_for_keeps_the_root_path() -> None:
    app = Triows(__name__)

    @app.get("/page")
    async def page() -> str:
        return f"{request.path} {url_for('page')}"

    response = await app.test_client().get("/mounted/page", root_path="/mounted")
    assert await response.get_data() == b"/page /mounted/page"


async def test_url_defaults_complete_urls() -> None:
    app = Triows(__name__)
    app.get("/<language>/about", endpoint="about")(lambda language: "")

    @app.url_defaults
    def language(endpoint: str, values: dict[str, Any]) -> None:
        values.setdefault("language", "en")

    async with app.test_request_context("/"):
        assert url_for("about") == "/en/about"


async def test_an_unknown_endpoint_is_an_error_that_names_it() -> None:
    app = Triows(__name__)
    async with app.test_request_context("/"):
        with pytest.raises(BuildError, match="nothing"):
            url_for("nothing")


async def test_url_for_outside_of_a_request_needs_the_servers_name() -> None:
    app = Triows(__name__)
    app.get("/", endpoint="index")(lambda: "")
    async with app.app_context():
        with pytest.raises(RuntimeError, match="SERVER_NAME"):
            url_for("index")


async def test_url_for_outside_of_a_request_gives_whole_urls() -> None:
    app = Triows(__name__)
    app.config.update(SERVER_NAME="example.com", PREFERRED_URL_SCHEME="https", APPLICATION_ROOT="/root")
    app.get("/", endpoint="index")(lambda: "")
    async with app.app_context():
        assert url_for("index") == current_app.url_for("index") == "https://example.com/root/"


def test_url_for_outside_of_any_context_says_what_is_missing() -> None:
    with pytest.raises(RuntimeError, match=r"url_for\(\) needs"):
        url_for("index")
