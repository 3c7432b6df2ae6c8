"""Request bodies, taken out of the input: cut in any way, they give the same bytes, or the same fault."""

from __future__ import annotations

from math import inf

import h11
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from triows import ServerLimits
from triows.protocol.http1.errors import BadRequest
from triows.protocol.http1.request_body import ChunkedBody, SizedBody

LIMITS = ServerLimits()


def read(data: bytes, piece: int) -> tuple[bytes | int, bytes]:
    """The body of an input that comes in pieces, or the status for its fault, and what is left behind it."""
    body = ChunkedBody(LIMITS)
    received = bytearray()
    taken = b""
    try:
        for start in range(0, len(data), piece):
            received += data[start : start + piece]
            taken += body.take(received, inf)
            if body.ended:
                return taken, bytes(received) + data[start + piece :]
    except BadRequest as error:
        return error.status, b""
    return -1, b""  # more is wanted


def test_what_is_behind_a_body_is_left() -> None:
    data = bytearray(b"helloGET / HTTP/1.1\r\n")
    body = SizedBody(5)
    assert body.take(data, inf) == b"hello"
    assert (body.ended, data) == (True, b"GET / HTTP/1.1\r\n")
    assert read(b"5\r\nhello\r\n0\r\n\r\nGET", 1 << 20) == (b"hello", b"GET")


def test_chunks_that_come_together_are_one_piece() -> None:
    data = bytearray(b"1\r\nx\r\n" * 1000)
    assert ChunkedBody(LIMITS).take(data, inf) == b"x" * 1000
    assert data == b""


def test_a_chunk_is_handed_out_as_it_comes() -> None:
    body = ChunkedBody(LIMITS)
    assert body.take(bytearray(b"ffffff\r\nhel"), inf) == b"hel"
    assert body.take(bytearray(b"lo"), inf) == b"lo"
    assert body.announced == 0xFFFFFF


def test_nothing_is_read_behind_a_size_over_the_limit() -> None:
    body = ChunkedBody(LIMITS)
    data = bytearray(b"5\r\nhello\r\n6\r\nworld!\r\n")
    assert body.take(data, 10) == b"hello"
    assert (body.announced, data) == (11, b"world!\r\n")


BAD_SIZES = [b"F" * 17, b"+", b" ", b"\r5", b"5 5\r\n", b"5\n", b"\n", b"g", b"5;\r\n", b"5;a\x00\r\n"]


@pytest.mark.parametrize("line", [*BAD_SIZES, b"5;" + b"a" * 16_384])
def test_a_bad_size_is_refused_without_waiting_for_more(line: bytes) -> None:
    assert read(line, 1 << 20) == read(line, 1) == (400, b"")


@pytest.mark.parametrize(("chunks", "answer"), [(42, b"x" * 42), (43, 400)])
def test_extensions_are_measured_over_all_chunks(chunks: int, answer: bytes | int) -> None:
    line = b"1;" + b"a" * 396 + b"\r\n"
    assert len(line) - 18 == 382  # that much too long
    assert 41 * 382 + len(line) <= 16_384 < 42 * 382 + len(line)
    assert read((line + b"x\r\n") * chunks + b"0\r\n\r\n", 1 << 20)[0] == answer


def test_long_extensions_are_let_through_beside_large_chunks() -> None:
    chunk = b"400;" + b"a" * 2000 + b"\r\n" + b"x" * 1024 + b"\r\n"
    assert read(chunk * 100 + b"0\r\n\r\n", 1000)[0] == b"x" * 102_400


@pytest.mark.parametrize(("lines", "answer"), [(100, b""), (101, 431)])
def test_there_are_as_many_trailers_as_headers_at_most(lines: int, answer: bytes | int) -> None:
    assert read(b"0\r\n" + b"a: b\r\n" * lines + b"\r\n", 1 << 20)[0] == answer


parts = st.one_of(
    st.sampled_from([b"5\r\nhello\r\n", b"0\r\n", b"\r\n", b"0\r\n\r\n", b"1\r\nx\r\n", b"5", b";a=b", b"\n", b"\r"]),
    st.sampled_from([b"A: b\r\n", b'1;a="b;c"\r\nx\r\n', b"1 \r\n", b"10000000000000005\r\n", b"0;a\r\n", b"000a\r\n"]),
    st.binary(max_size=3),
)


@settings(deadline=None, max_examples=300)
@given(st.lists(parts, max_size=10).map(b"".join), st.integers(2, 20))
def test_any_bytes_give_the_same_body_in_any_cut(data: bytes, piece: int) -> None:
    assert read(data, 1 << 20) == read(data, piece) == read(data, 1)


@settings(deadline=None, max_examples=300)
@given(st.lists(parts, max_size=10).map(b"".join))
def test_what_is_a_body_here_is_the_same_one_to_h11(data: bytes) -> None:
    ours, left = read(data, 1 << 20)
    if not isinstance(ours, bytes):
        return
    theirs = h11.Connection(h11.SERVER)
    theirs.receive_data(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" + data)
    body = b""
    while not isinstance(event := theirs.next_event(), h11.EndOfMessage):
        body += bytes(event.data) if isinstance(event, h11.Data) else b""
    assert (body, theirs.trailing_data[0]) == (ours, left)


class CountingBytes(bytearray):
    """Counts the bytes that are moved: those that are deleted, and those that are copied out."""

    moved = 0

    def __delitem__(self, index: object) -> None:
        before = len(self)
        super().__delitem__(index)  # type: ignore[arg-type]
        self.moved += before - len(self)

    def __getitem__(self, index: object) -> object:  # type: ignore[override]
        found = super().__getitem__(index)  # type: ignore[call-overload]
        self.moved += len(found) if isinstance(found, bytes | bytearray) else 1
        return found


@pytest.mark.parametrize("piece", [1 << 20, 7])
def test_many_small_chunks_cost_as_much_each_as_a_few(piece: int) -> None:
    def cost(chunks: int) -> int:
        body, data = ChunkedBody(LIMITS), CountingBytes()
        chunk = b"1\r\nx\r\n" * chunks
        for start in range(0, len(chunk), piece):
            data += chunk[start : start + piece]
            body.take(data, inf)
        return data.moved

    assert cost(2000) <= 2.1 * cost(1000)
