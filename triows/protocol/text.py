"""What a client has sent, made safe for logs and messages."""

from __future__ import annotations

_MAX_TARGET = 1000  # characters of a path, and of a query


def printable(text: str, limit: int = _MAX_TARGET) -> str:
    """Text of a client's for a log: ASCII alone, with quotes and control characters escaped, and cut at ``limit``."""
    if len(text) > limit:
        text = f"{text[:limit]}..."
    return ascii(text)[1:-1].replace('"', '\\"')


def visible(text: str) -> str:
    """Text of a client's for people: control and formatting characters (newlines, bidirectional marks) are escaped."""
    return text if text.isprintable() else "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)
