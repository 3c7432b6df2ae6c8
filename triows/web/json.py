"""JSON for requests, responses and messages: one provider per app, which may be replaced as ``app.json``."""

from __future__ import annotations

import json as stdlib
from collections.abc import Callable
from dataclasses import asdict, is_dataclass
from datetime import date
from decimal import Decimal
from typing import Any, Protocol
from uuid import UUID

from werkzeug.http import http_date

from ..tasks.context import current
from .response import Response


class App(Protocol):
    """What a provider needs of an app."""

    @property
    def debug(self) -> bool: ...
    @property
    def response_class(self) -> type[Response]: ...


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


class JSONProvider:
    """Reads and writes JSON with the standard library. Subclass it to use another one, and set ``app.json``.

    Only :meth:`dumps` and :meth:`loads` need replacing.

    :param app: the app, whose ``response_class`` is that of the responses; or such a class.
    """

    default: Callable[[Any], Any] = staticmethod(default)
    """Called for values that JSON doesn't know; returns one that it knows or raises :exc:`TypeError`."""
    ensure_ascii = True
    sort_keys = True
    mimetype = "application/json"

    compact: bool | None = None
    """Whether responses have no spaces and line breaks; None: they have them in debug mode."""

    def __init__(self, app: App | type[Response] | None = None) -> None:
        self._app = app

    @property
    def response_class(self) -> type[Response]:
        """The class of the responses: what was given, else that of the app which handles the current request."""
        if isinstance(self._app, type):
            return self._app
        app = self._current_app()
        return Response if app is None else app.response_class

    def _current_app(self) -> App | None:
        if self._app is not None and not isinstance(self._app, type):
            return self._app
        context = current.get(None)
        return None if context is None else context.app

    def dumps(self, obj: Any, **kwargs: Any) -> str:
        """Return ``obj`` as JSON text; the keyword arguments are :func:`json.dumps`'s.

        :raises TypeError: if a value has no JSON form.
        """
        kwargs.setdefault("default", self.default)
        kwargs.setdefault("ensure_ascii", self.ensure_ascii)
        kwargs.setdefault("sort_keys", self.sort_keys)
        return stdlib.dumps(obj, **kwargs)

    def loads(self, text: str | bytes, **kwargs: Any) -> Any:
        """Return what the JSON in ``text`` (bytes: UTF-8) stands for.

        :raises ValueError: if it is not JSON.
        """
        return stdlib.loads(text, **kwargs)

    def response(self, *args: Any, **kwargs: Any) -> Response:
        """Return a JSON response: of one value, of several as a list, or of keyword arguments as an object.

        :raises TypeError: if both positional and keyword arguments are given, or a value has no JSON form.
        """
        if args and kwargs:
            raise TypeError("jsonify() takes values or keyword arguments, not both; put them into one dict")
        value: Any = kwargs if kwargs else args[0] if len(args) == 1 else list(args) if args else None
        app = self._current_app()
        compact = self.compact if self.compact is not None else app is None or not app.debug
        text = self.dumps(value, separators=(",", ":")) if compact else self.dumps(value, indent=2)
        return self.response_class(f"{text}\n", mimetype=self.mimetype)
