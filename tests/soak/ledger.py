"""Messages that can be told apart, what each side has noted of them, and the comparison of the two.

A message says whose it is, which of its sender's, how long, and what its filling sums up to. So a reader sees at once
when one is missing, comes twice, out of order, torn, or on another's connection.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from functools import cache
from random import Random
from typing import Any
from zlib import crc32

_FILLING = 4 << 20


@cache
def filling() -> bytes:
    """What messages are filled from. Half of it repeats itself, so that there is something to compress.

    Whoever is watched for being late calls this first: it takes long, once.
    """
    random = Random(1)
    return b"".join(
        bytes(random.choices(b"abcdefghijklmnopqrstuvwxyz", k=512)) + b"0123456789abcdef" * 32
        for _ in range(_FILLING // 1024)
    )


def make_message(connection: str, number: int, size: int, *, text: bool) -> str | bytes:
    """The message of that number, with a filling of ``size`` bytes."""
    start = number * 97 % 65536
    piece = filling()[start : start + size]
    message = b"%b %d %d %d|" % (connection.encode(), number, size, crc32(piece)) + piece
    return message.decode() if text else message


@dataclass
class Reading:
    """The messages that one side reads of a connection.

    :ivar count: how many came, in order.
    :ivar faults: what was wrong with others.
    """

    connection: str
    count: int = 0
    faults: list[str] = field(default_factory=list)

    def read(self, message: str | bytes) -> None:
        data = message.encode() if isinstance(message, str) else message
        head, _, filling = data.partition(b"|")
        try:
            connection, *numbers = head.split(b" ")
            number, size, checksum = map(int, numbers)
        except ValueError:
            self.faults.append(f"no message of ours: {data[:80]!r}")
            return
        if connection.decode() != self.connection:
            self.faults.append(f"message of {connection.decode()}")
        elif number != self.count:
            self.faults.append(f"message {number} came instead of {self.count}")
        elif len(filling) != size or crc32(filling) != checksum:
            self.faults.append(f"message {number} is torn: {len(filling)} bytes instead of {size}")
        self.count = number + 1


@dataclass
class ServerSide:
    """What a handler has noted when its connection ends."""

    connection: str
    received: int = 0
    sent: int = 0
    faults: list[str] = field(default_factory=list)
    disconnect: tuple[int, str] | None = None  # code and kind
    reason: str = ""

    def as_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> ServerSide:
        side = cls(**value)
        side.disconnect = tuple(side.disconnect) if side.disconnect else None  # type: ignore[assignment]
        return side


@dataclass
class ClientSide:
    """What a client has noted.

    :ivar talk: what it did.
    :ivar sent: messages that were sent whole, before whatever it ended with.
    :ivar received: messages that came, in order.
    :ivar end: how it ended: by ``close`` (a Close frame of its own), ``server`` (the server's), ``fin``, ``reset``, a
        ``fault`` that the server answers with a Close frame, or a ``timeout`` of the server's.
    :ivar code: the code in the Close frame that was sent, or is due.
    :ivar close: the code in the server's Close frame, if there was one; 1005 without a code.
    :ivar answers: whether each message that is received is answered with one.
    :ivar handled: how many messages the handler takes, if not all.
    :ivar reason: how the disconnect's reason begins.
    :ivar keeps_up: whether the system takes for it all that is ever on the way, so that the server never waits for it,
        however slow the machine is.
    """

    connection: str
    talk: str
    end: str
    sent: int = 0
    received: int = 0
    code: int | None = None
    close: int | None = None
    answers: bool = False
    faults: list[str] = field(default_factory=list)
    handled: int | None = None
    reason: str = ""
    keeps_up: bool = False


def compare(client: ClientSide, server: ServerSide) -> list[str]:
    """What the two ledgers of a connection show to be broken; empty if nothing is."""
    wrong = [f"the client: {fault}" for fault in client.faults] + [f"the server: {fault}" for fault in server.faults]
    kind = server.disconnect[1] if server.disconnect else None
    if server.received > client.sent:
        wrong.append(f"{server.received} messages received of {client.sent} sent")
    if client.received > server.sent:
        wrong.append(f"{client.received} answers received of {server.sent} sent")
    # What was sent before the client's end in order is handled; only a reset may take a last part.
    if client.handled is not None:
        if server.received != client.handled:
            wrong.append(f"{server.received} messages were handled, not {client.handled}")
    elif client.end in ("close", "fin", "fault") and server.received != client.sent:
        wrong.append(f"only {server.received} of {client.sent} messages were handled, although nothing was reset")
    # To a client that still reads, everything goes out before the server's Close frame. One send() that had to wait may
    # find the client gone by its fault, and return for the cancellation that follows.
    missing = server.sent - client.received
    if missing > {"server": 0, "fault": 1}.get(client.end, missing):
        wrong.append(f"only {client.received} of {server.sent} messages came before the server's Close frame")
    if client.end in ("close", "server", "fault") and client.close != client.code:
        wrong.append(f"the server's Close frame has {client.close}, not {client.code}")
    due = {"close": "closed", "fin": "lost", "fault": "protocol_error", "timeout": "timeout"}.get(client.end)
    if due is not None and kind != due:
        wrong.append(f"the handler saw {server.disconnect}, not {due}")
    if not server.reason.startswith(client.reason):
        wrong.append(f"the reason is {server.reason!r}, not {client.reason!r}")
    if client.end == "close" and server.disconnect is not None and server.disconnect[0] != client.code:
        wrong.append(f"the handler saw {server.disconnect}, not the code {client.code}")
    if client.end == "reset" and kind not in ("lost", "timeout"):
        wrong.append(f"the handler saw {server.disconnect}, not a lost client")
    # The end may come between a message and its answer, once.
    if client.answers and server.sent not in (server.received, server.received - 1):
        wrong.append(f"{server.received} messages were answered by {server.sent}")
    return [f"{fault} (the handler saw {server.disconnect} {server.reason!r})" for fault in wrong]
