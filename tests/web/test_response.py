"""Responses: their bodies, whole and streamed, and what they refuse."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from typing import Any

import pytest

from triows import Response, Triows, abort, redirect, request


async def pieces(closed: list[str]) -> AsyncIterator[str]:
    try:
        for piece in ("a", "", "b", "c"):
            yield piece
    finally:
        closed.append("closed")


@pytest.mark.parametrize("body", ["héllo", "héllo".encode(), ["hé", b"llo"], bytearray("héllo".encode())])
async def test_complete_bodies_are_bytes_however_they_are_given(body: object) -> None:
    response = Response(body)  # type: ignore[arg-type]
    assert await response.get_data() == "héllo".encode()
    assert await response.get_data(as_text=True) == "héllo"
    assert response.wire_body() == "héllo".encode()


async def test_streamed_bodies_are_iterated() -> None:
    response = Response(iter(["a", b"b"]))
    assert response.is_streamed
    assert response.wire_body() is None
    assert [piece async for piece in response.iter_body()] == [b"a", b"b"]


async def test_get_data_completes_an_async_stream_and_closes_it() -> None:
    closed: list[str] = []
    response = Response(pieces(closed))
    assert await response.get_data() == b"abc"
    assert closed == ["closed"]
    assert not response.is_streamed
    assert await response.get_data() == b"abc"


# The length


@pytest.mark.parametrize(
    ("body", "length"), [("héllo", 6), (b"ab", 2), (["a", b"b", "é"], 4), ("", 0), (None, 0), (iter(["a"]), None)]
)
def test_the_length_is_known_where_the_body_is_complete(body: Any, length: int | None) -> None:
    response = Response(body)
    assert response.content_length == length
    assert response.headers.get("Content-Length") == (None if length is None else str(length))
    assert b"content-length" not in dict(response.wire_headers())


async def test_the_length_follows_the_body() -> None:
    response = Response("abc")
    response.set_data("abcd")
    assert response.content_length == 4
    response.data = b"x"
    assert response.content_length == 1
    response.response = iter(["ab", "c"])
    assert (response.content_length, "Content-Length" in response.headers) == (None, False)
    await response.get_data()
    assert response.content_length == 3
    response = Response()
    response.response = pieces([])
    assert response.content_length is None


async def test_a_wrong_length_of_a_complete_body_gives_way_and_that_of_a_stream_stays() -> None:
    assert Response("abc", headers={"Content-Length": "9"}).content_length == 3
    response = Response(iter(["abc"]), headers={"Content-Length": "3"})
    assert response.content_length == 3
    assert (b"content-length", b"3") in response.wire_headers()
    response = Response(headers={"Content-Length": "3"})
    response.response = iter(["abc"])
    assert response.content_length == 3


def test_a_response_has_one_length_whatever_was_set_when() -> None:
    for response in (Response("x", 304), Response(iter(["x"])), Response(), Response("x")):
        response.headers["content-length"] = "9"
        response.status_code = 200
        response.set_data("ab")
        assert response.headers.getlist("Content-Length") == ["2"]


@pytest.mark.parametrize("emptied", [True, False])
def test_a_304_has_the_length_of_what_it_stands_for_or_none(emptied: bool) -> None:
    response = Response("text")
    if emptied:
        response.set_data("")
    response.status_code = 304
    assert dict(response.wire_headers()).get(b"content-length") == (None if emptied else b"4")
    told = Response("" if emptied else "text", 304, {"Content-Length": "9"})
    assert dict(told.wire_headers())[b"content-length"] == b"9"


async def test_hooks_know_the_length_of_every_kind_of_response() -> None:
    app, seen = Triows(__name__), dict[str, int | None]()

    @app.after_request
    async def note(response: Response) -> Response:
        assert response.headers.get("Content-Length", type=int) == response.content_length
        seen[request.path] = response.content_length
        return response

    answers: dict[str, Callable[[], Any]] = {
        "/text": lambda: "héllo",
        "/bytes": lambda: b"abc",
        "/dict": lambda: {"a": 1},
        "/tuple": lambda: ("abcd", 404, {"X-A": "b"}),
        "/abort": lambda: abort(Response("abc", 418)),  # type: ignore[arg-type]
        "/redirect": lambda: redirect("/text"),
        "/made": lambda: Response(),
        "/stream": lambda: iter(["a"]),
    }
    for path, answer in answers.items():
        app.add_url_rule(path, path.strip("/"), answer)
    client, lengths = app.test_client(), {}
    for path in (*answers, "/missing"):
        response = await client.get(path)
        lengths[path] = None if path == "/stream" else len(await response.get_data())
        assert response.content_length == lengths[path]
    assert seen == lengths
    head = await client.head("/text")
    assert (head.content_length, seen["/text"], await head.get_data()) == (6, 6, b"")


async def test_aclose_closes_a_generator_half_way() -> None:
    closed: list[str] = []
    response = Response(pieces(closed))
    async with aclosing(response.iter_body()) as body:
        assert await anext(body) == b"a"
    await response.aclose()
    assert closed == ["closed"]


async def test_a_stream_is_iterated_once() -> None:
    response = Response(iter(["a"]))
    assert [piece async for piece in response.iter_body()] == [b"a"]
    with pytest.raises(RuntimeError, match="already iterated"):
        [piece async for piece in response.iter_body()]


async def test_json_is_read_back() -> None:
    assert await Response('{"a": 1}', mimetype="application/json").get_json() == {"a": 1}
    assert await Response('{"a": 1}').json is None
    assert await Response("{").get_json(force=True, silent=True) is None


@pytest.mark.parametrize(
    ("body", "status", "told"),
    [("text", 200, False), ("text", 204, False), ("", 304, True), (iter(["text"]), 200, True)],
)
def test_the_length_of_a_complete_body_is_the_carriers_to_tell(body: Any, status: int, told: bool) -> None:
    response = Response(body, status, {"Content-Length": "1000"})
    assert ((b"content-length", b"1000") in response.wire_headers()) is told


@pytest.mark.parametrize("status", [0, 100, 101, 199, 1000])
def test_a_response_has_the_status_of_a_final_one(status: int) -> None:
    with pytest.raises(ValueError, match="from 200 to 999"):
        Response("text", status).wire_headers()


@pytest.mark.parametrize("status", [2.5, b"200 OK", ["200"]])
def test_a_status_of_another_type_is_refused(status: Any) -> None:
    with pytest.raises(
        TypeError, match=r"status of a response cannot be (float|bytes|list) .*; it is a number, or text"
    ):
        Response("", status)
    response = Response("")
    for name in ("status", "status_code"):
        with pytest.raises(TypeError, match="the status of a response cannot be"):
            setattr(response, name, status)
    assert response.status == "200 OK"


def test_the_status_and_the_mimetype_may_be_changed() -> None:
    response = Response("")
    response.status, response.mimetype = "404 Gone Fishing", "text/css"
    assert (response.status_code, response.content_type) == (404, "text/css; charset=utf-8")
    response.status_code = 201
    assert response.status == "201 CREATED"


async def test_the_app_says_from_which_size_on_a_cookie_is_warned_of() -> None:
    app = Triows(__name__)

    @app.get("/<int:size>")
    async def view(size: int) -> Response:
        response = Response()
        response.set_cookie("name", "x" * size)
        return response

    with pytest.warns(UserWarning, match="limit is 4093 bytes"):
        await app.test_client().get("/4100")
    app.config["MAX_COOKIE_SIZE"] = 100
    with pytest.warns(UserWarning, match="limit is 100 bytes"):
        await app.test_client().get("/200")
    app.config["MAX_COOKIE_SIZE"] = 0  # no limit, and warnings are errors here
    assert (await app.test_client().get("/5000")).status_code == 200


def test_a_body_of_another_type_is_refused() -> None:
    with pytest.raises(TypeError, match="int 5"):
        Response(5)  # type: ignore[arg-type]


async def test_a_streamed_body_may_be_made_complete_or_iterated_over() -> None:
    async def pieces() -> AsyncIterator[str]:
        yield "a"
        yield "b"

    response = Response(pieces())
    assert [piece async for piece in response.iter_encode()] == [b"a", b"b"]
    response = Response(pieces())
    await response.make_sequence()
    assert not response.is_streamed
    assert [piece async for piece in response.iter_encode()] == [b"ab"]
