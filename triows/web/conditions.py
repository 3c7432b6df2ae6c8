"""Conditional requests and ranges: what a request's headers make of a response (RFC 9110, sections 13 and 14)."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol
from uuid import uuid4

from werkzeug.datastructures import ETags, Headers, IfRange
from werkzeug.exceptions import RequestedRangeNotSatisfiable
from werkzeug.sansio.response import Response as SansIOResponse

from ..protocol.ranges import ByteRange, byte_ranges, content_range, multipart

_NOT_MODIFIED = 304
_PRECONDITION_FAILED = 412


class ConditionalRequest(Protocol):
    """A request, as far as its conditions are concerned: :class:`triows.Request`."""

    @property
    def method(self) -> str: ...
    @property
    def headers(self) -> Headers: ...
    @property
    def if_match(self) -> ETags: ...
    @property
    def if_none_match(self) -> ETags: ...
    @property
    def if_modified_since(self) -> datetime | None: ...
    @property
    def if_unmodified_since(self) -> datetime | None: ...
    @property
    def if_range(self) -> IfRange: ...


def failed_condition(request: ConditionalRequest, response: SansIOResponse) -> int | None:
    """Return the status for a GET or HEAD whose condition fails: 304 or 412; None if it holds (RFC 9110, 13.2.2)."""
    headers = request.headers
    etag, is_weak = response.get_etag()
    if "If-Match" in headers:
        tags = request.if_match
        if not (tags.star_tag or (etag is not None and not is_weak and tags.contains(etag))):
            return _PRECONDITION_FAILED
    elif (since := request.if_unmodified_since) is not None:
        modified = response.last_modified
        if modified is not None and modified > since:
            return _PRECONDITION_FAILED
    if "If-None-Match" in headers:
        tags = request.if_none_match
        return _NOT_MODIFIED if tags.star_tag or (etag is not None and tags.contains_weak(etag)) else None
    if (since := request.if_modified_since) is not None:
        modified = response.last_modified
        if modified is not None and modified <= since:
            return _NOT_MODIFIED
    return None


def wanted_range(request: ConditionalRequest, response: SansIOResponse) -> str | None:
    """Return the ``Range`` header of a request; None if there is none, or its ``If-Range`` names another state."""
    wanted = request.headers.get("Range")
    validator = request.headers.get("If-Range")
    # Other methods have no ranges (RFC 9110, section 14.2): not even HEAD, whose answer has no content to cut.
    if wanted is None or request.method != "GET" or response.status_code != 200:
        return None
    if validator is not None:
        etag, is_weak = response.get_etag()
        if_range = request.if_range
        if if_range.date is not None:
            holds = if_range.date == response.last_modified
        else:
            holds = (
                etag is not None and not is_weak and if_range.etag == etag and not validator.startswith(("W/", "w/"))
            )
        if not holds:
            return None
    return wanted


def cut(response: SansIOResponse, wanted: str, size: int) -> list[bytes | ByteRange]:
    """Make a response one of ranges, and return the parts of its body: bytes as they are, and ranges of the whole.

    :param wanted: the ``Range`` header.
    :param size: bytes of the whole body.
    :raises werkzeug.exceptions.RequestedRangeNotSatisfiable: if no range is there (416).
    """
    ranges = byte_ranges(wanted, size)
    if not ranges:
        raise RequestedRangeNotSatisfiable(size)
    response.status_code = 206
    if len(ranges) == 1:
        response.headers["Content-Range"] = content_range(ranges[0], size)
        return [*ranges]
    boundary = uuid4().hex
    parts = multipart(ranges, size, response.headers.get("Content-Type"), boundary)
    response.headers["Content-Type"] = f"multipart/byteranges; boundary={boundary}"
    return parts
