"""Escaping of client-supplied text for logs and messages."""

from __future__ import annotations

MAX_TARGET = 1000  # characters of a path, and of a query
MAX_EXCERPT = 200  # characters of any other text of a client's in a log record


def printable(text: str, limit: int = MAX_TARGET) -> str:
    """Client-supplied text for a log: ASCII, with quotes and control characters escaped, and cut at ``limit``."""
    if len(text) > limit:
        text = f"{text[:limit]}..."
    return ascii(text)[1:-1].replace('"', '\\"')


def visible(text: str) -> str:
    """Client-supplied text for people: control and formatting characters (newlines, marks of direction) are escaped."""
    return text if text.isprintable() else "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)
