"""What a limit accepts: sizes, times, rates and lists of names. Each check names the value that is wrong."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

_MAX_SIZE = 2**63 - 1
_MAX_NUMBER = 1e9  # of seconds, or of bytes a second


def shown(value: Any) -> str:
    """A value for a message, which it must not flood."""
    try:
        text = repr(value)
    except ValueError:
        return "a number of thousands of digits"  # Python does not write them
    return text if len(text) <= 80 else f"{text[:80]}..."


def size(name: str, value: Any, least: int = 1) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{name} is {shown(value)}; it must be a whole number (int)")
    if value < least:
        raise ValueError(f"{name} is {shown(value)}; it must be at least {least}")
    if value > _MAX_SIZE:
        raise ValueError(f"{name} is {shown(value)}; it must be at most {_MAX_SIZE}")
    return value


def seconds(name: str, value: Any) -> float | None:
    return number(name, value, "seconds")


def rate(name: str, value: Any) -> float | None:
    return number(name, value, "bytes a second")


def number(name: str, value: Any, unit: str) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{name} is {shown(value)}; it must be a number of {unit}, or None to switch it off")
    if not value > 0:  # refuses NaN too
        raise ValueError(f"{name} is {shown(value)}; it must be more than 0 {unit}, or None to switch it off")
    if value > _MAX_NUMBER:
        raise ValueError(
            f"{name} is {shown(value)}; it must be at most {_MAX_NUMBER:,.0f} {unit}, or None to switch it off"
        )
    return float(value)


def names(name: str, value: Any, example: str) -> tuple[str, ...]:
    if isinstance(value, str | bytes | Mapping) or not isinstance(value, Iterable):
        raise TypeError(f"{name} is {shown(value)}; it must be a list or tuple of strings, like [{example!r}]")
    names = tuple(value)
    for item in names:
        if not isinstance(item, str):
            raise TypeError(f"{name} holds {shown(item)}; every item must be a string, like {example!r}")
    return names


def parsed(name: str, value: Any, parse: Callable[[str], str], example: str) -> tuple[str, ...]:
    """Parse each item of a list, which may be text with commas, as it is in the environment."""
    items = names(name, [item.strip() for item in value.split(",")] if isinstance(value, str) else value, example)
    parsed = []
    for item in items:
        try:
            parsed.append(parse(item))
        except ValueError as error:
            raise ValueError(f"{name} holds {shown(item)}; {error}") from None
    return tuple(parsed)


Checks = Mapping[str, Callable[[str, Any], Any]]
