"""Quart's ``quart.json``: JSON by the provider of the current app, or by triows's own without one."""

from __future__ import annotations

from typing import IO, Any

from ...web.context import current_context
from ...web.helpers import jsonify as jsonify
from ...web.json import JSONProvider

_DEFAULT = JSONProvider()


def _provider() -> JSONProvider:
    context = current_context()
    provider: JSONProvider = _DEFAULT if context is None else context.app.json
    return provider


def dumps(object_: Any, **kwargs: Any) -> str:
    """Return a value as JSON text. The keyword arguments are :func:`json.dumps`'s.

    :raises TypeError: if a value has no JSON form.
    """
    return _provider().dumps(object_, **kwargs)


def dump(object_: Any, fp: IO[str], **kwargs: Any) -> None:
    """Write a value as JSON text to an open file."""
    _provider().dump(object_, fp, **kwargs)


def loads(object_: str | bytes, **kwargs: Any) -> Any:
    """Return the value of JSON text.

    :raises ValueError: if it is not JSON.
    """
    return _provider().loads(object_, **kwargs)


def load(fp: IO[str] | IO[bytes], **kwargs: Any) -> Any:
    """Return the value of the JSON in an open file."""
    return _provider().load(fp, **kwargs)
