"""Accepting and rejecting (the contract's "Accepting" and "Rejecting"; RFC 6455, section 4.2)."""

from __future__ import annotations

import json

import pytest

from ..support.wire import BINARY, PING, PONG, TEXT, Wire, close_frame, frame, upgrade
from .conftest import Target, native_only


@pytest.mark.parametrize("query", ["", "?await=1"])
async def test_accepting_takes_effect_awaited_or_not(target: Target, query: str) -> None:
    wire = await target.connect()
    response = await wire.handshake(target.with_key("/accept" + query))
    assert response.headers["x-greeting"] == "hello"
    assert await wire.read_text() == "accepted []"
    assert (await wire.read_close())[0] == 1000
    assert "other arguments" in (await target.record("again"))[0]
    await wire.stream.aclose()


async def test_a_subprotocol_is_accepted(target: Target) -> None:
    wire = await target.connect()
    path = target.with_key("/accept?subprotocol=soup")
    response = await wire.handshake(path, "Sec-WebSocket-Protocol: stew, soup")
    assert response.headers["sec-websocket-protocol"] == "soup"
    assert await wire.read_text() == "accepted ['stew', 'soup']"
    await wire.stream.aclose()


@native_only  # hypercorn drops bytes that come with the handshake
@pytest.mark.parametrize("early", ["frames", "the close too"])
async def test_frames_in_the_segment_of_the_handshake_are_delivered(target: Target, early: str) -> None:
    data = frame(TEXT, b"one") + frame(BINARY, b"two")
    wire = await target.websocket("/echo", early=data + (close_frame(1000) if early == "the close too" else b""))
    if early == "frames":
        assert await wire.read_frame() == (TEXT, b"one")
        assert await wire.read_frame() == (BINARY, b"two")
        await wire.close()
    else:
        assert (await wire.read_close())[0] == 1000
        await wire.read_end()
        await wire.stream.aclose()


@native_only  # hypercorn's server dies of it
async def test_garbage_in_the_segment_of_the_handshake_fails_that_connection_only(target: Target) -> None:
    other = await target.websocket("/echo")
    wire = await target.websocket("/echo", early=b"\xff")
    await wire.send(b"\xff")
    assert (await wire.read_close())[0] == 1002
    await wire.stream.aclose()
    await other.send_text("alive")
    assert await other.read_text() == "alive"
    await other.close()


@native_only
async def test_a_handshake_that_comes_byte_by_byte_is_answered(target: Target) -> None:
    wire = await target.connect()
    for byte in upgrade("/both"):
        await wire.send(bytes([byte]))
    assert (await wire.read_response()).status == 101
    assert await wire.read_text() == "websocket"
    await wire.stream.aclose()


@pytest.mark.parametrize(
    ("how", "status", "body"),
    [
        ("tuple", 401, b"Who are you?"),
        ("response", 418, b"teapot"),
        ("dict", 402, b'{"error":"nope"}\n'),
        ("abort", 403, None),
        ("nothing", 403, None),
        ("close", 403, None),
    ],
)
async def test_a_handshake_is_rejected_with_a_response(
    target: Target, how: str, status: int, body: bytes | None
) -> None:
    wire = await target.connect()
    await wire.send(upgrade(f"/reject/{how}"))
    response = await wire.read_response()
    assert response.status == status
    if body is not None:
        assert response.body == body
    if how == "tuple":
        assert response.headers["www-authenticate"] == "Basic"
    await wire.stream.aclose()
    log = await target.log()
    assert all("before it accepted" in line for line in log)
    assert len(log) == (how == "nothing")


async def test_an_error_before_accepting_is_a_500_and_logged(target: Target) -> None:
    wire = await target.connect()
    await wire.send(upgrade("/reject/raise"))
    response = await wire.read_response()
    assert response.status == 500
    assert b"before accepting" not in response.body
    await wire.stream.aclose()
    (line,) = await target.log()
    assert "ValueError: before accepting" in line


async def test_a_response_after_accepting_is_an_error_that_names_the_handler(target: Target) -> None:
    wire = await target.websocket("/response-after-accept")
    assert (await wire.read_close())[0] == 1011
    await wire.stream.aclose()
    (line,) = await target.log()
    assert "response_after_accept" in line


async def test_http_and_websocket_share_a_path(target: Target) -> None:
    assert (await target.get("/both")).body == b"http"
    wire = await target.websocket("/both")
    assert await wire.read_text() == "websocket"
    await wire.stream.aclose()


async def test_a_path_of_one_kind_answers_400_to_the_other(target: Target) -> None:
    response = await target.get("/echo")
    assert response.status == 400
    scheme = "wss" if target.kind == "tls" else "ws"
    assert f'new WebSocket("{scheme}://localhost/echo")'.encode() in response.body
    wire = await target.connect()
    await wire.send(upgrade("/only-http"))
    assert (await wire.read_response()).status == 400
    await wire.stream.aclose()
    (line,) = await target.log()
    assert "@app.websocket('/only-http')" in line


async def test_an_unknown_path_answers_404(target: Target) -> None:
    wire = await target.connect()
    await wire.send(upgrade("/nowhere"))
    assert (await wire.read_response()).status == 404
    await wire.stream.aclose()


async def test_a_foreign_origin_is_refused(target: Target) -> None:
    wire = await target.connect()
    await wire.send(upgrade("/echo", "Origin: https://evil.example"))
    assert (await wire.read_response()).status == 403
    await wire.stream.aclose()
    for origin in ("http://localhost", "ws://localhost"):
        wire = await target.websocket("/echo", f"Origin: {origin}")
        await wire.close()


