"""HTTP over every transport.

Tests triows/connection/http.py and triows/server/exchange.py.
"""

from __future__ import annotations

import hashlib
import json

import pytest
import trio

from triows import request

from ..support.wire import upgrade
from .conftest import Target, virtual_clock


async def test_a_body_goes_in_and_json_comes_out(target: Target) -> None:
    response = await target.request("POST", "/body", body=b"0123456789" * 10_000)
    assert response.status == 200
    assert response.headers["content-type"] == "application/json"
    assert json.loads(response.body) == {"size": 100_000, "head": "0123456789"}


async def test_a_chunked_body_is_streamed_in(target: Target) -> None:
    wire = await target.connect()
    await wire.send(b"POST /upload HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n")
    for _ in range(50):
        await wire.send(b"1000\r\n" + b"x" * 4096 + b"\r\n")
    await wire.send(b"0\r\n\r\n")
    assert (await wire.read_response()).body == b"204800"
    await wire.stream.aclose()


FORM = (
    b'--B\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n'
    b'--B\r\nContent-Disposition: form-data; name="f"; filename="f"\r\n\r\n%s\r\n--B--\r\n'
)


@pytest.mark.parametrize("order", ["data form data", "form data form body data", "form body form data"])
@pytest.mark.parametrize("size", [10, 1_000_000])
async def test_a_body_that_was_read_is_there_for_the_next_reader(order: str, size: int, target: Target) -> None:
    body = FORM % (b"x" * size)
    path = f"/signed?order={order.replace(' ', '+')}"
    response = await target.request("POST", path, "Content-Type: multipart/form-data; boundary=B", body=body)
    digest, form = hashlib.sha256(body).hexdigest(), [{"a": "1"}, {"f": size}]
    expected = [form if what == "form" else digest for what in order.split()]
    assert json.loads(response.body) == {"seen": expected}


async def test_a_body_over_the_limit_is_refused_each_time(target: Target) -> None:
    wire = await target.connect()
    await wire.send(b"POST /over-and-over HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n")
    await wire.send(b"8\r\n01234567\r\n8\r\n01234567\r\n0\r\n\r\n")
    assert json.loads((await wire.read_response()).body) == [413] * 9
    await wire.stream.aclose()


async def test_a_generator_is_streamed_out_in_chunks(target: Target) -> None:
    response = await target.get("/stream")
    assert response.headers["transfer-encoding"] == "chunked"
    assert response.body == b"0\n1\n2\n"


async def test_head_has_the_headers_and_no_body(target: Target) -> None:
    response = await target.request("HEAD", "/both")
    assert response.status == 200
    assert response.headers["content-length"] == "4"


# Status, how the body is given, the Content-Length that the app tells, and the one that the client sees.
LENGTHS = [
    (200, "whole", None, "4"),
    (200, "whole", "9", "4"),
    (200, "streamed", None, None),
    (200, "streamed", "4", "4"),
    (404, "whole", None, "4"),
    (204, "whole", None, None),
    (204, "whole", "4", None),
    (204, "streamed", "4", None),
    (304, "whole", None, None),
    (304, "whole", "9", "9"),
    (304, "streamed", "9", "9"),
]


@pytest.mark.parametrize(("status", "kind", "told", "length"), LENGTHS)
async def test_the_length_of_a_response_is_that_of_its_content(
    status: int, kind: str, told: str | None, length: str | None, target: Target
) -> None:
    path = f"/length/{status}/{kind}?told={told or ''}"
    response = await target.get(path)
    body = b"text" if status in (200, 404) else b""
    assert (response.status, response.headers.get("content-length"), response.body) == (status, length, body)
    assert ("transfer-encoding" in response.headers) is (length is None and status == 200)
    response = await target.request("HEAD", path)
    assert (response.status, response.headers.get("content-length")) == (status, length)


@pytest.mark.parametrize(("status", "kind", "told", "length"), LENGTHS)
async def test_the_length_of_a_denial_is_that_of_its_content(
    status: int, kind: str, told: str | None, length: str | None, target: Target
) -> None:
    wire = await target.connect()
    await wire.send(upgrade(f"/length/{status}/{kind}?told={told or ''}"))
    response = await wire.read_response()
    has_content = status in (200, 404)
    assert (response.status, response.body) == (status, b"text" if has_content else b"")
    assert response.headers.get("content-length") == ("4" if has_content else length)
    await wire.stream.aclose()


