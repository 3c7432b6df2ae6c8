"""The checks of settings: sizes, times, rates and lists of names.

A check takes the setting's name, for its messages, and a value. It returns the value in the form in which it is kept,
or raises :exc:`TypeError` or :exc:`ValueError` with the name, the wrong value, and what would be right.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from difflib import get_close_matches
from typing import Any

from ..protocol.plain import plain_text

Check = Callable[[str, Any], Any]

MAX_NUMBER = 1e9
"""The largest number of seconds, or of bytes a second, that a setting may have."""
_MAX_SIZE = 2**63 - 1
_ROUNDED = 1024  # the least float that is rounded


def short_repr(value: Any) -> str:
    """Return the value's repr for a message, cut where it would flood the message."""
    try:
        text = repr(value)
    except ValueError:
        return "a number of thousands of digits"  # Python refuses to write them
    return text if len(text) <= 80 else f"{text[:80]}..."


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return the end of a message that names what was probably meant; empty if nothing known is close."""
    close = get_close_matches(name, known, n=1, cutoff=0.65)
    return f"; did you mean {close[0]!r}?" if close else ""


def size(name: str, value: Any, least: int = 1) -> int:
    """Check a number of bytes, or of other things that are counted.

    A float is taken if it is whole, or so large that its fraction is of no account: ``1.1 * 1024 * 1024``.
    """
    if isinstance(value, float) and (value.is_integer() or _ROUNDED <= value <= _MAX_SIZE):
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{name} is {short_repr(value)}; it must be a whole number (int)")
    if value < least:
        raise ValueError(f"{name} is {short_repr(value)}; it must be at least {least}")
    if value > _MAX_SIZE:
        raise ValueError(f"{name} is {short_repr(value)}; it must be at most {_MAX_SIZE}")
    return value


def seconds(name: str, value: Any) -> float | None:
    """Check a time; None switches it off."""
    return _number(name, value, "seconds")


def rate(name: str, value: Any) -> float | None:
    """Check a number of bytes a second; None switches it off."""
    return _number(name, value, "bytes a second")


def messages_rate(name: str, value: Any) -> float | None:
    """Check a number of messages a second; None switches it off."""
    return _number(name, value, "messages a second")


def handshakes_rate(name: str, value: Any) -> float | None:
    """Check a number of handshakes a second; None switches it off."""
    return _number(name, value, "handshakes a second")


def _number(name: str, value: Any, unit: str) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{name} is {short_repr(value)}; it must be a number of {unit}, or None to switch it off")
    if not value > 0:  # refuses NaN too
        raise ValueError(f"{name} is {short_repr(value)}; it must be more than 0 {unit}, or None to switch it off")
    if value > MAX_NUMBER:
        raise ValueError(
            f"{name} is {short_repr(value)}; it must be at most {MAX_NUMBER:,.0f} {unit}, or None to switch it off"
        )
    return float(value)


def names(name: str, value: Any, example: str) -> tuple[str, ...]:
    """Check a list of strings."""
    if isinstance(value, str | bytes | Mapping) or not isinstance(value, Iterable):
        raise TypeError(f"{name} is {short_repr(value)}; it must be a list or tuple of strings, like [{example!r}]")
    names = tuple(value)
    for item in names:
        if not isinstance(item, str):
            raise TypeError(f"{name} holds {short_repr(item)}; every item must be a string, like {example!r}")
    return tuple(map(plain_text, names))


def parsed_names(name: str, value: Any, parse: Callable[[str], str], example: str) -> tuple[str, ...]:
    """Check a list whose items ``parse`` understands. The list may also be text with commas between the items."""
    items = names(name, split_at_commas(value), example)
    parsed = []
    for item in items:
        try:
            parsed.append(parse(item))
        except ValueError as error:
            raise ValueError(f"{name} holds {short_repr(item)}; {error}") from None
    return tuple(parsed)


def split_at_commas(value: Any) -> Any:
    """Return the items of a text with commas, and anything that is no text as it is."""
    return [item.strip() for item in value.split(",")] if isinstance(value, str) else value
