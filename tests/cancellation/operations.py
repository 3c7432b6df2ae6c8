"""The table: each operation of a websocket, what its client does meanwhile, and what must come of it.

The server's part runs in the handler; what it passes to ``turn.run()`` is cut at the point. Both sides keep a ledger:
what ``receive()`` returned goes to ``turn.received``, what ``send()`` has taken to ``turn.sent``. Afterwards every
message must be in both ledgers once and in order, whatever was cancelled, unless an entry's ``check`` says otherwise.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from dataclasses import dataclass
from typing import Any

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from triows import WebSocket, WebSocketClosed
from triows.tasks.exception_groups import leaves

from .peers import Peer
from .points import Point

LARGE = "x" * 100_000
END = "end"


class CleanupError(Exception):
    """What a handler's cleanup may raise."""


class Turn:
    """One connection on which an operation is tried.

    :ivar websocket: the server's websocket, once the handler runs.
    :ivar received: the messages that the server has received.
    :ivar sent: the messages that the server's ``send()`` has taken.
    :ivar begun: set when the handler runs.
    :ivar over: set when the operation has ended, in whichever way.
    :ivar completed: whether the operation was neither cancelled nor failed.
    :ivar parts: what an operation in pieces has received, and
    :ivar begun_in_parts: whether it has begun to.
    :ivar fails: whether the handler's cleanup raises an error of its own.
    :ivar cancellations: the reason of each Cancelled that went through the handler, and the disconnect at that time.
    """

    websocket: WebSocket

    def __init__(self, operation: Operation, point: Point) -> None:
        self.operation = operation
        self.point = point
        self.received: list[str | bytes] = []
        self.sent: list[str | bytes] = []
        self.begun = trio.Event()
        self.over = trio.Event()
        self.completed = False
        self.parts: list[str | bytes] = []
        self.begun_in_parts = False
        self.fails = False
        self.cancellations: list[tuple[str | None, Any]] = []

    async def run(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        async def whole() -> Any:
            result = await coroutine
            self.completed = True
            return result

        return await self.point.run(whole())

    async def receive(self) -> None:
        self.received.append(await self.websocket.receive())

    async def send(self, message: str | bytes) -> None:
        await self.websocket.send(message)
        self.sent.append(message)  # no checkpoint between: the order is that of the wire

    # The handler, for a user's cancellation and for a disconnect

    async def serve(self, websocket: WebSocket) -> None:
        """Try the operation; afterwards the connection must work."""
        await self._try(websocket)
        await self.send("after")
        while (message := await websocket.receive()) != END:
            self.received.append(message)

    async def serve_until_cancelled(self, websocket: WebSocket) -> None:
        """Try the operation, then receive until the disconnect."""
        try:
            await self._try(websocket)
            while True:
                await self.receive()
        except BaseException as error:
            # Several tasks may have been cancelled, each once.
            reasons = {leaf.reason for leaf in leaves(error) if isinstance(leaf, trio.Cancelled)}
            self.cancellations += [(reason, websocket.disconnect) for reason in reasons]
            raise

    async def _try(self, websocket: WebSocket) -> None:
        self.websocket = websocket
        try:
            if self.operation.accepted:
                await websocket.accept()
            self.begun.set()
            await self.operation.server(self)
        finally:
            self.over.set()
            if self.fails and self.point.reached:
                raise CleanupError


async def _nothing(peer: Peer, turn: Turn) -> None:
    pass


def nothing_lost(turn: Turn, peer: Peer) -> None:
    """Both ledgers agree."""
    assert turn.received == [message for message in peer.sent if message != END]
    assert peer.received == turn.sent
    assert peer.unfinished == []


async def talk(peer: Peer, turn: Turn) -> None:
    """The client's part, until the operation has ended."""
    if turn.operation.reads_late:
        peer.stall()
    if turn.operation.answers_close_late:
        peer.answers_close = trio.Event()
    await turn.operation.client(peer, turn)
    await turn.over.wait()
    peer.reading.set()
    peer.answers_close.set()


@dataclass(frozen=True)
class Operation:
    """An entry.

    :ivar check: what must be true of the ledgers at the end.
    :ivar close: the server's Close.
    :ivar accepted: whether the websocket is accepted beforehand.
    :ivar native: whether ASGI cannot express it.
    :ivar reads_late: whether the client reads nothing until its part says so.
    :ivar answers_close_late: whether the client keeps its Close back until its part says so.
    :ivar cuts_frames: whether the client may be in the middle of a frame.
    :ivar may_close: whether it ends the websocket by itself when it is cancelled.
    """

    name: str
    server: Callable[[Turn], Awaitable[None]]
    client: Callable[[Peer, Turn], Awaitable[None]] = _nothing
    check: Callable[[Turn, Peer], None] = nothing_lost
    close: tuple[int, str] = (1000, "")
    accepted: bool = True
    native: bool = False
    reads_late: bool = False
    answers_close_late: bool = False
    may_close: bool = False
    cuts_frames: bool = False


OPERATIONS: list[Operation] = []


def operation(client: Callable[[Peer, Turn], Awaitable[None]] = _nothing, **options: Any) -> Any:
    """Enter the function into the table, by its name with hyphens."""

    def enter(server: Callable[[Turn], Awaitable[None]]) -> Callable[[Turn], Awaitable[None]]:
        OPERATIONS.append(Operation(server.__name__.replace("_", "-"), server, client, **options))
        return server

    return enter


# Clients


async def send_three(peer: Peer, turn: Turn) -> None:
    await peer.send("one", b"two", "three")


async def send_late(peer: Peer, turn: Turn) -> None:
    await turn.begun.wait()
    for message in ("one", b"two", "three"):
        await wait_all_tasks_blocked()
        await peer.send(message)


async def send_large(peer: Peer, turn: Turn) -> None:
    await turn.begun.wait()
    await peer.send_parts(LARGE, LARGE, "y")
    await peer.send("one")


async def read_late(peer: Peer, turn: Turn) -> None:
    await turn.begun.wait()
    await peer.answered.wait()
    await wait_all_tasks_blocked()
    peer.reading.set()


# Accepting and receiving


@operation(accepted=False)
async def accept(turn: Turn) -> None:
    async def accepting() -> None:
        await turn.websocket.accept(headers={"X-A": "1"})

    await turn.run(accepting())


@operation(accepted=False)
async def implied_accept(turn: Turn) -> None:
    await turn.run(turn.send("first"))


@operation(send_late)
async def receive_waiting(turn: Turn) -> None:
    await turn.run(turn.receive())


@operation(send_three)
async def receive_what_is_there(turn: Turn) -> None:
    while not turn.websocket.connection.inbox and turn.websocket.disconnect is None:
        await trio.lowlevel.checkpoint()
    await turn.run(turn.receive())


@operation(send_three)
async def receive_batch(turn: Turn) -> None:
    async def batch() -> None:
        for _ in range(3):
            await turn.receive()

    await turn.run(batch())


@operation(send_large, cuts_frames=True)
async def receive_large(turn: Turn) -> None:
    await turn.run(turn.receive())


@operation(send_late)
async def iterate(turn: Turn) -> None:
    async def iterating() -> None:
        async for message in turn.websocket:
            turn.received.append(message)
            if message == "three":
                break

    await turn.run(iterating())


async def send_json_late(peer: Peer, turn: Turn) -> None:
    await turn.begun.wait()
    await wait_all_tasks_blocked()
    await peer.send("[1]")


@operation(send_json_late)
async def json(turn: Turn) -> None:
    async def both() -> None:
        assert await turn.websocket.receive_json() == [1]
        turn.received.append("[1]")
        await turn.websocket.send_json("two")
        turn.sent.append('"two"')

    await turn.run(both())


# Sending


@operation()
async def send_small(turn: Turn) -> None:
    await turn.run(turn.send("small"))


@operation()
async def send_in_a_row(turn: Turn) -> None:
    async def row() -> None:
        for number in range(130):  # more than two runs without a real checkpoint
            await turn.send(f"{number}")

    await turn.run(row())


@operation(read_late, reads_late=True)
async def send_huge(turn: Turn) -> None:
    await turn.send(LARGE)  # fills what can be buffered
    await turn.send(LARGE)

    async def two() -> None:
        await turn.send("huge" + LARGE)
        await turn.send(b"huge" + LARGE.encode())

    await turn.run(two())


@operation(read_late, reads_late=True)
async def send_by_ten_tasks(turn: Turn) -> None:
    await turn.send(LARGE)
    await turn.send(LARGE)
    async with trio.open_nursery() as nursery:
        for number in range(10):
            sending = turn.send(f"{number}" + LARGE[:2000])
            if number == 5:
                nursery.start_soon(turn.run, sending)
            else:
                nursery.start_soon(lambda sending: sending, sending)


@operation(read_late, reads_late=True)
async def send_while_one_more_waits(turn: Turn) -> None:
    """The one that is woken for the room is cancelled: the other must get it."""
    await turn.send(LARGE)
    await turn.send(LARGE)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(turn.run, turn.send("cancelled"))
        nursery.start_soon(turn.send, "kept")


# In pieces


async def send_pieces_late(peer: Peer, turn: Turn) -> None:
    await turn.begun.wait()
    await wait_all_tasks_blocked()
    await peer.send_parts("a", "b", "c")
    await peer.send("one")


def streamed_or_kept(turn: Turn, peer: Peer) -> None:
    """Cancelled while entering, nothing is lost; inside of the block, the rest of that message is."""
    whole, *others = [message for message in peer.sent if message != END]
    if turn.begun_in_parts:
        text = "".join(map(str, turn.parts))
        assert str(whole).startswith(text)
        if turn.completed:
            assert text == whole
        assert turn.received == others
    else:
        assert turn.received == [whole, *others]
    assert peer.received == turn.sent


async def _receive_stream(turn: Turn) -> None:
    async with turn.websocket.receive_stream() as pieces:
        turn.begun_in_parts = True
        async for piece in pieces:
            turn.parts.append(piece)


@operation(send_pieces_late, check=streamed_or_kept)
async def receive_stream(turn: Turn) -> None:
    await turn.run(_receive_stream(turn))


@operation(send_large, check=streamed_or_kept, cuts_frames=True)
async def receive_large_stream(turn: Turn) -> None:
    await turn.run(_receive_stream(turn))


@operation(send_three, check=streamed_or_kept)
async def receive_whole_as_stream(turn: Turn) -> None:
    await turn.run(_receive_stream(turn))


def whole_or_broken_off(turn: Turn, peer: Peer) -> None:
    """What has begun and was cancelled has no end, and the websocket is closed for it."""
    if turn.completed:
        nothing_lost(turn, peer)
        assert peer.close == (1000, "")
    elif peer.unfinished:
        assert "before" + b"".join(peer.unfinished).decode() in ("before1", "before12", "before123")
        assert peer.received == ["before"]
        assert peer.close == (1011, "a message was broken off")
    elif peer.close == (1000, ""):
        nothing_lost(turn, peer)  # cancelled before it had begun
    else:
        # ASGI takes messages whole only: the pieces have not left.
        assert peer.received == ["before"]
        assert peer.close == (1011, "a message was broken off")


@operation(check=whole_or_broken_off, may_close=True)
async def send_stream(turn: Turn) -> None:
    async def pieces() -> AsyncIterator[str]:
        for piece in "123":
            await trio.lowlevel.checkpoint()
            yield piece

    await turn.send("before")

    async def sending() -> None:
        await turn.websocket.send(pieces())
        turn.sent.append("123")

    await turn.run(sending())


@operation(read_late, reads_late=True)
async def send_behind_a_stream(turn: Turn) -> None:
    """While one task sends in pieces, another waits for its turn and is cancelled there."""

    async def pieces() -> AsyncIterator[str]:
        for piece in "123":
            await wait_all_tasks_blocked()
            yield piece

    async def streaming() -> None:
        await turn.websocket.send(pieces())
        turn.sent.append("123")

    async with trio.open_nursery() as nursery:
        nursery.start_soon(streaming)
        while turn.websocket.connection.senders.fragment_sender is None and turn.websocket.connection.peer_reads:
            await wait_all_tasks_blocked()
        await turn.run(turn.send("behind"))


# Pinging and closing


@operation(read_late, reads_late=True, native=True)
async def ping(turn: Turn) -> None:
    await turn.run(turn.websocket.ping())


async def close_late(peer: Peer, turn: Turn) -> None:
    await turn.begun.wait()
    await wait_all_tasks_blocked()
    peer.answers_close.set()


def closed_once(turn: Turn, peer: Peer) -> None:
    assert turn.received == []
    assert peer.received == turn.sent == ["before"]


@operation(close_late, check=closed_once, close=(3000, "enough"), answers_close_late=True)
async def close(turn: Turn) -> None:
    await turn.send("before")
    await turn.run(turn.websocket.close(3000, "enough"))
    for call in (turn.receive, lambda: turn.send("behind Close"), turn.websocket.ping):
        with pytest.raises(WebSocketClosed):
            await call()


# Several tasks


@operation(send_late)
async def nursery_of_children(turn: Turn) -> None:
    async def together() -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(turn.receive)
            nursery.start_soon(turn.send, "from a child")
            await turn.send("from the parent")

    await turn.run(together())


@operation(send_three)
async def echo(turn: Turn) -> None:
    async def echoing() -> None:
        for _ in range(3):
            await turn.receive()
            await turn.send(turn.received[-1])

    await turn.run(echoing())


# Tried on every transport: each way of waiting once.
_EVERYWHERE = ("receive-waiting", "receive-large-stream", "send-huge", "send-by-ten-tasks", "close", "echo")


def cases_on(kinds: list[str], *, all_on: list[str]) -> list[Any]:
    """Operations and transports, for parametrizing: all operations on those of ``all_on``."""
    return [
        pytest.param(operation, kind, id=f"{operation.name}-{kind}")
        for operation in OPERATIONS
        for kind in kinds
        if (kind in all_on or operation.name in _EVERYWHERE) and (kind != "asgi" or not operation.native)
    ]
