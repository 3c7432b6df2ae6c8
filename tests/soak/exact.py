"""A soak whose books are exact: each record of the access log, each handler's end and each count of the server's."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, ClassVar

import trio

from .books import Books, Due, Page, answered
from .lateness import WINDOW, watch_lateness
from .ledger import ClientSide, ServerSide, filling
from .run import Soak
from .talks import BROKEN


class CutOffError(AssertionError):
    """A client was cut off, but not when it was due."""


@dataclass
class ExactSoak(Soak):
    """Keeps the books, and judges nothing by the clock of a machine that was too slow for it.

    :ivar doubts: what is wrong and may be the machine's fault; they are faults if it was fast enough.
    :ivar found: contexts that were another handler's.
    :ivar strangers: clients of the server's that are none of ours.
    :ivar stalls: what the server logged of its event loop being held up.
    :ivar late: how late the event loops were at most, by side.
    """

    too_late: ClassVar[float] = 1.6
    """Seconds within WINDOW. Who was later than that cannot tell a healthy client from one that has stalled."""

    books: Books = field(default_factory=Books)
    doubts: list[str] = field(default_factory=list)
    late: dict[str, float] = field(default_factory=lambda: {"the clients": 0.0, "the server": 0.0})
    found: list[str] = field(default_factory=list)
    strangers: list[str] = field(default_factory=list)
    stalls: list[str] = field(default_factory=list)
    stats: list[dict[str, Any]] = field(default_factory=list)

    async def run(self) -> None:
        filling()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(watch_lateness, lambda late: self._was_late("the clients", late))
            await super().run()
            nursery.cancel_scope.cancel()

    def check_books(self) -> None:
        if self.found:
            self.fault(f"{len(self.found)} handlers were in another one's context, first {self.found[0]}")
        if self.strangers:
            self.fault(f"{len(self.strangers)} clients are none of ours, first {self.strangers[0]}")
        # Behind the handler's stall others may have run before anybody could look: it is not always the one named.
        if len(self.stalls) < self.expected.pop("stalled", 0):
            self.fault(f"the log does not have all stalls of the event loop, but {self.stalls}")
        for wrong in (*self.books.check(), *self.books.check_stats(*self.stats)):
            self.doubt(wrong)
        if self.doubts and max(self.late.values()) <= self.too_late:
            for doubt in self.doubts:
                self.fault(doubt)
            self.doubts.clear()

    def doubt(self, text: str) -> None:
        """Something is wrong, unless the machine was too slow."""
        self.doubts.append(text)

    def talk_failed(self, text: str, error: Exception) -> None:
        if all(isinstance(one, (*BROKEN, CutOffError, trio.TooSlowError)) for one in _leaves(error)):
            self.doubt(text)
        else:
            self.fault(text)

    def _was_late(self, side: str, late: float) -> None:
        self.late[side] = max(late, self.late[side])

    def note(self, noted: dict[str, Any]) -> None:
        match noted:
            case {"access": record}:
                try:
                    self.books.record(record)
                except KeyError:
                    self.strangers.append(f"the log's {record['client']}, {record['method']} {record['path']}")
            case {"visit": [address, end, kind]}:
                try:
                    self.books.visit(address, (end, kind))
                except KeyError:
                    self.strangers.append(f"a handler's {address}")
            case {"late": late}:
                self._was_late("the server", late)
            case {"stats": stats}:
                self.stats.append(stats)
            case {"found": text}:
                self.found.append(text)
            case {"log": {"text": text}} if "held up the event loop" in text:
                self.stalls.append(text)
            case _:
                super().note(noted)

    def kept_books(self) -> Books:
        return self.books

    def own_request(self, line: str) -> None:
        self.books.own.due(line, answered(200), visits=())

    def compared(self, client: ClientSide, server: ServerSide, page: Page | None, wrong: list[str]) -> None:
        name = f"{client.connection}: {client.talk} ({client.end})"
        is_late = server.disconnect is not None and server.disconnect[1] == "timeout"
        if client.keeps_up and server.reason.startswith("took nothing"):
            is_late = False
        for fault in wrong:
            if is_late:
                self.doubt(f"{name}: {fault}")
            else:
                self.fault(f"{name}: {fault}")
        if page is not None:
            if server.disconnect is not None:
                code, kind = server.disconnect
            else:
                code, kind = client.code or 1000, "error" if client.code == 1011 else "server"
            received = client.sent if client.end in ("close", "fin", "fault") else None
            # What a handler sends to a client that has gone is dropped, and not counted.
            sent = (client.received, server.sent)
            page.dues.append(Due(page.dues[-1].line, ((101, code, kind),), (), received=received, sent=sent))

    def summary(self) -> str:
        sides = ", ".join(f"{side} {late:.2f} s" for side, late in self.late.items())
        transport = "TLS" if self.options.tls else "TCP"
        transport += " without the reactor" if self.options.tasks else ""
        lines = [
            f"{self.plan}, {transport}: {len(self.books.pages)} connections in the books",
            f"late within {WINDOW:g} s, at most: {sides}",
            super().summary(),
        ]
        lines += [f"logged: {text}" for text in self.stalls[:5]]
        if self.doubts:
            lines += ["The machine was too slow to judge by its clock; otherwise these were faults:", *self.doubts[:20]]
        return "\n".join(lines)


def _leaves(error: BaseException) -> Iterator[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        for one in error.exceptions:
            yield from _leaves(one)
    else:
        yield error
