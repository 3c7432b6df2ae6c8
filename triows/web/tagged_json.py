"""JSON for session cookies that keeps apart the Python types that plain JSON would blur.

A value of such a type becomes an object with one key, the type's tag: ``{" t": [1, 2]}`` is the tuple ``(1, 2)``.
The tags are the ones that Flask and Quart write, so that sessions survive moving over from them.
"""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from collections.abc import Mapping
from datetime import datetime
from types import NoneType
from typing import Any, ClassVar
from uuid import UUID

from werkzeug.http import http_date, parse_date

from ..tasks.functions import forgotten_await


class JSONTag:
    """A type that sessions may hold beside those of JSON. A subclass is given to
    :meth:`TaggedJSONSerializer.register`.

    :cvar key: the tag in the JSON text; empty: the value is written without one, and comes back as plain JSON.
    """

    key: str = ""

    def __init__(self, serializer: TaggedJSONSerializer) -> None:
        self.serializer: TaggedJSONSerializer = serializer

    def check(self, value: Any) -> bool:
        """Return whether the value is of this type."""
        raise NotImplementedError(f"{type(self).__name__} needs a check() method")

    def to_json(self, value: Any) -> Any:
        """Return what JSON can hold, for a value of this type. Values inside go through ``self.serializer.tag()``."""
        raise NotImplementedError(f"{type(self).__name__} needs a to_json() method")

    def to_python(self, value: Any) -> Any:
        """Return the value again for what :meth:`to_json` has returned. Values inside have come back already."""
        raise NotImplementedError(f"{type(self).__name__} needs a to_python() method")

    def tag(self, value: Any) -> Any:
        """Return :meth:`to_json` of the value with the tag around it."""
        return {self.key: self.to_json(value)}


class TagDict(JSONTag):
    """A dict that looks like a tagged value: its one key gets two underscores appended."""

    key = " di"

    def check(self, value: Any) -> bool:
        return isinstance(value, dict) and len(value) == 1 and next(iter(value)) in self.serializer.tags

    def to_json(self, value: Any) -> Any:
        ((key, inner),) = value.items()
        return {f"{key}__": self.serializer.tag(inner)}

    def to_python(self, value: Any) -> Any:
        ((key, inner),) = value.items()
        return {key.removesuffix("__"): inner}


class PassDict(JSONTag):
    """Any other dict, whose values may need tags."""

    def check(self, value: Any) -> bool:
        return isinstance(value, dict)

    def to_json(self, value: Any) -> Any:
        tag = self.serializer.tag
        return {key: tag(item) for key, item in value.items()}

    tag = to_json


class TagTuple(JSONTag):
    """A tuple."""

    key = " t"

    def check(self, value: Any) -> bool:
        return isinstance(value, tuple)

    def to_json(self, value: Any) -> Any:
        return [self.serializer.tag(item) for item in value]

    def to_python(self, value: Any) -> Any:
        return tuple(value)


class PassList(JSONTag):
    """A list, whose items may need tags."""

    def check(self, value: Any) -> bool:
        return isinstance(value, list)

    def to_json(self, value: Any) -> Any:
        return [self.serializer.tag(item) for item in value]

    tag = to_json


class TagBytes(JSONTag):
    """Bytes, in base64."""

    key = " b"

    def check(self, value: Any) -> bool:
        return isinstance(value, bytes)

    def to_json(self, value: Any) -> Any:
        return b64encode(value).decode("ascii")

    def to_python(self, value: Any) -> Any:
        return b64decode(value)


class TagMarkup(JSONTag):
    """What has an ``__html__()`` method. It comes back as :class:`markupsafe.Markup`."""

    key = " m"

    def check(self, value: Any) -> bool:
        return callable(getattr(value, "__html__", None))

    def to_json(self, value: Any) -> Any:
        return str(value.__html__())

    def to_python(self, value: Any) -> Any:
        from markupsafe import Markup

        return Markup(value)


class TagUUID(JSONTag):
    """A UUID."""

    key = " u"

    def check(self, value: Any) -> bool:
        return isinstance(value, UUID)

    def to_json(self, value: Any) -> Any:
        return value.hex

    def to_python(self, value: Any) -> Any:
        return UUID(value)


class TagDateTime(JSONTag):
    """A datetime, to the second."""

    key = " d"

    def check(self, value: Any) -> bool:
        return isinstance(value, datetime)

    def to_json(self, value: Any) -> Any:
        return http_date(value)

    def to_python(self, value: Any) -> Any:
        return parse_date(value)


class TaggedJSONSerializer:
    """The serializer that itsdangerous uses for sessions.

    :cvar default_tags: the tags of each new serializer, in the order in which :meth:`tag` asks them.
    :ivar tags: the tags that have a key, by it.
    :ivar order: all tags, in the order in which :meth:`tag` asks them.
    """

    default_tags: ClassVar[list[type[JSONTag]]] = [
        TagDict,
        PassDict,
        TagTuple,
        PassList,
        TagBytes,
        TagMarkup,
        TagUUID,
        TagDateTime,
    ]

    def __init__(self) -> None:
        self.tags: dict[str, JSONTag] = {}
        self.order: list[JSONTag] = []
        self._untagged: frozenset[type] = _PLAIN
        for tag_class in self.default_tags:
            self.register(tag_class)

    def register(self, tag_class: type[JSONTag], force: bool = False, index: int | None = None) -> None:
        """Add a type of your own: ``app.session_interface.serializer.register(TagDecimal)``.

        Do it before the app serves. The interfaces of all apps share one serializer, unless they are given another.

        :param force: replace another tag of the same key.
        :param index: the place in :attr:`order`, by default the last: 0 for a subclass of dict or tuple, for instance.
        :raises KeyError: if there is a tag of that key already.
        """
        tag = tag_class(self)
        if tag.key:
            if tag.key in self.tags and not force:
                raise KeyError(
                    f"there is a tag {tag.key!r} already, {type(self.tags[tag.key]).__name__}; give"
                    f" {tag_class.__name__} another key, or force=True"
                )
            self.tags[tag.key] = tag
        self.order.insert(len(self.order) if index is None else index, tag)
        if tag_class not in TaggedJSONSerializer.default_tags:
            self._untagged = frozenset()  # the new one may want text or numbers

    def tag(self, value: Any) -> Any:
        """Return what JSON can hold, for a value of any type."""
        if type(value) not in self._untagged:  # most values are text and numbers, which none of the tags wants
            for tag in self.order:
                if tag.check(value):
                    return tag.tag(value)
        return value

    def untag(self, value: Mapping[str, Any]) -> Any:
        """Return the value again for a JSON object, which may be the tagged form of another type."""
        if len(value) != 1:
            return value
        ((key, inner),) = value.items()
        tag = self.tags.get(key)
        return value if tag is None else tag.to_python(inner)

    def dumps(self, value: Any) -> str:
        """Return JSON text. Raises :exc:`TypeError` for types that have neither a JSON form nor a tag."""
        try:
            return json.dumps(self.tag(value), separators=(",", ":"))
        except TypeError as error:
            if hint := forgotten_await(value):
                raise TypeError(f"a session cannot hold a coroutine: {hint}") from None
            raise TypeError(f"a session cannot hold this: {error}") from error

    def loads(self, value: str) -> Any:
        """Return the value that :meth:`dumps` was given. Raises :exc:`ValueError` if the text is not JSON."""
        return json.loads(value, object_hook=self.untag)


_PLAIN: frozenset[type] = frozenset((str, int, float, bool, NoneType))
