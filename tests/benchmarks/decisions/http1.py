"""Requests that h11 and the server read differently, and the time that a head takes in both."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import h11

from triows.connection.limits import ServerLimits
from triows.protocol.http1.errors import BadRequest
from triows.protocol.http1.request_body import body_reader
from triows.protocol.http1.request_head import HeadReader

from ..engine import BROWSER_HEAD, Part, Timed, measure_part
from ..measure import Effort
from ..report import Table, number

_GET = b"GET / HTTP/1.1\r\nHost: a\r\n"
_POST = b"POST / HTTP/1.1\r\nHost: a\r\n"
_CHUNKED = _POST + b"Transfer-Encoding: chunked\r\n\r\n"
_NEXT = b"GET /next HTTP/1.1\r\n"


@dataclass(frozen=True)
class Example:
    """Bytes of a client, what they are, and how somebody in front may read them."""

    title: str
    data: bytes
    elsewhere: str


EXAMPLES = (
    Example(
        "a field that ends with a bare LF",
        _GET + b"X: y\nContent-Length: 26\r\n\r\n" + _NEXT,
        "the LF is part of X: no body, and a second request",
    ),
    Example("a whole head with bare LF", b"GET / HTTP/1.1\nHost: a\n\n", "the head has not ended"),
    Example("a folded field", _POST + b"X: y\r\n Content-Length: 3\r\n\r\nabc", "Content-Length is a field of its own"),
    Example(
        "a folded Transfer-Encoding",
        _POST + b"Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n",
        "no coding: the chunks are the next request",
    ),
    Example("a folded Host", b"GET / HTTP/1.1\r\nHost: a\r\n .example\r\n\r\n", "the host is a, or a.example"),
    Example(
        "Content-Length with Transfer-Encoding",
        _POST + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + _NEXT,
        "the length counts: the body is 0 CRLF CRLF",
    ),
    Example(
        "Transfer-Encoding in HTTP/1.0",
        b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "1.0 has no codings: no body",
    ),
    Example(
        "Content-Length twice, the same", _POST + b"Content-Length: 3, 3\r\n\r\nabc", "malformed, or the first one"
    ),
    Example("a chunk's extension with a bare CR", _CHUNKED + b"1;a\rb\r\nx\r\n0\r\n\r\n", "the line ends at the CR"),
    Example("a chunk's size in 20 digits", _CHUNKED + b"1" + b"0" * 18 + b"1\r\nx", "cut to 64 bits: one byte"),
    Example("a trailer that ends with a bare LF", _CHUNKED + b"0\r\nX: y\n\r\n", "the trailers have not ended"),
    Example(
        "control bytes in a field", _GET + b"X: a\x01\x1b[31m\r\n\r\n", "refused, cut, or sent to a terminal's log"
    ),
    Example("a Host with a user", b"GET / HTTP/1.1\r\nHost: good@evil\r\n\r\n", "the host is good, or evil"),
    Example("a Host that is a list", b"GET / HTTP/1.1\r\nHost: good, evil\r\n\r\n", "the host is good, or evil"),
    Example("a URL and another Host", b"GET http://b/x HTTP/1.1\r\nHost: a\r\n\r\n", "the host is b (RFC 9112, 3.2.2)"),
    Example("a target that is no path", b"GET admin HTTP/1.1\r\nHost: a\r\n\r\n", "/admin, or refused"),
    Example("HTTP/2.0 in the request line", b"GET / HTTP/2.0\r\nHost: a\r\n\r\n", "the preface of another protocol"),
)


def read_by_h11(data: bytes) -> str:
    """What h11 makes of a request, in a few words."""
    connection = h11.Connection(h11.SERVER)
    connection.receive_data(data)
    request: h11.Request | None = None
    body = b""
    try:
        while not isinstance(event := connection.next_event(), h11.EndOfMessage):
            if isinstance(event, h11.Request):
                request = event
            elif isinstance(event, h11.Data):
                body += event.data
            else:  # NEED_DATA or PAUSED
                return "waits for more" if request is None else f"{_what(request, body)}; waits for more"
    except h11.RemoteProtocolError as error:
        return f"refused, {error.error_status_hint}"
    assert request is not None
    return _what(request, body)


def _what(request: h11.Request, body: bytes) -> str:
    fields = dict(request.headers)
    text = f"{(request.method + b' ' + request.target).decode()}, host {fields.get(b'host', b'').decode() or 'none'}"
    if b"x" in fields:
        text += f", X {fields[b'x']!r}"
    return f"{text}, body {body!r}" if body or request.method == b"POST" else text


def read_by_triows(data: bytes) -> str:
    """The same of the server's own reader."""
    limits, buffer = ServerLimits(), bytearray(data)
    try:
        head = HeadReader(limits).take(buffer)
        if head is None:
            return "waits for more"
        host = dict(head.headers)[b"host"].decode()
        text = f"{head.method} {head.target.decode()}, host {host}"
        if head.framing is not None:
            text += f", body {body_reader(head.framing, limits).take(buffer, limits.max_body_size)!r}"
    except BadRequest as refusal:
        return f"refused, {refusal.status}"
    return text


def _reads(read: Callable[[], object]) -> Timed:
    return read, 1


def _part(title: str, head: bytes) -> Part:
    reader = HeadReader(ServerLimits())

    def by_triows() -> None:
        reader.begin()
        assert reader.take(bytearray(head)) is not None

    def by_h11() -> None:
        connection = h11.Connection(h11.SERVER)
        connection.receive_data(head)
        assert isinstance(connection.next_event(), h11.Request)

    return Part("", title, {"triows": lambda: _reads(by_triows), "h11": lambda: _reads(by_h11)})


_HEADS = (
    ("three fields", _GET + b"Accept: */*\r\nUser-Agent: curl/8.5.0\r\n\r\n"),
    ("a browser's, twelve fields", BROWSER_HEAD),
)


def measure(effort: Effort) -> list[Table]:
    """What is read differently, and the times."""
    examples = [[one.title, read_by_h11(one.data), read_by_triows(one.data), one.elsewhere] for one in EXAMPLES]
    times = []
    for title, head in _HEADS:
        ours, theirs = measure_part(_part(title, head), effort)
        figures = [ours.figures["time"], theirs.figures["time"], theirs.figures["ratio"]]
        times.append([title, *map(number, figures)])
    return [
        Table("What is read differently", "", ["the client sends", "h11", "triows", "another reader"], examples),
        Table("Reading a head", "", ["head", "triows, cpu µs", "h11, cpu µs", "h11 / triows"], times),
    ]
