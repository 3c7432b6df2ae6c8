"""Whether a response has content, and which length it tells (RFC 9110, sections 6.4.1 and 8.6): decided here alone."""

from __future__ import annotations

from .headers import Headers

_NO_CONTENT = 204
_NOT_MODIFIED = 304


def has_content(method: str, status: int) -> bool:
    """Whether the response to such a request has content; a body that an app gives for any other is left out."""
    return method != "HEAD" and status not in (_NO_CONTENT, _NOT_MODIFIED)


def length_to_tell(status: int, told: int | None, size: int | None) -> int | None:
    """The Content-Length of a response, None for a response without that field.

    :param told: the length in the app's own headers.
    :param size: bytes of the body that the app gives, None while that is not known.
    """
    if status == _NO_CONTENT:
        return None
    if told is not None or status == _NOT_MODIFIED:  # whose length is that of the response that it stands for
        return told
    return size


def told_length(headers: Headers) -> int | None:
    """The Content-Length among an app's headers.

    :raises ValueError: if it is not one number.
    """
    lengths = [value for name, value in headers if name == b"content-length"]
    if not lengths:
        return None
    if len(set(lengths)) > 1 or not lengths[0].isdigit():
        raise ValueError(f"the Content-Length {b', '.join(lengths)!r} is not one number")
    return int(lengths[0])
