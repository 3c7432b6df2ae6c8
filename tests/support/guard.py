"""An end for tests that hang: on a virtual clock, what nothing wakes any more is only a matter of time."""

from __future__ import annotations

import trio


async def fail_when_it_hangs(guard: trio.CancelScope | None = None) -> None:
    """Fail after a day of the virtual clock, unless this is cancelled before, by the guard or with its nursery."""
    with guard or trio.CancelScope():
        await trio.sleep(100_000)
        raise AssertionError("the test hangs")
