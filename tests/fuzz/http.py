"""What a client's bytes may not do to HTTP/1.1 and the handshake, with next to nothing behind them.

Whatever they are: nothing is logged as a warning or worse; what the client gets is a sequence of well-formed responses,
with a websocket's frames behind a 101; a refusal is the last response, and no request is taken from what follows it;
the connection ends when the client does; requests, bodies, messages and statuses are the same in any cut; and h11 reads
the same requests with the same bodies.
"""

from __future__ import annotations

from collections.abc import Coroutine, Sequence
from dataclasses import dataclass
from typing import Any

import h11

from triows import Triows
from triows.connection.base import Connection
from triows.connection.http import BodyTooLarge, HTTPConnection
from triows.connection.websocket import WebSocketConnection

from .cuts import other_cuts
from .responses import Answers, read_answers
from .serving import MAX_INPUT, served


@dataclass
class _Request:
    """A request that reached the handler: what it says, and what came with it."""

    method: str
    path: bytes
    query: bytes
    headers: list[tuple[bytes, bytes]]
    body: bytes | None = None  # None: it did not come as a whole, or this is a websocket
    messages: list[str | bytes] | None = None  # of a websocket

    @property
    def answered(self) -> bool:
        return self.body is not None or self.messages is not None


class _Recorder(Triows):
    """Notes what arrives, answers every request with the size of its body, and echoes messages."""

    def __init__(self, name: str) -> None:
        super().__init__(name, compression=True)
        self.noted: list[_Request] = []

    def handle(self, connection: Connection) -> Coroutine[Any, Any, None]:
        return connection.run_handler(self._take, connection)

    async def _take(self, connection: Connection) -> None:
        head = connection.head
        noted = _Request(head.method, head.raw_path, head.query_string, head.headers)
        self.noted.append(noted)
        if isinstance(connection, WebSocketConnection):
            noted.messages = []
            connection.accept([], None)
            while True:
                message = await connection.receive()
                noted.messages.append(message)
                await connection.send(message)
        assert isinstance(connection, HTTPConnection)
        body = b""
        try:
            while piece := await connection.receive_body():
                body += piece
        except BodyTooLarge:
            await connection.send_response(413, [(b"connection", b"close")], b"")
            return
        if connection.disconnect is None:
            noted.body = body
            await connection.send_response(200, [(b"content-type", b"text/plain")], b"%d" % len(body))


# What h11 says of lengths and codings, if the head had none that were wrong.
_OF_TRAILERS = {
    "bad Content-Length",
    "conflicting Content-Length headers",
    "multiple Transfer-Encoding headers",
    "Only Transfer-Encoding: chunked is supported",
}


def run(data: bytes) -> None:
    data = data[:MAX_INPUT]
    requests, answers = _converse([data])
    answered = [request for request in requests if request.answered]
    for number, status in enumerate(answers.statuses):
        assert status in (200, 101) if number < len(answered) else status >= 400, answers
    assert len(answered) <= len(answers.statuses) <= len(answered) + 1, answers  # the last one may be a refusal
    for pieces in other_cuts(data):
        other_requests, other_answers = _converse(pieces)
        assert other_requests == requests, (other_requests, requests)
        assert other_answers.judged == answers.judged, (other_answers, answers)
    _compare_with_h11(data, requests)


def _converse(pieces: Sequence[bytes]) -> tuple[list[_Request], Answers]:
    server = served(_Recorder)
    data = server.converse(pieces)
    assert isinstance(server.app, _Recorder)
    requests, server.app.noted = server.app.noted, []
    assert not server.complaints.lines, server.complaints.lines.pop()
    return requests, read_answers(data, [request.method for request in requests])


def _compare_with_h11(data: bytes, requests: Sequence[_Request]) -> None:
    """Each request that was taken is one to h11 as well, with the same body."""
    for ours in requests:
        if not (ours.path + ours.query).isascii():
            return  # it wants such bytes percent-encoded
        theirs = h11.Connection(h11.SERVER, max_incomplete_event_size=MAX_INPUT)
        theirs.receive_data(data.lstrip(b"\r\n"))  # one empty line before a request is all that it takes
        event = _next_event(theirs, ours)
        assert isinstance(event, h11.Request), (event, ours)
        assert event.method == ours.method.encode()
        if event.target.startswith(b"/"):
            assert event.target.partition(b"?")[::2] == (ours.path, ours.query)
            assert list(event.headers) == [_as_h11_has_it(name, value) for name, value in ours.headers]
        if ours.body is None:
            return
        body = b""
        try:
            while not isinstance(event := _next_event(theirs, ours), h11.EndOfMessage):
                assert isinstance(event, h11.Data), (event, ours)
                body += event.data
        except AssertionError as error:
            if body == ours.body and str(error.__cause__) in _OF_TRAILERS:
                return  # it judges them as if they were headers; here they are left out
            raise
        assert body == ours.body
        data = theirs.trailing_data[0]


def _as_h11_has_it(name: bytes, value: bytes) -> tuple[bytes, bytes]:
    return name, value.lower() if name == b"transfer-encoding" else value


def _next_event(theirs: h11.Connection, ours: _Request) -> object:
    try:
        return theirs.next_event()
    except h11.RemoteProtocolError as error:
        raise AssertionError(f"h11 refuses what is served: {error}; {ours}") from error
