"""How late an event loop is: what tells a machine that is too slow from a server that is."""

from __future__ import annotations

from collections.abc import Callable

import trio

_EVERY = 0.05


async def watch_lateness(tell: Callable[[float], object]) -> None:
    """Call ``tell`` with each lateness of this loop, in seconds, that is greater than those before."""
    most = 0.1
    while True:
        due = trio.current_time() + _EVERY
        await trio.sleep_until(due)
        late = trio.current_time() - due
        if late > most:
            most = late
            tell(late)
