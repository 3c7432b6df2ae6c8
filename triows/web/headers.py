"""The headers of responses, and encoding and checking them for the connection."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from werkzeug import datastructures

from ..protocol.grammar import is_token
from ..protocol.headers import Headers
from ..tasks.functions import check_awaited

# RFC 9110, section 5.5: what may not be in a value, above all what would let it start a line of its own.
_UNSAFE_VALUE = re.compile(r"[\x00-\x08\n-\x1f\x7f]")

_encoded_names: dict[str, bytes] = {}

# A value is checked only if it is no text, as most are, which take no longer than in Werkzeug's class.
_add, _set = datastructures.Headers.add, datastructures.Headers.set


class ResponseHeaders(datastructures.Headers):
    """Werkzeug's headers, which a coroutine cannot get into: its text would be sent, ``<coroutine object ...>``."""

    def add(self, key: str, value: Any, /, **kwargs: Any) -> None:
        """See :meth:`werkzeug.datastructures.Headers.add`."""
        if type(value) is str and not kwargs:
            return _add(self, key, value)
        check_awaited(f"the header {key!r}", value, *kwargs.values())
        return _add(self, key, value, **kwargs)

    def set(self, key: str, value: Any, /, **kwargs: Any) -> None:
        """See :meth:`werkzeug.datastructures.Headers.set`."""
        if type(value) is str and not kwargs:
            return _set(self, key, value)
        check_awaited(f"the header {key!r}", value, *kwargs.values())
        return _set(self, key, value, **kwargs)

    def __setitem__(self, key: Any, value: Any) -> None:
        """Set the values of a name to one; or replace a pair by its index, or pairs by a slice."""
        if isinstance(key, str):
            self.set(key, value)
        else:
            check_awaited("a header", value)
            super().__setitem__(key, value)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, datastructures.Headers):
            return NotImplemented
        return datastructures.Headers(self) == datastructures.Headers(other)  # which compares those of one class alone


def add_vary(headers: Headers, field: bytes) -> None:
    """Add a field to the Vary of header lines for the wire, unless it is there (RFC 9110, section 12.5.5)."""
    for number, (name, value) in enumerate(headers):
        if name == b"vary":
            listed = {item.strip().lower() for item in value.split(b",")}
            if b"*" not in listed and field.lower() not in listed:
                headers[number] = (name, b"%b, %b" % (value, field) if value else field)
            return
    headers.append((b"vary", field))


def _encode_name(name: str) -> bytes:
    if not is_token(name):
        raise ValueError(f"header name {name!r} is not a token; use letters, digits and hyphens (RFC 9110, 5.1)")
    encoded = name.lower().encode("ascii")
    if len(_encoded_names) < 256:  # some applications generate names without end
        _encoded_names[name] = encoded
    return encoded


def encode_headers(headers: Iterable[tuple[str, str]]) -> Headers:
    """Return header lines for the wire.

    Every value is encoded in UTF-8, as Quart does it, so that no client has to guess between two encodings.

    :raises ValueError: if a name is not a token, or a value holds control characters (RFC 9110, 5.5) or half of a
        surrogate pair.
    """
    lines = []
    for name, value in headers:
        if _UNSAFE_VALUE.search(value):
            raise ValueError(
                f"header {name!r} has the value {value!r}; control characters may not be in header values, CR, LF and"
                " NUL least of all"
            )
        try:
            line = str.encode(value).strip(b" \t")
        except UnicodeEncodeError:
            raise ValueError(
                f"header {name!r} has the value {value!r}, which UTF-8 cannot encode: it holds half of a surrogate pair"
            ) from None
        lines.append((_encoded_names.get(name) or _encode_name(name), line))
    return lines


def decode_headers(headers: Iterable[tuple[bytes, bytes]]) -> datastructures.Headers:
    """Return the headers of the wire as text: UTF-8 where it is that, else latin-1."""
    return datastructures.Headers([(name.decode("latin-1"), _decode(bytes(value))) for name, value in headers])


def _decode(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.decode("latin-1")


def encode_value(value: str) -> bytes:
    """Return a value of a request, which is UTF-8 only where latin-1 cannot encode it."""
    try:
        return str.encode(value, "latin-1")
    except UnicodeEncodeError:
        return str.encode(value)
