"""JSON as text, for requests, responses and websockets, with an app or without."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, is_dataclass
from datetime import date
from decimal import Decimal
from typing import Any
from uuid import UUID

from werkzeug.http import http_date

from ..tasks.functions import forgotten_await


def default(value: Any) -> Any:
    """Return a JSON type for a value that the json module does not know.

    Dates and datetimes become RFC 9110 section 5.6.7 dates, Decimal and UUID strings, dataclasses objects; a value with
    ``__html__()`` becomes the string that it returns.

    :raises TypeError: for all other values.
    """
    if isinstance(value, date):
        return http_date(value)
    if isinstance(value, Decimal | UUID):
        return str(value)
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    if (html := getattr(value, "__html__", None)) is not None:
        return str(html())
    if hint := forgotten_await(value):
        raise TypeError(f"a coroutine has no JSON form: {hint}")
    raise TypeError(f"{type(value).__name__} {value!r} has no JSON form; give the provider a default= that knows it")


class JSONCodec:
    """Reads and writes JSON with the standard library. :class:`triows.JSONProvider` adds the responses."""

    default: Callable[[Any], Any] = staticmethod(default)
    """Called for values that JSON doesn't know; returns one that it knows or raises :exc:`TypeError`."""
    ensure_ascii: bool = True
    sort_keys: bool = True

    def dumps(self, obj: Any, **kwargs: Any) -> str:
        """Return ``obj`` as JSON text; the keyword arguments are :func:`json.dumps`'s.

        :raises TypeError: if a value has no JSON form.
        """
        kwargs.setdefault("default", self.default)
        kwargs.setdefault("ensure_ascii", self.ensure_ascii)
        kwargs.setdefault("sort_keys", self.sort_keys)
        return json.dumps(obj, **kwargs)

    def loads(self, s: str | bytes, **kwargs: Any) -> Any:
        """Return the value of the JSON in ``s`` (bytes: UTF-8).

        :raises ValueError: if it is not JSON.
        """
        return json.loads(s, **kwargs)


def encode(codec: JSONCodec, value: Any, **options: Any) -> str:
    """Return ``codec.dumps(value, **options)``; the message for a coroutine in the value says what was forgotten.

    :raises TypeError: if a value has no JSON form.
    """
    try:
        return codec.dumps(value, **options)
    except TypeError:
        # Other JSON libraries know nothing of default() above, which names the first coroutine, and closes no other.
        if hint := forgotten_await(value):
            raise TypeError(f"a coroutine has no JSON form: {hint}") from None
        raise


STANDARD_JSON = JSONCodec()
"""The codec of requests, responses and websockets that have no app's provider."""
