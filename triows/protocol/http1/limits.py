"""The limits of a request's head, as the parsers ask for them."""

from __future__ import annotations

from typing import Protocol


class HeadLimits(Protocol):
    """Bounds of what a client may send in front of and behind a body.

    :ivar max_request_line: bytes of the request line without its CRLF.
    :ivar max_head_size: bytes of the head, and of the trailers of a chunked body.
    :ivar max_headers: lines of either.
    """

    @property
    def max_request_line(self) -> int: ...
    @property
    def max_head_size(self) -> int: ...
    @property
    def max_headers(self) -> int: ...
