"""JSON for session cookies that keeps apart the Python types that plain JSON would blur.

A value of such a type becomes an object with one key, the type's tag: ``{" t": [1, 2]}`` is the tuple ``(1, 2)``.
The tags are the ones that Flask and Quart write, so that sessions survive moving over from them.
"""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from collections.abc import Callable
from datetime import datetime
from typing import Any
from uuid import UUID

from werkzeug.http import http_date, parse_date

from ..tasks.functions import forgotten_await

_TAGS: tuple[tuple[str, type, Callable[[Any], Any], Callable[[Any], Any]], ...] = (
    (" t", tuple, list, tuple),
    (" b", bytes, lambda value: b64encode(value).decode("ascii"), b64decode),
    (" u", UUID, lambda value: value.hex, UUID),
    (" d", datetime, http_date, parse_date),
)
_LOADERS: dict[str, Callable[[Any], Any]] = {tag: load for tag, _, _, load in _TAGS}
_DICT = " di"  # a dict that looks like a tagged value: its one key gets two underscores appended
_KNOWN = frozenset([*_LOADERS, _DICT, " m"])


class TaggedJSONSerializer:
    """The serializer that itsdangerous uses for sessions."""

    def dumps(self, value: Any) -> str:
        """Return JSON text. Raises :exc:`TypeError` for types that have neither a JSON form nor a tag."""
        try:
            return json.dumps(_tag(value), separators=(",", ":"))
        except TypeError as error:
            if hint := forgotten_await(value):
                raise TypeError(f"a session cannot hold a coroutine: {hint}") from None
            raise TypeError(f"a session cannot hold this: {error}") from error

    def loads(self, text: str) -> Any:
        """Return the value that :meth:`dumps` was given. Raises :exc:`ValueError` if the text is not JSON."""
        return json.loads(text, object_hook=_untag)


def _tag(value: Any) -> Any:
    for tag, type_, dump, _ in _TAGS:
        if isinstance(value, type_):
            return {tag: _tag(dump(value))}
    if hasattr(value, "__html__") and callable(value.__html__):
        return {" m": str(value.__html__())}
    if isinstance(value, list):
        return [_tag(item) for item in value]
    if isinstance(value, dict):
        if len(value) == 1 and (key := next(iter(value))) in _KNOWN:
            return {_DICT: {f"{key}__": _tag(value[key])}}
        return {key: _tag(item) for key, item in value.items()}
    return value


def _untag(value: dict[str, Any]) -> Any:
    if len(value) != 1:
        return value
    key, inner = next(iter(value.items()))
    if key == _DICT:
        inner_key, item = next(iter(inner.items()))
        return {inner_key[:-2]: item}
    if key == " m":
        from markupsafe import Markup

        return Markup(inner)
    load = _LOADERS.get(key)
    return value if load is None else load(inner)
