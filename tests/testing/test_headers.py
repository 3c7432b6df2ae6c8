"""Headers of the test client: what may be given, what is sent, and what is read."""

from __future__ import annotations

from typing import Any

import pytest
from werkzeug.datastructures import Authorization, Headers

from triows import Response, Triows, request, websocket
from triows.testing.headers import encode_headers
from triows.web.headers import decode_headers


@pytest.mark.parametrize(
    ("headers", "values"),
    [
        ({"X-A": "é"}, ["é"]),
        ({"X-A": "→ü"}, ["→ü".encode().decode("latin-1")]),
        ({"X-A": "→ü".encode()}, ["→ü".encode().decode("latin-1")]),
        ({"X-A": ["1", "2"]}, ["1", "2"]),
        ([("X-A", "1"), ("x-a", b"2")], ["1", "2"]),
        (Headers([("X-A", "1"), ("X-A", "2")]), ["1", "2"]),
        ({"X-A": 1}, ["1"]),
    ],
)
async def test_headers_arrive_in_each_of_their_forms(app: Triows, headers: Any, values: list[str]) -> None:
    app.get("/see")(lambda: request.headers.getlist("X-A"))

    @app.websocket("/see")
    async def socket() -> None:
        await websocket.send_json(websocket.headers.getlist("X-A"))

    client = app.test_client()
    assert await (await client.get("/see", headers=headers)).get_json() == values
    async with client.websocket("/see", headers=headers) as ws:
        assert await ws.receive_json() == values
    async with client.request("/see", headers=headers) as connection:
        assert await (await connection.as_response()).get_json() == values
    async with app.test_request_context("/see", headers=headers):
        assert request.headers.getlist("X-A") == values


@pytest.mark.parametrize("auth", [("ü", "pä→:ss"), Authorization("basic", {"username": "ü", "password": "pä→:ss"})])
async def test_credentials_arrive(app: Triows, auth: Any) -> None:
    async with app.test_request_context("/", auth=auth):
        assert request.authorization is not None
        assert (request.authorization.username, request.authorization.password) == ("ü", "pä→:ss")


async def test_what_was_given_stays_as_it_is(app: Triows) -> None:
    headers = Headers({"X-A": "1"})
    await app.test_client().get("/hello", headers=headers, auth=("a", "b"))
    assert [*headers] == [("X-A", "1")]


@pytest.mark.parametrize("text", ["plain", "é", "→ü"])
def test_text_comes_back_as_it_was_sent(text: str) -> None:
    assert decode_headers(encode_headers(Headers({"X-A": text})))["X-A"] == text


async def test_a_handshakes_headers_come_back(app: Triows) -> None:
    @app.websocket("/see")
    async def socket() -> Any:
        if "X-Reject" in websocket.headers:
            return Response("no", 403, {"X-A": "é"})
        await websocket.accept({"X-A": "é"})
        return None

    client = app.test_client()
    async with client.websocket("/see") as ws:
        assert ws.headers is not None
        assert ws.headers["X-A"] == "é"
    async with client.websocket("/see", headers={"X-Reject": "1"}) as ws:
        assert ws.headers is not None
        assert ws.headers["X-A"] == "é"
        with pytest.raises(Exception, match="403"):
            await ws.receive()


@pytest.mark.parametrize(
    ("subprotocols", "error", "message"),
    [
        ("v1", TypeError, r"a list, like \['v1'\]"),
        (["ü"], ValueError, "'ü' is not a token"),
        (["a b"], ValueError, "'a b' is not a token"),
        ([""], ValueError, "'' is not a token"),
    ],
)
async def test_a_subprotocol_that_no_client_could_offer_is_refused(
    app: Triows, subprotocols: Any, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        async with app.test_client().websocket("/echo", subprotocols=subprotocols):
            pass
