"""A disconnect at each point of each operation: the handler is told why, once, and gets what was sent before."""

from __future__ import annotations

import logging
from collections.abc import Callable

import pytest
import trustme

from triows import Triows, WebSocket

from .operations import CleanupError, Operation, Turn, cases_on, talk
from .peers import Peer
from .points import MAX_POINTS, Point, cancel
from .stages import REASONS, VIRTUAL, Stage, faults_of, leave, stage

# The server's Close; None: nobody is there to read it.
CLOSES = {"closed": (1001, ""), "lost": None, "protocol_error": 1002, "timeout": None, "shutdown": (1001, "")}


def make_app(turns: list[Turn]) -> Triows:
    app = Triows("tested", ping_interval=None)

    @app.websocket("/")
    async def handler(websocket: WebSocket) -> None:
        await turns[-1].serve_until_cancelled(websocket)

    return app


class Try:
    """One disconnect at one point.

    :ivar owed: the messages that had arrived before it.
    :ivar taken: how many messages had been sent before it.
    :ivar ended_before: whether this side had closed the websocket by then.
    """

    def __init__(self, where: Stage, operation: Operation, fault: str, number: int, *, woken: bool) -> None:
        self.where = where
        self.fault = fault
        self.owed: list[str | bytes] = []
        self.taken = 0
        self.ended_before = False
        self.peer: Peer
        self.before: list[Callable[[Point], None]] = []
        self.after: list[Callable[[Point], None]] = []
        self.turn = Turn(operation, Point(number, self.happen, woken=woken))

    def happen(self, point: Point) -> None:
        for action in self.before:
            action(point)
        self.owed = self.turn.received + list(self.turn.websocket.connection.inbox)
        self.taken = len(self.turn.sent)
        self.ended_before = self.turn.websocket.connection.closed
        self.where.befall(self.fault, self.peer)
        for action in self.after:
            action(point)

    async def run(self) -> None:
        async with self.where.websocket() as self.peer:
            await talk(self.peer, self.turn)
            if self.turn.point.reached or self.turn.websocket.connection.closed:
                await self.peer.ended.wait()
            else:
                await self.peer.send_close(1000, "")  # the operation has no such point
        if self.turn.point.reached:
            self.check()

    def check(self) -> None:
        turn, peer = self.turn, self.peer
        assert turn.point.error is None
        owed = len(self.owed)
        if not turn.begun_in_parts and not turn.fails:
            assert turn.received[:owed] == self.owed
            assert turn.received == peer.sent[: len(turn.received)]
        closed = self.ended_before or turn.operation.may_close
        if self.where.kind == "asgi":  # where the disconnect is only under way
            closed = closed or turn.operation.close != (1000, "")
        assert peer.received == turn.sent[: len(peer.received)]
        if self.fault == "shutdown" and not turn.operation.may_close:
            assert peer.received == turn.sent
        elif self.fault != "timeout" and self.where.kind != "asgi":  # the others let what was sent before arrive
            assert len(peer.received) >= self.taken
        if self.fault != "timeout":  # which drops everything
            assert peer.torn == b""
        if not turn.fails and not closed:
            self.check_reason()
        plain = turn.operation.close == (1000, "") and not peer.unfinished and not turn.fails
        if peer.status == 101 and not closed and plain:
            self.check_close()

    def check_reason(self) -> None:
        reasons = [reason for reason, _ in self.turn.cancellations]
        if not (self.before or self.after):  # else it may have been the user's own that was raised
            assert len(reasons) == 1
            assert str(reasons[0]).startswith(REASONS[self.fault]), reasons
        assert reasons
        assert all(disconnect.kind == self.fault for _, disconnect in self.turn.cancellations)

    def check_close(self) -> None:
        expected = CLOSES[self.fault]
        if self.fault == "protocol_error":
            assert self.peer.close is not None
            assert self.peer.close[0] in (1002, 1009)
        elif self.where.kind != "asgi":  # whose server has said its own
            assert self.peer.close == expected


Arrange = Callable[[Try], None]


def disconnect_first(attempt: Try) -> None:
    attempt.after.append(cancel)


def cancel_first(attempt: Try) -> None:
    attempt.before.append(cancel)


