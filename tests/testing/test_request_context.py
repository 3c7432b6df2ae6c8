"""Contexts of requests that no client has sent."""

from __future__ import annotations

from typing import Any

import pytest

from triows import Triows, request


async def test_a_test_request_context_is_like_a_request() -> None:
    app = Triows("tested")
    app.put("/<name>", endpoint="view")(lambda name: "")
    options: dict[str, Any] = {"method": "PUT", "headers": {"X-A": "1"}, "json": {"b": 2}, "scheme": "https"}
    async with app.test_request_context("/a?c=3", **options):
        assert (request.method, request.path, request.headers["x-a"]) == ("PUT", "/a", "1")
        assert (request.endpoint, request.view_args) == ("view", {"name": "a"})
        assert (request.args["c"], request.url) == ("3", "https://localhost/a?c=3")
        assert await request.get_json() == {"b": 2}


@pytest.mark.parametrize(
    ("options", "body"),
    [
        ({"data": "text"}, b"text"),
        ({"data": b"\xff"}, b"\xff"),
        ({"form": {"a": "1"}}, b"a=1"),
        ({"json": None}, b""),
        ({}, b""),
    ],
)
async def test_a_test_request_context_has_a_body(options: dict[str, Any], body: bytes) -> None:
    async with Triows("tested").test_request_context("/", method="POST", **options):
        assert await request.get_data() == body


async def test_a_test_request_context_takes_a_query() -> None:
    async with Triows("tested").test_request_context("/", query_string={"a": ["1", "2"]}):
        assert request.args.getlist("a") == ["1", "2"]


async def test_a_test_request_context_without_a_route_says_why() -> None:
    async with Triows("tested").test_request_context("/nowhere"):
        assert getattr(request.routing_exception, "code", None) == 404


@pytest.mark.parametrize("path", ["/page", "/mounted/page"])
async def test_the_path_may_have_the_root_path_or_not(app: Triows, path: str) -> None:
    app.get("/page", endpoint="page")(lambda: "")
    async with app.test_request_context(path, root_path="/mounted"):
        assert (request.path, request.root_path, request.endpoint) == ("/page", "/mounted", "page")


async def test_url_value_preprocessors_run_in_preprocess_request_each_time() -> None:
    app = Triows("tested")
    app.url_value_preprocessor(lambda endpoint, values: ran.append((endpoint, values)))
    app.get("/<name>", endpoint="view")(lambda name: "")
    ran: list[Any] = []
    async with app.test_request_context("/a"):
        assert ran == []
        for count in (1, 2):
            await app.preprocess_request()
            assert ran == [("view", {"name": "a"})] * count
