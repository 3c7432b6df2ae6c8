"""The statistics of an app: :class:`Counters` while it serves, and a :class:`Stats` for each call of ``app.stats()``.

Counting must cost a message next to nothing. Each websocket counts its own messages as it receives and sends them; the
sums over all websockets are made when the statistics are asked for.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple, Protocol

KINDS: tuple[str, ...] = ("closed", "lost", "protocol_error", "timeout", "shutdown", "server", "error")
STATUS_CLASSES: tuple[str, ...] = ("1xx", "2xx", "3xx", "4xx", "5xx", "none")


class Traffic(NamedTuple):
    """Messages of one websocket or of many, and bytes of their payload, before compression and after inflation.

    A message counts as received when it has arrived whole, whether or not the handler has received it.
    """

    messages_received: int = 0
    bytes_received: int = 0
    messages_sent: int = 0
    bytes_sent: int = 0


class Ending(NamedTuple):
    """The end of a websocket, for logs and statistics; before the end, the one that is coming.

    :ivar code: the close code that the client sent, or this side if it closed first; 1006 without a Close frame.
    :ivar reason: the reason beside the code; may be empty.
    :ivar kind: the kind of the :class:`~triows.Disconnect`; ``server`` if this side closed first, ``error`` if it
        did so because the handler failed.
    """

    code: int
    reason: str
    kind: str


class CountedWebSocket(Protocol):
    """The part of a websocket that is counted."""

    @property
    def status(self) -> int | None: ...
    @property
    def ending(self) -> Ending: ...
    @property
    def traffic(self) -> Traffic: ...


@dataclass(frozen=True, slots=True)
class Stats:
    """What an app has done since it was made, and what it is doing; from :meth:`Triows.stats`.

    :ivar connections_open: clients connected to the app's own servers, with or without a request.
    :ivar connections_refused: clients refused because there were ``max_connections``.
    :ivar client_connections_refused: clients refused because their address had ``max_connections_per_client``.
    :ivar requests_open: HTTP requests that are being handled.
    :ivar requests: HTTP requests that have ended, by the class of their response's status: ``"1xx"`` to ``"5xx"``, or
        ``"none"``, if the client was gone before its response began. Requests that the server refused because of their
        heads are among them.
    :ivar websockets_open: websockets accepted and not ended.
    :ivar handshakes_accepted: websockets ever accepted.
    :ivar handshakes_refused: handshakes answered with an HTTP response.
    :ivar handshakes_over_rate: those among them that were beyond ``max_handshake_rate``.
    :ivar handshakes_abandoned: handshakes whose client was gone before the answer.
    :ivar disconnects: websockets that have ended, by kind: those of :class:`Disconnect`, and ``"server"`` if this side
        closed first, ``"error"`` if it did so because the handler failed.
    :ivar messages_received: messages of all websockets, ended and open, that arrived whole.
    :ivar messages_sent: messages of all websockets that were put into the outgoing buffer.
    :ivar bytes_received: bytes of payload in the messages received, after inflation.
    :ivar bytes_sent: bytes of payload sent, before compression.
    :ivar handler_errors: requests and websockets that ended with an error that no error handler took.
    :ivar swallowed_cancellations: handlers that swallowed the cancellation of their disconnect.
    :ivar receive_pauses: how often a message that had arrived waited because of ``max_message_rate``.
    :ivar stalls: how often a handler held the event loop for longer than ``stall_timeout``.
    """

    connections_open: int
    connections_refused: int
    client_connections_refused: int
    requests_open: int
    requests: Mapping[str, int]
    websockets_open: int
    handshakes_accepted: int
    handshakes_refused: int
    handshakes_over_rate: int
    handshakes_abandoned: int
    disconnects: Mapping[str, int]
    messages_received: int
    messages_sent: int
    bytes_received: int
    bytes_sent: int
    handler_errors: int
    swallowed_cancellations: int
    receive_pauses: int
    stalls: int

    def as_dict(self) -> dict[str, Any]:
        """Return the statistics as a dict of plain values, for JSON."""
        return asdict(self)


class Counters:
    """The counters of an app, whichever server carries its connections. :class:`Stats` says what each counts.

    :ivar websockets: the websockets that have not ended, accepted or not.
    :ivar ended: the messages of the websockets that have ended.
    """

    __slots__ = (
        "client_connections_refused",
        "connections_open",
        "connections_refused",
        "disconnects",
        "ended",
        "handler_errors",
        "handshakes_abandoned",
        "handshakes_over_rate",
        "handshakes_refused",
        "receive_pauses",
        "requests",
        "requests_open",
        "stalls",
        "swallowed_cancellations",
        "websockets",
    )

    def __init__(self) -> None:
        self.connections_open: int = 0
        self.connections_refused: int = 0
        self.client_connections_refused: int = 0
        self.requests_open: int = 0
        self.requests: Counter[str] = Counter(dict.fromkeys(STATUS_CLASSES, 0))
        self.websockets: set[CountedWebSocket] = set()
        self.handshakes_refused: int = 0
        self.handshakes_over_rate: int = 0
        self.handshakes_abandoned: int = 0
        self.disconnects: Counter[str] = Counter(dict.fromkeys(KINDS, 0))
        self.ended: Traffic = Traffic()
        self.handler_errors: int = 0
        self.swallowed_cancellations: int = 0
        self.receive_pauses: int = 0
        self.stalls: int = 0

    def count_response(self, status: int | None) -> None:
        """Count a request that has ended, with the status of its response, or None if none was begun."""
        self.requests["none" if status is None else f"{status // 100}xx"] += 1

    def count_end(self, websocket: CountedWebSocket) -> None:
        """Count a websocket that has ended, or whose handshake was refused or abandoned."""
        self.websockets.discard(websocket)
        if websocket.status == 101:
            self.disconnects[websocket.ending.kind] += 1
            traffic = websocket.traffic
            if any(traffic):
                self.ended = _sum(self.ended, traffic)
        elif websocket.status is None:
            self.handshakes_abandoned += 1
        else:
            self.handshakes_refused += 1

    def count_stall(self) -> None:
        """Count a stall of the event loop."""
        self.stalls += 1

    def stats(self) -> Stats:
        """Return the statistics of this moment."""
        open_ = [websocket for websocket in self.websockets if websocket.status == 101]
        traffic = _sum(self.ended, *(websocket.traffic for websocket in open_))
        return Stats(
            connections_open=self.connections_open,
            connections_refused=self.connections_refused,
            client_connections_refused=self.client_connections_refused,
            requests_open=self.requests_open,
            requests=dict(self.requests),
            websockets_open=len(open_),
            handshakes_accepted=self.disconnects.total() + len(open_),
            handshakes_refused=self.handshakes_refused,
            handshakes_over_rate=self.handshakes_over_rate,
            handshakes_abandoned=self.handshakes_abandoned,
            disconnects=dict(self.disconnects),
            handler_errors=self.handler_errors,
            swallowed_cancellations=self.swallowed_cancellations,
            receive_pauses=self.receive_pauses,
            stalls=self.stalls,
            **traffic._asdict(),
        )


def _sum(*traffics: Traffic) -> Traffic:
    return Traffic(*map(sum, zip(*traffics, strict=True)))
