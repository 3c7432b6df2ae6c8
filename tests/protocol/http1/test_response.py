"""Responses as bytes: what their heads say, how their bodies are framed, and when the connection ends with them."""

from __future__ import annotations

import h11
import pytest
from hypothesis import given
from hypothesis import strategies as st

from triows.protocol.http1.response import ResponseFraming, head_bytes

HEADERS = [(b"content-type", b"text/plain")]


def read(data: bytes, method: str = "GET") -> tuple[h11.Response, bytes, bool]:
    """What h11 as a client makes of a response: its head, its body, and whether it is whole without the end of file."""
    client = h11.Connection(h11.CLIENT)
    client.send(h11.Request(method=method, target="/", headers=[("host", "x")]))
    client.send(h11.EndOfMessage())
    client.receive_data(data)
    head = client.next_event()
    assert isinstance(head, h11.Response)
    body = b""
    while isinstance(event := client.next_event(), h11.Data):
        body += event.data
    return head, body, isinstance(event, h11.EndOfMessage)


DATE = b"Tue, 01 Jan 2030 00:00:00 GMT"


def framing(method: str = "GET", http_version: str = "1.1", *, keep_alive: bool = True) -> ResponseFraming:
    return ResponseFraming(method, http_version, keep_alive, lambda: DATE)


def fields(data: bytes) -> dict[bytes, bytes]:
    head, _, _ = data.partition(b"\r\n\r\n")
    return dict(line.split(b": ", 1) for line in head.split(b"\r\n")[1:])  # type: ignore[misc]


def test_a_whole_response_has_its_length_a_date_and_its_body() -> None:
    response = framing()
    head, body, whole = read(response.whole(200, HEADERS, b"hello"))
    assert (head.status_code, head.reason, body, whole) == (200, b"OK", b"hello", True)
    assert dict(head.headers)[b"content-length"] == b"5"
    assert dict(head.headers)[b"date"] == DATE
    assert (response.ended, response.keep_alive, response.size) == (True, True, 5)


def test_a_body_of_unknown_length_is_chunked() -> None:
    response = framing()
    data = response.begin(200, HEADERS) + response.data(b"hello ") + response.data(b"") + response.data(b"world" * 4)
    assert not response.ended
    head, body, whole = read(data + response.end())
    assert (body, whole) == (b"hello " + b"world" * 4, True)
    assert dict(head.headers)[b"transfer-encoding"] == b"chunked"
    assert (response.ended, response.keep_alive) == (True, True)


def test_to_http_1_0_a_body_of_unknown_length_ends_with_the_connection() -> None:
    response = framing(http_version="1.0", keep_alive=False)
    data = response.begin(200, HEADERS) + response.data(b"hello") + response.end()
    assert data.endswith(b"\r\n\r\nhello")
    assert b"transfer-encoding" not in fields(data)
    assert fields(data)[b"connection"] == b"close"


def test_a_declared_length_frames_a_body_that_comes_in_pieces() -> None:
    response = framing()
    data = response.begin(200, [(b"content-length", b"10")]) + response.data(b"hello") + response.data(b"world")
    _, body, whole = read(data + response.end())
    assert (body, whole) == (b"helloworld", True)


def test_more_than_the_declared_length_is_refused() -> None:
    response = framing()
    response.begin(200, [(b"content-length", b"5")])
    response.data(b"hell")
    with pytest.raises(ValueError, match="longer"):
        response.data(b"o, world")


def test_less_than_the_declared_length_is_refused() -> None:
    response = framing()
    response.begin(200, [(b"content-length", b"5")])
    response.data(b"hell")
    with pytest.raises(ValueError, match="1 bytes shorter"):
        response.end()
    assert not response.ended


def test_a_whole_response_of_another_length_than_it_declares_is_refused_and_nothing_begun() -> None:
    response = framing()
    with pytest.raises(ValueError, match="5 bytes"):
        response.whole(200, [(b"content-length", b"6")], b"hello")
    assert read(response.whole(500, [], b"error"))[1] == b"error"


@pytest.mark.parametrize(
    "lengths", [[b"5", b"6"], [b"5, 5"], [b"+5"], [b"-5"], [b""], [b"1_0"], [b"0x5"]], ids=lambda lengths: str(lengths)
)
def test_a_declared_length_that_is_not_one_number_is_refused(lengths: list[bytes]) -> None:
    with pytest.raises(ValueError, match="not one number"):
        framing().begin(200, [(b"content-length", length) for length in lengths])


def test_the_framing_is_the_servers_own_whatever_the_app_says() -> None:
    both = [(b"content-length", b"3"), (b"transfer-encoding", b"Chunked")]
    response = framing()
    data = response.begin(200, both) + response.data(b"hello") + response.end()
    assert b"content-length" not in fields(data)
    assert read(data)[1:] == (b"hello", True)
    data = framing().whole(200, both, b"hello")
    assert b"transfer-encoding" not in fields(data)
    assert read(data)[1:] == (b"hello", True)


