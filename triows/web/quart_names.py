"""Quart's names on requests, responses and test clients that have no effect here, each with what to do instead."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

REQUEST: Mapping[str, str] = {
    **dict.fromkeys(
        ("body_class", "form_data_parser_class", "make_form_data_parser"),
        "parse the body yourself: await request.get_data(), or 'async for piece in request.body'",
    ),
    "json_module": "set app.json to a JSONProvider",
    "lock_class": "locks are Trio's: trio.Lock",
}
"""Names that Quart calls or reads on a request or websocket, and triows does not."""

SET_BY_APP: Mapping[str, str] = {
    "max_content_length": "set MAX_CONTENT_LENGTH in app.config, or max_body_size of the route",
    "max_form_memory_size": "set MAX_FORM_MEMORY_SIZE in app.config",
    "max_form_parts": "set MAX_FORM_PARTS in app.config",
}
"""What the app sets on every request, so that a class's own value would never be used."""

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
}
"""Names that Quart calls or reads on a response, and triows does not."""

RESPONSE_ONLY_CALLED: Mapping[str, str] = {
    "iter_encode": "override iter_body(), whose pieces are sent",
    "make_sequence": "override get_data(), and freeze()",
}
"""Methods of a response that Quart calls, and triows does not."""

CLIENT: Mapping[str, str] = dict.fromkeys(
    ("http_connection_class", "websocket_connection_class"),
    "wrap what client.request() or client.websocket() yields",
)
"""Names that Quart reads on a test client, and triows does not."""


def refuse_imports(module: str, names: Mapping[str, str]) -> Callable[[str], Any]:
    """Return the ``__getattr__()`` of a module whose names of Quart's are not there, by names and remedies.

    It raises ImportError for them, since an import would hide the text of an AttributeError.
    """

    def get(name: str) -> Any:
        if name in names:
            raise ImportError(f"{module} has no {name!r}: {names[name]}", name=module)
        raise AttributeError(f"module {module!r} has no attribute {name!r}", name=name)

    return get


def refuse_definitions(class_: type, names: Mapping[str, str], base: type = object) -> None:
    """Raise TypeError if a class defines one of the names itself, rather than inheriting it from ``base``."""
    for name, remedy in names.items():
        if getattr(class_, name, None) is not getattr(base, name, None):
            raise TypeError(f"{class_.__name__} defines {name!r}, which has no effect in triows: {remedy}")