@native_only  # hypercorn speaks permessage-deflate by itself, and drops the connection at this offer
@pytest.mark.parametrize("offer", ["permessage-deflate", "permessage-deflate; client_max_window_bits=abc"])
async def test_an_extension_is_declined_and_the_websocket_works(target: Target, offer: str) -> None:
    wire = await target.connect()
    response = await wire.handshake("/echo", f"Sec-WebSocket-Extensions: {offer}")
    assert "sec-websocket-extensions" not in response.headers
    await wire.send_text("plain")
    assert await wire.read_text() == "plain"
    await wire.close()


async def test_the_handler_sees_the_handshake(target: Target) -> None:
    wire = await target.connect()
    await wire.handshake("/info/7?q=%C3%A9", "Cookie: c=crumb", "X-Test: yes", "Authorization: Basic dXNlcjpzZWNyZXQ=")
    info = json.loads(await wire.read_text())
    scheme = "wss" if target.kind == "tls" else "ws"
    assert info == {
        "number": 7,
        "same": True,
        "path": "/info/7",
        "query": "é",
        "cookie": "crumb",
        "header": "yes",
        "scheme": scheme,
        "host": "localhost",
        "url": f"{scheme}://localhost/info/7?q=é",
        "endpoint": "info",
        "view_args": {"number": 7},
        "user": "user",
    }
    await wire.stream.aclose()


# Messages


async def test_str_and_bytes_stay_what_they_are(target: Target) -> None:
    wire = await target.websocket("/types")
    for opcode, payload, answer in [
        (TEXT, "é".encode(), "str 1"),
        (BINARY, b"\xff\x00", "bytes 2"),
        (TEXT, b"", "str 0"),
        (BINARY, b"", "bytes 0"),
    ]:
        await wire.send(frame(opcode, payload))
        assert await wire.read_text() == answer
    await wire.close()


@pytest.mark.parametrize("size", [125, 126, 65_535, 65_536, 1_000_000])
async def test_messages_of_every_length_are_echoed(target: Target, size: int) -> None:
    wire = await target.websocket("/echo")
    await wire.send(frame(BINARY, b"x" * size))
    assert await wire.read_frame() == (BINARY, b"x" * size)
    await wire.close()


async def test_fragments_become_one_message_and_pings_between_are_answered(target: Target) -> None:
    wire = await target.websocket("/echo")
    await wire.send(
        frame(TEXT, "h€llo".encode()[:2], fin=False) + frame(PING, b"p") + frame(0, "h€llo".encode()[2:], fin=False)
    )
    assert await wire.read_frame() == (PONG, b"p")
    await wire.send(frame(0, b" world"))
    assert await wire.read_text() == "h€llo world"
    await wire.close()


async def test_json_goes_both_ways(target: Target) -> None:
    wire = await target.websocket("/json")
    await wire.send_text('{"a": [1, null, "é"]}')
    assert json.loads(await wire.read_text()) == {"got": {"a": [1, None, "é"]}}
    await wire.close()


@pytest.mark.parametrize("broken", ["{", "[" * 50_000], ids=["cut", "deep"])
async def test_broken_json_closes_with_1007(target: Target, broken: str) -> None:
    wire = await target.websocket("/json")
    await wire.send_text(broken)
    assert (await wire.read_close())[0] == 1007
    await wire.stream.aclose()
    assert await target.log() == []


async def test_broken_json_may_be_caught(target: Target) -> None:
    wire = await target.websocket("/json-caught")
    await wire.send_text("{")
    assert await wire.read_text() == "no JSON"
    await wire.stream.aclose()


# Breaking the protocol


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (frame(TEXT, b"\xff\xfe"), 1007),
        (frame(TEXT, b"x", reserved=0x40), 1002),
        (frame(3, b"x"), 1002),
        (frame(TEXT, b"x", masked=False), 1002),
    ],
    ids=["UTF-8", "reserved bit", "opcode", "mask"],
)
@native_only  # hypercorn ends the stream without a Close frame
async def test_a_broken_frame_closes_with_its_code(target: Target, data: bytes, code: int) -> None:
    wire = await target.websocket("/work")
    await wire.send(data)
    assert (await wire.read_close())[0] == code
    await wire.read_end()
    await wire.stream.aclose()
    disconnect = await target.record("disconnect")
    assert (disconnect[0], disconnect[2]) == (code, "protocol_error")


@native_only
async def test_what_came_before_the_fault_is_answered_before_the_close(target: Target) -> None:
    wire = await target.websocket("/echo")
    await wire.send(frame(TEXT, b"one") + frame(TEXT, b"two") + frame(3, b"fault") + frame(TEXT, b"three"))
    assert await wire.read_text() == "one"
    assert await wire.read_text() == "two"
    assert (await wire.read_close())[0] == 1002
    await wire.read_end()
    await wire.stream.aclose()


async def test_an_oversized_message_closes_with_1009_and_cancels_the_handler(target: Target) -> None:
    wire = await target.websocket("/limits")
    await wire.send(frame(TEXT, b"x" * 1000))
    assert await wire.read_text() == "1000"
    await wire.send(frame(TEXT, b"x" * 1001))
    assert (await wire.read_close())[0] == 1009
    await wire.stream.aclose()
    assert await target.record("disconnect") == [1009, "message is over 1000 bytes", "protocol_error"]


@native_only
async def test_the_close_frame_of_a_fault_reaches_a_client_that_goes_on_sending(target: Target) -> None:
    for _ in range(20):
        wire = await target.websocket("/echo")
        await wire.send(frame(3, b"fault") + frame(BINARY, b"x" * 50_000))
        await wire.send(frame(BINARY, b"x" * 50_000))
        assert (await Wire.read_close(wire))[0] == 1002
        await wire.stream.aclose()
