"""JSON as text: what requests, responses and websockets read and write it with, whether or not an app is around."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, is_dataclass
from datetime import date
from decimal import Decimal
from typing import Any
from uuid import UUID

from werkzeug.http import http_date


def default(value: Any) -> Any:
    """Return a JSON type for what the json module does not know, else raise :exc:`TypeError`.

    Dates and datetimes become RFC 9110 section 5.6.7 dates, Decimal and UUID strings, dataclasses objects;
    what has ``__html__()`` becomes its result.
    """
    if isinstance(value, date):
        return http_date(value)
    if isinstance(value, Decimal | UUID):
        return str(value)
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    if (html := getattr(value, "__html__", None)) is not None:
        return str(html())
    raise TypeError(f"{type(value).__name__} {value!r} has no JSON form; give the provider a default= that knows it")


class JSONCodec:
    """Reads and writes JSON with the standard library: all of :class:`triows.JSONProvider` but the responses."""

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

    def loads(self, text: str | bytes, **kwargs: Any) -> Any:
        """Return what the JSON in ``text`` (bytes: UTF-8) stands for.

        :raises ValueError: if it is not JSON.
        """
        return json.loads(text, **kwargs)


STANDARD_JSON = JSONCodec()
"""The codec of a request, response or websocket that no app has given its own provider."""
