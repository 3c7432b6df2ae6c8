"""Text of all kinds goes out as the text that it is: members of ``(str, Enum)``, and headers beyond ASCII.

Tests triows/protocol/plain.py.
"""

from __future__ import annotations

import pytest

from ..support.wire import BINARY, TEXT, Wire, upgrade
from .conftest import Target
from .text_routes import BEYOND_LATIN_1


async def messages(wire: Wire) -> list[tuple[int, bytes]]:
    """The messages up to the Close frame, put together from their fragments."""
    found: list[tuple[int, bytes]] = []
    while True:
        first, size = await wire.read(2)  # all are short
        opcode, payload = first & 0x0F, await wire.read(size)
        if opcode == 8:
            found.append((int.from_bytes(payload[:2], "big"), payload[2:]))
            return found
        if opcode == 0:
            found[-1] = found[-1][0], found[-1][1] + payload
        else:
            found.append((opcode, payload))


async def test_messages_and_close_reasons_are_the_text_that_they_are(target: Target) -> None:
    wire = await target.websocket("/kinds")
    assert await messages(wire) == [
        (TEXT, b"ping"),
        (BINARY, b"\x00"),
        (TEXT, b"pingping"),
        (BINARY, b"\x00\x01"),
        (TEXT, b'{"ping": "ping"}'),
        (3000, b"ping"),
    ]
    await wire.stream.aclose()


@pytest.mark.parametrize("query", ["?ask=1", ""])
async def test_a_subprotocol_and_headers_of_accept_are_the_text_that_they_are(target: Target, query: str) -> None:
    wire = await target.connect()
    response = await wire.handshake(target.with_key(f"/kinds{query}"), "Sec-WebSocket-Protocol: stew, soup")
    assert response.headers["sec-websocket-protocol"] == "soup"
    assert response.headers["x-kind"] == "ping"
    await wire.stream.aclose()


async def test_a_rejection_is_the_text_that_it_is(target: Target) -> None:
    wire = await target.connect()
    await wire.send(upgrade(target.with_key("/kinds/rejected")))
    response = await wire.read_response()
    assert (response.status, response.body, response.headers["x-kind"]) == (418, b"ping", "ping")
    await wire.stream.aclose()


@pytest.mark.parametrize("how", ["returned", "made"])
async def test_body_status_and_headers_are_the_text_that_they_are(target: Target, how: str) -> None:
    response = await target.get(f"/kinds/{how}")
    assert (response.status, response.body, response.headers["x-kind"]) == (418, b"ping", "ping")
    assert (
        response.headers["content-type"]
        == {
            "returned": "text/html; charset=utf-8",
            "made": "application/x-kind",
        }[how]
    )


async def test_bytes_of_a_subclass_are_the_bytes_that_they_are(target: Target) -> None:
    assert (await target.get("/kinds/bytes")).body == b"ping"


@pytest.mark.parametrize("how", ["list", "pieces", "thread"])
async def test_pieces_of_a_body_are_the_text_that_they_are(target: Target, how: str) -> None:
    assert (await target.get(f"/kinds/{how}")).body == b"pingping"


async def test_a_cookie_is_the_text_that_it_is(target: Target) -> None:
    assert (await target.get("/kinds/cookie")).headers["set-cookie"] == "kind=ping; Path=/"


async def test_a_redirect_leads_where_its_text_says(target: Target) -> None:
    response = await target.get("/kinds/redirect")
    assert response.headers["location"] == "/place"
    assert b'<a href="/place">/place</a>' in response.body


async def test_the_description_of_an_error_is_the_text_that_it_is(target: Target) -> None:
    response = await target.get("/kinds/aborted")
    assert (response.status, b"<p>ping</p>" in response.body) == (403, True)


def as_utf8(value: str) -> str:
    """What a client reads as latin-1."""
    return value.encode().decode("latin-1")


@pytest.mark.parametrize("query", ["", "?streamed=1"])
async def test_header_values_are_utf_8(target: Target, query: str) -> None:
    response = await target.get(f"/beyond-latin-1{query}")
    assert response.body == b"ab"
    assert response.headers["x-name"] == as_utf8(BEYOND_LATIN_1)
    assert response.headers["x-latin"] == as_utf8("naïve")


async def test_header_values_of_an_accepted_websocket_are_utf_8(target: Target) -> None:
    wire = await target.connect()
    response = await wire.handshake(target.with_key("/beyond-latin-1"))
    assert response.headers["x-name"] == as_utf8(BEYOND_LATIN_1)
    assert (await wire.read_close())[0] == 1000
    await wire.stream.aclose()


async def test_header_values_of_a_rejection_are_utf_8(target: Target) -> None:
    wire = await target.connect()
    await wire.send(upgrade(target.with_key("/beyond-latin-1?reject=1")))
    response = await wire.read_response()
    assert (response.status, response.headers["x-name"]) == (403, as_utf8(BEYOND_LATIN_1))
    await wire.stream.aclose()


async def test_the_location_of_a_redirect_is_percent_encoded(target: Target) -> None:
    response = await target.get("/beyond-latin-1?redirect=1")
    assert (response.status, response.headers["location"]) == (302, "/na%C3%AFve%20%E2%82%AC")
