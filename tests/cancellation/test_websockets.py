"""A user's own cancellation at each point of each operation: the connection works afterwards, and nothing is lost."""

from __future__ import annotations

import logging
from collections.abc import Callable

import pytest
import trustme

from triows import Triows, WebSocket

from ..support.wire import CONTINUATION, TEXT, frame
from .operations import END, OPERATIONS, Operation, Turn, cases_on, talk
from .peers import Peer
from .points import MAX_POINTS, Point, cancel, expire
from .stages import TRANSPORTS, VIRTUAL, Stage, stage

VARIANTS: dict[str, tuple[Callable[[Point], None], bool]] = {
    "cancelled": (cancel, False),
    "woken-and-cancelled": (cancel, True),
    "timed-out": (expire, False),
}


def make_app(turns: list[Turn]) -> Triows:
    app = Triows("tested", ping_interval=None)

    @app.websocket("/")
    async def handler(websocket: WebSocket) -> None:
        await turns[-1].serve(websocket)

    return app


@pytest.mark.parametrize(("operation", "kind"), cases_on(TRANSPORTS, all_on=[*VIRTUAL, "tcp", "tasks"]))
async def test_cancelled_at_each_point(
    operation: Operation, kind: str, authority: trustme.CA, warnings: list[logging.LogRecord]
) -> None:
    turns: list[Turn] = []
    async with stage(kind, make_app(turns), authority) as where:
        for variant, (action, woken) in VARIANTS.items():
            if variant != "cancelled" and kind not in VIRTUAL:
                continue
            for number in range(woken, MAX_POINTS):
                turn = Turn(operation, Point(number, action, woken=woken))
                turns.append(turn)
                try:
                    await try_once(where, turn)
                    assert warnings == []
                except BaseException as error:
                    error.add_note(f"{variant} at point {number} of {operation.name}, {kind}")
                    raise
                if not turn.point.reached:
                    break
            assert turn.completed


async def try_once(where: Stage, turn: Turn) -> None:
    async with where.websocket() as peer:
        await talk(peer, turn)
        await peer.send(END)
        await peer.ended.wait()
    check_end(turn, peer)


@pytest.mark.parametrize(
    ("name", "number", "in_pieces"),
    [
        ("receive-waiting", 1, False),
        ("iterate", 1, False),
        ("json", 1, False),
        ("receive-stream", 1, False),
        ("receive-stream", 2, False),
        ("receive-stream", 1, True),
        ("receive-stream", 2, True),
    ],
)
@pytest.mark.parametrize("kind", ["memory", "tcp"])
async def test_a_message_that_arrives_behind_the_cancellation_is_kept(
    name: str, number: int, in_pieces: bool, kind: str, authority: trustme.CA, warnings: list[logging.LogRecord]
) -> None:
    """It arrives while the task is already cancelled, and does not know it yet."""
    (entry,) = [entry for entry in OPERATIONS if entry.name == name]

    def arrive() -> None:
        peer.sent.append("late")
        where.feed(frame(TEXT, b"la", fin=False) if in_pieces else frame(TEXT, b"late"))

    turns = [Turn(entry, Point(number, cancel, late=arrive))]
    async with stage(kind, make_app(turns), authority) as where, where.websocket() as peer:
        await turns[0].over.wait()
        if in_pieces:
            where.feed(frame(CONTINUATION, b"te"))
        await peer.send(END)
        await peer.ended.wait()
    assert not turns[0].completed
    check_end(turns[0], peer)
    assert warnings == []


def check_end(turn: Turn, peer: Peer) -> None:
    operation = turn.operation
    assert turn.point.error is None
    assert peer.torn == b""
    assert peer.status == 101
    if not operation.may_close:
        assert peer.close == operation.close
    operation.check(turn, peer)
