"""The books of a server's access log: each connection has a page, and each record is due.

The pages are named by addresses: a client binds each of its connections to another one of 127.0.0.0/8, so that the log
tells them apart even where nothing could be read of the request. What is due is settled by what the client saw: a
response that it read whole is whole in the log, too. In the same way a page has what the handlers noted: how each of
them ended, and by what.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

Outcome = tuple[int | None, int | None, str | None]
"""Status, close code, and kind: what cut it off, or ended it; None for a whole response."""
Visit = tuple[str, str | None]
"""How a handler ended (returned, cancelled, raised), and the kind of its disconnect."""

LOST: Outcome = (None, None, "lost")
RETURNED: Visit = ("returned", None)
CANCELLED: Visit = ("cancelled", "lost")
TRAFFIC = ("messages_received", "messages_sent", "bytes_received", "bytes_sent")


def answered(status: int) -> Outcome:
    """A whole response."""
    return (status, None, None)


@dataclass
class Due:
    """What is due for one request, or for the end of a websocket.

    :ivar line: method and path, as the log has them.
    :ivar outcomes: those that are right.
    :ivar visits: how the handler may end; none: no handler is called, or it notes nothing.
    :ivar handshake: whether it is a websocket's handshake.
    :ivar optional: the server may not have seen it.
    :ivar received: how many messages of a websocket's client arrived, if that is known.
    :ivar sent: how many were sent, at least and at most.
    """

    line: str
    outcomes: tuple[Outcome, ...]
    visits: tuple[Visit, ...] = (RETURNED,)
    handshake: bool = False
    optional: bool = False
    received: int | None = None
    sent: tuple[int, int] = (0, 0)

    def got(self, status: int, *visits: Visit) -> None:
        """The client has read the whole response: that is what is due, whatever happened afterwards."""
        self.outcomes, self.optional = (answered(status),), False
        self.visits = visits or self.visits

    def left(self, status: int = 200, *, seen: bool = False) -> None:
        """The client has gone without reading it whole; ``seen`` says that the server has it surely."""
        self.outcomes = (LOST, (status, None, "lost"), answered(status))
        self.visits = (RETURNED, ("returned", "lost"), CANCELLED)
        self.optional = not seen

    def fits(self, record: Record) -> bool:
        return record.line == self.line and record.outcome in self.outcomes


@dataclass
class Record:
    """One of the access log's."""

    line: str
    outcome: Outcome
    traffic: tuple[int, ...] | None

    @property
    def is_end(self) -> bool:
        """Whether it is that of the end of a websocket."""
        return self.traffic is not None


@dataclass
class Page:
    """One connection: what is due, what the log has, and what the handlers noted; all in order.

    :ivar counts: what the server's statistics must have counted for it, by :meth:`check`.
    """

    address: str
    talk: str
    dues: list[Due] = field(default_factory=list)
    records: list[Record] = field(default_factory=list)
    visits: list[Visit] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)

    def due(self, line: str, *outcomes: Outcome, visits: tuple[Visit, ...] = (RETURNED,)) -> Due:
        """Add what is due next: by default that the client leaves before there is an answer."""
        due = Due(line, outcomes or (LOST,), visits)
        self.dues.append(due)
        return due

    def handshake(self, path: str, status: int = 101) -> None:
        """A handshake is answered."""
        self.dues.append(Due(f"GET {path.partition('?')[0]}", (answered(status),), (), handshake=True))

    def check(self) -> Iterable[str]:
        """What of it is wrong."""
        records, visits = list(self.records), list(self.visits)
        for due in self.dues:
            if not (records and due.fits(records[0])):
                if due.optional:
                    continue
                yield f"{due.line}: the access log has {records[:1] or 'nothing'}, not one of {due.outcomes}"
                return
            record = records.pop(0)
            self._count(due, record)
            if due.visits:
                if not (visits and visits[0] in due.visits):
                    yield f"{due.line}, {record.outcome}: its handler ended {visits[:1] or 'never'}, not {due.visits}"
                    return
                del visits[0]
            if record.traffic is not None:
                received, sent, *_ = record.traffic
                if due.received not in (None, received):
                    yield f"{due.line}: {due.received} messages were sent to it, the access log has {received}"
                if not due.sent[0] <= sent <= due.sent[1]:
                    yield f"{due.line}: it sent from {due.sent[0]} to {due.sent[1]} messages, the access log has {sent}"
        if records:
            yield f"the access log has also {records[:3]}"
        if visits:
            yield f"a handler ran that nobody asked for: {visits[:3]}"

    def _count(self, due: Due, record: Record) -> None:
        status, _, kind = record.outcome
        if record.traffic is not None:
            self.counts[f"disconnects {kind}"] += 1
            self.counts.update(dict(zip(TRAFFIC, record.traffic, strict=True)))
        elif due.handshake:
            end = "abandoned" if status is None else "accepted" if status == 101 else "refused"
            self.counts[f"handshakes_{end}"] += 1
        else:
            self.counts[f"requests {'none' if status is None else f'{status // 100}xx'}"] += 1


class Books:
    """All pages. ``own`` is that of the soak itself, whose address is 127.0.0.1."""

    def __init__(self) -> None:
        self.own = Page("127.0.0.1", "the soak itself")
        self.pages: dict[str, Page] = {self.own.address: self.own}

    def open(self, talk: str) -> Page:
        """A page for another connection."""
        number, low = divmod(len(self.pages), 254)
        high, middle = divmod(number, 254)
        page = Page(f"127.{high % 250 + 1}.{middle}.{low + 1}", talk)
        self.pages[page.address] = page
        return page

    def record(self, noted: Mapping[str, Any]) -> None:
        """Enter a record of the access log.

        :raises KeyError: if its client is none of ours.
        """
        line = f"{noted['method']} {noted['path']}".strip()
        outcome = (noted["status"], noted["code"], noted["kind"])
        traffic = None if noted["code"] is None else tuple(noted[name] for name in TRAFFIC)
        self.pages[noted["client"]].records.append(Record(line, outcome, traffic))

    def visit(self, address: str, visit: Visit) -> None:
        """Enter what a handler noted at its end."""
        self.pages[address].visits.append(visit)

    def check(self) -> Iterable[str]:
        """What is wrong, page by page."""
        for page in self.pages.values():
            for wrong in page.check():
                yield f"{page.address}: {page.talk}: {wrong}"

    def check_stats(self, *servers: Mapping[str, Any]) -> Iterable[str]:
        """What the statistics of the servers, added up, have otherwise than these books, once they were checked."""
        due: Counter[str] = Counter()
        for page in self.pages.values():
            due.update(page.counts)
        counted: Counter[str] = Counter()
        for stats in servers:
            for name, value in stats.items():
                if isinstance(value, dict):
                    counted.update({f"{name} {key}": number for key, number in value.items()})
                else:
                    counted[name] += value
        for name in ("handler_errors", "connections_refused", "stalls", "swallowed_cancellations"):
            del counted[name]  # the log of errors is compared with them elsewhere
        for name in sorted(counted.keys() | due.keys()):
            if counted[name] != due[name]:
                yield f"stats() has counted {name}: {counted[name]}, and {due[name]} are due"
