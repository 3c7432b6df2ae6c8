"""Request heads, judged: whole, in pieces of 100 bytes and byte by byte they get the same answer.

The names of the parameters are rows of a table of bad input. What concerns bodies and connections is in
``test_bad_requests``.

Tests triows/protocol/grammar.py, triows/protocol/http1/errors.py and triows/protocol/http1/limits.py.
"""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from triows import ServerLimits
from triows.protocol.http1.errors import BadRequest
from triows.protocol.http1.request_head import HeadReader

LIMITS = ServerLimits()
MAX_HEAD, MAX_REQUEST_LINE = LIMITS.max_head_size, LIMITS.max_request_line

GET = b"GET / HTTP/1.1\r\nHost: example.com\r\n"
PIECES = [1 << 20, 100, 1]


def judge(data: bytes, piece: int, limits: ServerLimits = LIMITS) -> tuple[int, bytes, bytes]:
    """200, target and host of a head that arrives in pieces; or another status."""
    received = bytearray()
    reader = HeadReader(limits)
    try:
        for start in range(0, len(data), piece):
            received += data[start : start + piece]
            head = reader.take(received)
            if head is not None:
                return 200, head.target, dict(head.headers).get(b"host", b"")
    except BadRequest as error:
        return (error.status if str(error) else -1), b"", b""
    return 0, b"", b""  # more is wanted


def answer(data: bytes) -> tuple[int, bytes, bytes]:
    """The answer to a head, which must be the same in each cut."""
    answers = {judge(data, piece) for piece in PIECES}
    assert len(answers) == 1, answers
    return answers.pop()


def post(*lines: bytes) -> bytes:
    return b"\r\n".join([b"POST / HTTP/1.1", b"Host: example.com", *lines]) + b"\r\n\r\n"


def line(request_line: bytes, host: bytes | None = b"example.com") -> bytes:
    return request_line + b"\r\n" + (b"" if host is None else b"Host: " + host + b"\r\n") + b"\r\n"


