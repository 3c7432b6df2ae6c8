"""Request heads: found in the input, and judged before h11 sees them (RFC 9112, sections 2-6).

h11 is lenient where two parsers in a row could understand two things (bare LF, folded lines, control bytes, several
lengths); such heads are refused here.
"""

from __future__ import annotations

import re

_TOKEN = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
_REQUEST_LINE = re.compile(rb"(" + _TOKEN + rb") ([\x21-\x7e\x80-\xff]+) (HTTP/\d\.\d{1,2})")
# Possessive in front of the value: of nothing but spaces, two loops would try every way to share them.
_FIELD = re.compile(
    rb"(" + _TOKEN + rb"):[ \t]*+((?:[\x21-\x7e\x80-\xff](?:[ \t\x21-\x7e\x80-\xff]*[\x21-\x7e\x80-\xff])?)?)[ \t]*"
)
_BARE_NEWLINE = re.compile(rb"(?<!\r)\n")
_HOST = re.compile(rb"(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9\-._~!$&'()*+,;=%]*)(?::\d{0,5})?")
_TARGET = re.compile(rb"(?:[Hh][Tt][Tt][Pp][Ss]?|[Ww][Ss]{1,2})://([^/?#]*)([^#]*)")

MAX_REQUEST_LINE = 8192
_HEAD_ENDS = b"\r\n\r\n"


class BadRequest(Exception):
    """The client's bytes are no request that may be served.

    :ivar status: the HTTP status to answer with; the connection is closed after it.
    """

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


def find_end(data: bytearray, searched: int, max_size: int) -> int | None:
    """Where the head at the start of ``data`` ends, or None while it is not whole; there must be some data.

    ``searched`` bytes were looked at before. Raises :exc:`BadRequest` as early as the bytes allow it.
    """
    end = data.find(_HEAD_ENDS, max(searched - 3, 0))
    head_size = len(data) if end < 0 else end + 4
    # Whole or in pieces, a head gets the same answer: the one to the first byte that is too much or wrong.
    judged, excess = head_size, ""
    if judged > max_size:
        judged, excess = max_size + 1, "head"
    if judged > MAX_REQUEST_LINE + 1 and data.find(b"\r\n", 0, MAX_REQUEST_LINE + 2) < 0:
        judged, excess = MAX_REQUEST_LINE + 2, "line"
    if _BARE_NEWLINE.search(data, max(searched - 1, 0), judged):
        raise BadRequest(400, "a line of the head does not end with CRLF")
    if not 0x21 <= data[0] <= 0x7E and data != b"\r":  # which may be half of an empty line before the request
        raise BadRequest(400, "this is no HTTP request")
    if excess == "line":
        raise BadRequest(414, f"the request line is over {MAX_REQUEST_LINE} bytes")
    if excess == "head":
        raise BadRequest(431, f"the request head is over {max_size} bytes")
    return None if end < 0 else head_size


def check(head: bytes, max_headers: int) -> tuple[bytes, bytes]:
    """Judge a whole head; returns its target in origin-form and the host that it names ("" where it need not)."""
    request_line, *lines = head[:-4].split(b"\r\n")
    match = _REQUEST_LINE.fullmatch(request_line)
    if match is None:
        raise BadRequest(400, "the request line is malformed")
    method, target, version = match.groups()
    if version not in (b"HTTP/1.1", b"HTTP/1.0"):
        raise BadRequest(505, "the HTTP versions spoken here are 1.1 and 1.0")
    if len(lines) > max_headers:
        raise BadRequest(431, f"there are over {max_headers} header lines")
    fields: dict[bytes, list[bytes]] = {}
    for line in lines:
        match = _FIELD.fullmatch(line)
        if match is None:
            raise BadRequest(400, "a header line is malformed")
        fields.setdefault(match[1].lower(), []).append(match[2])
    _check_framing(fields, version)
    hosts = fields.get(b"host", [])
    if len(hosts) > 1 or (not hosts and version == b"HTTP/1.1"):
        raise BadRequest(400, f"there are {len(hosts)} Host fields; there must be one")
    host = hosts[0] if hosts else b""
    if not _HOST.fullmatch(host):
        raise BadRequest(400, "the Host field is no host")
    return _resolve(method, target, host)


def _check_framing(fields: dict[bytes, list[bytes]], version: bytes) -> None:
    """One way to tell where the body ends, or none (RFC 9112, section 6.3)."""
    lengths = fields.get(b"content-length", [])
    codings = fields.get(b"transfer-encoding", [])
    if codings and (lengths or version == b"HTTP/1.0"):
        raise BadRequest(400, "Transfer-Encoding with Content-Length, or in HTTP/1.0")
    if codings and (len(codings) > 1 or codings[0].lower() != b"chunked"):
        raise BadRequest(501, "the only Transfer-Encoding spoken here is chunked")
    if len(lengths) > 1 or any(not length.isdigit() for length in lengths):
        raise BadRequest(400, "Content-Length must be one number")
    if lengths and len(lengths[0]) > 18:
        raise BadRequest(413, "Content-Length is out of bounds")


def _resolve(method: bytes, target: bytes, host: bytes) -> tuple[bytes, bytes]:
    """Target and host from the four forms of a target (RFC 9112, section 3.2)."""
    if target.startswith(b"/"):
        if b"#" in target:
            raise BadRequest(400, "the target has a fragment")
        return target, host
    if target == b"*" and method == b"OPTIONS":
        return target, host
    if method == b"CONNECT":
        raise BadRequest(501, "CONNECT is not served")
    match = _TARGET.fullmatch(target)
    if match is None or not _HOST.fullmatch(match[1]) or not match[1]:
        raise BadRequest(400, "the target is neither a path nor a URL")
    rest = match[2]
    return rest if rest.startswith(b"/") else b"/" + rest, match[1]
