"""The messages of one websocket that have arrived and were not received yet.

The inbox is on the path of every message, so it keeps no size for each of them:

- ``size`` grows with each message that arrives, stays when one is taken, and falls to 0 when the last one is taken.
- Therefore ``size`` is exact only while nothing has been taken since the inbox was last empty. Later it is the most
  that the unread messages can be.
- Whoever pauses reading at some ``size`` resumes when the inbox is empty, and no earlier.

The fields are written by the methods here. :meth:`MessageReader.receive_data` alone writes them too: it appends the
messages that came in one piece of data, and counts all of them at its end.
"""

from __future__ import annotations

from collections import deque
from sys import getsizeof

#: What an unread message takes besides its payload, in bytes, about: else any number of empty ones would fit.
MESSAGE_COST = 64


class Inbox(deque[str | bytes]):
    """Whole messages that nobody has received yet, oldest first. ``popleft()`` takes one; see :meth:`reset_size`.

    :ivar size: the payload of unread messages in bytes, and ``MESSAGE_COST`` for each; see the module's docstring.
    :ivar messages: how many messages have arrived so far, those that were handed out in pieces among them.
    :ivar bytes: their payload.
    """

    __slots__ = ("bytes", "messages", "size")

    def __init__(self) -> None:
        super().__init__()
        self.size: int = 0
        self.messages: int = 0
        self.bytes: int = 0

    def put(self, message: str | bytes, size: int) -> None:
        """Add a message whose payload has ``size`` bytes."""
        self.append(message)
        self.size += size + MESSAGE_COST
        self.messages += 1
        self.bytes += size

    def put_back(self, message: str | bytes, size: int) -> None:
        """Make a message the next one, which :meth:`count_streamed` has counted."""
        self.appendleft(message)
        self.size += size + MESSAGE_COST

    def count_streamed(self, size: int) -> None:
        """Count a message of ``size`` bytes that was handed out in pieces and was never in the inbox."""
        self.messages += 1
        self.bytes += size

    def reset_size(self) -> int:
        """Set ``size`` to 0 and return what it was. Call it when the last message is taken, or just before that."""
        size, self.size = self.size, 0
        return size

    def clear(self) -> None:
        super().clear()
        self.size = 0

    def memory(self, limit: int) -> int:
        """The bytes that count towards ``limit`` (bytes): ``size``, or the memory of the messages where that is more.

        Python may keep four bytes for each that a text came in (PEP 393). The memory is summed up only where it can be
        over the limit while ``size`` is below.
        """
        if self.size < limit <= 4 * self.size:
            return max(self.size, sum(map(getsizeof, self)))
        return self.size
