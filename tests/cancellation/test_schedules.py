"""Random schedules: calls in a row, each cancelled at some point or not, with a client that sends and ends at random.

The model is the pair of ledgers: what was received is a beginning of what was sent, in both directions, and all of it
where nobody has left early.
"""

from __future__ import annotations

import logging
from typing import Any

import trio
from hypothesis import given, settings
from hypothesis import strategies as st
from trio.testing import wait_all_tasks_blocked

from triows import Triows, WebSocket

from .peers import Peer
from .points import Point, cancel
from .stages import stage

calls = st.tuples(st.sampled_from(["receive", "send", "send large", "stream"]), st.integers(0, 5))
moves = st.sampled_from(["send", "send three", "send parts", "wait", "stall", "read"])
ends = st.sampled_from(["close", "eof", "stay"])


class Schedule:
    """One connection of a schedule."""

    def __init__(self, plan: list[tuple[str, int]]) -> None:
        self.plan = plan
        self.received: list[str | bytes] = []
        self.sent: list[str | bytes] = []
        self.dropped: set[int] = set()

    async def serve(self, websocket: WebSocket) -> None:
        await websocket.accept()
        for number, (call, at) in enumerate(self.plan):
            # A call that has nothing to wait for may have no such point: it goes on then.
            with trio.move_on_after(1):
                await Point(at, cancel).run(self._call(websocket, call, number))
        while True:
            self.received.append(await websocket.receive())

    async def _call(self, websocket: WebSocket, call: str, number: int) -> None:
        if call == "receive":
            self.received.append(await websocket.receive())
        elif call == "stream":
            async with websocket.receive_stream() as pieces:
                parts: list[Any] = []
                at = len(self.received)
                self.received.append("")  # known to have begun
                self.dropped.add(at)
                async for piece in pieces:
                    parts.append(piece)
                self.received[at] = parts[0][:0].join(parts)
                self.dropped.discard(at)
        else:
            message = f"{number}" + ("x" * 70_000 if call == "send large" else "")
            await websocket.send(message)
            self.sent.append(message)


async def follow(peer: Peer, moves: list[str], end: str) -> None:
    for number, move in enumerate(moves):
        if move == "send":
            await peer.send(f"{number}")
        elif move == "send three":
            await peer.send(f"{number}a", f"{number}b".encode(), f"{number}c")
        elif move == "send parts":
            await peer.send_parts(f"{number}", "part", "")
        elif move == "wait":
            await wait_all_tasks_blocked()
        elif move == "stall":
            peer.stall()
        else:
            peer.reading.set()
    peer.reading.set()
    if end == "stay":
        await trio.sleep(100)  # until the server has nothing more to do
    if end == "eof":
        await peer.stream.send_eof()  # type: ignore[attr-defined]
    else:
        await peer.send_close(1000, "")
    await peer.ended.wait()


@settings(max_examples=60, deadline=None, derandomize=True, database=None)
@given(st.lists(calls, max_size=6), st.lists(moves, max_size=6), ends)
def test_no_schedule_loses_doubles_or_tears_a_message(plan: Any, moves: list[str], end: str) -> None:
    trio.run(_try, plan, moves, end, clock=trio.testing.MockClock(autojump_threshold=0))


async def _try(plan: list[tuple[str, int]], moves: list[str], end: str) -> None:
    schedule = Schedule(plan)
    app = Triows("tested", ping_interval=None)
    logged: list[logging.LogRecord] = []
    handler = logging.Handler(logging.WARNING)
    handler.emit = logged.append  # type: ignore[method-assign]

    @app.websocket("/")
    async def talk(websocket: WebSocket) -> None:
        await schedule.serve(websocket)

    logging.getLogger("triows").addHandler(handler)
    try:
        async with (
            stage("memory", app, None, virtual=True) as where,
            where.websocket() as peer,
        ):
            await follow(peer, moves, end)
    finally:
        logging.getLogger("triows").removeHandler(handler)
    assert logged == []
    assert peer.torn == b""
    assert peer.unfinished == []
    assert len(schedule.received) == len(peer.sent)
    for number, message in enumerate(peer.sent):
        assert number in schedule.dropped or schedule.received[number] == message
    assert peer.received == schedule.sent[: len(peer.received)]
    if end == "stay":
        assert peer.received == schedule.sent
