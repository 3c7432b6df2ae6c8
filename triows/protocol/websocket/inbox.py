"""The messages of one websocket that have arrived and were not received yet."""

from __future__ import annotations

from collections import deque

#: What an unread message takes besides its payload, in bytes, about: else any number of empty ones would fit.
MESSAGE_COST = 64


class Inbox(deque[str | bytes]):
    """Whole messages that nobody has received yet, oldest first.

    :ivar size: the bytes of payload they came in, and ``MESSAGE_COST`` for each.
    :ivar messages: how many messages have arrived so far, those that were handed out in pieces among them.
    :ivar bytes: their payload.
    """

    __slots__ = ("bytes", "messages", "size")

    def __init__(self) -> None:
        super().__init__()
        self.size = 0
        self.messages = 0
        self.bytes = 0

    def clear(self) -> None:
        super().clear()
        self.size = 0
