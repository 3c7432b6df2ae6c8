"""Responses in HTTP/1.1: heads, the framing of bodies, and whether the connection is kept (RFC 9112, sections 6, 7, 9).

A body of known length is sent as it is. A body of unknown length is chunked; to a client of HTTP/1.0 it ends with the
connection.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from http import HTTPStatus

from ..content import has_content, length_to_tell, told_length
from ..grammar import FIELD
from ..headers import Headers

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


def head_bytes(status: int, headers: Headers) -> bytes:
    """A response's head.

    :raises ValueError: for a header that a client would read as another one: a name that is no token, control
        characters, spaces around the value (RFC 9110, section 5.5).
    """
    start = _status_line(status)
    head = start + b"".join([b"%b: %b\r\n" % field for field in headers])
    if FIELD.findall(head, len(start)) != headers:
        raise ValueError(f"one of the headers {headers!r} is malformed; nothing was sent")
    return head + b"\r\n"


@cache
def _status_line(status: int) -> bytes:
    try:
        phrase = HTTPStatus(status).phrase.encode("ascii")
    except ValueError:
        phrase = b""
    return b"HTTP/1.1 %d %b\r\n" % (status, phrase)


class ResponseFraming:
    """One response as bytes: :meth:`whole`, or :meth:`begin`, :meth:`data` and :meth:`end`.

    A method that raises ValueError has changed nothing.

    :param date: returns the value of ``Date`` now: there is no clock in here.

    :ivar keep_alive: whether another request may follow; may be set to False until the response begins.
    :ivar status: the response's status, 0 until it begins.
    :ivar size: bytes of the body so far.
    :ivar ended: whether :meth:`whole` or :meth:`end` was called.
    """

    __slots__ = ("_bodiless", "_chunked", "_date", "_left", "_method", "ended", "keep_alive", "size", "status")

    def __init__(self, method: str, http_version: str, keep_alive: bool, date: Callable[[], bytes]) -> None:
        self.keep_alive: bool = keep_alive
        self.status: int = 0
        self.size: int = 0
        self.ended: bool = False
        self._method = method
        self._bodiless = False  # known when the response begins
        self._date = date
        self._chunked = http_version != "1.0"  # a body of unknown length; else it ends with the connection
        self._left: int | None = None  # bytes of the body still to come, if that is known

    @property
    def complete(self) -> bool:
        """Whether the client has got all that its framing announces, whether the response has ended or not."""
        return self.ended or (self.status > 0 and (self._left == 0 or self._bodiless))

    def whole(self, status: int, headers: Headers, body: bytes) -> bytes:
        """A whole response; the body is left out of one that has no content.

        :raises ValueError: if the headers are malformed or tell another length.
        """
        head = self._begin(status, headers, len(body))
        data = self.data(body)
        self.ended = True
        return head + data

    def begin(self, status: int, headers: Headers) -> bytes:
        """The head of a response whose body comes piece by piece.

        :raises ValueError: if the headers are malformed.
        """
        return self._begin(status, headers, None)

    def data(self, piece: bytes) -> bytes:
        """A piece of the body.

        :raises ValueError: if that is more than the Content-Length says.
        """
        if self._bodiless or not piece:
            return b""
        if self._left is not None:
            if len(piece) > self._left:
                raise ValueError("the response's body is longer than its Content-Length says")
            self._left -= len(piece)
        self.size += len(piece)
        if self._left is None and self._chunked:
            return b"%x\r\n%b\r\n" % (len(piece), piece)
        return piece

    def end(self) -> bytes:
        """The end of a body that came piece by piece.

        :raises ValueError: if that was less than the Content-Length says.
        """
        if self._left and not self._bodiless:
            raise ValueError(f"the response's body is {self._left} bytes shorter than its Content-Length says")
        self.ended = True
        return b"0\r\n\r\n" if self._left is None and self._chunked and not self._bodiless else b""

    def _begin(self, status: int, headers: Headers, size: int | None) -> bytes:
        if not 200 <= status <= 999:
            raise ValueError(f"a response cannot have the status {status}; it is from 200 to 999")
        fields: Headers = []
        options: list[bytes] = []  # of Connection
        has_length = False
        coded = dated = False
        for field in headers:
            name, value = field
            if name == b"content-length":
                has_length = True
            elif name == b"connection":
                options += [option.strip() for option in value.lower().split(b",")]
            elif name == b"transfer-encoding":
                coded = True
                if value.lower() != b"chunked":
                    raise ValueError(f"the only Transfer-Encoding spoken here is chunked, not {value!r}")
            else:
                dated = dated or name == b"date"
                fields.append(field)
        told = told_length(headers) if has_length and not coded else None
        has_body = has_content(self._method, status)
        if size is not None and told not in (None, size) and has_body:
            raise ValueError(f"the Content-Length is {told}, but the response's body has {size} bytes")
        length = length_to_tell(status, told, size)
        if length is not None:
            fields.append((b"content-length", b"%d" % length))
        elif self._chunked and has_content("GET", status):  # the answer to HEAD has the fields of that to GET
            fields.append((b"transfer-encoding", b"chunked"))
        if not dated:
            fields.append((b"date", self._date()))
        if b"close" in options or not self.keep_alive:
            options = [option for option in options if option not in (b"close", b"keep-alive")] + [b"close"]
        if options:
            fields.append((b"connection", b", ".join(options)))
        head = head_bytes(status, fields)
        self.keep_alive = b"close" not in options
        self.status = status
        self._bodiless = not has_body
        self._left = length
        return head