async def test_a_length_that_is_no_number_is_an_error_of_the_view(target: Target) -> None:
    response = await target.get("/length/200/streamed?told=four")
    assert response.status == 500
    assert any("not one number" in record for record in await target.log())


@pytest.mark.native_only
async def test_a_refused_head_request_is_answered_without_a_body(target: Target) -> None:
    wire = await target.connect()
    await wire.send(b"HEAD / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n")
    assert (await wire.read_head()).status == 400
    await wire.read_end()
    await wire.stream.aclose()


async def test_requests_on_one_connection_are_answered_in_order(target: Target) -> None:
    wire = await target.connect()
    request = b"GET /sync?x=%d HTTP/1.1\r\nHost: localhost\r\n\r\n"
    await wire.send(b"".join(request % number for number in range(10)))
    for number in range(10):
        assert (await wire.read_response()).body == b"sync %d" % number
    await wire.stream.aclose()


async def test_expect_100_continue_is_answered_when_the_body_is_read(target: Target) -> None:
    wire = await target.connect()
    await wire.send(b"POST /body HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n")
    assert (await wire.read_head()).status == 100
    await wire.send(b"12345")
    assert json.loads((await wire.read_response()).body)["size"] == 5
    await wire.stream.aclose()


async def test_a_body_over_the_limit_is_413(target: Target) -> None:
    wire = await target.connect()
    await wire.send(b"POST /body HTTP/1.1\r\nHost: localhost\r\nContent-Length: 999999999\r\n\r\n")
    assert (await wire.read_response()).status == 413
    await wire.stream.aclose()


async def test_an_error_is_a_500_without_its_text_and_logged_once(target: Target) -> None:
    response = await target.get("/fail")
    assert response.status == 500
    assert b"ValueError" not in response.body
    (line,) = await target.log()
    assert "ValueError: no" in line


