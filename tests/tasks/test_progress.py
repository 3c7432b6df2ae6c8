"""The watch over sending: when it gives a peer up, and when it ends by itself."""

from __future__ import annotations

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from triows.tasks.progress import ProgressWatch
from triows.tasks.timers import Timers


@pytest.fixture
async def timers(nursery: trio.Nursery) -> Timers:
    timers = Timers()
    nursery.start_soon(timers.run)
    await wait_all_tasks_blocked()
    return timers


class Sending:
    """What is watched: ``progressed`` is when the peer last took some of it, None while nothing waits."""

    def __init__(self) -> None:
        self.began = trio.current_time()
        self.progressed: float | None = self.began
        self.looks: list[float] = []
        self.ended: list[float] = []

    @property
    def _seconds(self) -> float:
        return round(trio.current_time() - self.began, 6)

    def stalled(self) -> float | None:
        self.looks.append(self._seconds)
        return None if self.progressed is None else trio.current_time() - self.progressed

    def timed_out(self) -> None:
        self.ended.append(self._seconds)


async def test_a_peer_that_takes_nothing_has_its_timeout_and_no_more(timers: Timers, autojump_clock: MockClock) -> None:
    sending = Sending()
    watch = ProgressWatch(timers, sending.stalled, sending.timed_out, 8.0)
    watch.start()
    await trio.sleep(7.9)
    assert (sending.ended, watch.timer is None) == ([], False)
    await trio.sleep(100)
    assert (sending.ended, watch.timer) == ([8.0], None)


async def test_progress_gives_a_peer_the_whole_timeout_anew(timers: Timers, autojump_clock: MockClock) -> None:
    sending = Sending()
    ProgressWatch(timers, sending.stalled, sending.timed_out, 8.0).start()
    await trio.sleep(5)
    sending.progressed = trio.current_time()
    await trio.sleep(100)
    assert (sending.looks, sending.ended) == ([8.0, 13.0], [13.0])


async def test_several_checks_are_spread_over_the_timeout(timers: Timers, autojump_clock: MockClock) -> None:
    sending = Sending()
    ProgressWatch(timers, sending.stalled, sending.timed_out, 8.0, checks=4).start()
    await trio.sleep(100)
    assert (sending.looks, sending.ended) == ([2.0, 4.0, 6.0, 8.0], [8.0])


async def test_the_watch_ends_when_nothing_waits_and_can_be_started_again(
    timers: Timers, autojump_clock: MockClock
) -> None:
    sending = Sending()
    sending.progressed = None
    watch = ProgressWatch(timers, sending.stalled, sending.timed_out, 8.0)
    watch.start()
    await trio.sleep(20)
    assert (sending.looks, sending.ended, watch.timer) == ([8.0], [], None)
    sending.progressed = trio.current_time()
    watch.start()
    await trio.sleep(20)
    assert sending.ended == [28.0]


async def test_starting_twice_is_one_watch(timers: Timers, autojump_clock: MockClock) -> None:
    sending = Sending()
    watch = ProgressWatch(timers, sending.stalled, sending.timed_out, 8.0)
    watch.start()
    await trio.sleep(4)
    watch.start()
    await trio.sleep(20)
    assert (sending.looks, sending.ended) == ([8.0], [8.0])


async def test_a_watch_that_was_stopped_looks_no_more(timers: Timers, autojump_clock: MockClock) -> None:
    sending = Sending()
    watch = ProgressWatch(timers, sending.stalled, sending.timed_out, 8.0)
    watch.stop()
    watch.start()
    watch.stop()
    await trio.sleep(20)
    assert (sending.looks, sending.ended, watch.timer) == ([], [], None)


async def test_a_block_is_watched_until_it_is_left(timers: Timers, autojump_clock: MockClock) -> None:
    sending = Sending()
    with ProgressWatch(timers, sending.stalled, sending.timed_out, 8.0):
        await trio.sleep(5)
    await trio.sleep(20)
    assert sending.looks == []
    sending.progressed = trio.current_time()
    with ProgressWatch(timers, sending.stalled, sending.timed_out, 8.0):
        await trio.sleep(9)
    assert sending.ended == [33.0]


async def test_without_a_timeout_nothing_is_watched(timers: Timers, autojump_clock: MockClock) -> None:
    sending = Sending()
    with ProgressWatch(timers, sending.stalled, sending.timed_out, None) as watch:
        assert watch.timer is None
        await trio.sleep(1000)
    assert (sending.looks, sending.ended) == ([], [])