def fail(attempt: Try) -> None:
    attempt.turn.fails = True


async def try_all(
    operation: Operation,
    kind: str,
    authority: trustme.CA,
    warnings: list[logging.LogRecord],
    *,
    arrange: Arrange = lambda attempt: None,
    orders: tuple[bool, ...] = (False,),
    errors: tuple[str, ...] = (),
) -> None:
    turns: list[Turn] = []
    async with stage(kind, make_app(turns), authority) as where:
        for fault in faults_of(kind):
            if operation.cuts_frames and fault in ("closed", "protocol_error"):
                continue  # which come between frames only
            for woken in orders:
                for number in range(woken, MAX_POINTS):
                    attempt = Try(where, operation, fault, number, woken=woken)
                    arrange(attempt)
                    turns.append(attempt.turn)
                    try:
                        await attempt.run()
                        logged = [record.exc_info[0].__name__ for record in warnings if record.exc_info]
                        assert len(logged) == len(warnings), [record.getMessage() for record in warnings]
                        assert set(logged) <= set(errors)
                        assert len(logged) <= 1
                        warnings.clear()
                    except BaseException as error:
                        when = "woken" if woken else "parked"
                        error.add_note(f"{fault}, {when} at point {number} of {operation.name}, {kind}")
                        raise
                    if not attempt.turn.point.reached:
                        break


@pytest.mark.parametrize(("operation", "kind"), cases_on([*VIRTUAL, "tcp", "tasks", "tls"], all_on=[*VIRTUAL, "tcp"]))
async def test_disconnected_at_each_point(
    operation: Operation, kind: str, authority: trustme.CA, warnings: list[logging.LogRecord]
) -> None:
    await try_all(operation, kind, authority, warnings, orders=(False, True) if kind in VIRTUAL else (False,))


@pytest.mark.parametrize("arrange", [cancel_first, disconnect_first])
@pytest.mark.parametrize(("operation", "kind"), cases_on(VIRTUAL, all_on=VIRTUAL))
async def test_cancelled_and_disconnected_at_the_same_point(
    operation: Operation, kind: str, arrange: Arrange, authority: trustme.CA, warnings: list[logging.LogRecord]
) -> None:
    await try_all(operation, kind, authority, warnings, arrange=arrange)


@pytest.mark.parametrize(("operation", "kind"), cases_on(VIRTUAL, all_on=VIRTUAL))
async def test_an_error_of_the_cleanup_at_each_point_is_logged_once(
    operation: Operation, kind: str, authority: trustme.CA, warnings: list[logging.LogRecord]
) -> None:
    await try_all(operation, kind, authority, warnings, arrange=fail, errors=(CleanupError.__name__,))


@pytest.mark.parametrize("reset", [False, True], ids=["closed", "reset"])
@pytest.mark.parametrize(
    ("operation", "kind"),
    cases_on(["memory", "tcp", "tls"], all_on=["memory"]),
)
async def test_a_client_that_goes_away_at_each_point_is_lost(
    operation: Operation, kind: str, reset: bool, authority: trustme.CA, warnings: list[logging.LogRecord]
) -> None:
    """The real thing: the server finds it out by itself, and messages that were under way may be lost with a reset."""
    turns: list[Turn] = []
    async with stage(kind, make_app(turns), authority) as where:
        for number in range(MAX_POINTS):
            turn = Turn(operation, Point(number, lambda point: leave(peer, reset=reset)))
            turns.append(turn)
            async with where.websocket() as peer:
                await talk(peer, turn)
                if not turn.point.reached:
                    await peer.send_close(1000, "")
            assert turn.point.error is None, f"point {number}"
            assert warnings == [], f"point {number}"
            if not turn.point.reached:
                break
            if turn.cancellations and operation.close[0] != 3000:
                ((reason, disconnect),) = turn.cancellations
                assert reason == "websocket disconnected: 1006 abnormal closure", f"point {number}"
                assert disconnect.kind == "lost"
            else:
                assert turn.websocket.connection.closed, f"point {number}"
            if not turn.begun_in_parts:
                assert turn.received == peer.sent[: len(turn.received)], f"point {number}"