async def test_a_long_poll_is_cancelled_when_the_client_goes_away(target: Target) -> None:
    wire = await target.connect()
    await wire.send(f"GET {target.with_key('/poll')} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
    await target.record("polling")
    await wire.stream.aclose()
    assert await target.record("cancelled") == ["request disconnected: 1006 abnormal closure", "lost"]
    assert await target.log() == []


async def test_a_streaming_response_is_ended_when_the_client_goes_away(target: Target) -> None:
    wire = await target.connect()
    await wire.send(f"GET {target.with_key('/stream-forever')} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
    await wire.read(1000)
    await wire.stream.aclose()
    assert await target.record("stream-ended") == ["lost"]
    assert await target.log() == []


async def test_a_client_that_leaves_with_the_whole_response_leaves_nothing_undone(target: Target) -> None:
    """Its length was told in advance, so that the client knows before the handler is done."""
    wire = await target.connect()
    await wire.send(f"GET {target.with_key('/known-length')} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
    assert (await wire.read_response()).body == b"x" * 300_000
    await wire.stream.aclose()
    await target.get("/who")  # by then its end has been seen
    await target.set_event()
    assert await target.record("stream-ended") == ["done", None]
    assert await target.log() == []


async def test_events_arrive_at_once_and_their_source_ends_with_the_client(target: Target) -> None:
    wire = await target.connect()
    await wire.send(f"GET {target.with_key('/events')} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
    head = await wire.read_head()
    assert (head.status, head.headers["content-type"]) == (200, "text/event-stream; charset=utf-8")
    for event in (b":\n\n", b"data: one\nid: 1\n\n"):
        chunk = b"%x\r\n%b\r\n" % (len(event), event)
        assert await wire.read(len(chunk)) == chunk
    await wire.stream.aclose()
    assert await target.record("events-ended") == ["lost"]
    assert await target.log() == []


# Contexts


NOBODY = b"nobody 0.3333333333333333333333333333"


def _get(path: str, *headers: str) -> bytes:
    return "\r\n".join([f"GET {path} HTTP/1.1", "Host: localhost", *headers, "", ""]).encode()


async def test_each_request_on_a_connection_begins_with_the_context_of_the_server(target: Target) -> None:
    wire = await target.connect()
    for data, body in (
        (_get("/who"), NOBODY),
        (_get("/login"), b"in"),
        (_get("/who"), NOBODY),
        (_get("/who", "X-User: bob"), NOBODY.replace(b"nobody", b"bob")),
        (_get("/nowhere", "X-User: bob"), None),
        (_get("/who"), NOBODY),
    ):
        await wire.send(data)
        response = await wire.read_response()
        assert body is None or response.body == body
    await wire.stream.aclose()


async def test_pipelined_requests_begin_with_the_context_of_the_server(target: Target) -> None:
    wire = await target.connect()
    await wire.send(_get("/login", "X-User: bob") + _get("/who") + _get("/nowhere", "X-User: bob") + _get("/who"))
    bodies = [(await wire.read_response()).body for _ in range(4)]
    assert (bodies[1], bodies[3]) == (NOBODY, NOBODY)
    await wire.stream.aclose()


async def test_a_websocket_behind_requests_begins_with_the_context_of_the_server(target: Target) -> None:
    wire = await target.connect()
    await wire.send(_get("/login"))
    await wire.read_response()
    await wire.handshake("/who")
    assert (await wire.read_frame())[1] == NOBODY
    await wire.stream.aclose()


@pytest.mark.parametrize("path", ["/nowhere", "/both/x"])
async def test_an_unknown_path_is_404(target: Target, path: str) -> None:
    assert (await target.get(path)).status == 404


async def test_a_wrong_method_is_405_and_names_the_right_ones(target: Target) -> None:
    response = await target.request("POST", "/only-http", body=b"")
    assert response.status == 405
    assert {method.strip() for method in response.headers["allow"].split(",")} == {"GET", "HEAD", "OPTIONS"}


@virtual_clock
async def test_a_body_at_a_byte_a_second_is_408_and_cancels_the_handler(
    target: Target, autojump_clock: trio.testing.MockClock
) -> None:
    wire = await target.connect()
    await wire.send(b"POST /body HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n")
    start = trio.current_time()
    async with trio.open_nursery() as nursery:

        async def trickle() -> None:
            while True:
                await wire.send(b"x")
                await trio.sleep(1)

        nursery.start_soon(trickle)
        response = await wire.read_response()
        nursery.cancel_scope.cancel()
    assert response.status == 408
    assert response.headers["connection"] == "close"
    assert trio.current_time() - start == pytest.approx(10, abs=0.1)
    await wire.read_end()
    await wire.stream.aclose()
    assert await target.log() == []


@virtual_clock
async def test_a_slow_body_of_two_kibibytes_a_second_is_served(
    target: Target, autojump_clock: trio.testing.MockClock
) -> None:
    wire = await target.connect()
    await wire.send(b"POST /upload HTTP/1.1\r\nHost: localhost\r\nContent-Length: 204800\r\n\r\n")
    for _ in range(100):
        await wire.send(b"x" * 2048)
        await trio.sleep(1)
    assert (await wire.read_response()).body == b"204800"
    await wire.stream.aclose()


@virtual_clock
async def test_a_handler_that_takes_its_time_is_no_slow_client(
    target: Target, autojump_clock: trio.testing.MockClock
) -> None:
    assert target.app is not None

    @target.app.post("/leisurely")
    async def leisurely() -> str:
        size = 0
        async for piece in request.body:
            size += len(piece)
            await trio.sleep(60)
        return str(size)

    wire = await target.connect()
    await wire.send(b"POST /leisurely HTTP/1.1\r\nHost: localhost\r\nContent-Length: 20\r\n\r\n" + b"x" * 10)
    await trio.sleep(55)
    await wire.send(b"x" * 10)
    assert (await wire.read_response()).body == b"20"
    await wire.stream.aclose()


async def test_a_function_in_the_place_of_a_views_is_called(target: Target) -> None:
    assert (await target.get("/replaced")).body == b"the new one"


async def test_a_function_in_the_place_of_a_websockets_is_called(target: Target) -> None:
    wire = await target.websocket("/replaced-ws")
    assert await wire.read_text() == "the new one"
    assert (await wire.read_close())[0] == 1000
    await wire.stream.aclose()
