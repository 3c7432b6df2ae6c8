"""Event streams, ``text/event-stream``: events as lines, and lines as events (HTML, 9.2.5 and 9.2.6).

https://html.spec.whatwg.org/multipage/server-sent-events.html
"""

from __future__ import annotations

import re
from codecs import BOM_UTF8
from collections.abc import Sequence
from typing import NamedTuple

# Not str.splitlines(): it also splits at characters that end no line of an event stream.
_LINE_END = re.compile(r"\r\n|\n|\r")
_BYTES_LINE_END = re.compile(rb"\r\n|\n|\r")

COMMENT = b":\n\n"
"""An empty comment: clients read past it, and proxies see that the connection lives."""


def encode(fields: Sequence[tuple[str, str]]) -> bytes:
    """Return one event of these fields, in this order; a value of several lines becomes as many fields.

    The name of a comment is empty. Line ends (CR, LF, CRLF) arrive as LF.
    """
    lines = [f"{name}: {line}\n" for name, value in fields for line in _LINE_END.split(value)]
    return "".join([*lines, "\n"]).encode()


class Block(NamedTuple):
    """What stood between two empty lines: one event, with the fields that it had.

    :ivar data: the lines of data, joined by LF; None if there were none, so that browsers dispatch no event.
    """

    data: str | None = None
    event: str | None = None
    id: str | None = None
    retry: int | None = None


class EventReader:
    """Reads an event stream, in pieces of any size. What is not UTF-8 is replaced, as in a browser."""

    def __init__(self) -> None:
        self._rest = b""
        self._lines: list[str] = []
        self._begun = False

    def feed(self, data: bytes) -> list[Block]:
        """Return the events that end in this piece. Comments are none, and a last event without an end is dropped."""
        self._rest += data
        if not self._begun:
            if BOM_UTF8.startswith(self._rest[:3]) and len(self._rest) < len(BOM_UTF8):
                return []
            self._begun = True
            self._rest = self._rest.removeprefix(BOM_UTF8)
        # A CR at the end may be half of a CRLF: it waits for the next piece.
        end = len(self._rest) - 1 if self._rest.endswith(b"\r") else len(self._rest)
        *lines, rest = _BYTES_LINE_END.split(self._rest[:end])
        self._rest = rest + self._rest[end:]
        blocks = []
        for line in lines:
            if line:
                self._lines.append(line.decode("utf-8", "replace"))
            elif self._lines:
                block = _parse(self._lines)
                self._lines = []
                if block is not None:
                    blocks.append(block)
        return blocks


def _parse(lines: Sequence[str]) -> Block | None:
    """Return the event of these lines; None if all of them are comments, or of fields that there are not."""
    data: list[str] = []
    event = identity = retry = None
    for line in lines:
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        match name:
            case "data":
                data.append(value)
            case "event":
                event = value
            case "id" if "\0" not in value:
                identity = value
            case "retry" if value.isascii() and value.isdigit() and len(value) < 20:
                retry = int(value)
    block = Block("\n".join(data) if data else None, event, identity, retry)
    return None if block == Block() else block
