"""How late an event loop is: what tells a machine that is too slow from a server that is."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

import trio

WINDOW = 4.0  # seconds
_EVERY = 0.05


async def watch_lateness(tell: Callable[[float], object]) -> None:
    """Call ``tell`` with the seconds by which this loop was late within WINDOW seconds, whenever these are the most.

    It is the sum that counts: a client whose every turn is late by half a second takes seconds for an answer.
    """
    lately: deque[tuple[float, float]] = deque()
    total, most = 0.0, 0.1
    while True:
        due = trio.current_time() + _EVERY
        await trio.sleep_until(due)
        now = trio.current_time()
        lately.append((now, now - due))
        total += now - due
        while lately[0][0] < now - WINDOW:
            total -= lately.popleft()[1]
        if total > most + 0.05:
            most = total
            tell(most)