def test_another_transfer_encoding_is_refused() -> None:
    with pytest.raises(ValueError, match="chunked"):
        framing().begin(200, [(b"transfer-encoding", b"gzip")])


@pytest.mark.parametrize("status", [204, 304])
def test_a_status_without_content_has_none_and_no_framing(status: int) -> None:
    response = framing()
    data = response.whole(status, [], b"hello")
    assert data.endswith(b"\r\n\r\n")
    assert fields(data).keys() == {b"date"}
    response = framing()
    assert response.begin(status, []).endswith(b"\r\n\r\n")
    assert response.data(b"hello") + response.end() == b""


def test_a_304_may_tell_the_length_that_a_200_would_have() -> None:
    response = framing()
    data = response.whole(304, [(b"content-length", b"5")], b"")
    assert fields(data)[b"content-length"] == b"5"
    assert data.endswith(b"\r\n\r\n")


def test_a_204_tells_no_length_whatever_the_app_says() -> None:
    for data in (
        framing().whole(204, [(b"content-length", b"5")], b""),
        framing().begin(204, [(b"content-length", b"5")]),
    ):
        assert fields(data).keys() == {b"date"}


def test_the_answer_to_head_has_the_headers_of_get_and_no_body() -> None:
    data = framing("HEAD").whole(200, HEADERS, b"hello")
    assert fields(data)[b"content-length"] == b"5"
    assert data.endswith(b"\r\n\r\n")
    response = framing("HEAD")
    data = response.begin(200, HEADERS)
    assert fields(data)[b"transfer-encoding"] == b"chunked"
    assert response.data(b"hello") + response.end() == b""


@pytest.mark.parametrize(
    ("keep_alive", "connection", "answer"),
    [
        (True, None, None),
        (True, b"close", b"close"),
        (True, b"Keep-Alive, Close", b"close"),
        (True, b"keep-alive", b"keep-alive"),
        (False, None, b"close"),
        (False, b"keep-alive", b"close"),
        (False, b"x-hop", b"x-hop, close"),
    ],
)
def test_the_connection_ends_when_either_side_wants_it(
    keep_alive: bool, connection: bytes | None, answer: bytes | None
) -> None:
    response = framing(keep_alive=keep_alive)
    headers = [] if connection is None else [(b"connection", connection)]
    assert fields(response.whole(200, headers, b"")).get(b"connection") == answer
    assert response.keep_alive is (answer in (None, b"keep-alive"))


def test_the_apps_own_date_stays() -> None:
    data = framing().whole(200, [(b"date", b"today")], b"")
    assert data.count(b"date: ") == 1
    assert fields(data)[b"date"] == b"today"


@pytest.mark.parametrize("status", [0, 100, 101, 199, 1000])
def test_what_is_no_status_of_a_response_is_refused(status: int) -> None:
    with pytest.raises(ValueError, match=str(status)):
        framing().whole(status, [], b"")


def test_an_unregistered_status_has_no_phrase() -> None:
    assert framing().whole(299, [], b"").startswith(b"HTTP/1.1 299 \r\n")


MALFORMED = {
    "value with CRLF": (b"a", b"b\r\nc: d"),
    "value with LF": (b"a", b"b\nc: d"),
    "value with CR": (b"a", b"b\rc"),
    "value with NUL": (b"a", b"b\0c"),
    "value with a control byte": (b"a", b"b\x1bc"),
    "space before the value": (b"a", b" b"),
    "space behind the value": (b"a", b"b "),
    "line end in the name": (b"a: b\r\nc", b"d"),
    "colon in the name": (b"a: b", b"c"),
    "space in the name": (b"a b", b"c"),
    "empty name": (b"", b"c"),
    "whole lines": (b"a: b\r\n\r\n<html>", b"c"),
}


@pytest.mark.parametrize("name", MALFORMED)
def test_a_header_that_a_client_would_read_as_something_else_is_refused(name: str) -> None:
    response = framing()
    with pytest.raises(ValueError, match="malformed"):
        response.whole(200, [(b"x", b"y"), MALFORMED[name], (b"z", b"")], b"")
    with pytest.raises(ValueError, match="malformed"):
        head_bytes(101, [MALFORMED[name]])
    assert response.status == 0


@given(st.lists(st.tuples(st.binary(max_size=6), st.binary(max_size=6)), max_size=3))
def test_a_head_is_either_refused_or_read_as_it_was_given(headers: list[tuple[bytes, bytes]]) -> None:
    try:
        data = head_bytes(200, headers)
    except ValueError:
        return
    client = h11.Connection(h11.CLIENT)
    client.send(h11.Request(method="HEAD", target="/", headers=[("host", "x")]))
    client.receive_data(data)
    try:
        head = client.next_event()
    except h11.RemoteProtocolError:  # a framing header with nonsense in it, which is not judged here
        assert {name.lower() for name, _ in headers} & {b"content-length", b"transfer-encoding"}
        return
    assert isinstance(head, h11.Response)
    assert [tuple(pair) for pair in head.headers.raw_items()] == headers
