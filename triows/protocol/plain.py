"""Subclasses of str and bytes as what goes out: the text and the bytes that they are.

``str(value)`` is the name of a member of ``(str, Enum)``, and whatever another subclass makes of it. ``value.encode()``
and ``bytes(value)`` may be overridden too: ``str.encode(value)`` is the text in UTF-8 for every subclass.
"""

from __future__ import annotations

from typing import TypeVar, cast

T = TypeVar("T")


def plain_text(value: str) -> str:
    """The text as a str of no subclass."""
    return str.__str__(value)


def plain(value: T) -> T:
    """A str as a str of no subclass; any other value as it is."""
    return cast(T, plain_text(value)) if isinstance(value, str) else value


def plain_bytes(value: bytes | bytearray | memoryview) -> bytes:
    """The bytes as bytes of no subclass."""
    return value if type(value) is bytes else bytes(memoryview(value))