REFUSED: dict[str, tuple[bytes, int]] = {
    "H01 bare LF ends the request line": (b"GET / HTTP/1.1\nHost: x\r\n\r\n", 400),
    "H02 bare LF ends a header line": (b"GET / HTTP/1.1\r\nHost: x\nA: b\r\n\r\n", 400),
    "H02 bare LFs end the head": (b"GET / HTTP/1.1\r\nHost: x\n\n", 400),
    "H02 bare LF ends the head": (b"GET / HTTP/1.1\r\nHost: x\r\n\n", 400),
    "bare CR in the request line": (b"GET /\r HTTP/1.1\r\nHost: x\r\n\r\n", 400),
    "bare CR in a value": (post(b"A: b\rc"), 400),
    "two CRs end a line": (b"GET / HTTP/1.1\r\r\nHost: x\r\n\r\n", 400),
    "H04 NUL in a value": (post(b"A: b\x00c"), 400),
    "H05 0x01 in a value": (post(b"A: b\x01c"), 400),
    "H05 0x7f in a value": (post(b"A: b\x7fc"), 400),
    "H05 vertical tab at the end of a value": (post(b"A: b\x0b"), 400),
    "H06 folded line": (post(b"A: b", b" c"), 400),
    "H06 folded line, tab": (post(b"A: b", b"\tc"), 400),
    "space before the colon": (post(b"A : b"), 400),
    "H08 space before the first header line": (b"GET / HTTP/1.1\r\n Host: x\r\n\r\n", 400),
    "H09 no colon": (post(b"Abc"), 400),
    "H10 empty name": (post(b": b"), 400),
    "name is no token": (post(b"A\xe4: b"), 400),
    "H12 no Host": (line(b"GET / HTTP/1.1", None), 400),
    "H13 two Hosts": (post(b"Host: example.com"), 400),
    "H14 invalid Host": (line(b"GET / HTTP/1.1", b"a b/c@d"), 400),
    "H14 Host with userinfo": (line(b"GET / HTTP/1.1", b"user@example.com"), 400),
    "H14 Host with a path": (line(b"GET / HTTP/1.1", b"example.com/"), 400),
    "H14 Host with a strange port": (line(b"GET / HTTP/1.1", b"example.com:http"), 400),
    "H14 list of Hosts": (line(b"GET / HTTP/1.1", b"a, b"), 400),
    "W21 Host beyond ASCII": (line(b"GET / HTTP/1.1", b"\xff.x"), 400),
    "H15 Content-Length and Transfer-Encoding": (post(b"Content-Length: 5", b"Transfer-Encoding: chunked"), 400),
    "H16 two different Content-Lengths": (post(b"Content-Length: 5", b"Content-Length: 6"), 400),
    "H16 two equal Content-Lengths": (post(b"Content-Length: 5", b"Content-Length: 5"), 400),
    "H17 list of lengths": (post(b"Content-Length: 5, 5"), 400),
    "H18 plus sign": (post(b"Content-Length: +5"), 400),
    "minus sign": (post(b"Content-Length: -5"), 400),
    "H20 underscore": (post(b"Content-Length: 1_0"), 400),
    "H20 hexadecimal": (post(b"Content-Length: 0x5"), 400),
    "H20 empty": (post(b"Content-Length:"), 400),
    "H20 superscript": (post("Content-Length: ²".encode("latin-1")), 400),
    "H21 5000 digits": (post(b"Content-Length: " + b"1" * 5000), 413),
    "H24 chunked twice": (post(b"Transfer-Encoding: chunked, chunked"), 501),
    "H25 Transfer-Encoding twice": (post(b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked"), 501),
    "H25 Transfer-Encoding with another before": (post(b"Transfer-Encoding: gzip", b"Transfer-Encoding: chunked"), 501),
    "H26 vertical tab before chunked": (post(b"Transfer-Encoding: \x0bchunked"), 400),
    "H26 identity": (post(b"Transfer-Encoding: identity"), 501),
    "chunked in HTTP/1.0": (b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
    "request line too long": (line(b"GET /" + b"a" * 9000 + b" HTTP/1.1"), 414),
    "endless request line": (b"GET /" + b"a" * 70_000, 414),
    "H44 one header of 70 kB": (post(b"A: " + b"b" * 70_000), 431),
    "H44 endless header": (GET + b"A: " + b"b" * 70_000, 431),
    "H45 2000 short headers": (post(*[b"a: b"] * 2000), 431),
    "H45 101 headers": (line(b"GET / HTTP/1.1")[:-2] + b"a: b\r\n" * 100 + b"\r\n", 431),
    "H48 HTTP/2.0": (line(b"GET / HTTP/2.0"), 505),
    "H48 HTTP/0.9": (line(b"GET / HTTP/0.9"), 505),
    "H48 no version": (line(b"GET /"), 400),
    "H49 HTTP/1.10": (line(b"GET / HTTP/1.10"), 505),
    "H50 http/1.1": (line(b"GET / http/1.1"), 400),
    "method is no token": (line(b"G@T / HTTP/1.1"), 400),
    "H52 two spaces before the target": (line(b"GET  / HTTP/1.1"), 400),
    "H52 two spaces after the target": (line(b"GET /  HTTP/1.1"), 400),
    "H52 tab before the target": (line(b"GET\t/ HTTP/1.1"), 400),
    "H52 space at the end": (line(b"GET / HTTP/1.1 "), 400),
    "H53 relative target": (line(b"GET foo HTTP/1.1"), 400),
    "H54 fragment": (line(b"GET /a#b HTTP/1.1"), 400),
    "H54 fragment of a URL": (line(b"GET http://example.com/a#b HTTP/1.1"), 400),
    "control byte in the target": (line(b"GET /a\x01b HTTP/1.1"), 400),
    "H56 GET *": (line(b"GET * HTTP/1.1"), 400),
    "H57 CONNECT": (line(b"CONNECT a:443 HTTP/1.1"), 501),
    "H57 CONNECT of a path": (line(b"CONNECT /a HTTP/1.1"), 501),
    "userinfo in the target": (line(b"GET http://user@example.com/ HTTP/1.1"), 400),
    "another scheme": (line(b"GET ftp://example.com/ HTTP/1.1"), 400),
    "URL without a host": (line(b"GET http:///a HTTP/1.1"), 400),
    "H60 HTTP/2 preface": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
    "H61 TLS ClientHello": (bytes.fromhex("16030100c8010000c40303") + bytes(180), 400),
    "H62 zeros": (bytes(100_000), 400),
    "H65 space inside a name": (post(b"Content Length: 5"), 400),
    "H14 Host with a port beyond 65535": (line(b"GET / HTTP/1.1", b"a:65536"), 400),
    "H14 Host with a percent": (line(b"GET / HTTP/1.1", b"a%41"), 400),
    "H14 Host with a zone": (line(b"GET / HTTP/1.1", b"[fe80::1%25lo]"), 400),
    "H14 Host that is no address": (line(b"GET / HTTP/1.1", b"[::1::]"), 400),
    "H58 URL with a port only": (line(b"GET http://:80/a HTTP/1.1"), 400),
    "Expect with another value": (post(b"Expect: 200-ok"), 417),
    "space first": (b" GET / HTTP/1.1\r\n\r\n", 400),
    "LF first": (b"\nGET / HTTP/1.1\r\nHost: x\r\n\r\n", 400),
    "CR first": (b"\rGET / HTTP/1.1\r\nHost: x\r\n\r\n", 400),
    "bare LF, and the head too long": (GET + b"a\nb: " + b"c" * 20_000, 400),
    "head too long, and a bare LF behind": (GET + b"a: " + b"c" * 20_000 + b"\n", 431),
    "head too long, a bare LF behind, whole": (GET + b"a: " + b"c" * 20_000 + b"\nd\r\n\r\n", 431),
    "request line too long, and a bare LF behind": (b"GET /" + b"a" * 9000 + b"\n\r\n\r\n", 414),
    "request line too long, and a bare LF in it": (b"GET /\n" + b"a" * 9000 + b"\r\n\r\n", 400),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_bad_head_gets_its_status_in_any_cut(name: str) -> None:
    data, status = REFUSED[name]
    assert answer(data)[0] == status


ACCEPTED: dict[str, tuple[bytes, bytes, bytes]] = {
    "plain": (line(b"GET / HTTP/1.1"), b"/", b"example.com"),
    "HTTP/1.0 without Host": (line(b"GET / HTTP/1.0", None), b"/", b""),
    "empty Host": (line(b"GET / HTTP/1.1", b""), b"/", b""),
    "port": (line(b"GET / HTTP/1.1", b"example.com:8000"), b"/", b"example.com:8000"),
    "IPv6": (line(b"GET / HTTP/1.1", b"[::1]:80"), b"/", b"[::1]:80"),
    "query": (line(b"GET /a?b=c%20d&e HTTP/1.1"), b"/a?b=c%20d&e", b"example.com"),
    "two slashes": (line(b"GET //a HTTP/1.1"), b"//a", b"example.com"),
    "H42 request line of 8000": (line(b"GET /" + b"a" * 7986 + b" HTTP/1.1"), b"/" + b"a" * 7986, b"example.com"),
    "H46 unknown method": (line(b"FOO / HTTP/1.1"), b"/", b"example.com"),
    "H48 HTTP/1.2, read as 1.1 (RFC 9110, 2.5)": (line(b"GET / HTTP/1.2"), b"/", b"example.com"),
    "H21 5 in 30 digits": (post(b"Content-Length: " + b"0" * 29 + b"5"), b"/", b"example.com"),
    "Expect twice": (post(b"Expect: 100-continue, ,100-Continue"), b"/", b"example.com"),
    "empty Expect": (post(b"Expect:"), b"/", b"example.com"),
    "H56 OPTIONS *": (line(b"OPTIONS * HTTP/1.1"), b"*", b"example.com"),
    "H56 OPTIONS of a URL without a path": (line(b"OPTIONS http://other.org HTTP/1.1"), b"*", b"other.org"),
    "H56 OPTIONS of a URL without a path, with a query": (
        line(b"OPTIONS http://other.org?a HTTP/1.1"),
        b"/?a",
        b"other.org",
    ),
    "H56 OPTIONS of a URL with a path": (line(b"OPTIONS http://other.org/ HTTP/1.1"), b"/", b"other.org"),
    "H58 the target's host wins": (line(b"GET http://other.org:81/a?b HTTP/1.1"), b"/a?b", b"other.org:81"),
    "H58 the target's host, without a Host": (line(b"GET http://other.org/a HTTP/1.0", None), b"/a", b"other.org"),
    "H58 URL without a path": (line(b"GET HTTP://other.org HTTP/1.1"), b"/", b"other.org"),
    "H58 URL without a path, with a query": (line(b"GET http://other.org?a=b HTTP/1.1"), b"/?a=b", b"other.org"),
    "H66 underscore in a name": (post(b"Content_Length: 7", b"Content-Length: 5"), b"/", b"example.com"),
    "chunked in capitals": (post(b"Transfer-Encoding: CHUNKED"), b"/", b"example.com"),
    "no space behind the colon": (post(b"A:b"), b"/", b"example.com"),
    "spaces and tabs around a value": (post(b"Content-Length: \t 5 \t "), b"/", b"example.com"),
    "empty value": (post(b"A:", b"B:  \t"), b"/", b"example.com"),
    "bytes beyond ASCII in a value": (post(b"A: \xff \x80"), b"/", b"example.com"),
    "100 headers": (line(b"GET / HTTP/1.1")[:-2] + b"a: b\r\n" * 99 + b"\r\n", b"/", b"example.com"),
}


@pytest.mark.parametrize("name", ACCEPTED)
def test_a_good_head_gives_target_and_host_in_any_cut(name: str) -> None:
    data, target, host = ACCEPTED[name]
    assert answer(data) == (200, target, host)


@pytest.mark.parametrize("place", [b"/a%bb", b"/?a%b", b"http://example.com/a%b", b"http://example.com?a%b"])
def test_each_byte_may_or_may_not_stand_in_a_target(place: bytes) -> None:
    for number in range(256):
        byte = bytes([number])
        status, target, _ = judge(line(b"GET " + place.replace(b"%b", byte) + b" HTTP/1.1"), 1 << 20)
        due = 200 if 0x21 <= number <= 0x7E and byte != b"#" else 400
        assert status == due, byte
        assert status == 400 or byte in target


@pytest.mark.parametrize(("version", "read_as"), [("1.0", "1.0"), ("1.1", "1.1"), ("1.2", "1.1"), ("1.9", "1.1")])
def test_a_later_minor_version_is_read_as_the_last_one_known(version: str, read_as: str) -> None:
    head = HeadReader(LIMITS).take(bytearray(line(f"GET / HTTP/{version}".encode())))
    assert head is not None
    assert (head.http_version, head.keep_alive) == (read_as, read_as == "1.1")


@pytest.mark.parametrize(
    ("value", "kept"),
    [("close", False), ("a, CLOSE", False), (",close\t,", False), ("closed", True), ('"close"', True), ("", True)],
)
def test_close_is_looked_for_among_the_members_of_connection(value: str, kept: bool) -> None:
    head = HeadReader(LIMITS).take(bytearray(post(b"Connection: " + value.encode())))
    assert head is not None
    assert head.keep_alive == kept


@pytest.mark.parametrize(("size", "status"), [(MAX_REQUEST_LINE, 200), (MAX_REQUEST_LINE + 1, 414)])
def test_the_limit_of_the_request_line_is_exact(size: int, status: int) -> None:
    request_line = b"GET /" + b"a" * (size - 14) + b" HTTP/1.1"
    assert len(request_line) == size
    assert answer(line(request_line))[0] == status


@pytest.mark.parametrize(("size", "status"), [(MAX_HEAD, 200), (MAX_HEAD + 1, 431)])
def test_the_limit_of_the_head_is_exact(size: int, status: int) -> None:
    data = GET + b"a: " + b"b" * (size - len(GET) - 7) + b"\r\n\r\n"
    assert len(data) == size
    assert answer(data)[0] == status


OFFERS = b"Sec-WebSocket-Extensions:"


def offering(size: int, *lines: bytes) -> bytes:
    """A head that has this size without its offers, and these lines of offers."""
    start = GET + b"".join(OFFERS + offers + b"\r\n" for offers in lines)
    filler = size - len(GET) - len(lines) * len(OFFERS) - 7
    return start + b"a: " + b"b" * filler + b"\r\n\r\n"


@pytest.mark.parametrize(("size", "status"), [(MAX_HEAD, 200), (MAX_HEAD + 1, 431)])
@pytest.mark.parametrize("lines", [[b" permessage-deflate," * 500], [b" a", b"b", b" c"], [b" " * 9000, b"x" * 7000]])
def test_offers_do_not_count_as_the_head(size: int, status: int, lines: list[bytes]) -> None:
    assert answer(offering(size, *lines))[0] == status


@pytest.mark.parametrize(("size", "status"), [(2 * MAX_HEAD, 200), (2 * MAX_HEAD + 1, 431)])
def test_offers_may_be_as_long_as_a_head(size: int, status: int) -> None:
    data = GET + OFFERS + b"a" * (size - len(GET) - len(OFFERS) - 4) + b"\r\n\r\n"
    assert len(data) == size
    assert answer(data)[0] == status


@pytest.mark.parametrize(
    "line", [b"X-Sec-WebSocket-Extensions:", b"Sec-WebSocket-Extensions :", b"a: b\nSec-WebSocket-Extensions:", b"a: "]
)
def test_what_only_looks_like_offers_counts(line: bytes) -> None:
    assert answer(GET + line + b"a" * (MAX_HEAD + 1) + b"\r\n\r\n")[0] in (400, 431)


@pytest.mark.parametrize(
    "line", [b"GET /", b"GET / HTTP/1.1 ", b"GET  / HTTP/1.1", b"get / http/1.1", b"HTTP/1.1 200 OK"]
)
def test_a_malformed_request_line_is_refused_without_waiting_for_the_rest(line: bytes) -> None:
    assert answer(line + b"\r\n")[0] == 400


def test_a_version_that_is_not_spoken_is_refused_without_waiting_for_the_rest() -> None:
    assert answer(b"GET / HTTP/2.0\r\n")[0] == 505


def test_what_comes_behind_a_head_is_not_judged() -> None:
    head = line(b"GET / HTTP/1.1")
    for behind in (b"\n\n\n", b"x" * 100_000, bytes(100)):
        data = bytearray(head + behind)
        assert HeadReader(LIMITS).take(data) is not None
        assert data == behind


def test_half_an_empty_line_before_a_request_is_no_fault_yet() -> None:
    assert HeadReader(LIMITS).take(bytearray(b"\r")) is None


@pytest.mark.parametrize("size", range(1, len(GET)))
def test_the_start_of_a_head_is_waited_on(size: int) -> None:
    assert HeadReader(LIMITS).take(bytearray(GET[:size])) is None


pieces_of_heads = st.lists(
    st.one_of(
        st.sampled_from(
            [b"\r\n", b"\n", b"\r", b": ", b" ", b"\t", b"GET / HTTP/1.1", b"Host: x", b"\r\n\r\n", b"a: b"]
        ),
        st.sampled_from([b"Content-Length: 5", b"Transfer-Encoding: chunked", b"/", b"*", b"http://", b"x" * 8200]),
        st.binary(max_size=4),
    ),
    max_size=12,
)


@settings(deadline=None, max_examples=150)
@given(st.sampled_from([b"", b"GET / HTTP/1.1\r\nHost: x\r\n"]), pieces_of_heads, st.integers(2, 50))
def test_any_bytes_get_the_same_answer_in_any_cut(start: bytes, pieces: list[bytes], piece: int) -> None:
    data = start + b"".join(pieces)
    assert judge(data, 1 << 20) == judge(data, piece) == judge(data, 1)


small_pieces = st.lists(
    st.sampled_from(
        [
            b"GET /",
            b"a" * 20,
            b"a" * 70,
            b" HTTP/1.1\r\n",
            b"\r\n",
            b"\n",
            OFFERS,
            OFFERS.lower(),
            b"Host: x\r\n",
            b"b: ",
        ]
    ),
    max_size=14,
)


@settings(deadline=None, max_examples=300)
@given(st.sampled_from([b"", GET, GET + OFFERS]), small_pieces, st.integers(2, 50))
def test_any_bytes_at_the_limits_get_the_same_answer_in_any_cut(start: bytes, pieces: list[bytes], piece: int) -> None:
    data = start + b"".join(pieces)
    limits = ServerLimits(max_request_line=50, max_head_size=120)
    assert judge(data, 1 << 20, limits) == judge(data, piece, limits) == judge(data, 1, limits)


FILLERS = [b" ", b"\t ", b"x ", b"x", b":", b",", b"\r", b"a:", b"\r\n", b'="', b"%", b"/", b"\x80"]


@pytest.mark.parametrize("filler", FILLERS)
@pytest.mark.parametrize(
    "around",
    [
        (b"GET / HTTP/1.1\r\nHost: x\r\na:", b"\x01\r\n\r\n"),
        (b"GET / HTTP/1.1\r\nHost: ", b"@\r\n\r\n"),
        (b"GET http://", b"@ HTTP/1.1\r\nHost: x\r\n\r\n"),
        (b"GET / HTTP/1.1\r\nHost: x\r\n", b"\x01\r\n\r\n"),
        (b"", b"\x01\r\n\r\n"),
        (b"GET / HTTP/1.1\r\nHost: x\r\n" + OFFERS, b"\x01\r\n\r\n"),
    ],
)
def test_judging_costs_no_more_than_the_head_is_long(filler: bytes, around: tuple[bytes, bytes]) -> None:
    before, behind = around
    limit = 7000 if b"HTTP/1.1" not in before else 15_000
    data = before + filler * (limit // len(filler)) + behind
    start = time.process_time()
    judge(data, 1 << 20)
    assert time.process_time() - start < 0.1  # less than a millisecond each; a quadratic one takes a second


@pytest.mark.parametrize("field", [b"a: " + b"b" * 15_000, OFFERS + b"a" * 31_000, OFFERS + b"a\r\na:" + b"b" * 16_000])
def test_judging_byte_by_byte_costs_no_more_than_the_head_is_long(field: bytes) -> None:
    data = GET + field + b"\r\n\r\n"
    start = time.process_time()
    assert judge(data, 1)[0] == 200
    assert time.process_time() - start < 1
