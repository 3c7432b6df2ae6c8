"""Quart's names on requests and responses that have no effect here, and the mechanism that refuses them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

REQUEST: Mapping[str, str] = {
    **dict.fromkeys(
        ("body_class", "form_data_parser_class", "make_form_data_parser"),
        "parse the body yourself: await request.get_data(), or 'async for piece in request.body'",
    ),
    "json_module": "set app.json to a JSONProvider",
    "lock_class": "locks are Trio's: trio.Lock",
}
"""What Quart calls or reads of a request or websocket, and triows does not."""

REQUEST_LIMITS: Mapping[str, str] = {
    "max_content_length": "set MAX_CONTENT_LENGTH in app.config, or max_body_size of the route",
    "max_form_memory_size": "set MAX_FORM_MEMORY_SIZE in app.config",
    "max_form_parts": "set MAX_FORM_PARTS in app.config",
}
"""What the app sets on every request, whatever the class says."""

RESPONSE: Mapping[str, str] = {
    **dict.fromkeys(
        ("data_body_class", "file_body_class", "io_body_class", "iterable_body_class"),
        "give the response an async iterator as its body",
    ),
    **dict.fromkeys(
        ("automatically_set_content_length", "implicit_sequence_conversion"),
        "a body of str or bytes is sent with its length, and an iterator in pieces",
    ),
    "json_module": REQUEST["json_module"],
    "make_conditional": "compare request.if_none_match and the like, and return an empty response with status 304",
}
"""What Quart calls or reads of a response, and triows does not."""


def refuse_definitions(class_: type, names: Mapping[str, str], base: type = object) -> None:
    """Raise TypeError if a class has one of the names, and not from ``base``."""
    for name, remedy in names.items():
        if getattr(class_, name, None) is not getattr(base, name, None):
            raise TypeError(f"{class_.__name__} defines {name!r}, which has no effect in triows: {remedy}")


class Known:
    """A base of what users set attributes on: it refuses those of Quart's that have no effect.

    They are refused where they are defined in a subclass, where they are assigned, and where they are asked for.
    """

    _without_effect: ClassVar[Mapping[str, str]] = {}
    _missing: ClassVar[Mapping[str, str]] = {}
    _read_when_made: ClassVar[Mapping[str, str]] = {}

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        refuse_definitions(cls, cls._without_effect)

    if not TYPE_CHECKING:  # or every attribute would be there

        def __setattr__(self, name: str, value: Any) -> None:
            if name in self._without_effect:
                raise AttributeError(_message(self, name, "has no effect in triows", self._without_effect[name]))
            if name in self._read_when_made:
                raise AttributeError(_message(self, name, "is read while it is made", self._read_when_made[name]))
            super().__setattr__(name, value)

        def __getattr__(self, name: str) -> Any:
            remedy = self._without_effect.get(name) or self._missing.get(name)
            if remedy is None:
                return self.__getattribute__(name)  # raises what brought us here, also from within a property
            raise AttributeError(_message(self, name, "is Quart's and not there", remedy))


def _message(owner: object, name: str, what: str, remedy: str) -> str:
    return f"{name!r} of a {type(owner).__name__} {what}: {remedy}"
