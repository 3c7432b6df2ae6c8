"""Request heads: found in the input, validated, and parsed (RFC 9112, sections 2-6).

A head that a proxy in front could read another way (bare LF, folded lines, control bytes, several lengths) is refused
here: nothing behind this parser looks at the bytes again.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from ..grammar import BYTES_TOKEN, FIELD
from ..headers import Headers
from ..hosts import is_host
from .errors import BadRequest
from .limits import HeadLimits

# A target is ASCII (RFC 3986, section 2). The rest of what a URL may not have is let through, as nginx does: browsers
# send brackets, braces, '|', '^', '`' and backslashes as they are, and nobody reads these in two ways.
_REQUEST_LINE = re.compile(rb"(" + BYTES_TOKEN + rb") ([\x21-\x7e]+) HTTP/(\d\.\d{1,2})\r\n")
_LATER_VERSION = re.compile(rb"1\.[2-9]")  # what comes in it is read as 1.1 (RFC 9110, section 2.5)
_TARGET = re.compile(rb"(?:[Hh][Tt][Tt][Pp][Ss]?|[Ww][Ss]{1,2})://([^/?#]*)([^#]*)")

_HEAD_ENDS = b"\r\n\r\n"
_OFFERS = b"sec-websocket-extensions:"
# Names that most heads have, as clients write them: one object for all of their connections.
_NAMES = {
    written: name
    for name in (
        b"accept",
        b"accept-encoding",
        b"accept-language",
        b"authorization",
        b"cache-control",
        b"connection",
        b"content-length",
        b"content-type",
        b"cookie",
        b"host",
        b"origin",
        b"pragma",
        b"referer",
        b"sec-websocket-extensions",
        b"sec-websocket-key",
        b"sec-websocket-protocol",
        b"sec-websocket-version",
        b"upgrade",
        b"user-agent",
    )
    for written in (name, name.title(), name.title().replace(b"Websocket", b"WebSocket"))
}
_CHECKED_FIELDS = frozenset({b"connection", b"content-length", b"expect", b"host", b"transfer-encoding"})

_Fields = dict[bytes, list[bytes]]


@dataclass(slots=True)
class RequestHead:
    """What a head says.

    :ivar target: the target in origin-form, or ``*``.
    :ivar headers: the header lines, names in lower case; Host is the target's where that names one.
    :ivar http_version: ``"1.1"`` or ``"1.0"``.
    :ivar framing: the header line that says how the body ends; None without a body.
    :ivar keep_alive: whether the client may send another request after this one (RFC 9112, section 9.3).
    :ivar expects_continue: whether the client waits for 100 before it sends the body (RFC 9110, section 10.1.1).
    """

    method: str
    target: bytes
    http_version: str
    headers: Headers
    framing: tuple[bytes, bytes] | None
    keep_alive: bool
    expects_continue: bool


class HeadReader:
    """Takes the heads out of what a client sends, one after the other.

    Whole or in pieces, a head gets the same answer: the one to the first byte that is too much or wrong. The work is
    proportional to the head's length, however small the pieces are.

    The offers of a websocket's client (what follows ``Sec-WebSocket-Extensions:`` up to the line's end) do not count
    against ``max_head_size``, but with them a head has at most twice that size.

    :ivar request_line: that of the last head, ``b""`` while it is not whole.
    """

    __slots__ = ("_allowed", "_limits", "_line", "_parts", "_scanned", "_searched", "request_line")

    def __init__(self, limits: HeadLimits) -> None:
        self._limits = limits
        self.begin()

    def begin(self) -> None:
        """Begin with the next head."""
        self.request_line: bytes = b""
        self._parts: tuple[bytes, bytes, bytes] | None = None  # of the request line
        self._searched = 0  # bytes known not to end the head
        # For a head over the limit, see _allowed_size():
        self._allowed = self._limits.max_head_size  # with the offers in the lines before _line
        self._line = 0  # where a line begins
        self._scanned = 0  # bytes in which the end of that line is not

    def take(self, data: bytearray) -> RequestHead | None:
        """Take a head out of ``data``, at whose start it is; None while it is not whole.

        :raises BadRequest: as early as the bytes allow it.
        """
        while data.startswith(b"\r\n"):
            del data[:2]  # a client may send empty lines before a request (RFC 9112, 2.2)
            self._searched = 0
        if not data:
            return None
        end = data.find(_HEAD_ENDS, max(self._searched - 3, 0))
        size = len(data) if end < 0 else end + 4
        self._validate(data, size)
        if end < 0:
            self._searched = size
            return None
        head = bytes(data[:size])
        del data[:size]
        assert self._parts is not None
        return _parse_head(head, len(self.request_line) + 2, self._parts, self._limits.max_headers)

    def _validate(self, data: bytearray, size: int) -> None:
        """Validate the head's first ``size`` bytes, but for those that an earlier call has validated.

        Faults are looked for in the bytes up to the first one that is over a limit: cut in whatever way, a head gets
        the same answer.
        """
        max_line, searched = self._limits.max_request_line, self._searched
        end, excess = size, ""
        if size > self._limits.max_head_size:
            allowed = self._allowed_size(data, size)
            if size > allowed:
                end, excess = allowed + 1, "head"
        if self._parts is None:
            line_end = data.find(b"\r\n", 0, max_line + 2)
            if 0 <= line_end <= end - 2:
                self.request_line = bytes(data[:line_end])
                match = _REQUEST_LINE.match(data)
                if match is None:
                    raise BadRequest(400, "the request line is malformed")
                version = b"1.1" if _LATER_VERSION.fullmatch(match[3]) else match[3]
                self._parts = match[1], match[2], version
                if version not in (b"1.1", b"1.0"):
                    raise BadRequest(505, "the HTTP versions spoken here are 1.1 and 1.0")
            elif line_end < 0 and end > max_line + 1:
                end, excess = max_line + 2, "line"
        # The CR of a CRLF may have been the last byte of the earlier call.
        if data.count(b"\n", searched, end) != data.count(b"\r\n", max(searched - 1, 0), end):
            raise BadRequest(400, "a line of the head does not end with CRLF")
        if not 0x21 <= data[0] <= 0x7E and data != b"\r":  # which may be half of an empty line before the request
            raise BadRequest(400, "this is no HTTP request")
        if excess == "line":
            raise BadRequest(414, f"the request line is over {max_line} bytes")
        if excess == "head":
            raise BadRequest(431, f"the request head is over {self._limits.max_head_size} bytes")

    def _allowed_size(self, data: bytearray, size: int) -> int:
        """How long the head may be, with the offers in its first ``size`` bytes added to the limit."""
        most = 2 * self._limits.max_head_size
        while self._line + len(_OFFERS) <= self._allowed:
            offers = data[self._line : self._line + len(_OFFERS)].lower() == _OFFERS
            line_end = data.find(b"\n", max(self._line, self._scanned), size)
            if line_end < 0:
                self._scanned = size
                return most if offers else self._allowed
            if offers:
                self._allowed = min(self._allowed + line_end + 1 - self._line - len(_OFFERS), most)
            self._line = line_end + 1
        return self._allowed


def _parse_head(head: bytes, start: int, parts: tuple[bytes, bytes, bytes], max_headers: int) -> RequestHead:
    """Validate and parse a whole head, whose header lines begin at ``start``."""
    method, target, version = parts
    lines = head.count(b"\r\n") - 2
    if lines > max_headers:
        raise BadRequest(431, f"there are over {max_headers} header lines")
    headers = [(_NAMES.get(name) or name.lower(), value) for name, value in FIELD.findall(head, start)]
    if len(headers) != lines:  # each field is one line from its start to its end
        raise BadRequest(400, "a header line is malformed")
    fields: _Fields = {}
    for name, value in headers:
        if name in _CHECKED_FIELDS:
            fields.setdefault(name, []).append(value)
    framing = _body_framing(fields, version)
    hosts = fields.get(b"host", [])
    if len(hosts) > 1 or (not hosts and version == b"1.1"):
        raise BadRequest(400, f"there are {len(hosts)} Host fields; there must be one")
    named = hosts[0] if hosts else b""
    if named and not _is_host(named):
        raise BadRequest(400, "the Host field is no host")
    target, host = _target_and_host(method, target, named)
    if host is not named:
        headers = [(b"host", host), *(field for field in headers if field[0] != b"host")]
    # RFC 9110, section 10.1.1: Expect in a request of HTTP/1.0 is ignored.
    expected = _members(fields, b"expect") if version == b"1.1" else ()
    if any(member != b"100-continue" for member in expected):
        raise BadRequest(417, "the only Expect met here is 100-continue")
    return RequestHead(
        method.decode("ascii"),
        target,
        version.decode("ascii"),
        headers,
        framing,
        version == b"1.1" and b"close" not in _members(fields, b"connection"),
        framing is not None and bool(expected),
    )


def _members(fields: _Fields, name: bytes) -> Sequence[bytes]:
    """The members of a comma-separated field, in lower case; empty ones do not count (RFC 9110, section 5.6.1)."""
    if name not in fields:
        return ()
    return [stripped for member in b",".join(fields[name]).lower().split(b",") if (stripped := member.strip(b" \t"))]


def _is_host(value: bytes) -> bool:
    return is_host(value.decode("latin-1"))


def _body_framing(fields: _Fields, version: bytes) -> tuple[bytes, bytes] | None:
    """The one header line that frames the body, None for a request without a body (RFC 9112, section 6.3)."""
    lengths = fields.get(b"content-length", [])
    codings = fields.get(b"transfer-encoding", [])
    if codings and (lengths or version == b"1.0"):
        raise BadRequest(400, "Transfer-Encoding with Content-Length, or in HTTP/1.0")
    if codings and (len(codings) > 1 or codings[0].lower() != b"chunked"):
        raise BadRequest(501, "the only Transfer-Encoding spoken here is chunked")
    if len(lengths) > 1 or any(not length.isdigit() for length in lengths):
        raise BadRequest(400, "Content-Length must be one number")
    if lengths and len(lengths[0].lstrip(b"0")) > 18:
        raise BadRequest(413, "Content-Length is out of bounds")
    if codings:
        return b"transfer-encoding", b"chunked"
    if lengths and lengths[0].strip(b"0"):
        return b"content-length", lengths[0]
    return None


def _target_and_host(method: bytes, target: bytes, host: bytes) -> tuple[bytes, bytes]:
    """Target and host, from a target in any of its four forms and the Host field (RFC 9112, section 3.2)."""
    if method == b"CONNECT":  # with a path too: after any 2xx the client takes the connection for a tunnel
        raise BadRequest(501, "CONNECT is not served")
    if target.startswith(b"/"):
        if b"#" in target:
            raise BadRequest(400, "the target has a fragment")
        return target, host
    if target == b"*" and method == b"OPTIONS":
        return target, host
    match = _TARGET.fullmatch(target)
    if match is None or not _is_host(match[1]):
        raise BadRequest(400, "the target is neither a path nor a URL")
    rest = match[2]
    if not rest and method == b"OPTIONS":  # which a proxy passes on as * (RFC 9112, section 3.2.4)
        return b"*", match[1]
    return rest if rest.startswith(b"/") else b"/" + rest, match[1]
