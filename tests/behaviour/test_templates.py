"""Templates on every transport: whole pages, pages in pieces, clients that leave, mistakes, and flashed messages."""

from __future__ import annotations

import pytest

from ..support.wire import Response, Wire, upgrade
from .conftest import Target


def get(path: str, *headers: str) -> bytes:
    return "\r\n".join([f"GET {path} HTTP/1.1", "Host: localhost", *headers, "", ""]).encode()


async def test_a_page_is_rendered(target: Target) -> None:
    response = await target.get("/templates/page?name=%3CAda%3E")
    assert response.status == 200
    assert response.headers["content-type"] == "text/html; charset=utf-8"
    assert response.body == (
        b"<!doctype html>\n<title>&lt;Title&gt;</title>\n<b>&lt;Ada&gt;</b> 42 word /templates/page?name=1"
    )


@pytest.mark.parametrize("count", [0, 3, 2000])
async def test_a_page_in_pieces_comes_whole_to_a_client_that_stays(target: Target, count: int) -> None:
    response = await target.get(target.with_key(f"/templates/rows/{count}"))
    assert response.headers["transfer-encoding"] == "chunked"
    lines = response.body.decode().splitlines()
    assert lines == [*(f"<li>/templates/rows/{count} {number} {'x' * 100}" for number in range(count)), "end"]
    assert await target.record("rows-closed") == [None]


async def test_head_of_a_page_in_pieces_renders_nothing(target: Target) -> None:
    assert (await target.request("HEAD", target.with_key("/templates/rows/forever"))).status == 200
    assert await target.records() == []


async def test_a_client_that_leaves_ends_the_rendering_and_closes_its_generators(target: Target) -> None:
    wire = await target.connect()
    await wire.send(get(target.with_key("/templates/rows/forever")))
    await wire.read(1000)
    await wire.stream.aclose()
    assert await target.record("rows-closed") == ["lost"]
    assert await target.log() == []


async def test_a_rendering_in_pieces_that_never_waits_lets_others_in_and_ends_with_its_client(target: Target) -> None:
    wire = await target.connect()
    await wire.send(get(target.with_key("/templates/rows/forever/without-waiting")))
    await wire.read(10_000)
    assert (await target.get("/templates/page")).status == 200
    await wire.stream.aclose()
    assert (await target.get("/templates/page")).status == 200
    assert await target.log() == []


async def test_a_whole_rendering_that_never_waits_lets_others_in_and_ends_with_its_client(target: Target) -> None:
    wire = await target.connect()
    await wire.send(get(target.with_key("/templates/rows/whole/forever")))
    await target.record("rendering")
    await wire.stream.aclose()
    assert await target.record("cancelled") == ["lost"]
    assert await target.log() == []


async def test_a_whole_rendering_that_waits_ends_with_its_client(target: Target) -> None:
    wire = await target.connect()
    await wire.send(get(target.with_key("/templates/rows/whole/waiting")))
    await target.record("rendering")
    await wire.stream.aclose()
    assert await target.record("rows-closed") == ["lost"]
    assert await target.log() == []


async def test_an_error_of_a_template_is_500(target: Target) -> None:
    response = await target.get("/templates/page/error")
    assert response.status == 500
    assert b"begun" not in response.body
    (logged,) = await target.log()
    assert "unhandled ValueError" in logged
    assert "in the template" in logged


async def test_a_missing_template_is_500_and_the_log_says_where_it_was_looked_for(target: Target) -> None:
    assert (await target.get("/templates/page/missing")).status == 500
    (logged,) = await target.log()
    assert "or in DictLoader of the blueprint 'templates'" in logged


async def test_an_error_in_the_middle_of_a_page_breaks_it_off(target: Target) -> None:
    wire = await target.connect()
    await wire.send(get("/templates/page/error/stream"))
    assert (await wire.read_head()).status == 200
    assert not (await wire.read_rest()).endswith(b"0\r\n\r\n")  # the last chunk (RFC 9112, section 7.1)
    await wire.stream.aclose()
    (logged,) = await target.log()
    assert "unhandled ValueError" in logged


async def test_a_websocket_sends_templates(target: Target) -> None:
    wire = await target.websocket("/templates/page")
    await wire.send_text("<hello>")
    assert await wire.read_text() == "<i>&lt;hello&gt;</i>"
    pieces = b""
    while not pieces.endswith(b"</i>"):
        _, size = await wire.read(2)
        pieces += await wire.read(size)
    assert pieces == b"<i>&lt;hello&gt;</i>"
    if target.kind != "hypercorn":  # ASGI has whole messages alone
        assert await wire.read(2) == b"\x80\x00"  # the end of the message
    await wire.close()


async def test_a_websocket_is_rejected_with_a_page(target: Target) -> None:
    wire = await target.connect()
    await wire.send(upgrade("/templates/page?reject=1"))
    response = await wire.read_response()
    assert (response.status, response.body) == (403, b"<i>go &lt;away&gt;</i>")
    await wire.stream.aclose()


# Messages for the next page


def cookie(response: Response) -> str:
    return "Cookie: " + response.headers["set-cookie"].partition(";")[0]


async def test_messages_are_shown_once_by_the_next_page(target: Target) -> None:
    response = await target.request("POST", "/templates/messages", body=b"")
    assert response.status == 302
    response = await target.request("GET", "/templates/messages", cookie(response))
    assert response.body == b"info: &lt;saved&gt;\nmessage: and more\n"
    response = await target.request("GET", "/templates/messages", cookie(response))
    assert response.body == b""


async def test_messages_of_a_websocket_are_in_the_cookie_of_its_acceptance(target: Target) -> None:
    wire = Wire((await target.connect()).stream)
    response = await wire.handshake(target.with_key("/templates/messages"))
    assert await wire.read_text() == '["_flashes"]'
    response = await target.request("GET", "/templates/messages", cookie(response))
    assert response.body == b"info: by websocket\n"
    await wire.close()
