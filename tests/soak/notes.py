"""What the server notes for the judge: what its handlers have to say, and its logs."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import trio

from triows import request, websocket

from .books import TRAFFIC
from .ledger import Reading, ServerSide

Note = Callable[[dict[str, Any]], None]

VISITOR: ContextVar[str | None] = ContextVar("VISITOR", default=None)
"""Who a handler works for. It is set by each handler, and no other one may ever find it set."""


class ProvokedError(Exception):
    """What a handler raises because its client wants it to."""


class Notes:
    """What the handlers have to say. ``books`` says whether each of their visits is noted."""

    def __init__(self, note: Note, *, books: bool = False) -> None:
        self.note = note
        self.books = books

    @contextmanager
    def ledger(self) -> Iterator[tuple[ServerSide, Reading]]:
        """A websocket's handler: its ledger is noted at the end."""
        name = websocket.args["connection"]
        side, reading = ServerSide(name), Reading(name)
        self._arrive(name)
        try:
            yield side, reading
        finally:
            side.received, side.faults = reading.count, reading.faults + side.faults
            end = websocket.disconnect
            side.disconnect, side.reason = ((end.code, end.kind), end.reason) if end else (None, "")
            self.note({"ledger": side.as_json()})

    @contextmanager
    def visit(self) -> Iterator[None]:
        """A request's handler, or the body of its response: how it ends is noted."""
        if not self.books:
            yield
            return
        address = request.remote_addr
        self._arrive(f"{address} {request.path}")
        end = "raised"
        try:
            yield
            end = "returned"
        except (trio.Cancelled, GeneratorExit):
            end = "cancelled"
            raise
        finally:
            disconnect = request.disconnect
            self.note({"visit": [address, end, disconnect.kind if disconnect else None]})

    def _arrive(self, name: str) -> None:
        before = VISITOR.get()
        if self.books and before is not None:
            self.note({"found": f"that of {before} by {name}"})
        VISITOR.set(name)


class LogNotes(logging.Handler):
    """Notes each record from WARNING on."""

    def __init__(self, note: Note) -> None:
        super().__init__(logging.WARNING)
        self._note = note

    def emit(self, record: logging.LogRecord) -> None:
        error = record.exc_info[1] if record.exc_info else None
        self._note({"log": {"level": record.levelname, "text": self.format(record), "error": type(error).__name__}})


class AccessNotes(logging.Handler):
    """Notes each record of the access log."""

    def __init__(self, note: Note) -> None:
        super().__init__(logging.INFO)
        self._note = note

    def emit(self, record: logging.LogRecord) -> None:
        names = ("client", "method", "path", "status", "code", "kind", *TRAFFIC)
        self._note({"access": {name: getattr(record, name) for name in names}})
