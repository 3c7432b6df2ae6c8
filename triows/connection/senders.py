"""The tasks that send on one websocket: the one that is sending a message in pieces, and those that wait."""

from __future__ import annotations

from trio.lowlevel import ParkingLot, Task, current_task

from ..errors import WebSocketStateError


class Senders:
    """Which tasks may send now, and the others, which wait.

    :ivar congested: whether all wait, because the transport buffers ``send_buffer`` bytes or more.
    :ivar fragment_sender: the task that is sending a message in pieces, or None. All others wait meanwhile.
    """

    __slots__ = ("_waiting", "congested", "fragment_sender")

    def __init__(self) -> None:
        self.congested: bool = False
        self.fragment_sender: Task | None = None
        self._waiting: ParkingLot | None = None  # made by the first that has to wait

    @property
    def must_wait(self) -> bool:
        """Whether the current task must wait."""
        return self.congested or (self.fragment_sender is not None and self.fragment_sender is not current_task())

    def check_message_is_own(self) -> None:
        """Raise if the current task is sending the pieces of another message, and so would wait for itself."""
        if self.fragment_sender is current_task():
            raise WebSocketStateError("send(): the iterable whose pieces are being sent cannot send a message itself")

    async def park(self) -> None:
        """Wait until somebody is woken; the caller looks again then."""
        if self._waiting is None:
            self._waiting = ParkingLot()
        await self._waiting.park()

    def wake(self) -> None:
        """Let a task that waits look again, or all where only the fragment sender may go on."""
        if self.fragment_sender is not None:
            self.wake_all()
        elif self._waiting is not None:
            self._waiting.unpark()

    def wake_all(self) -> None:
        """Let all that wait look again."""
        if self._waiting is not None:
            self._waiting.unpark_all()
