"""The helpers of handlers: make_response(), jsonify(), redirect() and abort()."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest
import trio

from triows import Response, Triows, abort, jsonify, make_response, redirect

from ..support.views import answer


async def test_make_response_takes_what_views_return() -> None:
    async def view() -> Response:
        response = await make_response("body", 203, {"X-A": "1"})
        response.set_cookie("name", "value")
        return response

    response = await answer(view)
    assert (response.status_code, response.headers["x-a"]) == (203, "1")
    assert response.headers["set-cookie"] == "name=value; Path=/"


async def test_make_response_of_nothing_is_empty() -> None:
    assert await (await answer(lambda: make_response())).get_data() == b""


@pytest.mark.parametrize(
    ("args", "kwargs", "value"),
    [((), {"a": 1}, {"a": 1}), ((1,), {}, 1), ((1, 2), {}, [1, 2]), ((None,), {}, None), (([],), {}, [])],
)
async def test_jsonify(args: Any, kwargs: Any, value: Any) -> None:
    assert await (await answer(lambda: jsonify(*args, **kwargs))).get_json() == value


async def test_jsonify_knows_dates() -> None:
    assert await (await answer(lambda: jsonify(date(2026, 1, 2)))).get_json() == "Fri, 02 Jan 2026 00:00:00 GMT"


async def test_redirect_sends_elsewhere() -> None:
    response = await answer(lambda: redirect("/elsewhere", 303))
    assert (response.status_code, response.location) == (303, "/elsewhere")


async def test_redirect_escapes_what_is_not_ascii() -> None:
    response = await answer(lambda: redirect("/pr\xe9s/\u20ac?a=\u20ac"))
    assert response.location == "/pr%C3%A9s/%E2%82%AC?a=%E2%82%AC"


def test_redirect_takes_no_line_breaks() -> None:
    with pytest.raises(ValueError, match="newline"):
        redirect("/a\r\nX-Injected: 1")


async def test_abort_answers_with_its_status_and_words() -> None:
    response = await answer(lambda: abort(403, "Members only"))
    assert response.status_code == 403
    assert b"Members only" in await response.get_data()


async def test_abort_takes_a_response() -> None:
    response = await answer(lambda: abort(Response("no", 401, {"WWW-Authenticate": "Basic"})))
    assert (response.status_code, response.headers["www-authenticate"]) == (401, "Basic")
    assert await response.get_data() == b"no"


async def test_abort_inside_of_nested_tasks_answers_too() -> None:
    app = Triows(__name__)

    @app.get("/")
    async def view() -> str:
        async def child() -> None:
            abort(409)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(child)
        return "unreachable"

    assert (await app.test_client().get("/")).status_code == 409
